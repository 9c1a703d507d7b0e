/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/append: reserve, fill, publish.  Lock-free; safe in signal handlers and from any thread.
 *
 * (1) append never stores to a byte of a half beyond half.populated, so a full disk can never become
 *     SIGBUS.
 * (2) A reservation either fits or does not happen.  Its length is stored, as RESERVED, before any
 *     other byte of it; so a half reads as published records, records of known length that nobody
 *     finished, and zeros.
 * (3) A half is reused only behind the last record of it that nobody finished: a writer that was
 *     stopped in the middle, however long, never stores into somebody else's record.
 *
 * Growing needs system calls; append says which bytes, the caller (the engine's recorder) makes the
 * calls.  begin takes header.growing, a try-lock; complete or abandon gives it back.  Whoever does
 * not get it counts the event as lost (TRACE_LOST_RACE) and goes on; nobody waits.
 *
 *     r = trace_reserve(h, kind, size, &need);
 *     if (!r && need & TRACE_NEED_SWITCH) {
 *             how = trace_switch_begin(h, &range);
 *             if (how == TRACE_SWITCH_READY) {
 *                     ok = range.len == 0, or [off, off + len) of the file was made to read as zero:
 *                          freed = false: all of it by memset (its pages stay populated)
 *                          freed = true:  only up to the end of its first page; the rest, freed or
 *                                         not, at the latest before populate_complete covers it again
 *                     ok ? trace_switch_complete(h, &range, freed) : trace_grow_abandon(h);
 *             }
 *             TRACE_SWITCH_FULL: --keep first; TRACE_LOST_FULL from now on
 *             TRACE_SWITCH_BUSY: TRACE_LOST_RACE, this time
 *             READY: reserve again; the new half may need POPULATE first
 *     }
 *     if (need & TRACE_NEED_POPULATE && trace_populate_begin(h, step, &range)) {
 *             populate [off, off + len) of the file by a call that can fail
 *             trace_populate_complete(h, &range, bytes that can now be stored to, 0 on failure);
 *     }
 *
 * After a failed POPULATE reserve goes on returning NULL with NEED_POPULATE; how often to try again
 * is the caller's choice.  The pages of the tables before data_off are the caller's to populate too.
 */
#ifndef CORE_TRACE_APPEND_H
#define CORE_TRACE_APPEND_H

#include "core/trace/layout.h"

enum trace_need {
	TRACE_NEED_NOTHING = 0,
	TRACE_NEED_POPULATE = 1u << 0, /* TRACE_AHEAD from its populated end */
	TRACE_NEED_SWITCH = 1u << 1,   /* the active half is full */
};
enum {
	TRACE_AHEAD = 256 * 1024,
};

/* Fill in a fresh, zeroed header: offsets, sizes, magic last.  half_size is rounded down to 4 KiB.
 * Returns the file size, 0 when max_bytes is too small for two halves of TRACE_RECORD_MAX * 4. */
uint64_t trace_layout(struct trace_header *h, uint64_t max_bytes);
uint64_t trace_file_size(uint64_t max_bytes); /* what trace_layout would return */
uint64_t trace_file_least(void);	      /* the least max_bytes that is not too small */

/* Make a record of size bytes of the half, which the cursor has passed just now.  NULL when they are
 * not populated: the half may have gone round to the same cursor value since that was looked at. */
static inline struct trace_record *trace_claim(struct trace_header *h, uint32_t index, uint64_t at,
					       uint32_t size, enum trace_kind kind)
{
	const struct trace_record first = {size | TRACE_RESERVED, (uint16_t)kind, 0};
	uint64_t word, *to = (uint64_t *)((uint8_t *)h + h->data_off + index * h->half_size + at);

	if (at + size > __atomic_load_n(&h->half[index].populated, __ATOMIC_ACQUIRE))
		return NULL;
	memcpy(&word, &first, sizeof(word)); /* in one piece, in the byte order of this machine */
	__atomic_store_n(to, word, __ATOMIC_RELAXED);
	/* The payload must not be visible before the length: readers and the walk rely on it.  gcc's
	 * thread sanitizer knows no fences and refuses them. */
#ifdef __SANITIZE_THREAD__
	__atomic_signal_fence(__ATOMIC_RELEASE);
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
	return (struct trace_record *)to;
}

/* Reserve size bytes (rounded up to 8) for a record of that kind in the active half.
 *   size       of the whole record, at least sizeof(struct trace_record), at most TRACE_RECORD_MAX
 *   ret_need   what the caller should do soon (POPULATE) or before trying again (SWITCH)
 * Returns the record, zeroed except for its first word, or NULL when there is no room now or size is
 * out of range (need is then NOTHING); then nothing was reserved. */
struct trace_record *trace_reserve(struct trace_header *h, enum trace_kind kind, size_t size,
				   unsigned *ret_need);

/* What happens nearly always: there is room, nothing is to be done soon, and nobody else reserves at
 * this moment.  NULL: nothing is known; ask trace_reserve. */
static inline struct trace_record *trace_reserve_quick(struct trace_header *h, enum trace_kind kind,
						       size_t size)
{
	uint32_t index = __atomic_load_n(&h->active_half, __ATOMIC_ACQUIRE) & 1;
	struct trace_half *half = &h->half[index];
	uint64_t at = __atomic_load_n(&half->cursor, __ATOMIC_ACQUIRE);

	size = CORE_ALIGN8(size);
	/* A closed cursor is larger than anything. */
	if (size - sizeof(struct trace_record) > TRACE_RECORD_MAX - sizeof(struct trace_record) ||
	    at + size + TRACE_AHEAD > __atomic_load_n(&half->populated, __ATOMIC_ACQUIRE) ||
	    !__atomic_compare_exchange_n(&half->cursor, &at, at + size, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return NULL;
	return trace_claim(h, index, at, (uint32_t)size, kind);
}

/* Make it visible. Nothing in the record may change afterwards. */
static inline void trace_publish(struct trace_record *r)
{
	__atomic_store_n(&r->size_state, (r->size_state & ~TRACE_STATE_MASK) | TRACE_PUBLISHED,
			 __ATOMIC_RELEASE);
}

/* Count what could not be recorded. */
void trace_count_lost(struct trace_header *h, uint64_t bytes);

/* Bytes of the file, counted from its start. */
struct trace_range {
	uint64_t off, len;
	uint32_t half;
	uint32_t spare;
	uint64_t base; /* switch: bytes of the half that stay */
	uint64_t gone; /* switch: records that are thrown away */
};

/* The next bytes of the active half to populate: step of them, or what is left of the half.
 *   step   rounded up to 4 KiB, at least TRACE_AHEAD
 * Returns false when another thread is growing the trace or nothing is left to populate. */
bool trace_populate_begin(struct trace_header *h, uint64_t step, struct trace_range *ret);

/* done of the range's bytes can be stored to now. */
void trace_populate_complete(struct trace_header *h, const struct trace_range *r, uint64_t done);

enum trace_switch {
	TRACE_SWITCH_READY,    /* make the range read as zero, then complete */
	TRACE_SWITCH_FULL,     /* keep_first is set and both halves were used */
	TRACE_SWITCH_BUSY,     /* another thread grows the trace, or the older half cannot be reused
				* because somebody is still writing near its end */
	TRACE_SWITCH_NEEDLESS, /* the active half has room again: another thread switched */
};

/* Prepare to throw away the older half and to make it the active one.  ret is set only on READY. */
enum trace_switch trace_switch_begin(struct trace_header *h, struct trace_range *ret);

/* The range reads as zero: make its half the active one.
 *   freed   its whole pages come through populate again before anything is stored in them */
void trace_switch_complete(struct trace_header *h, const struct trace_range *r, bool freed);

/* Give the try-lock back without having changed anything. */
void trace_grow_abandon(struct trace_header *h);

#endif
