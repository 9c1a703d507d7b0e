/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_call: faults of calls that a rule names: accept, connect and all others.
 *
 * refuse: an accept that fails for want of something takes no connection off the queue, so that it is
 * found again; ECONNABORTED is what a client leaves behind that went away before: it is accepted and
 * reset.  On an empty queue there is nobody to refuse, and the kernel says so.
 *
 * wake: a wait says that a signal came, and nothing else: to say that there is no event would mean that its
 * timeout has passed.  One that does not wait finds nothing.  Or an epoll set tells of one event at a time.
 *
 * Source: accept(2), connect(2) (AF_UNSPEC), epoll_wait(2).
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/sys.h"

#include <errno.h>

/* False: answered. */
static __attribute__((noinline)) bool abort_next(struct call *c)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	long fd = sys_4(SYS_accept4, (long)c->arg[0], 0, 0, SOCK_CLOEXEC);

	if (fd < 0) {
		c->ret = fd;
		return false;
	}
	(void)sys_3(SYS_connect, fd, (long)&none, sizeof(none));
	(void)sys_close((int)fd);
	c->ret = -ECONNABORTED;
	return true;
}

static __attribute__((noinline)) bool refuse(struct call *c, struct conn *conn,
					     const struct fault_hit *h)
{
	int err = (int)h->act->param[FAULT_REFUSE_errno];
	bool legal = err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;

	if (err == ECONNABORTED) {
		if (abort_next(c))
			fault_tell(c, conn, h, TRACE_FAULT_ACTED, err);
		return false;
	}
	if (!legal && !h->rule->illegal) {
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, err);
		return true;
	}
	fault_tell(c, conn, h, TRACE_FAULT_ACTED | (legal ? 0 : FAULT_TELL_ILLEGAL), err);
	fault_answer_error(c, err);
	return false;
}

/* Those that are ready besides it are found by the next wait.  poll and select tell of all at once. */
static __attribute__((noinline)) void one_event(struct call *c, struct conn *conn,
						const struct fault_hit *h)
{
	bool epoll =
		c->id == CALL_epoll_wait || c->id == CALL_epoll_pwait || c->id == CALL_epoll_pwait2;

	if (h->act->param[FAULT_WAKE_how] != FAULT_HOW_ONE || !epoll || c->changed)
		return fault_tell(c, conn, h, TRACE_FAULT_FAILED, ENOSYS);
	if ((int)c->arg[2] > 1) {
		c->changed = 3;
		c->ret = (int64_t)c->arg[2];
		c->arg[2] = 1;
	}
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, 1);
}

/* False: answered. */
static __attribute__((noinline)) bool wake(struct call *c, struct conn *conn,
					   const struct fault_hit *h)
{
	bool epoll = c->id == CALL_epoll_wait || c->id == CALL_epoll_pwait;

	if (h->act->param[FAULT_WAKE_how] != FAULT_HOW_SPURIOUS) {
		one_event(c, conn, h);
		return true;
	}
	c->ret = epoll && (int)c->arg[3] == 0 ? 0 : -EINTR;
	fault_tell(c, conn, h, TRACE_FAULT_ACTED, -c->ret);
	return false;
}

bool fault_act_call(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	switch ((enum fault_id)h->act->fault) {
	case FAULT_REFUSE:
		return refuse(c, conn, h);
	case FAULT_EAGAIN:
	case FAULT_EINTR:
	case FAULT_ERROR:
	case FAULT_RETVAL:
		return fault_fail(c, conn, h);
	case FAULT_WAKE:
		return wake(c, conn, h);
	case FAULT_SIGNAL:
	case FAULT_PAUSE:
	case FAULT_KILL:
		fault_process(c, conn, h);
		return true;
	default:
		return true;
	}
}
