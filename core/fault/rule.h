/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/rule: a rule as it is written, and as it is compiled: a block of bytes without pointers, which
 * the tools put into the control page and the engine reads there.
 *
 *     rules  = rule *( (";" / newline) rule )          # begins a comment up to the end of its line
 *     rule   = [ name "=" ] site ":" fault *( "+" fault ) *( ":" key "=" value )
 *     site   = dir [ "@" phase [ "+" offset / "+rand" / ".end" ] ] / call
 *     dir    = "rx" / "tx" / "any" / "accept" / "connect" / "wait"; "upstream" and "downstream" are the
 *              directions client to server and server to client, whatever the role
 *     fault  = word [ "=" arg *( "," arg ) ] / word *( "," key "=" value )
 *     arg    = value / name "=" value                  # in the order of fault.def, then by name
 *     value  = no ";" ":" "+" "," or blank but inside [ ] or as %XX
 *
 * (1) A compiled rule is checked: whoever reads one from a shared page calls fault_rule_check first, and
 *     may then index with every field.
 * (2) What was compiled can be printed again; parsing that gives the same bytes.
 */
#ifndef CORE_FAULT_RULE_H
#define CORE_FAULT_RULE_H

#include "core/core.h"
#include "core/exchange/phase.h"

enum fault_id {
#define FAULT(id, ...) FAULT_##id,
#include "core/fault/fault.def"
#undef FAULT
	FAULT_COUNT,
};

enum fault_kind {
	FAULT_KIND_TIMING,
	FAULT_KIND_SHAPE,
	FAULT_KIND_OUTCOME,
	FAULT_KIND_PROCESS,
	FAULT_KIND_REFUSED,
};

/* Parameters by number; of each fault, from 0 in the order of fault.def: FAULT_DELAY_time ... */
enum fault_param {
#define FAULT(id, ...)		FAULT_##id##_before = -1,
#define PARAM(fault, name, ...) FAULT_##fault##_##name,
#include "core/fault/fault.def"
#undef FAULT
};

/* Values of the parameters of type WORD, in the order of their words in fault.def. */
enum fault_dist {
	FAULT_DIST_UNIFORM,
	FAULT_DIST_NORMAL,
	FAULT_DIST_PARETO,
	FAULT_DIST_PARETONORMAL,
	FAULT_DIST_LOGNORMAL,
	FAULT_DIST_COUNT,
};
enum fault_mode {
	FAULT_MODE_GATE,
	FAULT_MODE_QUEUE,
	FAULT_MODE_SLEEP,
};
enum fault_as {
	FAULT_AS_SHORT,
	FAULT_AS_SEGMENT,
};
enum fault_then { /* of drop and limit */
	FAULT_THEN_CLOSE,
	FAULT_THEN_RESET,
	FAULT_THEN_HANG,
};
enum fault_see {
	FAULT_SEE_SELF,
	FAULT_SEE_PEER,
	FAULT_SEE_BOTH,
};
enum fault_fill {
	FAULT_FILL_FLIP,
	FAULT_FILL_ZERO,
	FAULT_FILL_RAND,
};
enum fault_mask {
	FAULT_MASK_RIGHT,
	FAULT_MASK_WRONG,
	FAULT_MASK_ON,
	FAULT_MASK_OFF,
};
enum fault_how {
	FAULT_HOW_SPURIOUS,
	FAULT_HOW_REORDER,
	FAULT_HOW_ONE,
};

enum fault_key {
#define KEY(id, ...) FAULT_KEY_##id,
#include "core/fault/key.def"
	FAULT_KEY_COUNT,
};

enum fault_site {
	FAULT_SITE_BYTES, /* rx, tx, any: dirs */
	FAULT_SITE_ACCEPT,
	FAULT_SITE_CONNECT,
	FAULT_SITE_CALL,
	FAULT_SITE_WAIT,
};

enum fault_where {
	FAULT_WHERE_ALL,    /* no phase given: every 1,460-byte block of the stream is a unit */
	FAULT_WHERE_START,  /* of the phase; in `frames`, of each frame */
	FAULT_WHERE_OFFSET, /* + at bytes */
	FAULT_WHERE_RAND,
	FAULT_WHERE_END, /* behind the last byte of the phase */
};

enum {
	FAULT_RULES = 64, /* of one set */
	FAULT_ACTS = 4,	  /* of one rule */
	FAULT_PARAMS = 7, /* of one fault */
	FAULT_WHENS = 4,
	FAULT_NAME = 32, /* bytes, with the NUL */
	FAULT_TEXT = 512,
	FAULT_BLOCK =
		1460, /* bytes of the stream that one decision stands for where no phase is named */
	FAULT_PPM = 1000000,
};
#define FAULT_TIME_MAX UINT64_C(1000000000000000) /* ns: 11 days and a half */
#define FAULT_SIZE_MAX (UINT64_C(1) << 40)	  /* bytes, and whatever else is counted */

/* first[..last][+[step]]: n matches when first <= n <= last and (n - first) % step == 0.  A rule without
 * any has count 0. */
struct fault_range {
	uint64_t first, last;
	uint32_t step; /* 0 is not used; first + alone: step 1, last UINT64_MAX */
	uint32_t spare;
};

/* A piece of fault_rule.text. */
struct fault_text {
	uint16_t off, len; /* len 0: not given */
};

/* One fault with its parameters.  TIME: nanoseconds; SIZE, COUNT, NUMBER: as they are; PERCENT: parts per
 * million; RATE: bytes per second; ERRNO, SIGNAL: their numbers; WORD: its place among its words; UNTIL:
 * see below; BYTES: off << 16 | len in text.  A NUMBER may be negative (retval): cast it. */
struct fault_act {
	uint8_t fault; /* enum fault_id */
	uint8_t spare[7];
	uint64_t param[FAULT_PARAMS];
};

enum fault_until {		 /* hold's `until`, in the upper 32 bits of the parameter */
	FAULT_UNTIL_RELEASE = 1, /* lower bits: off << 16 | len of NAME in text */
	FAULT_UNTIL_PHASE,	 /* lower bits: enum phase */
	FAULT_UNTIL_TIME,	 /* lower bits: milliseconds */
};

enum fault_per {
	FAULT_PER_PROCESS,
	FAULT_PER_THREAD,
	FAULT_PER_CONN,
	FAULT_PER_EXCHANGE,
	FAULT_PER_PHASE
};
enum fault_conn_key {
	FAULT_BY_ORDINAL,
	FAULT_BY_PATH,
	FAULT_BY_PEER_PORT,
	FAULT_BY_FIELD
};

struct fault_rule {
	char name[FAULT_NAME]; /* "r1", "r2" ... where none was given */
	uint64_t given;	       /* bit per enum fault_key: the key was given */
	uint8_t site;	       /* enum fault_site */
	uint8_t dirs;	       /* bit 1 << enum dir; BYTES only */
	uint8_t stream;	       /* 0; 1 upstream, 2 downstream: dirs are those of role server */
	uint8_t phase;	       /* enum phase; PHASE_COUNT: none given */
	uint8_t where;	       /* enum fault_where */
	uint8_t acts;
	uint8_t whens;
	uint8_t per;	  /* enum fault_per */
	uint8_t conn_key; /* enum fault_conn_key */
	uint8_t on;	  /* 0: switched off */
	uint8_t illegal;
	uint8_t role; /* enum role */
	uint8_t unix_socket;
	uint8_t method; /* enum http_method */
	uint8_t op;
	uint8_t peer_bits; /* of peer; 0..32 for IPv4 (mapped), 0..128 */
	uint8_t peer[16];  /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	uint16_t text_len;
	uint32_t times, interval;
	uint32_t p, corr, activate; /* parts per million */
	uint64_t at;		    /* FAULT_WHERE_OFFSET */
	uint64_t space, after_ns, for_ns, until_ns;
	struct fault_range conn, status, frame, when[FAULT_WHENS];
	struct fault_text call, path, host, field_name, field_value, upgrade, proto,
		key_name; /* conn-key=hdr.NAME */
	struct fault_act act[FAULT_ACTS];
	char text[FAULT_TEXT];
};

/* Why a text is no rule: where, what, and what would have been right. */
struct fault_error {
	uint32_t at, len;   /* bytes of the text that are to blame; len may be 0 at its end */
	char what[160];	    /* a sentence without a full stop */
	char expected[400]; /* words that would have been valid there, "a, b, c"; may be empty */
};

/* Compile one rule, or a list of them.  The text need not end in NUL.  Names of a list are unique; a
 * rule without a name is r1, r2 ... by its place.  False: *e says why; nothing else is defined. */
bool fault_parse_rule(const char *text, size_t n, struct fault_rule *ret, struct fault_error *e);
bool fault_parse_rules(const char *text, size_t n, struct fault_rule *rules, uint32_t max,
		       uint32_t *ret_count, struct fault_error *e);

/* Are all fields within their bounds?  For rules that were read from a shared page. */
bool fault_rule_check(const struct fault_rule *r);

/* The rule as text, NUL-terminated; returns the length it has or would have (like snprintf). */
size_t fault_rule_print(const struct fault_rule *r, char *to, size_t room);

const char *fault_name(enum fault_id id);
enum fault_kind fault_kind_of(enum fault_id id);
const char *fault_says(enum fault_id id);
/* Can it be done behind the last byte that moved, without the bytes that follow and without an answer? */
bool fault_acts_behind(enum fault_id id);
/* Name of parameter i of a fault, NULL behind the last one. */
const char *fault_param_name(enum fault_id id, unsigned i);
/* Name as in errno(3), or of a signal without SIG; NULL: it has none here. */
const char *fault_errno_name(uint64_t number);
const char *fault_signal_name(uint64_t number);

static inline bool fault_given(const struct fault_rule *r, enum fault_key key)
{
	return r->given >> key & 1;
}

/* Does n match?  A range that was not given matches everything. */
bool fault_in_range(const struct fault_range *r, uint64_t n);

#endif
