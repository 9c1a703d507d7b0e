/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate: see gate.h: which directions are held back, and until when.
 */
#include "shim/engine/clock.h"
#include "shim/engine/control.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/queue.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

enum {
	SPINS = 64, /* looks at the lock before the processor is given to others */
	YIELDS = 4096,
	HEAL_FIRST =
		8,     /* calls in a row after which /proc is asked; then twice as many each time */
	SPLICE_TO = 2, /* argument of splice */
};

static struct reserve pool;
static struct gate_row *rows;
static uint32_t holder; /* thread that is in here, 0: nobody */
static uint64_t rules;	/* that are on */
static uint32_t rules_changed;
static uint32_t rules_replaced; /* numbers mean other rules now */
static uint32_t rules_released; /* likewise, until somebody got the lock */
static uint32_t ending;		/* calls of gate_end under way */

bool gate_enter(uint32_t me)
{
	for (unsigned i = 0; i < SPINS + YIELDS; i++) {
		uint32_t nobody = 0;

		if (__atomic_compare_exchange_n(&holder, &nobody, me, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
		if (nobody == me)
			return false;
		if (i < SPINS)
			sys_pause();
		else
			(void)sys_1(SYS_sched_yield, 0);
	}
	return false;
}

void gate_leave(void)
{
	__atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
}

void *gate_map(size_t n)
{
	void *p = sys_mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (sys_mmap_failed(p))
		return NULL;
	if (reserve_locks_all())
		(void)sys_munlock(p, n);
	return p;
}

/* ---- rows ---- */

struct gate_row *gate_row_find(const struct conn *conn)
{
	uint32_t row = conn_row(conn);

	if (!rows || (row + 1) * sizeof(*rows) > __atomic_load_n(&pool.open, __ATOMIC_ACQUIRE))
		return NULL;
	return rows[row].id == conn->id ? &rows[row] : NULL;
}

static void forget_due(struct gate_row *row, enum dir dir)
{
	if (row->due[dir])
		gate_due_remove(gate_due_of(row->due[dir] - 1));
	row->due[dir] = 0;
}

struct gate_row *gate_row_of(const struct conn *conn)
{
	uint32_t n = conn_row(conn);
	struct gate_row *row;

	if (!rows) {
		if (!reserve_start(&pool, sizeof(*rows) * TRACE_CONNECTIONS))
			return NULL;
		rows = (struct gate_row *)pool.base;
	}
	if (!reserve_open(&pool, (n + 1) * sizeof(*rows)))
		return NULL;
	row = &rows[n];
	if (row->id == conn->id)
		return row;
	forget_due(row, DIR_RX);
	forget_due(row, DIR_TX);
	gate_registrations_drop(row, -1);
	*row = (struct gate_row){.id = conn->id};
	return row;
}

unsigned gate_held(const struct gate_row *row)
{
	return (row->due[DIR_RX] ? 1u << DIR_RX : 0) | (row->due[DIR_TX] ? 1u << DIR_TX : 0);
}

void gate_open(struct conn *conn, struct gate_row *row, enum dir dir)
{
	if (!row->due[dir])
		return;
	forget_due(row, dir);
	row->again[dir] = 0;
	row->turn++;
	gate_registrations_apply(conn, row, true);
}

bool gate_shut(struct conn *conn, struct gate_row *row, enum dir dir, uint64_t at, uint32_t rule)
{
	struct gate_due *d;

	if (row->due[dir]) {
		d = gate_due_of(row->due[dir] - 1);
		if (at <= d->at)
			return true;
		gate_due_move(d, at);
	} else {
		d = gate_due_add(at);
		if (!d)
			return false;
		row->due[dir] = 1 + gate_due_number(d);
		row->turn++;
	}
	d->row = conn_row(conn);
	d->id = conn->id;
	d->dir = (uint8_t)dir;
	d->rule = rule;
	return true;
}

bool gate_holds(const struct conn *conn, enum dir dir)
{
	const struct gate_row *row = engine_gates ? gate_row_find(conn) : NULL;
	uint32_t due = row ? __atomic_load_n(&row->due[dir], __ATOMIC_RELAXED) : 0;

	return due && clock_now() < gate_due_of(due - 1)->at;
}

/* ---- one call ---- */

static int descriptor_of(const struct call *c, enum dir dir)
{
	bool to = call_table[c->id].op == OP_SPLICE && dir == DIR_TX;

	return (int)c->arg[to ? SPLICE_TO : 0];
}

/* Its end is reported whatever is asked for, again and again. */
static __attribute__((noinline)) bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd};
	struct timespec now = {0};

	return sys_call(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) != 0;
}

/* The lock is held.  Does the gate stand, for a call that would meet it? */
static __attribute__((noinline)) bool stands(struct conn *conn, struct gate_row *row, enum dir dir,
					     int fd)
{
	if (!row->due[dir])
		return false;
	if (clock_now() < gate_due_of(row->due[dir] - 1)->at && !is_gone(fd))
		return true;
	gate_open(conn, row, dir);
	return false;
}

/* Nobody who does not block must be told of what he does not get. */
static __attribute__((noinline)) void cover(struct conn *conn, struct gate_row *row, enum dir dir)
{
	uint16_t n = row->again[dir] < UINT16_MAX ? ++row->again[dir] : 0;

	gate_registrations_seek(conn, row, n >= HEAL_FIRST && !(n & (n - 1)));
	gate_registrations_apply(conn, row, false);
}

enum gate_way gate_wait(struct call *c, struct conn *conn, enum dir dir, uint64_t until,
			uint32_t rule)
{
	int fd = descriptor_of(c, dir);
	bool blocks = gate_blocks(c, fd);
	struct gate_row *row;
	bool held;

	if (!gate_enter(clock_thread_at(c->place)))
		return GATE_PASS;
	/* It was switched off while the call was looked at: nobody would let go what is held now. */
	row = rule < 64 && !(__atomic_load_n(&rules, __ATOMIC_RELAXED) >> rule & 1)
		      ? NULL
		      : gate_row_of(conn);
	held = row && gate_shut(conn, row, dir, until, rule) && stands(conn, row, dir, fd);
	if (held && !blocks)
		cover(conn, row, dir);
	gate_leave();
	if (!held)
		return GATE_PASS;
	gate_thread_want(until, false);
	if (blocks)
		return gate_block(c, conn, dir, fd);
	c->ret = -EAGAIN;
	return GATE_ANSWERED;
}

void gate_rearm(struct conn *conn, enum dir dir)
{
	struct gate_row *row;

	if (!gate_enter(clock_thread()))
		return;
	row = gate_row_of(conn);
	if (row) {
		row->again[dir] = 0;
		gate_registrations_seek(conn, row, false);
		gate_registrations_apply(conn, row, true);
	}
	gate_leave();
}

void gate_lift(struct conn *conn, enum dir dir)
{
	struct gate_row *row;

	if (!engine_gates || !gate_enter(clock_thread()))
		return;
	row = gate_row_find(conn);
	if (row)
		gate_open(conn, row, dir);
	gate_leave();
}

/* ---- all of them ---- */

/* A direction's time is over, or its connection is. */
static void open_due(struct gate_due *d)
{
	struct conn *conn = conn_at(d->row);
	struct gate_row *row = &rows[d->row];

	if (conn->id == d->id && row->id == d->id)
		gate_open(conn, row, (enum dir)d->dir);
	else if (row->id == d->id)
		forget_due(row, (enum dir)d->dir);
	else
		gate_due_remove(d);
}

/* Only noted: whoever sees the new state first may have little stack left. */
void gate_state_changed(uint64_t rules_on, bool replaced)
{
	__atomic_store_n(&rules, rules_on, __ATOMIC_RELAXED);
	if (!engine_gates)
		return;
	if (replaced)
		__atomic_store_n(&rules_replaced, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&rules_changed, 1, __ATOMIC_RELEASE);
}

/* Take out the first task that is due, letting directions go before it. */
static bool next_task(uint64_t now, struct gate_due *ret)
{
	struct gate_due *d;

	for (;;) {
		d = gate_due_first();
		if (!d || d->at > now)
			return false;
		if (d->task)
			break;
		open_due(d);
	}
	*ret = *d;
	gate_due_remove(d);
	return true;
}

/* Did somebody say release since we looked last? */
static bool was_released(void)
{
	static uint64_t seen;
	uint64_t all = 0;

	for (unsigned i = 0; i < CONTROL_NAMES; i++)
		all += __atomic_load_n(&control_page->release[i].count, __ATOMIC_RELAXED);
	return __atomic_exchange_n(&seen, all, __ATOMIC_RELAXED) != all;
}

/* Is it to be let go: because its rule is off; or because it waits for a release, and who was meant is
 * found out by the calls that follow? */
static bool is_free(const struct gate_due *d, bool changed, bool released)
{
	bool off = !(d->rule < 64 && __atomic_load_n(&rules, __ATOMIC_RELAXED) >> d->rule & 1);

	return !d->task && ((changed && off) || (released && d->at == GATE_RELEASE));
}

/* One way through the heap; those that take the place of others may be passed over. */
static bool open_some(bool changed, bool released, bool replaced)
{
	bool some = false;

	for (uint32_t at = 0; at < gate_due_count();) {
		struct gate_due *d = gate_due_at(at);

		if (d->task || !(replaced || is_free(d, changed, released))) {
			at++;
		} else {
			open_due(d);
			some = true;
		}
	}
	return some;
}

/* Rules change from outside, and what they held is let go even if no call comes.  True: somebody said
 * release. */
static __attribute__((noinline)) bool look_at_rules(uint64_t now)
{
	static uint64_t looked;
	uint64_t last = __atomic_load_n(&looked, __ATOMIC_RELAXED);

	if (!control_page || now - last < GATE_TICK ||
	    !__atomic_compare_exchange_n(&looked, &last, now, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return false;
	(void)control_look();
	return was_released();
}

static __attribute__((noinline)) void follow_rules(bool released)
{
	bool changed, replaced;

	if (released)
		__atomic_store_n(&rules_released, 1, __ATOMIC_RELEASE);
	if (!(__atomic_load_n(&rules_released, __ATOMIC_ACQUIRE) ||
	      __atomic_load_n(&rules_changed, __ATOMIC_ACQUIRE)) ||
	    !gate_enter(clock_thread()))
		return;
	released = __atomic_exchange_n(&rules_released, 0, __ATOMIC_ACQUIRE);
	changed = __atomic_exchange_n(&rules_changed, 0, __ATOMIC_ACQUIRE);
	replaced = changed && __atomic_exchange_n(&rules_replaced, 0, __ATOMIC_RELAXED);
	while (open_some(changed, released, replaced))
		;
	gate_leave();
}

void gate_expire(uint64_t now)
{
	struct gate_due due;
	bool more = true;

	follow_rules(look_at_rules(now));

	while (more && gate_due_next() <= now) {
		if (!gate_enter(clock_thread()))
			return;
		more = next_task(now, &due);
		gate_leave();
		if (more)
			due.task(conn_at(due.row), due.id, due.what);
	}
}

bool gate_later(struct conn *conn, uint64_t at, gate_task *task, uint64_t what)
{
	struct gate_due *d;

	if (!gate_enter(clock_thread()))
		return false;
	d = gate_due_add(at);
	if (d) {
		d->task = task;
		d->what = what;
		d->row = conn_row(conn);
		d->id = conn->id;
	}
	gate_leave();
	if (d)
		gate_thread_want(at, true);
	return d;
}

/* ---- the ends of things ---- */

bool gate_ioctl(struct call *c)
{
	const struct conn *conn = conn_of((int)c->arg[0]);
	uint64_t queued = conn ? queue_bytes(conn) : 0;
	int *value = (int *)c->arg[2];

	if (!conn ||
	    !(c->arg[1] == FIONREAD ? gate_holds(conn, DIR_RX) : c->arg[1] == TIOCOUTQ && queued))
		return true;
	c->ret = sys_ioctl((int)c->arg[0], c->arg[1], value);
	if (c->ret >= 0) /* then it could be written */
		*value = c->arg[1] == FIONREAD ? 0 : *value + (int)queued;
	return false;
}

void gate_closing(struct conn *conn, int fd)
{
	struct gate_row *row;

	if (conn->refs <= 1)
		queue_closes(conn, fd, 0);
	else
		queue_moves(conn, fd);
	if (!rows || !gate_enter(clock_thread()))
		return;
	row = gate_row_find(conn);
	if (row) {
		if (conn->refs <= 1) {
			forget_due(row, DIR_RX);
			forget_due(row, DIR_TX);
		}
		gate_registrations_drop(row, fd);
	}
	gate_leave();
}

void gate_privileges(bool over)
{
	if (!over)
		gate_thread_stop();
	else if (engine_gates)
		gate_thread_want(0, false);
}

bool gate_ends(void)
{
	return __atomic_load_n(&ending, __ATOMIC_RELAXED);
}

void gate_end(void)
{
	struct gate_due due;
	bool more = true;

	__atomic_fetch_add(&ending, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; more && engine_gates && i < 2 * GATE_DUES; i++) {
		if (!gate_enter(clock_thread()))
			break;
		more = next_task(UINT64_MAX, &due);
		gate_leave();
		if (more)
			due.task(conn_at(due.row), due.id, due.what);
	}
	__atomic_fetch_sub(&ending, 1, __ATOMIC_RELAXED);
	gate_thread_stop();
}

void gate_forked(void)
{
	size_t n = rows ? pool.open / sizeof(*rows) : 0;

	holder = 0;
	ending = 0;
	queue_forked();
	gate_thread_forked();
	for (size_t i = 0; i < n; i++) {
		if (gate_held(&rows[i]))
			rows[i].due[DIR_RX] = rows[i].due[DIR_TX] = 0;
	}
	gate_due_clear();
}
