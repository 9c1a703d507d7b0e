/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/mask: copy bytes while blotting out secrets, byte for byte, so that offsets stay true.
 *
 * Incremental (any split gives the same output) and conservative: what cannot be told apart from a
 * secret is masked.  Masked bytes become '*'.
 * In heads: Authorization (scheme kept), Proxy-Authorization, Cookie and Set-Cookie (four letters of a
 * name kept), X-Api-Key, X-Auth-*, DPoP, client certificates; entries of Sec-WebSocket-Protocol that do
 * not look like names; and in the request line, Location and Referer URL userinfo, path segments that do
 * not look like names, and query values but those of a few harmless names and plain words.
 * In bodies of forms all values, in multipart bodies all.
 * In text and other bodies, as well as it goes: "Bearer x", user:pass@ and queries in URLs, and values of
 * secret-like keys (key=value, "key": "value").
 */
#ifndef CORE_TRACE_MASK_H
#define CORE_TRACE_MASK_H

#include "core/core.h"

enum mask_kind {
	MASK_HEAD, /* an HTTP head from its first byte */
	MASK_TEXT, /* a log line or a body */
};

struct masker { /* at most 48 bytes; copy it freely */
	uint8_t state[48];
};

void mask_init(struct masker *m, enum mask_kind kind);

/* Start the next head or text of a direction.  other masks the other direction: a subprotocol that was
 * a secret there is one here, where the server may choose it. */
void mask_restart(struct masker *m, enum mask_kind kind, const struct masker *other);

/* Copy a request target, or the path of one, that stands alone. */
void mask_target(uint8_t *dst, const uint8_t *src, size_t n);

/* n bytes; dst is src, or they do not overlap. */
void mask_copy(struct masker *m, uint8_t *dst, const uint8_t *src, size_t n);

#endif
