/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_process: what befalls the whole process.
 *
 * (1) pause: the process is stopped with SIGSTOP, as an operator or a container's runtime would, because
 *     nothing else stops threads that make no calls.  Somebody outside has to continue it: a child made for
 *     that sends SIGSTOP, sleeps, sends SIGCONT and ends.
 *       - It is a copy (no CLONE_VM), so that it needs no stack of its own; it shares the descriptors
 *         (CLONE_FILES), so that its end closes nothing, and nothing is kept open by it.
 *       - It gives no signal when it ends and is waited for by __WALL only: the application's wait does not
 *         meet it.  The thread that made it takes it away.
 *       - All signals are blocked in it, so that none of the application's handlers runs there.
 *       - When the thread that made it dies, it dies too (PR_SET_PDEATHSIG): a number that was given to
 *         another process meanwhile gets no signal from it.
 *     A parent that waits for stopped children (a shell) sees that the process stopped.  The first process
 *     of a pid namespace cannot be stopped from inside: that is refused.
 * (2) kill and signal: recorded first.  What a handler does, and whether the call is interrupted, is the
 *     application's.
 *
 * Source: signal(7), clone(2), wait(2) (__WALL), prctl(2), kill(2), tgkill(2), pid_namespaces(7).
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
	NS_PER_S = 1000000000,
};

/* In the child. */
static _Noreturn void hold(uint32_t parent, uint64_t ns)
{
	struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

	(void)sys_2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	if (sys_getppid() == parent && !sys_2(SYS_kill, (long)parent, SIGSTOP)) {
		(void)sys_2(SYS_nanosleep, (long)&t, 0);
		(void)sys_2(SYS_kill, (long)parent, SIGCONT);
	}
	for (;;)
		(void)sys_1(SYS_exit_group, 0);
}

static __attribute__((noinline)) int pause_process(uint64_t ns)
{
	uint64_t all = UINT64_MAX, before = 0;
	uint32_t self = sys_getpid();
	long child;

	if (self == 1)
		return EPERM;
	(void)sys_4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all));
	child = sys_call(SYS_clone, CLONE_FILES, 0, 0, 0, 0, 0);
	if (child == 0)
		hold(self, ns);
	while (child > 0 && sys_4(SYS_wait4, child, 0, __WALL, 0) == -EINTR)
		;
	(void)sys_4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
	return child < 0 ? (int)-child : 0;
}

void fault_process(const struct call *c, struct conn *conn, const struct fault_hit *h)
{
	const uint64_t *p = h->act->param;
	int err;

	switch ((enum fault_id)h->act->fault) {
	case FAULT_PAUSE:
		err = pause_process(p[FAULT_PAUSE_time]);
		if (err)
			fault_tell(c, conn, h, TRACE_FAULT_FAILED, err);
		else
			fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)p[FAULT_PAUSE_time]);
		break;
	case FAULT_KILL:
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)p[FAULT_KILL_signal]);
		(void)sys_2(SYS_kill, (long)engine.pid, (long)p[FAULT_KILL_signal]);
		break;
	case FAULT_SIGNAL:
		fault_tell(c, conn, h, TRACE_FAULT_ACTED, (int64_t)p[FAULT_SIGNAL_signal]);
		(void)sys_3(SYS_tgkill, (long)engine.pid, (long)sys_gettid(),
			    (long)p[FAULT_SIGNAL_signal]);
		break;
	default:
		break;
	}
}

bool fault_act_process(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	fault_process(c, conn, h);
	return true;
}
