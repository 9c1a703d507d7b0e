/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_fdinfo: what /proc tells of epoll sets.
 *
 * (1) Everything is read in pieces into one buffer of the engine's; the lock of gates is held.
 * (2) Where /proc is missing or may not be read, nothing is found: that is no error.
 *
 * Source: proc(5): /proc/PID/fdinfo of an epoll descriptor has a line per registration,
 *     tfd:        5 events:       1d data:                5 pos:0 ino:61 sdev:7
 */
#include "shim/engine/gate_internal.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"

enum {
	LINE = 256,	/* no line is longer */
	SETS_READ = 64, /* pieces of a directory, or of one file, that are read at most */
};

static char *buffer;

static bool start(void)
{
	if (!buffer)
		buffer = gate_map(GATE_BUFFER + 1);
	return buffer;
}

static __attribute__((noinline)) int open_number(const char *folder, int number)
{
	struct line l;

	line_init(&l, buffer, GATE_BUFFER);
	line_add(&l, folder);
	if (number >= 0)
		line_add_number(&l, (uint64_t)number);
	return sys_open(buffer, O_RDONLY | O_CLOEXEC, 0);
}

/* Move *at behind name, which blanks follow. */
static bool field(const char **at, const char *name)
{
	while (**at == ' ' || **at == '\t')
		++*at;
	for (; *name; name++, ++*at) {
		if (**at != *name)
			return false;
	}
	while (**at == ' ' || **at == '\t')
		++*at;
	return true;
}

static __attribute__((noinline)) bool parse(const char *line, struct gate_registration *r)
{
	if (!field(&line, "tfd:"))
		return false;
	r->fd = (int32_t)line_number(&line, 10);
	if (!field(&line, "events:"))
		return false;
	r->events = r->set = (uint32_t)line_number(&line, 16);
	if (!field(&line, "data:"))
		return false;
	r->data = line_number(&line, 16);
	return true;
}

/* Call put for each registration of a set, until it says false. */
static bool each(int epoll, bool (*put)(const struct gate_registration *r, void *arg), void *arg)
{
	struct gate_registration r = {.epoll = epoll};
	size_t have = 0;
	int fd = start() ? open_number("/proc/self/fdinfo/", epoll) : -1;
	long got = 0;

	if (fd < 0)
		return false;
	for (unsigned i = 0; i < SETS_READ; i++) {
		char *line = buffer, *end;

		got = sys_read(fd, buffer + have, GATE_BUFFER - have);
		if (got <= 0)
			break;
		have += (size_t)got;
		buffer[have] = 0;
		for (;; line = end + 1) {
			for (end = line; *end && *end != '\n'; end++)
				;
			if (!*end)
				break;
			if (parse(line, &r) && !put(&r, arg))
				goto out;
		}
		have = (size_t)(buffer + have - line);
		if (have > LINE)
			break;
		memmove(buffer, line, have);
	}
out:
	sys_close(fd);
	return true;
}

struct search {
	int fd;
	bool found;
	uint32_t events;
};

static bool is_it(const struct gate_registration *r, void *arg)
{
	struct search *s = arg;

	s->found = r->fd == s->fd;
	s->events = r->events;
	return !s->found;
}

bool gate_fdinfo(int epoll, int fd, uint32_t *ret_events)
{
	struct search s = {.fd = fd};

	(void)each(epoll, is_it, &s);
	*ret_events = s.events;
	return s.found;
}

static bool put_tracked(const struct gate_registration *r, void *arg)
{
	if (conn_of(r->fd))
		(*(gate_fdinfo_put **)arg)(r);
	return true;
}

bool gate_fdinfo_all(int epoll, gate_fdinfo_put *put)
{
	return each(epoll, put_tracked, &put);
}

/* ---- which descriptors are epoll sets ---- */

static bool is_epoll(int folder, const char *name)
{
	static const char want[] = "anon_inode:[eventpoll]";
	char to[sizeof(want)];
	long n = sys_4(SYS_readlinkat, folder, (long)name, (long)to, sizeof(to));

	return n == (long)sizeof(want) - 1 && memcmp(to, want, sizeof(want) - 1) == 0;
}

struct entry { /* getdents64(2) */
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

void gate_fdinfo_sets(void (*put)(int epoll))
{
	int folder = start() ? open_number("/proc/self/fd", -1) : -1;
	long got = 0;

	if (folder < 0)
		return;
	for (unsigned i = 0; i < SETS_READ; i++) {
		got = sys_3(SYS_getdents64, folder, (long)buffer, GATE_BUFFER);
		for (long at = 0; at < got;) {
			const struct entry *e = (const struct entry *)(buffer + at);
			const char *name = e->name;

			at += e->len;
			if (*name != '.' && is_epoll(folder, name))
				put((int)line_number(&name, 10));
		}
		if (got <= 0)
			break;
	}
	sys_close(folder);
}
