/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A peer that left is noticed in a live process, although its server never reads again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/exchange/kernel.h"

struct pair {
	int client, server;
};

static int listener;
static struct sockaddr_in address;

static int listen_here(void **state)
{
	socklen_t n = sizeof(address);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&address, n) || listen(listener, 4) ||
	       getsockname(listener, (struct sockaddr *)&address, &n);
}

static int listen_no_more(void **state)
{
	return close(listener);
}

static struct pair connect_pair(void)
{
	struct pair p = {.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	assert_int_equal(connect(p.client, (struct sockaddr *)&address, sizeof(address)), 0);
	p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p.server >= 0);
	return p;
}

static void close_pair(struct pair p)
{
	close(p.client);
	close(p.server);
}

/* The client ends its side; returns when that has arrived. */
static void leave(struct pair p)
{
	struct pollfd w = {.fd = p.server, .events = POLLRDHUP};

	assert_int_equal(shutdown(p.client, SHUT_WR), 0);
	assert_int_equal(poll(&w, 1, 10000), 1);
}

static struct trace_connection row_of(struct pair p)
{
	struct trace_connection row = {.id = 1, .flags = TRACE_CONN_RECORDED, .t_last = 1};
	socklen_t n = sizeof(row.cookie);

	assert_int_equal(getsockopt(p.server, SOL_SOCKET, SO_COOKIE, &row.cookie, &n), 0);
	return row;
}

static uint64_t own_netns(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	return st.st_ino;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void a_peer_that_left_is_noticed_and_one_that_stays_is_not(void **state)
{
	struct pair gone = connect_pair(), here = connect_pair();
	struct trace_connection row[2] = {row_of(gone), row_of(here)};
	uint64_t t = now();

	leave(gone);
	kernel_mark_left(row, 2, own_netns(), now());
	assert_true(row[0].flags & TRACE_CONN_EOF);
	assert_in_range(row[0].t_last, t > 1000000000 ? t - 1000000000 : 0, now());
	assert_false(row[1].flags & TRACE_CONN_EOF);
	assert_int_equal(row[1].t_last, 1);
	close_pair(gone);
	close_pair(here);
}

static void nothing_is_said_of_a_process_in_another_network(void **state)
{
	struct pair gone = connect_pair();
	struct trace_connection row = row_of(gone);

	leave(gone);
	kernel_mark_left(&row, 1, own_netns() + 1, now());
	assert_false(row.flags & TRACE_CONN_EOF);
	close_pair(gone);
}

static void rows_without_a_connection_or_without_records_stay_as_they_are(void **state)
{
	struct pair gone = connect_pair();
	struct trace_connection row[2] = {row_of(gone), {0}};

	row[0].flags = 0;
	leave(gone);
	kernel_mark_left(row, 2, own_netns(), now());
	assert_int_equal(row[0].flags, 0);
	assert_int_equal(row[1].flags, 0);
	close_pair(gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_left_is_noticed_and_one_that_stays_is_not),
		cmocka_unit_test(nothing_is_said_of_a_process_in_another_network),
		cmocka_unit_test(rows_without_a_connection_or_without_records_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, listen_here, listen_no_more);
}
