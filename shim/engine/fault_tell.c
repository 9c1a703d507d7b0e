/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_tell: what is remembered of faults: a row per connection, a record and a count per fault.
 *
 * The table is opened with the first fault; a row is void when its id is not that of the connection, and
 * whoever meets a void one first starts it.
 */
#include "shim/engine/clock.h"
#include "shim/engine/control.h"
#include "shim/engine/fault_act.h"
#include "shim/engine/record.h"
#include "shim/engine/reserve.h"
#include "shim/engine/stack.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

enum {
	STARTING = UINT32_MAX, /* as an id: somebody clears the row */
	SPINS = 10000,
};

static struct reserve rows;
static uint32_t made; /* 0 no, 1 somebody does, 2 yes, 3 there is no memory */

static bool make_rows(void)
{
	uint32_t none = 0;

	if (__atomic_compare_exchange_n(&made, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		__atomic_store_n(
			&made,
			reserve_start(&rows, sizeof(struct fault_conn) * TRACE_CONNECTIONS) ? 2 : 3,
			__ATOMIC_RELEASE);
	/* What the first calls meet must not depend on who came first: the others wait. */
	for (unsigned i = 0; i < SPINS && __atomic_load_n(&made, __ATOMIC_ACQUIRE) == 1; i++)
		(void)sys_1(SYS_sched_yield, 0);
	return __atomic_load_n(&made, __ATOMIC_ACQUIRE) == 2;
}

/* Somebody else clears the row: false when that takes too long. */
static __attribute__((noinline)) bool has_started(const struct fault_conn *fc, uint32_t id)
{
	for (unsigned i = 0; i < SPINS && __atomic_load_n(&fc->id, __ATOMIC_ACQUIRE) == STARTING;
	     i++)
		(void)sys_1(SYS_sched_yield, 0);
	return __atomic_load_n(&fc->id, __ATOMIC_ACQUIRE) == id;
}

struct fault_conn *fault_conn_of(struct conn *conn)
{
	uint32_t row = conn_row(conn), id = __atomic_load_n(&conn->id, __ATOMIC_ACQUIRE), had;
	struct fault_conn *fc;

	if (!id || (__atomic_load_n(&made, __ATOMIC_ACQUIRE) != 2 && !make_rows()) ||
	    !reserve_open(&rows, (row + UINT64_C(1)) * sizeof(*fc)))
		return NULL;
	fc = (struct fault_conn *)rows.base + row;
	had = __atomic_load_n(&fc->id, __ATOMIC_ACQUIRE);
	if (had == id)
		return fc;
	if (had == STARTING || !__atomic_compare_exchange_n(&fc->id, &had, STARTING, false,
							    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return has_started(fc, id) ? fc : NULL;
	memset((uint8_t *)fc + sizeof(fc->id), 0, sizeof(*fc) - sizeof(fc->id));
	__atomic_store_n(&fc->id, id, __ATOMIC_RELEASE);
	return fc;
}

/* ---- records ---- */

static void count(const struct fault_hit *h, unsigned what, int64_t value)
{
	struct control_stat *s = h->stat;

	if (!s)
		return;
	if (what == TRACE_FAULT_ACTED || what == TRACE_FAULT_BEGAN)
		__atomic_fetch_add(&s->hits, 1, __ATOMIC_RELAXED);
	else if (what == TRACE_FAULT_SHADOWED)
		__atomic_fetch_add(&s->shadowed, 1, __ATOMIC_RELAXED);
	else if (what == TRACE_FAULT_ENDED && value > 0)
		__atomic_fetch_add(&s->waited_ns, (uint64_t)value, __ATOMIC_RELAXED);
}

/* From now on all that matters about it is recorded, beginning with what it is. */
static __attribute__((noinline)) void show_conn(struct conn *conn, const struct call *c)
{
	if (!conn_lock(conn))
		return;
	if (conn->id == (uint32_t)c->conn_key || !c->conn_key) {
		conn->bits |= CONN_RECORDED;
		record_ensure_open(conn, (int)conn->fd);
		conn_show(conn, 0);
	}
	conn_unlock(conn);
}

static __attribute__((noinline)) void write_record(const struct call *c, const struct conn *conn,
						   const struct fault_hit *h, unsigned what,
						   int64_t value, uint64_t stack)
{
	struct trace_fault *r = recorder_begin(TRACE_FAULT, sizeof(*r));
	const char *name = fault_name((enum fault_id)h->act->fault);

	if (!r)
		return;
	r->t_ns = clock_now();
	r->stack = stack;
	r->off = h->off;
	r->unit = h->unit.unit;
	r->conn_key = h->unit.conn_key;
	r->drawn = h->drawn;
	r->value = value;
	r->conn = conn ? conn->id : 0;
	r->tid = clock_thread_at(c->place);
	r->rule = h->unit.rule;
	r->call = c->id;
	r->dir = h->dir;
	r->phase = h->phase;
	r->fault = h->act->fault;
	r->what = (uint8_t)what;
	r->legal = !(what & FAULT_TELL_ILLEGAL);
	memcpy(r->name, h->rule->name, sizeof(r->name) - 1);
	for (size_t i = 0; i < sizeof(r->fault_name) - 1 && name[i]; i++)
		r->fault_name[i] = name[i];
	trace_publish(&r->rec);
}

void fault_tell(const struct call *c, struct conn *conn, const struct fault_hit *h, unsigned what,
		int64_t value)
{
	uint64_t stack;

	if (!(what & FAULT_TELL_SAME))
		count(h, what & 0xff, value);
	if (recorder_header) {
		if (conn)
			show_conn(conn, c);
		/* Before the record, so that its frame does not lie below that of the other. */
		stack = stack_take(c->place, clock_now());
		write_record(c, conn, h, what, value, stack);
	}
	control_event();
}
