/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Kill a process at a moment chosen by what is in its trace, then check that nothing is missing.
 *
 *     trace_killer PID FOLDER RECORDS SPIN
 *
 * Follows the one trace file of FOLDER through a mapping of its own until RECORDS records were
 * published, spins SPIN times to get between two of them, sends SIGKILL and waits for the end.  Then
 * reads the file from its start.  Prints
 *
 *     before N after N holes N broken N bad N     published records seen before and after the kill
 *     rx N / tx N                                 for each GET /ws/N that arrived, answer that left
 *
 * and "missing" with status 1 when a record that was seen is not there any more, byte for byte.
 */
#include "core/trace/iterate.c"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	SEEN_MAX = 100000,
	PATIENCE = 20, /* seconds */
};

static struct {
	uint64_t at, hash;
} seen[SEEN_MAX];
static uint32_t seen_n;

static void fail(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	exit(2);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static uint64_t hash(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = UINT64_C(14695981039346656037);

	while (n--)
		h = (h ^ *b++) * UINT64_C(1099511628211);
	return h;
}

/* The name of the first trace in folder, false while there is none. */
static bool find_trace(const char *folder, char *ret_path, size_t size)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		found = n > 6 && !strcmp(e->d_name + n - 6, TRACE_SUFFIX);
		if (found)
			snprintf(ret_path, size, "%s/%s", folder, e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* Map the trace once it is one; NULL when the process ended before. */
static const uint8_t *map_trace(const char *folder, struct pollfd *end, size_t *ret_len)
{
	time_t limit = now() + PATIENCE;
	char path[4096];

	while (now() < limit) {
		bool over =
			poll(end, 1, 0) > 0; /* asked before looking, so nothing is overlooked */

		if (find_trace(folder, path, sizeof(path))) {
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			struct stat st;
			void *p = MAP_FAILED;

			if (fd >= 0 && !fstat(fd, &st) && st.st_size >= TRACE_HEADER_SIZE)
				p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
			if (fd >= 0)
				close(fd);
			if (p != MAP_FAILED && !trace_check(p, (size_t)st.st_size)) {
				*ret_len = (size_t)st.st_size;
				return p;
			}
			if (p != MAP_FAILED)
				munmap(p, (size_t)st.st_size);
		}
		if (over)
			return NULL;
		sched_yield();
	}
	errno = ETIMEDOUT;
	fail("waiting for a trace");
	return NULL;
}

static uint64_t record_hash(const struct trace_record *r)
{
	return hash(r, r->size_state & ~7u);
}

/* Note the next record; false when there is none now. */
static bool see(struct trace_iter *it)
{
	const struct trace_record *r = seen_n < SEEN_MAX ? trace_next(it) : NULL;

	if (!r)
		return false;
	seen[seen_n].at = (uint64_t)((const uint8_t *)r - it->file);
	seen[seen_n++].hash = record_hash(r);
	return true;
}

static void follow(const uint8_t *file, size_t len, uint32_t records, long spin, struct pollfd *end)
{
	time_t limit = now() + PATIENCE;
	struct trace_iter it;

	trace_iter_init(&it, file, len);
	while (seen_n < records && now() < limit)
		if (!see(&it) && poll(end, 1, 0))
			return;
	for (volatile long i = spin; i > 0; i--)
		;
	while (see(&it))
		;
}

/* "rx N" and "tx N" of a data record: the number is in the request, and tx belongs to the last rx. */
static void print_data(const struct trace_data *d)
{
	static unsigned long last;
	uint32_t at = 0, rel;
	struct span b;

	if (!trace_segment_next(d, &at, &rel, &b))
		return;
	if (d->dir == DIR_RX && b.n > 8 && !memcmp(b.p, "GET /ws/", 8)) {
		last = strtoul((const char *)b.p + 8, NULL, 10); /* ends at the space */
		printf("rx %lu\n", last);
	}
	if (d->dir == DIR_TX && b.n > 9 && !memcmp(b.p, "HTTP/1.1 ", 9))
		printf("tx %lu\n", last);
}

static int check(const uint8_t *file, size_t len)
{
	const struct trace_record *r;
	struct trace_iter it;
	uint32_t after = 0, found = 0;

	trace_iter_init(&it, file, len);
	while ((r = trace_next(&it))) {
		after++;
		if (found < seen_n && seen[found].at == (uint64_t)((const uint8_t *)r - file) &&
		    seen[found].hash == record_hash(r))
			found++;
		if (r->kind == TRACE_DATA)
			print_data((const void *)r);
	}
	printf("before %u after %u holes %u broken %u bad %u\n", seen_n, after, it.holes, it.broken,
	       it.bad);
	if (found == seen_n)
		return 0;
	printf("missing %u\n", seen_n - found);
	return 1;
}

int main(int argc, char **argv)
{
	struct pollfd end = {.events = POLLIN};
	const uint8_t *file;
	uint32_t records;
	size_t len;
	pid_t pid;

	if (argc != 5)
		return 2;
	pid = atoi(argv[1]);
	records = (uint32_t)strtoul(argv[3], NULL, 10);
	end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (end.fd < 0)
		fail("pidfd_open");
	file = map_trace(argv[2], &end, &len);
	if (file)
		follow(file, len, records, strtol(argv[4], NULL, 10), &end);
	if (kill(pid, SIGKILL) && errno != ESRCH)
		fail("kill");
	if (poll(&end, 1, PATIENCE * 1000) != 1)
		fail("waiting for the end");
	if (!file)
		fail("opening the trace");
	return check(file, len);
}
