/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_epoll: which epoll sets a connection is in, and what these may report of it.
 *
 * (1) The kernel's record is the truth: a registration that it does not know any more is forgotten, and one
 *     we never saw is found in /proc.
 * (2) The number of a descriptor may mean something else by now: nothing is changed unless it still means
 *     the connection, and gate_closing comes before every close.
 * (3) A registration that fired ONESHOT has no events left, and is not armed again by us: the application
 *     does that, or another thread that is at work would be joined by a second one.
 *
 * Source: epoll(7), epoll_ctl(2).
 */
#include "shim/engine/clock.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/peek.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <sys/epoll.h>

enum {
	SETS = 64,
	SEEK_AGAIN = 1000000000, /* ns between two walks through all descriptors */
	HOW = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE, /* no events */
};

static const uint32_t bits_of[2] = {
	[DIR_RX] = EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI | EPOLLRDHUP,
	[DIR_TX] = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
};

static struct reserve pool;
static struct gate_registration *registrations;
static uint32_t fresh;	  /* never used from here on */
static uint32_t free_one; /* 1 + first free one */
static int32_t sets[SETS];
static uint32_t set_count;
static uint64_t t_walk;

/* ---- the list of a connection ---- */

static uint32_t take(void)
{
	uint32_t i = free_one;

	if (i) {
		free_one = registrations[i - 1].next;
		return i;
	}
	if (!registrations) {
		if (!reserve_start(&pool, sizeof(*registrations) * GATE_REGISTRATIONS))
			return 0;
		registrations = (struct gate_registration *)pool.base;
	}
	if (fresh == GATE_REGISTRATIONS ||
	    !reserve_open(&pool, (fresh + 1) * sizeof(*registrations)))
		return 0;
	return ++fresh;
}

static struct gate_registration *find(const struct gate_row *row, int epoll, int fd)
{
	for (uint32_t i = row->first; i; i = registrations[i - 1].next) {
		if (registrations[i - 1].epoll == epoll && registrations[i - 1].fd == fd)
			return &registrations[i - 1];
	}
	return NULL;
}

bool gate_registration_put(struct gate_row *row, const struct gate_registration *r)
{
	struct gate_registration *old = find(row, r->epoll, r->fd);
	uint32_t next, i;

	if (old) {
		next = old->next;
		*old = *r;
		old->next = next;
		return true;
	}
	i = take();
	if (!i)
		return false;
	registrations[i - 1] = *r;
	registrations[i - 1].next = row->first;
	row->first = i;
	return true;
}

static void drop(uint32_t *link)
{
	uint32_t i = *link;

	*link = registrations[i - 1].next;
	registrations[i - 1].next = free_one;
	free_one = i;
}

void gate_registrations_drop(struct gate_row *row, int fd)
{
	uint32_t *link = &row->first;

	while (*link) {
		if (fd == -1 || registrations[*link - 1].fd == fd)
			drop(link);
		else
			link = &registrations[*link - 1].next;
	}
}

static void drop_one(struct gate_row *row, int epoll, int fd)
{
	uint32_t *link = &row->first;

	while (*link) {
		const struct gate_registration *r = &registrations[*link - 1];

		if (r->epoll == epoll && r->fd == fd)
			drop(link);
		else
			link = &registrations[*link - 1].next;
	}
}

/* ---- what the kernel is told ---- */

static uint32_t allowed(const struct gate_row *row, uint32_t events)
{
	unsigned held = gate_held(row);

	if (events & EPOLLET)
		return events;
	for (unsigned dir = 0; dir < 2; dir++) {
		if (held >> dir & 1)
			events &= ~bits_of[dir];
	}
	return events;
}

static long control(int op, int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return sys_4(SYS_epoll_ctl, epoll, op, fd, (long)&e);
}

static bool has_fired(const struct gate_registration *r)
{
	uint32_t events;

	return (r->events & EPOLLONESHOT) && gate_fdinfo(r->epoll, r->fd, &events) &&
	       !(events & ~(uint32_t)HOW);
}

/* Returns false when the kernel does not know it. */
static bool apply(const struct conn *conn, const struct gate_row *row, struct gate_registration *r,
		  bool edges)
{
	uint32_t events = allowed(row, r->events);
	long e;

	if (events == r->set && !(edges && (events & EPOLLET)))
		return true;
	if (conn_of(r->fd) != conn)
		return false;
	if ((r->events & EPOLLEXCLUSIVE) || has_fired(r))
		return true;
	e = control(EPOLL_CTL_MOD, r->epoll, r->fd, events, r->data);
	if (e < 0)
		return e != -ENOENT && e != -EBADF && e != -EPERM && e != -EINVAL;
	r->set = events;
	return true;
}

void gate_registrations_apply(struct conn *conn, struct gate_row *row, bool edges)
{
	uint32_t *link = &row->first;

	while (*link) {
		if (apply(conn, row, &registrations[*link - 1], edges))
			link = &registrations[*link - 1].next;
		else
			drop(link);
	}
}

void gate_registrations_end(struct conn *conn, struct gate_row *row)
{
	while (row->first) {
		const struct gate_registration *r = &registrations[row->first - 1];

		if (conn_of(r->fd) == conn)
			(void)control(EPOLL_CTL_DEL, r->epoll, r->fd, 0, 0);
		drop(&row->first);
	}
}

/* ---- those that were never seen ---- */

void gate_epoll_seen(int epoll)
{
	for (uint32_t i = 0; i < set_count; i++) {
		if (sets[i] == epoll)
			return;
	}
	if (set_count < SETS)
		sets[set_count++] = epoll;
}

/* What the kernel says differs from what it was told: somebody we cannot see told it otherwise. */
static void found(const struct gate_registration *r)
{
	struct gate_row *row = gate_row_of(conn_of(r->fd));
	const struct gate_registration *old;

	/* One that fired says nothing about what the application wants: it will say so itself. */
	if (!row || !(r->events & ~(uint32_t)HOW))
		return;
	old = find(row, r->epoll, r->fd);
	if (!old || old->set != r->set)
		(void)gate_registration_put(row, r);
}

static void look_into_all(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < set_count; i++) {
		if (gate_fdinfo_all(sets[i], found))
			sets[n++] = sets[i];
	}
	set_count = n;
}

void gate_registrations_seek(struct conn *conn, struct gate_row *row, bool again)
{
	uint64_t now;

	if ((row->first || row->searched) && !again)
		return;
	row->searched = true;
	look_into_all();
	if (row->first && !again)
		return;
	now = clock_now();
	if (t_walk && now - t_walk < SEEK_AGAIN)
		return;
	t_walk = now;
	gate_fdinfo_sets(gate_epoll_seen);
	look_into_all();
}

/* ---- what the application asks ---- */

static bool read_event(const struct call *c, struct epoll_event *e)
{
	return peek_read(c->arg[3], e, sizeof(*e)) == sizeof(*e);
}

static void note(struct gate_row *row, const struct call *c, const struct epoll_event *e,
		 uint32_t set)
{
	struct gate_registration r = {
		.epoll = (int32_t)c->arg[0],
		.fd = (int32_t)c->arg[2],
		.events = e->events | EPOLLERR | EPOLLHUP,
		.set = set | EPOLLERR | EPOLLHUP,
		.data = e->data.u64,
	};

	gate_epoll_seen(r.epoll);
	(void)gate_registration_put(row, &r);
}

enum {
	ANSWERED = 1u << 16, /* in call.token, above the row's turn */
};

/* While something is held back, in the application's place. */
static bool answer(struct call *c, struct gate_row *row, const struct epoll_event *e)
{
	uint32_t events = allowed(row, e->events);

	c->ret = control((int)c->arg[1], (int)c->arg[0], (int)c->arg[2], events, e->data.u64);
	c->token |= ANSWERED;
	if (c->ret == 0)
		note(row, c, e, events);
	return false;
}

bool gate_epoll_ctl(struct call *c, struct conn *conn)
{
	struct gate_row *row;
	struct epoll_event e;
	bool go_on = true;

	c->token = 0;
	if ((int)c->arg[1] == EPOLL_CTL_DEL || !gate_enter(clock_thread_at(c->place)))
		return true;
	row = gate_row_find(conn);
	if (row) {
		c->token = row->turn;
		if (gate_held(row) && read_event(c, &e))
			go_on = answer(c, row, &e);
	}
	gate_leave();
	return go_on;
}

/* The kernel did what the application asked. A gate that came meanwhile has to be told to it, and one that
 * went may have set what was there before. */
static void follow(const struct call *c, struct conn *conn, struct gate_row *row)
{
	struct epoll_event e;

	if (!read_event(c, &e))
		return;
	note(row, c, &e, e.events);
	if (gate_held(row))
		gate_registrations_apply(conn, row, false);
	else if (row->turn != (uint16_t)c->token)
		(void)control(EPOLL_CTL_MOD, (int)c->arg[0], (int)c->arg[2], e.events, e.data.u64);
}

void gate_epoll_ctl_done(const struct call *c, struct conn *conn)
{
	struct gate_row *row;

	if (c->ret < 0 || (c->token & ANSWERED) || !gate_enter(clock_thread_at(c->place)))
		return;
	row = gate_row_of(conn);
	if (row && (int)c->arg[1] == EPOLL_CTL_DEL)
		drop_one(row, (int)c->arg[0], (int)c->arg[2]);
	else if (row)
		follow(c, conn, row);
	gate_leave();
}
