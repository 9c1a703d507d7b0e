/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase: the loop that feeds both streams, and the phase that follows from their steps.
 */
#include "core/exchange/phase_internal.h"

static const char phase_names[PHASE_COUNT][16] = {
#define PHASE(id, name, starts, ends) [PHASE_##id] = name,
#include "core/exchange/phase.def"
#undef PHASE
};

const char *phase_name(enum phase p)
{
	return (unsigned)p < PHASE_COUNT ? phase_names[p] : "unknown";
}

bool phase_from_name(struct span name, enum phase *ret)
{
	for (unsigned p = 0; p < PHASE_COUNT; p++) {
		const char *text = phase_names[p];
		size_t i = 0;

		while (i < name.n && text[i] && name.p[i] == (uint8_t)text[i])
			i++;
		if (i == name.n && !text[i]) {
			*ret = (enum phase)p;
			return true;
		}
	}
	return false;
}

/* ---- telling ---- */

static void tell(struct feed *f, const struct phase_event *e)
{
	if (f->sink)
		f->sink(f->ctx, e);
}

void phase_tell(struct feed *f, enum phase_what what, enum dir dir, uint64_t off, uint32_t exchange)
{
	phase_tell_head(f, what, dir, off, exchange, NULL);
}

void phase_tell_head(struct feed *f, enum phase_what what, enum dir dir, uint64_t off,
		     uint32_t exchange, const struct http_head *head)
{
	struct phase_event e = {
		.what = what,
		.phase = (enum phase)f->m->phase,
		.dir = dir,
		.off = off,
		.exchange = exchange,
		.foreign = what == PHASE_SET_ASIDE ? f->m->foreign : PHASE_FOREIGN_NONE,
		.head = head,
	};

	tell(f, &e);
}

void phase_tell_frame(struct feed *f, enum phase_what what, enum dir dir, uint64_t off,
		      const struct ws_frame *frame)
{
	struct phase_event e = {
		.what = what,
		.phase = (enum phase)f->m->phase,
		.dir = dir,
		.off = off,
		.exchange = answer_ordinal(f->m),
		.frame = frame,
	};

	tell(f, &e);
}

/* ---- the phase ---- */

static enum phase phase_derive(const struct phase_machine *m)
{
	if (m->bits & BIT_CLOSING)
		return PHASE_CLOSING;
	if (m->bits & BIT_SWITCHED)
		return m->bits & BIT_MOVED ? PHASE_FRAMES : PHASE_UPGRADED;
	if ((m->bits & BIT_BLIND) || m->foreign || m->resp_step == RESP_LOST)
		return (enum phase)m->phase;
	if (m->resp_step == RESP_HEAD)
		return PHASE_RESPONSE_HEAD;
	if (in_response_body(m))
		return PHASE_RESPONSE_BODY;
	if (m->asked - m->answered > 1)
		return PHASE_BEFORE_RESPONSE; /* of an older request than the one being read */
	switch (m->req_step) {
	case REQ_HEAD:
		return PHASE_REQUEST_HEAD;
	case REQ_BODY:
	case REQ_CHUNKED:
	case REQ_BODY_REST:
		return PHASE_REQUEST_BODY;
	default:
		break;
	}
	if (is_pending(m))
		return PHASE_BEFORE_RESPONSE;
	return m->asked ? PHASE_IDLE : PHASE_ACCEPTED;
}

void phase_settle(struct feed *f, enum dir dir, uint64_t off)
{
	enum phase now = phase_derive(f->m);

	if (now == f->m->phase)
		return;
	f->m->phase = (uint8_t)now;
	phase_tell(f, PHASE_CHANGE, dir, off, answer_ordinal(f->m));
}

void phase_set_aside(struct feed *f, enum phase_foreign foreign, uint64_t off)
{
	f->m->foreign = (uint8_t)foreign;
	f->m->req_step = REQ_RAW;
	f->m->resp_step = RESP_RAW;
	phase_tell(f, PHASE_SET_ASIDE, f->dir, off, answer_ordinal(f->m));
}

void phase_give_up(struct feed *f)
{
	f->m->bits |= BIT_BLIND;
	f->m->req_step = REQ_RAW;
	f->m->resp_step = RESP_RAW;
	phase_tell(f, PHASE_BLIND, f->dir, f->m->off[f->dir], answer_ordinal(f->m));
}

/* ---- the loop ---- */

/* The next byte of the request stream means nothing but itself. */
static bool request_may_hide(const struct phase_machine *m)
{
	switch (m->req_step) {
	case REQ_PROXY_DATA:
	case REQ_BODY:
	case REQ_BODY_REST:
	case REQ_RAW:
		return true;
	case REQ_CHUNKED:
		return http_chunk_skippable(&m->req.chunk);
	case REQ_FRAMES:
		return m->req.frame.complete && m->req.frame.left;
	default:
		return false;
	}
}

static bool response_may_hide(const struct phase_machine *m)
{
	switch (m->resp_step) {
	case RESP_BODY:
	case RESP_BODY_REST:
	case RESP_RAW:
	case RESP_LOST:
		return true;
	case RESP_JUNK:
		return !is_pending(m);
	case RESP_CHUNKED:
		return http_chunk_skippable(&m->resp.chunk);
	case RESP_FRAMES:
		return m->resp.frame.complete && m->resp.frame.left;
	default:
		return false;
	}
}

static size_t one_step(struct feed *f, bool request)
{
	struct phase_machine *m = f->m;

	if (!f->p && !(request ? request_may_hide(m) : response_may_hide(m))) {
		phase_give_up(f);
		return 0;
	}
	if ((m->bits & (BIT_SWITCHED | BIT_MOVED)) == BIT_SWITCHED) {
		m->bits |= BIT_MOVED;
		phase_settle(f, f->dir, m->off[f->dir]);
	}
	return request ? phase_request_step(f) : phase_response_step(f);
}

static void run(struct feed *f)
{
	bool request = f->dir == request_dir(f->m);

	while (f->n || f->rest_n) {
		size_t used;

		if (!f->n) {
			f->p = f->rest;
			f->n = f->rest_n;
			f->rest_n = 0;
		}
		used = one_step(f, request);
		if (f->p)
			f->p += used;
		f->n -= used;
	}
}

void phase_init(struct phase_machine *m, enum role role)
{
	memset(m, 0, sizeof(*m));
	m->role = (uint8_t)role;
	m->phase = PHASE_ACCEPTED;
	m->req_step = REQ_SNIFF;
	m->resp_step = RESP_IDLE;
}

void phase_feed(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n, phase_sink *sink,
		void *ctx)
{
	struct feed f = {.m = m, .sink = sink, .ctx = ctx, .p = p, .n = n, .dir = dir};

	run(&f);
}

void phase_skip(struct phase_machine *m, enum dir dir, uint64_t n, phase_sink *sink, void *ctx)
{
	struct feed f = {.m = m, .sink = sink, .ctx = ctx, .n = n, .dir = dir};

	run(&f);
}

void phase_end(struct phase_machine *m, enum dir dir, enum phase_end how, phase_sink *sink,
	       void *ctx)
{
	struct feed f = {.m = m, .sink = sink, .ctx = ctx, .dir = request_dir(m)};
	enum dir answer = answer_dir(m);
	uint32_t exchange = answer_ordinal(m);
	bool body_ends;

	if (m->held && m->req_step == REQ_SNIFF) {
		phase_sniff_release(&f);
		run(&f);
	}
	/* A body without a length ends where its sender says so, not where the connection breaks. */
	body_ends = m->resp_step == RESP_BODY_REST &&
		    (answer == DIR_RX ? how == PHASE_END_EOF
				      : how == PHASE_END_SHUTDOWN || how == PHASE_END_CLOSE);
	if (body_ends)
		phase_response_over(m);
	f.dir = dir;
	m->bits |= BIT_CLOSING;
	phase_settle(&f, dir, m->off[dir]);
	if (body_ends)
		phase_tell(&f, PHASE_RESPONSE_END, answer, m->off[answer], exchange);
}

/* ---- questions ---- */

bool phase_attempt_open(const struct phase_machine *m)
{
	return !phase_is_switched(m) && !phase_is_blind(m) && is_pending(m) &&
	       (m->pending[m->answered % PHASE_PENDING] & KIND_ATTEMPT) &&
	       !(in_response_body(m) && !(m->bits & BIT_UNASKED));
}

bool phase_is_switched(const struct phase_machine *m)
{
	return m->bits & BIT_SWITCHED;
}

bool phase_is_framed(const struct phase_machine *m)
{
	return m->bits & BIT_FRAMED;
}

bool phase_is_blind(const struct phase_machine *m)
{
	return (m->bits & BIT_BLIND) || (m->foreign && !phase_is_switched(m));
}
