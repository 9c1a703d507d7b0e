/* SPDX-License-Identifier: BSD-2-Clause
 *
 * start: from being loaded to the end of the process.
 *
 * (1) The constructor fills the table of next definitions, then starts the engine.  It may run before
 *     or after libc's own and those of other libraries.
 * (2) A wrong configuration leaves the process alone and costs one line on fd 2, unless
 *     SHAKEDOWN_QUIET=1.
 */
#include "shim/engine/line.h"
#include "shim/engine/sys.h"
#include "shim/libc/door.h"
#include "shim/libc/loaded.h"

#include "core/trace/layout.h"

/* As dladdr fills it in glibc and musl. */
struct start_place {
	const char *path;
	void *base;
	const char *symbol;
	void *address;
};

/* Our path as the loader knows it, NULL when nobody tells. */
static const char *find_self(void)
{
	static struct start_place place;
	int (*find)(const void *, struct start_place *) =
		(int (*)(const void *, struct start_place *))libc_global("dladdr");

	return find ? (find(&place, &place) ? place.path : NULL) : loaded_self();
}

/* glibc hands the arguments of main to constructors; musl hands nothing, but has set environ. */
static char **find_environ(char **envp)
{
	char ***place = libc_global("environ");

	if (libc_global("gnu_get_libc_version"))
		return envp;
	return place ? *place : NULL;
}

static void say(const char *problem)
{
	struct iovec line[] = {
		{(void *)problem, line_length(problem)},
		{(void *)"\n", 1},
	};

	(void)sys_3(SYS_writev, 2, (long)line, 2);
}

/* glibc tells the status with which a process ends, also when main returned it.  This runs after all
 * destructors, because it is registered before them. */
static bool told_at_exit;

static void at_exit(int status, void *unused)
{
	(void)unused;
	engine_end(status);
}

static void tell_at_exit(void)
{
	int (*on_exit)(void (*)(int, void *), void *) =
		(int (*)(void (*)(int, void *), void *))libc_global("on_exit");

	told_at_exit = on_exit && on_exit(at_exit, NULL) == 0;
}

__attribute__((constructor(101))) static void start(int argc, char **argv, char **envp)
{
	const char *problem = NULL;

	/* Look-ups come first: filling the table takes away the errors they leave. */
	char **environ = find_environ(envp);
	const char *self = find_self();

	tell_at_exit();
	libc_next_fill();
	if (!engine_start(environ, TRACE_DOOR_LIBC, &problem)) {
		if (problem)
			say(problem);
		return;
	}
	libc_environ_start(environ, self);
	libc_syscall_start();
}

__attribute__((destructor(101))) static void end(void)
{
	if (!told_at_exit)
		engine_end(libc_exit_status());
}
