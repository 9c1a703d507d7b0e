/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/filter: may the library make its calls here?  The command's processes inherit the seccomp
 * filters of ours, and what a filter does cannot be asked: a child of ours tries.
 *
 * (1) Every call the library makes besides the server's own is in the table, with the arguments a filter
 *     may look at; tests/shim/test_filtered.py compares.
 * (2) The tries change nothing: they name no file, no descriptor and no memory, and a clone that the
 *     kernel refuses.  exit_group is the last: nothing comes back from it.
 * (3) What only rules need is tried too: they can be set later, in a process under the filter.
 */
#include "tools/verb/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum {
	WIPE_ON_FORK = 18,
	POPULATE_WRITE = 23,
};

#define TRY(name, ...)              \
	{                           \
#name, SYS_##name,  \
		{                   \
			__VA_ARGS__ \
		}                   \
	}
static const struct
try {
	const char *name;
	long nr;
	long arg[6];
}
tries[] = {
	TRY(openat, AT_FDCWD, (long)"", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
	TRY(openat, AT_FDCWD, (long)"", O_RDONLY | O_CLOEXEC),
	TRY(read, -1),
	TRY(pread64, -1),
	TRY(pwrite64, -1),
	TRY(fstat, -1),
	TRY(fgetxattr, -1),
	TRY(close, -1),
	TRY(readlinkat, AT_FDCWD, (long)""),
	TRY(getcwd),
	TRY(faccessat, AT_FDCWD, (long)""),
	TRY(newfstatat, AT_FDCWD, (long)""),
	TRY(mkdirat, AT_FDCWD, (long)"", 0700),
	TRY(unlinkat, AT_FDCWD, (long)""),
	TRY(mmap, 0, 0, PROT_READ | PROT_WRITE, MAP_SHARED, -1),
	TRY(mmap, 0, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1),
	TRY(mmap, 0, 0, PROT_READ, MAP_PRIVATE, -1),
	TRY(mmap, 0, 0, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, -1),
	TRY(mmap, 0, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
	TRY(mprotect, 0, 0, PROT_READ),
	TRY(mprotect, 0, 0, PROT_READ | PROT_WRITE),
	TRY(munmap),
	TRY(munlock),
	TRY(madvise, 0, 0, WIPE_ON_FORK),
	TRY(madvise, 0, 0, MADV_RANDOM),
	TRY(madvise, 0, 0, POPULATE_WRITE),
	TRY(ftruncate, -1),
	TRY(fallocate, -1),
	TRY(prlimit64, 0, RLIM_NLIMITS),
	TRY(writev, -1),
	TRY(getsockopt, -1, SOL_SOCKET, SO_COOKIE),
	TRY(getsockopt, -1, SOL_SOCKET, SO_TYPE),
	TRY(getsockname, -1),
	TRY(getpeername, -1),
	TRY(ioctl, -1, FIONREAD),
	TRY(rt_sigprocmask, -1, 8, 0, 8),
	TRY(getpid),
	TRY(getppid),
	TRY(gettid),
	TRY(tgkill, -1),
	TRY(prctl, PR_GET_TID_ADDRESS),
	TRY(set_tid_address),
	TRY(timer_create, -1),
	TRY(timer_gettime, -1),
	TRY(geteuid),
	TRY(clock_gettime, -1),
	TRY(sched_yield),
	TRY(futex, 0, FUTEX_WAKE),
	TRY(sendto, -1),
	TRY(recvfrom, -1),
	TRY(setsockopt, -1),
	TRY(shutdown, -1),
	TRY(connect, -1),
	TRY(accept4, -1),
	TRY(sendfile, -1, -1),
	TRY(splice, -1, 0, -1),
	TRY(fcntl, -1, F_GETFL),
	TRY(getdents64, -1),
	TRY(poll),
	TRY(ppoll, 0, UINT_MAX),
	TRY(pselect6, -1),
	TRY(epoll_ctl, -1, 0, -1),
	TRY(epoll_pwait, -1),
	TRY(epoll_pwait2, -1),
	TRY(rt_sigaction, 0, 0, 0, 8),
	TRY(rt_sigpending, 0, 8),
	TRY(nanosleep),
	TRY(clock_nanosleep, CLOCK_MONOTONIC),
	TRY(kill, INT_MAX),
	TRY(clone, CLONE_SIGHAND),
	TRY(wait4, INT_MAX, 0, WNOHANG),
	TRY(exit_group),
};

long launch_status(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = strlen(name);
	char line[256];
	long v = -1;

	while (f && v < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, n) && line[n] == ':')
			v = strtol(line + n + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return v;
}

/* In the child: *at is the row being tried. */
static void try_all(volatile unsigned *at)
{
	signal(SIGSYS, SIG_DFL);
	prctl(PR_SET_DUMPABLE, 0); /* no core file for what is expected */
	for (*at = 0; *at < CORE_ARRAY_LEN(tries); ++*at) {
		const long *a = tries[*at].arg;

		(void)syscall(tries[*at].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	_exit(0);
}

unsigned launch_filters(const char **ret_killed)
{
	long mode = launch_status("Seccomp"), count = launch_status("Seccomp_filters");
	volatile unsigned *at;
	int status = 0;
	pid_t child;

	*ret_killed = NULL;
	if (mode <= 0)
		return 0;
	at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return 0;
	child = fork();
	if (child == 0)
		try_all(at);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child > 0 && status)
		*ret_killed = *at < CORE_ARRAY_LEN(tries) ? tries[*at].name : "exit_group";
	munmap((void *)(uintptr_t)at, sizeof(*at));
	return count > 0 ? (unsigned)count : 1;
}
