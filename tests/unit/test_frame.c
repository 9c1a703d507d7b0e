/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_frame: frame headers are decoded the same at every cut, and bytes that are no frame are known
 * for it at the first byte that proves it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/websocket/frame.h"
#include "tests/unit/guard.h"

struct wanted {
	size_t used; /* bytes of the header, or up to the proving one */
	uint64_t len;
	unsigned opcode, faults;
	bool masked, fin;
};

static size_t feed(struct ws_frame *f, const uint8_t *p, size_t n, size_t cut, size_t step)
{
	size_t at = 0;

	ws_frame_init(f);
	while (at < n && !f->complete) {
		size_t piece = at < cut ? cut - at : step;

		at += ws_frame_feed(f, p + at, piece < n - at ? piece : n - at);
	}
	return at;
}

static void check(const void *bytes, size_t n, struct wanted w)
{
	const uint8_t *p = guard_copy(bytes, n);
	struct ws_frame whole, cut;

	assert_int_equal(feed(&whole, p, n, n, n), w.used);
	assert_true(whole.complete);
	assert_int_equal(whole.have, w.used);
	assert_int_equal(whole.len, w.len);
	assert_int_equal(whole.left, w.len);
	assert_int_equal(ws_opcode(&whole), w.opcode);
	assert_int_equal(whole.faults, w.faults);
	assert_int_equal(ws_masked(&whole), w.masked);
	assert_int_equal(ws_fin(&whole), w.fin);
	assert_int_equal(ws_frame_feed(&whole, p, n), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(feed(&cut, p, n, i, i ? n : 1), w.used);
		assert_memory_equal(&cut, &whole, sizeof(cut));
	}
}

#define FRAME(bytes, ...) check(bytes, sizeof(bytes) - 1, (struct wanted){__VA_ARGS__})

static void headers_of_every_length_are_decoded(void **state)
{
	FRAME("\x81\x05hello", 2, 5, WS_TEXT, 0, false, true);
	FRAME("\x81\x85maskhello", 6, 5, WS_TEXT, 0, true, true);
	FRAME("\x02\x00", 2, 0, WS_BINARY, 0, false, false);
	FRAME("\x80\x7d", 2, 125, WS_CONTINUATION, 0, false, true);
	FRAME("\x82\x7e\x00\x7e", 4, 126, WS_BINARY, 0, false, true);
	FRAME("\x82\xfe\xff\xffmask", 8, 65535, WS_BINARY, 0, true, true);
	FRAME("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, 65536, WS_BINARY, 0, false, true);
	FRAME("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14, INT64_MAX, WS_BINARY, 0, true,
	      true);
	FRAME("\x88\x02", 2, 2, WS_CLOSE, 0, false, true);
	FRAME("\x89\x80mask", 6, 0, WS_PING, 0, true, true);
	FRAME("\x8a\x7d", 2, 125, WS_PONG, 0, false, true);
	FRAME("\xc1\x01", 2, 1, WS_TEXT, 0, false, true);
}

static void a_length_longer_than_needed_is_noted_and_followed(void **state)
{
	FRAME("\x82\x7e\x00\x7d", 4, 125, WS_BINARY, WS_LENGTH_NOT_MINIMAL, false, true);
	FRAME("\x82\x7e\x00\x05", 4, 5, WS_BINARY, WS_LENGTH_NOT_MINIMAL, false, true);
	FRAME("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, 65535, WS_BINARY,
	      WS_LENGTH_NOT_MINIMAL, false, true);
}

static void bytes_that_are_no_frame_are_known_at_once(void **state)
{
	FRAME("HTTP/1.1 400", 1, 0, WS_CLOSE, WS_CONTROL_FRAGMENTED, false, false);
	FRAME("0\r\n\r\n", 1, 0, WS_CONTINUATION, WS_BAD_RSV, false, false);
	FRAME("<html", 1, 0, 0xc, WS_BAD_OPCODE | WS_BAD_RSV | WS_CONTROL_FRAGMENTED, false, false);
	FRAME("{\"a\":1}", 1, 0, 0xb, WS_BAD_OPCODE | WS_BAD_RSV | WS_CONTROL_FRAGMENTED, false,
	      false);
	FRAME("\x1f\x8b", 1, 0, 0xf, WS_BAD_OPCODE | WS_BAD_RSV | WS_CONTROL_FRAGMENTED, false,
	      false);
	FRAME("\r\n", 1, 0, 0xd, WS_BAD_OPCODE | WS_CONTROL_FRAGMENTED, false, false);
	FRAME("\x83\x00", 1, 0, 3, WS_BAD_OPCODE, false, true);
	FRAME("\x8b\x00", 1, 0, 0xb, WS_BAD_OPCODE, false, true);
	FRAME("\xa1\x00", 1, 0, WS_TEXT, WS_BAD_RSV, false, true);
	FRAME("\x09\x00", 1, 0, WS_PING, WS_CONTROL_FRAGMENTED, false, false);
	FRAME("\x89\x7e\x00\x80", 2, 0, WS_PING, WS_CONTROL_LONG, false, true);
	FRAME("\x82\xff\x80\x00\x00\x00", 3, 0, WS_BINARY, WS_LENGTH_HIGH_BIT, true, true);
}

/* Whatever the first bytes are, and wherever the input ends. */
static void a_whole_header_is_read_at_once_as_byte_by_byte(void **state)
{
	static const uint8_t rest[][12] = {
		{0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 3, 4},
		{0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4},
		{127, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4},
		{128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
	};
	struct ws_frame f;
	uint8_t bytes[14];
	uint64_t len;

	for (unsigned first = 0; first < 65536; first++) {
		bytes[0] = (uint8_t)(first >> 8);
		bytes[1] = (uint8_t)first;
		memcpy(bytes + 2, rest[(first ^ first >> 8) % CORE_ARRAY_LEN(rest)], 12);
		for (size_t n = 0; n <= sizeof(bytes); n++) {
			const uint8_t *p = guard_copy(bytes, n);
			unsigned have = ws_frame_head(p, n, &len);
			bool sound;

			ws_frame_init(&f);
			ws_frame_feed(&f, p, n);
			sound = f.complete && !(f.faults & WS_NOT_A_FRAME);
			assert_int_equal(have, sound ? f.have : 0);
			if (sound)
				assert_int_equal(len, f.len);
		}
	}
}

static void every_opcode_has_a_name(void **state)
{
	static const struct {
		uint8_t opcode;
		const char *name;
	} row[] = {
		{0, "continuation"}, {1, "text"}, {2, "binary"}, {3, "reserved"},  {7, "reserved"},
		{8, "close"},	     {9, "ping"}, {10, "pong"},	 {11, "reserved"}, {15, "reserved"},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(row); i++)
		assert_string_equal(ws_opcode_name(row[i].opcode), row[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_every_length_are_decoded),
		cmocka_unit_test(a_length_longer_than_needed_is_noted_and_followed),
		cmocka_unit_test(bytes_that_are_no_frame_are_known_at_once),
		cmocka_unit_test(a_whole_header_is_read_at_once_as_byte_by_byte),
		cmocka_unit_test(every_opcode_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
