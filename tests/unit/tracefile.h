/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tests: a trace in memory, written record by record the way the recorder does it.
 */
#ifndef TESTS_UNIT_TRACEFILE_H
#define TESTS_UNIT_TRACEFILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/trace/append.h"
#include "tools/exchange/load.h"

struct tracefile {
	uint8_t *file;
	size_t len;
	struct trace_header *h;
	uint64_t now; /* CLOCK_MONOTONIC of the next record */
	uint64_t off[2];
};

static inline void tracefile_init(struct tracefile *t, const char *exe)
{
	const uint64_t max = 8 << 20;

	memset(t, 0, sizeof(*t));
	t->len = trace_file_size(max);
	t->file = mmap(NULL, t->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!t->len || t->file == MAP_FAILED)
		abort();
	t->h = (struct trace_header *)t->file;
	trace_layout(t->h, max);
	t->h->half[0].populated = t->h->half[1].populated = t->h->half_size;
	t->h->pid = 4711;
	t->h->doors = TRACE_DOOR_LIBC;
	t->now = t->h->t_load = t->h->t_created = 1000000000;
	t->h->realtime_offset = INT64_C(1700000000) * 1000000000;
	snprintf(t->h->exe, sizeof(t->h->exe), "%s", exe);
}

static inline void *tracefile_add(struct tracefile *t, enum trace_kind kind, size_t size)
{
	unsigned need;
	struct trace_record *r = trace_reserve(t->h, kind, size, &need);

	if (!r)
		abort();
	t->now += 1000000;
	return r;
}

static inline void tracefile_open(struct tracefile *t, uint32_t conn, uint64_t stack)
{
	struct trace_open *r = tracefile_add(t, TRACE_OPEN, sizeof(*r));

	r->t_ns = t->now;
	r->conn = conn;
	r->cookie = 7000 + conn;
	r->tid = t->h->pid;
	r->fd = 4 + conn;
	r->stack = stack;
	r->role = ROLE_SERVER;
	r->origin = TRACE_ACCEPTED;
	r->peer.family = 2;
	r->peer.port = 40000;
	memcpy(r->peer.ip, "\x7f\0\0\1", 4);
	trace_publish(&r->rec);
	t->off[0] = t->off[1] = 0;
	t->h->opened++;
}

static inline void tracefile_data(struct tracefile *t, uint32_t conn, enum dir dir,
				  const void *bytes, size_t n, uint64_t stack)
{
	struct trace_data *r = tracefile_add(
		t, TRACE_DATA, sizeof(*r) + sizeof(struct trace_segment) + CORE_ALIGN8(n));
	struct trace_segment *s = (struct trace_segment *)(r + 1);

	r->t_ns = t->now;
	r->conn = conn;
	r->tid = t->h->pid;
	r->dir = (uint8_t)dir;
	r->off = t->off[dir];
	r->moved = (uint32_t)n;
	r->stack = stack;
	r->segments = 1;
	s->len = (uint32_t)n;
	memcpy(s + 1, bytes, n);
	t->off[dir] += n;
	trace_publish(&r->rec);
}

static inline void tracefile_text(struct tracefile *t, uint32_t conn, const void *bytes, size_t n)
{
	struct trace_text *r = tracefile_add(t, TRACE_TEXT, sizeof(*r) + CORE_ALIGN8(n));

	r->t_ns = t->now;
	r->conn = conn;
	r->tid = t->h->pid;
	r->fd = 2;
	r->len = (uint32_t)n;
	memcpy(r + 1, bytes, n);
	trace_publish(&r->rec);
}

/* Goroutine 7 entered the function. */
static inline void tracefile_witness(struct tracefile *t, uint32_t conn, enum trace_witness_id id,
				     uint64_t arg, uint64_t stack)
{
	struct trace_witness *r = tracefile_add(t, TRACE_WITNESS, sizeof(*r));

	r->t_ns = t->now;
	r->conn = conn;
	r->tid = t->h->pid;
	r->goid = 7;
	r->stack = stack;
	r->arg[0] = arg;
	r->witness = id;
	trace_publish(&r->rec);
}

static inline void tracefile_close(struct tracefile *t, uint32_t conn)
{
	struct trace_close *r = tracefile_add(t, TRACE_CLOSE, sizeof(*r));

	r->t_ns = t->now;
	r->conn = conn;
	r->tid = t->h->pid;
	r->fd = 4 + conn;
	r->what = TRACE_CLOSED;
	trace_publish(&r->rec);
	t->h->closed++;
}

/* The executable mappings of this process become the module table. */
static inline void tracefile_modules(struct tracefile *t)
{
	struct trace_module *row = (struct trace_module *)(t->file + t->h->modules_off);
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], perms[8], path[256];
	unsigned long start, end, off;

	while (maps && fgets(line, sizeof(line), maps)) {
		path[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &start, &end, perms, &off, path) <
			    4 ||
		    perms[2] != 'x' || t->h->modules == TRACE_MODULES)
			continue;
		row->start = start;
		row->end = end;
		row->file_off = off;
		snprintf(row->path, sizeof(row->path), "%.207s", path);
		row++;
		t->h->modules++;
	}
	if (maps)
		fclose(maps);
}

/* Read it as the tools do. */
static inline void tracefile_load(struct tracefile *t, struct image *img)
{
	char *error = NULL;

	memset(img, 0, sizeof(*img));
	img->path = "memory";
	img->file = t->file;
	img->len = t->len;
	img->process.exited = true;
	img->process.t_end = t->now;
	if (!image_build(img, &(struct finding_options){0}, &error)) {
		fprintf(stderr, "image_build: %s\n", error);
		abort();
	}
}

static inline void tracefile_done(struct tracefile *t)
{
	munmap(t->file, t->len);
}

#endif
