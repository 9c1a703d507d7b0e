/* SPDX-License-Identifier: BSD-2-Clause
 *
 * carry: see carry.h.
 *
 * Source: elf(5), execve(2) (interpreter scripts), exec(3), openat2(2), Documentation/userspace-api/check_exec.rst.
 */
#include "shim/engine/carry.h"
#include "shim/engine/config.h"
#include "shim/engine/filter.h"
#include "shim/engine/line.h"
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <elf.h>
#include <errno.h>
#include <linux/openat2.h>
#include <sys/stat.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

enum {
	HEADERS = 64,	/* program headers looked at, at most */
	WORDS = 16384,	/* arguments, at most */
	CHUNK = 16,	/* words counted at once */
	BEFORE = 5,	/* launcher "carry" "--" path, and the NULL */
	SCRIPT = 128,	/* bytes of a "#!" line looked at */
	EXECUTABLE = 1, /* X_OK */
	NAME = 1024,	/* bytes of our own program's path */
	EXECVE_CHECK = 0x10000,
};

#define SELF "/proc/self/exe"

static long open_file(const char *path)
{
	return sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
}

/* May be executed as it is, without a change of rights: who traces such an exec takes the rights away. */
static __attribute__((noinline)) bool is_plain(int fd)
{
	static const char capabilities[] = "security.capability";
	struct stat st = {0};

	return sys_2(SYS_fstat, fd, (long)&st) == 0 && S_ISREG(st.st_mode) &&
	       !(st.st_mode & (S_ISUID | S_ISGID)) &&
	       sys_4(SYS_fgetxattr, fd, (long)capabilities, 0, 0) <= 0;
}

/* A program for this machine that names no interpreter. */
static __attribute__((noinline)) bool is_static(int fd)
{
	Elf64_Ehdr eh = {0};
	Elf64_Phdr ph;

	if (sys_pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, __ehdr_start.e_ident, EI_VERSION + 1) ||
	    eh.e_machine != __ehdr_start.e_machine ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(ph) ||
	    !eh.e_phnum || eh.e_phnum > HEADERS)
		return false;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		long off = (long)(eh.e_phoff + i * sizeof(ph));

		if (sys_pread(fd, &ph, sizeof(ph), off) != sizeof(ph) || ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* The interpreter's name in a "#!" line, NUL-terminated in place; NULL: no such line. */
static char *find_interpreter(char *line)
{
	char *at = line + 2, *end;

	if (line[0] != '#' || line[1] != '!')
		return NULL;
	while (*at == ' ' || *at == '\t')
		at++;
	for (end = at; *end && *end != ' ' && *end != '\t' && *end != '\n'; end++)
		continue;
	if (!*end || end == at) /* cut */
		return NULL;
	*end = '\0';
	return at;
}

static __attribute__((noinline)) bool interpreter_is_static(int script)
{
	char line[SCRIPT + 1] = {0};
	char *name;
	bool yes;
	long fd;

	if (sys_pread(script, line, SCRIPT, 0) <= 0)
		return false;
	name = find_interpreter(line);
	fd = name ? open_file(name) : -1;
	if (fd < 0)
		return false;
	yes = is_plain((int)fd) && is_static((int)fd);
	sys_close((int)fd);
	return yes;
}

static bool may_execute(const char *path)
{
	return sys_4(SYS_faccessat, AT_FDCWD, (long)path, EXECUTABLE, 0) == 0;
}

/* Would the kernel execute it?  Asked without executing (since Linux 6.14): when the launcher finds out
 * it is too late to tell the program.  Older kernels know no such question. */
static bool is_refused(const char *path, char *const *argv, char *const *envp)
{
	long err = filter_in_force() ? -EINVAL
				     : sys_call(SYS_execveat, AT_FDCWD, (long)path, (long)argv,
						(long)envp, EXECVE_CHECK, 0);

	return err < 0 && err != -EINVAL && err != -ENOSYS;
}

static bool starts_with(const char *text, const char *prefix)
{
	while (*prefix && *text == *prefix) {
		text++;
		prefix++;
	}
	return !*prefix;
}

/* Does the path lead through a link of /proc that means something else in the launcher?  Such a link
 * is not a matter of spelling: any link may lead there. */
static bool is_relative_to_us(const char *path)
{
	static const struct open_how how = {.flags = O_PATH | O_CLOEXEC,
					    .resolve = RESOLVE_NO_MAGICLINKS};
	long fd = filter_in_force()
			  ? -ENOSYS
			  : sys_4(SYS_openat2, AT_FDCWD, (long)path, (long)&how, sizeof(how));

	if (fd >= 0)
		sys_close((int)fd);
	if (fd >= 0 || fd == -ELOOP)
		return fd < 0;
	return starts_with(path, "/proc/") || starts_with(path, "/dev/");
}

static bool same_file(const char *a, const char *b)
{
	struct stat x = {0}, y = {0};

	return sys_4(SYS_newfstatat, AT_FDCWD, (long)a, (long)&x, 0) == 0 &&
	       sys_4(SYS_newfstatat, AT_FDCWD, (long)b, (long)&y, 0) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* A descriptor is not taken for what it is here: who spawns may move it before the exec. */
static bool is_self(const char *path)
{
	return line_equal(line_base(path), "exe") && same_file(path, SELF);
}

static bool needs_launcher(struct carry *c, const char *path)
{
	long fd = open_file(path);
	bool needs;

	if (fd < 0)
		return false;
	c->self = is_relative_to_us(path);
	needs = is_plain((int)fd) &&
		(is_static((int)fd) || (!c->self && interpreter_is_static((int)fd)));
	sys_close((int)fd);
	return needs && may_execute(path) && (!c->self || is_self(path));
}

/* Words before the NULL; 0 when that cannot be told. */
static __attribute__((noinline)) size_t count_words(char *const *list)
{
	const char *chunk[CHUNK];

	for (size_t n = 0; n < WORDS;) {
		size_t got = peek_read((uintptr_t)(list + n), chunk, sizeof(chunk)) / 8;

		for (size_t i = 0; i < got; i++) {
			if (!chunk[i])
				return n + i;
		}
		if (!got)
			return 0;
		n += got;
	}
	return 0;
}

size_t carry_room(struct carry *ret, const char *path, char *const *argv, char *const *envp)
{
	if (!config_launch[0] || !engine.active || engine.quiet || !path || !argv)
		return 0;
	ret->words = count_words(argv);
	if (!ret->words || !needs_launcher(ret, path) || !may_execute(config_launch) ||
	    is_refused(path, argv, envp))
		return 0;
	return (ret->words + BEFORE) * sizeof(char *) + (ret->self ? NAME : 0);
}

/* The name of our own program, which means the same to everybody; NULL when there is none. */
static const char *name_self(char *name)
{
	long n = sys_readlink(SELF, name, NAME);

	if (n <= 0 || n >= NAME)
		return NULL;
	name[n] = '\0';
	return same_file(name, SELF) ? name : NULL;
}

char **carry_make(const struct carry *c, const char *path, char *const *argv, void *room)
{
	char **copy = room;
	size_t n = c->words;

	if (c->self)
		path = name_self((char *)(copy + n + BEFORE));
	copy[0] = config_launch;
	copy[1] = (char *)(uintptr_t) "carry";
	copy[2] = (char *)(uintptr_t) "--";
	copy[3] = (char *)(uintptr_t)path;
	if (!path || peek_read((uintptr_t)argv, copy + 4, n * sizeof(char *)) != n * sizeof(char *))
		return NULL;
	copy[4 + n] = NULL;
	return copy;
}

/* FOLDER/name, as far as it fits. */
static bool join(const char *folder, size_t n, const char *name, char *ret, size_t size)
{
	struct line l;

	line_init(&l, ret, size);
	line_add_span(&l, folder, n);
	line_add(&l, n ? "/" : "");
	line_add(&l, name);
	return !l.cut;
}

bool carry_search(const char *name, const char *variable, char *ret, size_t size)
{
	const char *at = variable ? variable : "/bin:/usr/bin";

	if (!config_launch[0] || engine.quiet)
		return false;
	for (;; at++) {
		size_t n = 0;
		long fd;

		while (at[n] && at[n] != ':')
			n++;
		if (!join(at, n, name, ret, size))
			return false;
		fd = open_file(ret);
		if (fd >= 0)
			sys_close((int)fd);
		if (fd >= 0 && may_execute(ret))
			return true;
		at += n;
		if (!*at)
			return false;
	}
}
