/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tick: see tick.h.
 */
#include "shim/engine/tick.h"

enum {
	LEAST = 1 << 20, /* ticks over which a pace can be measured */
	SLACK = 1 << 10, /* ticks the question may take: more, and the answer is stale */
	AGREE_BITS = 13, /* two measurements agree when they differ by less than 1/8192 */
	LAG_BITS = 6,	 /* most that is made up for in one reach: 1/64 of it */
};

/* The base as it stands.  False when it is being changed. */
static bool copy_base(const struct tick *t, struct tick_base *to, uint32_t *ret_turn)
{
	uint32_t turn = __atomic_load_n(&t->turn, __ATOMIC_ACQUIRE);

	to->tick = __atomic_load_n(&t->base.tick, __ATOMIC_ACQUIRE);
	to->ns = __atomic_load_n(&t->base.ns, __ATOMIC_ACQUIRE);
	to->rate = __atomic_load_n(&t->base.rate, __ATOMIC_ACQUIRE);
	to->reach = __atomic_load_n(&t->base.reach, __ATOMIC_ACQUIRE);
	to->clock = __atomic_load_n(&t->base.clock, __ATOMIC_ACQUIRE);
	to->pace = __atomic_load_n(&t->base.pace, __ATOMIC_ACQUIRE);
	*ret_turn = turn;
	return !(turn & 1) && __atomic_load_n(&t->turn, __ATOMIC_RELAXED) == turn;
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

uint64_t tick_learn(struct tick *t, uint64_t before, uint64_t ns, uint64_t after)
{
	struct tick_base last, next;
	uint64_t since, told;
	uint32_t turn;

	if (!copy_base(t, &last, &turn))
		return ns;
	since = before - last.tick;
	/* A reading may be a little older than a base made meanwhile on another processor. */
	told = last.ns;
	if (since < -TICK_REACH)
		told += (since < last.reach ? since : last.reach) * last.rate >> 32;
	told = told > ns ? told : ns;
	if (after - before > SLACK || since + TICK_REACH < TICK_REACH + LEAST)
		return told;
	next = next_base(&last, before, ns, told);
	change_base(t, turn, &next);
	return told;
}

void tick_forget(struct tick *t)
{
	*t = (struct tick){0};
}
