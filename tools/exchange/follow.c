/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/follow: the events of one connection through the phase machine.
 *
 * Plain exchanges are counted, not recorded, so on a kept connection the offsets jump from one attempt
 * to the next.  A jump is believed only where a message may begin: when nothing is open, and once more
 * before the answer that follows.  Any other hole makes the machine blind and the connection partial.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/exchange/build.h"

enum {
	AHEAD = 12, /* events */
};

struct draft {
	struct exchange x;
	struct answer answer[MODEL_ANSWERS];
	struct http_head head; /* of the request */
};

struct follow {
	struct builder *b;
	struct connection *c;
	const struct event *e; /* being fed */
	uint32_t event;	       /* its index */
	enum dir ask;	       /* direction of requests */
	bool opened;	       /* its OPEN record is there */
	bool jumped;	       /* request bytes were left out; answer bytes may be, too */
	struct phase_machine m;
};

/* Scratch that is reused for every connection; copied to the arena in the right size. */
static _Thread_local struct {
	struct draft *draft;
	size_t drafts, draft_cap;
	struct mark *mark;
	size_t marks, mark_cap;
} work;

static const struct http_view no_view;

/* ---- the sink ---- */

/* The event that moved the byte at off: the machine may have held bytes back before it told. */
static uint32_t event_of(const struct follow *f, enum dir dir, uint64_t off)
{
	for (uint32_t i = f->event + 1; i-- > 0;) {
		const struct event *e = &f->c->event[i];

		if (e->kind == EVENT_DATA && e->dir == dir && e->off <= off)
			return i;
	}
	return f->event;
}

static struct draft *draft_begin(struct follow *f, const struct phase_event *e)
{
	uint32_t event = event_of(f, e->dir, e->off);
	struct draft *d;

	work.draft = array_grow(work.draft, work.drafts, &work.draft_cap, sizeof(*work.draft));
	d = &work.draft[work.drafts++];
	memset(&d->x, 0, sizeof(d->x));
	memset(&d->head, 0, sizeof(d->head));
	d->x.conn = f->c;
	d->x.ordinal = e->exchange;
	d->x.req_off = e->off;
	d->x.req_head_end = d->x.req_end = d->x.early_off = MODEL_NO_OFF;
	d->x.off_switched[0] = d->x.off_switched[1] = MODEL_NO_OFF;
	d->x.t_start = f->c->event[event].t_ns;
	d->x.ev_start = event;
	d->x.ev_head = d->x.ev_answer = d->x.ev_switched = MODEL_NONE;
	d->x.mark_start = d->x.mark_end = (uint32_t)work.marks;
	return d;
}

static struct draft *draft_of(uint32_t ordinal)
{
	for (size_t i = work.drafts; i-- > 0;) {
		if (work.draft[i].x.ordinal == ordinal)
			return &work.draft[i];
	}
	return NULL;
}

static struct answer *answer_begin(struct follow *f, struct draft *d, uint64_t off)
{
	struct answer *a;

	if (d->x.answers == MODEL_ANSWERS)
		return NULL;
	a = &d->answer[d->x.answers++];
	memset(a, 0, sizeof(*a));
	a->off = off;
	a->end = a->body_end = MODEL_NO_OFF;
	a->first_event = a->last_event = f->event;
	a->t_ns = f->e->t_ns;
	return a;
}

static struct answer *answer_last(struct draft *d)
{
	return d->x.answers ? &d->answer[d->x.answers - 1] : NULL;
}

static void on_request_ready(struct follow *f, struct draft *d, const struct phase_event *e)
{
	d->head = *e->head;
	d->x.req_head_end = e->off;
	d->x.attempt = http_head_is_attempt(e->head);
	d->x.t_head = f->e->t_ns;
	d->x.ev_head = f->event;
}

static void on_response_ready(struct follow *f, struct draft *d, const struct phase_event *e)
{
	struct answer *a = answer_last(d);

	if (!a || a->end != MODEL_NO_OFF)
		return;
	a->end = e->off;
	a->last_event = f->event;
	if (!d->x.final && (e->head->status == 101 || e->head->status >= 200)) {
		d->x.final = a;
		d->x.ev_answer = a->first_event;
		d->x.t_answer = a->t_ns;
	}
}

static void on_switched(struct follow *f, struct draft *d, const struct phase_event *e)
{
	enum dir answer = f->ask == DIR_RX ? DIR_TX : DIR_RX;

	d->x.t_switched = f->e->t_ns;
	d->x.ev_switched = f->event;
	d->x.off_switched[answer] = e->off;
	d->x.off_switched[f->ask] = d->x.req_end;
}

static bool frame_matters(struct draft *d, const struct phase_event *e)
{
	return d->x.frames[e->dir] <= MODEL_FRAMES || e->frame->faults || ws_rsv1(e->frame) ||
	       ws_opcode(e->frame) >= WS_CLOSE;
}

static void mark_add(struct follow *f, struct draft *d, const struct phase_event *e)
{
	struct mark *m;

	work.mark = array_grow(work.mark, work.marks, &work.mark_cap, sizeof(*work.mark));
	m = &work.mark[work.marks++];
	memset(m, 0, sizeof(*m));
	m->e = *e;
	m->e.head = NULL;
	m->e.frame = NULL;
	m->event = f->event;
	m->t_ns = f->e->t_ns;
	if (e->frame)
		m->frame = *e->frame;
	if (d)
		d->x.mark_end = (uint32_t)work.marks;
}

static void sink(void *ctx, const struct phase_event *e)
{
	struct follow *f = ctx;
	struct draft *d = NULL;
	struct answer *a;

	if (e->what == PHASE_REQUEST_START)
		d = draft_begin(f, e);
	else if (work.drafts)
		d = draft_of(e->exchange);
	if (e->what == PHASE_SET_ASIDE)
		f->c->foreign = e->foreign;
	if (!d) {
		mark_add(f, NULL, e);
		return;
	}
	switch (e->what) {
	case PHASE_REQUEST_READY:
		on_request_ready(f, d, e);
		break;
	case PHASE_REQUEST_END:
		d->x.req_end = e->off;
		break;
	case PHASE_RESPONSE_START:
		answer_begin(f, d, e->off);
		break;
	case PHASE_RESPONSE_READY:
		on_response_ready(f, d, e);
		break;
	case PHASE_RESPONSE_END:
		a = answer_last(d);
		if (a)
			a->body_end = e->off;
		break;
	case PHASE_EARLY:
		d->x.early_off = e->off;
		break;
	case PHASE_SWITCHED:
		on_switched(f, d, e);
		break;
	case PHASE_FRAME:
		d->x.frames[e->dir]++;
		if (!frame_matters(d, e))
			return;
		break;
	case PHASE_FRAME_END:
		return;
	default:
		break;
	}
	mark_add(f, d, e);
}

/* ---- feeding ---- */

static bool request_may_begin(const struct phase_machine *m)
{
	return m->phase == PHASE_ACCEPTED || m->phase == PHASE_IDLE;
}

static bool answer_may_begin(const struct phase_machine *m)
{
	return m->phase == PHASE_BEFORE_RESPONSE || m->phase == PHASE_REQUEST_BODY;
}

/* Before the first request of a connection seen from its beginning, nothing is recorded; bytes that
 * are missing there were written although nobody had asked. */
static bool spoke_first(const struct follow *f)
{
	const struct phase_machine *m = &f->m;
	enum dir answer = f->ask == DIR_RX ? DIR_TX : DIR_RX;

	return f->opened && !f->jumped && !f->c->partial && m->asked == 1 && !m->answered &&
	       m->off[answer] == 0 && m->phase == PHASE_BEFORE_RESPONSE;
}

/* Bytes up to off were not recorded. True when it was understood.
 *   told   a record says when they moved, though not what they were */
static bool pass_hole(struct follow *f, enum dir dir, uint64_t off, bool told)
{
	struct phase_machine *m = &f->m;

	if (request_may_begin(m)) {
		m->off[dir] = off;
		f->jumped |= dir == f->ask;
		return true;
	}
	if (dir != f->ask && f->jumped && answer_may_begin(m)) {
		m->off[dir] = off;
		f->jumped = false;
		return true;
	}
	if (dir != f->ask && !told && spoke_first(f)) {
		f->c->spoke_first = off;
		m->off[dir] = off;
		return true;
	}
	phase_skip(m, dir, off - m->off[dir], sink, f);
	return !phase_is_blind(m);
}

static bool feed_data(struct follow *f, const struct event *e)
{
	enum dir dir = (enum dir)e->dir;
	uint64_t end = e->off + e->moved;

	for (uint32_t i = 0; i < e->segments; i++) {
		const struct segment *s = &e->segment[i];
		uint64_t off = e->off + s->rel;

		if (off < f->m.off[dir])
			return false;
		if (off > f->m.off[dir] && !pass_hole(f, dir, off, false))
			return false;
		phase_feed(&f->m, dir, s->bytes, s->len, sink, f);
	}
	if (end > f->m.off[dir] && (e->flags & EVENT_RAW)) {
		/* They were not left out: nobody could look at them. */
		phase_skip(&f->m, dir, end - f->m.off[dir], sink, f);
		return !phase_is_blind(&f->m);
	}
	if (end > f->m.off[dir])
		return pass_hole(f, dir, end, true);
	return end == f->m.off[dir];
}

static void feed_end(struct follow *f, enum dir dir, enum phase_end how)
{
	phase_end(&f->m, dir, how, sink, f);
}

static void feed_events(struct follow *f)
{
	struct connection *c = f->c;

	for (f->event = 0; f->event < c->events; f->event++) {
		const struct event *e = f->e = &c->event[f->event];

		/* Records of one connection lie far apart: their bytes would be waited for. */
		if (f->event + AHEAD < c->events && e[AHEAD].segments)
			__builtin_prefetch(e[AHEAD].segment->bytes);
		if (e->kind == EVENT_DATA && !feed_data(f, e)) {
			if (!c->partial)
				c->partial_reason = "bytes in the middle were not recorded";
			c->partial = true;
			return;
		}
		if (e->kind == EVENT_EOF)
			feed_end(f, DIR_RX, PHASE_END_EOF);
		else if (e->kind == EVENT_SHUTDOWN)
			feed_end(f, DIR_TX, PHASE_END_SHUTDOWN);
		else if (e->kind == EVENT_CLOSE)
			feed_end(f, DIR_TX, PHASE_END_CLOSE);
		else if (f->event == c->ev_reset)
			feed_end(f, DIR_RX, PHASE_END_RESET);
	}
}

/* A connection whose beginning is missing may start in the middle of anything; believe it only when
 * the first recorded bytes are a request line. */
static bool may_start(const struct connection *c, enum dir ask, const struct slot *s)
{
	if (s->flags & SLOT_OPENED)
		return true;
	for (uint32_t i = 0; i < c->events; i++) {
		const struct event *e = &c->event[i];
		struct http_head h;

		if (e->kind != EVENT_DATA)
			continue;
		if (e->dir != ask || !e->segments || e->segment[0].rel)
			return false;
		http_head_init(&h, HTTP_REQUEST);
		http_head_feed(&h, e->segment[0].bytes, e->segment[0].len, NULL, NULL);
		return h.state == HTTP_DONE || (h.state == HTTP_MORE && h.version >= 0x10);
	}
	return true;
}

/* ---- from drafts to the model ---- */

/* The recorded bytes [from, to) of one direction as one run; shorter when there is a hole. */
static struct span gather(struct follow *f, enum dir dir, uint64_t from, uint64_t to, uint32_t ev)
{
	const struct connection *c = f->c;
	struct span s = {NULL, 0};
	uint32_t at = model_event_at(c, dir, from, ev);
	uint8_t *copy;

	if (at == MODEL_NONE || to <= from)
		return s;
	s = model_event_bytes(&c->event[at], from);
	if (s.n >= to - from || !s.n) {
		if (s.n)
			s.n = (size_t)(to - from);
		return s;
	}
	if (to - from > HTTP_HEAD_MAX)
		to = from + HTTP_HEAD_MAX;
	copy = arena_alloc(f->b->arena, (size_t)(to - from));
	return (struct span){copy, model_bytes(c, dir, from, at, copy, (size_t)(to - from))};
}

static const struct http_view *view_make(struct follow *f, enum http_kind kind, struct span bytes)
{
	static _Thread_local struct http_view v;

	if (!bytes.n)
		return &no_view;
	http_view_parse(&v, kind, bytes);
	return arena_copy(f->b->arena, &v,
			  offsetof(struct http_view, field) + v.field_count * sizeof(v.field[0]));
}

static uint64_t known(uint64_t off, uint64_t otherwise)
{
	return off == MODEL_NO_OFF ? otherwise : off;
}

static bool says_websocket(const struct http_head *h)
{
	return h->flags & (HTTP_UP_WEBSOCKET | HTTP_WS_KEY | HTTP_WS_VERSION);
}

/* A head that never became complete is an attempt when the part that came says so. */
static void judge_partial_head(struct follow *f, struct draft *d)
{
	const struct http_head *h = &f->m.request;

	if (d->x.req_head_end != MODEL_NO_OFF || d != &work.draft[work.drafts - 1])
		return;
	d->head = *h;
	d->x.attempt = h->flags & (HTTP_UPGRADE | HTTP_WS_KEY | HTTP_WS_VERSION);
}

static void finish_exchange(struct follow *f, struct draft *d, struct exchange *x)
{
	enum dir answer = f->ask == DIR_RX ? DIR_TX : DIR_RX;
	uint64_t end[2] = {f->c->rx_end, f->c->tx_end};
	size_t final = d->x.final ? (size_t)(d->x.final - d->answer) : 0;

	judge_partial_head(f, d);
	*x = d->x;
	x->websocket = x->attempt && says_websocket(&d->head);
	x->request_bytes =
		gather(f, f->ask, x->req_off, known(x->req_head_end, end[f->ask]), x->ev_start);
	x->request = view_make(f, HTTP_REQUEST, x->request_bytes);
	x->answer = arena_copy(f->b->arena, d->answer, x->answers * sizeof(*x->answer));
	for (uint32_t i = 0; i < x->answers; i++) {
		struct answer *a = &x->answer[i];

		a->bytes = gather(f, answer, a->off, known(a->end, end[answer]), a->first_event);
		a->view = view_make(f, HTTP_RESPONSE, a->bytes);
	}
	x->final = d->x.final ? &x->answer[final] : NULL;
	if (!x->final && x->answers) {
		x->t_answer = x->answer[0].t_ns;
		x->ev_answer = x->answer[0].first_event;
	}
}

/* Frames the client sent before it knew that it was refused: they belong to that attempt, and are no
 * request, unless the server took them for one and answered. */
static bool is_left_over(const struct exchange *x, const struct exchange *before)
{
	return before->attempt && before->final && before->t_switched == 0 && !x->answers &&
	       x->req_head_end == MODEL_NO_OFF && x->request_bytes.n &&
	       !http_is_token(x->request_bytes.p[0]);
}

static void finish(struct follow *f)
{
	struct connection *c = f->c;

	c->marks = (uint32_t)work.marks;
	c->mark = arena_copy(f->b->arena, work.mark, work.marks * sizeof(*c->mark));
	c->exchanges = (uint32_t)work.drafts;
	c->exchange = arena_alloc(f->b->arena, work.drafts * sizeof(*c->exchange));
	for (uint32_t i = 0; i < c->exchanges; i++) {
		finish_exchange(f, &work.draft[i], &c->exchange[i]);
		c->exchange[i].ev_end =
			i + 1 < c->exchanges ? work.draft[i + 1].x.ev_start + 1 : c->events;
	}
	if (c->exchanges > 1 &&
	    is_left_over(&c->exchange[c->exchanges - 1], &c->exchange[c->exchanges - 2])) {
		c->exchanges--;
		c->exchange[c->exchanges - 1].ev_end = c->events;
	}
}

void follow_connection(struct builder *b, struct connection *c, const struct slot *s)
{
	struct follow f = {
		.b = b,
		.c = c,
		.ask = c->role == ROLE_SERVER ? DIR_RX : DIR_TX,
		.opened = s->flags & SLOT_OPENED,
	};

	work.drafts = work.marks = 0;
	if (!may_start(c, f.ask, s))
		return;
	phase_init(&f.m, c->role);
	feed_events(&f);
	finish(&f);
}

void follow_done(void)
{
	free(work.draft);
	free(work.mark);
	memset(&work, 0, sizeof(work));
}
