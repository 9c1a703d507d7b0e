/* SPDX-License-Identifier: BSD-2-Clause
 *
 * raw: see raw.h.
 *
 * Without the lock nothing of the connection may be changed but conn.missed and conn.waiting, and what
 * is read of it may be a moment old.
 */
#include "shim/engine/raw.h"
#include "shim/engine/gather.h"
#include "shim/engine/heads.h"
#include "shim/engine/observe.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"

/* ---- the record ---- */

/* What of the bytes is told: those of a head, and of a body behind it. */
struct share {
	uint32_t head, all;
};

static enum dir request_dir(const struct conn *c)
{
	return c->machine.role == ROLE_SERVER ? DIR_RX : DIR_TX;
}

static struct share share_of_answer(const struct http_head *h, uint64_t moved)
{
	bool final = h->state == HTTP_DONE && h->status >= 200;
	uint64_t rest = final ? moved - h->len : 0;

	rest = rest < engine.config.max_body ? rest : engine.config.max_body;
	return (struct share){h->len, h->len + (uint32_t)rest};
}

/* Of a request: a whole head, or the one byte that a server reads ahead to notice the end. More of an
 * unfinished head could be the middle of another one. */
static struct share share_of_request(const struct conn *c, const struct http_head *h,
				     struct span first, uint64_t moved)
{
	if (h->state == HTTP_DONE)
		return (struct share){h->len, h->len};
	if (moved == 1 && http_is_token(first.p[0]) && !(c->bits & (CONN_IN_HEAD | CONN_EARLY)) &&
	    c->machine.phase == PHASE_BEFORE_RESPONSE)
		return (struct share){1, 1};
	return (struct share){0, 0};
}

static __attribute__((noinline)) struct share share_of(const struct conn *c,
						       const struct call *call, enum dir dir,
						       uint64_t moved)
{
	static const char version[7] = "HTTP/1.";
	bool request = dir == request_dir(c);
	struct share share = {0, 0};
	struct span first, s;
	struct http_head h;
	struct gather g;

	gather_init(&g, call);
	first = gather_next(&g, SIZE_MAX);
	if (!first.n || (!request && (first.n < sizeof(version) ||
				      memcmp(first.p, version, sizeof(version)) != 0)))
		return share;
	http_head_init(&h, request ? HTTP_REQUEST : HTTP_RESPONSE);
	for (s = first; s.n && h.state == HTTP_MORE; s = gather_next(&g, SIZE_MAX))
		http_head_feed(&h, s.p, s.n, NULL, NULL);
	if (h.state == HTTP_BAD)
		return share;
	share = request ? share_of_request(c, &h, first, moved) : share_of_answer(&h, moved);
	if (share.all > RECORD_BYTES)
		share.all = RECORD_BYTES;
	if (share.head > share.all)
		share.head = share.all;
	return share;
}

static void copy_part(struct masker *m, uint8_t *to, struct gather *g, uint32_t n)
{
	struct span s;

	for (; n; n -= (uint32_t)s.n, to += s.n) {
		s = gather_next(g, n);
		if (!s.n)
			return;
		if (engine.config.no_redact)
			memcpy(to, s.p, s.n);
		else
			mask_copy(m, to, s.p, s.n);
	}
}

/* With a masker of its own: that of the connection belongs to who holds the lock. */
static __attribute__((noinline)) void copy_share(const struct conn *c, const struct call *call,
						 enum dir dir, struct share share, uint8_t *to)
{
	struct masker m;
	struct gather g;

	gather_init(&g, call);
	mask_init(&m, MASK_HEAD);
	mask_restart(&m, MASK_HEAD, &c->mask[!dir]);
	copy_part(&m, to, &g, share.head);
	mask_restart(&m, MASK_TEXT, &c->mask[!dir]);
	copy_part(&m, to + share.head, &g, share.all - share.head);
}

static __attribute__((noinline)) void tell(const struct conn *c, const struct call *call,
					   enum dir dir, uint64_t moved, struct share share,
					   uint64_t stack)
{
	size_t size = sizeof(struct trace_data);
	struct trace_segment *seg;
	struct trace_data *r;

	if (share.all)
		size += sizeof(*seg) + CORE_ALIGN8((size_t)share.all);
	r = recorder_begin(TRACE_DATA, size);
	if (!r)
		return;
	r->rec.flags = TRACE_DATA_RAW;
	r->t_ns = observe_time(call, dir);
	r->off = c->machine.off[dir];
	r->stack = stack;
	r->conn = (uint32_t)call->conn_key;
	r->tid = clock_thread_at(call->place);
	r->moved = (uint32_t)moved;
	r->call = call->id;
	r->dir = (uint8_t)dir;
	if (share.all) {
		r->segments = 1;
		seg = (struct trace_segment *)(r + 1);
		seg->len = share.all;
		copy_share(c, call, dir, share, (uint8_t *)(seg + 1));
	}
	trace_publish(&r->rec);
}

/* ---- the call that waits ---- */

enum {
	KEPT = HEADS_SIZE - 64 - sizeof(struct raw) - sizeof(struct heads_piece), /* bytes */
};

static void copy_bytes(uint8_t *to, const struct call *call, uint64_t left)
{
	struct gather g;
	struct span s;

	gather_init(&g, call);
	for (; left; left -= s.n, to += s.n) {
		s = gather_next(&g, left);
		if (!s.n)
			return;
		memcpy(to, s.p, s.n);
	}
}

/* Fill a slot of the pool; 0 when there is none. */
static __attribute__((noinline)) uint8_t fill(const struct call *call, enum dir dir, uint64_t moved,
					      bool told, uint64_t stack)
{
	uint32_t len = moved < KEPT ? (uint32_t)moved : KEPT;
	struct heads_piece piece = {.len = (uint32_t)sizeof(struct raw) + len};
	uint8_t slot = heads_take();
	struct raw *to = slot ? (struct raw *)heads_add(slot, &piece) : NULL;

	if (!to)
		return 0;
	to->call = *call;
	if (call->place) {
		to->place = *call->place;
		to->call.place = &to->place;
	}
	to->t = observe_time(call, dir);
	to->stack = stack;
	to->moved = (uint32_t)moved;
	to->len = len;
	to->tid = clock_thread_at(call->place);
	to->dir = (uint8_t)dir;
	to->told = told;
	to->slot = slot;
	copy_bytes((uint8_t *)(to + 1), call, len);
	return slot;
}

static __attribute__((noinline)) bool keep(struct conn *c, const struct call *call, enum dir dir,
					   uint64_t moved, bool told, uint64_t stack)
{
	uint8_t none = 0, slot;

	if (__atomic_load_n(&c->missed[dir], __ATOMIC_RELAXED) || raw_waits(c))
		return false;
	slot = fill(call, dir, moved, told, stack);
	if (slot && __atomic_compare_exchange_n(&c->waiting, &none, slot, false, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
		return true;
	if (slot)
		heads_give(slot);
	return false;
}

const struct raw *raw_take(struct conn *c)
{
	uint8_t slot = __atomic_exchange_n(&c->waiting, 0, __ATOMIC_ACQUIRE);
	const struct raw *raw;
	uint32_t at = 0;

	if (!slot)
		return NULL;
	raw = (const struct raw *)(heads_next(slot, &at) + 1);
	if (raw->call.conn_key == c->id)
		return raw;
	heads_give(slot);
	return NULL;
}

void raw_done(const struct call *call)
{
	heads_give(((const struct raw *)call)->slot);
}

void raw_moved(struct conn *c, const struct call *call, enum dir dir, uint64_t moved, bool hidden,
	       uint64_t stack)
{
	bool told = c->bits & CONN_RECORDING;

	if (told)
		tell(c, call, dir, moved,
		     hidden ? (struct share){0, 0} : share_of(c, call, dir, moved), stack);
	if (hidden || !keep(c, call, dir, moved, told, stack))
		__atomic_fetch_add(&c->missed[dir], (uint32_t)moved, __ATOMIC_RELAXED);
}
