/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/unwind: from a recorded stack (registers and a window of stack words) to program counters.
 */
#ifndef TOOLS_BLAME_UNWIND_H
#define TOOLS_BLAME_UNWIND_H

#include "tools/blame/modules.h"

enum {
	UNWIND_MAX = 128, /* frames of one stack */
};

struct unwound {
	uint32_t count;
	bool chain; /* found along frame pointers: a Go program, whether or not its file is at hand */
	uint64_t pc[UNWIND_MAX]; /* of the call, not of the return: ready for symbols */
};

struct unwinder;

/* m must outlive it. Never NULL unless memory is out. */
struct unwinder *unwinder_new(struct modules *m);
void unwinder_free(struct unwinder *u);

/* s was checked by trace_next: its bitmap and words lie inside the record.  The first frame is
 * always there; the walk ends at the first frame nobody can describe. */
void unwinder_walk(struct unwinder *u, const struct trace_stack *s, struct unwound *ret);

#endif
