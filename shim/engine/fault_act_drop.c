/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_drop: bytes that do not get through: drop and limit.
 *
 * (1) drop, out: the call is answered as if all had been sent.  What sendfile and splice would have sent is
 *     moved to /dev/null, so that their sources stand where they would.
 * (2) drop, in: bytes are read and thrown away as they are met.  A descriptor that does not block then says
 *     EAGAIN; one that does is waited on by peeking, so that the kernel sees to timeouts and signals.  The
 *     end of the stream and its errors are no bytes: they get through.
 * (3) `for` is how long until what `then` says; a stream that lost bytes never recovers.  Without a time,
 *     `then` follows the call that lost the first.
 * (4) limit: the call that would pass it is made in pieces up to the very byte, then what `then` says is
 *     done; what it moved is answered, as the kernel answers when a connection breaks in the middle.
 *
 * Source: recv(2) (MSG_DONTWAIT, MSG_PEEK), sendfile(2), splice(2), null(4).
 */
#include "shim/engine/clock.h"
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/sys.h"

#include <errno.h>

/* ---- what follows ---- */

static void then_later(struct conn *conn, uint32_t conn_id, uint64_t what)
{
	struct fault_conn *fc = conn->id == conn_id ? fault_conn_of(conn) : NULL;
	enum dir dir = (enum dir)(what & 1);
	int fd = fc ? fault_fd_of(conn) : -1;

	if (fd < 0 || !fc->drop_until[dir])
		return;
	fc->drop_until[dir] = 0;
	fault_then(fc, dir, (enum fault_then)(what >> 1), fd);
}

void fault_drop_begin(struct conn *conn, struct fault_conn *fc, const struct fault_hit *h)
{
	uint64_t time = h->act->param[FAULT_DROP_for], then = h->act->param[FAULT_DROP_then];

	fc->on[h->dir] = *h;
	fc->drop_then[h->dir] = (uint8_t)then;
	fc->drop_until[h->dir] = UINT64_MAX;
	if (then == FAULT_THEN_HANG)
		return;
	fc->drop_until[h->dir] = clock_now() + time;
	if (time)
		(void)gate_later(conn, fc->drop_until[h->dir], then_later, then << 1 | h->dir);
}

static bool is_due(const struct fault_conn *fc, enum dir dir)
{
	uint64_t until = fc->drop_until[dir];

	return until && until != UINT64_MAX && clock_now() >= until;
}

/* The time is over, and nobody did it yet. */
static bool follows(struct fault_conn *fc, enum dir dir, int fd)
{
	if (!is_due(fc, dir))
		return false;
	fc->drop_until[dir] = 0;
	fault_then(fc, dir, (enum fault_then)fc->drop_then[dir], fd);
	return true;
}

/* ---- out ---- */

/* Move what was to be sent to fd, where nothing is kept. */
static int64_t move_away(const struct call *c, int fd, uint64_t n)
{
	const uint64_t *a = c->arg;
	int64_t moved;

	if (call_table[c->id].op == OP_SENDFILE)
		moved = sys_4(SYS_sendfile, fd, (long)a[1], (long)a[2], (long)n);
	else
		moved = sys_call(SYS_splice, (long)a[0], (long)a[1], fd, 0, (long)n, (long)a[5]);
	sys_close(fd);
	return moved;
}

/* Bytes that c would have sent, or -errno.  *ret_err: why nothing could be done, 0. */
static int64_t swallow(const struct call *c, int *ret_err)
{
	int64_t total = fault_piece_total(c);
	int fd;

	*ret_err = 0;
	if (total <= 0)
		return total;
	if (call_table[c->id].shape != SHAPE_NONE)
		return fault_piece_readable(c, (uint64_t)total) ? total : -EFAULT;
	fd = sys_open("/dev/null", O_WRONLY | O_CLOEXEC, 0);
	if (fd >= 0)
		return move_away(c, fd, (uint64_t)total);
	*ret_err = -fd;
	return 0;
}

/* True: c goes on, since what it sends cannot be thrown away.  That error is ours, not the application's. */
static __attribute__((noinline)) bool drop_write(struct call *c, struct conn *conn,
						 struct fault_conn *fc, bool first)
{
	struct fault_hit *h = &fc->on[DIR_TX];
	int err;
	int64_t n = swallow(c, &err);

	if (err) {
		if (first)
			fc->drop_until[DIR_TX] = 0; /* it lost nothing, and is to lose nothing */
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, err);
		return true;
	}
	fault_piece_answer(c, n);
	n = n > 0 ? n : 0;
	fault_count_bytes(h, (uint64_t)n);
	if (first)
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, n);
	return false;
}

/* ---- in ---- */

/* Until something is there: 1, or the end: 0, or -errno. */
static int64_t wait_for_bytes(int fd)
{
	uint8_t one;

	return sys_call(SYS_recvfrom, fd, (long)&one, 1, MSG_PEEK, 0, 0);
}

static __attribute__((noinline)) bool drop_read(struct call *c, const struct fault_conn *fc,
						uint64_t *ret_dropped, bool *ret_more)
{
	int fd = fault_fd(c, DIR_RX);
	bool blocks = fault_piece_blocks(c);
	uint64_t dropped;
	int64_t got;

	*ret_dropped = 0;
	do {
		got = fault_drain(fd, &dropped);
		*ret_dropped += dropped;
		if (got == -EAGAIN && blocks && !is_due(fc, DIR_RX))
			got = wait_for_bytes(fd);
	} while (got > 0 && blocks && fc->drop_until[DIR_RX]);
	if (got == 0 || (got > 0 && blocks))
		return true; /* its end is told by the kernel */
	*ret_more = got > 0;
	c->ret = got > 0 ? -EAGAIN : got;
	return false;
}

bool fault_drop(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir, bool first)
{
	int fd = fault_fd(c, dir);
	struct fault_hit *h = &fc->on[dir];
	uint64_t dropped;
	bool go_on, more = false;

	if (!first && follows(fc, dir, fd))
		return true;
	/* One that waits says so before it does. */
	if (first && dir == DIR_RX)
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, 0);
	if (dir == DIR_TX) {
		go_on = drop_write(c, conn, fc, first);
	} else {
		go_on = drop_read(c, fc, &dropped, &more);
		fault_count_bytes(h, dropped);
	}
	if (more)
		gate_rearm(conn, DIR_RX);
	return (first && follows(fc, dir, fd) && dir == DIR_RX) || go_on;
}

/* ---- a limit ---- */

void fault_limit_begin(struct fault_conn *fc, const struct fault_hit *h)
{
	fc->on[h->dir] = *h;
	fc->limit_then[h->dir] = (uint8_t)h->act->param[FAULT_LIMIT_then];
	fc->limit_at[h->dir] = h->off + h->act->param[FAULT_LIMIT_bytes] + 1;
}

/* Move up to room bytes; all of them unless the kernel says otherwise. */
static __attribute__((noinline)) int64_t move_up_to(const struct call *c, enum dir dir,
						    uint64_t room)
{
	uint64_t sum = 0;
	int64_t moved = 0;

	while (sum < room) {
		moved = fault_piece_move(c, sum, room - sum, 0);
		if (moved <= 0)
			break;
		sum += (uint64_t)moved;
		if (dir == DIR_RX && !(gather_flags(c) & MSG_WAITALL))
			break;
	}
	return sum ? (int64_t)sum : moved;
}

/* The limit is reached. */
static void cut(const struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir)
{
	struct fault_hit *h = &fc->on[dir];

	h->off = fc->limit_at[dir] - 1;
	fc->limit_at[dir] = 0;
	fault_then(fc, dir, (enum fault_then)fc->limit_then[dir], fault_fd(c, dir));
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)h->act->param[FAULT_LIMIT_bytes]);
}

void fault_limit_behind(const struct call *c, struct conn *conn, struct fault_conn *fc,
			const struct fault_hit *h)
{
	fault_limit_begin(fc, h);
	if (!h->act->param[FAULT_LIMIT_bytes])
		cut(c, conn, fc, (enum dir)h->dir);
}

bool fault_limit(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir)
{
	uint64_t at = fc->limit_at[dir] - 1, off = conn->machine.off[dir];
	uint64_t room = off < at ? at - off : 0;
	int64_t total = fault_piece_total(c), moved;

	if (total <= 0 || (uint64_t)total < room)
		return true;
	if (!room) {
		cut(c, conn, fc, dir);
		return !fc->drop_until[dir] || fault_drop(c, conn, fc, dir, false);
	}
	if (gather_flags(c) & MSG_PEEK)
		return fault_piece_cap(c, room);
	moved = move_up_to(c, dir, room);
	if (moved == (int64_t)room)
		cut(c, conn, fc, dir);
	fault_piece_answer(c, moved);
	return false;
}
