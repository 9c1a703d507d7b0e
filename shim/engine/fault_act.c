/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act: see fault_act.h.
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <poll.h>

enum {
	SCRATCHES = 4, /* threads that need one at once; nobody keeps one while he waits */
	TURNS = 64,
};

static struct {
	uint32_t taken; /* try-lock */
	uint8_t byte[FAULT_SCRATCH];
} scratches[SCRATCHES];

uint8_t *fault_scratch_take(void)
{
	for (unsigned i = 0; i < SCRATCHES * TURNS; i++) {
		if (!__atomic_exchange_n(&scratches[i % SCRATCHES].taken, 1, __ATOMIC_ACQUIRE))
			return scratches[i % SCRATCHES].byte;
		if (i % SCRATCHES == SCRATCHES - 1)
			(void)sys_1(SYS_sched_yield, 0);
	}
	return NULL;
}

void fault_scratch_give(uint8_t *p)
{
	for (unsigned i = 0; i < SCRATCHES; i++) {
		if (p == scratches[i].byte)
			__atomic_store_n(&scratches[i].taken, 0, __ATOMIC_RELEASE);
	}
}

void fault_room_take(struct fault_room *r)
{
	r->p = fault_scratch_take();
	r->n = r->p ? FAULT_SCRATCH : sizeof(r->little);
	r->p = r->p ? r->p : r->little;
}

void fault_room_give(const struct fault_room *r)
{
	if (r->p != r->little)
		fault_scratch_give(r->p);
}

int64_t fault_wait_out(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	long got = sys_3(SYS_poll, (long)&p, 1, -1);

	return got < 0 ? got : 0;
}

void fault_count_bytes(const struct fault_hit *h, uint64_t n)
{
	if (h->stat && n)
		__atomic_fetch_add(&h->stat->bytes, n, __ATOMIC_RELAXED);
}

bool fault_act_outcome(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	struct fault_conn *fc = fault_conn_of(conn);

	if (!fc) {
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, ENOMEM);
		return true;
	}
	switch ((enum fault_id)h->act->fault) {
	case FAULT_EAGAIN:
	case FAULT_EINTR:
	case FAULT_ERROR:
	case FAULT_RETVAL:
		return fault_fail(c, conn, h);
	case FAULT_CLOSE:
	case FAULT_HALF_CLOSE:
	case FAULT_RESET:
		return fault_end_now(c, conn, fc, h);
	case FAULT_DROP:
		fault_drop_begin(conn, fc, h);
		return fault_drop(c, conn, fc, (enum dir)h->dir, true);
	case FAULT_LIMIT:
		fault_limit_begin(fc, h);
		return fault_limit(c, conn, fc, (enum dir)h->dir);
	default:
		return true;
	}
}

bool fault_act_shape(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	struct fault_conn *fc = fault_conn_of(conn);

	if (!fc) {
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, ENOMEM);
		return true;
	}
	switch ((enum fault_id)h->act->fault) {
	case FAULT_CORRUPT:
		return h->dir == DIR_RX || fault_corrupt_write(c, conn, fc, h);
	case FAULT_INSERT:
		return fault_insert(c, conn, fc, h);
	case FAULT_FRAME:
		return fault_frame(c, conn, fc, h);
	default:
		return true;
	}
}

bool fault_act_goes_on(struct call *c, struct conn *conn, enum dir dir)
{
	struct fault_conn *fc = fault_conn_of(conn);

	if (!fc)
		return true;
	if (fc->ended[dir]) {
		fault_ended(c, fc, dir);
		return false;
	}
	if (fc->again[dir])
		return fault_fail_again(c, conn, fc, dir);
	if (fc->drop_until[dir])
		return fault_drop(c, conn, fc, dir, false);
	if (!fault_own_goes_on(c, conn, fc, dir))
		return false;
	return !fc->limit_at[dir] || fault_limit(c, conn, fc, dir);
}

void fault_act_behind(const struct call *c, struct conn *conn, const struct fault_hit *h)
{
	struct fault_conn *fc = fault_conn_of(conn);

	if (!fc)
		return fault_tell(c, conn, h, TRACE_FAULT_FAILED, ENOMEM);
	switch ((enum fault_id)h->act->fault) {
	case FAULT_CLOSE:
	case FAULT_HALF_CLOSE:
	case FAULT_RESET:
		fault_end(c, conn, fc, h, fault_fd(c, (enum dir)h->dir));
		break;
	case FAULT_DROP:
		fault_drop_begin(conn, fc, h);
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, 0);
		break;
	case FAULT_LIMIT:
		fault_limit_behind(c, conn, fc, h);
		break;
	case FAULT_EAGAIN:
	case FAULT_EINTR:
	case FAULT_ERROR:
		fault_fail_next(fc, h);
		break;
	case FAULT_PAUSE:
	case FAULT_KILL:
	case FAULT_SIGNAL:
		fault_process(c, conn, h);
		break;
	default:
		break;
	}
}
