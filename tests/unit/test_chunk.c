/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_chunk: a chunked body ends exactly where it ends, however it is cut, whatever is behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/http/chunk.h"
#include "tests/unit/guard.h"

enum ends {
	GOES_ON,
	DONE,
	BAD,
};

static void check_cut(const uint8_t *p, size_t n, size_t cut, size_t step, enum ends ends,
		      size_t used, const struct http_chunk *whole)
{
	struct http_chunk c;
	size_t at = 0;

	http_chunk_init(&c);
	while (at < n && !c.done && !c.bad) {
		size_t piece = at < cut ? cut - at : step;

		at += http_chunk_feed(&c, p + at, piece < n - at ? piece : n - at);
	}
	assert_int_equal(c.done, ends == DONE);
	assert_int_equal(c.bad, ends == BAD);
	assert_int_equal(at, used);
	if (whole)
		assert_memory_equal(&c, whole, sizeof(c));
	if (ends != GOES_ON)
		assert_int_equal(http_chunk_feed(&c, p, n), 0);
}

/* used: bytes that belong to the body (DONE), or before the offending one (BAD). */
static void check(const void *bytes, size_t n, enum ends ends, size_t used)
{
	const uint8_t *p = guard_copy(bytes, n);
	struct http_chunk whole;

	http_chunk_init(&whole);
	http_chunk_feed(&whole, p, n);
	check_cut(p, n, n, n, ends, used, &whole);
	check_cut(p, n, 0, 1, ends, used, &whole);
	for (size_t cut = 1; cut < n; cut++)
		check_cut(p, n, cut, n, ends, used, &whole);
}

#define ALL(bytes, ends)	 check(bytes, sizeof(bytes) - 1, ends, sizeof(bytes) - 1)
#define CHECK(bytes, ends, used) check(bytes, sizeof(bytes) - 1, ends, used)

static void a_body_ends_behind_its_last_line_and_not_later(void **state)
{
	ALL("0\r\n\r\n", DONE);
	ALL("3\r\nabc\r\n0\r\n\r\n", DONE);
	ALL("3\r\nabc\r\n10\r\n0123456789abcdef\r\n000\r\n\r\n", DONE);
	CHECK("1\r\na\r\n0\r\n\r\nHTTP/1.1", DONE, 11);
	ALL("a\r\n0\r\n\r\n0\r\n12\r\n0\r\n\r\n", DONE); /* data that looks like framing */
	ALL("3\r\nabc\r\n", GOES_ON);
	ALL("3\r\nab", GOES_ON);
	ALL("0\r\n", GOES_ON);
	ALL("", GOES_ON);
}

static void extensions_trailers_and_bare_line_feeds_are_passed_over(void **state)
{
	ALL("3;name=value;x=\"1\"\r\nabc\r\n0;last\r\n\r\n", DONE);
	ALL("3 \t\r\nabc\r\n0\r\n\r\n", DONE);
	ALL("0\r\nExpires: never\r\n: odd\r\n\r\n", DONE);
	ALL("3\nabc\n0\nT: x\n\n", DONE);
	ALL("1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n", DONE);
}

static void broken_framing_is_bad_at_the_offending_byte(void **state)
{
	CHECK("\r\n", BAD, 0);
	CHECK("HTTP/1.1 101", BAD, 0);
	CHECK("g\r\n", BAD, 0);
	CHECK("-1\r\n", BAD, 0);
	CHECK("3x\r\nabc", BAD, 1);
	CHECK("3\rabc", BAD, 2);
	CHECK("3\r\nabcd\r\n", BAD, 6);
	CHECK("3\r\nabc\r0", BAD, 7);
	CHECK("3\r\nabc\r\n\r\n", BAD, 8);
	CHECK("3;\0\r\nabc", BAD, 2);
	CHECK("0\r\nA\0: b\r\n\r\n", BAD, 4);
	CHECK("0\r\n\0\r\n", BAD, 3);
	CHECK("0\r\n\rx", BAD, 4);
	ALL("7fffffffffffffff\r\n", GOES_ON);
	CHECK("8000000000000000\r\n", BAD, 15);
	CHECK("00000000000000000000003\r\nabc\r\n0\r\n\r\n", DONE, 35);
}

static void data_may_be_skipped_unseen_and_nothing_else(void **state)
{
	static const uint8_t head[] = "5\r\n", tail[] = "\r\n0\r\n\r\n";
	struct http_chunk c;

	http_chunk_init(&c);
	assert_int_equal(http_chunk_skippable(&c), 0);
	http_chunk_feed(&c, head, 3);
	assert_int_equal(http_chunk_skippable(&c), 5);
	http_chunk_skip(&c, 2);
	assert_int_equal(http_chunk_skippable(&c), 3);
	http_chunk_feed(&c, (const uint8_t *)"x", 1);
	http_chunk_skip(&c, 2);
	assert_int_equal(http_chunk_skippable(&c), 0);
	assert_int_equal(http_chunk_feed(&c, tail, 7), 7);
	assert_true(c.done);
	assert_int_equal(http_chunk_skippable(&c), 0);
}

static void the_place_of_a_size_line_is_known(void **state)
{
	struct http_chunk c;

	http_chunk_init(&c);
	assert_true(http_chunk_at_size(&c));
	http_chunk_feed(&c, (const uint8_t *)"1", 1);
	assert_false(http_chunk_at_size(&c));
	http_chunk_feed(&c, (const uint8_t *)"\r\nx\r", 4);
	assert_false(http_chunk_at_size(&c));
	http_chunk_feed(&c, (const uint8_t *)"\nH", 2);
	assert_true(c.bad);
	assert_true(http_chunk_at_size(&c));
	http_chunk_init(&c);
	http_chunk_feed(&c, (const uint8_t *)"1\r\nxH", 5);
	assert_true(c.bad);
	assert_false(http_chunk_at_size(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_ends_behind_its_last_line_and_not_later),
		cmocka_unit_test(extensions_trailers_and_bare_line_feeds_are_passed_over),
		cmocka_unit_test(broken_framing_is_bad_at_the_offending_byte),
		cmocka_unit_test(data_may_be_skipped_unseen_and_nothing_else),
		cmocka_unit_test(the_place_of_a_size_line_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
