/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/verdict: the way from a word on the command line to the ELF file the kernel will start, and
 * what that file means for a preload.
 *
 * (1) Only looks: nothing is executed.
 * (2) When something cannot be found out (an unreadable but executable file) the verdict stays silent
 *     rather than wrong: what happened is verified after the start anyway.
 */
#include "tools/verb/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shim/launch/launch.h"
#include "tools/verb/launch.h"

enum {
	SCRIPTS_MAX = 5, /* the kernel follows no more "#!" than that */
};

const char *verdict_sight_name(enum verdict_sight s)
{
	switch (s) {
	case SIGHT_FULL:
		return "full";
	case SIGHT_PARTLY:
		return "partial";
	case SIGHT_BLIND:
		return "blind";
	case SIGHT_NONE:
		break;
	}
	return "none";
}

/* Names may be longer than a sentence: what does not fit is cut, on purpose. */
__attribute__((format(printf, 3, 4))) static void say(char *ret, size_t size, const char *format,
						      ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(ret, size, format, ap);
	va_end(ap);
}
#define SAY(field, ...) say((field), sizeof(field), __VA_ARGS__)

static void cannot(struct verdict *v, int status, const char *why, const char *remedy)
{
	v->sight = SIGHT_NONE;
	v->status = status;
	SAY(v->sentence, "%.300s: %s", v->path, why);
	SAY(v->remedy, "%s", remedy);
}

/* ---- finding the file ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* The first executable of that name in PATH; false leaves the first file that exists, if any. */
static bool search_path(const char *name, char *ret, size_t size)
{
	const char *path = getenv("PATH");
	char candidate[PATH_MAX];
	struct stat st;

	ret[0] = '\0';
	if (!path)
		path = "/bin:/usr/bin"; /* what execvp(3) takes */
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, ":");
		int len = snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)n, p,
				   n ? "/" : "", name);

		if (len > 0 && (size_t)len < sizeof(candidate) && (size_t)len < size) {
			if (is_program(candidate)) {
				memcpy(ret, candidate, (size_t)len + 1);
				return true;
			}
			if (!ret[0] && !stat(candidate, &st) && S_ISREG(st.st_mode))
				memcpy(ret, candidate, (size_t)len + 1);
		}
		p += n;
		if (!*p)
			return false;
	}
}

static bool find_command(const char *name, struct verdict *v)
{
	if (strchr(name, '/')) {
		SAY(v->path, "%s", name);
		return true;
	}
	if (search_path(name, v->path, sizeof(v->path)))
		return true;
	if (v->path[0]) {
		cannot(v, LAUNCH_NOT_RUN, "is not executable", "make it so with chmod +x");
		return false;
	}
	SAY(v->path, "%s", name);
	if (is_program(name))
		cannot(v, LAUNCH_NOT_FOUND, "is not in PATH",
		       "for the file in this folder write ./ before its name");
	else
		cannot(v, LAUNCH_NOT_FOUND, "no such command in PATH",
		       "check the spelling, or give the path");
	return false;
}

/* Is it a file one may execute? */
static bool check_file(struct verdict *v, const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		int e = errno;

		cannot(v, e == ENOENT || e == ENOTDIR ? LAUNCH_NOT_FOUND : LAUNCH_NOT_RUN,
		       e == ENOENT ? "no such file" : strerror(e), "check the path");
		return false;
	}
	if (S_ISDIR(st.st_mode)) {
		cannot(v, LAUNCH_NOT_RUN, "is a directory", "name the program inside it");
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		cannot(v, LAUNCH_NOT_RUN, "is no regular file", "name a program");
		return false;
	}
	if (access(path, X_OK)) {
		cannot(v, LAUNCH_NOT_RUN, "is not executable",
		       "make it so with chmod +x, or put its interpreter in front");
		return false;
	}
	return true;
}

/* ---- what the file is ---- */

/* Map a whole file. n 0 and p NULL when it cannot be read or is empty. */
static struct span map_file(const char *path)
{
	struct span s = {NULL, 0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return s;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED) {
			s.p = p;
			s.n = (size_t)st.st_size;
		}
	}
	close(fd);
	return s;
}

/* `env` in a "#!" line: the program is the first word that is no option and no assignment. */
static bool env_program(const char *arg, char *ret, size_t size)
{
	char words[256], *save = NULL;

	snprintf(words, sizeof(words), "%s", arg);
	for (char *w = strtok_r(words, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (!strncmp(w, "-S", 2) && w[2])
			w += 2;
		else if (w[0] == '-')
			continue;
		if (strchr(w, '='))
			continue;
		if (strchr(w, '/'))
			return snprintf(ret, size, "%s", w) < (int)size;
		return search_path(w, ret, size);
	}
	return false;
}

static bool is_env(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, "env");
}

/* It runs all the same, and a library may be loaded into it. */
static void judge_unreadable(struct verdict *v)
{
	v->unreadable = true;
	v->sight = SIGHT_PARTLY;
	SAY(v->sentence,
	    "%.400s: its file may not be read, so nobody knows what it is: a static program and "
	    "one in "
	    "Go will not be seen",
	    v->program);
	SAY(v->remedy, "make it readable: chmod +r");
}

/* Follow "#!" lines to an ELF file. False when the verdict is already made. */
static bool follow_scripts(struct verdict *v)
{
	char interp[256], arg[256], missing[384];

	SAY(v->program, "%s", v->path);
	for (int i = 0; i <= SCRIPTS_MAX; i++) {
		struct span file = map_file(v->program);
		bool script = file.n && target_script(file, interp, arg);
		bool elf = file.n && target_examine(file, &v->target);

		if (file.n)
			munmap((void *)(uintptr_t)file.p, file.n);
		if (elf)
			return true;
		if (!script) {
			/* Unreadable, or a text the shell is going to read. */
			if (access(v->program, R_OK))
				judge_unreadable(v);
			else
				v->shell = !v->script;
			return v->shell;
		}
		v->script = true;
		if (access(interp, F_OK)) {
			snprintf(missing, sizeof(missing), "its interpreter %.255s does not exist",
				 interp);
			cannot(v, LAUNCH_NOT_FOUND, missing,
			       "install it, or put the right interpreter in front");
			return false;
		}
		SAY(v->program, "%s", interp);
		if (is_env(interp) && !env_program(arg, v->program, sizeof(v->program))) {
			snprintf(missing, sizeof(missing), "env finds no '%.255s' in PATH", arg);
			cannot(v, LAUNCH_NOT_FOUND, missing,
			       "install it, or put the interpreter in front");
			return false;
		}
	}
	cannot(v, LAUNCH_NOT_RUN, "its interpreters are scripts, too deeply nested",
	       "put the real interpreter in front");
	return false;
}

/* ---- what that means ---- */

/* ld.so ignores LD_PRELOAD when the exec raises privileges: ld.so(8), "secure-execution mode". */
static bool raises_privileges(const char *path, const char **ret_how)
{
	struct statvfs vfs;
	struct stat st;

	if (stat(path, &st) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	if (!statvfs(path, &vfs) && vfs.f_flag & ST_NOSUID)
		return false;
	*ret_how = "is setuid";
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		return true;
	*ret_how = "is setgid";
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
		return true;
	*ret_how = "has file capabilities";
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

static void blind(struct verdict *v, const char *what, const char *remedy)
{
	v->sight = SIGHT_BLIND;
	SAY(v->sentence, "%.400s %s: nothing will be seen", v->program, what);
	SAY(v->remedy, "%s", remedy);
}

/* "is a Go program (go1.22), statically linked" */
static void name_kind(const struct target *t, char *ret, size_t size)
{
	bool fixed = t->kind != TARGET_DYNAMIC;

	if (t->go)
		snprintf(ret, size, "is a Go program (%s)%s",
			 t->go_version[0] ? t->go_version : "of an unknown version",
			 fixed ? ", statically linked" : "");
	else
		snprintf(ret, size, "is a static binary");
}

/* A program that does not enter the kernel through libc, or has a libc of its own. */
static void judge_sites(struct verdict *v)
{
	struct span file = map_file(v->program);
	struct inject_sight sight = {.sites = 1};
	char kind[96], what[256];

	if (file.n) {
		inject_judge(file, &sight);
		munmap((void *)(uintptr_t)file.p, file.n);
	}
	name_kind(&v->target, kind, sizeof(kind));
	if (!sight.sites) {
		snprintf(what, sizeof(what), "%s, and where it enters the kernel cannot be found",
			 kind);
		blind(v, what,
		      v->target.go ? "build it with a release of Go from 1.17 on"
				   : "keep its symbols (do not strip it), or link it dynamically");
		return;
	}
	v->door = v->inject
			  ? v->target.go ? "the injected door and the Go door" : "the injected door"
			  : "the Go door";
	if (sight.cancelled) {
		snprintf(what, sizeof(what),
			 "%s whose C library makes all calls on sockets where threads are "
			 "cancelled, and that must stay as it is",
			 kind);
		blind(v, what, "link it dynamically, or choose --door seccomp");
		return;
	}
	if (!sight.refused)
		return;
	v->sight = SIGHT_PARTLY;
	SAY(v->sentence,
	    "%.400s %s: %u of %u places where it enters the kernel will not be followed",
	    v->program, kind, sight.refused, sight.refused + sight.sites);
	SAY(v->remedy, "link it dynamically, without -static, to see every call");
}

/* Nothing loads libraries for it. */
static void judge_static(struct verdict *v)
{
	const char *how = NULL;
	char what[96];

	if (!raises_privileges(v->program, &how)) {
		v->inject = true;
		judge_sites(v);
		return;
	}
	snprintf(what, sizeof(what), "is a static binary and %s", how);
	blind(v, what,
	      "whoever injects a library takes raised privileges away: run it as the user it "
	      "changes to, or run a copy without that bit");
}

static void judge_architecture(struct verdict *v)
{
	const struct target *t = &v->target;
	char what[128];

	snprintf(what, sizeof(what), "is a %d-bit program for %s, the library is for 64-bit %s",
		 t->elf_class == 1 ? 32 : 64, target_machine_name(t->machine),
		 target_machine_name(target_machine_own()));
	blind(v, what, "use a build of the program for this machine");
}

static void judge_interpreter(struct verdict *v)
{
	char missing[384];

	if (access(v->target.interp, F_OK)) {
		snprintf(missing, sizeof(missing), "its dynamic loader %.255s does not exist",
			 v->target.interp);
		cannot(v, LAUNCH_NOT_FOUND, missing,
		       v->target.musl ? "it is a musl program: apt-get install musl, or run it in "
					"its own image"
				      : "install the C library it was built for");
	}
}

static void judge(struct verdict *v)
{
	const char *how = NULL;

	switch (v->target.kind) {
	case TARGET_OTHER_ARCH:
		judge_architecture(v);
		return;
	case TARGET_BROKEN:
	case TARGET_NOT_ELF:
		blind(v, "is a damaged or incomplete ELF file", "build or copy it again");
		return;
	case TARGET_STATIC:
	case TARGET_STATIC_PIE:
		if (v->target.loader)
			v->door = "the libc door"; /* ld.so as the command loads it itself */
		else
			judge_static(v);
		return;
	case TARGET_DYNAMIC:
		break;
	}
	judge_interpreter(v);
	if (v->sight == SIGHT_NONE)
		return;
	if (raises_privileges(v->program, &how)) {
		blind(v, how,
		      "the loader ignores LD_PRELOAD when privileges are raised: run it as the "
		      "user it changes to, or run a copy without that bit");
	} else if (v->target.go) {
		v->inject = target_needs_injection(&v->target);
		judge_sites(v);
	} else {
		v->door = "the libc door";
	}
}

void verdict_of_file(const char *path, struct verdict *ret)
{
	static char script[PATH_MAX];

	memset(ret, 0, sizeof(*ret));
	SAY(ret->path, "%s", path);
	if (!check_file(ret, path) || !follow_scripts(ret))
		return;
	if (!ret->shell) {
		judge(ret);
		return;
	}
	memcpy(script, ret->path, sizeof(script));
	verdict_of_file("/bin/sh", ret);
	memcpy(ret->path, script, sizeof(script));
	ret->shell = ret->script = true;
}

void verdict_of_command(char *const *argv, struct verdict *ret)
{
	static char path[PATH_MAX];

	memset(ret, 0, sizeof(*ret));
	if (!find_command(argv[0], ret))
		return;
	memcpy(path, ret->path, sizeof(path));
	verdict_of_file(path, ret);
}
