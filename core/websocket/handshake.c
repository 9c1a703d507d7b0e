/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/handshake: the Accept value, and the mistakes that lead to another one.
 *
 * Each mistake is a piece put before the GUID, or a different use of the digest; it is tried, not
 * guessed, so a diagnosis is a proof.
 */
#include "core/websocket/digest.h"
#include "core/websocket/handshake.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#define SPAN_OF(text) ((struct span){(const uint8_t *)(text), sizeof(text) - 1})

enum {
	KEY_MAX = 64, /* longest key whose mistakes are looked for; a real one has 24 characters */
};

static void digest(const struct span *piece, unsigned n, uint8_t ret[20])
{
	struct sha1 s;

	sha1_init(&s);
	for (unsigned i = 0; i < n; i++)
		sha1_add(&s, piece[i].p, piece[i].n);
	sha1_done(&s, ret);
}

static bool same(struct span a, const char *p, size_t n)
{
	return a.n == n && memcmp(a.p, p, n) == 0;
}

/* Is accept the base64 of the digest of these pieces? */
static bool made_from(struct span accept, const struct span *piece, unsigned n)
{
	char text[WS_ACCEPT_LEN];
	uint8_t sum[20];

	digest(piece, n, sum);
	return same(accept, text, ws_base64((struct span){sum, sizeof(sum)}, text));
}

void ws_accept(struct span key, char ret[WS_ACCEPT_LEN])
{
	uint8_t sum[20];

	digest((struct span[]){key, SPAN_OF(guid)}, 2, sum);
	ws_base64((struct span){sum, sizeof(sum)}, ret);
}

static bool is_hex_digest(struct span key, struct span accept, const char digits[17])
{
	uint8_t sum[20], hex[40];
	char text[56];

	digest((struct span[]){key, SPAN_OF(guid)}, 2, sum);
	for (unsigned i = 0; i < sizeof(sum); i++) {
		hex[2 * i] = (uint8_t)digits[sum[i] >> 4];
		hex[2 * i + 1] = (uint8_t)digits[sum[i] & 15];
	}
	return same(accept, (const char *)hex, sizeof(hex)) ||
	       same(accept, text, ws_base64((struct span){hex, sizeof(hex)}, text));
}

static bool is_decoded_key(struct span key, struct span accept)
{
	uint8_t raw[KEY_MAX];
	int n = base64_decode(key, raw, sizeof(raw));

	return n >= 0 && made_from(accept, (struct span[]){{raw, (size_t)n}, SPAN_OF(guid)}, 2);
}

static bool is_truncated_key(struct span key, struct span accept)
{
	for (size_t n = key.n; n-- > 1;) {
		if (made_from(accept, (struct span[]){{key.p, n}, SPAN_OF(guid)}, 2))
			return true;
	}
	return false;
}

enum ws_accept_mistake ws_accept_diagnose(struct span key, struct span accept)
{
	const struct span end = SPAN_OF(guid), cr = SPAN_OF("\r"), crlf = SPAN_OF("\r\n");

	if (made_from(accept, (struct span[]){key, end}, 2))
		return WS_ACCEPT_RIGHT;
	if (made_from(accept, &end, 1))
		return WS_ACCEPT_EMPTY_KEY;
	if (key.n == 0 || key.n > KEY_MAX)
		return WS_ACCEPT_UNKNOWN;
	if (same(accept, (const char *)key.p, key.n))
		return WS_ACCEPT_ECHOED_KEY;
	if (is_decoded_key(key, accept))
		return WS_ACCEPT_DECODED_KEY;
	if (made_from(accept, (struct span[]){key, cr, end}, 3) ||
	    made_from(accept, (struct span[]){key, crlf, end}, 3))
		return WS_ACCEPT_KEY_WITH_CR;
	if (made_from(accept, (struct span[]){SPAN_OF(" "), key, end}, 3))
		return WS_ACCEPT_LEADING_SPACE;
	if (is_hex_digest(key, accept, "0123456789abcdef") ||
	    is_hex_digest(key, accept, "0123456789ABCDEF"))
		return WS_ACCEPT_HEX_DIGEST;
	if (made_from(accept, &key, 1))
		return WS_ACCEPT_NO_GUID;
	if (is_truncated_key(key, accept))
		return WS_ACCEPT_TRUNCATED_KEY;
	return WS_ACCEPT_UNKNOWN;
}

const char *ws_accept_mistake_text(enum ws_accept_mistake m)
{
	switch (m) {
	case WS_ACCEPT_RIGHT:
		return "the value is right";
	case WS_ACCEPT_DECODED_KEY:
		return "the key was base64-decoded before hashing; the text itself is hashed";
	case WS_ACCEPT_KEY_WITH_CR:
		return "the line end behind the key was hashed with it";
	case WS_ACCEPT_LEADING_SPACE:
		return "the blank before the key was hashed with it";
	case WS_ACCEPT_HEX_DIGEST:
		return "the digest was used in hexadecimal instead of its 20 bytes";
	case WS_ACCEPT_EMPTY_KEY:
		return "an empty key was hashed: the field was not found under the name looked for";
	case WS_ACCEPT_TRUNCATED_KEY:
		return "only the first part of the key was hashed";
	case WS_ACCEPT_NO_GUID:
		return "the GUID of RFC 6455 was not appended to the key";
	case WS_ACCEPT_ECHOED_KEY:
		return "the key was sent back as it came";
	case WS_ACCEPT_UNKNOWN:
		break;
	}
	return "no known mistake leads to this value; it may belong to another connection's key";
}
