/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recorder: see recorder.h.
 *
 * Source: madvise(2) (MADV_POPULATE_WRITE, Linux 5.14), fallocate(2).
 */
#include "shim/engine/recorder.h"
#include "shim/engine/clock.h"
#include "shim/engine/control.h"
#include "shim/engine/line.h"
#include "shim/engine/memo.h"
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>

enum {
	PAGE = RECORDER_PAGE,
	STEP = 512 * 1024, /* populated at a time: some 50 us, once in thousands of records */
	RUNWAY = STEP,
	RUNWAY_MAX = 16 * STEP,
	TRIES = 4, /* a file that cannot be created is not asked for again for ever */
};

ENGINE_HOT struct trace_header *recorder_header;

ENGINE_HOT uint64_t recorder_touched[(RECORDER_PAGES + 63) / 64];

static struct {
	/* What every record looks at, together. */
	uint64_t ready[2];    /* of each half: bytes that are storable and zero */
	uint64_t runway;      /* bytes that should be ready beyond the cursor */
	uint64_t lost_events; /* since the last LOST record */
	uint32_t born;	      /* pid of the parent of a child that has not recorded anything yet */
	bool discarded;	      /* its file was taken away again */
	bool tell_full;	      /* full, which no record says yet */
	bool stopped;	      /* nothing more is recorded */

	bool full;	/* no page could be had: what is populated is all there will be */
	bool no_advice; /* this kernel cannot populate by madvise */
	uint64_t lost_bytes;
	uint32_t lost_why;
	const char *path;
	uint32_t creating; /* try-lock */
	uint32_t tries;
	uint64_t reasons; /* of coverage, from before the file was there */
	uint32_t state;
	const char *note;
	uint32_t extending; /* try-lock of ready */
	uint64_t lap[2];    /* of each half: bytes that were storable before it was reused */
} rec __attribute__((aligned(64)));

bool recorder_is_off(void)
{
	return !recorder_header || rec.stopped;
}

/* False when that was known already. */
static bool cover_process(struct trace_header *h, enum trace_coverage_state state, uint64_t reasons)
{
	if ((h->coverage_reasons & reasons) == reasons && h->coverage >= state)
		return false;
	__atomic_fetch_or(&h->coverage_reasons, reasons, __ATOMIC_RELAXED);
	if (h->coverage < state)
		__atomic_store_n(&h->coverage, state, __ATOMIC_RELAXED);
	return true;
}

/* ---- memory ---- */

/* Older kernels: have the file's blocks allocated, which needs it open for a moment. */
static bool allocate(uint64_t off, uint64_t len)
{
	int fd = sys_open(rec.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	ok = sys_fallocate(fd, off, len) >= 0;
	sys_close(fd);
	return ok;
}

/* The halves of a new file may not be touched, see place.c. */
static bool open_pages(uint64_t off, uint64_t len)
{
	return !engine.quiet &&
	       sys_mprotect((uint8_t *)recorder_header + off, len, PROT_READ | PROT_WRITE) >= 0;
}

static bool populate(uint64_t off, uint64_t len)
{
	long ret;

	if (engine.quiet)
		return false;
	if (!rec.no_advice) {
		ret = sys_madvise((uint8_t *)recorder_header + off, len, MADV_POPULATE_WRITE);
		if (ret >= 0)
			return true;
		if (ret != -EINVAL)
			return false;
		rec.no_advice = true;
	}
	return allocate(off, len);
}

/* Make the next bytes of a half storable and zero.  Where an earlier lap of the flight recorder has
 * been they are storable already and have only to be cleared, which costs much less than giving the
 * pages back and having them again.  With the try-lock held. */
static bool extend(const struct trace_header *h, uint32_t half)
{
	uint64_t from = rec.ready[half], used = rec.lap[half], len = h->half_size - from;
	uint64_t off = h->data_off + half * h->half_size + from;

	len = len < STEP ? len : STEP;
	if (from + len > used && !(open_pages(off, len) && populate(off, len)))
		return false;
	if (from < used)
		memset((uint8_t *)recorder_header + off, 0, len < used - from ? len : used - from);
	__atomic_store_n(&rec.ready[half], from + len, __ATOMIC_RELEASE);
	return true;
}

/* Nobody waits for pages: who finds that somebody else is having some goes on. */
static __attribute__((noinline)) void run_ahead(struct trace_header *h, uint32_t half)
{
	if (rec.full || rec.ready[half] >= h->half_size ||
	    __atomic_exchange_n(&rec.extending, 1, __ATOMIC_ACQUIRE))
		return;
	if (!extend(h, half)) {
		rec.full = rec.tell_full = true;
		cover_process(h, TRACE_PARTIAL, TRACE_REASON_DISK);
	}
	__atomic_store_n(&rec.extending, 0, __ATOMIC_RELEASE);
}

/* Let records go where pages are ready. */
static __attribute__((noinline)) void grow(struct trace_header *h)
{
	struct trace_range r;
	uint64_t start, ready;

	if (!trace_populate_begin(h, STEP, &r))
		return;
	start = r.off - h->data_off - r.half * h->half_size;
	ready = __atomic_load_n(&rec.ready[r.half], __ATOMIC_ACQUIRE);
	trace_populate_complete(h, &r, ready > start ? ready - start : 0);
}

/* Pages should be ready long before they are needed: having them may take as long as the disk likes,
 * and the other threads go on recording. */
static inline bool is_ahead(const struct trace_header *h, uint32_t half)
{
	return rec.ready[half] - (h->half[half].cursor & ~TRACE_CURSOR_CLOSED) >= rec.runway;
}

static void keep_ahead(struct trace_header *h)
{
	uint32_t half = __atomic_load_n(&h->active_half, __ATOMIC_RELAXED) & 1;

	if (!is_ahead(h, half))
		run_ahead(h, half);
}

static void make_ready(struct trace_header *h)
{
	keep_ahead(h);
	grow(h);
}

/* The older half is reused from r->base on: what lies there is cleared when the cursor comes near;
 * now only the rest of the first page. */
static void recycle(struct trace_header *h, const struct trace_range *r)
{
	uint64_t rest = -r->base & (PAGE - 1);

	if (rec.lap[r->half] < rec.ready[r->half])
		rec.lap[r->half] = rec.ready[r->half];
	memset((uint8_t *)h + r->off, 0, rest < r->len ? rest : r->len);
	rec.ready[r->half] = r->base + rest;
	trace_switch_complete(h, r, true);
}

/* The active half is full.  Returns false when there is no other. */
static __attribute__((noinline)) bool switch_half(struct trace_header *h,
						  enum trace_lost_why *ret_why)
{
	struct trace_range r;

	switch (trace_switch_begin(h, &r)) {
	case TRACE_SWITCH_READY:
		recycle(h, &r);
		return true;
	case TRACE_SWITCH_NEEDLESS:
		return true;
	case TRACE_SWITCH_FULL:
		*ret_why = TRACE_LOST_FULL;
		rec.stopped = true;
		return false;
	case TRACE_SWITCH_BUSY:
		break;
	}
	return false;
}

bool recorder_touch_pages(uint64_t first, uint64_t last)
{
	if (last >= RECORDER_PAGES)
		return false;
	for (uint64_t page = first; page <= last; page++) {
		uint64_t *word = &recorder_touched[page / 64], bit = UINT64_C(1) << page % 64;

		if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
			continue;
		if (rec.full || !populate(page * PAGE, PAGE))
			return false;
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	}
	return true;
}

/* ---- records ---- */

void recorder_lost(enum trace_lost_why why, uint64_t bytes)
{
	struct trace_header *h = recorder_header;

	if (!h)
		return;
	trace_count_lost(h, bytes);
	__atomic_fetch_add(&rec.lost_events, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rec.lost_bytes, bytes, __ATOMIC_RELAXED);
	rec.lost_why = why;
	(void)cover_process(h, TRACE_PARTIAL, TRACE_REASON_LOST);
}

static __attribute__((noinline)) void *reserve(struct trace_header *h, enum trace_kind kind,
					       size_t size)
{
	enum trace_lost_why why = TRACE_LOST_RACE;
	struct trace_record *r;
	unsigned need;

	for (unsigned tries = 0; tries < 3 && !rec.stopped; tries++) {
		keep_ahead(h);
		r = trace_reserve(h, kind, size, &need);
		if (need & TRACE_NEED_POPULATE)
			grow(h);
		if (r)
			return r;
		if (need & TRACE_NEED_SWITCH) {
			if (!switch_half(h, &why))
				break;
		} else if (rec.full) {
			rec.stopped = true;
		} else if (!need) {
			break;
		}
	}
	recorder_lost(rec.full ? TRACE_LOST_FULL : why, size);
	if (rec.runway < RUNWAY_MAX) /* several threads are faster than one can have pages */
		rec.runway *= 4;
	return NULL;
}

static void write_cover(struct trace_coverage *r, uint32_t conn, enum trace_coverage_state state,
			uint64_t reasons)
{
	if (!r)
		return;
	r->t_ns = clock_now();
	r->reasons = reasons;
	r->state = state;
	r->conn = conn;
	trace_publish(&r->rec);
}

/* What happened to the recorder itself since the last record. */
static __attribute__((noinline)) void tell_trouble(struct trace_header *h)
{
	uint64_t events = __atomic_exchange_n(&rec.lost_events, 0, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_exchange_n(&rec.lost_bytes, 0, __ATOMIC_RELAXED);
	struct trace_lost *r;

	if (__atomic_exchange_n(&rec.tell_full, false, __ATOMIC_RELAXED))
		write_cover(reserve(h, TRACE_COVERAGE, sizeof(struct trace_coverage)), 0,
			    TRACE_PARTIAL, TRACE_REASON_DISK);
	r = events ? reserve(h, TRACE_LOST, sizeof(*r)) : NULL;
	if (!r) {
		__atomic_fetch_add(&rec.lost_events, events, __ATOMIC_RELAXED);
		__atomic_fetch_add(&rec.lost_bytes, bytes, __ATOMIC_RELAXED);
		return;
	}
	r->t_ns = clock_now();
	r->events = events;
	r->bytes = bytes;
	r->why = rec.lost_why;
	trace_publish(&r->rec);
}

/* A child that forks only to run a program makes no record, so its file costs no more than a header. */
static __attribute__((noinline)) void tell_birth(struct trace_header *h)
{
	struct trace_process *r;
	uint32_t parent = __atomic_exchange_n(&rec.born, 0, __ATOMIC_RELAXED);

	r = parent ? reserve(h, TRACE_PROCESS, sizeof(*r)) : NULL;
	if (!r)
		return;
	r->t_ns = engine.t_load;
	r->arg = parent;
	r->tid = clock_thread();
	r->what = TRACE_BORN;
	trace_publish(&r->rec);
}

/* Something has to be said, or done, before or instead of the record. */
static __attribute__((noinline)) void *begin_slowly(struct trace_header *h, enum trace_kind kind,
						    size_t size)
{
	if (rec.discarded)
		return NULL;
	if (rec.born)
		tell_birth(h);
	if (rec.stopped) {
		recorder_lost(rec.full ? TRACE_LOST_FULL : (enum trace_lost_why)rec.lost_why, size);
		return NULL;
	}
	if (__atomic_load_n(&rec.lost_events, __ATOMIC_RELAXED) || rec.tell_full)
		tell_trouble(h);
	return reserve(h, kind, size);
}

void *recorder_begin(enum trace_kind kind, size_t size)
{
	struct trace_header *h = recorder_header;
	struct trace_record *r;
	uint32_t half;

	if (!h)
		return NULL;
	half = __atomic_load_n(&h->active_half, __ATOMIC_RELAXED) & 1;
	if (!rec.discarded && !rec.born && !rec.stopped && !rec.tell_full &&
	    !__atomic_load_n(&rec.lost_events, __ATOMIC_RELAXED) && is_ahead(h, half)) {
		r = trace_reserve_quick(h, kind, size);
		if (r)
			return r;
	}
	return begin_slowly(h, kind, size);
}

void recorder_cover(uint32_t conn, enum trace_coverage_state state, uint64_t reasons)
{
	struct trace_header *h = recorder_header;

	if (!conn && !h) {
		rec.reasons |= reasons;
		rec.state = state > rec.state ? state : rec.state;
		return;
	}
	if (!h)
		return;
	if (!conn && !cover_process(h, state, reasons))
		return;
	write_cover(recorder_begin(TRACE_COVERAGE, sizeof(struct trace_coverage)), conn, state,
		    reasons);
}

static void write_note(struct trace_header *h)
{
	size_t n = rec.note ? line_length(rec.note) : 0;

	if (n >= sizeof(h->note))
		n = sizeof(h->note) - 1;
	memcpy(h->note, rec.note, n);
}

void recorder_note(const char *text)
{
	if (rec.note)
		return;
	rec.note = text;
	if (recorder_header)
		write_note(recorder_header);
}

void recorder_process(enum trace_process_what what, int64_t arg, const char *text)
{
	struct trace_process *r;
	size_t n;

	if (!recorder_header)
		return;
	/* Where nothing may be asked of the kernel, it is not known whether the text is there. */
	n = text && !engine.quiet ? peek_length((uintptr_t)text, CONFIG_PATH_MAX) : 0;
	r = recorder_begin(TRACE_PROCESS, sizeof(*r) + n);
	if (!r)
		return;
	r->t_ns = clock_now();
	r->arg = arg;
	r->tid = clock_thread();
	r->what = what;
	r->len = (uint32_t)n;
	if (n)
		memcpy(r + 1, text, n);
	trace_publish(&r->rec);
}

/* ---- the file ---- */

static struct trace_header *create(void *at)
{
	struct trace_header *h = place_create(at, &rec.path);

	if (!h)
		return NULL;
	memset(recorder_touched, 0, sizeof(recorder_touched));
	recorder_touched[0] = 1;
	rec.full = rec.tell_full = rec.stopped = rec.no_advice = false;
	rec.lost_events = rec.lost_bytes = 0;
	rec.lap[0] = rec.lap[1] = rec.ready[0] = rec.ready[1] = 0;
	rec.extending = 0;
	rec.runway = RUNWAY;
	memo_forget(); /* whose routes are those of another file */
	h->coverage = rec.state;
	h->coverage_reasons = rec.reasons;
	write_note(h);
	__atomic_store_n(&recorder_header, h, __ATOMIC_RELEASE);
	return h;
}

bool recorder_open(void)
{
	struct trace_header *h = recorder_header;

	if (h && rec.discarded) {
		recorder_forked();
		h = recorder_header;
	}
	if (h) {
		/* So that the first records find room without waiting for each other. */
		if (!h->half[0].populated && !rec.full)
			make_ready(h);
		return true;
	}
	if (engine.quiet || rec.tries >= TRIES)
		return false;
	if (__atomic_exchange_n(&rec.creating, 1, __ATOMIC_ACQUIRE))
		return false;
	if (!recorder_header) {
		rec.tries++;
		h = create(NULL);
		if (h) {
			make_ready(h);
			control_open();
		} else if (rec.tries == TRIES) {
			engine_stop(TRACE_REASON_PLACE);
		}
	}
	__atomic_store_n(&rec.creating, 0, __ATOMIC_RELEASE);
	return recorder_header != NULL;
}

void recorder_forked(void)
{
	struct trace_header *parents = recorder_header;
	uint64_t size;

	rec.creating = 0;
	rec.discarded = false;
	if (!parents)
		return;
	rec.born = engine.parent;
	size = parents->file_size;
	recorder_header = NULL;
	if (!create(parents)) {
		(void)sys_munmap(parents, size);
		engine_stop(TRACE_REASON_PLACE);
	}
}

bool recorder_discard(void)
{
	if (!recorder_header || rec.discarded)
		return rec.discarded;
	if (!rec.born || recorder_header->opened || recorder_header->exchanges)
		return false;
	rec.discarded = sys_3(SYS_unlinkat, AT_FDCWD, (long)rec.path, 0) >= 0;
	return rec.discarded;
}
