/* SPDX-License-Identifier: BSD-2-Clause
 *
 * counts: see counts.h.  Rows are found by hash with linear probing and never taken away; whoever
 * claims a row fills it before others may compare with it.
 */
#include "shim/engine/counts.h"
#include "shim/engine/line.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "core/trace/mask.h"

enum {
	ROWS = TRACE_ROUTES - 1, /* hashed; the last row takes the rest */
	PROBES = 24,
	ROW_READY = 1,
	ROW_CLAIMED = 2,
};

static inline struct trace_route *row_at(uint32_t i)
{
	return recorder_row(TRACE_ROUTES_OFF, sizeof(struct trace_route), i);
}

/* The path of a request line: without query, and without scheme and authority of the absolute form,
 * because an authority may hold a password. */
static struct span find_path(const uint8_t *p, size_t n)
{
	size_t i = 0, from;

	while (i < n && (p[i] == '\r' || p[i] == '\n'))
		i++;
	while (i < n && p[i] > ' ')
		i++;
	while (i < n && p[i] == ' ')
		i++;
	from = i;
	if (from < n && p[from] != '/') {
		for (; i + 2 < n && p[i] > ' '; i++) {
			if (p[i] == ':' && p[i + 1] == '/' && p[i + 2] == '/') {
				for (i += 3; i < n && p[i] > ' ' && p[i] != '/'; i++)
					;
				from = i;
				break;
			}
		}
		if (from != i) /* "*" or an authority */
			return (struct span){p, 0};
	}
	for (i = from; i < n && p[i] > ' ' && p[i] != '?' && p[i] != '#'; i++)
		;
	return (struct span){p + from, i - from};
}

static uint32_t hash_path(enum http_method method, struct span path)
{
	uint32_t hash = 2166136261u ^ method;

	for (size_t i = 0; i < path.n; i++)
		hash = (hash ^ path.p[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static bool row_is(const struct trace_route *row, enum http_method method, struct span path)
{
	return row->method == method && !memcmp(row->path, path.p, path.n) &&
	       row->path[path.n] == '\0';
}

/* Take an empty row. False when somebody else did. */
static bool claim(struct trace_route *row, enum http_method method, struct span path)
{
	uint8_t unused = 0;

	if (!__atomic_compare_exchange_n(&row->used, &unused, ROW_CLAIMED, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	row->method = (uint8_t)method;
	memcpy(row->path, path.p, path.n);
	__atomic_store_n(&row->used, ROW_READY, __ATOMIC_RELEASE);
	return true;
}

static uint16_t other_row(void)
{
	static const char name[] = "(other)";
	struct trace_route *row = row_at(ROWS);

	if (!row)
		return COUNTS_NONE;
	if (!row->used)
		(void)claim(row, HTTP_METHOD_OTHER, (struct span){(const uint8_t *)name, 7});
	return ROWS + 1;
}

uint16_t counts_route(enum http_method method, const uint8_t *head, size_t n)
{
	uint8_t masked[sizeof(((struct trace_route *)0)->path)];
	struct span path = find_path(head, n);
	uint32_t at;

	if (path.n >= sizeof(masked))
		path.n = sizeof(masked) - 1;
	if (!engine.config.no_redact) {
		mask_target(masked, path.p, path.n);
		path.p = masked;
	}
	at = hash_path(method, path) % ROWS;
	for (unsigned probe = 0; probe < PROBES; probe++, at = (at + 1) % ROWS) {
		struct trace_route *row = row_at(at);

		if (!row)
			return COUNTS_NONE;
		if (!__atomic_load_n(&row->used, __ATOMIC_ACQUIRE) && claim(row, method, path))
			return (uint16_t)(at + 1);
		if (__atomic_load_n(&row->used, __ATOMIC_ACQUIRE) == ROW_READY &&
		    row_is(row, method, path))
			return (uint16_t)(at + 1);
	}
	return other_row();
}

bool counts_is(uint16_t route, enum http_method method, const uint8_t *head, size_t n)
{
	const struct trace_route *row = route == COUNTS_NONE ? NULL : row_at(route - 1u);
	size_t i = 0, at = 0;

	if (!row || route > ROWS || row->method != method)
		return false;
	while (i < n && head[i] > ' ')
		i++;
	if (i + 1 >= n || head[i] != ' ' || head[++i] != '/')
		return false;
	while (i < n && row->path[at] && head[i] == (uint8_t)row->path[at]) {
		i++;
		at++;
	}
	return i < n && !row->path[at] && at < sizeof(row->path) - 1 &&
	       (head[i] <= ' ' || head[i] == '?' || head[i] == '#');
}

static unsigned bucket_of(uint64_t took_ns)
{
	uint64_t us = took_ns / 1000;
	unsigned i = us ? 63u - (unsigned)__builtin_clzll(us) : 0;

	return i < TRACE_BUCKETS ? i : TRACE_BUCKETS - 1;
}

CORE_HOT void counts_add(uint16_t route, unsigned status, uint64_t took_ns, uint64_t rx,
			 uint64_t tx)
{
	struct trace_route *row;

	if (route == COUNTS_NONE || !recorder_header)
		return;
	row = row_at(route - 1u);
	if (!row)
		return;
	__atomic_fetch_add(&row->count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&row->bytes_rx, rx, __ATOMIC_RELAXED);
	__atomic_fetch_add(&row->bytes_tx, tx, __ATOMIC_RELAXED);
	__atomic_fetch_add(&row->bucket[bucket_of(took_ns)], 1, __ATOMIC_RELAXED);
	if (status >= 100 && status < 600 && row->status_class[status / 100] < 255)
		row->status_class[status / 100]++;
}
