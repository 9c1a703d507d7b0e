/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whatever a peer sends, a report can be shown in a terminal and parsed as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/format/object.h"

#define SPAN(text) ((struct span){(const uint8_t *)(text), sizeof(text) - 1})

static char *escaped(struct span bytes, size_t max)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	format_escaped(out, bytes, max);
	fclose(out);
	return text;
}

static void is_escaped(struct span bytes, const char *want)
{
	char *text = escaped(bytes, SIZE_MAX);

	assert_string_equal(text, want);
	free(text);
}

static void terminal_escapes_are_shown_not_obeyed(void **state)
{
	is_escaped(SPAN("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
	is_escaped(SPAN("\x9b"
			"31m"),
		   "\\x9b31m");
	is_escaped(SPAN("a\bb\x7f"), "a\\x08b\\x7f");
}

static void line_ends_are_visible(void **state)
{
	is_escaped(SPAN("GET / HTTP/1.1\r\n\r\n"), "GET / HTTP/1.1\\r\\n\\r\\n");
	is_escaped(SPAN("a\tb"), "a\\tb");
}

static void a_backslash_cannot_be_mistaken_for_an_escape(void **state)
{
	is_escaped(SPAN("\\x1b"), "\\\\x1b");
}

static void nul_bytes_do_not_end_the_text(void **state)
{
	is_escaped(SPAN("a\0b"), "a\\x00b");
}

static void every_byte_comes_out_as_printable_ascii(void **state)
{
	unsigned c, i;

	for (c = 0; c < 256; c++) {
		uint8_t byte = (uint8_t)c;
		char *text = escaped((struct span){&byte, 1}, SIZE_MAX);

		assert_true(strlen(text) >= 1);
		for (i = 0; text[i]; i++)
			assert_in_range(text[i], 0x20, 0x7e);
		free(text);
	}
}

static void a_cut_is_marked(void **state)
{
	char *text = escaped(SPAN("abcdef"), 3);

	assert_string_equal(text, "abc...");
	free(text);
}

static void a_buffer_never_ends_inside_an_escape(void **state)
{
	char buffer[8];
	size_t used, size;

	for (size = 1; size <= sizeof(buffer); size++) {
		size_t n = format_escape(buffer, size, SPAN("a\x01\x02"), &used);

		assert_true(n < size);
		assert_int_equal(strlen(buffer), n);
		assert_int_equal(n, used == 0 ? 0 : 1 + (used - 1) * 4);
	}
}

static void is_utf8(struct span bytes, const char *want)
{
	char *text = format_utf8(bytes, NULL);

	assert_string_equal(text, want);
	free(text);
}

static void json_text_keeps_utf8_and_escapes_the_rest(void **state)
{
	is_utf8(SPAN("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
	is_utf8(SPAN("\xff\xfe"), "\\xff\\xfe");
	is_utf8(SPAN("\xc0\xaf"), "\\xc0\\xaf");		   /* overlong */
	is_utf8(SPAN("\xed\xa0\x80"), "\\xed\\xa0\\x80");	   /* surrogate */
	is_utf8(SPAN("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	is_utf8(SPAN("\xe2\x82"), "\\xe2\\x82");		   /* cut off */
	is_utf8(SPAN("\xf0\x9f\x9a\xa2"), "\xf0\x9f\x9a\xa2");
}

static void any_bytes_make_well_formed_json(void **state)
{
	uint8_t all[256];
	json_t *value, *back;
	char *text;
	unsigned i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(255 - i);
	value = object_bytes((struct span){all, sizeof(all)});
	assert_non_null(value);
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	assert_non_null(text);
	back = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert_non_null(back);
	assert_null(strchr(text, 0x1b));
	json_decref(back);
	json_decref(value);
	free(text);
}

static void names_keep_their_letters_but_cannot_steer_a_terminal(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"m\xc3\xa4in.c", "m\xc3\xa4in.c"},
		{"a\x1b[2Jb", "a\\x1b[2Jb"},
		{"a\xc2\x9b"
		 "b",
		 "a\\xc2\\x9bb"}, /* C1 control sequence introducer */
		{"\xe2\x80\xae"
		 "c.txt",
		 "\\xe2\\x80\\xaec.txt"}, /* right-to-left override */
		{"\xff", "\\xff"},
	};
	size_t i;

	for (i = 0; i < CORE_ARRAY_LEN(cases); i++) {
		char *text = format_clean(cases[i].in);

		assert_string_equal(text, cases[i].out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terminal_escapes_are_shown_not_obeyed),
		cmocka_unit_test(line_ends_are_visible),
		cmocka_unit_test(a_backslash_cannot_be_mistaken_for_an_escape),
		cmocka_unit_test(nul_bytes_do_not_end_the_text),
		cmocka_unit_test(every_byte_comes_out_as_printable_ascii),
		cmocka_unit_test(a_cut_is_marked),
		cmocka_unit_test(a_buffer_never_ends_inside_an_escape),
		cmocka_unit_test(json_text_keeps_utf8_and_escapes_the_rest),
		cmocka_unit_test(any_bytes_make_well_formed_json),
		cmocka_unit_test(names_keep_their_letters_but_cannot_steer_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
