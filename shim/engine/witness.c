/* SPDX-License-Identifier: BSD-2-Clause
 *
 * witness: see witness.h.
 *
 * Rows are found by the goroutine's address.  What they say of a connection holds only as long as
 * that connection says so too, hence nobody has to find a row when a connection ends.
 */
#include "shim/engine/witness.h"
#include "shim/engine/clock.h"
#include "shim/engine/observe.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/stack.h"
#include "shim/engine/state.h"

enum {
	OWNERS = 4096, /* a power of two */
	WAYS = 8,      /* rows a goroutine may be in */
	CHANGING = 1,  /* no goroutine's address */
	NOTED = 16,    /* records of one kind per exchange; then each time their number doubles */
};

static struct owner {
	uint64_t task; /* 0: free */
	uint64_t goid;
	uint32_t row, conn;
	uint32_t noted[2]; /* body reads, others */
} owners[OWNERS];

uint32_t engine_attempts;

static struct owner *row_of(uint64_t task, unsigned way)
{
	uint64_t hash = task * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	return &owners[(hash + way) % OWNERS];
}

static bool holds(const struct owner *o)
{
	const struct conn *c = conn_at(o->row);

	return o->conn && __atomic_load_n(&c->id, __ATOMIC_ACQUIRE) == o->conn && c->witnessed;
}

static struct owner *find(const struct call_place *place)
{
	for (unsigned i = 0; i < WAYS; i++) {
		struct owner *o = row_of(place->task, i);

		if (__atomic_load_n(&o->task, __ATOMIC_ACQUIRE) == place->task)
			return o->goid == place->goid && holds(o) ? o : NULL;
	}
	return NULL;
}

/* How much a row would be missed: the goroutine's own, free, of a connection that switched, waits. */
static unsigned worth(const struct owner *o, uint64_t task)
{
	if (o->task == task)
		return 0;
	if (!o->task || !holds(o))
		return 1;
	return conn_at(o->row)->bits & CONN_ATTEMPT ? 3 : 2;
}

static struct owner *take(uint64_t task)
{
	struct owner *best = row_of(task, 0);

	for (unsigned i = 1; i < WAYS; i++) {
		if (worth(row_of(task, i), task) < worth(best, task))
			best = row_of(task, i);
	}
	return best;
}

void witness_open(struct conn *c, const struct call_place *place)
{
	struct owner *o;
	uint64_t old;

	if (!place || !place->task || c->machine.role != ROLE_SERVER)
		return;
	o = take(place->task);
	old = o->task;
	if (old == CHANGING || !__atomic_compare_exchange_n(&o->task, &old, CHANGING, false,
							    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return; /* another thread fills it: this attempt goes without witnesses */
	o->goid = place->goid;
	o->row = conn_row(c);
	o->conn = c->id;
	o->noted[0] = o->noted[1] = 0;
	__atomic_store_n(&o->task, place->task, __ATOMIC_RELEASE);
	if (!c->witnessed) {
		c->witnessed = true;
		__atomic_fetch_add(&engine_attempts, 1, __ATOMIC_RELAXED);
	}
}

void witness_close(struct conn *c)
{
	if (!c->witnessed)
		return;
	c->witnessed = false;
	__atomic_fetch_sub(&engine_attempts, 1, __ATOMIC_RELAXED);
}

void witness_moved(const struct conn *c, const struct call_place *place)
{
	struct owner *o = find(place);

	if (o && o->conn != c->id)
		o->conn = 0;
}

uint32_t witness_conn(const struct call_place *place)
{
	const struct owner *o = engine_attempts ? find(place) : NULL;

	return o ? o->conn : 0;
}

/* ---- the records ---- */

static bool is_noted(struct owner *o, unsigned id)
{
	uint32_t n;

	if (id == TRACE_WITNESS_HTTP_RETURN)
		return true; /* once per goroutine */
	n = o->noted[id != TRACE_WITNESS_HTTP_BODY_READ]++;

	return n < NOTED || !(n & (n - 1));
}

static __attribute__((noinline)) void note(struct conn *c, unsigned id,
					   const struct call_place *place, const uint64_t arg[2])
{
	uint64_t now = clock_now(), stack = stack_take(place, now);
	struct trace_witness *r;

	record_ensure_open(c, -1);
	r = recorder_begin(TRACE_WITNESS, sizeof(*r));
	if (!r)
		return;
	r->t_ns = now;
	r->stack = stack;
	r->task = place->task;
	r->goid = place->goid;
	r->arg[0] = arg[0];
	r->arg[1] = arg[1];
	r->conn = c->id;
	r->tid = clock_thread_at(place);
	r->witness = (uint16_t)id;
	trace_publish(&r->rec);
}

void engine_witness(unsigned id, const struct call_place *place, const uint64_t arg[2])
{
	struct owner *o;
	struct conn *c;
	uint32_t conn;
	uint64_t kept[2] = {arg[0], arg[1]};

	if (!engine.active || engine.quiet || !*engine.alive)
		return;
	o = find(place);
	if (!o || !is_noted(o, id))
		return;
	conn = o->conn;
	c = conn_at(o->row);
	if (!conn_lock(c)) {
		recorder_lost(TRACE_LOST_RACE, 0);
		return;
	}
	if (c->id == conn && c->witnessed) {
		if (id == TRACE_WITNESS_HTTP_RETURN)
			kept[0] = observe_return(c);
		note(c, id, place, kept);
	}
	conn_unlock(c);
}
