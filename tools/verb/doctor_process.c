/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/doctor/process: a running process, read from /proc and left alone.
 *
 * The process may end while we look: whatever cannot be read any more is simply not said.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/verb/doctor.h"
#include "tools/verb/launch.h"
#include "tools/verb/verb.h"
#include "tools/verb/verdict.h"

#define SAY(name, state, ...) doctor_say(d, "process", name, state, __VA_ARGS__)

enum {
	ANCESTORS_MAX = 16,
	FILE_MAX_BYTES = 4 << 20, /* of a /proc file: more is not looked at */
};

static void proc_path(char ret[64], pid_t pid, const char *name)
{
	snprintf(ret, 64, "/proc/%d/%s", pid, name);
}

/* A whole /proc file, with a NUL behind it; NULL with errno when it cannot be read. */
static char *read_file(pid_t pid, const char *name, size_t *ret_n)
{
	char path[64], *text = NULL;
	size_t n = 0, size = 0;
	ssize_t got = 1;
	int fd, e;

	proc_path(path, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (got > 0 && n < FILE_MAX_BYTES) {
		if (size - n < 4096) {
			char *more = realloc(text, size += 65536);

			if (!more)
				break;
			text = more;
		}
		got = read(fd, text + n, size - n - 1);
		n += got > 0 ? (size_t)got : 0;
	}
	e = errno;
	close(fd);
	if (got < 0 || !text) {
		free(text);
		errno = e;
		return NULL;
	}
	text[n] = '\0';
	*ret_n = n;
	return text;
}

static bool read_link(pid_t pid, const char *name, char ret[PATH_MAX])
{
	char path[64];
	ssize_t n;

	proc_path(path, pid, name);
	n = readlink(path, ret, PATH_MAX - 1);
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* ---- its environment ---- */

/* The value of a variable in an environ block, NULL when it is not set. */
static const char *variable(const char *block, size_t n, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = block; p < block + n; p += strlen(p) + 1) {
		if (!strncmp(p, name, len) && p[len] == '=')
			return p + len + 1;
	}
	return NULL;
}

/* Have we the right to look into processes of others?  Root of a container often has not. */
static bool may_trace(void)
{
	size_t n;
	char *text = read_file(getpid(), "status", &n);
	const char *line = text ? strstr(text, "\nCapEff:") : NULL;
	bool may = !line || strtoull(line + 8, NULL, 16) >> CAP_SYS_PTRACE & 1;

	free(text);
	return may;
}

/* What would let us look. */
static const char *access_remedy(void)
{
	if (geteuid() != 0)
		return "ask as its user or as root";
	if (!may_trace())
		return "root lacks the capability CAP_SYS_PTRACE here: start the container with "
		       "--cap-add SYS_PTRACE, or ask from outside of it";
	return "a security module or a user namespace forbids it: ask from the namespace it was "
	       "started in";
}

static void look_at_environ(struct doctor *d, pid_t pid, bool loaded)
{
	size_t n;
	char *block = read_file(pid, "environ", &n);
	const char *preload, *trace;

	if (!block) {
		const char *why = strerror(errno);

		SAY("environment", DOCTOR_NOTE, "cannot be read (%s): %s", why, access_remedy());
		return;
	}
	preload = variable(block, n, "LD_PRELOAD");
	trace = variable(block, n, "SHAKEDOWN_TRACE");
	if (loaded)
		SAY("trace", DOCTOR_NOTE, "%s", trace ? trace : "in its working directory");
	else if (preload && strstr(preload, "libshakedown"))
		SAY("environment", DOCTOR_NOTE,
		    "LD_PRELOAD names the library, but the loader did not take it: the path is "
		    "wrong inside its file system, or privileges were raised (%s)",
		    preload);
	else if (preload)
		SAY("environment", DOCTOR_NOTE, "LD_PRELOAD is %s: run keeps it", preload);
	free(block);
}

/* A seccomp filter may have been there before the library. */
static void look_at_filters(struct doctor *d, pid_t pid)
{
	size_t n;
	char *text = read_file(pid, "status", &n);
	const char *mode = text ? strstr(text, "\nSeccomp:\t") : NULL;

	if (mode && mode[10] != '0')
		SAY("seccomp", DOCTOR_NOTE,
		    "it lives under a seccomp filter: if that was there before it started, the "
		    "library alone does nothing, except in a container; start it through run, "
		    "which tries first what the filter kills for");
	free(text);
}

/* Was the exec one that raised privileges?  The kernel told the loader in AT_SECURE. */
static bool is_secure(pid_t pid)
{
	size_t n;
	char *block = read_file(pid, "auxv", &n);
	bool secure = false;

	for (size_t at = 0; block && at + sizeof(Elf64_auxv_t) <= n; at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t a;

		memcpy(&a, block + at, sizeof(a));
		if (a.a_type == AT_SECURE)
			secure = a.a_un.a_val != 0;
	}
	free(block);
	return secure;
}

/* ---- how to start it again ---- */

/* NAME.service of the cgroup path; "" when systemd did not start it. */
static void unit_of(pid_t pid, char *ret, size_t size)
{
	size_t n;
	char *text = read_file(pid, "cgroup", &n), *save = NULL;

	ret[0] = '\0';
	for (char *w = text ? strtok_r(text, "/\n", &save) : NULL; w;
	     w = strtok_r(NULL, "/\n", &save)) {
		size_t len = strlen(w);

		/* user@1000.service holds the user's own units: go on to the inner one. */
		if (len > 8 && !strcmp(w + len - 8, ".service"))
			snprintf(ret, size, "%s", w);
	}
	if (!strncmp(ret, "user@", 5))
		ret[0] = '\0';
	free(text);
}

static bool is_container(pid_t pid)
{
	size_t n;
	char *text = read_file(pid, "cgroup", &n);
	bool yes = text && (strstr(text, "docker") || strstr(text, "libpod") ||
			    strstr(text, "kubepods") || strstr(text, "containerd"));

	free(text);
	return yes;
}

static pid_t parent_of(pid_t pid)
{
	size_t n;
	char *text = read_file(pid, "stat", &n);
	const char *paren = text ? strrchr(text, ')') : NULL;
	int parent = 0;

	if (!paren || sscanf(paren, ") %*c %d", &parent) != 1)
		parent = 0;
	free(text);
	return parent;
}

/* Were two processes one before a fork?  Same program, and the same command line, unless the younger
 * one rewrote its own ("nginx: worker process"). */
static bool is_fork_of(pid_t pid, pid_t parent)
{
	char exe[PATH_MAX], above[PATH_MAX];
	size_t n, m;
	char *mine, *theirs;
	bool same;

	if (!read_link(pid, "exe", exe) || !read_link(parent, "exe", above) || strcmp(exe, above))
		return false;
	mine = read_file(pid, "cmdline", &n);
	theirs = read_file(parent, "cmdline", &m);
	same = mine && theirs && ((n == m && !memcmp(mine, theirs, n)) || strstr(mine, ": "));
	free(mine);
	free(theirs);
	return same;
}

/* The oldest ancestor it was forked from: workers are restarted through their master. */
static pid_t master_of(pid_t pid)
{
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		pid_t parent = parent_of(pid);

		if (parent <= 1 || !is_fork_of(pid, parent))
			break;
		pid = parent;
	}
	return pid;
}

/* The words of a command line; *ret_block is what they point into. NULL when it cannot be read. */
static char **command_line(pid_t pid, char **ret_block)
{
	size_t n, words = 0;
	char *block = read_file(pid, "cmdline", &n);
	char **argv;

	if (!block || !n) {
		free(block);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		words += block[i] == '\0';
	argv = calloc(words + 2, sizeof(*argv));
	if (!argv) {
		free(block);
		return NULL;
	}
	words = 0;
	for (char *p = block; p < block + n; p += strlen(p) + 1)
		argv[words++] = p;
	*ret_block = block;
	return argv;
}

static void say_unit(struct doctor *d, const char *unit)
{
	struct launch_library l;
	char why[2 * PATH_MAX];
	const char *path =
		launch_library_find(&l, why, sizeof(why)) ? l.real : "/path/to/libshakedown.so";

	SAY("next", DOCTOR_NOTE,
	    "systemctl edit --runtime %s\n"
	    "    [Service]\n"
	    "    Environment=LD_PRELOAD=%s SHAKEDOWN_TRACE=/var/tmp/%s.trace\n"
	    "systemctl restart %s",
	    unit, path, unit, unit);
}

/* Ourselves, by a name that is good in any folder. */
static const char *own_name(char path[PATH_MAX])
{
	if (!strchr(program_invocation_name, '/') || !read_link(getpid(), "exe", path))
		return "shakedown";
	return path;
}

/* cd FOLDER && shakedown run -- WORDS... */
static void say_command(struct doctor *d, pid_t pid, char **argv)
{
	char own[PATH_MAX], cwd[PATH_MAX];
	char *self[] = {(char *)(uintptr_t)own_name(own), NULL}, *in[] = {cwd, NULL};
	char *name = doctor_quote(self), *words = doctor_quote(argv);
	char *folder = read_link(pid, "cwd", cwd) ? doctor_quote(in) : NULL;

	if (name && words)
		SAY("next", DOCTOR_NOTE, "stop it, then:\n%s%s%s%s run -- %s", folder ? "cd " : "",
		    folder ? folder : "", folder ? " && " : "", name, words);
	free(name);
	free(words);
	free(folder);
}

static void say_restart(struct doctor *d, pid_t pid)
{
	pid_t master = master_of(pid);
	char unit[256], exe[PATH_MAX], *block = NULL, *program[] = {exe, NULL};
	char **argv = command_line(master, &block);

	if (master != pid)
		SAY("master", DOCTOR_NOTE,
		    "%d started it and runs the same program: restart that one", master);
	unit_of(master, unit, sizeof(unit));
	if (is_container(master))
		SAY("container", DOCTOR_NOTE,
		    "it runs in a container: the library must be inside, see "
		    "docs/recipes/docker.md");
	if (unit[0]) {
		say_unit(d, unit);
	} else if (argv && !strchr(argv[0], ' ') && !strchr(argv[0], ':')) {
		say_command(d, master, argv);
	} else if (read_link(master, "exe", exe)) {
		if (argv)
			SAY("title", DOCTOR_NOTE,
			    "it rewrote its command line (%s): options must be added", argv[0]);
		say_command(d, master, program);
	}
	free(argv);
	free(block);
}

/* ---- all of it ---- */

static bool examine(pid_t pid, struct target *ret)
{
	char path[64];
	struct stat st;
	bool elf = false;
	void *p;
	int fd;

	proc_path(path, pid, "exe");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED) {
			elf = target_examine((struct span){p, (size_t)st.st_size}, ret);
			munmap(p, (size_t)st.st_size);
		}
	}
	close(fd);
	return elf;
}

static void judge(struct doctor *d, pid_t pid)
{
	struct target t;

	if (is_secure(pid)) {
		SAY("privileges", DOCTOR_NO,
		    "its exec raised privileges (setuid, setgid or file capabilities): the loader "
		    "ignores LD_PRELOAD; start it as the user it changes to");
		return;
	}
	if (!examine(pid, &t))
		return;
	SAY("program", DOCTOR_NOTE, "%s, %d-bit %s%s", target_kind_name(t.kind),
	    t.elf_class == 1 ? 32 : 64, target_machine_name(t.machine), t.musl ? ", musl" : "");
	if (t.go)
		SAY("go", DOCTOR_NOTE, "built by %s", t.go_version[0] ? t.go_version : "Go");
	if (t.kind == TARGET_OTHER_ARCH)
		SAY("machine", DOCTOR_NO, "the library is for 64-bit %s: use a build for that",
		    target_machine_name(target_machine_own()));
	else if (t.kind != TARGET_DYNAMIC)
		SAY("static", DOCTOR_NOTE,
		    "it takes no preload: run puts the library into it when it starts");
}

bool doctor_process(struct doctor *d, pid_t pid)
{
	char exe[PATH_MAX];
	char *maps;
	size_t n;
	bool loaded;

	if (kill(pid, 0) && errno == ESRCH) {
		complain("there is no process %d; for a command of that name write ./%d", pid, pid);
		return false;
	}
	if (read_link(pid, "exe", exe))
		SAY("file", DOCTOR_NOTE, "%s", exe);
	maps = read_file(pid, "maps", &n);
	if (!maps) {
		const char *why = strerror(errno);

		SAY("access", DOCTOR_NO, "process %d cannot be looked at (%s): %s", pid, why,
		    access_remedy());
		return true;
	}
	loaded = strstr(maps, "/libshakedown.so");
	free(maps);
	if (loaded) {
		SAY("watched", DOCTOR_YES, "the library is in this process already");
		look_at_environ(d, pid, loaded);
		look_at_filters(d, pid);
		return true;
	}
	SAY("watched", DOCTOR_NOTE,
	    "the library is not in it, and a running process cannot be attached to: it must be "
	    "started again");
	look_at_environ(d, pid, loaded);
	look_at_filters(d, pid);
	judge(d, pid);
	if (!d->ill)
		say_restart(d, pid);
	return true;
}
