/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/forbidden: see forbidden.h.
 */
#include "shim/launch/forbidden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The number behind name in a /proc file, or -1. */
static long read_number(const char *path, const char *name)
{
	char text[4096];
	const char *at = text;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (*name) {
		at = strstr(text, name);
		at = at ? at + strlen(name) : "-1";
	}
	return *at ? strtol(at, NULL, 10) : -1;
}

bool forbidden_kills(long nr)
{
	int status = 0;
	pid_t child;

	if (read_number("/proc/self/status", "\nSeccomp:") != 2)
		return false;
	child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (child == 0) {
		/* All ones: no request, no flags, no address that anybody has. */
		(void)syscall(nr, -1L, -1L, -1L, -1L);
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, __WALL) < 0 && errno == EINTR)
		continue;
	return child < 0 || WIFSIGNALED(status);
}

static void say_yama(long scope, char *why, size_t size)
{
	snprintf(why, size,
		 scope >= 3 ? "ptrace is forbidden to everybody until the next boot "
			      "(kernel.yama.ptrace_scope is %ld)"
			    : "ptrace is forbidden without CAP_SYS_PTRACE "
			      "(kernel.yama.ptrace_scope is %ld)",
		 scope);
}

void forbidden_ptrace(pid_t pid, int e, char *why, size_t size)
{
	long scope = read_number("/proc/sys/kernel/yama/ptrace_scope", "");
	char path[64];
	long tracer;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	tracer = read_number(path, "\nTracerPid:");
	if (!e)
		snprintf(why, size, "a seccomp filter kills for ptrace");
	else if (tracer > 0)
		snprintf(why, size, "process %ld (a debugger, strace) traces it already", tracer);
	else if (e == ENOSYS)
		snprintf(why, size, "there is no ptrace here");
	else if (scope >= 2)
		say_yama(scope, why, size);
	else if (read_number("/proc/self/status", "\nSeccomp:") == 2)
		snprintf(why, size, "a seccomp filter forbids ptrace (%s)", strerror(e));
	else
		snprintf(why, size, "a security module forbids ptrace (%s)", strerror(e));
}

void forbidden_injection(int e, const char *library, char *why, size_t size)
{
	if (e == ENOENT)
		snprintf(why, size, "%.300s is not there in the program's file system", library);
	else if (e == EACCES || e == EPERM)
		snprintf(why, size,
			 "a security module, or a mount without exec, keeps %.300s from being "
			 "mapped (%s)",
			 library, strerror(e));
	else
		snprintf(why, size, "%.300s could not be mapped into the program (%s)", library,
			 strerror(e));
}
