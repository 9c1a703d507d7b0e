/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/frame: an incremental decoder for frame headers, and nothing else of the frame.
 *
 * Copyable, any split gives the same result; the payload is only counted, so it may be skipped
 * unseen.  Source: RFC 6455 section 5.2.
 */
#ifndef CORE_WEBSOCKET_FRAME_H
#define CORE_WEBSOCKET_FRAME_H

#include "core/core.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

/* What is wrong with a header, as bits. The first group means the bytes are no frame at all. */
enum ws_fault {
	WS_BAD_OPCODE = 1u << 0,	 /* reserved opcode */
	WS_BAD_RSV = 1u << 1,		 /* RSV2 or RSV3: no extension in use defines them */
	WS_CONTROL_FRAGMENTED = 1u << 2, /* FIN clear on a control frame */
	WS_CONTROL_LONG = 1u << 3,	 /* control frame of more than 125 bytes */
	WS_LENGTH_HIGH_BIT = 1u << 4,	 /* 64-bit length with the top bit set */
	WS_NOT_A_FRAME = WS_BAD_OPCODE | WS_BAD_RSV | WS_CONTROL_FRAGMENTED | WS_CONTROL_LONG |
			 WS_LENGTH_HIGH_BIT,
	WS_LENGTH_NOT_MINIMAL = 1u << 5,
};

/* 24 bytes; copy it freely. */
struct ws_frame {
	uint64_t len;	  /* payload length once the header is complete */
	uint64_t left;	  /* payload bytes still to come */
	uint8_t have;	  /* header bytes seen, complete when have == need */
	uint8_t need;	  /* 2 until the second byte says more */
	uint8_t first;	  /* FIN RSV opcode */
	uint8_t second;	  /* MASK len7 */
	uint8_t faults;	  /* enum ws_fault, once complete */
	uint8_t complete; /* 1: header known */
	uint16_t spare;
};

static inline uint8_t ws_opcode(const struct ws_frame *f)
{
	return f->first & 0x0f;
}
static inline bool ws_fin(const struct ws_frame *f)
{
	return f->first & 0x80;
}
static inline bool ws_rsv1(const struct ws_frame *f)
{
	return f->first & 0x40;
}
static inline bool ws_masked(const struct ws_frame *f)
{
	return f->second & 0x80;
}

/* Start at a frame boundary. */
void ws_frame_init(struct ws_frame *f);

/* Feed header bytes. Returns bytes consumed (all of them header); stops when complete, or with the
 * first byte that proves the bytes to be no frame (complete is set then, too, and len is 0). */
size_t ws_frame_feed(struct ws_frame *f, const uint8_t *p, size_t n);

/* The length of the header at p when all of it lies within n bytes and it has none of the faults of
 * WS_NOT_A_FRAME, else 0.  Agrees with ws_frame_feed; for those who look at whole frames only.
 *   ret_len  payload length, not set for 0 */
static inline unsigned ws_frame_head(const uint8_t *p, size_t n, uint64_t *ret_len)
{
	const unsigned known = 1u << WS_CONTINUATION | 1u << WS_TEXT | 1u << WS_BINARY |
			       1u << WS_CLOSE | 1u << WS_PING | 1u << WS_PONG;
	unsigned have = 2, len7;
	uint64_t len;

	if (n < 2 || (p[0] & 0x30) || !(known >> (p[0] & 0x0f) & 1))
		return 0;
	len = len7 = p[1] & 0x7f;
	if ((p[0] & 0x08) && (!(p[0] & 0x80) || len7 > 125))
		return 0;
	if (len7 > 125) {
		have += len7 == 126 ? 2 : 8;
		if (n < have)
			return 0;
		len = 0;
		for (unsigned i = 2; i < have; i++)
			len = len << 8 | p[i];
		if (len >> 63)
			return 0;
	}
	have += p[1] & 0x80 ? 4 : 0;
	*ret_len = len;
	return n < have ? 0 : have;
}

const char *ws_opcode_name(uint8_t opcode); /* never NULL */

#endif
