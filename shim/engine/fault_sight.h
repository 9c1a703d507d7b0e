/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_sight: what rules have to know about a connection: where in its streams it stands, which rules
 * concern it and its exchanges, and how far each of them has come.
 *
 * (1) The view is one of its own: a copy of the connection's phase machine that is fed with what moved,
 *     so that phases, frames and heads are known to the byte.  Where bytes moved unseen it starts anew
 *     from the connection's.
 * (2) A row is void when its id is not that of the connection, and its rules when the generation is not
 *     that of the rules in force.  It is changed under the connection's lock only.
 * (3) Of each rule and direction one unit is acted upon at a time, and the youngest that was decided about
 *     is remembered: units grow along a stream, so each is decided about once.
 */
#ifndef SHIM_ENGINE_FAULT_SIGHT_H
#define SHIM_ENGINE_FAULT_SIGHT_H

#include "shim/engine/conn.h"
#include "shim/engine/control.h"
#include "shim/engine/fault_act.h"

#include "core/fault/decide.h"
#include "core/fault/match.h"

enum {
	SIGHT_RING = 8, /* exchanges whose answers may still come */
	SIGHT_HEAD = 8 * 1024,
	SIGHT_WINDOW = 16 * 1024, /* bytes looked at in one go */
	SIGHT_EVENTS = 128,
};

/* What the phase machine said, as far as rules ask for it. */
struct sight_event {
	uint64_t off; /* in the direction that is looked at */
	uint32_t exchange;
	uint16_t status;
	uint8_t what; /* enum phase_what */
	uint8_t phase;
	uint8_t op;
	uint8_t dir;
	uint8_t spare[6];
};

/* A place in both streams. */
struct sight_place {
	uint64_t phase_off[2]; /* where the phase began */
	uint64_t head_off;     /* first byte of the request head read last */
	uint64_t frame_off[2], frames[2];
	uint64_t mask[SIGHT_RING]; /* rules whose request matchers hold, by exchange */
	uint32_t mask_of[SIGHT_RING];
	uint16_t status[SIGHT_RING];
	uint32_t exchange, request; /* that the phase is about; that was read last */
	uint32_t left[PHASE_COUNT]; /* 1 + exchange in which a phase was left last */
	uint16_t empty[2];	    /* phases that were left without a byte in that direction */
	uint8_t phase, op[2];
	bool in_head;
};

struct sight_rule {
	uint64_t served[2]; /* 1 + youngest unit that was decided about, by enum dir */
	uint64_t acting[2]; /* 1 + unit that is acted upon */
	uint64_t drawn[2];
	uint64_t off[2];  /* where it began */
	uint64_t cut[2];  /* 1 + where a call was made to end, for it to act there */
	uint64_t mark[2]; /* rate: when the bucket is empty again; hold: released up to that byte */
	uint64_t scope;	  /* exchange or phase that the counts are about */
	uint64_t key;	  /* of the connection, from a head; 0: not known */
	uint32_t eligible, hits;
	uint32_t base[2];	  /* releases when bytes began to be held */
	uint8_t told[2], done[2]; /* bit per act: there is a record; it is over */
	uint8_t spare[4];
};

struct sight {
	uint32_t id;
	uint32_t generation;
	uint64_t ordinal;		 /* from 1, 0: not given yet */
	uint64_t concerns;		 /* rules whose connection matchers hold */
	uint64_t dirs[2];		 /* ... that act on bytes of a direction */
	uint64_t asks, keyed;		 /* ... that ask for the head; whose key is in it */
	uint64_t timed;			 /* ... that take time */
	uint64_t rated[2];		 /* ... that count what the call under way moves */
	uint64_t seen_to[2], seen_at[2]; /* bytes before it were first met then */
	uint64_t moved_at[2], t_phase;
	uint32_t cap[2]; /* bytes the call under way may move, by our doing; 0: all */
	uint32_t head_len;
	uint16_t peer_port;
	uint8_t role;
	uint8_t head;	 /* 1 + slot that keeps the head's beginning */
	uint8_t corrupt; /* 1 + rule that changes what the read under way brings */
	uint8_t corrupt_act;
	uint8_t spare[6];
	struct phase_machine m;
	struct sight_place at;
	struct sight_rule rule[FAULT_RULES];
};

/* A moment's work on one call, in memory of its own. */
struct sight_work {
	struct control_view view;
	struct sight *s;
	uint64_t start; /* stream offset of the window's first byte */
	uint64_t now;
	uint64_t rest; /* bytes of the call from there on */
	uint64_t mask; /* rules that could act */
	uint32_t n;    /* bytes of the window */
	uint32_t events;
	uint8_t dir;
	bool hidden;  /* n bytes that cannot be seen */
	bool full;    /* there were more events than places for them */
	bool partial; /* the call has moved bytes already */
	bool met;     /* the first byte is seen for the first time */
	uint8_t spare[3];
	struct fault_hit hit;	/* of the moment, */
	struct sight_wait {	/* ... and what has to be waited for: */
		uint64_t sum;	/* what adds up, */
		uint64_t until; /* ... and what does not */
		uint64_t longest;
		uint32_t rule, act; /* to blame: the longest */
		uint8_t mode;
		bool any;
	} wait;
	struct phase_machine m;
	struct sight_place first; /* where the window begins */
	struct sight_place at;
	struct sight_event event[SIGHT_EVENTS];
	/* What is known of an unfinished head ends where the window begins. */
	uint8_t room[SIGHT_HEAD + SIGHT_WINDOW];
};

static inline uint8_t *sight_window(struct sight_work *w)
{
	return w->room + SIGHT_HEAD;
}

/* The row of a connection, up to date for the rules of v; NULL: no memory, or somebody is there.
 * ahead: bytes of dir that it has seen, and the connection's machine not yet. */
struct sight *sight_of(struct conn *conn, const struct control_view *v, int fd, enum dir dir,
		       uint64_t ahead);

/* One of a few; NULL: all are taken. */
struct sight_work *sight_work_take(void);
void sight_work_give(struct sight_work *w);

/* Look at the window of w, which is filled: its events, on a copy of the machine.  The lock is held. */
void sight_try(struct sight_work *w);
/* The same, and these bytes moved. */
void sight_commit(struct sight_work *w);

/* Event i: its place becomes that of w. */
void sight_apply(struct sight_work *w, uint32_t i);

/* The row as it is; NULL when it is not about conn. */
struct sight *sight_row(const struct conn *conn);

/* Facts of a connection that fd means; role as it is known. */
void sight_facts(struct fault_conn_facts *f, const struct control_view *v, int fd, enum role role,
		 uint64_t ordinal);

/* The next number of a connection. */
uint64_t sight_ordinal(struct control_header *page);

#endif
