/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding: the catalogue of named defects and the rules that detect them.
 *
 * The catalogue is finding.def; explain, the docs and every report are made from it.  A rule is a
 * pure function over the model: same model and options, same findings.  No finding without evidence.
 * A false alarm is worse than a miss.
 */
#ifndef CORE_FINDING_FINDING_H
#define CORE_FINDING_FINDING_H

#include "core/exchange/model.h"

enum severity {
	SEVERITY_INFO,
	SEVERITY_WARNING,
	SEVERITY_ERROR,
	SEVERITY_CRITICAL,
};
const char *severity_name(enum severity s);
bool severity_from_name(const char *name, enum severity *ret);

/* FINDING(id, "kebab-id", SEVERITY, SCOPE, explained, title, why, fix, evidence); table order decides which
 * finding of an exchange is primary. */
enum finding_id {
#define FINDING(id, ...) FINDING_##id,
#include "core/finding/finding.def"
#undef FINDING
	FINDING_COUNT,
};

enum finding_scope {
	SCOPE_EXCHANGE,
	SCOPE_CONNECTION,
	SCOPE_PROCESS,
};

/* What a fault does to a program that it cannot help.  Short and sliced calls, EAGAIN, EINTR, wrong wakes
 * and the like do nothing of that kind: a correct program goes on, and one that does not is found out. */
enum fault_effect {
	EFFECT_NOTHING = 0,
	EFFECT_TIME = 1u << 0,	 /* bytes, or the whole process, were late */
	EFFECT_ASK = 1u << 1,	 /* bytes of the side that asks were changed, added or lost */
	EFFECT_ANSWER = 1u << 2, /* ... of the side that answers */
	EFFECT_END = 1u << 3,	 /* the connection, or the process, was ended */
	EFFECT_CALL = 1u << 4,	 /* a call failed for good */
	/* No effect, but beside them in a row: the finding is about what never came, so that what
	 * happened behind the last thing it points at counts. */
	EFFECT_ABSENT = 1u << 5,
};

struct finding_info {
	const char *id;
	enum severity severity; /* of the plain case; a finding may be raised with another one */
	enum finding_scope scope;
	uint32_t explained; /* enum fault_effect */
	const char *title, *why, *fix, *evidence;
};
const struct finding_info *finding_info(enum finding_id id);
bool finding_from_name(const char *name, enum finding_id *ret);

enum {
	FINDING_EVIDENCE = 4,
	FINDING_TEXT = 320,
	FINDING_MAX = 24, /* per exchange */
};

struct evidence {
	uint32_t event; /* index into connection.event */
	uint8_t dir;
	uint64_t off; /* stream offset the reader should look at */
	uint32_t len; /* bytes worth showing, 0 for an event without bytes */
};

struct finding {
	enum finding_id id;
	enum severity severity;
	bool primary;
	const char *sub;	    /* sub-diagnosis id, NULL when the row has none */
	char message[FINDING_TEXT]; /* what happened, with the concrete values */
	char fix[FINDING_TEXT];	    /* how to fix it, concrete where possible */
	uint32_t evidences;
	struct evidence evidence[FINDING_EVIDENCE];
	char injected_by
		[FAULT_NAME]; /* the rule whose fault explains it: not the server's; "" none */
	uint32_t blame_event; /* whose stack blames; MODEL_NONE with blame_reason */
	const char *blame_reason;
};

/* Thresholds; all are command-line options. */
struct finding_options {
	uint64_t never_answered_ns;	/* 5 s */
	uint64_t relay_ns;		/* 1 s */
	uint64_t closed_right_after_ns; /* 1 s */
	uint64_t close_wait_ns;		/* 30 s */
	uint64_t silent_ns;		/* 30 s */
	uint64_t orphan_ns;		/* 5 s */
	uint64_t log_near_ns;		/* 50 ms */
	uint32_t timer_percent;		/* 2 */
};
void finding_options_default(struct finding_options *o);

/* Findings of one exchange, most important first, exactly one of them primary.  Those that a fault of a
 * rule explains come last, are of severity info, and say so.
 * ret holds FINDING_MAX.  Returns how many. */
uint32_t finding_detect(const struct process *p, const struct exchange *x,
			const struct finding_options *o, struct finding *ret);

/* Findings that belong to a connection rather than to one exchange. */
uint32_t finding_detect_connection(const struct process *p, const struct connection *c,
				   const struct finding_options *o, struct finding *ret);

#endif
