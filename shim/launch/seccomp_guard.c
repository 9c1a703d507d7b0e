/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_guard: see seccomp.h: the supervisor's process, and the one behind it.
 *
 * (1) The guard holds the listener and does nothing but wait for the supervisor, its child.  As long as one
 *     of the two lives, calls are answered.
 * (2) A supervisor follows one process; when that ended it makes room for the next, with nothing in hand.
 * (3) When a supervisor dies before its time, the calls it had in hand go on to the kernel, and its successor
 *     tells so in the trace.
 *
 * Source: seccomp_unotify(2), pidfd_getfd(2), proc(5) (oom_score_adj).
 */
#include "shim/launch/seccomp.h"
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

enum {
	SYNC_WAKE_UP = 1,
	TRIES = 3,	/* supervisors that may die; then calls are only let pass */
	UNKNOWN = 4096, /* calls received of which the dead could not tell us */
	NEXT = 3,	/* exit status: another is to follow the next process */
};

/* ---- between the two ---- */

bool guard_is_there(const struct supervisor *s)
{
	return getppid() == s->guard;
}

void guard_tell_ended(struct seccomp_shared *shared)
{
	__atomic_store_n(&shared->following, 0, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, &shared->following, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static _Noreturn void be_supervisor(struct supervisor *s, int32_t followed)
{
	int ready = epoll_create1(EPOLL_CLOEXEC);

	s->shared->supervisor = getpid();
	s->ready = fcntl(ready, F_DUPFD_CLOEXEC, supervisor_base);
	close(ready);
	if (followed > 0)
		supervisor_resume(s, followed);
	_exit(supervisor_serve(s) ? NEXT : 0);
}

static void let_pass(struct supervisor *s, uint64_t id)
{
	supervisor_pass(s, &(struct notice){.id = id});
}

/* Numbers of calls count up; one that nobody received yet is not touched by an answer. */
static void let_all_pass(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->shared->waits && i < MIRRORS; i++)
		let_pass(s, s->shared->waiting[i]);
	s->shared->waits = 0;
	for (uint64_t i = 0; i < UNKNOWN; i++)
		let_pass(s, s->shared->current + i);
}

static _Noreturn void be_guard(struct supervisor *s)
{
	int32_t followed = 0;

	s->guard = getpid();
	while (s->shared->lost <= TRIES) {
		int status = 0;
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0)
			be_supervisor(s, followed);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
		followed = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			_exit(0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == NEXT)
			continue;
		s->shared->lost++;
		followed = s->shared->following;
		let_all_pass(s);
	}
	s->pid = -1;
	(void)supervisor_serve(s);
	_exit(0);
}

/* ---- the process ---- */

static void on_alarm(int number)
{
}

/* As many descriptors as may be had; half of them for mirrors. */
static int raise_limit(void)
{
	struct rlimit all = {2 * MIRRORS, 2 * MIRRORS}, r = {0};

	if (!setrlimit(RLIMIT_NOFILE, &all))
		return MIRRORS;
	(void)getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur / 2 < MIRRORS ? (int)(r.rlim_cur / 2) : MIRRORS;
}

/* Where memory runs out, rather others: without us the program's calls fail. */
static void spare_us(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "-1000", 5);
	close(fd);
}

/* Nobody's terminal, nobody's descriptors, no signal but SIGKILL. */
static bool leave(void)
{
	struct sigaction act = {.sa_handler = on_alarm};
	sigset_t all;

	setsid();
	prctl(PR_SET_PDEATHSIG, 0);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigaction(SIGALRM, &act, NULL);
	supervisor_base = raise_limit();
	spare_us();
	return !close_range(0, UINT32_MAX, 0);
}

/* Become the one who gets the calls. */
static bool take_listener(struct supervisor *s, struct seccomp_shared *shared)
{
	uint64_t sync = SYNC_WAKE_UP;
	int child;

	child = (int)syscall(SYS_pidfd_open, shared->child, 0);
	s->listener = child < 0 ? -1 : supervisor_take(child, shared->listener);
	if (s->listener < 0) {
		shared->error = errno;
		snprintf(
			shared->why, sizeof(shared->why),
			"the supervisor may not take a descriptor of the program (pidfd_getfd: "
			"%s): "
			"tracing is forbidden here, by Yama, by a container or by the kernel's age",
			strerror(errno));
		return false;
	}
	close(child);
	(void)ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, sync);
	return true;
}

static _Noreturn void supervise(struct seccomp_shared *shared, char *const *environ_)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s || !leave()) {
		shared->error = EMFILE;
		seccomp_say(shared, SECCOMP_CANNOT);
		_exit(1);
	}
	s->shared = shared;
	s->process = -1;
	s->environ = environ_;
	if (!seccomp_await(shared, SECCOMP_WAITS) || shared->state != SECCOMP_OFFERED)
		_exit(0);
	if (!take_listener(s, shared)) {
		seccomp_say(shared, SECCOMP_CANNOT);
		_exit(1);
	}
	s->killable = shared->killable;
	seccomp_say(shared, SECCOMP_SERVED);
	be_guard(s);
}

int seccomp_start(struct seccomp_door *door, char *const *environ_, char *why, size_t size)
{
	int e;

	*door = (struct seccomp_door){.supervisor = -1};
	door->shared = mmap(NULL, sizeof(*door->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (door->shared != MAP_FAILED)
		door->supervisor = fork();
	if (door->supervisor == 0)
		supervise(door->shared, environ_);
	if (door->supervisor > 0)
		return 0;
	e = errno;
	door->supervisor = 0;
	snprintf(why, size, "the supervisor cannot be started: %s", strerror(e));
	return e;
}

/* ---- for the one who started it ---- */

bool seccomp_is_supervisor(const struct seccomp_door *door, pid_t pid)
{
	return pid == door->supervisor || pid == door->shared->supervisor;
}

bool seccomp_lost(const struct seccomp_door *door)
{
	return door->shared->lost;
}

void seccomp_wait(const struct seccomp_door *door, int ms)
{
	struct timespec limit = {ms / 1000, ms % 1000 * 1000000L};
	int32_t pid;

	while ((pid = __atomic_load_n(&door->shared->following, __ATOMIC_ACQUIRE))) {
		if (syscall(SYS_futex, &door->shared->following, FUTEX_WAIT, pid, &limit, NULL, 0) <
			    0 &&
		    errno == ETIMEDOUT)
			return;
	}
}
