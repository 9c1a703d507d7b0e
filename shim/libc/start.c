/* SPDX-License-Identifier: BSD-2-Clause
 *
 * start: from being loaded to the end of the process.
 *
 * (1) The constructor fills the table of next definitions, then starts the engine.  It may run before
 *     or after libc's own and those of other libraries.
 *     Under a filter that may kill us it does the first only, with no call but open, read and close.
 * (2) A wrong configuration leaves the process alone and costs one line on fd 2, unless
 *     SHAKEDOWN_QUIET=1.  A place nobody can write to costs the line only: it may become writable.
 * (3) The line is said once in a tree of processes: who says it leaves SHAKEDOWN_SAID=1 in its
 *     environment.
 */
#include "shim/engine/config.h"
#include "shim/engine/filter.h"
#include "shim/engine/line.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/go/go.h"
#include "shim/libc/door.h"
#include "shim/libc/loaded.h"

#include "core/trace/layout.h"

#include <errno.h>
#include <unistd.h>

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

/* glibc hands the arguments of main to constructors; musl hands nothing, but has set environ.  Where no
 * libc was loaded at all (Go, position-independent without C), the loader is glibc's. */
static char **find_environ(char **envp)
{
	char ***place = libc_global("environ");

	if (libc_global("gnu_get_libc_version"))
		return envp;
	return place ? *place : envp;
}

/* The environment with SHAKEDOWN_SAID=1 behind it, as the program and its children find it: an array of
 * our own, because malloc may not be ready.  As it was when it is too long for that. */
static char **mark_said(char **old)
{
	static char mark[] = "SHAKEDOWN_SAID=1";
	static char *marked[1024];
	char ***place = libc_global("environ");
	size_t n = 0;

	while (old && old[n])
		n++;
	if (!place || !old || *place != old || n + 2 > CORE_ARRAY_LEN(marked))
		return old;
	memcpy(marked, old, n * sizeof(*old));
	marked[n] = mark;
	*place = marked;
	return marked;
}

/* Returns the environment to go on with. */
static char **say(const char *problem, char **variables)
{
	struct iovec line[] = {
		{(void *)problem, line_length(problem)},
		{(void *)"\n", 1},
	};

	(void)sys_3(SYS_writev, 2, (long)line, 2);
	return mark_said(variables);
}

static long may_write(const char *folder)
{
	return sys_3(SYS_faccessat, AT_FDCWD, (long)folder, W_OK | X_OK);
}

/* What keeps trace files from being made, as far as can be told without making one: NULL nothing.
 * The folder itself is made with the first file, its parent is not. */
static const char *find_obstacle(void)
{
	static char text[CONFIG_PATH_MAX + 128];
	struct line l;
	size_t end = line_length(config_place);
	long err;

	if (!end)
		return "shakedown: the folder of the trace cannot be told; set SHAKEDOWN_TRACE to "
		       "an "
		       "absolute path";
	line_init(&l, text, sizeof(text));
	line_add(&l, config_place);
	line_add(&l, "/.");
	err = may_write(text);
	if (err == -ENOENT) {
		while (end > 1 && text[end - 1] == '/')
			end--;
		while (end > 1 && text[end - 1] != '/')
			end--;
		text[end] = '\0';
		err = may_write(text);
	}
	if (!err || l.cut)
		return NULL;
	line_init(&l, text, sizeof(text));
	line_add(&l, "shakedown: no trace can be written to ");
	line_add(&l, config_place);
	line_add(&l, err == -ENOENT    ? " (its parent folder does not exist)"
		     : err == -ENOTDIR ? " (it is no folder)"
		     : err == -EROFS   ? " (read-only file system)"
				       : " (no permission)");
	line_add(&l, "; set SHAKEDOWN_TRACE to a folder that can be");
	return text;
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
	const char *problem = NULL, *obstacle;

	/* Look-ups come first: filling the table takes away the errors they leave. */
	char **variables = find_environ(envp);
	const char *self = find_self();

#ifdef SYS_open
	if (!libc_global("gnu_get_libc_version")) /* musl opens files the old way */
		filter_open_call = SYS_open;
#endif
	if (!filter_start(variables)) {
		libc_next_fill_silently();
		return;
	}
	tell_at_exit();
	libc_next_fill();
	if (!engine_start(variables, TRACE_DOOR_LIBC, &problem)) {
		if (problem)
			say(problem, variables);
		return;
	}
	obstacle = engine.config.quiet ? NULL : find_obstacle();
	if (obstacle)
		variables = say(obstacle, variables);
	libc_environ_start(variables, self);
	libc_syscall_start();
	(void)go_start(self, &problem);
}

__attribute__((destructor(101))) static void end(void)
{
	if (!told_at_exit)
		engine_end(libc_exit_status());
}
