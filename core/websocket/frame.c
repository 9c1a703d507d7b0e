/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/frame:  | FIN RSV123 opcode | MASK len7 | 0, 2 or 8 bytes of length | 0 or 4 of mask |
 */
#include "core/websocket/frame.h"

void ws_frame_init(struct ws_frame *f)
{
	*f = (struct ws_frame){.need = 2};
}

static bool is_control(const struct ws_frame *f)
{
	return f->first & 0x08;
}

static void give_up(struct ws_frame *f)
{
	f->len = 0;
	f->left = 0;
	f->complete = 1;
}

static void first_byte(struct ws_frame *f, uint8_t b)
{
	uint8_t opcode = b & 0x0f;

	f->first = b;
	if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
		f->faults |= WS_BAD_OPCODE;
	if (b & 0x30)
		f->faults |= WS_BAD_RSV;
	if (is_control(f) && !(b & 0x80))
		f->faults |= WS_CONTROL_FRAGMENTED;
}

static void second_byte(struct ws_frame *f, uint8_t b)
{
	uint8_t len7 = b & 0x7f;

	f->second = b;
	f->need = (uint8_t)(2 + (len7 == 126 ? 2 : len7 == 127 ? 8 : 0) + (b & 0x80 ? 4 : 0));
	if (len7 < 126)
		f->len = len7;
	else if (is_control(f))
		f->faults |= WS_CONTROL_LONG;
}

static void length_byte(struct ws_frame *f, uint8_t b)
{
	uint8_t bytes = (f->second & 0x7f) == 127 ? 8 : 2;

	if (f->have >= 2 + bytes || (f->second & 0x7f) < 126)
		return; /* of the mask */
	if (bytes == 8 && f->have == 2 && (b & 0x80))
		f->faults |= WS_LENGTH_HIGH_BIT;
	f->len = f->len << 8 | b;
	if (f->have + 1 == 2 + bytes && f->len < (bytes == 8 ? 65536u : 126u))
		f->faults |= WS_LENGTH_NOT_MINIMAL;
}

size_t ws_frame_feed(struct ws_frame *f, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && !f->complete) {
		uint8_t b = p[i++];

		if (f->have == 0)
			first_byte(f, b);
		else if (f->have == 1)
			second_byte(f, b);
		else
			length_byte(f, b);
		f->have++;
		if (f->faults & WS_NOT_A_FRAME) {
			give_up(f);
		} else if (f->have == f->need) {
			f->left = f->len;
			f->complete = 1;
		}
	}
	return i;
}

const char *ws_opcode_name(uint8_t opcode)
{
	switch (opcode) {
	case WS_CONTINUATION:
		return "continuation";
	case WS_TEXT:
		return "text";
	case WS_BINARY:
		return "binary";
	case WS_CLOSE:
		return "close";
	case WS_PING:
		return "ping";
	case WS_PONG:
		return "pong";
	default:
		return "reserved";
	}
}
