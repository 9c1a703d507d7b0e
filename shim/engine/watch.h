/* SPDX-License-Identifier: BSD-2-Clause
 *
 * watch: what the events of the phase machine mean for one call: what of its bytes is recorded, what
 * is counted.  Between observe.c and watch.c only.
 *
 * While a call's bytes go through the phase machine, each event says up to where they are decided and
 * by which rule the next ones are.  The rule of a direction is two offsets: recorded is what lies
 * before limit and from resume on.  That covers heads (no limit), bodies (a limit), and frames (the
 * header, a little of the payload, and again from the next header on).
 */
#ifndef SHIM_ENGINE_WATCH_H
#define SHIM_ENGINE_WATCH_H

#include "shim/engine/conn.h"
#include "shim/engine/gather.h"
#include "shim/engine/record.h"

enum {
	WATCH_STRAY = 64, /* bytes recorded where they do not parse, and of the reason of a Close */
	WATCH_CODE = 2,	  /* ... and of a Close whose payload is masked */
};

/* One call being looked at. */
struct watch {
	struct conn *c;
	uint64_t base;	    /* stream offset of the call's first byte */
	uint64_t pos;	    /* bytes before it are decided */
	struct gather copy; /* stands at data.off */
	struct data data;   /* the record being built; t 0: the clock was not asked yet */
	uint8_t mode;	    /* enum run_mode of the next run */
	bool want_stack;
	bool pause; /* back to counting behind this call */
	bool hidden;
	bool unasked; /* a server spoke first */
	bool past;    /* the call is over: its stack cannot be taken any more */
};

/* The sink of the phase machine; ctx is a struct watch. */
void watch_event(void *ctx, const struct phase_event *e);

/* When the call happened: the clock is asked at most once. */
uint64_t watch_now(struct watch *w);

/* The direction in which requests go. */
enum dir watch_request_dir(const struct conn *c);

/* Part of a head is there: does it show already that it asks for an upgrade? */
bool watch_asks_already(const struct conn *c);

/* The request whose head began at c->head_off is, or may be, an attempt: record from there. */
void watch_begin(struct watch *w);

/* The rule of this direction holds up to q. */
void watch_advance(struct watch *w, uint64_t q);

/* The pieces kept for an attempt come before its other bytes: the masker has to see them first. */
void watch_flush_pieces(struct watch *w);

/* Write what was collected up to end. */
void watch_flush(struct watch *w, uint64_t end);

/* The exchange being counted is over. */
void watch_count_answer(struct conn *c);

#endif
