/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/iterate: read the bytes of a trace, whoever wrote them.  Every offset is checked; hostile,
 * truncated and half-written files end in an error or in fewer records, never in a bad access.
 */
#ifndef CORE_TRACE_ITERATE_H
#define CORE_TRACE_ITERATE_H

#include "core/trace/layout.h"

enum trace_error {
	TRACE_OK,
	TRACE_ERR_SHORT,  /* smaller than a header */
	TRACE_ERR_MAGIC,  /* not a trace */
	TRACE_ERR_ENDIAN, /* written on a machine of the other byte order */
	TRACE_ERR_NEWER,  /* version or feature bits this reader does not know */
	TRACE_ERR_LAYOUT, /* offsets that contradict the file's size */
	TRACE_ERR_EMPTY,  /* its process ended before the header was there */
};
const char *trace_error_text(enum trace_error e);

/* Check a header. len may be shorter than header.file_size (a truncated copy): records beyond it do
 * not exist for the iterator. */
enum trace_error trace_check(const void *file, size_t len);

struct trace_iter {
	const uint8_t *file;
	size_t len;
	uint64_t at;	   /* offset in the half of the next record */
	uint64_t sequence; /* of the half being read */
	uint8_t half;	   /* which one, 2: none yet */
	bool tail;	   /* the last call stopped before something unfinished, counted in holes */
	uint8_t spare[2];
	uint32_t ordinal; /* of the last record returned, from 1 */
	uint32_t holes;	  /* unfinished records and zero gaps passed over */
	uint32_t broken;  /* halves given up because a word made no sense */
	uint32_t bad;	  /* published records skipped because they contradict themselves */
};

/* Start before the oldest record of a file that trace_check found to be TRACE_OK. */
void trace_iter_init(struct trace_iter *it, const void *file, size_t len);

/* The next published record, whose fixed part and declared trailing bytes all lie inside it; NULL at
 * the end.  Kinds this reader does not know are passed over in silence.
 * May be called again later on a growing file: it goes on where it stopped, into the next half when
 * the writer switched.  A record that was unfinished when later ones were returned is not returned
 * any more; who needs it starts again. */
const struct trace_record *trace_next(struct trace_iter *it);

/* Walk the segments of a DATA record that trace_next returned: *at starts at 0 and is otherwise
 * nobody's business. False at the end. */
bool trace_segment_next(const struct trace_data *d, uint32_t *at, uint32_t *ret_rel,
			struct span *ret_bytes);

/* Rows of the side tables; NULL when out of range. */
const struct trace_module *trace_module_at(const void *file, size_t len, uint32_t i);
const struct trace_route *trace_route_at(const void *file, size_t len, uint32_t i);
const struct trace_connection *trace_connection_at(const void *file, size_t len, uint32_t i);

/* What the process as a whole was: its own coverage, made worse to partial (TLS) where at least as many
 * of its connections were TLS as were not.  Fewer spoil only themselves.  ret_reasons may be NULL. */
enum trace_coverage_state trace_coverage_of(const struct trace_header *h, uint64_t *ret_reasons);

const char *trace_kind_name(unsigned kind);
const char *trace_reason_text(uint64_t one_bit);
const char *trace_reason_name(uint64_t one_bit);

#endif
