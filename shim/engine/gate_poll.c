/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_poll: waits for events, while something is held back.
 *
 * (1) A wait is made in slices that end at the next deadline, until something is ready or the caller's own
 *     time is over.  Each slice is the caller's own call, with his mask of signals: what interrupts that
 *     one interrupts the whole.
 * (2) epoll sets report what they were told to; for poll the kernel is asked twice: once with the caller's
 *     own list, which it fills, and, when only what is held back is ready, with a copy that lacks it.
 * (3) What cannot be read or makes no sense is the kernel's to refuse: the call passes.
 *
 * Source: epoll_wait(2), poll(2).
 */
#include "shim/engine/clock.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/gate_wait.h"
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <limits.h>
#include <poll.h>

enum {
	MS = 1000000,
	SECOND = 1000000000,
	FEW = 8, /* descriptors whose copy is on the stack */
};

void (*engine_cancel_point)(void);

/* ---- time ---- */

static uint64_t later(uint64_t now, uint64_t ns)
{
	return now + ns < now ? UINT64_MAX : now + ns;
}

bool gate_end_ms(uint64_t now, int ms, uint64_t *ret_end)
{
	*ret_end = ms < 0 ? UINT64_MAX : later(now, (uint64_t)ms * MS);
	return true;
}

/* units: of the second word, in a second. */
bool gate_end_time(uint64_t now, uint64_t at, uint64_t units, uint64_t *ret_end)
{
	int64_t t[2];

	*ret_end = UINT64_MAX;
	if (!at)
		return true;
	if (peek_read(at, t, sizeof(t)) != sizeof(t))
		return false;
	if (units == SECOND && (uint64_t)t[1] >= units)
		return false;
	if (t[0] < 0 || t[1] < 0 || t[1] > INT_MAX)
		return false;
	if (t[0] < INT_MAX)
		*ret_end = later(now, (uint64_t)t[0] * SECOND + (uint64_t)t[1] * (SECOND / units));
	return true;
}

struct timespec gate_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
}

static int milliseconds(uint64_t ns)
{
	uint64_t ms = ns / MS + (ns % MS != 0);

	return ns == UINT64_MAX ? -1 : ms < INT_MAX ? (int)ms : INT_MAX;
}

uint64_t gate_slice(uint64_t now, uint64_t end)
{
	uint64_t next = gate_due_next();

	if (engine_gates && next > now + GATE_TICK)
		next = now + GATE_TICK;
	next = next < end ? next : end;
	if (next == UINT64_MAX)
		return next;
	return next > now ? next - now : 0;
}

/* ---- epoll ---- */

static long epoll_slice(const struct call *c, uint64_t ns)
{
	struct timespec t = gate_timespec(ns);
	long arg[3] = {(long)c->arg[0], (long)c->arg[1], (long)c->arg[2]};

	if (c->id == CALL_epoll_pwait2)
		return sys_call(SYS_epoll_pwait2, arg[0], arg[1], arg[2],
				ns == UINT64_MAX ? 0 : (long)&t, (long)c->arg[4], 8);
	return sys_call(SYS_epoll_pwait, arg[0], arg[1], arg[2], milliseconds(ns),
			c->id == CALL_epoll_pwait ? (long)c->arg[4] : 0, 8);
}

static __attribute__((noinline)) bool wait_epoll(struct call *c)
{
	uint64_t now = clock_now(), end;

	if (gate_enter(clock_thread_at(c->place))) {
		gate_epoll_seen((int)c->arg[0]);
		gate_leave();
	}
	if (c->id == CALL_epoll_pwait2 ? !gate_end_time(now, c->arg[3], SECOND, &end)
				       : !gate_end_ms(now, (int)c->arg[3], &end))
		return true;
	gate_expire(now);
	if (end <= now || !engine_gates || gate_thread_runs())
		return true;
	for (;;) {
		c->ret = epoll_slice(c, gate_slice(now, end));
		now = clock_now();
		if (!c->ret || c->ret == -EINTR)
			gate_cancel_point();
		if (c->ret || now >= end)
			return false;
		gate_expire(now);
	}
}

/* ---- poll ---- */

/* Events of a descriptor that must not be told. */
static short held_events(int fd)
{
	const struct conn *conn = conn_of(fd);
	short events = 0;

	if (!conn)
		return 0;
	if (gate_holds(conn, DIR_RX))
		events |= POLLIN | POLLRDNORM | POLLRDBAND | POLLPRI | POLLRDHUP;
	if (gate_holds(conn, DIR_TX))
		events |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return events;
}

/* The kernel filled the list: take out what must not be told.  Returns how many are left. */
static long take_out(struct pollfd *p, uint64_t n)
{
	long left = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (p[i].revents && !(p[i].revents & (POLLERR | POLLHUP | POLLNVAL)))
			p[i].revents &= (short)~held_events(p[i].fd);
		left += p[i].revents != 0;
	}
	return left;
}

static long poll_slice(const struct call *c, struct pollfd *p, uint64_t ns)
{
	struct timespec t = gate_timespec(ns);

	return sys_call(SYS_ppoll, (long)p, (long)c->arg[1], ns == UINT64_MAX ? 0 : (long)&t,
			c->id == CALL_ppoll ? (long)c->arg[3] : 0, 8, 0);
}

/* Wait with a copy that lacks what is held back.  Something ready there is found again by the caller's own
 * list; 0: nothing was. */
static __attribute__((noinline)) long poll_copy(const struct call *c, uint64_t ns)
{
	const struct pollfd *from = (const struct pollfd *)c->arg[0];
	uint64_t n = c->arg[1];
	struct pollfd few[FEW], *copy = n <= FEW ? few : gate_map(n * sizeof(*copy));
	long ret;

	if (!copy)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		copy[i] = from[i];
		copy[i].events &= (short)~held_events(from[i].fd);
	}
	ret = poll_slice(c, copy, ns);
	if (copy != few)
		(void)sys_munmap(copy, n * sizeof(*copy));
	return ret;
}

static __attribute__((noinline)) bool wait_poll(struct call *c)
{
	struct pollfd *list = (struct pollfd *)c->arg[0];
	uint64_t now = clock_now(), end;

	if (c->id == CALL_ppoll ? !gate_end_time(now, c->arg[2], SECOND, &end)
				: !gate_end_ms(now, (int)c->arg[2], &end))
		return true;
	for (;;) {
		gate_expire(now);
		if (!engine_gates && end == UINT64_MAX)
			return true;
		c->ret = poll_slice(c, list, 0);
		if (c->ret > 0)
			c->ret = take_out(list, c->arg[1]);
		if (c->ret || now >= end)
			return false;
		c->ret = poll_copy(c, gate_slice(now, end));
		gate_cancel_point();
		if (c->ret < 0)
			return false;
		now = clock_now();
	}
}

bool gate_wait_call(struct call *c)
{
	switch (c->id) {
	case CALL_epoll_wait:
	case CALL_epoll_pwait:
	case CALL_epoll_pwait2:
		return wait_epoll(c);
	case CALL_poll:
	case CALL_ppoll:
		return wait_poll(c);
	case CALL_select:
	case CALL_pselect:
		return gate_select(c);
	default:
		return true;
	}
}
