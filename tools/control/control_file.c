/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/control_file: see control_file.h.
 *
 * Source: proc(5) (maps, root), openat2(2), posix_fallocate(3), futex(2).
 */
#include "tools/control/control_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STATS_END (CONTROL_HEADER_SIZE + CONTROL_STATS * sizeof(struct control_stat))

__attribute__((format(printf, 2, 3))) static bool fail(struct control_file *f, const char *format,
						       ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->why, sizeof(f->why), format, ap);
	va_end(ap);
	return false;
}

static void begin(struct control_file *f, const char *path)
{
	f->h = NULL;
	f->fd = -1;
	f->why[0] = '\0';
	snprintf(f->path, sizeof(f->path), "%s", path);
}

void control_file_close(struct control_file *f)
{
	if (f->h)
		munmap(f->h, CONTROL_SIZE);
	if (f->fd >= 0)
		close(f->fd);
	f->h = NULL;
	f->fd = -1;
}

static bool map(struct control_file *f)
{
	void *p = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

	if (p == MAP_FAILED)
		return fail(f, "%s cannot be mapped: %s", f->path, strerror(errno));
	f->h = p;
	return true;
}

static bool give_up(struct control_file *f)
{
	control_file_close(f);
	return false;
}

/* Have the disk's promise for [from, to). */
static bool allocate(struct control_file *f, uint64_t from, uint64_t to)
{
	int e = to <= CONTROL_SIZE ? posix_fallocate(f->fd, (off_t)from, (off_t)(to - from))
				   : ENOSPC;

	return !e || fail(f, "no room for the rules in %s: %s", f->path, strerror(e));
}

/* A file longer than we may write would be answered with SIGXFSZ. */
static bool may_be_made(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_FSIZE, &r) || r.rlim_cur >= CONTROL_SIZE;
}

bool control_file_make(struct control_file *f, const char *path, uint64_t seed)
{
	begin(f, path);
	if (!may_be_made())
		return fail(f,
			    "%s cannot be made: files may not be larger than that here (ulimit -f)",
			    path);
	f->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return fail(f, "%s cannot be made: %s", path, strerror(errno));
	if (ftruncate(f->fd, CONTROL_SIZE)) {
		fail(f, "%s cannot be made: %s", path, strerror(errno));
	} else if (allocate(f, 0, CONTROL_HEADER_SIZE) && map(f)) {
		control_init(f->h, seed);
		return true;
	}
	(void)unlink(path);
	return give_up(f);
}

static bool is_sound(struct control_file *f, ino_t inode)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return fail(f, "%s: %s", f->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (inode && st.st_ino != inode))
		return fail(f, "%s is not the control page it should be", f->path);
	if ((st.st_uid && st.st_uid != geteuid() && geteuid()) || (st.st_mode & 0077))
		return fail(f, "%s belongs to somebody else, or others may write it", f->path);
	if (st.st_size != CONTROL_SIZE)
		return fail(f, "%s is no control page: its size is another", f->path);
	return true;
}

static bool checked(struct control_file *f)
{
	if (control_check(f->h, CONTROL_SIZE))
		return true;
	fail(f, "%s is no control page of this version of shakedown", f->path);
	return give_up(f);
}

static bool take(struct control_file *f, ino_t inode)
{
	return is_sound(f, inode) && map(f) ? checked(f) : give_up(f);
}

/* Not through a mapping: a hole of the file would cost a page, and a file that becomes shorter a signal. */
static bool copy_range(struct control_file *f, uint64_t from, uint64_t to)
{
	to = to < CONTROL_SIZE ? to : CONTROL_SIZE;
	while (from < to) {
		ssize_t n = pread(f->fd, (uint8_t *)f->h + from, to - from, (off_t)from);

		if (n <= 0)
			return fail(f, "%s cannot be read: %s", f->path,
				    n ? strerror(errno) : "it is cut");
		from += (uint64_t)n;
	}
	return true;
}

bool control_file_read(struct control_file *f, const char *path)
{
	struct stat st;
	void *p;

	begin(f, path);
	f->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0 || fstat(f->fd, &st))
		fail(f, "%s cannot be opened: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size != CONTROL_SIZE)
		fail(f, "%s is no control page", path);
	if (f->why[0])
		return give_up(f);
	p = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		fail(f, "no memory for %s", path);
		return give_up(f);
	}
	f->h = p;
	return copy_range(f, 0, STATS_END) && copy_range(f, STATS_END, f->h->cursor) ? checked(f)
										     : give_up(f);
}

/* ---- the page of a process ---- */

bool control_file_open(struct control_file *f, const char *path)
{
	begin(f, path);
	f->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd >= 0)
		return take(f, 0);
	fail(f, "%s cannot be opened: %s", path, strerror(errno));
	return give_up(f);
}

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n > m && !strcmp(path + n - m, suffix);
}

/* A line of maps that may be it: its path and inode. */
static bool parse_line(char *line, char **ret_path, ino_t *ret_inode)
{
	unsigned long long inode;
	char shared;
	int at = 0;

	if (sscanf(line, "%*x-%*x %*c%*c%*c%c %*x %*x:%*x %llu %n", &shared, &inode, &at) < 2 ||
	    !at || shared != 's')
		return false;
	*ret_path = line + at;
	(*ret_path)[strcspn(*ret_path, "\n")] = '\0';
	*ret_inode = (ino_t)inode;
	return has_suffix(*ret_path, CONTROL_SUFFIX) || has_suffix(*ret_path, "/control");
}

/* Open a path as the process sees it, without being led out of its root. */
static int open_below(const char *root, const char *path)
{
	const struct open_how how = {.flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
					      O_NOCTTY,
				     .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, e;

	if (dir < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dir, path + 1, (int)how.flags);
	e = errno;
	close(dir);
	errno = e;
	return fd;
}

static bool try_mapping(struct control_file *f, pid_t pid, const char *path, ino_t inode)
{
	char root[64];

	snprintf(root, sizeof(root), "/proc/%ld/root", (long)pid);
	begin(f, path);
	if (has_suffix(path, " (deleted)"))
		return fail(f, "%s", path);
	f->fd = open_below(root, path);
	if (f->fd < 0)
		return fail(f, "%s cannot be opened: %s", path, strerror(errno));
	return take(f, inode);
}

bool control_file_find(struct control_file *f, pid_t pid)
{
	char name[64], *line = NULL, *path;
	size_t room = 0;
	bool found = false;
	ino_t inode;
	FILE *maps;

	begin(f, "");
	snprintf(name, sizeof(name), "/proc/%ld/maps", (long)pid);
	maps = fopen(name, "re");
	if (!maps)
		return fail(f,
			    errno == ENOENT ? "there is no process %ld"
					    : "process %ld may not be looked at",
			    (long)pid);
	while (!found && getline(&line, &room, maps) > 0) {
		if (parse_line(line, &path, &inode))
			found = try_mapping(f, pid, path, inode);
	}
	free(line);
	fclose(maps);
	if (found || f->why[0])
		return found;
	return fail(f,
		    "process %ld has no control page: it is not watched, or has neither listened, "
		    "accepted nor connected yet",
		    (long)pid);
}

/* ---- changes ---- */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void wake(struct control_file *f)
{
	(void)syscall(SYS_futex, &f->h->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Room behind the cursor, for as many as may append at the same time. */
static bool prepare(struct control_file *f, uint64_t need)
{
	uint64_t at = __atomic_load_n(&f->h->cursor, __ATOMIC_RELAXED), to = at + 4 * need;

	return at < CONTROL_SIZE && need <= CONTROL_SIZE &&
	       allocate(f, CONTROL_HEADER_SIZE, STATS_END) &&
	       allocate(f, at, to < CONTROL_SIZE ? to : CONTROL_SIZE);
}

static bool full(struct control_file *f)
{
	return f->why[0] ? false
			 : fail(f,
				"the control page is full of rules that were set before; start the "
				"server anew");
}

bool control_file_set(struct control_file *f, const struct fault_rule *rules, uint32_t count,
		      uint64_t on)
{
	f->why[0] = '\0';
	if (!prepare(f, control_need(count)) || !control_set(f->h, rules, count, on, now()))
		return full(f);
	wake(f);
	return true;
}

bool control_file_switch(struct control_file *f, uint64_t on)
{
	f->why[0] = '\0';
	if (!prepare(f, control_need(0)) || !control_switch(f->h, on, now()))
		return full(f);
	wake(f);
	return true;
}

bool control_file_release(struct control_file *f, const char *name)
{
	if (!control_release(f->h, name))
		return fail(f,
			    "'%s' cannot be released: a name has 1 to %d bytes, and there are at "
			    "most %d of them",
			    name, FAULT_NAME - 1, CONTROL_NAMES);
	wake(f);
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct control_decision *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

bool control_file_replay(struct control_file *f, struct control_decision *decisions, size_t n)
{
	struct control_decision *to;
	size_t kept = 0;

	qsort(decisions, n, sizeof(*decisions), by_key);
	for (size_t i = 0; i < n; i++) {
		if (!kept || decisions[i].key != decisions[kept - 1].key)
			decisions[kept++] = decisions[i];
	}
	if (kept > CONTROL_REPLAY)
		return fail(f, "more than %d decisions cannot be repeated", CONTROL_REPLAY);
	if (!allocate(f, CONTROL_HEADER_SIZE, STATS_END + kept * sizeof(*decisions) + 8))
		return false;
	to = control_replay(f->h, kept);
	if (!to)
		return fail(f, "rules were set already");
	if (kept)
		memcpy(to, decisions, kept * sizeof(*decisions));
	return true;
}

const char *control_rule_text(const struct fault_rule *r, char *ret)
{
	ret[0] = '\0';
	if (fault_rule_check(r) && fault_rule_print(r, ret, FAULT_PRINTED) >= FAULT_PRINTED)
		ret[0] = '\0';
	return ret;
}

/* ---- those of a folder ---- */

static int is_page(const struct dirent *e)
{
	return e->d_name[0] != '.' &&
	       (!strcmp(e->d_name, "control") || has_suffix(e->d_name, CONTROL_SUFFIX));
}

void control_files_read(struct control_files *ret, const char *path)
{
	char folder[PATH_MAX], full[PATH_MAX + 256];
	struct dirent **list = NULL;
	struct stat st;
	char *slash;
	int n;

	*ret = (struct control_files){0};
	if (!path)
		return;
	snprintf(folder, sizeof(folder), "%s", path);
	if (!stat(path, &st) && !S_ISDIR(st.st_mode)) {
		slash = strrchr(folder, '/');
		snprintf(slash ? slash : folder, 2, "%s", slash ? "" : ".");
	}
	n = scandir(folder, &list, is_page, alphasort);
	ret->file = n > 0 ? calloc((size_t)n, sizeof(*ret->file)) : NULL;
	for (int i = 0; i < n; i++) {
		snprintf(full, sizeof(full), "%s/%s", folder, list[i]->d_name);
		if (ret->file && control_file_read(&ret->file[ret->n], full))
			ret->n++;
		free(list[i]);
	}
	free(list);
}

void control_files_free(struct control_files *s)
{
	for (size_t i = 0; i < s->n; i++)
		control_file_close(&s->file[i]);
	free(s->file);
	*s = (struct control_files){0};
}
