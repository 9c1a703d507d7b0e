/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec: the exec family and posix_spawn.  The environment is carried on (environ.c); everything else
 * is the next definition's work.
 *
 * (1) In a process of its own the completed environment lives in a mapping, released when exec fails.
 *     A vfork child borrows its parent's memory, and a mapping made there stays behind, so it uses the
 *     stack, as libc's own exec functions do for their paths and arguments.  These functions are
 *     therefore the exception to the stack budget.  What is too large for that goes into a mapping
 *     that the next child of the same thread uses again.
 * (2) execl and kin collect their arguments on the stack, like libc's own.
 */
#include "shim/engine/clock.h"
#include "shim/engine/carry.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/libc/door.h"

#include <errno.h>
#include <stdarg.h>

/* Declared here, not taken from libc's headers: those promise the compiler arguments that are not
 * NULL, and programs pass NULL all the same. */
int execve(const char *path, char *const argv[], char *const envp[]);
int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags);
int fexecve(int fd, char *const argv[], char *const envp[]);
int execv(const char *path, char *const argv[]);
int execvp(const char *file, char *const argv[]);
int execvpe(const char *file, char *const argv[], char *const envp[]);
int execl(const char *path, const char *arg, ...);
int execlp(const char *file, const char *arg, ...);
int execle(const char *path, const char *arg, ...);
int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attr,
		char *const argv[], char *const envp[]);
int posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attr,
		 char *const argv[], char *const envp[]);
long syscall(long nr, ...);

enum exec_kind {
	EXEC_VE,
	EXEC_V,
	EXEC_VPE,
	EXEC_VP,
	EXEC_FD,
	EXEC_AT,
	EXEC_NUMBER, /* through syscall() */
};

struct exec {
	enum exec_kind kind;
	int fd; /* EXEC_FD, EXEC_AT */
	int flags;
	long nr; /* EXEC_NUMBER */
	const char *path;
	char *const *argv;
	char *const *envp;
};

/* The next definition; completed: envp is a copy, so the calls that take none cannot be used. */
static long exec_next(const struct exec *x, char *const *envp, bool completed)
{
	switch (x->kind) {
	case EXEC_VE:
		break;
	case EXEC_V:
		if (!completed)
			return LIBC_NEXT(execv)(x->path, x->argv);
		break;
	case EXEC_VP:
		if (!completed)
			return LIBC_NEXT(execvp)(x->path, x->argv);
		return LIBC_NEXT(execvpe)(x->path, x->argv, envp);
	case EXEC_VPE:
		return LIBC_NEXT(execvpe)(x->path, x->argv, envp);
	case EXEC_FD:
		return LIBC_NEXT(fexecve)(x->fd, x->argv, envp);
	case EXEC_AT:
		return LIBC_NEXT(execveat)(x->fd, x->path, x->argv, envp, x->flags);
	case EXEC_NUMBER:
		if (x->nr == SYS_execveat)
			return LIBC_NEXT(syscall)(x->nr, x->fd, x->path, x->argv, envp, x->flags);
		return LIBC_NEXT(syscall)(x->nr, x->path, x->argv, envp);
	}
	return LIBC_NEXT(execve)(x->path, x->argv, envp);
}

enum {
	EXEC_STACK = 16384, /* a vfork child takes no more of its parent's stack than this */
};

/* Mappings that vfork children left behind.  The thread that made the child goes on when that has the
 * memory no longer, and no earlier: what is kept under its id is free whenever it is asked for. */
static struct exec_kept {
	uint32_t thread; /* whose, 0: free */
	size_t size;
	void *room;
} exec_kept[64];

static struct exec_kept *exec_find_kept(void)
{
	uint32_t thread = clock_thread();

	for (size_t i = 0; i < CORE_ARRAY_LEN(exec_kept); i++) {
		struct exec_kept *k = &exec_kept[i];
		uint32_t none = 0;

		if (__atomic_load_n(&k->thread, __ATOMIC_ACQUIRE) == thread ||
		    __atomic_compare_exchange_n(&k->thread, &none, thread, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return k;
	}
	return NULL;
}

static void *exec_map(size_t size)
{
	void *room = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	return sys_mmap_failed(room) ? NULL : room;
}

/* Room in borrowed memory; NULL when there is none. */
static void *exec_borrow(size_t size)
{
	struct exec_kept *k = exec_find_kept();

	if (!k)
		return exec_map(size);
	if (k->size >= size)
		return k->room;
	if (k->size)
		sys_munmap(k->room, k->size);
	k->room = exec_map(size);
	k->size = k->room ? size : 0;
	return k->room;
}

/* The environment of the calls that take none. */
static char *const *exec_environ(void)
{
	char *const **place = libc_global("environ");

	return place ? *place : NULL;
}

enum {
	EXEC_FOUND = 1024, /* longest path a search may give */
};

static bool is_path(const char *entry)
{
	return entry[0] == 'P' && entry[1] == 'A' && entry[2] == 'T' && entry[3] == 'H' &&
	       entry[4] == '=';
}

/* Where a search along PATH ends; NULL: not told. */
static const char *exec_find(const char *name, char *room)
{
	char *const *e = exec_environ();

	for (const char *c = name; c && *c; c++) {
		if (*c == '/')
			return name;
	}
	while (e && *e && !is_path(*e))
		e++;
	return name && *name &&
			       carry_search(name, e && *e ? *e + sizeof("PATH=") - 1 : NULL, room,
					    EXEC_FOUND)
		       ? room
		       : NULL;
}

/* The path a call names without a search; NULL: it is not told. */
static const char *exec_path(const struct exec *x)
{
	bool plain = x->kind == EXEC_VE || x->kind == EXEC_V ||
		     (x->kind == EXEC_NUMBER && x->nr == SYS_execve);
	bool at = x->kind == EXEC_AT || x->kind == EXEC_NUMBER;

	return plain || (at && x->fd == AT_FDCWD && !x->flags) ? x->path : NULL;
}

/* With what of ours it needs, in room: first the arguments of the launcher, then the environment. */
static long exec_in(const struct exec *x, const char *path, const struct carry *c, size_t words,
		    void *room, size_t lack)
{
	struct exec by = {.kind = EXEC_VE};
	char *const *envp = x->envp;

	if (lack)
		envp = libc_environ_copy(envp, (char *)room + words);
	by.argv = words ? carry_make(c, path, x->argv, room) : NULL;
	if (by.argv) {
		by.path = by.argv[0];
		(void)exec_next(&by, envp, true);
	}
	/* Still here: the launcher is gone, or there was none. */
	return exec_next(x, envp, lack != 0);
}

/* path: the file that will be executed, NULL: it is not told. */
static long exec_run(const struct exec *x, const char *path)
{
	struct carry c = {0};
	size_t words = path ? carry_room(&c, path, x->argv, x->envp) : 0;
	size_t lack = libc_environ_lack(x->envp), size = words + lack;
	bool borrows = size && engine_is_stranger();
	void *room;

	engine_exec(x->path);
	if (!size)
		return exec_next(x, x->envp, false);
	if (size <= EXEC_STACK && borrows)
		return exec_in(x, path, &c, words, __builtin_alloca(size), lack);
	room = borrows ? exec_borrow(size) : exec_map(size);
	if (!room)
		return exec_next(x, x->envp, false);

	long ret = exec_in(x, path, &c, words, room, lack);

	if (!borrows)
		sys_munmap(room, size);
	return ret;
}

static long exec_named(const struct exec *x)
{
	return exec_run(x, exec_path(x));
}

static long exec_search(const struct exec *x)
{
	char room[EXEC_FOUND];

	return exec_run(x, config_launch[0] ? exec_find(x->path, room) : NULL);
}

LIBC_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)exec_named(
		&(struct exec){.kind = EXEC_VE, .path = path, .argv = argv, .envp = envp});
}

LIBC_EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[],
			 int flags)
{
	return (int)exec_named(&(struct exec){.kind = EXEC_AT,
					      .fd = dir,
					      .flags = flags,
					      .path = path,
					      .argv = argv,
					      .envp = envp});
}

LIBC_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	return (int)exec_named(
		&(struct exec){.kind = EXEC_FD, .fd = fd, .argv = argv, .envp = envp});
}

LIBC_EXPORT int execv(const char *path, char *const argv[])
{
	return (int)exec_named(
		&(struct exec){.kind = EXEC_V, .path = path, .argv = argv, .envp = exec_environ()});
}

LIBC_EXPORT int execvp(const char *file, char *const argv[])
{
	return (int)exec_search(&(struct exec){
		.kind = EXEC_VP, .path = file, .argv = argv, .envp = exec_environ()});
}

LIBC_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return (int)exec_search(
		&(struct exec){.kind = EXEC_VPE, .path = file, .argv = argv, .envp = envp});
}

long libc_exec_at(long nr, int dir, const char *path, char *const *argv, char *const *envp,
		  int flags)
{
	return exec_named(&(struct exec){.kind = EXEC_NUMBER,
					 .nr = nr,
					 .fd = dir,
					 .flags = flags,
					 .path = path,
					 .argv = argv,
					 .envp = envp});
}

/* ---- arguments one by one ---- */

/* Words from arg to the NULL, which is counted too. */
static size_t count_arguments(const char *arg, va_list list)
{
	size_t n = 1;

	for (; arg; n++)
		arg = va_arg(list, const char *);
	return n;
}

static void take_arguments(const char **argv, size_t n, const char *arg, va_list list)
{
	argv[0] = arg;
	for (size_t i = 1; i < n; i++)
		argv[i] = va_arg(list, const char *);
}

/* Collect arg and what follows in argv, on the stack; behind the NULL may be an environment. */
#define TAKE(arg, argv, ret_envp)                           \
	do {                                                \
		va_list list;                               \
		va_start(list, arg);                        \
		size_t n = count_arguments(arg, list);      \
		va_end(list);                               \
		argv = __builtin_alloca(n * sizeof(*argv)); \
		va_start(list, arg);                        \
		take_arguments(argv, n, arg, list);         \
		ret_envp = va_arg(list, char *const *);     \
		va_end(list);                               \
	} while (0)

LIBC_EXPORT int execl(const char *path, const char *arg, ...)
{
	const char **argv;
	char *const *none;

	TAKE(arg, argv, none);
	(void)none;
	return (int)exec_named(&(struct exec){
		.kind = EXEC_V, .path = path, .argv = (char *const *)argv, .envp = exec_environ()});
}

LIBC_EXPORT int execlp(const char *file, const char *arg, ...)
{
	const char **argv;
	char *const *none;

	TAKE(arg, argv, none);
	(void)none;
	return (int)exec_search(&(struct exec){.kind = EXEC_VP,
					       .path = file,
					       .argv = (char *const *)argv,
					       .envp = exec_environ()});
}

LIBC_EXPORT int execle(const char *path, const char *arg, ...)
{
	const char **argv;
	char *const *envp;

	TAKE(arg, argv, envp);
	return (int)exec_named(&(struct exec){
		.kind = EXEC_VE, .path = path, .argv = (char *const *)argv, .envp = envp});
}

/* ---- spawn ---- */

struct spawn {
	__typeof__(&posix_spawn) next;
	pid_t *pid;
	const void *actions, *attr;
};

static int spawn_next(const struct spawn *s, const char *path, char *const *argv, char *const *envp)
{
	return s->next(s->pid, path, s->actions, s->attr, argv, envp);
}

/* path: what is asked for; found: the file that will be executed, NULL: not told. */
static int spawn_run(const struct spawn *s, const char *path, const char *found, char *const *argv,
		     char *const *envp)
{
	struct carry c = {0};
	size_t words = found ? carry_room(&c, found, argv, envp) : 0,
	       lack = libc_environ_lack(envp);
	void *room = words + lack ? exec_map(words + lack) : NULL;
	char **by;
	int err;

	if (!room)
		return spawn_next(s, path, argv, envp);
	if (lack)
		envp = libc_environ_copy(envp, (char *)room + words);
	by = words ? carry_make(&c, found, argv, room) : NULL;
	/* The launcher may be gone: then without it. */
	err = by ? spawn_next(s, by[0], by, envp) : ENOENT;
	if (err)
		err = spawn_next(s, path, argv, envp);
	sys_munmap(room, words + lack);
	return err;
}

LIBC_EXPORT int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attr,
			    char *const argv[], char *const envp[])
{
	struct spawn s = {LIBC_NEXT(posix_spawn), pid, actions, attr};

	return spawn_run(&s, path, path, argv, envp);
}

LIBC_EXPORT int posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attr,
			     char *const argv[], char *const envp[])
{
	struct spawn s = {LIBC_NEXT(posix_spawnp), pid, actions, attr};
	char room[EXEC_FOUND];

	return spawn_run(&s, file, config_launch[0] ? exec_find(file, room) : NULL, argv, envp);
}
