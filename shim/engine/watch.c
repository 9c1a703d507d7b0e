/* SPDX-License-Identifier: BSD-2-Clause
 *
 * watch: see watch.h.
 */
#include "shim/engine/watch.h"
#include "shim/engine/clock.h"
#include "shim/engine/counts.h"
#include "shim/engine/heads.h"
#include "shim/engine/observe.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/text.h"
#include "shim/engine/witness.h"

#define NO_LIMIT UINT64_MAX

uint64_t watch_now(struct watch *w)
{
	struct data *d = &w->data;

	if (!d->t)
		d->t = observe_time(d->call, (enum dir)d->dir);
	return d->t;
}

enum dir watch_request_dir(const struct conn *c)
{
	return c->machine.role == ROLE_SERVER ? DIR_RX : DIR_TX;
}

/* ---- what is recorded ---- */

void watch_flush_pieces(struct watch *w)
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
void watch_flush(struct watch *w, uint64_t end)
{
	struct data *d = &w->data;

	if (end <= d->off)
		return;
	d->moved = (uint32_t)(end - d->off);
	(void)watch_now(w);
	watch_flush_pieces(w);
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
static inline __attribute__((always_inline)) void add(struct watch *w, uint64_t from, uint64_t to,
						      enum run_mode mode)
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
			watch_flush(w, from);
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

void watch_advance(struct watch *w, uint64_t q)
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
		watch_advance(w, e->off);
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
	c->t_open = watch_now(w);
	c->open_stack = 0;
	recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_UNSEEN);
	return cookie != 0;
}

void watch_begin(struct watch *w)
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
	ASKS_BUT_H2C = HTTP_UP_WEBSOCKET | HTTP_UP_TCP | HTTP_UP_SPDY | HTTP_UP_TLS |
		       HTTP_UP_OTHER | HTTP_WS_KEY | HTTP_WS_VERSION,
};

static bool is_h2c_offer(const struct http_head *h)
{
	return (h->flags & HTTP_UP_H2C) && !(h->flags & ASKS_BUT_H2C);
}

bool watch_asks_already(const struct conn *c)
{
	return (c->bits & CONN_IN_HEAD) &&
	       (c->machine.request.flags & (ASKS_BUT_H2C | HTTP_CONN_UPGRADE));
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
		if (p->off == c->head_off && p->dir == watch_request_dir(c))
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
	c->ready = observe_ticks(w->data.call, (enum dir)w->data.dir);
	c->bits |= CONN_COUNTING;
}

static void attempt_ready(struct watch *w, const struct phase_event *e)
{
	const struct call_place *place;
	struct conn *c = w->c;

	if (!(c->bits & CONN_RECORDING))
		watch_begin(w);
	if (!(c->bits & CONN_RECORDING))
		return;
	c->bits |= CONN_ATTEMPT | CONN_RECORDED;
	c->attempt = e->exchange;
	c->waits = 0;
	place = w->data.call->place;
	c->owner = text_open(place && place->task ? 0 : clock_thread(), c->id);
	witness_open(c, place);
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
		c->waits = 0;
		text_close(c->owner, watch_now(w));
		c->owner = 0;
		w->want_stack = true;
	}
	if ((c->bits & (CONN_COUNTING | CONN_ANSWERED)) == CONN_COUNTING) {
		c->took =
			clock_elapsed(c->ready, observe_ticks(w->data.call, (enum dir)w->data.dir));
		c->bits |= CONN_ANSWERED;
	}
}

void watch_count_answer(struct conn *c)
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
		watch_count_answer(c);
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
	turn(w, e, e->off + WATCH_STRAY, RUN_HEAD);
}

/* ---- behind the switch ---- */

static void switched(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;

	if (!(c->bits & CONN_RECORDING))
		return;
	watch_advance(w, e->off);
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
		watch_advance(w, payload);
	if (closes) {
		/* A masked reason could not be looked through for secrets: its code is enough. */
		uint64_t least = ws_masked(e->frame) ? WATCH_CODE : WATCH_STRAY;

		keep = keep > least ? keep : least;
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
	turn(w, e, e->off + WATCH_STRAY, RUN_TEXT);
}

/* One client that speaks TLS to a plain port says nothing about the others. */
static void encrypted(struct watch *w)
{
	record_cover(w->c, w->data.fd, TRACE_REASON_TLS);
	if (recorder_header)
		__atomic_fetch_add(&recorder_header->tls_connections, 1, __ATOMIC_RELAXED);
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
		encrypted(w);
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

/* Early bytes are frames or the next request.  Frames must not go through the masker of heads: it
 * blots out what is no field, their headers included. */
static void early(struct watch *w, const struct phase_event *e)
{
	struct conn *c = w->c;
	struct gather g = w->copy;
	struct span first;

	if (!w->hidden && e->off >= w->data.off)
		gather_skip(&g, e->off - w->data.off);
	first = gather_next(&g, 1);
	c->bits |= CONN_EARLY;
	w->want_stack |= (c->bits & CONN_ATTEMPT) != 0;
	turn(w, e, e->off + engine.config.max_body,
	     first.n && http_is_token(first.p[0]) ? RUN_HEAD : RUN_TEXT);
}

void watch_event(void *ctx, const struct phase_event *e)
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
		early(w, e);
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
		turn(w, e, e->off + WATCH_STRAY, RUN_GO_ON);
		break;
	case PHASE_BAD_RESPONSE:
		w->want_stack |= (w->c->bits & CONN_ATTEMPT) != 0;
		w->unasked = !w->c->machine.asked && w->c->machine.role == ROLE_SERVER;
		turn(w, e, e->off + WATCH_STRAY, RUN_GO_ON);
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
