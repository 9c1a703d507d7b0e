/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/observe: questions to a trace.
 */
#include "tools/scenario/observe.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault/match.h"
#include "tools/format/format.h"

struct trace_set *observe_load(const char *folder)
{
	struct finding_options o;
	struct trace_set *set;
	char *error = NULL;

	finding_options_default(&o);
	set = trace_set_load(folder, &o, &error);
	free(error);
	return set;
}

static bool wild(const char *pattern, const uint8_t *text, size_t n)
{
	return fault_glob(pattern, strlen(pattern), (const char *)text, n, false);
}

static bool matches(const struct observe_where *w, const struct exchange *x)
{
	struct span target = x->request->target;
	const uint8_t *query = target.n ? memchr(target.p, '?', target.n) : NULL;

	if (x->conn->role != ROLE_SERVER || (w->attempt >= 0 && x->attempt != (w->attempt == 1)))
		return false;
	if (!w->path)
		return true;
	if (!target.n)
		return false;
	return wild(w->path, target.p, target.n) ||
	       (query && wild(w->path, target.p, (size_t)(query - target.p)));
}

void observe_each(const struct trace_set *set, const struct observe_where *w, observe_visit *visit,
		  void *ctx)
{
	for (uint32_t i = 0; set && i < set->images; i++) {
		const struct image *img = &set->image[i];

		for (uint32_t c = 0; c < img->process.connections; c++) {
			const struct connection *conn = &img->process.connection[c];

			for (uint32_t x = 0; x < conn->exchanges; x++) {
				if (matches(w, &conn->exchange[x]))
					visit(ctx, img, &conn->exchange[x]);
			}
		}
	}
}

/* ---- phases ---- */

/* Bytes that a rule held back were not yet on their way: the wait is part of the phase that the rule
 * names, and not of the one before. */
static void add_waits(const struct exchange *x, enum phase phase, uint64_t *begin, uint64_t *end)
{
	const struct connection *c = x->conn;
	uint64_t first = *begin, last = *end;

	for (uint32_t i = 0; i < c->events && c->faults; i++) {
		const struct event *e = &c->event[i];
		bool began;

		if (e->kind != EVENT_FAULT || e->t_ns < x->t_start || i >= x->ev_end)
			continue;
		began = e->fault->what == TRACE_FAULT_BEGAN;
		if (!began && e->fault->what != TRACE_FAULT_ENDED)
			continue;
		if (e->fault->phase == phase && began && e->t_ns < *begin)
			*begin = e->t_ns;
		else if (e->fault->phase > phase && began && e->t_ns > first && e->t_ns < *end)
			*end = e->t_ns;
		else if (e->fault->phase == phase && !began && e->t_ns > last)
			*end = e->t_ns;
	}
}

static bool span_of_marks(const struct image *img, const struct exchange *x, enum phase phase,
			  uint64_t *ret_begin, uint64_t *ret_end)
{
	const struct connection *c = x->conn;
	bool inside = false;

	if (phase == PHASE_ACCEPTED && x->ordinal == 0) {
		*ret_begin = c->t_open;
		*ret_end = x->t_start ? x->t_start : img->process.t_end;
		return c->t_open != 0;
	}
	for (uint32_t i = x->mark_start; i < c->marks; i++) {
		const struct mark *m = &c->mark[i];

		if (m->e.what != PHASE_CHANGE || (!inside && i >= x->mark_end))
			continue;
		if (inside) {
			*ret_end = m->t_ns;
			return true;
		}
		inside = m->e.phase == phase;
		*ret_begin = *ret_end = m->t_ns;
	}
	if (inside)
		*ret_end = img->process.t_end;
	return inside;
}

bool observe_span(const struct image *img, const struct exchange *x, enum phase phase,
		  uint64_t *ret_begin, uint64_t *ret_end)
{
	if (!span_of_marks(img, x, phase, ret_begin, ret_end))
		return false;
	add_waits(x, phase, ret_begin, ret_end);
	return true;
}

struct count {
	enum phase phase;
	unsigned n;
};

static void count_phase(void *ctx, const struct image *img, const struct exchange *x)
{
	struct count *c = ctx;
	uint64_t begin, end;

	c->n += observe_span(img, x, c->phase, &begin, &end);
}

unsigned observe_phase(const struct trace_set *set, const struct observe_where *w, enum phase phase)
{
	struct count c = {phase, 0};

	observe_each(set, w, count_phase, &c);
	return c.n;
}

/* ---- a glance ---- */

static void mix(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	*hash ^= *hash >> 29;
}

/* Rows are given from the first on: no row in use lies behind as many as were ever opened. */
static void glance_rows(const void *file, size_t len, enum phase phase, uint64_t *hash,
			unsigned *inside)
{
	const struct trace_header *h = file;
	uint64_t opened = __atomic_load_n(&h->opened, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < TRACE_CONNECTIONS && i < opened + 64; i++) {
		const struct trace_connection *row = trace_connection_at(file, len, i);

		if (!row || !__atomic_load_n(&row->id, __ATOMIC_RELAXED))
			continue;
		mix(hash, (uint64_t)row->id << 8 | row->phase);
		*inside += row->role == ROLE_SERVER && row->phase == phase;
	}
}

static void glance_file(int fd, enum phase phase, uint64_t *hash, unsigned *inside)
{
	struct stat st;
	const struct trace_header *h;

	if (fstat(fd, &st) || (size_t)st.st_size < TRACE_HEADER_SIZE)
		return;
	h = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return;
	if (h->magic == TRACE_MAGIC) {
		mix(hash, h->exchanges);
		mix(hash, h->half[0].cursor + h->half[1].cursor);
		mix(hash, h->discarded_halves);
		glance_rows(h, (size_t)st.st_size, phase, hash, inside);
	}
	munmap((void *)(uintptr_t)h, (size_t)st.st_size);
}

bool observe_glance(const char *folder, enum phase phase, uint64_t *seen, unsigned *ret_inside)
{
	DIR *d = opendir(folder);
	uint64_t all = 1;
	struct dirent *e;
	bool changed;

	*ret_inside = 0;
	while (d && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');
		uint64_t hash = e->d_ino;
		int fd;

		if (!dot || strcmp(dot, TRACE_SUFFIX))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			continue;
		glance_file(fd, phase, &hash, ret_inside);
		close(fd);
		all += hash; /* in whatever order the folder is read */
	}
	if (d)
		closedir(d);
	changed = all != *seen;
	*seen = all;
	return changed;
}

/* ---- findings ---- */

static void tell(const struct finding *f, uint32_t n, observe_finding *visit, void *ctx)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!f[i].injected_by[0])
			visit(ctx, &f[i]);
	}
}

static void of_connection(const struct process *p, const struct connection *c,
			  const struct finding_options *o, observe_finding *visit, void *ctx)
{
	static _Thread_local struct finding found[CASE_FINDINGS];
	uint32_t n = finding_detect_connection(p, c, o, found);

	tell(found, n, visit, ctx);
	for (uint32_t x = 0; x < c->exchanges; x++) {
		n = finding_detect(p, &c->exchange[x], o, found);
		tell(found, n, visit, ctx);
	}
}

void observe_findings(const struct trace_set *set, observe_finding *visit, void *ctx)
{
	struct finding_options o;

	finding_options_default(&o);
	for (uint32_t i = 0; set && i < set->images; i++) {
		const struct image *img = &set->image[i];

		tell(img->finding, img->findings, visit, ctx);
		for (uint32_t c = 0; c < img->process.connections; c++)
			of_connection(&img->process, &img->process.connection[c], &o, visit, ctx);
	}
}

/* ---- calls ---- */

/* What the server itself called: not what a rule did, nor what only lies near. */
static bool is_call(const struct event *e)
{
	return e->kind != EVENT_FAULT && e->kind != EVENT_TEXT && e->kind != EVENT_WITNESS;
}

bool observe_call(const struct trace_set *set, const char *call, int error, char *ret, size_t size)
{
	for (uint32_t i = 0; set && i < set->images; i++) {
		const struct image *img = &set->image[i];

		for (uint32_t c = 0; c < img->process.connections; c++) {
			const struct connection *conn = &img->process.connection[c];

			for (uint32_t e = 0; e < conn->events; e++) {
				const struct event *ev = &conn->event[e];
				struct span name = format_call_name(img->header, ev->call);

				if (error ? ev->kind != EVENT_FAILED || ev->err != error
					  : !is_call(ev))
					continue;
				if (call && !span_is(name, call))
					continue;
				snprintf(ret, size, "%.*s", (int)name.n, (const char *)name.p);
				return true;
			}
		}
	}
	return false;
}
