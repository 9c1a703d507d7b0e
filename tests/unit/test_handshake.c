/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_handshake: the Accept value is right, and a wrong one is explained by the mistake that makes
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/websocket/handshake.h"
#include "tests/unit/guard.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY  "dGhlIHNhbXBsZSBub25jZQ=="

static struct span span_of(const char *text)
{
	return (struct span){(const uint8_t *)text, strlen(text)};
}

static void digest_of(const char *text, size_t n, const char *hex)
{
	uint8_t sum[20];
	char got[41];

	ws_sha1((struct span){guard_copy(text, n), n}, sum);
	for (unsigned i = 0; i < 20; i++)
		sprintf(got + 2 * i, "%02x", sum[i]);
	assert_string_equal(got, hex);
}

static void sha1_gives_the_published_digests(void **state)
{
	static char run[119];

	digest_of("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	digest_of("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(run, 'a', sizeof(run));
	digest_of(run, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
	digest_of(run, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
	digest_of(run, 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
}

static void base64_gives_the_published_texts_and_their_lengths(void **state)
{
	static const char *const row[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/"},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(row); i++) {
		char text[16];
		size_t n = ws_base64(span_of(row[i][0]), text);

		assert_int_equal(n, strlen(row[i][1]));
		assert_memory_equal(text, row[i][1], n);
		assert_int_equal(ws_base64_length(span_of(row[i][1])), strlen(row[i][0]));
	}
}

static void what_is_no_base64_has_no_length(void **state)
{
	static const char *const bad[] = {"a",	  "ab",	   "abc",  "ab=c",  "a===", "====",
					  "ab c", "ab\n=", "abc*", "abcd=", "=abc", "ab-_"};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(bad); i++)
		assert_int_equal(ws_base64_length(span_of(bad[i])), -1);
	assert_int_equal(ws_base64_length(span_of(KEY)), 16);
	assert_int_equal(ws_base64_length(span_of("AQIDBAUGBwgJCgsMDQ4PEC==")), 16);
}

static void the_accept_of_the_standard_is_computed(void **state)
{
	char accept[WS_ACCEPT_LEN];

	ws_accept(span_of(KEY), accept);
	assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_ACCEPT_LEN);
	ws_accept((struct span){NULL, 0}, accept);
	assert_memory_equal(accept, "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=", WS_ACCEPT_LEN);
}

/* base64 of the digest of text, made without the code that is judged. */
static struct span accept_from(const char *text)
{
	static char out[64];
	uint8_t sum[20];

	ws_sha1(span_of(text), sum);
	return (struct span){(uint8_t *)out, ws_base64((struct span){sum, 20}, out)};
}

static enum ws_accept_mistake mistake(struct span accept)
{
	return ws_accept_diagnose(span_of(KEY), accept);
}

static void every_mistake_is_recognised_by_what_it_makes(void **state)
{
	char hex[64];
	uint8_t sum[20];

	ws_sha1(span_of(KEY GUID), sum);
	for (unsigned i = 0; i < 20; i++)
		sprintf(hex + 2 * i, "%02X", sum[i]);
	assert_int_equal(mistake(accept_from(KEY GUID)), WS_ACCEPT_RIGHT);
	assert_int_equal(mistake(accept_from("the sample nonce" GUID)), WS_ACCEPT_DECODED_KEY);
	assert_int_equal(mistake(accept_from(KEY "\r" GUID)), WS_ACCEPT_KEY_WITH_CR);
	assert_int_equal(mistake(accept_from(KEY "\r\n" GUID)), WS_ACCEPT_KEY_WITH_CR);
	assert_int_equal(mistake(accept_from(" " KEY GUID)), WS_ACCEPT_LEADING_SPACE);
	assert_int_equal(mistake(span_of(hex)), WS_ACCEPT_HEX_DIGEST);
	assert_int_equal(mistake(accept_from(GUID)), WS_ACCEPT_EMPTY_KEY);
	assert_int_equal(mistake(accept_from("dGhlIHNhbXBsZSBub25jZQ=" GUID)),
			 WS_ACCEPT_TRUNCATED_KEY);
	assert_int_equal(mistake(accept_from("d" GUID)), WS_ACCEPT_TRUNCATED_KEY);
	assert_int_equal(mistake(accept_from(KEY)), WS_ACCEPT_NO_GUID);
	assert_int_equal(mistake(span_of(KEY)), WS_ACCEPT_ECHOED_KEY);
	assert_int_equal(mistake(span_of("")), WS_ACCEPT_UNKNOWN);
	assert_int_equal(mistake(accept_from("another key" GUID)), WS_ACCEPT_UNKNOWN);
}

static void a_hexadecimal_digest_in_base64_is_recognised_in_either_case(void **state)
{
	uint8_t sum[20];

	ws_sha1(span_of(KEY GUID), sum);
	for (unsigned f = 0; f < 2; f++) {
		char hex[64], text[64];

		for (unsigned i = 0; i < 20; i++)
			sprintf(hex + 2 * i, f ? "%02X" : "%02x", sum[i]);
		assert_int_equal(
			mistake((struct span){(uint8_t *)text, ws_base64(span_of(hex), text)}),
			WS_ACCEPT_HEX_DIGEST);
	}
}

static void hostile_keys_are_judged_without_harm(void **state)
{
	static char key[4096];
	struct span empty = {NULL, 0};

	memset(key, 'A', sizeof(key));
	assert_int_equal(
		ws_accept_diagnose((struct span){guard_copy(key, 4096), 4096}, span_of("x")),
		WS_ACCEPT_UNKNOWN);
	assert_int_equal(ws_accept_diagnose(empty, empty), WS_ACCEPT_UNKNOWN);
	assert_int_equal(ws_accept_diagnose(empty, accept_from(GUID)), WS_ACCEPT_RIGHT);
}

static void every_mistake_has_its_sentence(void **state)
{
	for (int m = WS_ACCEPT_RIGHT; m <= WS_ACCEPT_UNKNOWN; m++) {
		const char *text = ws_accept_mistake_text((enum ws_accept_mistake)m);

		assert_true(strlen(text) > 10);
		for (int other = 0; other < m; other++)
			assert_string_not_equal(
				text, ws_accept_mistake_text((enum ws_accept_mistake)other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_gives_the_published_digests),
		cmocka_unit_test(base64_gives_the_published_texts_and_their_lengths),
		cmocka_unit_test(what_is_no_base64_has_no_length),
		cmocka_unit_test(the_accept_of_the_standard_is_computed),
		cmocka_unit_test(every_mistake_is_recognised_by_what_it_makes),
		cmocka_unit_test(a_hexadecimal_digest_in_base64_is_recognised_in_either_case),
		cmocka_unit_test(hostile_keys_are_judged_without_harm),
		cmocka_unit_test(every_mistake_has_its_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
