/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_due: deadlines, the next one first: a heap of numbers of a pool.
 */
#include "shim/engine/gate_internal.h"
#include "shim/engine/reserve.h"

static struct reserve pool;
static struct gate_due *dues;
static uint32_t heap[GATE_DUES]; /* numbers from 0 */
static uint32_t count;
static uint32_t fresh;	  /* never used from here on */
static uint32_t free_one; /* 1 + first free one */
static uint64_t next = UINT64_MAX;

static bool start(void)
{
	if (!dues && reserve_start(&pool, sizeof(struct gate_due) * GATE_DUES))
		dues = (struct gate_due *)pool.base;
	return dues;
}

static void put(uint32_t place, uint32_t number)
{
	heap[place] = number;
	dues[number].place = place;
}

static uint64_t at_place(uint32_t place)
{
	return dues[heap[place]].at;
}

/* The deadline at a place may be too early or too late for it. */
static void sift(uint32_t place)
{
	uint32_t number = heap[place], child;
	uint64_t at = dues[number].at;

	for (; place && at < at_place((place - 1) / 2); place = (place - 1) / 2)
		put(place, heap[(place - 1) / 2]);
	for (;;) {
		child = 2 * place + 1;
		if (child + 1 < count && at_place(child + 1) < at_place(child))
			child++;
		if (child >= count || at <= at_place(child))
			break;
		put(place, heap[child]);
		place = child;
	}
	put(place, number);
	__atomic_store_n(&next, count ? at_place(0) : UINT64_MAX, __ATOMIC_RELEASE);
}

struct gate_due *gate_due_add(uint64_t at)
{
	uint32_t number;

	if (!start() || count == GATE_DUES)
		return NULL;
	if (free_one) {
		number = free_one - 1;
		free_one = dues[number].place;
	} else {
		number = fresh;
		if (!reserve_open(&pool, (number + 1) * sizeof(struct gate_due)))
			return NULL;
		fresh++;
	}
	dues[number] = (struct gate_due){.at = at};
	put(count++, number);
	sift(count - 1);
	__atomic_fetch_add(&engine_gates, 1, __ATOMIC_RELEASE);
	return &dues[number];
}

uint32_t gate_due_number(const struct gate_due *d)
{
	return (uint32_t)(d - dues);
}

struct gate_due *gate_due_of(uint32_t number)
{
	return &dues[number];
}

void gate_due_move(struct gate_due *d, uint64_t at)
{
	d->at = at;
	sift(d->place);
}

void gate_due_remove(struct gate_due *d)
{
	uint32_t place = d->place, number = gate_due_number(d);

	count--;
	if (place != count) {
		put(place, heap[count]);
		sift(place);
	} else {
		__atomic_store_n(&next, count ? at_place(0) : UINT64_MAX, __ATOMIC_RELEASE);
	}
	d->place = free_one;
	free_one = number + 1;
	__atomic_fetch_sub(&engine_gates, 1, __ATOMIC_RELEASE);
}

struct gate_due *gate_due_first(void)
{
	return count ? &dues[heap[0]] : NULL;
}

uint32_t gate_due_count(void)
{
	return count;
}

struct gate_due *gate_due_at(uint32_t place)
{
	return &dues[heap[place]];
}

uint64_t gate_due_next(void)
{
	return __atomic_load_n(&next, __ATOMIC_ACQUIRE);
}

void gate_due_clear(void)
{
	count = fresh = free_one = 0;
	next = UINT64_MAX;
	__atomic_store_n(&engine_gates, 0, __ATOMIC_RELEASE);
}
