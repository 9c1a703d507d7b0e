/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/build: how the bytes of one trace become a process.  Private to tools/exchange.
 *
 *   scan    one walk over the records: which connection each belongs to, how many events it has
 *   build   a second walk over what scan noted: events, put in time order per connection
 *   follow  the events of one connection through the phase machine: marks and exchanges
 *   pair    which connections are the two legs of a relay
 *
 * Memory: everything that lives as long as the image comes from its arena; nothing is allocated per
 * event.
 */
#ifndef TOOLS_EXCHANGE_BUILD_H
#define TOOLS_EXCHANGE_BUILD_H

#include "tools/exchange/arena.h"
#include "tools/exchange/load.h"

/* One record of one connection. */
struct ref {
	uint64_t at; /* file offset */
	uint32_t slot;
	uint32_t ordinal; /* of the record in its file */
};

enum {
	RUN_REFS = 65536,
};
/* Refs in the order of the records. */
struct ref_run {
	struct ref_run *next;
	size_t n;
	struct ref ref[RUN_REFS];
};

enum slot_flag {
	SLOT_RAW = 1u << 0,    /* some offsets are unreliable: time says where the bytes lie */
	SLOT_OPENED = 1u << 1, /* its OPEN record was seen */
	SLOT_TLS = 1u << 2,
	SLOT_PARTIAL = 1u << 3, /* slot.reason */
	SLOT_EOF = 1u << 4,	/* the table of open connections says the peer left */
};

/* What scan learns about one connection. */
struct slot {
	uint32_t id;
	uint32_t flags;
	uint32_t events, segments;
	uint64_t first;			       /* index of its first event in the big array */
	struct segment *segment, *segment_end; /* where those of its next event go, room's end */
	uint64_t open_at;		       /* file offset of the OPEN record */
	const struct trace_connection *row;    /* still open when the trace was read */
	const char *reason;
};

enum {
	NEAR_TEXTS = 8, /* texts without an owner that may still find their neighbour */
	NEAR_CONNECTIONS = 8,
	NEAR_NS = 50 * 1000 * 1000,
};
struct near_text {
	uint64_t t_ns, at;
	uint32_t ordinal, slots;
	uint32_t slot[NEAR_CONNECTIONS];
};

struct builder {
	struct image *img;
	struct arena *arena;
	struct arena *scratch; /* of the refs; gone when the image is built */
	struct ref_run *run, *run_last;
	size_t refs;
	struct slot *slot;
	size_t slots, slot_cap;
	uint32_t *bucket; /* slot index + 1 */
	size_t buckets;
	uint64_t *fork; /* when the process forked, in order once everything is scanned */
	size_t forks, fork_cap;
	uint64_t t_lost; /* youngest loss of events, 0 never */
	struct stack_ref *stack;
	size_t stacks, stack_cap;
	struct near_text text[NEAR_TEXTS];
	unsigned texts;
	struct {
		uint32_t slot;
		uint64_t t_ns;
	} recent[NEAR_CONNECTIONS];
	unsigned recents;
	uint64_t segments; /* of all events */
	uint64_t t_last;   /* youngest record */
	uint64_t t_exec;   /* the image was replaced, 0 no */
	uint64_t answer_limit_ns;
};

struct stack_ref {
	uint64_t id, at;
};

void scan_records(struct builder *b);
void follow_connection(struct builder *b, struct connection *c, const struct slot *s);
/* Give back this thread's scratch memory. */
void follow_done(void);
void pair_relays(struct process *p);

/* The outcome of one exchange, as docs/report.md defines it. */
enum outcome outcome_decide(const struct process *p, const struct exchange *x, uint64_t limit_ns);

#endif
