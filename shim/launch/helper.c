/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/helper: see inject_exec in launch.h: a process traces another over its exec and is gone.
 *
 * (1) The helper is no child of the program's: its parent ended at once, and nobody is told of either.
 *     Who reaps orphans here reaps it, `shakedown run` before all others.
 * (2) It ends with the injection, with the program, or when the program never asks for it.
 * (3) No signal but SIGKILL ends it before it let go of the program.
 *
 * Source: ptrace(2), clone(2) (a child without an exit signal), prctl(2) (PR_SET_PTRACER).
 */
#include "shim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct talk {
	int up[2], down[2]; /* from the helper, to the helper */
};

static bool receive(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n;
}

static bool tell(int fd, const void *p, size_t n)
{
	return write(fd, p, n) == (ssize_t)n;
}

/* fork(2) whose child nobody is told of. */
static pid_t fork_silently(void)
{
	return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

static void let_be_traced_by(pid_t pid)
{
	/* Where Yama is not there, neither is this call. */
	(void)prctl(PR_SET_PTRACER, pid, 0, 0, 0);
}

static _Noreturn void help(const struct talk *t, pid_t pid, const char *library)
{
	pid_t self = (pid_t)syscall(SYS_getpid);
	char why[256], word;
	int e;

	/* Its end closes the pipe, too. */
	close(t->up[0]);
	close(t->down[1]);
	if (!tell(t->up[1], &self, sizeof(self)) || !receive(t->down[0], &word, 1))
		_exit(0);
	e = inject_seize(pid, why, sizeof(why));
	if (tell(t->up[1], &e, sizeof(e)) && !e)
		(void)inject_at_exec(pid, library, why, sizeof(why));
	_exit(0);
}

/* Have a helper trace us. False: there is none. */
static bool find_helper(struct talk *t, const char *library)
{
	pid_t pid = getpid(), between = fork_silently(), helper;
	int e;

	if (between == 0) {
		helper = fork_silently();
		if (helper == 0)
			help(t, pid, library);
		_exit(0);
	}
	close(t->up[1]);
	close(t->down[0]);
	t->up[1] = t->down[0] = -1;
	if (between < 0)
		return false;
	while (waitpid(between, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (!receive(t->up[0], &helper, sizeof(helper)))
		return false;
	let_be_traced_by(helper);
	return tell(t->down[1], "", 1) && receive(t->up[0], &e, sizeof(e)) && !e;
}

static void close_all(const struct talk *t)
{
	for (int i = 0; i < 2; i++) {
		if (t->up[i] >= 0)
			close(t->up[i]);
		if (t->down[i] >= 0)
			close(t->down[i]);
	}
}

/* Where nobody may be traced. */
static void exec_copy(const char *path, char *const argv[], char *const envp[], const char *library)
{
	char why[512], name[INJECT_COPY_PATH];
	int fd = inject_copy(path, library, why, sizeof(why));

	if (fd < 0)
		return;
	inject_copy_path(fd, name);
	execve(name, argv, envp);
	close(fd);
}

int inject_exec(const char *path, char *const argv[], char *const envp[], const char *library)
{
	struct talk t = {{-1, -1}, {-1, -1}};
	sigset_t all, before;
	bool helped;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	helped = !pipe2(t.up, O_CLOEXEC) && !pipe2(t.down, O_CLOEXEC) && find_helper(&t, library);
	close_all(&t);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (!helped)
		exec_copy(path, argv, envp, library);
	execve(path, argv, envp);
	return errno;
}
