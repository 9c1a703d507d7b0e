/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/routes: at most 256 rows per process, so rows are found by looking through them.
 */
#include "tools/format/routes.h"

#include <stdlib.h>
#include <string.h>

static struct route *find_row(struct routes *r, const struct trace_route *t)
{
	struct route *more;
	uint32_t i;

	for (i = 0; i < r->rows; i++)
		if (r->row[i].method == t->method &&
		    strncmp(r->row[i].path, t->path, sizeof(t->path)) == 0)
			return &r->row[i];
	more = realloc(r->row, (r->rows + 1) * sizeof(*more));
	if (!more)
		return NULL;
	r->row = more;
	more += r->rows++;
	memset(more, 0, sizeof(*more));
	more->method = t->method;
	memcpy(more->path, t->path, sizeof(t->path));
	more->path[sizeof(more->path) - 1] = 0;
	return more;
}

static bool collect_image(struct routes *r, const struct image *img)
{
	const struct trace_route *t;
	unsigned i, j;

	for (i = 0; i < TRACE_ROUTES && (t = trace_route_at(img->file, img->len, i)); i++) {
		struct route *row;

		if (!t->used || !t->count)
			continue;
		row = find_row(r, t);
		if (!row)
			return false;
		row->count += t->count;
		row->bytes_rx += t->bytes_rx;
		row->bytes_tx += t->bytes_tx;
		r->count += t->count;
		for (j = 1; j < 6; j++)
			row->answers[j] += t->status_class[j];
		for (j = 0; j < TRACE_BUCKETS; j++)
			row->bucket[j] += t->bucket[j];
	}
	return true;
}

static int by_count(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->path, y->path);
}

bool routes_collect(struct routes *r, const struct trace_set *set, const struct image *img)
{
	uint32_t i;
	bool good = true;

	memset(r, 0, sizeof(*r));
	if (img)
		good = collect_image(r, img);
	for (i = 0; !img && i < set->images && good; i++)
		good = collect_image(r, &set->image[i]);
	if (r->rows)
		qsort(r->row, r->rows, sizeof(*r->row), by_count);
	return good;
}

void routes_done(struct routes *r)
{
	free(r->row);
	memset(r, 0, sizeof(*r));
}

uint64_t route_percentile(const struct route *r, unsigned percent)
{
	uint64_t all = 0, sum = 0;
	unsigned i;

	for (i = 0; i < TRACE_BUCKETS; i++)
		all += r->bucket[i];
	for (i = 0; all && i < TRACE_BUCKETS; i++) {
		sum += r->bucket[i];
		if (sum * 100 >= all * percent)
			return UINT64_C(2) << i;
	}
	return 0;
}
