/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_view: a head taken apart into spans that lie in the caller's bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/http/view.h"
#include "tests/unit/guard.h"

static struct http_view view; /* too large for a stack of habit */

static size_t parse(enum http_kind kind, const char *text)
{
	size_t n = strlen(text);

	return http_view_parse(&view, kind, (struct span){guard_copy(text, n), n});
}

static void assert_span(struct span s, const char *text)
{
	assert_int_equal(s.n, strlen(text));
	if (s.n)
		assert_memory_equal(s.p, text, s.n);
}

static void a_request_is_readable_by_part_and_by_field(void **state)
{
	static const char head[] = "GET /a?b HTTP/1.1\r\nHost: x\r\nCookie:a\r\ncookie: b\r\n\r\n";
	char text[sizeof(head) + 4];

	snprintf(text, sizeof(text), "%srest", head);
	assert_int_equal(parse(HTTP_REQUEST, text), strlen(head));
	assert_span(view.method, "GET");
	assert_span(view.target, "/a?b");
	assert_span(view.version, "HTTP/1.1");
	assert_int_equal(view.field_count, 3);
	assert_span(http_view_field(&view, "HOST", 0)->value, "x");
	assert_int_equal(http_view_field(&view, "host", 0)->off, 19);
	assert_int_equal(http_view_count(&view, "cookie"), 2);
	assert_span(http_view_field(&view, "Cookie", 1)->value, "b");
	assert_span(http_view_field(&view, "Cookie", 1)->name, "cookie");
	assert_null(http_view_field(&view, "cookie", 2));
	assert_null(http_view_field(&view, "cooki", 0));
}

static void an_answer_is_readable_by_part(void **state)
{
	assert_int_equal(parse(HTTP_RESPONSE, "HTTP/1.0 404 Not Found\r\nA:\r\n\r\n"), 30);
	assert_span(view.version, "HTTP/1.0");
	assert_span(view.status, "404");
	assert_span(view.reason, "Not Found");
	assert_span(http_view_field(&view, "a", 0)->value, "");
}

static void an_incomplete_or_broken_head_keeps_what_was_readable(void **state)
{
	assert_int_equal(parse(HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: web"), 0);
	assert_int_equal(view.head.state, HTTP_MORE);
	assert_span(view.target, "/");
	assert_int_equal(view.field_count, 1);
	assert_int_equal(parse(HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nA: b\r\n: c\r\n\r\n"), 0);
	assert_int_equal(view.head.state, HTTP_BAD);
	assert_span(view.status, "200");
	assert_int_equal(view.field_count, 1);
}

static void fields_beyond_the_room_are_counted_not_lost(void **state)
{
	static char text[8192] = "GET / HTTP/1.1\r\n";

	for (unsigned i = 0; i < HTTP_VIEW_FIELDS + 7; i++)
		strcat(text, "A: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(parse(HTTP_REQUEST, text), strlen(text));
	assert_int_equal(view.field_count, HTTP_VIEW_FIELDS);
	assert_int_equal(view.dropped, 7);
}

static void a_token_is_found_in_any_field_of_the_name(void **state)
{
	parse(HTTP_REQUEST, "GET / HTTP/1.1\r\nConnection: keep-alive,\r\n Upgrade\r\nX: close\r\n"
			    "connection: te\r\n\r\n");
	assert_true(http_view_has_token(&view, "Connection", "upgrade"));
	assert_true(http_view_has_token(&view, "Connection", "TE"));
	assert_true(http_view_has_token(&view, "Connection", "Keep-Alive"));
	assert_false(http_view_has_token(&view, "Connection", "close"));
	assert_false(http_view_has_token(&view, "Connection", "keep"));
}

static void a_list_is_walked_without_its_empty_elements(void **state)
{
	static const struct {
		const char *list, *joined;
	} row[] = {
		{"", ""},
		{"a", "[a]"},
		{"a,b", "[a][b]"},
		{" a , b\t", "[a][b]"},
		{",,a,,", "[a]"},
		{"a b,c", "[a b][c]"},
		{"a,\r\n b", "[a][b]"},
		{" , ,", ""},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(row); i++) {
		size_t n = strlen(row[i].list), at = 0;
		struct span list = {guard_copy(row[i].list, n), n}, item;
		char joined[64] = "";

		while (http_list_next(list, &at, &item))
			sprintf(joined + strlen(joined), "[%.*s]", (int)item.n, item.p);
		assert_string_equal(joined, row[i].joined);
	}
}

static void spans_compare_exactly_or_without_case(void **state)
{
	struct span s = {(const uint8_t *)"WebSocket", 9}, part = {s.p, 3}, none = {NULL, 0};

	assert_true(span_is(s, "WebSocket"));
	assert_false(span_is(s, "websocket"));
	assert_true(span_is_nocase(s, "websocKET"));
	assert_false(span_is_nocase(s, "websockets"));
	assert_false(span_is_nocase(part, "websocket"));
	assert_true(span_is(part, "Web"));
	assert_true(span_is(none, ""));
	assert_false(span_is(none, "x"));
	assert_false(span_is_nocase((struct span){(const uint8_t *)"a[", 2}, "a{"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_readable_by_part_and_by_field),
		cmocka_unit_test(an_answer_is_readable_by_part),
		cmocka_unit_test(an_incomplete_or_broken_head_keeps_what_was_readable),
		cmocka_unit_test(fields_beyond_the_room_are_counted_not_lost),
		cmocka_unit_test(a_token_is_found_in_any_field_of_the_name),
		cmocka_unit_test(a_list_is_walked_without_its_empty_elements),
		cmocka_unit_test(spans_compare_exactly_or_without_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
