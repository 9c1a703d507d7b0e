/* SPDX-License-Identifier: BSD-2-Clause
 *
 * table: the rows of calls.def as data, and the way from a system call number to its row.
 */
#include "shim/engine/engine.h"
#include "shim/engine/sys.h"

enum {
	NUMBERS = 512, /* system call numbers end below this on every machine we know */
};

/* The recv and send family takes its flags as the fourth argument. */
#define IS_FLAGGED(id)                                                                     \
	(CALL_##id == CALL_recv || CALL_##id == CALL_recvfrom || CALL_##id == CALL_send || \
	 CALL_##id == CALL_sendto)

const struct call_row call_table[CALL_COUNT] = {
#define CALL(id, nr, op, shape, body, ret, params, args) \
	[CALL_##id] = {#id, nr, OP_##op, SHAPE_##shape, IS_FLAGGED(id), 0},
#include "shim/engine/calls.def"
#undef CALL
};

unsigned call_from_nr(long nr)
{
	/* Rows without a number of their own lie behind the last number. */
	static const uint16_t row_of[NUMBERS + CALL_COUNT] = {
#define CALL(id, nr, op, shape, body, ret, params, args) \
	[(nr) < 0 ? NUMBERS + CALL_##id : (nr)] = CALL_##id + 1,
#include "shim/engine/calls.def"
#undef CALL
	};

	if (nr < 0 || nr >= NUMBERS || !row_of[nr])
		return CALL_COUNT;
	return row_of[nr] - 1u;
}
