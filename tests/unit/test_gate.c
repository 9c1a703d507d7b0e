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
#include "shim/engine/gate_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
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
	gate_state_changed(UINT64_MAX, false);
	gate_expire(clock_now());
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

/* A thread of the test waits in a call that began before anything was held back. */
struct waiter {
	pthread_t thread;
	struct pair p;
	uint32_t got;
};

static void *wait_for_event(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event e = {0};

	assert_int_equal(epoll_wait(w->p.epoll, &e, 1, -1), 1);
	w->got = e.events;
	return NULL;
}

static void who_waits_already_in_another_thread_is_told_at_the_deadline(void **state)
{
	struct waiter w = {.p = open_pair()};
	uint64_t until;

	assert_int_equal(control(w.p.epoll, EPOLL_CTL_ADD, w.p.here, EPOLLIN | EPOLLET), 0);
	assert_int_equal(events(w.p.epoll, 0), EPOLLIN);
	assert_int_equal(pthread_create(&w.thread, NULL, wait_for_event, &w), 0);
	until = clock_now() + SOON;
	assert_int_equal(hold(w.p.here, DIR_RX, until), GATE_ANSWERED);
	assert_true(gate_thread_runs());
	pthread_join(w.thread, NULL);
	assert_int_equal(w.got, EPOLLIN);
	assert_true(clock_now() >= until);
	gate_privileges(false);
	assert_false(gate_thread_runs());
	close_pair(w.p);
}

static void a_process_with_one_thread_gets_no_second_one(void **state)
{
	struct pair p = open_pair();

	assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, p.here, EPOLLIN), 0);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	assert_false(gate_thread_runs());
	close_pair(p);
}

static void every_set_and_every_descriptor_keeps_silent(void **state)
{
	struct pair p = open_pair();
	int other = epoll_create1(0), twin;

	twin = (int)call(CALL_dup, (uint64_t)p.here, 0, 0, 0, 0);
	assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, p.here, EPOLLIN), 0);
	assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, twin, EPOLLIN | EPOLLOUT), 0);
	assert_int_equal(control(other, EPOLL_CTL_ADD, p.here, EPOLLIN), 0);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	assert_int_equal(events(p.epoll, 0), EPOLLOUT);
	assert_int_equal(events(other, 0), 0);
	assert_int_equal(events(other, -1), EPOLLIN);
	assert_int_equal(events(p.epoll, 0) & EPOLLIN, EPOLLIN);
	call(CALL_close, (uint64_t)twin, 0, 0, 0, 0);
	close(other);
	close_pair(p);
}

static void a_registration_that_was_never_seen_is_found(void **state)
{
	struct pair p = open_pair();
	struct epoll_event e = {.events = EPOLLIN, .data.fd = p.here};

	assert_int_equal(epoll_ctl(p.epoll, EPOLL_CTL_ADD, p.here, &e), 0);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	assert_int_equal(epoll_wait(p.epoll, &e, 1, 0), 0);
	assert_int_equal(events(p.epoll, -1), EPOLLIN);
	close_pair(p);
}

static void a_registration_that_fired_is_not_armed_again(void **state)
{
	struct pair p = open_pair();

	assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, p.here, EPOLLIN | EPOLLONESHOT), 0);
	assert_int_equal(events(p.epoll, 0), EPOLLIN);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	gate_lift(conn_of(p.here), DIR_RX);
	gate_rearm(conn_of(p.here), DIR_RX);
	assert_int_equal(events(p.epoll, 0), 0);
	close_pair(p);
}

static void what_the_application_asks_meanwhile_counts_afterwards(void **state)
{
	struct pair p = open_pair();

	assert_int_equal(control(p.epoll, EPOLL_CTL_ADD, p.here, EPOLLIN), 0);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	assert_int_equal(control(p.epoll, EPOLL_CTL_MOD, p.here, EPOLLIN | EPOLLOUT), 0);
	assert_int_equal(events(p.epoll, 0), EPOLLOUT);
	assert_int_equal(control(p.epoll, EPOLL_CTL_MOD, p.here, 0), 0);
	gate_lift(conn_of(p.here), DIR_RX);
	assert_int_equal(events(p.epoll, 0), 0);
	assert_int_equal(control(p.epoll, EPOLL_CTL_DEL, p.here, 0), 0);
	assert_int_equal(control(p.epoll, EPOLL_CTL_DEL, p.here, 0), -ENOENT);
	close_pair(p);
}

static void a_connection_whose_peer_is_gone_is_not_held_back(void **state)
{
	struct pair p = open_pair();

	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	close(p.there);
	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_PASS);
	assert_false(gate_holds(conn_of(p.here), DIR_RX));
	p.there = -1;
	close_pair(p);
}

static void a_rule_that_goes_lets_go_what_it_held(void **state)
{
	struct pair p[2] = {open_pair(), open_pair()};
	struct call c = {.id = CALL_read};

	for (unsigned i = 0; i < 2; i++) {
		c.arg[0] = (uint64_t)p[i].here;
		assert_int_equal(gate_wait(&c, conn_of(p[i].here), DIR_RX, GATE_RELEASE, i),
				 GATE_ANSWERED);
	}
	gate_state_changed(1u << 1, false);
	gate_expire(clock_now());
	assert_false(gate_holds(conn_of(p[0].here), DIR_RX));
	c.arg[0] = (uint64_t)p[0].here;
	assert_int_equal(gate_wait(&c, conn_of(p[0].here), DIR_RX, GATE_RELEASE, 0), GATE_PASS);
	/* The other rule is still on: who asks again is held back again. */
	c.arg[0] = (uint64_t)p[1].here;
	assert_int_equal(gate_wait(&c, conn_of(p[1].here), DIR_RX, GATE_RELEASE, 1), GATE_ANSWERED);
	gate_state_changed(0, false);
	gate_expire(clock_now());
	assert_false(gate_holds(conn_of(p[1].here), DIR_RX));
	gate_state_changed(UINT64_MAX, false);
	gate_expire(clock_now());
	close_pair(p[0]);
	close_pair(p[1]);
}

/* ---- poll and select ---- */

static void poll_leaves_out_what_is_held_back(void **state)
{
	struct pair p = open_pair();
	struct pollfd list = {.fd = p.here, .events = POLLIN};
	uint64_t until = clock_now() + SOON;

	assert_int_equal(hold(p.here, DIR_RX, until), GATE_ANSWERED);
	assert_int_equal(call(CALL_poll, (uintptr_t)&list, 1, 0, 0, 0), 0);
	assert_int_equal(call(CALL_poll, (uintptr_t)&list, 1, 5, 0, 0), 0);
	list.events |= POLLOUT;
	assert_int_equal(call(CALL_poll, (uintptr_t)&list, 1, 0, 0, 0), 1);
	assert_int_equal(list.revents, POLLOUT);
	list.events = POLLIN;
	assert_int_equal(call(CALL_poll, (uintptr_t)&list, 1, (uint64_t)-1, 0, 0), 1);
	assert_int_equal(list.revents, POLLIN);
	assert_true(clock_now() >= until);
	close_pair(p);
}

static void select_leaves_out_what_is_held_back(void **state)
{
	struct pair p = open_pair();
	struct timeval none = {0}, t = {.tv_sec = 5};
	uint64_t until = clock_now() + SOON;
	fd_set in, out;

	assert_int_equal(hold(p.here, DIR_RX, until), GATE_ANSWERED);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(p.here, &in);
	FD_SET(p.here, &out);
	assert_int_equal(call(CALL_select, (uint64_t)p.here + 1, (uintptr_t)&in, (uintptr_t)&out, 0,
			      (uintptr_t)&none),
			 1);
	assert_false(FD_ISSET(p.here, &in));
	assert_true(FD_ISSET(p.here, &out));
	FD_SET(p.here, &in);
	assert_int_equal(
		call(CALL_select, (uint64_t)p.here + 1, (uintptr_t)&in, 0, 0, (uintptr_t)&t), 1);
	assert_true(FD_ISSET(p.here, &in));
	assert_true(clock_now() >= until);
	assert_in_range(t.tv_sec, 4, 4);
	close_pair(p);
}

static void bad_pointers_are_the_callers_own_error(void **state)
{
	struct pair p = open_pair();
	fd_set *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timeval none = {0};

	assert_int_equal(hold(p.here, DIR_RX, clock_now() + SOON), GATE_ANSWERED);
	assert_int_equal(call(CALL_poll, 1, 1, 0, 0, 0), -EFAULT);
	assert_int_equal(call(CALL_select, 5, 1, 0, 0, 0), -EFAULT);
	assert_int_equal(call(CALL_select, 5, (uintptr_t)read_only, 0, 0, (uintptr_t)&none),
			 -EFAULT);
	assert_int_equal(
		call(CALL_epoll_ctl, (uint64_t)p.epoll, EPOLL_CTL_ADD, (uint64_t)p.here, 1, 0),
		-EFAULT);
	assert_int_equal(call(CALL_epoll_wait, (uint64_t)p.epoll, 1, 0, 0, 0), -EINVAL);
	gate_lift(conn_of(p.here), DIR_RX);
	munmap(read_only, 4096);
	close_pair(p);
}

/* ---- descriptors that block ---- */

static struct pair open_blocking(void)
{
	struct pair p = open_pair();

	assert_int_equal(fcntl(p.here, F_SETFL, 0), 0);
	return p;
}

static void a_thread_waits_where_the_descriptor_blocks(void **state)
{
	struct pair p = open_blocking();
	uint64_t until = clock_now() + SOON;

	assert_int_equal(hold(p.here, DIR_RX, until), GATE_PASS);
	assert_true(clock_now() >= until);
	close_pair(p);
}

static void the_time_limit_of_the_socket_counts(void **state)
{
	struct pair p = open_blocking();
	struct timeval limit = {.tv_usec = 5000};

	assert_int_equal(setsockopt(p.here, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(hold(p.here, DIR_RX, GATE_RELEASE), GATE_ANSWERED);
	gate_lift(conn_of(p.here), DIR_RX);
	close_pair(p);
}

static volatile sig_atomic_t signals;

static void count_signal(int n)
{
	signals++;
}

static enum gate_way hold_under_alarm(struct pair p, int flags, int64_t *ret)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
	struct itimerval soon = {.it_value.tv_usec = 5000};
	struct call c = {.id = CALL_read, .arg = {(uint64_t)p.here}};
	enum gate_way way;

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	way = gate_wait(&c, conn_of(p.here), DIR_RX, clock_now() + 2 * SOON, 0);
	*ret = c.ret;
	(void)usleep(1); /* the thread sanitizer keeps a signal until a call it knows */
	assert_int_equal(signals, 1);
	return way;
}

static void signals_interrupt_as_they_would_the_call(void **state)
{
	struct pair p = open_blocking();
	int64_t ret;

	assert_int_equal(hold_under_alarm(p, 0, &ret), GATE_ANSWERED);
	assert_int_equal(ret, -EINTR);
	assert_int_equal(hold_under_alarm(p, SA_RESTART, &ret), GATE_PASS);
	close_pair(p);
}

/* ---- later ---- */

static unsigned done;

/* May run on the engine's own thread, which no sanitizer knows. */
static __attribute__((no_sanitize("thread"))) void count_task(struct conn *conn, uint32_t id,
							      uint64_t what)
{
	__atomic_fetch_add(&done, (unsigned)what, __ATOMIC_RELAXED);
}

static void what_is_to_be_done_later_is_done_at_its_time_or_at_the_end(void **state)
{
	struct pair p = open_pair();

	done = 0;
	assert_true(gate_later(conn_of(p.here), clock_now() + 5 * MS, count_task, 7));
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
		assert_int_equal(events(p.epoll, 5), 0);
	assert_int_equal(done, 7);
	assert_true(gate_later(conn_of(p.here), GATE_RELEASE, count_task, 1));
	gate_end();
	assert_int_equal(done, 8);
	close_pair(p);
}

static void deadlines_come_in_order_however_many_there_are(void **state)
{
	struct pair p = open_pair();
	uint64_t now = clock_now() + UINT64_C(3600000) * MS; /* nobody else's to keep */
	unsigned n = 0;

	done = 0;
	while (gate_later(conn_of(p.here), now + (n * UINT64_C(7919)) % 10007, count_task, 1))
		n++;
	assert_int_equal(n, GATE_DUES);
	for (uint64_t t = 0; t <= 10007; t += 100) {
		unsigned want = 0;

		gate_expire(now + t);
		for (unsigned i = 0; i < n; i++)
			want += (i * UINT64_C(7919)) % 10007 <= t;
		assert_int_equal(done, want);
	}
	gate_end();
	assert_int_equal(done, n);
	close_pair(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_with_one_thread_gets_no_second_one),
		cmocka_unit_test(nothing_is_told_before_the_deadline_and_all_of_it_then),
		cmocka_unit_test(every_set_and_every_descriptor_keeps_silent),
		cmocka_unit_test(a_registration_that_was_never_seen_is_found),
		cmocka_unit_test(a_registration_that_fired_is_not_armed_again),
		cmocka_unit_test(what_the_application_asks_meanwhile_counts_afterwards),
		cmocka_unit_test(a_connection_whose_peer_is_gone_is_not_held_back),
		cmocka_unit_test(a_rule_that_goes_lets_go_what_it_held),
		cmocka_unit_test(poll_leaves_out_what_is_held_back),
		cmocka_unit_test(select_leaves_out_what_is_held_back),
		cmocka_unit_test(bad_pointers_are_the_callers_own_error),
		cmocka_unit_test(a_thread_waits_where_the_descriptor_blocks),
		cmocka_unit_test(the_time_limit_of_the_socket_counts),
		cmocka_unit_test(signals_interrupt_as_they_would_the_call),
		cmocka_unit_test(what_is_to_be_done_later_is_done_at_its_time_or_at_the_end),
		cmocka_unit_test(deadlines_come_in_order_however_many_there_are),
		cmocka_unit_test(who_waits_already_in_another_thread_is_told_at_the_deadline),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
