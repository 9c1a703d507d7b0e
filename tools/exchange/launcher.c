/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/launcher: the launcher's record beside the trace files.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/exchange/launcher.h"

enum {
	LAUNCH_MAX = 4096, /* more is not ours */
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

static void read_line(const char *line, struct launcher *l)
{
	uint64_t v;

	if (number_of(line, "pid", &v) && v <= UINT32_MAX)
		l->pid = (uint32_t)v;
	else if (number_of(line, "signal-time", &v))
		l->t_signal = v;
	else if (number_of(line, "end", &v))
		l->t_end = v;
	else if (number_of(line, "status", &v) && v <= 0xffff) {
		l->status = (int)v;
		l->status_known = true;
	}
}

bool launcher_read(const char *folder, struct launcher *ret)
{
	char text[LAUNCH_MAX + 1], *save = NULL;
	int dir, fd;
	ssize_t n;

	*ret = (struct launcher){0};
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	fd = openat(dir, "launch", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	close(dir);
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

int launcher_write(const char *folder, const struct launcher *l)
{
	char text[256], name[32];
	int dir, fd, n, err = 0;

	n = snprintf(text, sizeof(text), "pid %" PRIu32 "\n", l->pid);
	if (l->t_signal)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "signal-time %" PRIu64 "\n",
			      l->t_signal);
	if (l->t_end)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "end %" PRIu64 "\n", l->t_end);
	if (l->status_known)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "status %d\n", l->status);
	snprintf(name, sizeof(name), "launch.%ld", (long)getpid());

	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	if (write(fd, text, (size_t)n) != n)
		err = errno ? -errno : -EIO;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir, name, dir, "launch") < 0)
		err = -errno;
	if (err)
		unlinkat(dir, name, 0);
out:
	close(dir);
	return err;
}
