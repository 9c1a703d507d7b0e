/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heads: bytes that may turn out to belong to an attempt: request heads that came in pieces, and what
 * a server wrote before anybody asked.  A bounded pool; nothing of it reaches the disk unless they do.
 */
#ifndef SHIM_ENGINE_HEADS_H
#define SHIM_ENGINE_HEADS_H

#include "core/core.h"

enum {
	HEADS_SLOTS = 250, /* numbers fit in a byte, 0 stays free for "none" */
	HEADS_SIZE = 16 * 1024,
};

/* One piece as it moved; len bytes follow, padded to 8. */
struct heads_piece {
	uint64_t t_ns;
	uint64_t off; /* stream offset */
	uint32_t tid;
	uint32_t moved;
	uint32_t len; /* of moved: those kept */
	uint16_t call;
	uint8_t dir;
	uint8_t spare;
};

bool heads_start(void);

/* A free slot, from 1 on; 0 when all are taken. */
uint8_t heads_take(void);
void heads_give(uint8_t slot);

/* Room for the bytes of one more piece, filled in except for them; NULL when the slot is full. */
uint8_t *heads_add(uint8_t slot, const struct heads_piece *piece);

/* Walk the pieces: *at starts at 0. NULL at the end. */
const struct heads_piece *heads_next(uint8_t slot, uint32_t *at);

#endif
