/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tick: the time between two looks at the kernel's clock, from a counter that is cheaper to read.
 *
 * (1) What tick_read tells is the kernel's clock to within a microsecond, as long as both go at the
 *     pace they had: it is believed only after two measurements of it agreed, and for TICK_REACH ticks
 *     (some 3 ms) at a time.  Where the clock is being slewed, the counter was set back, or the
 *     machine slept or moved to another one, the error ends with that reach, and the pace is measured
 *     anew.
 * (2) Within a thread times do not go back: where tick_read was ahead of the kernel's clock, tick_learn
 *     answers what was told last and lets the ticks run slower until the clock has caught up.  Only
 *     who asks during the few instructions of a change may be answered that microsecond less.
 * (3) Nobody waits: whoever finds the table being changed asks the kernel.
 *
 * No machine, no system call: the caller brings both readings.
 */
#ifndef SHIM_ENGINE_TICK_H
#define SHIM_ENGINE_TICK_H

#include "core/core.h"

#define TICK_REACH_BITS 23
#define TICK_REACH	(UINT64_C(1) << TICK_REACH_BITS)

struct tick_base {
	uint64_t tick, ns; /* where it begins */
	uint64_t rate;	   /* nanoseconds per tick, 32 bits behind the point */
	uint64_t reach;	   /* ticks for which it holds; 0: it only says where the next one begins */
	uint64_t clock;	   /* what the kernel said at tick */
	uint64_t pace;	   /* the rate as measured, 0: not yet */
};

/* Zeroed, it knows nothing.  64 bytes, one cache line if the caller sees to it. */
struct tick {
	uint32_t turn; /* odd: being changed */
	uint32_t spare;
	struct tick_base base;
};

/* The time at that reading of the counter, made just now; 0: ask the kernel. */
static inline uint64_t tick_read(const struct tick *t, uint64_t counter)
{
	uint32_t turn = __atomic_load_n(&t->turn, __ATOMIC_ACQUIRE);
	uint64_t reach = __atomic_load_n(&t->base.reach, __ATOMIC_ACQUIRE);
	uint64_t since = counter - __atomic_load_n(&t->base.tick, __ATOMIC_ACQUIRE);
	uint64_t rate = __atomic_load_n(&t->base.rate, __ATOMIC_ACQUIRE);
	uint64_t ns = __atomic_load_n(&t->base.ns, __ATOMIC_ACQUIRE);

	if (since >= reach || (turn & 1) || __atomic_load_n(&t->turn, __ATOMIC_RELAXED) != turn)
		return 0;
	return ns + (since * rate >> 32);
}

/* How one asks the kernel: look, read the counter, the clock, and the counter again, learn.  In this
 * order: a thread may be stopped anywhere in between, for longer than others keep what it saw. */
void tick_look(const struct tick *t, struct tick *seen);

/* The kernel said ns between the readings before and after.  Returns the time to believe: ns, or what
 * was told already where that is later. */
uint64_t tick_learn(struct tick *t, const struct tick *seen, uint64_t before, uint64_t ns,
		    uint64_t after);

/* Forget everything; nobody else may be about. */
void tick_forget(struct tick *t);

#endif
