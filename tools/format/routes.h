/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/routes: plain exchanges, counted per method and path by the recorder, added up over all
 * processes.
 */
#ifndef TOOLS_FORMAT_ROUTES_H
#define TOOLS_FORMAT_ROUTES_H

#include "tools/exchange/load.h"

struct route {
	uint8_t method; /* enum http_method */
	char path[112];
	uint64_t count, bytes_rx, bytes_tx;
	uint64_t answers[6]; /* [1]..[5]: 1xx..5xx, saturating in the trace */
	uint64_t bucket[TRACE_BUCKETS];
};

struct routes {
	uint32_t rows;
	struct route *row; /* most requests first */
	uint64_t count;	   /* all requests */
};

/* Add up the routes of one image, or of all images when img is NULL. False when memory is out. */
bool routes_collect(struct routes *r, const struct trace_set *set, const struct image *img);
void routes_done(struct routes *r);

/* Upper bound in microseconds below which `percent` of the answers stayed; 0 without any. */
uint64_t route_percentile(const struct route *r, unsigned percent);

#endif
