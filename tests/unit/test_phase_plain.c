/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The short way of the phase machine: it must leave the machine exactly as the long way does, and
 * change nothing when it declines.
 */
#include "core/exchange/phase.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define GET  "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK   "HTTP/1.1 200 OK\r\nServer: y\r\nContent-Length: 4\r\n\r\npong"
#define FAIL "HTTP/1.1 404 Not Found\r\ncontent-length:  0\r\nConnection: keep-alive\r\n\r\n"

/* Turns of the request stream and of the answer stream, in order.  A plus before one: the short way
 * must take it; a minus: it must not. */
struct talk {
	const char *name;
	const char *turn[6]; /* request, answer, request, ... */
};

static const struct talk talks[] = {
	{"a request and its answer", {"+" GET, "+" OK, "+" GET, "+" FAIL, "+" GET, "+" OK}},
	{"methods",
	 {"-POST / HTTP/1.1\r\n\r\n", "+" OK, "+HEAD / HTTP/1.0\r\n\r\n",
	  "+HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "+POST / HTTP/1.1\r\n\r\n",
	  "+HTTP/1.0 204 No Content\r\n\r\n"}},
	{"other methods",
	 {"+DELETE /x HTTP/1.1\r\nA: b\r\n\r\n", "+" OK, "+FOO /x HTTP/1.1\n\n", "+" OK}},
	{"a request with a body", {"-GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", "+" OK}},
	{"a request in two pieces", {"-GET / HT", "-", "-TP/1.1\r\n\r\n", "+" OK}},
	{"two requests at once", {"-" GET GET, "-" OK, "-", "+" OK}},
	{"an upgrade",
	 {"-GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	  "-HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", "-\x81\x01x"}},
	{"a stripped upgrade",
	 {"-GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n", "-" OK, "+" GET}},
	{"a tunnel", {"-CONNECT a:1 HTTP/1.1\r\n\r\n", "-HTTP/1.1 200 OK\r\n\r\n", "-abc"}},
	{"an answer with a longer body",
	 {"+" GET, "-HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}},
	{"an answer and something behind it", {"+" GET, "-" OK "x"}},
	{"an answer without a length", {"+" GET, "-HTTP/1.1 200 OK\r\n\r\nabc"}},
	{"a chunked answer",
	 {"+" GET, "-HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}},
	{"an interim answer", {"+" GET, "-HTTP/1.1 100 Continue\r\n\r\n", "-", "+" OK}},
	{"no HTTP", {"-\x16\x03\x01", "-abc", "-abc"}},
	{"an old request", {"-GET /\r\n", "-" OK}},
	{"an answer nobody asked for", {"-", "-" OK, "+" GET, "+" OK}},
	{"empty lines first", {"-\r\n" GET, "+" OK, "-\r\n" GET, "-\r\n" OK}},
	{"a bad head", {"-GET / HTTP/2.0\r\n\r\n", "-" OK}},
	{"a bad answer", {"+" GET, "-HTTP/1.1 2x0 OK\r\n\r\n", "-" GET}},
};

static void play(const struct talk *t, enum role role)
{
	struct phase_machine slow, fast;

	phase_init(&slow, role);
	phase_init(&fast, role);
	for (unsigned i = 0; i < 6 && t->turn[i]; i++) {
		const uint8_t *p = (const uint8_t *)t->turn[i] + 1;
		size_t n = strlen((const char *)p);
		bool request = i % 2 == 0, taken;
		enum dir dir = request == (role == ROLE_SERVER) ? DIR_RX : DIR_TX;

		if (!n)
			continue;
		phase_feed(&slow, dir, p, n, NULL, NULL);
		taken = request ? phase_plain_request(&fast, dir, p, n, NULL)
				: phase_plain_answer(&fast, dir, p, n, n, NULL);
		if (taken != (t->turn[i][0] == '+'))
			fail_msg("%s, turn %u: %s", t->name, i, taken ? "taken" : "declined");
		if (!taken)
			phase_feed(&fast, dir, p, n, NULL, NULL);
		if (memcmp(&slow, &fast, sizeof(slow)))
			fail_msg("%s, turn %u: the machines differ", t->name, i);
	}
}

static void the_short_way_ends_where_the_long_way_does(void **state)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(talks); i++) {
		play(&talks[i], ROLE_SERVER);
		play(&talks[i], ROLE_CLIENT);
	}
}

/* Once more, with heads that somebody knows already. */
static void play_known(const struct talk *t, enum role role)
{
	struct phase_machine slow, fast;

	phase_init(&slow, role);
	phase_init(&fast, role);
	for (unsigned i = 0; i < 6 && t->turn[i]; i++) {
		const uint8_t *p = (const uint8_t *)t->turn[i] + 1;
		size_t n = strlen((const char *)p);
		bool request = i % 2 == 0, taken;
		enum dir dir = request == (role == ROLE_SERVER) ? DIR_RX : DIR_TX;
		struct http_head head;

		if (!n)
			continue;
		phase_feed(&slow, dir, p, n, NULL, NULL);
		http_head_init(&head, request ? HTTP_REQUEST : HTTP_RESPONSE);
		http_head_feed(&head, p, n, NULL, NULL);
		if (head.state != HTTP_DONE)
			taken = false;
		else
			taken = request ? phase_plain_request(&fast, dir, p, n, &head)
					: phase_plain_answer(&fast, dir, p, n, n, &head);
		if (taken != (t->turn[i][0] == '+'))
			fail_msg("%s, turn %u: %s", t->name, i, taken ? "taken" : "declined");
		if (taken && request)
			fast.request = slow.request;
		else if (taken)
			fast.response = slow.response;
		else
			phase_feed(&fast, dir, p, n, NULL, NULL);
		if (memcmp(&slow, &fast, sizeof(slow)))
			fail_msg("%s, turn %u: the machines differ", t->name, i);
	}
}

static void a_known_head_means_what_it_means_when_it_is_read(void **state)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(talks); i++) {
		play_known(&talks[i], ROLE_SERVER);
		play_known(&talks[i], ROLE_CLIENT);
	}
}

static void a_body_behind_the_first_run_is_only_counted(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
	struct phase_machine m;
	size_t n = sizeof(head) - 1;

	phase_init(&m, ROLE_SERVER);
	assert_true(phase_plain_request(&m, DIR_RX, (const uint8_t *)GET, sizeof(GET) - 1, NULL));
	assert_false(phase_plain_answer(&m, DIR_TX, (const uint8_t *)head, n, n + 999, NULL));
	assert_false(phase_plain_answer(&m, DIR_TX, (const uint8_t *)head, n, n + 1001, NULL));
	assert_true(phase_plain_answer(&m, DIR_TX, (const uint8_t *)head, n, n + 1000, NULL));
	assert_int_equal(phase_now(&m), PHASE_IDLE);
	assert_int_equal(m.off[DIR_TX], n + 1000);
}

static void a_stream_the_wrong_way_round_is_declined(void **state)
{
	struct phase_machine m;

	phase_init(&m, ROLE_SERVER);
	assert_false(phase_plain_request(&m, DIR_TX, (const uint8_t *)GET, sizeof(GET) - 1, NULL));
	assert_true(phase_plain_request(&m, DIR_RX, (const uint8_t *)GET, sizeof(GET) - 1, NULL));
	assert_false(phase_plain_answer(&m, DIR_RX, (const uint8_t *)OK, sizeof(OK) - 1,
					sizeof(OK) - 1, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_short_way_ends_where_the_long_way_does),
		cmocka_unit_test(a_known_head_means_what_it_means_when_it_is_read),
		cmocka_unit_test(a_body_behind_the_first_run_is_only_counted),
		cmocka_unit_test(a_stream_the_wrong_way_round_is_declined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
