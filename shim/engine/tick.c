/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tick: see tick.h.
 */
#include "shim/engine/tick.h"

#define SKEW (UINT64_C(1) << 16) /* ticks between the counters of two processors, at most */

enum {
	LEAST = 1 << 20, /* ticks over which a pace can be measured */
	SLACK = 1 << 10, /* ticks the question may take: more, and the answer is stale */
	AGREE_BITS = 13, /* two measurements agree when they differ by less than 1/8192 */
	LAG_BITS = 6,	 /* most that is made up for in one reach: 1/64 of it */
};

void tick_look(const struct tick *t, struct tick *seen)
{
	seen->turn = __atomic_load_n(&t->turn, __ATOMIC_ACQUIRE);
	seen->base.tick = __atomic_load_n(&t->base.tick, __ATOMIC_ACQUIRE);
	seen->base.ns = __atomic_load_n(&t->base.ns, __ATOMIC_ACQUIRE);
	seen->base.rate = __atomic_load_n(&t->base.rate, __ATOMIC_ACQUIRE);
	seen->base.reach = __atomic_load_n(&t->base.reach, __ATOMIC_ACQUIRE);
	seen->base.clock = __atomic_load_n(&t->base.clock, __ATOMIC_ACQUIRE);
	seen->base.pace = __atomic_load_n(&t->base.pace, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&t->turn, __ATOMIC_RELAXED) != seen->turn)
		seen->turn |= 1;
}

/* Unless somebody else did so since turn was read. */
static void change_base(struct tick *t, uint32_t turn, const struct tick_base *to)
{
	if (!__atomic_compare_exchange_n(&t->turn, &turn, turn + 1, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&t->base.tick, to->tick, __ATOMIC_RELEASE);
	__atomic_store_n(&t->base.ns, to->ns, __ATOMIC_RELEASE);
	__atomic_store_n(&t->base.rate, to->rate, __ATOMIC_RELEASE);
	__atomic_store_n(&t->base.reach, to->reach, __ATOMIC_RELEASE);
	__atomic_store_n(&t->base.clock, to->clock, __ATOMIC_RELEASE);
	__atomic_store_n(&t->base.pace, to->pace, __ATOMIC_RELEASE);
	__atomic_store_n(&t->turn, turn + 2, __ATOMIC_RELEASE);
}

static uint64_t rate_of(uint64_t ns, uint64_t ticks)
{
	/* No division of more than 64 bits: that would be a call. */
	while (ns >> 32) {
		ns >>= 1;
		ticks >>= 1;
	}
	return ticks ? (ns << 32) / ticks : 0;
}

static bool agree(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= a >> AGREE_BITS;
}

/* From here on, when so much was told already at a time when the clock said less. */
static struct tick_base next_base(const struct tick_base *last, uint64_t tick, uint64_t clock,
				  uint64_t told)
{
	uint64_t ahead = told - clock;
	struct tick_base next = {
		.tick = tick,
		.ns = told,
		.clock = clock,
		.pace = rate_of(clock - last->clock, tick - last->tick),
	};

	if (!agree(next.pace, last->pace) ||
	    ahead >= next.pace >> (32 - TICK_REACH_BITS + LAG_BITS))
		return next;
	next.rate = next.pace - (ahead << (32 - TICK_REACH_BITS));
	next.reach = TICK_REACH;
	return next;
}

uint64_t tick_learn(struct tick *t, const struct tick *seen, uint64_t before, uint64_t ns,
		    uint64_t after)
{
	const struct tick_base *last = &seen->base;
	uint64_t since = before - last->tick, told = last->ns;
	struct tick_base next;

	if (seen->turn & 1)
		return ns;
	/* The counters of two processors may be a little apart; farther, and it was set back. */
	if (since < -SKEW)
		told += (since < last->reach ? since : last->reach) * last->rate >> 32;
	told = told > ns ? told : ns;
	if (after - before > SLACK || since + SKEW < SKEW + LEAST)
		return told;
	next = next_base(last, before, ns, told);
	change_base(t, seen->turn, &next);
	return told;
}

void tick_forget(struct tick *t)
{
	*t = (struct tick){0};
}
