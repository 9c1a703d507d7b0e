/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_block: a thread waits in the call of a descriptor that blocks.
 *
 * (1) Nothing is held: the thread may be cancelled, or leave by longjmp from a signal handler.
 * (2) Signals come through between slices of the wait, with the mask the thread had.  Whether the call
 *     goes on behind a handler is decided by its SA_RESTART, as in the kernel, and by the time limit of the
 *     socket, under which no call is made again.
 * (3) The signal by which a libc cancels a thread ends the wait: the call itself is made, and cancelled.
 *
 * Source: signal(7) (interruption of system calls), socket(7) (SO_RCVTIMEO), sigaction(2).
 */
#include "shim/engine/clock.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/gate_wait.h"
#include "shim/engine/gather.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

enum {
	SECOND = 1000000000,
	CANCEL_GLIBC = 32,    /* and musl's is the next one */
	RESTART = 0x10000000, /* SA_RESTART */
	SPLICE_NONBLOCK = 2,
	RWF_NO_WAIT = 8,
};

/* The kernel's own struct sigaction. */
struct action {
	uint64_t handler, flags, restorer, mask;
};

static bool has_flag(const struct call *c)
{
	switch (c->id) {
	case CALL_splice:
		return c->arg[5] & SPLICE_NONBLOCK;
	case CALL_preadv2:
	case CALL_pwritev2:
		return c->arg[4] & RWF_NO_WAIT;
	default:
		return gather_flags(c) & MSG_DONTWAIT;
	}
}

bool gate_blocks(const struct call *c, int fd)
{
	long flags = sys_3(SYS_fcntl, fd, F_GETFL, 0);

	return flags >= 0 && !(flags & O_NONBLOCK) && !has_flag(c);
}

/* When the socket's own time limit is over. */
static __attribute__((noinline)) uint64_t limit_of(int fd, enum dir dir, uint64_t now)
{
	int64_t t[2] = {0, 0};
	uint32_t len = sizeof(t);

	if (sys_getsockopt(fd, SOL_SOCKET, dir == DIR_RX ? SO_RCVTIMEO : SO_SNDTIMEO, t, &len) < 0)
		return UINT64_MAX;
	if ((t[0] | t[1]) == 0 || t[0] > UINT32_MAX)
		return UINT64_MAX;
	return now + (uint64_t)t[0] * SECOND + (uint64_t)t[1] * 1000;
}

static void set_mask(uint64_t mask, uint64_t *old)
{
	(void)sys_4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)old, sizeof(mask));
}

enum next {
	GO_ON,
	INTERRUPTED,
	CANCELLED,
};

/* Let a signal through that waits for the thread's own mask. */
static __attribute__((noinline)) enum next let_through(uint64_t mask, bool limited)
{
	struct action a = {0};
	uint64_t pending = 0;
	int n;

	(void)sys_2(SYS_rt_sigpending, (long)&pending, sizeof(pending));
	pending &= ~mask;
	if (!pending) {
		if (engine_cancel_point) {
			set_mask(mask, NULL);
			gate_cancel_point();
			set_mask(~UINT64_C(0), NULL);
		}
		return GO_ON;
	}
	n = __builtin_ctzll(pending) + 1;
	(void)sys_4(SYS_rt_sigaction, n, 0, (long)&a, sizeof(a.mask));
	set_mask(mask, NULL);
	set_mask(~UINT64_C(0), NULL);
	if (n == CANCEL_GLIBC || n == CANCEL_GLIBC + 1)
		return CANCELLED;
	if (a.handler <= 1) /* SIG_DFL, SIG_IGN */
		return GO_ON;
	return (a.flags & RESTART) && !limited ? GO_ON : INTERRUPTED;
}

/* Returns true when the connection's end is there. */
static __attribute__((noinline)) bool rest(int fd, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
	struct pollfd p = {.fd = fd};

	return sys_call(SYS_ppoll, (long)&p, 1, (long)&t, 0, 0, 0) > 0;
}

static enum gate_way wait(struct call *c, struct conn *conn, enum dir dir, int fd, uint64_t mask)
{
	uint64_t now = clock_now(), limit = limit_of(fd, dir, now);
	enum next next;

	while (gate_holds(conn, dir)) {
		if (rest(fd, gate_slice(now, limit))) {
			gate_lift(conn, dir);
			break;
		}
		next = let_through(mask, limit != UINT64_MAX);
		if (next == CANCELLED)
			break;
		now = clock_now();
		if (next == INTERRUPTED || now >= limit) {
			c->ret = next == INTERRUPTED ? -EINTR : -EAGAIN;
			return GATE_ANSWERED;
		}
		gate_expire(now);
	}
	gate_expire(now);
	return GATE_PASS;
}

enum gate_way gate_block(struct call *c, struct conn *conn, enum dir dir, int fd)
{
	uint64_t mask = 0;
	enum gate_way way;

	if (c->place) /* a goroutine: others run on its thread */
		return GATE_PASS;
	set_mask(~UINT64_C(0), &mask);
	way = wait(c, conn, dir, fd, mask);
	set_mask(mask, NULL);
	return way;
}
