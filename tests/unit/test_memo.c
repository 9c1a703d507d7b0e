/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Heads that were read before: only the very same bytes are taken for them, and what is told of them is
 * what the scanner says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "shim/engine/memo.c"

#define GET    "GET /a/b?c HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

static int forget(void **state)
{
	memo_forget();
	memset(places, 0, sizeof(places));
	return 0;
}

static bool find(enum http_kind kind, const char *text, size_t n, uint64_t whole, struct memo *ret)
{
	return memo_find(kind, (const uint8_t *)text, n, whole, ret);
}

static bool is_known(const char *text)
{
	struct memo m;

	return find(HTTP_REQUEST, text, strlen(text), strlen(text), &m);
}

static void keep(const char *text)
{
	memo_keep(HTTP_REQUEST, (const uint8_t *)text, strlen(text), strlen(text), 7);
}

/* A request head of n bytes. */
static void write_head(char *to, size_t n)
{
	static const char start[] = "GET / HTTP/1.1\r\nX: ", end[] = "\r\n\r\n";

	memset(to, 'x', n);
	memcpy(to, start, sizeof(start) - 1);
	memcpy(to + n - 4, end, sizeof(end));
}

static void a_head_is_told_as_the_scanner_reads_it(void **state)
{
	char text[MEMO_MOST + 1];
	struct http_head h;
	struct memo m;

	for (size_t n = MEMO_LEAST; n <= MEMO_MOST; n++) {
		write_head(text, n);
		forget(NULL);
		assert_false(is_known(text));
		keep(text);
		assert_true(find(HTTP_REQUEST, text, n, n, &m));
		http_head_init(&h, HTTP_REQUEST);
		assert_int_equal(http_head_feed(&h, (const uint8_t *)text, n, NULL, NULL), n);
		assert_memory_equal(&m.head, &h, sizeof(h));
		assert_int_equal(m.route, 7);
	}
}

static void one_byte_makes_another_head(void **state)
{
	char text[MEMO_MOST + 1];

	for (size_t n = MEMO_LEAST; n < MEMO_LEAST + 80; n++) {
		write_head(text, n);
		forget(NULL);
		keep(text);
		for (size_t i = 0; i < n; i++) {
			text[i] ^= 1;
			if (is_known(text))
				fail_msg("%zu bytes: byte %zu does not matter", n, i);
			text[i] ^= 1;
		}
		assert_true(is_known(text));
	}
}

static void a_request_ends_with_its_head_and_an_answer_need_not(void **state)
{
	struct memo m;
	size_t n = strlen(GET), a = strlen(ANSWER);

	keep(GET);
	memo_keep(HTTP_RESPONSE, (const uint8_t *)ANSWER, a, a + 4, 0);
	assert_false(find(HTTP_REQUEST, GET "x", n + 1, n, &m));
	assert_false(find(HTTP_REQUEST, GET, n - 1, n, &m));
	assert_true(find(HTTP_RESPONSE, ANSWER "pong", a + 4, a + 4, &m));
	assert_int_equal(m.head.len, a);
	assert_true(find(HTTP_RESPONSE, ANSWER, a, a + 4, &m));
	assert_false(find(HTTP_RESPONSE, ANSWER, a - 1, a + 4, &m));
	assert_false(find(HTTP_REQUEST, ANSWER, a, a + 4, &m));
}

static void what_is_no_whole_head_is_not_kept(void **state)
{
	keep("GET /a HTTP/1.1\r\nHost: example.org\r\n");
	assert_false(is_known("GET /a HTTP/1.1\r\nHost: example.org\r\n"));
	forget(NULL);
	keep("GET /a HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n");
	assert_false(is_known("GET /a HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n"));
	forget(NULL);
	keep("GET / HTTP/1.1\r\n\r\n");
	assert_false(is_known("GET / HTTP/1.1\r\n\r\n"));
}

static void what_does_not_come_again_makes_room_in_the_end(void **state)
{
	char text[64];
	unsigned known = 0;

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "GET /%06u HTTP/1.1\r\nHost: example.org\r\n\r\n", i);
		keep(text);
		known += is_known(text); /* which is to come again */
	}
	assert_in_range(known, 100, 10000);
	known = 0;
	for (unsigned i = 0; i < 10000; i++) {
		uint32_t before = 0, after = 0;

		for (unsigned k = 0; k < PLACES; k++)
			before += places[k].turn;
		snprintf(text, sizeof(text), "GET /x%05u HTTP/1.1\r\nHost: example.org\r\n\r\n", i);
		keep(text);
		for (unsigned k = 0; k < PLACES; k++)
			after += places[k].turn;
		known += before != after;
	}
	assert_in_range(known, 100, 10000 / TRIAL);
}

static void all_is_forgotten_at_once(void **state)
{
	keep(GET);
	assert_true(is_known(GET));
	memo_forget();
	assert_false(is_known(GET));
}

static void what_is_being_written_is_not_found(void **state)
{
	struct place *at = place_of((const uint8_t *)GET, strlen(GET));

	keep(GET);
	at->turn++;
	assert_false(is_known(GET));
	at->trial = 0;
	keep("GET /a/b?c HTTP/1.1\r\nHost: example.com\r\n\r\n");
	at->turn--;
	assert_true(is_known(GET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_head_is_told_as_the_scanner_reads_it, forget),
		cmocka_unit_test_setup(one_byte_makes_another_head, forget),
		cmocka_unit_test_setup(a_request_ends_with_its_head_and_an_answer_need_not, forget),
		cmocka_unit_test_setup(what_is_no_whole_head_is_not_kept, forget),
		cmocka_unit_test_setup(what_does_not_come_again_makes_room_in_the_end, forget),
		cmocka_unit_test_setup(all_is_forgotten_at_once, forget),
		cmocka_unit_test_setup(what_is_being_written_is_not_found, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
