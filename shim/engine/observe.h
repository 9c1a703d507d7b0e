/* SPDX-License-Identifier: BSD-2-Clause
 *
 * observe: what the bytes of a call mean for its connection, and what of them is recorded.
 *
 * (1) Plain exchanges are counted; nothing of them is recorded unless everything was asked for.
 * (2) From the moment a request is seen to ask for an upgrade, every call of its connection gets a
 *     record; before the switch with all bytes up to a limit, after it with the frame headers.
 * (3) After a refusal the connection goes back to being counted.
 */
#ifndef SHIM_ENGINE_OBSERVE_H
#define SHIM_ENGINE_OBSERVE_H

#include "shim/engine/clock.h"
#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

enum observe_flag {		 /* in call.flags */
	OBSERVE_TOLD = 1u << 8,	 /* that it began was recorded */
	OBSERVE_TICKS = 1u << 9, /* t_enter is a reading of clock_ticks, not of the clock */
};

/* When a call that writes was entered, of others now: by the clock, and by the counter. */
static inline uint64_t observe_time(const struct call *call, enum dir dir)
{
	uint64_t t;

	if (dir == DIR_RX || !call->t_enter)
		return clock_now();
	if (!(call->flags & OBSERVE_TICKS))
		return call->t_enter;
	t = clock_now();
	return t - clock_elapsed(call->t_enter, clock_ticks());
}

static inline uint64_t observe_ticks(const struct call *call, enum dir dir)
{
	return dir == DIR_TX && (call->flags & OBSERVE_TICKS) ? call->t_enter : clock_ticks();
}

/* The call moved that many bytes.  hidden: they cannot be seen. */
void observe_moved(struct conn *c, const struct call *call, enum dir dir, uint64_t moved,
		   bool hidden);

/* The call moved nothing: EOF (err 0) or an error (err is positive). */
void observe_nothing(struct conn *c, const struct call *call, enum dir dir, int err);

/* The call found nothing and waits, or lets the kernel tell when there is something.  Noted in Go, once
 * the attempt is answered; the first time behind the return of the handler it gets a record. */
void observe_waits(struct conn *c, const struct call *call);
/* The handler of c, which is locked, has returned.  True when somebody else waits for bytes. */
bool observe_return(struct conn *c);

/* A read is about to begin while an attempt waits for its answer.  True when that was recorded. */
bool observe_read_begins(struct conn *c, const struct call *call);

struct closing;

/* A descriptor of it is about to be closed, was found to be closed, or was copied: how->what.  Its row
 * is freed when none is left. */
void observe_closing(struct conn *c, struct closing *how);

/* It was shut down: how->how. */
void observe_shut(struct conn *c, struct closing *how);

#endif
