/* SPDX-License-Identifier: BSD-2-Clause
 *
 * observe: see observe.h.
 *
 * While a call's bytes go through the phase machine, each event says up to where they are decided and
 * by which rule the next ones are.  The rule of a direction is two offsets: recorded is what lies
 * before limit and from resume on.  That covers heads (no limit), bodies (a limit), and frames (the
 * header, a little of the payload, and again from the next header on).
 */
#include "shim/engine/observe.h"
#include "shim/engine/clock.h"
#include "shim/engine/counts.h"
#include "shim/engine/heads.h"
#include "shim/engine/quick.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/stack.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/engine/text.h"

#include <errno.h>
#include <sys/ioctl.h>

enum {
	STRAY_BYTES = 64, /* recorded where bytes do not parse, and of the reason of a Close */
	WAITS = 8,	  /* reads before the answer that get a record, per attempt */
	CALLS = 64,	  /* added to the header at a time */
};
#define NO_LIMIT UINT64_MAX


/* One call being looked at. */
struct watch {
	struct conn *c;
	uint64_t base; /* stream offset of the call's first byte */
	uint64_t pos;  /* bytes before it are decided */
	struct gather copy; /* stands at data.off */
	struct data data;   /* the record being built; t 0: the clock was not asked yet */
	uint8_t mode;	    /* enum run_mode of the next run */
	bool want_stack;
	bool pause; /* back to counting behind this call */
	bool hidden;
	bool unasked; /* a server spoke first */
};

static uint64_t now(struct watch *w)
{
	struct data *d = &w->data;

	if (!d->t)
		d->t = d->dir == DIR_TX && d->call->t_enter ? d->call->t_enter : clock_now();
	return d->t;
}

static enum dir request_dir(const struct conn *c)
{
	return c->machine.role == ROLE_SERVER ? DIR_RX : DIR_TX;
}

/* ---- what is recorded ---- */

/* The pieces kept for an attempt come before its other bytes: the masker has to see them first. */
static void flush_pieces(struct watch *w)
{
	struct conn *c = w->c;

	if (!c->heads)
		return;
	record_late(c);
	heads_give(c->heads);
	c->heads = 0;
}

/* Write what was collected up to end.  Only the last record of a call carries its stack: taking one
 * in the middle of the phase machine would need more of the application's stack than we may use. */
static __attribute__((noinline)) void flush(struct watch *w, uint64_t end)
{
	struct data *d = &w->data;

	if (end <= d->off)
		return;
	d->moved = (uint32_t)(end - d->off);
	(void)now(w);
	flush_pieces(w);
	record_data(w->c, d, &w->copy);
	d->off = end;
	d->runs = 0;
}

static uint32_t bytes_of(const struct data *d)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < d->runs; i++)
		n += d->run[i].len;
	return n;
}

/* The bytes [from, to) go into the record. */
static inline __attribute__((always_inline)) void add(struct watch *w, uint64_t from, uint64_t to, enum run_mode mode)
{
	struct data *d = &w->data;

	while (from < to) {
		uint64_t n = to - from, room = RECORD_BYTES - bytes_of(d);
		uint32_t rel = (uint32_t)(from - d->off);
		struct run *last = &d->run[d->runs - 1];
		bool joins = d->runs && last->rel + last->len == rel &&
			     (mode == RUN_RAW) == (last->mode == RUN_RAW) && mode != RUN_HEAD &&
			     mode != RUN_TEXT;

		if (!room || (!joins && d->runs == RECORD_RUNS)) {
			flush(w, from);
			continue;
		}
		n = n < room ? n : room;
		if (joins)
			last->len = (uint16_t)(last->len + n);
		else
			d->run[d->runs++] = (struct run){rel, (uint16_t)n, (uint16_t)mode};
		from += n;
		mode = mode == RUN_RAW ? RUN_RAW : RUN_GO_ON;
	}
}

/* The rule of this direction holds up to q. */
static void advance(struct watch *w, uint64_t q)
{
	struct conn *c = w->c;
	uint64_t limit = c->limit[w->data.dir], resume = c->resume[w->data.dir];

	if (q <= w->pos)
		return;
	if ((c->bits & CONN_RECORDING) && !w->hidden) {
		uint64_t first = q < limit ? q : limit;

		if (w->pos < first) {
			add(w, w->pos, first, (enum run_mode)w->mode);
			w->mode = RUN_GO_ON;
			w->pos = first;
		}
		if (resume < q)
			add(w, w->pos > resume ? w->pos : resume, q, RUN_RAW);
	}
	w->pos = q;
}

static void set_rule(struct watch *w, enum dir dir, uint64_t limit, uint64_t resume)
{
	w->c->limit[dir] = limit;
	w->c->resume[dir] = resume;
}

/* From off on, up to limit, something of another kind begins. */
static void turn(struct watch *w, const struct phase_event *e, uint64_t limit, enum run_mode mode)
{
	if (!(w->c->bits & CONN_RECORDING))
		return;
	if (e->dir == w->data.dir) {
		advance(w, e->off);
		if (e->off >= w->pos)
			w->mode = (uint8_t)mode;
	}
	set_rule(w, e->dir, limit, NO_LIMIT);
}

/* The record begins at off, which lies in this call. */
static void start_at(struct watch *w, uint64_t off)
{
	off = off > w->base ? off : w->base;
	gather_skip(&w->copy, off - w->data.off);
	w->data.off = w->pos = off;
	w->data.runs = 0;
}

/* An attempt sits on whatever socket the descriptor means now. */
static bool check_identity(struct watch *w)
{
	struct conn *c = w->c;
	uint64_t cookie = conn_cookie(w->data.fd);

	if (cookie == c->cookie)
		return true;
	c->cookie = cookie;
	c->origin = TRACE_FOUND;
	c->t_open = now(w);
	c->open_stack = 0;
	recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_UNSEEN);
	return cookie != 0;
}

/* The request whose head began at c->head_off is, or may be, an attempt. */
static __attribute__((noinline)) void begin_recording(struct watch *w)
{
	struct conn *c = w->c;
	const struct phase_machine *m = &c->machine;
	uint64_t head = c->head_off;

	if (!check_identity(w)) {
		c->bits |= CONN_ASIDE;
		return;
	}
	c->bits |= CONN_RECORDING | CONN_RECORDED;
	c->bits &= (uint16_t) ~(CONN_COUNTING | CONN_ANSWERED | CONN_EARLY | CONN_LATER);
	if (m->asked - m->answered > 1)
		c->bits |= CONN_LATER;
	set_rule(w, DIR_RX, NO_LIMIT, NO_LIMIT);
	set_rule(w, DIR_TX, NO_LIMIT, NO_LIMIT);
	start_at(w, head);
	w->mode = RUN_HEAD;
	if (c->heads && head < w->base) /* part of it is among the pieces kept */
		w->mode = RUN_GO_ON;
}

/* ---- requests ---- */

enum {
	ASKS_BUT_H2C = HTTP_UP_WEBSOCKET | HTTP_UP_TCP | HTTP_UP_SPDY | HTTP_UP_TLS | HTTP_UP_OTHER |
		       HTTP_WS_KEY | HTTP_WS_VERSION,
};

static bool is_h2c_offer(const struct http_head *h)
{
	return (h->flags & HTTP_UP_H2C) && !(h->flags & ASKS_BUT_H2C);
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* The first bytes of the head just completed, for its path. */
static struct span head_start(const struct watch *w)
{
	const struct conn *c = w->c;
	const struct heads_piece *p;
	struct gather g;
	uint32_t at = 0;

	while (c->heads && (p = heads_next(c->heads, &at))) {
		if (p->off == c->head_off && p->dir == request_dir(c))
			return (struct span){(const uint8_t *)(p + 1), p->len};
	}
	g = w->copy; /* nothing of it was used: this connection is not recorded */
	if (c->head_off < w->base)
		return (struct span){NULL, 0};
	gather_skip(&g, c->head_off - w->base);
	return gather_next(&g, SIZE_MAX);
}

static __attribute__((noinline)) void count_request(struct watch *w, const struct http_head *h)
{
	struct conn *c = w->c;
	struct span head = head_start(w);

	if (c->bits & (CONN_COUNTING | CONN_RECORDING)) /* pipelined: no time of its own */
		return;
	c->route = counts_route((enum http_method)h->method, head.p, head.n);
	c->t_ready = now(w);
	c->bits |= CONN_COUNTING;
}

static void attempt_ready(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (!(c->bits & CONN_RECORDING))
		begin_recording(w);
	if (!(c->bits & CONN_RECORDING))
		return;
	c->bits |= CONN_ATTEMPT | CONN_RECORDED;
	c->attempt = e->exchange;
	c->waits = 0;
	c->owner = text_open(clock_thread(), c->id);
	w->want_stack = true;
}

static void request_ready(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	struct trace_header *h = recorder_header;
	bool h2c = is_h2c_offer(e->head), attempt = !h2c && http_head_is_attempt(e->head);

	c->bits &= (uint16_t)~CONN_IN_HEAD;
	if (h) {
		count(&h->exchanges);
		if (attempt)
			count(&h->attempts);
		else if (h2c)
			count(&h->h2c_offers);
	}
	if (attempt)
		attempt_ready(w, e);
	else
		count_request(w, e->head);
	turn(w, e, e->off + engine.config.max_body, RUN_TEXT);
	if (!attempt && !engine.config.all)
		w->pause = true;
}

static void request_start(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	c->head_off = e->off;
	c->bits |= CONN_IN_HEAD;
	if (c->bits & CONN_RECORDING) {
		turn(w, e, NO_LIMIT, RUN_HEAD);
	} else if (!(c->bits & CONN_COUNTING)) {
		c->start[DIR_RX] = c->machine.off[DIR_RX];
		c->start[DIR_TX] = c->machine.off[DIR_TX];
		c->start[e->dir] = e->off;
	}
}

/* ---- answers ---- */

static void response_start(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (c->bits & CONN_LATER) {
		if (e->exchange < c->attempt)
			return;
		c->bits &= (uint16_t)~CONN_LATER;
		start_at(w, e->off);
	}
	turn(w, e, NO_LIMIT, RUN_HEAD);
	if (c->bits & CONN_ATTEMPT)
		w->want_stack = true;
}

static void response_ready(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	unsigned status = e->head->status;

	if (!(c->bits & CONN_LATER))
		turn(w, e, e->off + engine.config.max_body, RUN_TEXT);
	if (status < 200 && status != 101)
		return;
	if ((c->bits & CONN_ATTEMPT) && e->exchange == c->attempt) {
		c->bits &= (uint16_t)~CONN_ATTEMPT;
		text_close(c->owner, now(w));
		c->owner = 0;
		w->want_stack = true;
	}
	if ((c->bits & (CONN_COUNTING | CONN_ANSWERED)) == CONN_COUNTING) {
		c->took = now(w) > c->t_ready ? now(w) - c->t_ready : 0;
		c->bits |= CONN_ANSWERED;
	}
}

static void count_answer(struct conn *c)
{
	const struct phase_machine *m = &c->machine;

	counts_add(c->route, m->response.status, c->took, m->off[DIR_RX] - c->start[DIR_RX],
		   m->off[DIR_TX] - c->start[DIR_TX]);
	c->bits &= (uint16_t) ~(CONN_COUNTING | CONN_ANSWERED);
}

static void response_end(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	const struct phase_machine *m = &c->machine;

	if (c->bits & CONN_ANSWERED)
		count_answer(c);
	if (!(c->bits & (CONN_ATTEMPT | CONN_IN_HEAD | CONN_EARLY)) && !engine.config.all &&
	    m->asked == m->answered)
		w->pause = true;
}

/* An answer, or the like, that nobody asked for.  On a connection that went back to being counted it
 * is recorded as far as this call goes: a second answer to an attempt is what breaks it. */
static void unasked(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (!(c->bits & CONN_RECORDED))
		return;
	w->want_stack = true;
	if (!(c->bits & CONN_RECORDING)) {
		c->bits |= CONN_RECORDING;
		c->bits &= (uint16_t) ~(CONN_COUNTING | CONN_ANSWERED);
		set_rule(w, DIR_RX, NO_LIMIT, NO_LIMIT);
		set_rule(w, DIR_TX, NO_LIMIT, NO_LIMIT);
		start_at(w, e->off);
		w->pause = true;
	}
	turn(w, e, e->off + STRAY_BYTES, RUN_HEAD);
}

/* ---- behind the switch ---- */

static void switched(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (!(c->bits & CONN_RECORDING))
		return;
	advance(w, e->off);
	set_rule(w, DIR_RX, 0, 0);
	set_rule(w, DIR_TX, 0, 0);
}

static void frame(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	uint64_t payload = e->off + e->frame->have, keep = engine.config.max_payload;
	bool closes = ws_opcode(e->frame) == WS_CLOSE;

	if (!(c->bits & CONN_RECORDING))
		return;
	c->bits |= (uint16_t)(CONN_FRAMES_RX << e->dir);
	if (e->dir == w->data.dir)
		advance(w, payload);
	if (closes) {
		keep = keep > STRAY_BYTES ? keep : STRAY_BYTES;
		w->want_stack |= e->dir == DIR_TX;
	}
	keep = keep < e->frame->len ? keep : e->frame->len;
	set_rule(w, e->dir, payload + keep, payload + e->frame->len);
	/* The payload of a masked frame is no text before it is unmasked. */
	w->mode = ws_masked(e->frame) ? RUN_RAW : RUN_TEXT;
}

static void stray(struct watch *w, const struct phase_event *e)
{
	w->c->bits &= (uint16_t) ~(CONN_FRAMES_RX << e->dir);
	w->want_stack |= (w->c->bits & CONN_RECORDING) != 0;
	turn(w, e, e->off + STRAY_BYTES, RUN_TEXT);
}

static void set_aside(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (e->foreign == PHASE_FOREIGN_SWITCHED) {
		turn(w, e, 0, RUN_RAW);
		set_rule(w, DIR_RX, 0, NO_LIMIT);
		set_rule(w, DIR_TX, 0, NO_LIMIT);
		return;
	}
	c->bits |= CONN_ASIDE;
	c->bits &= (uint16_t)~CONN_IN_HEAD;
	if (c->machine.role != ROLE_SERVER)
		return;
	if (e->foreign == PHASE_FOREIGN_TLS)
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_TLS);
	else if (e->foreign == PHASE_FOREIGN_HTTP2)
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_HTTP2);
}

static void blind(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	const struct phase_machine *m = &c->machine;
	bool pipeline = m->asked - m->answered >= PHASE_PENDING;

	turn(w, e, 0, RUN_TEXT);
	c->bits |= CONN_ASIDE;
	c->bits &= (uint16_t)~CONN_IN_HEAD;
	record_cover(c, w->data.fd, pipeline ? TRACE_REASON_PIPELINE : TRACE_REASON_UNSEEN);
	recorder_cover(0, TRACE_PARTIAL, pipeline ? TRACE_REASON_PIPELINE : TRACE_REASON_UNSEEN);
}

static void on_event(void *ctx, const struct phase_event *e)
{
	struct watch *w = ctx;

	switch (e->what) {
	case PHASE_REQUEST_START:
		request_start(w, e);
		break;
	case PHASE_REQUEST_READY:
		request_ready(w, e);
		break;
	case PHASE_RESPONSE_START:
		response_start(w, e);
		break;
	case PHASE_RESPONSE_READY:
		response_ready(w, e);
		break;
	case PHASE_RESPONSE_END:
		response_end(w, e);
		break;
	case PHASE_EARLY:
		w->c->bits |= CONN_EARLY;
		w->want_stack |= (w->c->bits & CONN_ATTEMPT) != 0;
		turn(w, e, e->off + engine.config.max_body, RUN_HEAD);
		break;
	case PHASE_SWITCHED:
		switched(w, e);
		break;
	case PHASE_FRAME:
		frame(w, e);
		break;
	case PHASE_STRAY:
		stray(w, e);
		break;
	case PHASE_UNASKED:
		unasked(w, e);
		break;
	case PHASE_BAD_REQUEST:
		w->c->bits &= (uint16_t)~CONN_IN_HEAD;
		turn(w, e, e->off + STRAY_BYTES, RUN_GO_ON);
		break;
	case PHASE_BAD_RESPONSE:
		w->want_stack |= (w->c->bits & CONN_ATTEMPT) != 0;
		w->unasked = !w->c->machine.asked && w->c->machine.role == ROLE_SERVER;
		turn(w, e, e->off + STRAY_BYTES, RUN_GO_ON);
		break;
	case PHASE_SET_ASIDE:
		set_aside(w, e);
		break;
	case PHASE_BLIND:
		blind(w, e);
		break;
	case PHASE_CHANGE:
	case PHASE_REQUEST_END:
	case PHASE_FRAME_END:
	case PHASE_PREFIX:
		break;
	}
}

/* ---- calls ---- */

/* Keep [from, from + len) until it is known what the request asks for; the call went on to end. */
static __attribute__((noinline)) bool keep_piece(struct watch *w, uint64_t from, uint64_t len,
						 uint64_t end)
{
	struct conn *c = w->c;
	struct heads_piece piece = {
		.t_ns = now(w),
		.off = from,
		.tid = clock_thread(),
		.moved = (uint32_t)(end - from),
		.len = (uint32_t)len,
		.call = w->data.call->id,
		.dir = w->data.dir,
	};
	struct span s;
	uint8_t *to;

	if (len > HEADS_SIZE)
		return false;
	if (!c->heads)
		c->heads = heads_take();
	to = c->heads ? heads_add(c->heads, &piece) : NULL;
	if (!to)
		return false;
	gather_skip(&w->copy, from - w->data.off);
	for (; len; len -= s.n, to += s.n) {
		s = gather_next(&w->copy, len);
		if (!s.n)
			break;
		memcpy(to, s.p, s.n);
	}
	return true;
}

static void keep_head(struct watch *w, uint64_t end)
{
	struct conn *c = w->c;
	bool began = (c->bits & CONN_IN_HEAD) && c->head_off > w->base;
	uint64_t from = began ? c->head_off : w->base;

	if (!keep_piece(w, from, end - from, end))
		recorder_lost(TRACE_LOST_HEADS, end - from);
}

/* A server that speaks before it was asked spoils the upgrade that comes. */
static void keep_unasked(struct watch *w, uint64_t end)
{
	uint64_t len = end - w->base;

	(void)keep_piece(w, w->base, len < STRAY_BYTES ? len : STRAY_BYTES, end);
}

/* Part of a head is there: does it show already that it asks for an upgrade? */
static bool asks_already(const struct conn *c)
{
	return (c->bits & CONN_IN_HEAD) &&
	       (c->machine.request.flags & (ASKS_BUT_H2C | HTTP_CONN_UPGRADE));
}

static __attribute__((noinline)) void finish(struct watch *w, uint64_t end)
{
	struct conn *c = w->c;
	bool requests = w->data.dir == request_dir(c);
	bool partial = requests && !w->hidden && !(c->bits & CONN_ASIDE) &&
		       ((c->bits & CONN_IN_HEAD) || c->machine.held);

	if (partial && !(c->bits & CONN_RECORDING)) {
		if (asks_already(c))
			begin_recording(w);
		else
			keep_head(w, end);
	} else if (w->unasked && !(c->bits & CONN_RECORDING)) {
		keep_unasked(w, end);
	} else if (c->heads && requests && !(c->bits & CONN_RECORDING)) {
		heads_give(c->heads);
		c->heads = 0;
	}
	if ((c->bits & CONN_RECORDING) && (!(c->bits & CONN_LATER) || requests)) {
		record_ensure_open(c, w->data.fd);
		flush_pieces(w);
		if (w->want_stack)
			w->data.stack = stack_take(now(w));
		advance(w, end);
		flush(w, end);
		record_start(c, (enum dir)w->data.dir, (enum run_mode)w->mode);
	}
	if (w->pause && (c->bits & (CONN_RECORDING | CONN_ATTEMPT)) == CONN_RECORDING &&
	    !phase_is_switched(&c->machine)) {
		c->bits &= (uint16_t) ~(CONN_RECORDING | CONN_EARLY | CONN_LATER);
		c->start[DIR_RX] = c->machine.off[DIR_RX];
		c->start[DIR_TX] = c->machine.off[DIR_TX];
	}
	conn_show(c, w->data.t);
}

static __attribute__((noinline)) void init_watch(struct watch *w, struct conn *c, const struct call *call, enum dir dir)
{
	w->c = c;
	w->data.t = 0;
	w->base = w->pos = w->data.off = c->machine.off[dir];
	w->mode = RUN_GO_ON;
	w->pause = w->hidden = w->unasked = false;
	w->data.call = call;
	w->data.dir = (uint8_t)dir;
	w->data.runs = 0;
	w->data.stack = 0;
	w->data.flags = 0;
	if (dir == DIR_RX && c->entered[dir] != (uint32_t)call->token)
		w->data.flags = TRACE_DATA_OVERLAP;
	w->want_stack = call->flags & OBSERVE_TOLD;
	w->data.fd = (int)call->arg[call_table[call->id].op == OP_SPLICE && dir == DIR_TX ? 2 : 0];
}

static inline __attribute__((always_inline)) void feed(struct watch *w, const struct call *call)
{
	struct gather g;
	struct span s;

	gather_init(&w->copy, call);
	g = w->copy;
	while ((s = gather_next(&g, SIZE_MAX)).n)
		phase_feed(&w->c->machine, (enum dir)w->data.dir, s.p, s.n, on_event, w);
}

/* Nobody got the lock for these bytes: the machine has to pass over them. */
static __attribute__((noinline)) void make_up(struct watch *w)
{
	struct conn *c = w->c;
	uint32_t missed = __atomic_exchange_n(&c->missed[w->data.dir], 0, __ATOMIC_RELAXED);

	w->hidden = true;
	phase_skip(&c->machine, (enum dir)w->data.dir, missed, on_event, w);
	w->hidden = false;
	w->base = w->pos = w->data.off = c->machine.off[w->data.dir];
}

/* Somebody else is inside the connection: tell the bytes as they are, in the order nobody knows. */
static __attribute__((noinline)) void moved_raw(struct conn *c, const struct call *call, enum dir dir, uint64_t moved)
{
	struct trace_data *r;

	__atomic_fetch_add(&c->missed[dir], (uint32_t)moved, __ATOMIC_RELAXED);
	if (!(c->bits & CONN_RECORDING))
		return;
	r = recorder_begin(TRACE_DATA, sizeof(*r));
	if (!r)
		return;
	r->rec.flags = TRACE_DATA_RAW;
	r->t_ns = dir == DIR_TX && call->t_enter ? call->t_enter : clock_now();
	r->off = c->machine.off[dir];
	r->conn = (uint32_t)call->conn_key;
	r->tid = clock_thread();
	r->moved = (uint32_t)moved;
	r->call = call->id;
	r->dir = (uint8_t)dir;
	trace_publish(&r->rec);
}

enum {
	NEAR = 64 * 1024, /* frames of one call lie no farther apart */
};

static uint32_t what_of(const struct call *call)
{
	uint64_t v = (call->arg[1] ^ (uint64_t)call->ret << 48) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(v >> 32);
}

/* A door's next definition may be somebody's wrapper that comes back through another door: the same
 * bytes, seen from inside the call we are now leaving. */
static bool is_twice(const struct conn *c, const struct call *call, enum dir dir)
{
	return c->last_what[dir] == what_of(call) &&
	       (uint32_t)(uintptr_t)call - c->last_frame[dir] - 1 < NEAR;
}

static void remember(struct conn *c, const struct call *call, enum dir dir)
{
	c->last_what[dir] = what_of(call);
	c->last_frame[dir] = (uint32_t)(uintptr_t)call;
}

static void count_call(struct conn *c)
{
	if (++c->calls < CALLS)
		return;
	if (recorder_header)
		__atomic_fetch_add(&recorder_header->calls, c->calls, __ATOMIC_RELAXED);
	c->calls = 0;
}

static __attribute__((noinline)) void skip(struct watch *w, uint64_t moved)
{
	w->hidden = true;
	w->data.flags |= TRACE_DATA_UNSEEN;
	w->copy = (struct gather){0};
	phase_skip(&w->c->machine, (enum dir)w->data.dir, moved, on_event, w);
}

/* Is there anything to look at in this call?  Then the connection is locked. */
static __attribute__((noinline)) bool admit(struct conn *c, const struct call *call, enum dir dir,
					    uint64_t moved, bool hidden)
{
	if (!conn_lock(c)) {
		moved_raw(c, call, dir, moved);
		return false;
	}
	if (c->id != call->conn_key ||
	    (c->entered[dir] != (uint32_t)call->token && is_twice(c, call, dir)))
		goto out;
	remember(c, call, dir);
	count_call(c);
	if (c->bits & CONN_EITHER_ROLE) {
		c->machine.role = dir == DIR_RX ? ROLE_SERVER : ROLE_CLIENT;
		c->bits &= (uint16_t)~CONN_EITHER_ROLE;
	}
	if (!hidden && quick_frames(c, call, dir))
		goto out;
	if ((c->bits & (CONN_ASIDE | CONN_RECORDING)) != CONN_ASIDE)
		return true;
	c->machine.off[dir] += moved;
out:
	conn_unlock(c);
	return false;
}

static __attribute__((noinline)) void look(struct conn *c, const struct call *call, enum dir dir,
					   uint64_t moved, bool hidden)
{
	struct watch w;

	init_watch(&w, c, call, dir);
	if (c->missed[dir])
		make_up(&w);
	if (hidden)
		skip(&w, moved);
	else
		feed(&w, call);
	finish(&w, w.base + moved);
}

void observe_moved(struct conn *c, const struct call *call, enum dir dir, uint64_t moved, bool hidden)
{
	if (!admit(c, call, dir, moved, hidden))
		return;
	look(c, call, dir, moved, hidden);
	conn_unlock(c);
}

/* ---- calls that move nothing ---- */

bool observe_read_begins(struct conn *c, const struct call *call)
{
	bool told = false;
	uint64_t t;

	if (c->machine.role != ROLE_SERVER || c->waits >= WAITS || !conn_lock(c))
		return false;
	if (c->id == call->conn_key && (c->bits & CONN_ATTEMPT)) {
		c->waits++;
		t = clock_now();
		record_result(c, (int)call->arg[0], call, DIR_RX, TRACE_WAITING, 0, t,
			      stack_take(t));
		told = true;
	}
	conn_unlock(c);
	return told;
}

/* A direction ended, which ends an answer without a length. */
static void end_stream(struct conn *c, enum dir dir, enum phase_end how)
{
	phase_end(&c->machine, dir, how, NULL, NULL);
	if ((c->bits & CONN_ANSWERED) && c->machine.asked == c->machine.answered)
		count_answer(c);
	conn_show(c, 0);
}

static bool is_fatal(int err)
{
	return err == ECONNRESET || err == EPIPE || err == ETIMEDOUT || err == ECONNABORTED;
}

/* Is this end worth a record? */
static bool tells(const struct conn *c, const struct call *call, int err)
{
	if (err == EAGAIN || err == EINTR)
		return call->flags & OBSERVE_TOLD;
	return c->bits & CONN_RECORDED;
}

void observe_nothing(struct conn *c, const struct call *call, enum dir dir, int err)
{
	uint64_t t;

	if ((err == EAGAIN || err == EINTR) && !(call->flags & OBSERVE_TOLD))
		return;
	if (!conn_lock(c))
		return;
	if (c->id != call->conn_key) {
		conn_unlock(c);
		return;
	}
	if (tells(c, call, err)) {
		t = clock_now();
		record_result(c, (int)call->arg[0], call, dir, err ? TRACE_ERROR : TRACE_EOF, err, t,
			      err ? 0 : stack_take(t));
	}
	if (!err) {
		c->bits |= CONN_EOF;
		end_stream(c, DIR_RX, PHASE_END_EOF);
	} else if (is_fatal(err)) {
		end_stream(c, dir, PHASE_END_RESET);
	}
	conn_unlock(c);
}

static void tell_closing(struct conn *c, struct closing *how)
{
	int unread = 0;

	if (!(c->bits & CONN_RECORDED))
		return;
	how->t = clock_now();
	how->stack = stack_take(how->t);
	if (how->what == TRACE_CLOSED && sys_ioctl((int)how->fd, FIONREAD, &unread) >= 0)
		how->unread = (uint32_t)unread;
	record_close(c, how);
}

void observe_closing(struct conn *c, struct closing *how)
{
	bool locked = conn_lock(c);

	tell_closing(c, how);
	if (how->what != TRACE_DUPED && !how->left) {
		if (locked && (c->bits & CONN_ANSWERED)) /* an answer that ends with the connection */
			count_answer(c);
		__atomic_store_n(&c->dying, 1, __ATOMIC_SEQ_CST);
	}
	if (locked || conn_lock(c))
		conn_unlock(c);
}

void observe_shut(struct conn *c, struct closing *how)
{
	bool locked = conn_lock(c);

	tell_closing(c, how);
	if (!locked)
		return;
	if (how->how != SHUT_RD)
		end_stream(c, DIR_TX, PHASE_END_SHUTDOWN);
	conn_unlock(c);
}
