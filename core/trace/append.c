/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/append: the writer's side of a trace.  See append.h for the protocol and its promises.
 *
 * Why a half can be thrown away under the eyes of stalled writers: a half is closed before it may be
 * thrown away, so no reservation is added; those made before are all visible, as RESERVED records or,
 * for the few instructions between moving the cursor and storing the first word, as zeros below the
 * cursor.  The walk in trace_switch_begin finds the last of them, and reuse starts behind it.
 */
#include "core/trace/append.h"

#define PAGE_UP(n) (((n) + 4095u) & ~UINT64_C(4095))

static uint8_t *half_bytes(struct trace_header *h, uint32_t half)
{
	return (uint8_t *)h + h->data_off + half * h->half_size;
}

uint64_t trace_layout(struct trace_header *h, uint64_t max_bytes)
{
	const uint64_t data = PAGE_UP(TRACE_CONNECTIONS_OFF +
				      TRACE_CONNECTIONS * sizeof(struct trace_connection));
	uint64_t half;

	if (max_bytes < data || max_bytes > UINT64_C(1) << 46)
		return 0;
	half = ((max_bytes - data) / 2) & ~UINT64_C(4095);
	if (half < TRACE_RECORD_MAX * 4)
		return 0;
	if (!h)
		return data + 2 * half;
	h->version = TRACE_VERSION;
	h->endian = TRACE_ENDIAN;
	h->file_size = data + 2 * half;
	h->modules_off = TRACE_HEADER_SIZE;
	h->routes_off = TRACE_ROUTES_OFF;
	h->connections_off = TRACE_CONNECTIONS_OFF;
	h->data_off = data;
	h->half_size = half;
	h->half[0].sequence = 1;
	h->half[1].cursor = TRACE_CURSOR_CLOSED;
	__atomic_store_n(&h->magic, TRACE_MAGIC, __ATOMIC_RELEASE);
	return h->file_size;
}

uint64_t trace_file_size(uint64_t max_bytes)
{
	return trace_layout(NULL, max_bytes);
}

uint64_t trace_file_least(void)
{
	uint64_t least = 0;

	for (uint64_t bit = UINT64_C(1) << 40; bit; bit >>= 1) {
		if (!trace_file_size(least + bit - 1))
			least += bit;
	}
	return least;
}

struct trace_record *trace_reserve(struct trace_header *h, enum trace_kind kind, size_t size,
				   unsigned *ret_need)
{
	uint32_t index = __atomic_load_n(&h->active_half, __ATOMIC_ACQUIRE) & 1;
	struct trace_half *half = &h->half[index];
	uint64_t at, populated;
	struct trace_record *r;

	*ret_need = TRACE_NEED_NOTHING;
	if (size < sizeof(struct trace_record) || size > TRACE_RECORD_MAX)
		return NULL;
	size = CORE_ALIGN8(size);
	at = __atomic_load_n(&half->cursor, __ATOMIC_ACQUIRE);
	do {
		if (at > h->half_size - size) { /* a closed cursor is larger than anything */
			*ret_need = TRACE_NEED_SWITCH;
			return NULL;
		}
		populated = __atomic_load_n(&half->populated, __ATOMIC_ACQUIRE);
		if (at + size + TRACE_AHEAD > populated && populated < h->half_size)
			*ret_need = TRACE_NEED_POPULATE;
		if (at + size > populated)
			return NULL;
	} while (!__atomic_compare_exchange_n(&half->cursor, &at, at + size, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	r = trace_claim(h, index, at, (uint32_t)size, kind);
	if (!r)
		*ret_need = TRACE_NEED_POPULATE;
	return r;
}

void trace_count_lost(struct trace_header *h, uint64_t bytes)
{
	__atomic_fetch_add(&h->lost_events, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->lost_bytes, bytes, __ATOMIC_RELAXED);
}

/* Bytes of a half that were reserved, whether it is closed or not. */
static uint64_t cursor_of(const struct trace_half *half)
{
	return __atomic_load_n(&half->cursor, __ATOMIC_ACQUIRE) & ~TRACE_CURSOR_CLOSED;
}

static bool grow_lock(struct trace_header *h)
{
	return !__atomic_exchange_n(&h->growing, 1, __ATOMIC_ACQUIRE);
}

void trace_grow_abandon(struct trace_header *h)
{
	__atomic_store_n(&h->growing, 0, __ATOMIC_RELEASE);
}

bool trace_populate_begin(struct trace_header *h, uint64_t step, struct trace_range *ret)
{
	uint32_t index;
	uint64_t from, left;

	if (!grow_lock(h))
		return false;
	index = h->active_half & 1;
	from = h->half[index].populated;
	left = h->half_size - from;
	/* Another thread may have populated since need was computed. */
	if (!left || cursor_of(&h->half[index]) + TRACE_RECORD_MAX + TRACE_AHEAD < from) {
		trace_grow_abandon(h);
		return false;
	}
	step = PAGE_UP(step < TRACE_AHEAD ? TRACE_AHEAD : step);
	*ret = (struct trace_range){
		.off = h->data_off + index * h->half_size + from,
		.len = step < left ? step : left,
		.half = index,
	};
	return true;
}

void trace_populate_complete(struct trace_header *h, const struct trace_range *r, uint64_t done)
{
	struct trace_half *half = &h->half[r->half];

	if (done > r->len)
		done = r->len;
	__atomic_store_n(&half->populated, half->populated + done, __ATOMIC_RELEASE);
	trace_grow_abandon(h);
}

/* What a walk over a closed half found. */
struct walk {
	uint64_t stuck;	 /* offset of the last unfinished reservation */
	uint64_t base;	 /* end of it: reuse may start here; 0 when everything is finished */
	uint64_t before; /* records up to base */
	uint64_t records;
};

/* The first offset from at on that holds something, end if nothing does.  It may look at a record while
 * its writer fills it; that is meant, so the thread sanitizer is told to look away. */
__attribute__((no_sanitize_thread)) static uint64_t skip_zeros(const uint64_t *words, uint64_t at,
							       uint64_t end)
{
	while (at < end && !__atomic_load_n(&words[at / 8], __ATOMIC_ACQUIRE))
		at += 8;
	return at;
}

static void walk_half(const uint8_t *bytes, uint64_t end, struct walk *w)
{
	const uint64_t *words = (const uint64_t *)bytes;
	uint64_t at = 0;

	*w = (struct walk){0};
	while (at < end) {
		uint64_t next = skip_zeros(words, at, end);
		const struct trace_record *r = (const struct trace_record *)(bytes + next);
		uint32_t size_state;
		uint64_t size;

		if (next != at) {
			/* Somebody may have begun to fill the gap behind our back; what was read at
			 * next is a first word only if the gap is still empty. */
			next = skip_zeros(words, at, next);
			w->stuck = at;
			w->base = at = next;
			w->before = w->records;
			continue;
		}
		size_state = __atomic_load_n(&r->size_state, __ATOMIC_ACQUIRE);
		size = size_state & ~TRACE_STATE_MASK;
		if (size < sizeof(*r) || size > end - at) /* a stray store of the application */
			size = end - at;
		w->records++;
		if ((size_state & TRACE_STATE_MASK) != TRACE_PUBLISHED) {
			w->stuck = at;
			w->base = at + size;
			w->before = w->records;
		}
		at += size;
	}
}

/* The older half with somebody still writing near its end was found once; is that still so? */
static bool still_stuck(const uint8_t *bytes, uint64_t stuck)
{
	const struct trace_record *r = (const struct trace_record *)(bytes + stuck - 1);

	return (__atomic_load_n(&r->size_state, __ATOMIC_ACQUIRE) & TRACE_STATE_MASK) !=
	       TRACE_PUBLISHED;
}

/* With the try-lock held. */
static enum trace_switch switch_prepare(struct trace_header *h, struct trace_range *ret)
{
	uint32_t older = ~h->active_half & 1;
	struct trace_half *half = &h->half[older];
	uint8_t *bytes = half_bytes(h, older);
	uint64_t used = cursor_of(half);
	struct walk w;

	if (cursor_of(&h->half[!older]) <= h->half_size - TRACE_RECORD_MAX)
		return TRACE_SWITCH_NEEDLESS;
	if (half->sequence && h->keep_first)
		return TRACE_SWITCH_FULL;
	if (half->stuck && still_stuck(bytes, half->stuck))
		return TRACE_SWITCH_BUSY;
	half->stuck = 0;
	walk_half(bytes, used, &w);
	if (w.base > h->half_size / 2) {
		half->stuck = w.stuck + 1;
		return TRACE_SWITCH_BUSY;
	}
	*ret = (struct trace_range){
		.off = h->data_off + older * h->half_size + w.base,
		.len = used - w.base,
		.half = older,
		.base = w.base,
		.gone = w.records - w.before,
	};
	return TRACE_SWITCH_READY;
}

enum trace_switch trace_switch_begin(struct trace_header *h, struct trace_range *ret)
{
	enum trace_switch how;

	if (!grow_lock(h))
		return TRACE_SWITCH_BUSY;
	how = switch_prepare(h, ret);
	if (how != TRACE_SWITCH_READY)
		trace_grow_abandon(h);
	return how;
}

void trace_switch_complete(struct trace_header *h, const struct trace_range *r, bool freed)
{
	struct trace_half *next = &h->half[r->half];
	struct trace_half *last = &h->half[!r->half];

	if (next->sequence) {
		__atomic_fetch_add(&h->discarded_halves, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&h->discarded_records, r->gone, __ATOMIC_RELAXED);
	}
	if (freed && next->populated > PAGE_UP(r->base))
		__atomic_store_n(&next->populated, PAGE_UP(r->base), __ATOMIC_RELAXED);
	__atomic_store_n(&next->sequence, last->sequence + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&next->cursor, r->base, __ATOMIC_RELEASE);
	__atomic_store_n(&h->active_half, r->half, __ATOMIC_RELEASE);
	__atomic_fetch_or(&last->cursor, TRACE_CURSOR_CLOSED, __ATOMIC_ACQ_REL);
	trace_grow_abandon(h);
}
