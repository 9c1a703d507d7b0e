/* SPDX-License-Identifier: BSD-2-Clause
 *
 * conn: see conn.h.
 *
 * Rows are handed out from a stack of free ones, the row freed last first, so that few pages are
 * touched.  Its head is one word: the row below, and a counter that makes a stale head visible.
 */
#include "shim/engine/conn.h"
#include "shim/engine/clock.h"
#include "shim/engine/heads.h"
#include "shim/engine/recorder.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/engine/text.h"
#include "shim/engine/witness.h"

enum {
	SPINS = 64, /* a holder is done within some hundred instructions, unless it was interrupted, */
	TURNS = 4, /* ... and then it may need the processor we are on */
};

static struct reserve rows;
ENGINE_HOT struct conn *conn_table; /* where they begin */
static uint64_t free_head;	    /* counter << 32 | row; row 0: empty */
static uint32_t fresh = CONN_FIRST; /* rows from here on were never used; those before are open */
static uint32_t last_id;

bool conn_start(void)
{
	if (!reserve_start(&rows, sizeof(struct conn) * TRACE_CONNECTIONS))
		return false;
	conn_table = (struct conn *)rows.base;
	return true;
}

uint32_t conn_rows(void)
{
	return __atomic_load_n(&fresh, __ATOMIC_ACQUIRE);
}

static uint32_t take_row(void)
{
	uint64_t head = __atomic_load_n(&free_head, __ATOMIC_ACQUIRE), next;
	uint32_t row;

	while ((row = (uint32_t)head)) {
		next = ((head >> 32) + 1) << 32 |
		       __atomic_load_n(&conn_table[row].fd, __ATOMIC_RELAXED);
		if (__atomic_compare_exchange_n(&free_head, &head, next, true, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return row;
	}
	row = __atomic_load_n(&fresh, __ATOMIC_ACQUIRE);
	do {
		if (!reserve_open(&rows, (row + UINT64_C(1)) * sizeof(struct conn)))
			return 0;
	} while (!__atomic_compare_exchange_n(&fresh, &row, row + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return row;
}

static void give_row(uint32_t row)
{
	uint64_t head = __atomic_load_n(&free_head, __ATOMIC_RELAXED), next;

	do {
		__atomic_store_n(&conn_table[row].fd, (uint32_t)head, __ATOMIC_RELAXED);
		next = ((head >> 32) + 1) << 32 | row;
	} while (!__atomic_compare_exchange_n(&free_head, &head, next, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

struct conn *conn_new(uint32_t fd, enum role role, enum trace_origin origin, uint64_t now)
{
	uint32_t row = take_row();
	struct conn *c = &conn_table[row];

	if (!row)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->lock = 1;
	c->refs = 1;
	c->fd = fd;
	c->t_open = now;
	c->origin = origin & 7;
	c->listener = UINT32_MAX;
	phase_init(&c->machine, role);
	__atomic_store_n(&c->id, __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED),
			 __ATOMIC_RELEASE);
	if (recorder_header)
		__atomic_fetch_add(&recorder_header->opened, 1, __ATOMIC_RELAXED);
	return c;
}

bool conn_lock_taken(struct conn *c)
{
	for (unsigned spin = 1; spin <= SPINS * TURNS; spin++) {
		if (spin % SPINS)
			sys_pause();
		else if (!engine.quiet)
			(void)sys_1(SYS_sched_yield, 0);
		if (!__atomic_exchange_n(&c->lock, 1, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* The last descriptor is gone; we hold the lock. */
static __attribute__((noinline)) void free_conn(struct conn *c)
{
	struct trace_connection *row = conn_file_row(c);
	uint8_t waiting;

	if (row)
		memset(row, 0, sizeof(*row));
	if (recorder_header) {
		__atomic_fetch_add(&recorder_header->closed, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&recorder_header->calls, c->calls, __ATOMIC_RELAXED);
	}
	if (c->bits & CONN_ATTEMPT)
		text_close(c->owner, clock_now());
	witness_close(c);
	if (c->heads)
		heads_give(c->heads);
	__atomic_store_n(&c->id, 0, __ATOMIC_RELAXED);
	waiting = __atomic_exchange_n(&c->waiting, 0, __ATOMIC_ACQUIRE);
	if (waiting)
		heads_give(waiting);
	__atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
	give_row(conn_row(c));
}

void conn_unlock_dying(struct conn *c)
{
	if (__atomic_exchange_n(&c->dying, 0, __ATOMIC_ACQ_REL))
		free_conn(c);
	else
		__atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
}

uint64_t conn_cookie(int fd)
{
	uint64_t cookie = 0;
	uint32_t len = sizeof(cookie);

	if (sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

void conn_show(const struct conn *c, uint64_t t)
{
	struct trace_connection *row = conn_file_row(c);
	uint8_t flags = 0;

	if (!row)
		return;
	flags |= c->bits & CONN_ATTEMPT ? TRACE_CONN_ATTEMPT : 0;
	flags |= phase_is_switched(&c->machine) ? TRACE_CONN_SWITCHED : 0;
	flags |= c->bits & CONN_PARTIAL ? TRACE_CONN_PARTIAL : 0;
	flags |= c->bits & CONN_EOF ? TRACE_CONN_EOF : 0;
	flags |= c->bits & CONN_RECORDED ? TRACE_CONN_RECORDED : 0;
	row->cookie = c->cookie;
	row->t_open = c->t_open;
	if (t)
		row->t_last = t;
	row->off[DIR_RX] = c->machine.off[DIR_RX];
	row->off[DIR_TX] = c->machine.off[DIR_TX];
	row->fd = c->fd;
	row->role = c->machine.role;
	row->phase = c->machine.phase;
	row->flags = flags;
	__atomic_store_n(&row->id, c->id, __ATOMIC_RELEASE);
}

void conn_show_all(void)
{
	uint32_t end = conn_rows();

	for (uint32_t row = CONN_FIRST; row < end; row++) {
		if (conn_table[row].id)
			conn_show(&conn_table[row], 0);
	}
}
