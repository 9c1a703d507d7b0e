/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_own: bytes that are nobody's: inserted ones, frames of our own, and the headers of the pieces
 * into which a frame is split.
 *
 * (1) What they are follows from the rule and its draw alone, so a part of them can be made again at any
 *     time: what the socket or the application's buffer has no room for now comes with the next call,
 *     before anything else.
 * (2) Out, they are sent by calls of our own; when the socket takes none of them, the application's call
 *     is answered as the kernel answered ours.  In, they are copied into the application's buffers, and its
 *     call is answered with them alone; the engine does not look at them (call.conn 0).
 * (3) A frame that is split keeps its payload bytes as they are: the key of a piece is the key of the frame,
 *     turned to where the piece begins.  Out, the header the application wrote counts as written and is not
 *     sent; in, it is taken out of the socket, and the engine sees the pieces, as the application does.
 *
 * Source: RFC 6455 sections 5.2 to 5.5.
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/sys.h"

#include "core/websocket/frame.h"

#include <errno.h>

enum {
	HEADER = 14, /* bytes of a frame header at most */
	DRAW_KEY = 2,
	FIN = 0x80,
	MASKED = 0x80,
	SHORT_LEN = 125,
	LEN_16 = 126,
	LEN_64 = 127,
};

/* ---- what they are ---- */

static unsigned make_header(uint8_t *to, uint8_t first, uint64_t len, bool masked,
			    const uint8_t *key)
{
	unsigned n = 2, wide = len <= SHORT_LEN ? 0 : len <= UINT16_MAX ? 2 : 8;

	to[0] = first;
	to[1] = (uint8_t)((masked ? MASKED : 0) | (!wide ? len : wide == 2 ? LEN_16 : LEN_64));
	for (unsigned i = 0; i < wide; i++)
		to[n++] = (uint8_t)(len >> 8 * (wide - 1 - i));
	for (unsigned i = 0; masked && i < 4; i++)
		to[n++] = key[i];
	return n;
}

/* The header of the piece of a split frame that comes next. */
static unsigned piece_header(const struct fault_split *s, uint8_t *to)
{
	uint64_t left = s->len - s->at, len = left < s->size ? left : s->size;
	uint8_t first = s->at ? WS_CONTINUATION : (uint8_t)(s->first & ~FIN);
	uint8_t key[4];

	for (unsigned i = 0; i < 4; i++)
		key[i] = s->key[(s->at + i) % 4];
	if (len == left)
		first |= s->first & FIN;
	return make_header(to, first, len, s->mask & MASKED, key);
}

/* A frame as the rule describes it. */
struct own_frame {
	uint64_t len;
	uint16_t code;
	uint8_t header[HEADER], need;
	uint8_t key[4];
	bool masked;
};

static __attribute__((noinline)) void describe(const struct fault_hit *h, uint8_t role,
					       struct own_frame *f)
{
	const uint64_t *p = h->act->param;
	uint64_t key = fault_draw(&h->unit, DRAW_KEY);
	bool client = (role == ROLE_CLIENT) == (h->dir == DIR_TX);

	f->code = (uint16_t)p[FAULT_FRAME_code];
	f->len = p[FAULT_FRAME_len];
	f->len = f->code && f->len < 2 ? 2 : f->len;
	memcpy(f->key, &key, sizeof(f->key));
	f->masked = p[FAULT_FRAME_mask] == FAULT_MASK_RIGHT ? client
		    : p[FAULT_FRAME_mask] == FAULT_MASK_WRONG
			    ? !client
			    : p[FAULT_FRAME_mask] == FAULT_MASK_ON;
	f->need = (uint8_t)make_header(f->header,
				       (uint8_t)((p[FAULT_FRAME_fin] ? FIN : 0) |
						 (p[FAULT_FRAME_rsv] & 7) << 4 |
						 (p[FAULT_FRAME_op] & 0xf)),
				       f->len, f->masked, f->key);
}

static uint8_t frame_byte(const struct own_frame *f, uint64_t at)
{
	uint64_t i = at - f->need;
	uint8_t b = (uint8_t)('a' + i % 26);

	if (at < f->need)
		return f->header[at];
	if (f->code && i < 2)
		b = (uint8_t)(f->code >> 8 * (1 - i));
	return f->masked ? b ^ f->key[i % 4] : b;
}

/* Bytes [own->done, + n) of it, n at most what is left. */
static __attribute__((noinline)) void make_bytes(const struct conn *conn,
						 const struct fault_own *own, uint8_t *to,
						 uint64_t n)
{
	const struct fault_hit *h = &own->hit;
	uint64_t text = h->act->param[FAULT_INSERT_bytes];
	struct own_frame f;

	if (h->act->fault == FAULT_INSERT) {
		memmove(to, h->rule->text + (text >> 16) + own->done, n);
	} else if (own->split.size) {
		(void)piece_header(&own->split, f.header);
		memmove(to, f.header + own->done, n);
	} else {
		describe(h, conn->machine.role, &f);
		for (uint64_t i = 0; i < n; i++)
			to[i] = frame_byte(&f, own->done + i);
	}
}

/* ---- moving them ---- */

/* All that can be sent. 0, or why not all: -errno. */
static __attribute__((noinline)) int64_t send_own(const struct call *c, const struct conn *conn,
						  struct fault_own *own)
{
	int fd = fault_fd(c, DIR_TX);
	struct fault_room room;

	while (own->done < own->len) {
		uint64_t left = own->len - own->done;
		int64_t sent;

		fault_room_take(&room);
		left = left < room.n ? left : room.n;
		make_bytes(conn, own, room.p, left);
		sent = sys_call(SYS_sendto, fd, (long)room.p, (long)left,
				MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
		fault_room_give(&room);
		own->done += sent > 0 ? (uint64_t)sent : 0;
		if (sent == -EAGAIN && fault_piece_blocks(c))
			sent = fault_wait_out(fd);
		if (sent < 0)
			return sent;
	}
	return 0;
}

/* As much as the application's buffers take. */
static __attribute__((noinline)) int64_t give_own(const struct call *c, const struct conn *conn,
						  struct fault_own *own)
{
	uint64_t left = own->len - own->done, done = own->done, n;
	struct fault_room room;
	int64_t put = 0;

	fault_room_take(&room);
	for (uint64_t skip = 0; left; left -= n, skip += n) {
		n = left < room.n ? left : room.n;
		make_bytes(conn, own, room.p, n);
		put = fault_piece_put(c, skip, room.p, n);
		own->done += put > 0 ? (uint64_t)put : 0;
		if (put != (int64_t)n)
			break;
	}
	fault_room_give(&room);
	if (own->done == done)
		return put;
	put = (int64_t)(own->done - done);
	if (gather_flags(c) & MSG_PEEK)
		own->done = done;
	return put;
}

/* True: none are left, and c goes on. */
static bool move_own(struct call *c, struct conn *conn, struct fault_own *own, enum dir dir)
{
	int64_t moved;

	if (dir == DIR_TX) {
		moved = send_own(c, conn, own);
		if (moved == 0)
			return true;
		if (moved != -EAGAIN && moved != -EINTR) {
			own->done = own->len; /* the application's own call is told why */
			own->split.size = 0;
			return true;
		}
		c->ret = moved;
		return false;
	}
	moved = give_own(c, conn, own);
	if (moved == 0)
		return true; /* nothing was asked for */
	if (moved > 0)
		fault_piece_answer_end(c);
	fault_piece_answer(c, moved);
	if (!own->split.size)
		c->conn = 0;
	gate_rearm(conn, dir);
	return false;
}

static bool begin(struct call *c, struct conn *conn, struct fault_conn *fc,
		  const struct fault_hit *h, uint64_t len)
{
	struct fault_own *own = &fc->own[h->dir];

	own->hit = *h;
	own->len = len;
	own->done = 0;
	own->split.size = 0;
	fault_count_bytes(h, len);
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)len);
	return !len || move_own(c, conn, own, (enum dir)h->dir);
}

bool fault_insert(struct call *c, struct conn *conn, struct fault_conn *fc,
		  const struct fault_hit *h)
{
	return begin(c, conn, fc, h, h->act->param[FAULT_INSERT_bytes] & UINT16_MAX);
}

/* ---- splitting ---- */

static void next_header(struct fault_own *own)
{
	uint8_t header[HEADER];

	own->len = piece_header(&own->split, header);
	own->done = 0;
}

/* Look at the frame that begins at c's first byte.  Returns the length of its header; 0: there is none to
 * be split, or not all of its header is there. */
static unsigned look(const struct call *c, enum dir dir, uint8_t *header, struct fault_split *s)
{
	int64_t have = dir == DIR_TX ? fault_piece_get(c, 0, header, HEADER)
				     : sys_call(SYS_recvfrom, fault_fd(c, dir), (long)header,
						HEADER, MSG_PEEK | MSG_DONTWAIT, 0, 0);
	unsigned need = have > 0 ? ws_frame_head(header, (size_t)have, &s->len) : 0;

	if (!need || (header[0] & 8) || s->len <= s->size)
		return 0;
	s->at = 0;
	s->first = header[0];
	s->mask = header[1] & MASKED;
	if (s->mask)
		memcpy(s->key, header + need - 4, 4);
	return need;
}

static __attribute__((noinline)) unsigned find_header(const struct call *c, struct fault_own *own,
						      const struct fault_hit *h)
{
	uint8_t header[HEADER] = {0};
	unsigned need;

	own->split.size = h->act->param[FAULT_FRAME_split];
	need = look(c, (enum dir)h->dir, header, &own->split);
	if (!need) {
		own->split.size = 0;
		return 0;
	}
	own->split.skip = h->dir == DIR_TX ? (uint8_t)need : 0;
	if (h->dir == DIR_RX)
		(void)sys_call(SYS_recvfrom, (long)c->arg[0], (long)header, need, MSG_DONTWAIT, 0,
			       0);
	own->hit = *h;
	next_header(own);
	return need;
}

static bool split(struct call *c, struct conn *conn, struct fault_conn *fc,
		  const struct fault_hit *h)
{
	struct fault_own *own = &fc->own[h->dir];
	const struct fault_split *s = &own->split;

	if (!find_header(c, own, h))
		return true;
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)((s->len + s->size - 1) / s->size));
	return fault_own_goes_on(c, conn, fc, (enum dir)h->dir);
}

/* Payload moved. */
static void advance(struct fault_own *own, uint64_t n)
{
	struct fault_split *s = &own->split;

	s->at += n;
	if (s->at == s->len)
		s->size = 0;
	else if (s->at % s->size == 0)
		next_header(own);
}

static uint64_t piece_left(const struct fault_split *s)
{
	uint64_t piece = s->size - s->at % s->size, left = s->len - s->at;

	return piece < left ? piece : left;
}

static __attribute__((noinline)) void read_split(struct call *c, struct conn *conn,
						 struct fault_own *own)
{
	int64_t moved = fault_piece_move(c, 0, piece_left(&own->split), 0);

	fault_piece_answer(c, moved);
	if (moved <= 0 || (gather_flags(c) & MSG_PEEK))
		return;
	advance(own, (uint64_t)moved);
	gate_rearm(conn, DIR_RX);
}

/* Bytes of c that were written, header or payload; all of them where it blocks.  -errno: none. */
static __attribute__((noinline)) int64_t write_split(struct call *c, struct conn *conn,
						     struct fault_own *own, uint64_t total)
{
	struct fault_split *s = &own->split;
	uint64_t sum = 0, n;
	int64_t moved = 0;

	while (s->size && sum < total) {
		moved = send_own(c, conn, own);
		if (moved < 0)
			break;
		n = s->skip < total - sum ? s->skip : total - sum;
		s->skip -= (uint8_t)n;
		sum += n;
		n = piece_left(s) < total - sum ? piece_left(s) : total - sum;
		if (!n)
			continue;
		moved = fault_piece_move(c, sum, n, 0);
		if (moved <= 0)
			break;
		sum += (uint64_t)moved;
		advance(own, (uint64_t)moved);
	}
	while (!s->size && sum < total && fault_piece_blocks(c)) {
		moved = fault_piece_move(c, sum, total - sum, 0);
		if (moved <= 0)
			break;
		sum += (uint64_t)moved;
	}
	if (sum < total && moved > 0)
		gate_rearm(conn, DIR_TX);
	return sum ? (int64_t)sum : moved;
}

static __attribute__((noinline)) uint64_t frame_size(const struct conn *conn,
						     const struct fault_hit *h)
{
	struct own_frame f;

	describe(h, conn->machine.role, &f);
	return f.need + f.len;
}

bool fault_frame(struct call *c, struct conn *conn, struct fault_conn *fc,
		 const struct fault_hit *h)
{
	if (h->act->param[FAULT_FRAME_split])
		return split(c, conn, fc, h);
	return begin(c, conn, fc, h, frame_size(conn, h));
}

/* ---- what is left ---- */

void fault_own_keep(struct fault_conn *fc, const struct fault_hit *h)
{
	struct fault_own *own = &fc->own[DIR_TX];

	if (&own->hit != h)
		own->hit = *h;
	own->len = 1;
	own->done = 0;
	own->split.size = 0;
}

bool fault_own_goes_on(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir)
{
	struct fault_own *own = &fc->own[dir];
	int64_t total;

	if (own->done < own->len && own->hit.act->fault == FAULT_CORRUPT) {
		own->done = own->len;
		return fault_corrupt_write(c, conn, fc, &own->hit);
	}
	if (dir == DIR_TX && own->split.size) {
		total = fault_piece_total(c);
		if (total > 0)
			fault_piece_answer(c, write_split(c, conn, own, (uint64_t)total));
		return total <= 0;
	}
	if (own->done < own->len && !move_own(c, conn, own, dir))
		return false;
	if (!own->split.size)
		return true;
	read_split(c, conn, own);
	return false;
}
