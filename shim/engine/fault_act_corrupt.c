/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_corrupt: bytes that change on their way.
 *
 * (1) Which bits change follows from the draw and the byte's distance from where the rule acts.
 * (2) In, the application's buffer is changed once the kernel has filled it, and the engine has looked.  Out,
 *     a copy is changed and sent by a call of our own; what the application holds stays as it is.  At most
 *     the scratch memory's size changes of one write.
 *
 * Source: send(2).
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/sys.h"

#include <errno.h>

enum {
	DRAW_BITS = 16, /* + distance of the byte */
};

static uint8_t corrupted(const struct fault_hit *h, uint64_t i, uint8_t b)
{
	uint64_t drawn = fault_draw(&h->unit, (uint32_t)(DRAW_BITS + i));
	uint8_t other = (uint8_t)(1 + drawn % 255);

	switch (h->act->param[FAULT_CORRUPT_fill]) {
	case FAULT_FILL_FLIP:
		return b ^ (uint8_t)(1u << drawn % 8);
	case FAULT_FILL_ZERO:
		return 0;
	default:
		return b ^ other; /* never the same */
	}
}

static __attribute__((noinline)) uint64_t change(const struct call *c, const struct fault_hit *h)
{
	uint64_t want = h->act->param[FAULT_CORRUPT_bytes], done = 0;
	struct gather g;
	struct span s;

	gather_init(&g, c);
	while (done < want && (s = gather_next(&g, want - done)).n) {
		uint8_t *p = (uint8_t *)(uintptr_t)s.p;

		for (size_t i = 0; i < s.n; i++)
			p[i] = corrupted(h, done + i, p[i]);
		done += s.n;
	}
	return done;
}

void fault_act_read(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	uint64_t changed;

	if (c->ret > 0 && call_table[c->id].shape == SHAPE_NONE) /* nobody sees these bytes */
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, EOPNOTSUPP);
	if (c->ret <= 0 || !gather_moved(c))
		return;
	changed = change(c, h);
	fault_count_bytes(h, changed);
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)changed);
}

/* Send the beginning of c, changed.  Returns the kernel's answer; *ret_changed of what it took. */
static __attribute__((noinline)) int64_t send_changed(const struct call *c,
						      const struct fault_hit *h,
						      uint64_t *ret_changed)
{
	uint64_t want = h->act->param[FAULT_CORRUPT_bytes];
	struct fault_room room;
	int64_t n;

	*ret_changed = 0;
	fault_room_take(&room);
	n = fault_piece_get(c, 0, room.p, want < room.n ? want : room.n);
	for (int64_t i = 0; i < n; i++)
		room.p[i] = corrupted(h, (uint64_t)i, room.p[i]);
	if (n > 0)
		n = sys_call(SYS_sendto, fault_fd(c, DIR_TX), (long)room.p, (long)n,
			     gather_flags(c) | MSG_DONTWAIT | fault_piece_flags(c, false), 0, 0);
	fault_room_give(&room);
	*ret_changed = n > 0 ? (uint64_t)n : 0;
	return n;
}

/* All of c, its beginning changed; where it does not block, what one call more moves.  Returns bytes. */
static __attribute__((noinline)) int64_t send_all(const struct call *c, const struct fault_hit *h,
						  uint64_t total, uint64_t *ret_changed)
{
	bool blocks = fault_piece_blocks(c);
	int64_t moved;
	uint64_t sum;

	do {
		moved = send_changed(c, h, ret_changed);
	} while (moved == -EAGAIN && blocks && !fault_wait_out(fault_fd(c, DIR_TX)));
	sum = *ret_changed;
	while (moved > 0 && sum < total) {
		moved = fault_piece_move(c, sum, total - sum, 0);
		sum += moved > 0 ? (uint64_t)moved : 0;
		if (!blocks)
			break;
	}
	return sum ? (int64_t)sum : moved;
}

bool fault_corrupt_write(struct call *c, struct conn *conn, struct fault_conn *fc,
			 const struct fault_hit *h)
{
	int64_t total = fault_piece_total(c);
	uint64_t changed;

	if (total <= 0)
		return true;
	if (call_table[c->id].shape == SHAPE_NONE) { /* nobody sees these bytes */
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, EOPNOTSUPP);
		return true;
	}
	fault_piece_answer(c, send_all(c, h, (uint64_t)total, &changed));
	fault_count_bytes(h, changed);
	if (!changed && c->ret == -EAGAIN) /* the socket is full: the next call */
		fault_own_keep(fc, h);
	else if (!changed)
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, -c->ret);
	else
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)changed);
	return false;
}
