/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/chunk: where a chunked body ends.  Same promises as http/head: copyable, any split, exact.
 * Source: RFC 9112 section 7.1.
 */
#ifndef CORE_HTTP_CHUNK_H
#define CORE_HTTP_CHUNK_H

#include "core/core.h"

struct http_chunk {
	uint64_t left; /* data bytes of the current chunk still to come */
	uint8_t step;
	uint8_t digits;
	uint8_t done;
	uint8_t bad;
	uint32_t spare;
};

void http_chunk_init(struct http_chunk *c);

/* Returns bytes consumed: n while the body goes on; less when it ended (done) or broke (bad). */
size_t http_chunk_feed(struct http_chunk *c, const uint8_t *p, size_t n);

/* The next byte must be the first of a chunk-size line.  Still true after a bad byte there. */
bool http_chunk_at_size(const struct http_chunk *c);

/* Bytes that may be skipped unseen (the data of the current chunk); 0 between chunks. */
uint64_t http_chunk_skippable(const struct http_chunk *c);
void http_chunk_skip(struct http_chunk *c, uint64_t n);

#endif
