/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the head scanner and the chunk reader: anybody may send anything.
 *
 * Promises: no cut changes what is found or told, nothing is consumed that was not given, bytes
 * behind the head are without influence, parts follow each other, and a head ends with a line feed.
 * Input: one byte that chooses request, answer or chunked body, then the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/http/chunk.h"
#include "core/http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* What a sink was told, folded into a number. */
struct told {
	uint64_t sum;
	uint32_t end; /* of the part before */
	size_t n;     /* bytes given so far */
};

static void note(void *ctx, enum http_part part, uint32_t start, uint32_t end)
{
	struct told *t = ctx;

	must(start <= end && end <= t->n && start >= t->end);
	t->end = end;
	t->sum = (t->sum ^ part ^ (uint64_t)start << 8 ^ (uint64_t)end << 36) *
		 UINT64_C(0x9e3779b97f4a7c15);
}

/* Feed in pieces of step bytes (0: pieces of lengths that vary). */
static struct http_head feed(enum http_kind kind, const uint8_t *p, size_t n, size_t step,
			     struct told *t)
{
	struct http_head h;
	size_t at = 0;

	http_head_init(&h, kind);
	while (at < n && h.state == HTTP_MORE) {
		size_t piece = step ? step : 1 + (at * 7 + n) % 13, used;

		piece = piece < n - at ? piece : n - at;
		if (t)
			t->n = at + piece;
		used = http_head_feed(&h, p + at, piece, t ? note : NULL, t);
		must(used <= piece && (used == piece || h.state != HTTP_MORE));
		at += used;
		must(h.len == at);
	}
	must(http_head_feed(&h, p + at, h.state == HTTP_MORE ? 0 : n - at, NULL, NULL) == 0);
	return h;
}

static void check_head(enum http_kind kind, const uint8_t *p, size_t n)
{
	struct told t = {0}, cut;
	struct http_head h = feed(kind, p, n, n, &t), other;
	size_t step;

	for (step = 0; step < 3; step++) {
		memset(&cut, 0, sizeof(cut));
		other = feed(kind, p, n, step, &cut);
		must(memcmp(&h, &other, sizeof(h)) == 0 && cut.sum == t.sum);
		other = feed(kind, p, n, step, NULL);
		must(memcmp(&h, &other, offsetof(struct http_head, part_start)) == 0);
	}
	must(h.len <= n && h.len <= HTTP_HEAD_MAX);
	if (h.state == HTTP_DONE) {
		must(p[h.len - 1] == '\n');
		other = feed(kind, p, h.len, h.len, NULL);
		must(other.state == HTTP_DONE && other.flags == h.flags && other.len == h.len);
		other = feed(kind, p, h.len - 1, h.len, NULL);
		must(other.state == HTTP_MORE);
	}
	if (h.flags & HTTP_CHUNKED)
		must(h.flags & HTTP_TRANSFER_ENCODING);
	if (kind == HTTP_REQUEST)
		must(h.status == 0 && h.method < HTTP_METHOD_COUNT);
	else
		must(h.state != HTTP_DONE || (h.status >= 100 && h.status <= 999));
}

/* Chunk data is skipped unseen when skip is set. */
static struct http_chunk feed_chunks(const uint8_t *p, size_t n, size_t step, bool skip,
				     size_t *ret_used)
{
	struct http_chunk c;
	size_t at = 0;

	http_chunk_init(&c);
	while (at < n && !c.done && !c.bad) {
		size_t piece = step < n - at ? step : n - at;

		if (skip && http_chunk_skippable(&c)) {
			if (piece > http_chunk_skippable(&c))
				piece = (size_t)http_chunk_skippable(&c);
			http_chunk_skip(&c, piece);
			at += piece;
		} else {
			at += http_chunk_feed(&c, p + at, piece);
		}
	}
	*ret_used = at;
	return c;
}

static void check_chunks(const uint8_t *p, size_t n)
{
	size_t used, other_used;
	struct http_chunk c = feed_chunks(p, n, n, false, &used), other;

	must(used <= n && (used == n || c.done || c.bad) && !(c.done && c.bad));
	for (size_t step = 1; step < 4; step++) {
		other = feed_chunks(p, n, step, step & 1, &other_used);
		must(memcmp(&c, &other, sizeof(c)) == 0 && used == other_used);
	}
	if (c.done)
		must(p[used - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] % 3 == 2)
		check_chunks(data + 1, size - 1);
	else
		check_head(data[0] % 3 ? HTTP_RESPONSE : HTTP_REQUEST, data + 1, size - 1);
	return 0;
}
