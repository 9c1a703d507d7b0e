/* SPDX-License-Identifier: BSD-2-Clause
 *
 * counts: plain exchanges, per method and path without query, in the table of routes of the trace.
 */
#ifndef SHIM_ENGINE_COUNTS_H
#define SHIM_ENGINE_COUNTS_H

#include "core/http/head.h"

enum {
	COUNTS_NONE = 0, /* no row; rows are numbered from 1, the last one is "(other)" */
};

/* The row of the request whose head begins at head; n may be less than the whole head.  COUNTS_NONE
 * when no page can be had. */
uint16_t counts_route(enum http_method method, const uint8_t *head, size_t n);

/* Is it this row (any, COUNTS_NONE too)?  Cheaper than to look it up; false when in doubt. */
bool counts_is(uint16_t route, enum http_method method, const uint8_t *head, size_t n);

/* One exchange of that row is over.
 *   status   of the final answer
 *   took_ns  from the end of the request head to the end of the answer head */
void counts_add(uint16_t route, unsigned status, uint64_t took_ns, uint64_t rx, uint64_t tx);

#endif
