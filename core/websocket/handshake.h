/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/handshake: the arithmetic of the opening handshake.
 * Source: RFC 6455 sections 1.3, 4.1 and 4.2.2; RFC 3174 (SHA-1); RFC 4648 section 4 (base64).
 */
#ifndef CORE_WEBSOCKET_HANDSHAKE_H
#define CORE_WEBSOCKET_HANDSHAKE_H

#include "core/core.h"

enum {
	WS_ACCEPT_LEN = 28, /* base64 of 20 bytes */
};

/* base64(SHA-1(key || GUID)); ret is not NUL-terminated. */
void ws_accept(struct span key, char ret[WS_ACCEPT_LEN]);

/* Number of bytes a base64 text stands for, decoded leniently (non-zero pad bits are accepted:
 * the RFC's own sample has them), or -1 when it is no base64. */
int ws_base64_length(struct span text);

/* Which mistake turns the key into the Accept that was sent?  Recomputed, not guessed. */
enum ws_accept_mistake {
	WS_ACCEPT_RIGHT,
	WS_ACCEPT_DECODED_KEY, /* hashed the 16 decoded bytes */
	WS_ACCEPT_KEY_WITH_CR, /* hashed the key with its trailing CR */
	WS_ACCEPT_LEADING_SPACE,
	WS_ACCEPT_HEX_DIGEST, /* base64 of the hexadecimal digest, or the digest in hex itself */
	WS_ACCEPT_EMPTY_KEY,
	WS_ACCEPT_TRUNCATED_KEY,
	WS_ACCEPT_NO_GUID,
	WS_ACCEPT_ECHOED_KEY,
	WS_ACCEPT_UNKNOWN,
};
enum ws_accept_mistake ws_accept_diagnose(struct span key, struct span accept);
const char *ws_accept_mistake_text(enum ws_accept_mistake m);

void ws_sha1(struct span in, uint8_t ret[20]);
/* ret must hold 4 * ((in.n + 2) / 3) chars; returns that many. */
size_t ws_base64(struct span in, char *ret);

#endif
