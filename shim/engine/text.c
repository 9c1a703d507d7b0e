/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text: see text.h.
 */
#include "shim/engine/text.h"
#include "core/trace/mask.h"
#include "shim/engine/clock.h"
#include "shim/engine/gather.h"
#include "shim/engine/peek.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/witness.h"

enum {
	OWNERS = 512,
	TEXT_MAX = 2048,
	AFTER_NS =
		1000 * 1000 * 1000, /* a message this long after an answer may still explain it */
};

static struct {
	uint32_t tid; /* 0: free */
	uint32_t conn;
} owners[OWNERS + 1]; /* row 0 is never used */
static uint32_t last; /* rows in use end here */
static uint32_t open_attempts;
static uint64_t last_close;

uint16_t text_open(uint32_t tid, uint32_t conn)
{
	__atomic_fetch_add(&open_attempts, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 1; tid && i <= OWNERS; i++) {
		uint32_t unused = 0;

		if (owners[i].tid ||
		    !__atomic_compare_exchange_n(&owners[i].tid, &unused, tid, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&owners[i].conn, conn, __ATOMIC_RELEASE);
		if (last < i)
			last = i;
		return (uint16_t)i;
	}
	return 0;
}

void text_close(uint16_t row, uint64_t now)
{
	__atomic_fetch_sub(&open_attempts, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&last_close, now, __ATOMIC_RELAXED);
	if (row) {
		owners[row].conn = 0;
		__atomic_store_n(&owners[row].tid, 0, __ATOMIC_RELEASE);
	}
}

/* The one open attempt of this thread, 0 when there is none, or several, or somebody's is unknown. */
static uint32_t attempt_of(uint32_t tid)
{
	uint32_t known = 0, mine = 0, conn = 0;

	for (uint32_t i = 1; i <= last; i++) {
		uint32_t t = __atomic_load_n(&owners[i].tid, __ATOMIC_ACQUIRE);

		known += t != 0;
		if (t != tid)
			continue;
		mine++;
		conn = owners[i].conn;
	}
	return mine == 1 && known >= open_attempts ? conn : 0;
}

/* At least one attempt is unanswered, or was until a moment ago. */
static bool is_wanted(void)
{
	if (__atomic_load_n(&open_attempts, __ATOMIC_RELAXED))
		return true;
	return last_close && clock_now() - last_close < AFTER_NS;
}

/* Copy up to len bytes of what was written; returns how many.  A descriptor like that of /dev/null
 * takes bytes without reading them: that they were written does not mean that they are there. */
static __attribute__((noinline)) uint32_t copy_text(const struct call *c, uint8_t *to, uint32_t len)
{
	struct masker m;
	struct gather g;
	uint32_t at = 0;

	mask_init(&m, MASK_TEXT);
	gather_init(&g, c);
	while (at < len) {
		struct span s = gather_next(&g, len - at);
		size_t got = s.n ? peek_reach((uintptr_t)s.p, s.n) : 0;

		if (engine.config.no_redact)
			memcpy(to + at, s.p, got);
		else
			mask_copy(&m, to + at, s.p, got);
		at += (uint32_t)got;
		if (!got || got < s.n)
			break;
	}
	return at;
}

void text_write(const struct call *c)
{
	uint64_t moved = gather_moved(c);
	uint32_t len = moved < TEXT_MAX ? (uint32_t)moved : TEXT_MAX;
	struct trace_text *r;

	if (!len || recorder_is_off() || !is_wanted())
		return;
	r = recorder_begin(TRACE_TEXT, sizeof(*r) + len);
	if (!r)
		return;
	r->t_ns = clock_now();
	r->tid = clock_thread_at(c->place);
	r->conn = c->place && c->place->task ? witness_conn(c->place) : attempt_of(r->tid);
	r->fd = (uint16_t)c->arg[0];
	r->len = copy_text(c, (uint8_t *)(r + 1), len);
	trace_publish(&r->rec);
}

void text_forked(void)
{
	memset(owners, 0, sizeof(owners));
	last = 0;
	open_attempts = 0;
	last_close = 0;
}
