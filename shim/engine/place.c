/* SPDX-License-Identifier: BSD-2-Clause
 *
 * place: where a trace file goes, what it is called, what its header says about the process.
 *
 * The file belongs to this process alone: made with O_EXCL, 0600, no symbolic link followed.  The
 * descriptor is closed again; the mapping is all that stays.
 *
 * Source: open(2), proc(5), setrlimit(2).
 */
#include "shim/engine/clock.h"
#include "shim/engine/line.h"
#include "shim/engine/recorder.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <sys/resource.h>

enum {
	TABLES_SIZE = TRACE_HEADER_SIZE + TRACE_MODULES * sizeof(struct trace_module) +
		      TRACE_ROUTES * sizeof(struct trace_route) +
		      TRACE_CONNECTIONS * sizeof(struct trace_connection),
};

static char place_path[CONFIG_PATH_MAX + 80];
static char text[4096]; /* what a file of /proc said */

/* Read a small file into text. Returns its length, 0 on failure. */
static size_t read_text(const char *path)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return 0;
	n = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	if (n < 0)
		n = 0;
	text[n] = '\0';
	return (size_t)n;
}

/* The file of that name among those /proc has about the process. */
static const char *own_file(const char *name)
{
	static char path[48];
	struct line l;

	line_init(&l, path, sizeof(path));
	line_add(&l, "/proc/");
	if (engine_subject.pid)
		line_add_number(&l, engine_subject.pid);
	else
		line_add(&l, "self");
	line_add(&l, name);
	return path;
}

enum {
	STAT_PARENT = 4,
	STAT_START = 22,
};

/* A number of /proc/PID/stat, behind the name, which may hold anything. */
static uint64_t stat_number(unsigned wanted)
{
	size_t n = read_text(own_file("/stat"));
	const char *at;

	while (n && text[n] != ')')
		n--;
	at = text + n;
	for (unsigned field = 2; *at && field < wanted; at++) {
		if (*at == ' ')
			field++;
	}
	return line_number(&at, 10);
}

static uint64_t net_namespace(void)
{
	long n = sys_readlink(own_file("/ns/net"), text, sizeof(text) - 1);
	const char *at = text;

	text[n > 0 ? n : 0] = '\0';
	while (*at && *at != '[')
		at++;
	at += *at != '\0';
	return line_number(&at, 10);
}

static void read_boot_id(uint8_t id[16])
{
	unsigned digit = 0;

	if (!read_text("/proc/sys/kernel/random/boot_id"))
		return;
	for (const char *p = text; *p && digit < 32; p++) {
		const char one[2] = {*p, '\0'}, *at = one;
		uint64_t v = line_number(&at, 16);

		if (at == one)
			continue;
		id[digit / 2] |= (uint8_t)(v << (digit & 1 ? 0 : 4));
		digit++;
	}
}

static void copy_link(const char *path, char *to, size_t room)
{
	long n = sys_readlink(path, to, room - 1);

	to[n > 0 ? n : 0] = '\0';
}

/* NAME.trace/PID-STARTTIME-LOADTIME and the suffix. */
static bool build_path(char *to, size_t room, uint32_t pid, uint64_t start, const char *suffix)
{
	struct line l;

	if (!config_place[0])
		return false;
	line_init(&l, to, room);
	line_add(&l, config_place);
	line_add(&l, "/");
	line_add_number(&l, pid);
	line_add(&l, "-");
	line_add_number(&l, start);
	line_add(&l, "-");
	line_add_number(&l, engine.t_load);
	line_add(&l, suffix);
	return !l.cut;
}

/* A file longer than the process may write would be answered with SIGXFSZ. */
static uint64_t file_limit(void)
{
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

	(void)sys_4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&r);
	return r.rlim_cur;
}

static uint64_t allowed_size(void)
{
	uint64_t limit = file_limit(), max = engine.config.max_trace;

	return trace_file_size(limit < max ? limit : max);
}

int place_open(char *to, size_t room, const char *suffix, uint64_t size)
{
	if (size > file_limit() ||
	    !build_path(to, room, engine.pid, stat_number(STAT_START), suffix))
		return -1;
	(void)sys_mkdir(config_place, 0700);
	return sys_open(to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static const char call_names[] =
#define CALL(id, ...) #id "\n"
#include "shim/engine/calls.def"
#undef CALL
	;
_Static_assert(sizeof(call_names) <= sizeof(((struct trace_header *)0)->call_names),
	       "too many calls");

static void fill_header(struct trace_header *h, uint32_t pid, uint64_t start)
{
	h->pid = pid;
	h->ppid = engine_subject.pid ? (uint32_t)stat_number(STAT_PARENT) : sys_getppid();
	h->start_ticks = start;
	h->t_load = engine.t_load;
	h->t_created = clock_now();
	h->realtime_offset = clock_realtime_offset();
	h->doors = engine.door;
	h->max_body = engine.config.max_body;
	h->max_payload = engine.config.max_payload;
	h->options = (engine.config.all ? TRACE_OPT_ALL : 0u) |
		     (engine.config.no_redact ? TRACE_OPT_NO_REDACT : 0u);
	h->keep_first = engine.config.keep_first;
	h->netns = net_namespace();
	read_boot_id(h->boot_id);
	copy_link(own_file("/exe"), h->exe, sizeof(h->exe));
	memcpy(h->call_names, call_names, sizeof(call_names));
}

/* Map the open file and make its first page storable.  What lies behind the tables is opened when it is
 * needed: where the application locks its memory, the kernel would fill all of it (reserve.h). */
static struct trace_header *map_file(int fd, uint64_t size, void *at)
{
	void *p;

	if (!size || sys_ftruncate(fd, size) < 0)
		return NULL;
	p = sys_mmap(at, size, PROT_NONE, MAP_SHARED | (at ? MAP_FIXED : 0), fd);
	if (sys_mmap_failed(p))
		return NULL;
	if (reserve_locks_all())
		(void)sys_munlock(p, size);
	if (sys_mprotect(p, TABLES_SIZE, PROT_READ | PROT_WRITE) < 0) {
		sys_munmap(p, size);
		return NULL;
	}
	/* The tables are touched here and there: without this, some file systems make the first page of
	 * them a folio of 2 MiB, which has to be zeroed while a forked child waits. */
	(void)sys_madvise(p, TABLES_SIZE, MADV_RANDOM);
	if (sys_madvise(p, TRACE_HEADER_SIZE, MADV_POPULATE_WRITE) < 0 &&
	    sys_fallocate(fd, 0, TRACE_HEADER_SIZE) < 0) {
		sys_munmap(p, size);
		return NULL;
	}
	return p;
}

struct trace_header *place_create(void *at, const char **ret_path)
{
	uint32_t pid = engine.pid;
	uint64_t start = stat_number(STAT_START), size = allowed_size();
	struct trace_header *h;
	int fd;

	*ret_path = place_path;
	if (!build_path(place_path, sizeof(place_path), pid, start, TRACE_SUFFIX))
		return NULL;
	(void)sys_mkdir(config_place, 0700);
	fd = sys_open(place_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	h = map_file(fd, size, at);
	/* What the application may lock is limited, and for a moment the mapping counts. */
	while (!h && reserve_locks_all() && !at && (size = trace_file_size(size / 4 * 3)))
		h = map_file(fd, size, at);
	sys_close(fd);
	if (!h) {
		(void)sys_3(SYS_unlinkat, AT_FDCWD, (long)place_path, 0);
		return NULL;
	}
	fill_header(h, pid, start);
	(void)trace_layout(h, size); /* the magic comes last */
	return h;
}
