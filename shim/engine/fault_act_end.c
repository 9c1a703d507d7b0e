/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_end: connections that end, and directions that do.
 *
 * (1) The kernel ends them wherever it can: then epoll, poll, the other direction and whoever shares the
 *     socket see it too.
 * (2) reset: connect to AF_UNSPEC sends a RST and leaves ECONNRESET to be found; the shutdown behind it
 *     makes what follows what follows a RST that arrived: end of file, EPIPE.
 *         see=both   that
 *         see=peer   the error is taken away: the application finds an end without a reason.  That it finds
 *                    any cannot be hidden: epoll tells it
 *         see=self   the kernel does nothing; the application's next calls say what they would have said
 *     A unix socket has no RST: it is shut down, and a record says that there was none.
 * (3) close: what arrived and was not read is read and thrown away, because closing a socket over unread
 *     bytes sends a RST.
 * (4) half_close of what arrives: the peer is not told, as it would not be by shutdown(2).
 *
 * Source: connect(2) (AF_UNSPEC), shutdown(2), tcp(7), unix(7), RFC 2525 section 2.17, RFC 9293 section 3.6.
 */
#include "shim/engine/clock.h"
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/gate.h"
#include "shim/engine/sys.h"

#include <errno.h>

enum {
	DRAIN = 64, /* pieces read at most in one go */
};

int64_t fault_drain(int fd, uint64_t *ret_dropped)
{
	struct fault_room room;
	unsigned most;
	int64_t got = 1;

	*ret_dropped = 0;
	fault_room_take(&room);
	most = DRAIN * (unsigned)(FAULT_SCRATCH / room.n);
	for (unsigned i = 0; i < most && got > 0; i++) {
		got = sys_call(SYS_recvfrom, fd, (long)room.p, (long)room.n, MSG_DONTWAIT, 0, 0);
		*ret_dropped += got > 0 ? (uint64_t)got : 0;
	}
	fault_room_give(&room);
	return got;
}

static __attribute__((noinline)) void close_now(int fd, bool drain)
{
	uint64_t dropped;

	(void)sys_2(SYS_shutdown, fd, SHUT_RDWR);
	if (drain)
		(void)fault_drain(fd, &dropped);
}

static __attribute__((noinline)) bool has_resets(int fd)
{
	int domain = 0;
	uint32_t len = sizeof(domain);

	(void)sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	return domain == AF_INET || domain == AF_INET6;
}

/* False: there is no RST on such a socket. */
static bool reset_now(int fd, enum fault_see see)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	bool can = has_resets(fd);
	uint32_t len = sizeof(int);
	int err;

	if (can)
		(void)sys_3(SYS_connect, fd, (long)&none, sizeof(none));
	if (see == FAULT_SEE_PEER)
		(void)sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	(void)sys_2(SYS_shutdown, fd, SHUT_RDWR);
	return can;
}

/* The application alone finds a reset. */
static void end_for_self(struct fault_conn *fc)
{
	fc->ended[DIR_RX] = fc->ended[DIR_TX] = ECONNRESET;
}

/* ---- later ---- */

int fault_fd_of(const struct conn *conn)
{
	uint32_t row = conn_row(conn), end = __atomic_load_n(&engine_fd_limit, __ATOMIC_RELAXED);

	if (conn_of((int)conn->fd) == conn)
		return (int)conn->fd;
	for (uint32_t fd = 0; fd < end; fd++) {
		if (__atomic_load_n(&engine_fds[fd], __ATOMIC_RELAXED) == row)
			return (int)fd;
	}
	return -1;
}

static void reset_later(struct conn *conn, uint32_t conn_id, uint64_t what)
{
	struct fault_conn *fc = conn->id == conn_id ? fault_conn_of(conn) : NULL;
	int fd = fc ? fault_fd_of(conn) : -1;

	if (fd < 0)
		return;
	if (what == FAULT_SEE_SELF)
		end_for_self(fc);
	else
		(void)reset_now(fd, (enum fault_see)what);
}

/* Resets at once, in time, or never: errno. */
static __attribute__((noinline)) int reset(struct conn *conn, struct fault_conn *fc,
					   const struct fault_hit *h, int fd)
{
	enum fault_see see = (enum fault_see)h->act->param[FAULT_RESET_see];
	uint64_t after = h->act->param[FAULT_RESET_after];

	if (see != FAULT_SEE_SELF && !has_resets(fd) && after)
		return EOPNOTSUPP;
	if (after)
		return gate_later(conn, clock_now() + after, reset_later, see) ? 0 : ENOMEM;
	if (see == FAULT_SEE_SELF)
		end_for_self(fc);
	else if (!reset_now(fd, see))
		return EOPNOTSUPP;
	return 0;
}

/* ---- now ---- */

static __attribute__((noinline)) void half_close(struct fault_conn *fc, enum dir dir, int fd)
{
	uint64_t dropped;

	(void)sys_2(SYS_shutdown, fd, dir == DIR_TX ? SHUT_WR : SHUT_RD);
	if (dir == DIR_TX)
		return;
	(void)fault_drain(fd, &dropped);
	fc->ended[DIR_RX] = FAULT_EOF;
}

void fault_end(const struct call *c, struct conn *conn, struct fault_conn *fc,
	       const struct fault_hit *h, int fd)
{
	int err = 0;

	if (h->act->fault == FAULT_CLOSE)
		close_now(fd, h->dir == DIR_RX);
	else if (h->act->fault == FAULT_HALF_CLOSE)
		half_close(fc, (enum dir)h->dir, fd);
	else
		err = reset(conn, fc, h, fd);
	if (err)
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, err);
	if (!err || !has_resets(fd))
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, 0);
}

/* see=peer: the call that met it goes well as far as the application can see. */
static bool answer_peer(struct call *c, enum dir dir)
{
	int64_t total = fault_piece_total(c);

	if (dir == DIR_RX || total < 0 || !fault_piece_readable(c, (uint64_t)total))
		return true;
	fault_piece_answer(c, total);
	return false;
}

bool fault_end_now(struct call *c, struct conn *conn, struct fault_conn *fc,
		   const struct fault_hit *h)
{
	enum dir dir = (enum dir)h->dir;

	fault_end(c, conn, fc, h, fault_fd(c, dir));
	if (fc->ended[dir]) {
		fault_ended(c, fc, dir);
		return false;
	}
	if (h->act->fault == FAULT_RESET && h->act->param[FAULT_RESET_see] == FAULT_SEE_PEER &&
	    !h->act->param[FAULT_RESET_after])
		return answer_peer(c, dir);
	return true; /* the kernel says what has become of it */
}

void fault_then(struct fault_conn *fc, enum dir dir, enum fault_then then, int fd)
{
	if (then == FAULT_THEN_CLOSE)
		close_now(fd, dir == DIR_RX);
	else if (then == FAULT_THEN_RESET)
		(void)reset_now(fd, FAULT_SEE_BOTH);
	else
		fc->drop_until[dir] = UINT64_MAX;
}

/* A reset is told once; what follows finds an end. */
void fault_ended(struct call *c, struct fault_conn *fc, enum dir dir)
{
	uint8_t how = fc->ended[dir];
	uint64_t dropped;

	if (how == ECONNRESET) {
		fc->ended[DIR_RX] = FAULT_EOF;
		fc->ended[DIR_TX] = EPIPE;
	}
	if (how != FAULT_EOF)
		return fault_answer_error(c, how);
	(void)fault_drain(fault_fd(c, dir), &dropped);
	fault_piece_answer_end(c);
}
