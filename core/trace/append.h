/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/append: reserve, fill, publish.  Lock-free; safe in signal handlers and from any thread.
 *
 * The writer maps the file; append never stores to a byte beyond half.populated, so a full disk can
 * never become SIGBUS.  Populating and switching halves need system calls: the caller does them (the
 * engine's recorder) when append asks.
 */
#ifndef CORE_TRACE_APPEND_H
#define CORE_TRACE_APPEND_H

#include "core/trace/layout.h"

enum trace_need {
	TRACE_NEED_NOTHING = 0,
	TRACE_NEED_POPULATE = 1u << 0, /* the active half is within TRACE_AHEAD of its populated end */
	TRACE_NEED_SWITCH = 1u << 1,   /* the active half is full */
};
enum {
	TRACE_AHEAD = 256 * 1024,
};

/* Fill in a fresh, zeroed header: offsets, sizes, magic last.  half_size is rounded down to 4 KiB.
 * Returns the file size, 0 when max_bytes is too small for two halves of TRACE_RECORD_MAX * 4. */
uint64_t trace_layout(struct trace_header *h, uint64_t max_bytes);
uint64_t trace_file_size(uint64_t max_bytes); /* what trace_layout would return */

/* Reserve size bytes (rounded up to 8) for a record of that kind in the active half.
 *   ret_need   what the caller should do soon (POPULATE) or before trying again (SWITCH)
 * Returns the record, zeroed except for its first word, or NULL when there is no room now; then
 * nothing is reserved that could not be skipped. */
struct trace_record *trace_reserve(struct trace_header *h, enum trace_kind kind, size_t size,
				   unsigned *ret_need);

/* Make it visible. Nothing in the record may change afterwards. */
void trace_publish(struct trace_record *r);

/* Count what could not be recorded. */
void trace_count_lost(struct trace_header *h, uint64_t bytes);

#endif
