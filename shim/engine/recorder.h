/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recorder: the trace file of this process.
 *
 * (1) Nothing is stored in a page that was not populated by a call that can fail: a full disk turns
 *     recording off and can never become a signal.
 * (2) Nobody waits: who does not get a record counts it as lost.
 * (3) No descriptor stays open.
 */
#ifndef SHIM_ENGINE_RECORDER_H
#define SHIM_ENGINE_RECORDER_H

#include "core/trace/append.h"

/* The mapped file; NULL before it was created and when it could not be. */
extern struct trace_header *recorder_header;

/* Create the file unless it is there.  Called at every listen, accept and connect; costs one load
 * when there is nothing to do.  False: there is none. */
bool recorder_open(void);

/* In a forked child: let go of the parent's file; take one of its own if the parent had one. */
void recorder_forked(void);

/* This image ends, by exec or exit: take the file of a forked child away again if it says nothing.
 * Should the exec fail, the next connection makes a new one.  True: it is gone. */
bool recorder_discard(void);

/* Reserve a record of size bytes, zeroed; NULL when it is lost (counted).  What is reserved must be
 * published by trace_publish before anything else happens. */
void *recorder_begin(enum trace_kind kind, size_t size);

/* size bytes could not be recorded. */
void recorder_lost(enum trace_lost_why why, uint64_t bytes);

enum {
	RECORDER_PAGE = 4096,
	RECORDER_PAGES = (TRACE_HEADER_SIZE + TRACE_MODULES * 256 + TRACE_ROUTES * 256 +
			  TRACE_CONNECTIONS * 64) /
				 RECORDER_PAGE +
			 1,
};
extern uint64_t recorder_touched[(RECORDER_PAGES + 63) / 64]; /* table pages that are storable */
bool recorder_touch_pages(uint64_t first, uint64_t last);

/* Row i of a table of the file that begins at off and has rows of size bytes, none of them in two
 * pages; storable.  NULL: there is no file, or the disk is full. */
static inline __attribute__((always_inline)) void *recorder_row(uint64_t off, uint64_t size,
								uint32_t i)
{
	uint64_t at = off + size * i, page = at / RECORDER_PAGE;
	struct trace_header *h = recorder_header;

	if (!h || page >= RECORDER_PAGES)
		return NULL;
	if (!(__atomic_load_n(&recorder_touched[page / 64], __ATOMIC_RELAXED) >> page % 64 & 1) &&
	    !recorder_touch_pages(page, page))
		return NULL;
	return (uint8_t *)h + at;
}

/* What can be seen changed: conn 0 means the whole process, whose header is updated too. */
void recorder_cover(uint32_t conn, enum trace_coverage_state state, uint64_t reasons);

/* Say in the header, in words, why not all can be seen.  text: stays where it is; the first one wins. */
void recorder_note(const char *text);

/* text: NULL for none; of the application's, hence it need not be there. */
void recorder_process(enum trace_process_what what, int64_t arg, const char *text);

/* The youngest half: a stack or an open record written in an older one may be gone. */
static inline uint64_t recorder_epoch(void)
{
	const struct trace_header *h = recorder_header;

	return h ? h->half[__atomic_load_n(&h->active_half, __ATOMIC_RELAXED) & 1].sequence : 0;
}

/* No record can be had any more. */
bool recorder_is_off(void);

/* ---- between recorder.c and place.c ---- */

/* Create a file for this process and map it, at if that is not NULL.  Returns the header, filled in,
 * or NULL.  ret_path, for opening it again, is set in any case. */
struct trace_header *place_create(void *at, const char **ret_path);

/* ---- for control.c ---- */

/* Create another file beside it, of the same name but for the suffix; to: its path.  Returns a descriptor,
 * negative when it cannot be made, or when a file must not have that size. */
int place_open(char *to, size_t room, const char *suffix, uint64_t size);

#endif
