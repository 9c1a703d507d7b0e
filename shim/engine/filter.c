/* SPDX-License-Identifier: BSD-2-Clause
 *
 * filter: see filter.h.
 */
#include "shim/engine/filter.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"

long filter_open_call = SYS_openat;
static uint64_t filters;
static enum {
	UNKNOWN,
	SAFE,
	DEADLY
} verdict;

static int open_proven(const char *path)
{
	if (filter_open_call == SYS_openat)
		return sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	return (int)sys_2(filter_open_call, (long)path, O_RDONLY | O_CLOEXEC);
}

/* What follows name in text, NULL when it does not occur. */
static const char *find(const char *text, const char *name)
{
	for (; *text; text++) {
		size_t i = 0;

		while (name[i] && text[i] == name[i])
			i++;
		if (!name[i])
			return text + i;
	}
	return NULL;
}

/* How many filters are in force, according to a status file; one where the kernel does not count them (before 5.9). */
static uint64_t count_filters(const char *path)
{
	static char status[4096];
	int fd = open_proven(path);
	const char *mode, *count;
	long n;

	if (fd < 0)
		return 0;
	n = sys_read(fd, status, sizeof(status) - 1);
	sys_close(fd);
	status[n > 0 ? n : 0] = '\0';
	mode = find(status, "\nSeccomp:\t");
	count = find(status, "\nSeccomp_filters:\t");
	if (!mode || *mode == '0')
		return 0;
	return count ? line_number(&count, 10) : 1;
}

/* The value of the entry that begins with name, NULL when there is none. */
static const char *value_of(char *const *environ, const char *name)
{
	for (; environ && *environ; environ++) {
		size_t i = 0;

		while (name[i] && (*environ)[i] == name[i])
			i++;
		if (!name[i])
			return *environ + i;
	}
	return NULL;
}

static bool exists(const char *path)
{
	int fd = open_proven(path);

	if (fd >= 0)
		sys_close(fd);
	return fd >= 0;
}

static bool is_container(char *const *environ)
{
	return value_of(environ, "container=") || value_of(environ, "KUBERNETES_SERVICE_HOST=") ||
	       exists("/.dockerenv") || exists("/run/.containerenv");
}

static bool is_safe(char *const *environ)
{
	const char *known = value_of(environ, "SHAKEDOWN_FILTERS=");

	if (!filters || (known && line_number(&known, 10) == filters && !*known))
		return true;
	return is_container(environ) && count_filters("/proc/1/status") == filters;
}

bool filter_start(char *const *environ)
{
	if (verdict == UNKNOWN) {
		filters = count_filters("/proc/self/status");
		verdict = is_safe(environ) ? SAFE : DEADLY;
	}
	return verdict == SAFE;
}

bool filter_in_force(void)
{
	return filters != 0;
}
