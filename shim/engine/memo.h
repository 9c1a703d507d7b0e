/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memo: heads that were read before.  Who keeps a connection alive tends to send the same head again
 * and again, byte for byte, and to be answered with the same one; to compare it is several times
 * cheaper than to read it.
 *
 * (1) What is told about a head is what http_head_feed made of exactly these bytes: they are compared,
 *     all of them, never a digest.
 * (2) Nobody waits: who meets somebody writing has not found it.  Who finds it writes nothing, so
 *     processors that serve the same requests do not take the lines from each other.
 * (3) Heads that are all different do not cost more than a look: few of them are kept.
 */
#ifndef SHIM_ENGINE_MEMO_H
#define SHIM_ENGINE_MEMO_H

#include "core/http/head.h"

enum {
	MEMO_LEAST = 32, /* bytes of a head worth keeping */
	MEMO_MOST = 896,
};

/* What is known of a head. */
struct memo {
	struct http_head head; /* complete */
	uint16_t route;	       /* its row of counts.h, COUNTS_NONE where nobody said */
};

/* Was the head that p begins with met before?
 *   p, n   bytes that begin with a head; a request's must end with it, too
 *   whole  bytes of the message in all, n or more
 * False: *ret is undefined, read the head. */
bool memo_find(enum http_kind kind, const uint8_t *p, size_t n, uint64_t whole, struct memo *ret);

/* memo_find with the same kind, p and whole did not find it.  Remember it, if it is worth it, together
 * with its route.
 *   p, n  the head and nothing else */
void memo_keep(enum http_kind kind, const uint8_t *p, size_t n, uint64_t whole, uint16_t route);

/* The rows of counts.h mean something else from now on: forget everything. */
void memo_forget(void);

#endif
