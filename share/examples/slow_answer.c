/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A cmocka test with shakedown: while the 101 of one client is 300 ms late, another client is served.
 *
 *     cc slow_answer.c $(pkg-config --cflags --libs shakedown) -lcmocka -o slow_answer
 *     ./slow_answer ./server --port 8080
 *
 * The server listens on a loopback port and takes WebSockets on every path.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <shakedown.h>

static char **command;
static struct shakedown *server;

static int start(void **state)
{
	struct shakedown_options options = {
		.rules = "slow=tx@response-head:delay=300ms:path=/slow:times=1",
	};
	char why[1000];

	(void)state;
	server = shakedown_start(&options, command, why, sizeof(why));
	if (!server)
		print_error("%s\n", why);
	return server ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	shakedown_stop(server);
	return 0;
}

/* A connection on which an upgrade was asked for. */
static int ask(const char *path)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(shakedown_port(server))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, shakedown_host(server), &to.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	dprintf(fd,
		"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
		"Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
		path);
	return fd;
}

/* Waits for the first bytes of the answer: 101? */
static int is_switched(int fd)
{
	char answer[13] = "";

	return recv(fd, answer, 12, MSG_WAITALL) == 12 && !strcmp(answer, "HTTP/1.1 101");
}

/* Has any of the answer come? */
static int has_begun(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void a_slow_answer_keeps_nobody_else_waiting(void **state)
{
	int slow, other;

	(void)state;
	assert_int_equal(shakedown_on(server, "slow"), 0);
	slow = ask("/slow");
	assert_int_equal(shakedown_wait_hits(server, "slow", 1, 5000), 0);

	other = ask("/other");
	assert_true(is_switched(other));
	assert_false(has_begun(slow));

	assert_true(is_switched(slow));
	assert_int_equal(shakedown_wait_phase(server, "upgraded", "/slow", 1, 5000), 0);
	assert_int_equal(shakedown_hits(server, "slow"), 1);
	assert_int_equal(shakedown_finding_count(server, "http-after-101"), 0);
	close(slow);
	close(other);
}

static void mistakes_are_told(void **state)
{
	struct shakedown_options wrong = {.rules = "slow=tx@respons-head:delay=1ms"};
	char why[1000];

	(void)state;
	assert_null(shakedown_start(&wrong, command, why, sizeof(why)));
	assert_non_null(strstr(why, "response-head"));
	assert_int_equal(shakedown_on(server, "slwo"), -1);
	assert_non_null(strstr(shakedown_error(server), "slwo"));
	assert_int_equal(shakedown_wait_phase(server, "frames", NULL, 1, 50), -1);
	assert_int_equal(shakedown_running(server), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slow_answer_keeps_nobody_else_waiting, start,
						stop),
		cmocka_unit_test_setup_teardown(mistakes_are_told, start, stop),
	};

	if (argc < 2) {
		fprintf(stderr, "usage: slow_answer CMD...\n");
		return 2;
	}
	command = argv + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
