/* SPDX-License-Identifier: BSD-2-Clause
 *
 * make_trace: write a trace of a given size, to time the report on.
 *
 *     make_trace FILE BYTES
 *
 * The mix, per attempt: one OPEN, a 600-byte request head, a 101 (every 200th: a 401 instead), 40 frame
 * records of 80 to 96 bytes, EOF and CLOSE.  Connections follow one another in groups of 64 that overlap.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/trace/append.h"

enum {
	GROUP = 64,
	FRAMES = 40,
};

static struct trace_header *header;
static uint64_t clock_ns = 1000000000;

/* A record, NULL when both halves are full. */
static void *reserve(enum trace_kind kind, size_t size)
{
	struct trace_record *r;
	struct trace_range range;
	unsigned need;

	for (;;) {
		r = trace_reserve(header, kind, size, &need);
		if (need & TRACE_NEED_POPULATE && trace_populate_begin(header, TRACE_AHEAD, &range))
			trace_populate_complete(header, &range, range.len);
		if (r || !(need & (TRACE_NEED_SWITCH | TRACE_NEED_POPULATE)))
			return r;
		if (!(need & TRACE_NEED_SWITCH))
			continue;
		if (trace_switch_begin(header, &range) != TRACE_SWITCH_READY)
			return NULL;
		trace_switch_complete(header, &range, true);
	}
}

static bool add_data(uint32_t conn, enum dir dir, uint64_t off, const void *bytes, uint32_t n,
		     uint32_t moved)
{
	struct trace_data *d =
		reserve(TRACE_DATA, sizeof(*d) + sizeof(struct trace_segment) + CORE_ALIGN8(n));
	struct trace_segment *s;

	if (!d)
		return false;
	d->t_ns = clock_ns += 500;
	d->off = off;
	d->conn = conn;
	d->tid = 1;
	d->moved = moved;
	d->dir = (uint8_t)dir;
	d->segments = 1;
	s = (struct trace_segment *)(d + 1);
	s->len = n;
	memcpy(s + 1, bytes, n);
	trace_publish(&d->rec);
	return true;
}

static bool add_open(uint32_t conn)
{
	struct trace_open *o = reserve(TRACE_OPEN, sizeof(*o));

	if (!o)
		return false;
	o->t_ns = clock_ns += 500;
	o->cookie = conn;
	o->conn = conn;
	o->fd = 10 + conn % GROUP;
	trace_publish(&o->rec);
	return true;
}

static bool add_end(uint32_t conn)
{
	struct trace_result *e = reserve(TRACE_RESULT, sizeof(*e));
	struct trace_close *c;

	if (!e)
		return false;
	e->t_ns = clock_ns += 500;
	e->conn = conn;
	e->what = TRACE_EOF;
	trace_publish(&e->rec);
	c = reserve(TRACE_CLOSE, sizeof(*c));
	if (!c)
		return false;
	c->t_ns = clock_ns += 500;
	c->conn = conn;
	trace_publish(&c->rec);
	return true;
}

static bool add_group(uint32_t first)
{
	static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				       "Connection: Upgrade\r\n"
				       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	static const char refused[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
	char head[600];
	int n = snprintf(head, sizeof(head),
			 "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=");

	memset(head + n, '*', sizeof(head) - (size_t)n);
	memcpy(head + sizeof(head) - 4, "\r\n\r\n", 4);
	for (uint32_t c = first; c < first + GROUP; c++) {
		bool bad = c % 200 == 0;

		if (!add_open(c) || !add_data(c, DIR_RX, 0, head, sizeof(head), sizeof(head)) ||
		    !add_data(c, DIR_TX, 0, bad ? refused : switched,
			      bad ? sizeof(refused) - 1 : sizeof(switched) - 1,
			      bad ? sizeof(refused) - 1 : sizeof(switched) - 1))
			return false;
	}
	for (uint64_t f = 0; f < FRAMES; f++)
		for (uint32_t c = first; c < first + GROUP; c++) {
			static const char up[] =
				"\x82\xfe\x01\x00\x01\x02\x03\x04"; /* 256 bytes, masked */
			static const char down[] = "\x82\x7e\x01\x00";
			bool rx = f % 2 == 0;
			uint64_t off = rx ? sizeof(head) + f / 2 * 264
					  : sizeof(switched) - 1 + f / 2 * 260;

			if (c % 200 && !add_data(c, rx ? DIR_RX : DIR_TX, off, rx ? up : down,
						 rx ? 8 : 4, rx ? 264 : 260))
				return false;
		}
	for (uint32_t c = first; c < first + GROUP; c++)
		if (!add_end(c))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, size = trace_file_size(bytes);
	int fd;

	if (!size) {
		fprintf(stderr, "usage: make_trace FILE BYTES (at least a few MiB)\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) ||
	    (header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		fprintf(stderr, "make_trace: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	trace_layout(header, bytes);
	header->keep_first = 1;
	header->pid = 1;
	header->t_load = header->t_created = clock_ns;
	strcpy(header->exe, "/bench/make_trace");
	for (uint32_t c = 1; add_group(c); c += GROUP)
		;
	header->ended = 1;
	header->t_end = clock_ns;
	return 0;
}
