/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Directions held back: whoever waits for events is not told, does not spin, and is told at the deadline.
 *
 * The test is a door: its calls go through the engine as a program's would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shim/engine/clock.h"
#include "shim/engine/conn.h"
#include "shim/engine/gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

enum {
	MS = 1000000,
	SOON = 30 * MS,
};

/* ---- a door ---- */

static int64_t call(unsigned id, uint64_t a, uint64_t b, uint64_t d, uint64_t e, uint64_t f)
{
	struct call c = {.id = (uint16_t)id, .arg = {a, b, d, e, f}};

	if (engine_enter(&c)) {
		c.ret = syscall(call_table[id].nr, c.arg[0], c.arg[1], c.arg[2], c.arg[3], c.arg[4],
				c.arg[5]);
		if (c.ret < 0)
			c.ret = -errno;
	}
	engine_exit(&c);
	return c.ret;
}

static int64_t control(int epoll, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	return call(CALL_epoll_ctl, (uint64_t)epoll, (uint64_t)op, (uint64_t)fd, (uintptr_t)&e, 0);
}

/* Events told within that many milliseconds. */
static uint32_t events(int epoll, int ms)
{
	struct epoll_event e = {0};
	int64_t n = call(CALL_epoll_wait, (uint64_t)epoll, (uintptr_t)&e, 1, (uint64_t)ms, 0);

	assert_in_range(n, 0, 1);
	return n ? e.events : 0;
}

static enum gate_way hold(int fd, enum dir dir, uint64_t until)
{
	struct call c = {.id = dir == DIR_RX ? CALL_read : CALL_write, .arg = {(uint64_t)fd}};
	enum gate_way way = gate_wait(&c, conn_of(fd), dir, until, 0);

	if (way == GATE_ANSWERED)
		assert_int_equal(c.ret, -EAGAIN);
	return way;
}

/* ---- a connection whose other end has sent a byte ---- */

struct pair {
	int here, there, epoll;
};

static struct pair open_pair(void)
{
	struct pair p;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	p = (struct pair){fd[0], fd[1], epoll_create1(0)};
	engine_fds[p.here] = conn_row(conn_new((uint32_t)p.here, ROLE_SERVER, TRACE_ACCEPTED, 1));
	conn_unlock(conn_of(p.here));
	assert_int_equal(write(p.there, "x", 1), 1);
	return p;
}

static void close_pair(struct pair p)
{
	call(CALL_close, (uint64_t)p.here, 0, 0, 0, 0);
	close(p.there);
	close(p.epoll);
	assert_int_equal(engine_gates, 0);
}

static int start(void **state)
{
	static char *none[] = {NULL};
	const char *problem;

	if (!engine_start(none, TRACE_DOOR_LIBC, &problem))
		return -1;
	engine_faults = 1;
	return 0;
}

/* ---- tests ---- */

static void nothing_is_told_before_the_deadline_and_all_of_it_then(void **state)
{
	static const uint32_t how[] = {0, EPOLLET, EPOLLONESHOT};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(how); i++) {
		struct pair p = open_pair();
		uint64_t until;

		assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, p.here, EPOLLIN | how[i]), 0);
		assert_int_equal(events(p.epoll, -1), EPOLLIN);
		until = clock_now() + SOON;
		assert_int_equal(hold(p.here, DIR_RX, until), GATE_ANSWERED);
		if (how[i] == EPOLLONESHOT)
			assert_int_equal(control(p.epoll, EPOLL_CTL_MOD, p.here, EPOLLIN | how[i]),
					 0);
		assert_int_equal(events(p.epoll, 0), 0);
		assert_int_equal(events(p.epoll, -1), EPOLLIN);
		assert_true(clock_now() >= until);
		close_pair(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_before_the_deadline_and_all_of_it_then),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
