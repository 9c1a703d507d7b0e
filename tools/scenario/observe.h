/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/observe: what the trace of a case says, while the server runs or afterwards.
 *
 * Only what the processes of the server did counts; connections they opened themselves (a proxy's other leg)
 * are left out where exchanges are counted.
 */
#ifndef TOOLS_SCENARIO_OBSERVE_H
#define TOOLS_SCENARIO_OBSERVE_H

#include "tools/exchange/load.h"

/* Which exchanges a question is about. */
struct observe_where {
	const char *path; /* pattern on the path, with or without its query; NULL any */
	int attempt;	  /* 1: attempts only, 0: none of them, -1: both */
};

/* Read the trace folder; NULL when there is nothing to read yet. */
struct trace_set *observe_load(const char *folder);

/* Call visit for each exchange that the question is about. */
typedef void observe_visit(void *ctx, const struct image *img, const struct exchange *x);
void observe_each(const struct trace_set *set, const struct observe_where *w, observe_visit *visit,
		  void *ctx);

/* How many exchanges have entered a phase. */
unsigned observe_phase(const struct trace_set *set, const struct observe_where *w,
		       enum phase phase);

/* Has the folder changed since the last glance, so that loading it could tell something new?  Looks at
 * headers and at rows of open connections alone.  *seen: 0 before the first one.  ret_inside: connections
 * of clients that are in that phase now. */
bool observe_glance(const char *folder, enum phase phase, uint64_t *seen, unsigned *ret_inside);

/* When the exchange entered the phase and when it left it again; false: it never was there.  A phase that
 * lasts ends with the observation. */
bool observe_span(const struct image *img, const struct exchange *x, enum phase phase,
		  uint64_t *ret_begin, uint64_t *ret_end);

/* Each finding of the set, process-level ones included, in the order of the report; those that a rule
 * of ours explains are not the server's, and are left out. */
typedef void observe_finding(void *ctx, const struct finding *f);
void observe_findings(const struct trace_set *set, observe_finding *visit, void *ctx);

/* Did any call (NULL: any) of a connection fail with that errno, or, where that is 0, was the call made at
 * all?  The name of the call into ret. */
bool observe_call(const struct trace_set *set, const char *call, int error, char *ret, size_t size);

#endif
