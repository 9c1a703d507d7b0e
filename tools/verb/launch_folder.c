/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/folder: the trace folder.  It is new or empty, unless --append says that what other runs
 * recorded there may stay beside this one; it is never deleted.
 */
#include "tools/verb/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/trace/append.h"
#include "tools/verb/verb.h"

enum {
	NUMBERS = 10000, /* EXE.trace.1 ... */
};

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return false;
	while (empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	closedir(d);
	return empty;
}

static bool has_parent(const char *dir)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - dir), dir);
	return !access(parent, F_OK);
}

static void complain_mkdir(const char *dir, int e)
{
	if (e == ENOENT && !has_parent(dir)) {
		complain("cannot make the trace folder %s: the folder it should be in does not "
			 "exist; make it with mkdir -p",
			 dir);
		return;
	}
	switch (e) {
	case EACCES:
	case EPERM:
	case EROFS:
		complain("cannot make the trace folder %s: %s; name a place you may write to with "
			 "-o DIR",
			 dir, strerror(e));
		break;
	case ENOSPC:
	case EDQUOT:
		complain("cannot make the trace folder %s: %s; free some space or use -o DIR on "
			 "another disk",
			 dir, strerror(e));
		break;
	default:
		complain("cannot make the trace folder %s: %s; choose another with -o DIR", dir,
			 strerror(e));
	}
}

/* Does it hold what a run leaves behind? */
static bool holds_traces(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		found = !strncmp(e->d_name, "launch", 6) || (dot && !strcmp(dot, TRACE_SUFFIX));
	}
	if (d)
		closedir(d);
	return found;
}

/* A folder that was there before: fit for a new trace? */
static bool accept_existing(const char *dir, bool append)
{
	struct stat st;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode)) {
		complain("%s exists and is no folder; choose another name with -o DIR", dir);
		return false;
	}
	if (access(dir, W_OK | X_OK)) {
		complain(
			"cannot write into the trace folder %s: %s; choose another with -o DIR, or "
			"change its owner or mode",
			dir, strerror(errno));
		return false;
	}
	if (is_empty(dir) || (append && holds_traces(dir)))
		return true;
	if (append)
		complain("%s holds something, but no traces to append to; choose another folder "
			 "with -o DIR",
			 dir);
	else
		complain("the trace folder %s is not empty, and what it holds is not overwritten; "
			 "choose another name, remove it first, or record beside it with --append",
			 dir);
	return false;
}

static bool make_given(const char *dir, bool append, bool *ret_made)
{
	*ret_made = !mkdir(dir, 0700);
	if (*ret_made)
		return true;
	if (errno == EEXIST)
		return accept_existing(dir, append);
	complain_mkdir(dir, errno);
	return false;
}

static const char *base_of(const char *command)
{
	const char *slash = strrchr(command, '/');

	return slash ? slash + 1 : command;
}

/* EXE.trace, then EXE.trace.1 and so on: the first that is free. */
static bool make_numbered(const char *command, char *ret, size_t size)
{
	const char *base = base_of(command);

	for (unsigned i = 0; i < NUMBERS; i++) {
		int n = i ? snprintf(ret, size, "%.200s.trace.%u", base, i)
			  : snprintf(ret, size, "%.200s.trace", base);

		if (n < 0 || (size_t)n >= size)
			break;
		if (!mkdir(ret, 0700))
			return true;
		if (errno != EEXIST) {
			complain_mkdir(ret, errno);
			return false;
		}
	}
	complain("%.200s.trace and its numbered successors are all taken; remove some, or name a "
		 "folder with -o DIR",
		 base);
	return false;
}

bool launch_folder_make(const char *dir, const char *command, bool append,
			struct launch_folder *ret)
{
	char name[PATH_MAX];

	ret->made = true;
	if (!dir && append) {
		snprintf(name, sizeof(name), "%.200s.trace", base_of(command));
		dir = name;
	}
	if (dir ? !make_given(dir, append, &ret->made)
		: !make_numbered(command, name, sizeof(name)))
		return false;
	if (realpath(dir ? dir : name, ret->path))
		return true;
	complain("cannot use the trace folder %s: %s; choose another with -o DIR", dir ? dir : name,
		 strerror(errno));
	return false;
}

int launch_folder_probe(const char *folder)
{
	static const char zeros[TRACE_HEADER_SIZE + TRACE_AHEAD];
	char path[PATH_MAX + 32];
	size_t done = 0;
	ssize_t n = 1;
	int fd, e = 0;

	snprintf(path, sizeof(path), "%s/.probe.%ld", folder, (long)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	while (done < sizeof(zeros) && n > 0) {
		n = write(fd, zeros + done, sizeof(zeros) - done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (n <= 0)
		e = n ? errno : ENOSPC;
	close(fd);
	unlink(path);
	return e;
}

void launch_folder_undo(const struct launch_folder *f)
{
	if (f->made)
		(void)rmdir(f->path);
}
