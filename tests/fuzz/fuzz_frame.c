/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the frame decoder and the handshake: headers at any cut, keys and Accepts of any bytes.
 *
 * Promises: no cut changes a header, at most 14 bytes belong to one, no fault is named before it is
 * proven, and the Accept of a key is always judged right.
 */
#include <stdlib.h>
#include <string.h>

#include "core/websocket/frame.h"
#include "core/websocket/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

static size_t header(struct ws_frame *f, const uint8_t *p, size_t n, size_t step)
{
	size_t at = 0;

	ws_frame_init(f);
	while (at < n && !f->complete) {
		size_t piece = step < n - at ? step : n - at, used;

		used = ws_frame_feed(f, p + at, piece);
		must(used <= piece && (used == piece || f->complete));
		at += used;
	}
	return at;
}

static void check_header(const struct ws_frame *f, const uint8_t *p, size_t used)
{
	must(used <= 14 && f->have == used);
	if (!f->complete)
		return;
	must(f->first == p[0] && f->left == f->len);
	if (f->faults & WS_NOT_A_FRAME) {
		must(f->len == 0);
		return;
	}
	must(f->need == used && f->second == p[1] && !(f->len >> 63));
	must(!(ws_opcode(f) & 8) || (f->len < 126 && ws_fin(f)));
	must((p[1] & 0x7f) > 125 || f->len == (p[1] & 0x7f));
	must(strcmp(ws_opcode_name(ws_opcode(f)), "reserved") != 0);
}

/* One frame after another, as a stream would carry them. */
static void check_stream(const uint8_t *p, size_t n)
{
	while (n) {
		struct ws_frame whole, cut;
		size_t used = header(&whole, p, n, n);

		for (size_t step = 1; step < 4; step++) {
			must(header(&cut, p, n, step) == used);
			must(memcmp(&whole, &cut, sizeof(whole)) == 0);
		}
		check_header(&whole, p, used);
		if (!whole.complete || (whole.faults & WS_NOT_A_FRAME))
			return;
		p += used;
		n -= used;
		if (whole.left > n)
			return;
		p += whole.left;
		n -= whole.left;
	}
}

static void check_handshake(const uint8_t *p, size_t n)
{
	struct span key = {p, n / 2}, accept = {p + n / 2, n - n / 2};
	char right[WS_ACCEPT_LEN], *text = malloc(4 * ((n + 2) / 3) + 1);
	size_t len;

	must(text != NULL);
	ws_accept(key, right);
	must(ws_accept_diagnose(key, (struct span){(uint8_t *)right, WS_ACCEPT_LEN}) ==
	     WS_ACCEPT_RIGHT);
	must(ws_accept_mistake_text(ws_accept_diagnose(key, accept)) != NULL);
	len = ws_base64((struct span){p, n}, text);
	must(len == 4 * ((n + 2) / 3));
	must(ws_base64_length((struct span){(uint8_t *)text, len}) == (int)n);
	must(ws_base64_length(accept) <= (int)n);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_stream(data, size);
	if (size < 512)
		check_handshake(data, size);
	return 0;
}
