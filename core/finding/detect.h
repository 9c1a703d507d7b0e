/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect: what the rules share.  Private to core/finding.
 *
 * A rule is called once per exchange (or connection) and raises its finding at most once, or stays
 * silent.  It speaks only from what the model holds; where the model has a hole it stays silent.
 */
#ifndef CORE_FINDING_DETECT_H
#define CORE_FINDING_DETECT_H

#include "core/finding/finding.h"
#include "core/finding/say.h"
#include "core/websocket/handshake.h"

struct detect {
	const struct process *p;
	const struct connection *c;
	const struct exchange *x; /* NULL for a connection rule */
	const struct finding_options *o;
	enum dir ask, answer;	/* directions of requests and answers */
	bool server;		/* this process answers */
	bool whole;		/* every byte of the connection was counted */
	bool switched;		/* the answer is a complete 101 */
	bool framed;		/* ... to WebSocket */
	bool silent;		/* complete request, not one byte of an answer */
	uint64_t t_peer, t_own; /* first end by each side, UINT64_MAX never */
	uint32_t ev_peer, ev_own;
	struct finding *ret;
	uint32_t n;
};

/* rule_ID of every row of the catalogue. */
#define FINDING(id, ...) void rule_##id(struct detect *d);
#include "core/finding/finding.def"
#undef FINDING

/* Begin a finding with the row's severity and fix. NULL when there is no room. */
struct finding *detect_raise(struct detect *d, enum finding_id id);
/* Tell the findings that faults explain from the others, and put them behind: explained.c. */
void detect_explain(struct detect *d);
/* Was it raised for this exchange? */
bool detect_has(const struct detect *d, enum finding_id id);
/* It, or NULL. */
const struct finding *detect_find(const struct detect *d, enum finding_id id);

/* f->message, f->fix; f may be NULL. */
#define FINDING_SAY(f, ...)                                                   \
	do {                                                                  \
		if (f)                                                        \
			say((f)->message, sizeof((f)->message), __VA_ARGS__); \
	} while (0)
#define FINDING_FIX(f, ...)                                           \
	do {                                                          \
		if (f) {                                              \
			(f)->fix[0] = '\0';                           \
			say((f)->fix, sizeof((f)->fix), __VA_ARGS__); \
		}                                                     \
	} while (0)

/* All take f NULL. */
void finding_evidence(struct finding *f, uint32_t event, enum dir dir, uint64_t off, uint64_t len);
void finding_blame(struct finding *f, uint32_t event);
void finding_blame_nobody(struct finding *f, const char *reason);
void finding_severity(struct finding *f, enum severity s, const char *sub);

/* Blame who decided the answer, where that is known; else who wrote it. */
void finding_blame_answer(struct detect *d, struct finding *f, const struct answer *a);
/* The same for a rejection: the answer's head as evidence, its writer to blame. */
void finding_answer(struct detect *d, struct finding *f, const struct answer *a);

/* First mark behind the switch; 0 when nothing was switched. */
uint32_t detect_switch_mark(const struct detect *d);

/* Bytes of the answer direction that are no frame where one must start, after the switch. */
struct intruder {
	const struct mark *mark;
	uint8_t bytes[64];
	size_t n;
	unsigned status; /* of an HTTP answer, 0 when it is none */
};
bool detect_intruder(const struct detect *d, struct intruder *ret);

/* "HTTP/1.x NNN" at the start of bytes: the status, 0 when it is none. */
unsigned bytes_status(const uint8_t *p, size_t n);

/* Time between two moments, 0 when they are in the wrong order. */
static inline uint64_t since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* The request is a correct WebSocket handshake: method, version, Upgrade, Connection, key, 13. */
bool request_is_correct(const struct exchange *x);
/* The answer happened while the process was being shut down. */
bool detect_draining(const struct detect *d, uint32_t event);

/* Case-insensitive search; returns the place, NULL when it is not there. */
const uint8_t *span_find(struct span s, const char *text);

/* The one field of that name; an empty span with p NULL when it is absent. */
struct span field_value(const struct http_view *v, const char *name);

/* Recorded body of an answer, what there is of it. */
size_t answer_body(const struct detect *d, const struct answer *a, uint8_t *ret, size_t n);

#endif
