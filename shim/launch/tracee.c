/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/tracee: see tracee.h.
 *
 * (1) System calls are stepped from stop to stop by the kernel (PTRACE_SYSCALL): no breakpoint, no
 *     SIGTRAP, whose disposition is the program's.
 * (2) Its signals wait, blocked, and arrive afterwards as if nothing had been.  SIGKILL ends it at any
 *     point; SIGSTOP, which cannot be blocked, is sent again at the end.
 * (3) A wait status that tells of an exit is never taken.
 */
#include "shim/launch/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

enum {
	SYSCALL_INSTRUCTION = 0x050f,
	SYSCALL_SIZE = 2,
	SYSCALL_STOP = SIGTRAP | 0x80, /* PTRACE_O_TRACESYSGOOD */
};

static long request(int what, pid_t pid, uint64_t addr, uint64_t data)
{
	return ptrace((enum __ptrace_request)what, pid, (void *)addr, (void *)data);
}

/* Wait for the next stop; false when it ended instead. */
static bool wait_stop(pid_t pid, int *ret_status)
{
	siginfo_t info = {.si_pid = 0};

	for (;;) {
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL)) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			return false;
		if (waitpid(pid, ret_status, WNOHANG | __WALL) == pid && WIFSTOPPED(*ret_status))
			return true;
	}
}

/* Let it go on from a stop that is not ours: deliver its signal, or keep it stopped by job control. */
static void pass_stop(pid_t pid, int status)
{
	int number = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP && number != SIGTRAP)
		request(PTRACE_LISTEN, pid, 0, 0);
	else
		request(PTRACE_CONT, pid, 0, event ? 0 : (uint64_t)number);
}

bool tracee_wait_exec(pid_t pid)
{
	int status;

	while (wait_stop(pid, &status)) {
		if (status >> 16 == PTRACE_EVENT_EXEC)
			return true;
		pass_stop(pid, status);
	}
	return false;
}

/* Resume it to the next entry into the kernel, or exit from it. */
static bool step(struct tracee *t)
{
	int status;

	for (;;) {
		if (request(PTRACE_SYSCALL, t->pid, 0, 0) || !wait_stop(t->pid, &status)) {
			t->ended = true;
			return false;
		}
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return true;
		t->stop_asked |= WSTOPSIG(status) == SIGSTOP && !(status >> 16);
	}
}

int tracee_enter(struct tracee *t, pid_t pid)
{
	uint64_t all = ~UINT64_C(0);

	*t = (struct tracee){.pid = pid};
	if (request(PTRACE_GETSIGMASK, pid, sizeof(t->mask), (uint64_t)&t->mask) ||
	    request(PTRACE_SETSIGMASK, pid, sizeof(all), (uint64_t)&all))
		return errno;
	if (!step(t)) /* out of the exec */
		return ESRCH;
	if (request(PTRACE_GETREGS, pid, 0, (uint64_t)&t->start))
		return errno;
	t->entered = true;
	errno = 0;
	t->borrowed = t->start.rip;
	t->code = request(PTRACE_PEEKTEXT, pid, t->borrowed, 0);
	if (errno)
		return errno;
	if (request(PTRACE_POKETEXT, pid, t->borrowed,
		    (uint64_t)((t->code & ~0xffffL) | SYSCALL_INSTRUCTION)))
		return errno;
	t->changed = true;
	return 0;
}

void tracee_leave(struct tracee *t)
{
	struct user_regs_struct now = t->start;

	if (t->ended)
		return;
	now.orig_rax = (unsigned long long)-1; /* no call to restart */
	if (t->changed)
		request(PTRACE_POKETEXT, t->pid, t->borrowed, (uint64_t)t->code);
	if (t->entered)
		request(PTRACE_SETREGS, t->pid, 0, (uint64_t)&now);
	request(PTRACE_SETSIGMASK, t->pid, sizeof(t->mask), (uint64_t)&t->mask);
	if (t->stop_asked)
		kill(t->pid, SIGSTOP);
	request(PTRACE_DETACH, t->pid, 0, 0);
}

uint64_t tracee_pc(const struct tracee *t)
{
	return t->start.rip;
}

void tracee_set_pc(struct tracee *t, uint64_t pc)
{
	t->start.rip = pc;
}

uint64_t tracee_sp(const struct tracee *t)
{
	return t->start.rsp;
}

long tracee_call(struct tracee *t, long nr, const uint64_t arg[6])
{
	struct user_regs_struct r = t->start;

	r.rip = t->borrowed;
	r.rax = (unsigned long long)nr;
	r.orig_rax = (unsigned long long)-1;
	r.rdi = arg[0];
	r.rsi = arg[1];
	r.rdx = arg[2];
	r.r10 = arg[3];
	r.r8 = arg[4];
	r.r9 = arg[5];
	if (t->ended || request(PTRACE_SETREGS, t->pid, 0, (uint64_t)&r) || !step(t) || !step(t) ||
	    request(PTRACE_GETREGS, t->pid, 0, (uint64_t)&r))
		return -ESRCH;
	return (long)r.rax;
}

int tracee_write(const struct tracee *t, uint64_t to, const void *from, size_t n)
{
	char path[64];
	ssize_t done;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)t->pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	done = pwrite(fd, from, n, (off_t)to);
	close(fd);
	return done == (ssize_t)n ? 0 : EFAULT;
}
