/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/launcher: the launcher's records beside the trace files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/exchange/arena.h"
#include "tools/exchange/launcher.h"

enum {
	LAUNCH_MAX = 4096,     /* more is not ours */
	LAUNCH_FILES = 100000, /* runs into one folder */
};

/* "name value": true when line starts with name and a number follows. */
static bool number_of(const char *line, const char *name, uint64_t *ret)
{
	size_t n = strlen(name);
	char *end;

	if (strncmp(line, name, n) != 0 || line[n] != ' ' || line[n + 1] < '0' || line[n + 1] > '9')
		return false;
	errno = 0;
	*ret = strtoull(line + n + 1, &end, 10);
	return errno == 0 && *end == '\0';
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits; dashes between them are skipped. */
static bool read_boot(const char *text, uint8_t ret[16])
{
	unsigned digit = 0;

	memset(ret, 0, 16);
	for (; *text && *text != '\n'; text++) {
		int v = digit_of(*text);

		if (v < 0 && *text == '-')
			continue;
		if (v < 0 || digit == 32)
			return false;
		ret[digit / 2] |= (uint8_t)(v << (digit & 1 ? 0 : 4));
		digit++;
	}
	return digit == 32;
}

static void read_line(const char *line, struct launcher *l)
{
	uint64_t v;

	if (number_of(line, "pid", &v) && v <= UINT32_MAX)
		l->pid = (uint32_t)v;
	else if (number_of(line, "start", &v))
		l->t_start = v;
	else if (number_of(line, "signal-time", &v))
		l->t_signal = v;
	else if (number_of(line, "end", &v))
		l->t_end = v;
	else if (number_of(line, "status", &v) && v <= 0xffff) {
		l->status = (int)v;
		l->status_known = true;
	} else if (!strncmp(line, "boot ", 5)) {
		l->boot_known = read_boot(line + 5, l->boot_id);
	}
}

void launcher_begin(struct launcher *ret, uint64_t t)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	*ret = (struct launcher){.t_start = t};
	text[n > 0 ? n : 0] = '\0';
	ret->boot_known = read_boot(text, ret->boot_id);
}

bool launcher_began_before(const struct launcher *l, const struct trace_header *h)
{
	return l->t_start <= h->t_load &&
	       (!l->boot_known || !memcmp(l->boot_id, h->boot_id, sizeof(l->boot_id)));
}

/* ---- reading ---- */

static bool read_file(int dir, const char *name, struct launcher *ret)
{
	char text[LAUNCH_MAX + 1], *save = NULL;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	*ret = (struct launcher){0};
	if (fd < 0)
		return false;
	n = read(fd, text, LAUNCH_MAX);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(line, ret);
	return ret->pid != 0;
}

/* launch, launch.1, launch.2 and so on. */
static bool is_launch_name(const char *name)
{
	static const char stem[] = "launch";

	if (strncmp(name, stem, sizeof(stem) - 1) != 0)
		return false;
	name += sizeof(stem) - 1;
	return !*name || (*name == '.' && name[1] && !name[1 + strspn(name + 1, "0123456789")]);
}

void launchers_read(const char *folder, struct launchers *ret)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	*ret = (struct launchers){0};
	while (d && (e = readdir(d))) {
		struct launcher l;

		if (!is_launch_name(e->d_name) || !read_file(dirfd(d), e->d_name, &l))
			continue;
		ret->l = array_grow(ret->l, ret->n, &ret->cap, sizeof(*ret->l));
		ret->l[ret->n++] = l;
	}
	if (d)
		closedir(d);
}

void launchers_free(struct launchers *s)
{
	free(s->l);
	*s = (struct launchers){0};
}

const struct launcher *launchers_find(const struct launchers *s, const struct trace_header *h)
{
	static const struct launcher none;
	const struct launcher *best = &none;

	for (size_t i = 0; i < s->n; i++) {
		const struct launcher *l = &s->l[i];
		bool own = l->pid == h->pid, best_own = best->pid == h->pid;

		if (!launcher_began_before(l, h) || own < best_own)
			continue;
		if (best == &none || own > best_own || l->t_start > best->t_start)
			best = l;
	}
	return best;
}

/* ---- writing ---- */

static void file_name(char ret[32], unsigned number)
{
	if (number)
		snprintf(ret, 32, "launch.%u", number);
	else
		snprintf(ret, 32, "launch");
}

/* Take the first name that nobody has. */
static int claim(int dir, struct launcher *l)
{
	char name[32];
	int fd = -1;

	for (l->number = 0; l->number < LAUNCH_FILES; l->number++) {
		file_name(name, l->number);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	if (fd < 0)
		return -errno;
	close(fd);
	l->claimed = true;
	return 0;
}

static void write_lines(FILE *out, const struct launcher *l)
{
	fprintf(out, "pid %" PRIu32 "\n", l->pid);
	if (l->t_start)
		fprintf(out, "start %" PRIu64 "\n", l->t_start);
	if (l->boot_known) {
		fputs("boot ", out);
		for (unsigned i = 0; i < sizeof(l->boot_id); i++)
			fprintf(out, "%02x", l->boot_id[i]);
		fputc('\n', out);
	}
	if (l->t_signal)
		fprintf(out, "signal-time %" PRIu64 "\n", l->t_signal);
	if (l->t_end)
		fprintf(out, "end %" PRIu64 "\n", l->t_end);
	if (l->status_known)
		fprintf(out, "status %d\n", l->status);
}

/* The whole text goes to a file of its own, which then takes the place of the old one. */
static int write_file(int dir, const struct launcher *l)
{
	char part[32], name[32];
	FILE *out;
	int fd, err = 0;

	file_name(name, l->number);
	snprintf(part, sizeof(part), ".launch.%ld", (long)getpid());
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		err = -errno;
		close(fd);
	} else {
		write_lines(out, l);
		if (fclose(out))
			err = -errno;
	}
	if (!err && renameat(dir, part, dir, name) < 0)
		err = -errno;
	if (err)
		unlinkat(dir, part, 0);
	return err;
}

int launcher_write(const char *folder, struct launcher *l)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (dir < 0)
		return -errno;
	if (!l->claimed)
		err = claim(dir, l);
	if (!err)
		err = write_file(dir, l);
	close(dir);
	return err;
}
