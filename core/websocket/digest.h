/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/digest: SHA-1 fed piece by piece, and base64 backwards.  Private to core/websocket.
 */
#ifndef CORE_WEBSOCKET_DIGEST_H
#define CORE_WEBSOCKET_DIGEST_H

#include "core/core.h"

struct sha1 {
	uint32_t state[5];
	uint8_t block[64];
	uint64_t bytes;
};

void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *p, size_t n);
void sha1_done(struct sha1 *s, uint8_t ret[20]);

/* Decode at most max bytes into ret (NULL: only count).  Returns the length of all of it, or -1 when
 * text is no base64.  Non-zero pad bits are accepted, blanks and missing padding are not. */
int base64_decode(struct span text, uint8_t *ret, size_t max);

#endif
