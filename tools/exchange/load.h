/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/load: a trace folder (or one file) -> processes, connections, exchanges, findings.
 *
 * Records are put in time order per connection and fed through the same phase machine the engine
 * runs; what the engine believed about phases is not trusted.
 */
#ifndef TOOLS_EXCHANGE_LOAD_H
#define TOOLS_EXCHANGE_LOAD_H

#include "core/finding/finding.h"
#include "core/trace/iterate.h"

/* One trace file, mapped, and what it says. */
struct image {
	const char *path;
	const uint8_t *file; /* mapped read-only; spans and segments point into it */
	size_t len;
	const struct trace_header *header; /* inside file */
	struct process process;
	uint32_t holes, broken; /* of the iteration */
	uint64_t witnesses;	/* records of entered functions, of all connections */
	uint32_t findings;	/* process-level */
	struct finding finding[8];
	bool superseded; /* the pid lived on as another image (exec) */
	/* load's own */
	struct arena *arena;
	void *stack; /* sorted by id */
	size_t stacks;
	char *name; /* path, when load made it */
};

struct trace_set {
	uint32_t images;
	struct image *image; /* ordered by pid, then load time */
	uint32_t skipped;    /* files that could not be read: errors */
	char **error;	     /* "path: sentence with the remedy", skipped of them */
	const char *path;    /* as it was given to trace_set_load, which does not copy it */
};

/* Load everything below path (a folder or one .trace file).
 * Returns NULL and *ret_error (malloc'ed, one sentence with the remedy) when nothing could be read. */
struct trace_set *trace_set_load(const char *path, const struct finding_options *o,
				 char **ret_error);
void trace_set_free(struct trace_set *s);

/* Build a process from bytes of one trace already in memory: what load uses, and the case replays.
 * The caller sets path, file and len, and in process what it knows about the end: alive with t_end,
 * or exited with t_end and exit_status, and t_signal; the rest is filled in.  The bytes must stay
 * where they are until image_done.  Returns false and *ret_error (malloc'ed) when it is no trace. */
bool image_build(struct image *img, const struct finding_options *o, char **ret_error);
void image_done(struct image *img);

/* Find a stack by id; NULL when it is not in the file (discarded half). */
const struct trace_stack *image_stack(const struct image *img, uint64_t id);

/* Findings of one exchange, computed on demand: see finding_detect. */

#endif
