/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_request: the request stream.  Requests follow each other, whatever the answers do;
 * behind an open attempt two readings run side by side until one is proven or the answer decides.
 */
#include "core/exchange/phase_internal.h"

/* A request head begins at off. */
static void request_begin(struct feed *f, uint64_t off)
{
	struct phase_machine *m = f->m;

	if (m->asked - m->answered == PHASE_PENDING) {
		if (m->resp_step != RESP_LOST) {
			phase_give_up(f);
			return;
		}
		m->answered++; /* its answer will never be recognised */
	}
	m->pending[m->asked++ % PHASE_PENDING] = HTTP_METHOD_OTHER;
	m->req_step = REQ_HEAD;
	phase_settle(f, request_dir(m), off);
	phase_tell(f, PHASE_REQUEST_START, request_dir(m), off, request_ordinal(m));
}

/* The request stream cannot be read on from off. */
static void request_bad(struct feed *f, uint64_t off)
{
	struct phase_machine *m = f->m;

	m->req_step = REQ_RAW;
	phase_settle(f, request_dir(m), off);
	phase_tell_head(f, PHASE_BAD_REQUEST, request_dir(m), off, request_ordinal(m), &m->request);
}

/* The last request may still be answered with a switch. */
static bool may_switch(const struct phase_machine *m)
{
	uint8_t kind = m->pending[request_ordinal(m) % PHASE_PENDING];
	bool asks = (kind & KIND_ATTEMPT) || (kind & KIND_METHOD) == HTTP_CONNECT;
	bool answering =
		m->asked - m->answered == 1 && in_response_body(m) && !(m->bits & BIT_UNASKED);

	return is_pending(m) && asks && !answering;
}

/* Where the request stream stands behind a complete request. */
static uint8_t step_after_request(struct phase_machine *m)
{
	if (phase_is_framed(m)) {
		ws_frame_init(&m->req.frame);
		return REQ_FRAMES;
	}
	if (phase_is_switched(m))
		return REQ_RAW;
	return may_switch(m) ? REQ_EARLY : REQ_IDLE;
}

static void request_end(struct feed *f)
{
	struct phase_machine *m = f->m;

	m->req_step = step_after_request(m);
	phase_settle(f, f->dir, m->off[f->dir]);
	phase_tell(f, PHASE_REQUEST_END, f->dir, m->off[f->dir], request_ordinal(m));
}

static uint8_t kind_of(const struct http_head *h)
{
	uint8_t kind = h->method;

	if (http_head_is_attempt(h))
		kind |= KIND_ATTEMPT;
	if (h->flags & (HTTP_UP_WEBSOCKET | HTTP_WS_KEY | HTTP_WS_VERSION))
		kind |= KIND_WEBSOCKET;
	return kind;
}

/* Step into the body, if there is one. */
static bool body_begin(struct phase_machine *m)
{
	uint64_t len;

	if (!http_request_body(&m->request, &len))
		return false;
	if (len == HTTP_LEN_CHUNKED) {
		http_chunk_init(&m->req.chunk);
		m->req_step = REQ_CHUNKED;
	} else if (len == HTTP_LEN_TO_CLOSE) {
		m->req_step = REQ_BODY_REST;
	} else {
		m->left[0] = len;
		m->req_step = REQ_BODY;
	}
	return true;
}

static void request_ready(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint64_t off = m->off[f->dir];
	bool body;

	if (is_pending(m))
		m->pending[request_ordinal(m) % PHASE_PENDING] = kind_of(&m->request);
	else
		m->last = kind_of(&m->request); /* answered before it was complete */
	body = body_begin(m);
	if (!body)
		m->req_step = step_after_request(m);
	phase_settle(f, f->dir, off);
	phase_tell_head(f, PHASE_REQUEST_READY, f->dir, off, request_ordinal(m), &m->request);
	if (!body)
		phase_tell(f, PHASE_REQUEST_END, f->dir, off, request_ordinal(m));
}

/* Empty lines between requests are passed over. */
static size_t idle_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t i = 0;

	while (i < f->n && (f->p[i] == '\r' || f->p[i] == '\n'))
		i++;
	m->off[f->dir] += i;
	if (i < f->n) {
		http_head_init(&m->request, HTTP_REQUEST);
		request_begin(f, m->off[f->dir]);
	}
	return i;
}

static size_t head_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t used = http_head_feed(&m->request, f->p, f->n, NULL, NULL);

	m->off[f->dir] += used;
	if (m->request.state == HTTP_BAD)
		request_bad(f, m->off[f->dir]);
	else if (m->request.state == HTTP_DONE && m->request.version == 0x09)
		phase_set_aside(f, PHASE_FOREIGN_HTTP09, m->off[f->dir] - m->request.len);
	else if (m->request.state == HTTP_DONE)
		request_ready(f);
	return used;
}

static size_t body_bytes(struct feed *f)
{
	size_t n = phase_take_body(f, 0);

	if (!f->m->left[0])
		request_end(f);
	return n;
}

static size_t chunked_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	struct http_chunk *c = &m->req.chunk;
	size_t used = phase_take_chunked(f, c);

	if (c->done)
		request_end(f);
	else if (c->bad)
		request_bad(f, m->off[f->dir]);
	return used;
}

static void early_begin(struct feed *f)
{
	struct phase_machine *m = f->m;

	m->bits |= BIT_EARLY;
	http_head_init(&m->request, HTTP_REQUEST);
	ws_frame_init(&m->req.frame);
	if (m->pending[request_ordinal(m) % PHASE_PENDING] & KIND_ATTEMPT)
		phase_tell(f, PHASE_EARLY, f->dir, m->off[f->dir], request_ordinal(m));
}

/* Read on as a next request.  Returns the bytes up to the end of its head when that is complete: then
 * this reading is proven; otherwise 0. */
static size_t early_request(struct feed *f)
{
	struct phase_machine *m = f->m;
	struct http_head *h = &m->request;
	size_t i = 0;

	if (h->state != HTTP_MORE)
		return 0;
	if (!h->len) {
		while (i < f->n && (f->p[i] == '\r' || f->p[i] == '\n'))
			i++;
		m->left[0] = m->off[f->dir] + i;
	}
	i += http_head_feed(h, f->p + i, f->n - i, NULL, NULL);
	if (h->state == HTTP_DONE && h->version == 0x09) {
		h->state = HTTP_BAD;
		h->error = HTTP_ERR_VERSION;
	}
	return h->state == HTTP_DONE ? i : 0;
}

/* One reading is left.  Returns where the next request began, if it did. */
static uint64_t early_over(struct phase_machine *m)
{
	uint64_t start = m->left[0];

	m->bits &= (uint8_t)~BIT_EARLY;
	m->left[0] = 0;
	ws_frame_init(&m->req.frame);
	return start;
}

static size_t early_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t used;

	if (!(m->bits & BIT_EARLY))
		early_begin(f);
	used = early_request(f);
	if (used) {
		m->off[f->dir] += used;
		request_begin(f, early_over(m));
		if (m->req_step == REQ_HEAD)
			request_ready(f);
		return used;
	}
	phase_frames_early(f);
	m->off[f->dir] += f->n;
	return f->n;
}

void phase_request_refused(struct feed *f)
{
	struct phase_machine *m = f->m;
	bool begun;
	uint64_t start;

	if (m->req_step != REQ_EARLY)
		return;
	m->req_step = REQ_IDLE;
	if (!(m->bits & BIT_EARLY))
		return;
	begun = m->request.len || m->request.state == HTTP_BAD;
	start = early_over(m);
	if (!begun)
		return;
	request_begin(f, start);
	if (m->req_step == REQ_HEAD && m->request.state == HTTP_BAD)
		request_bad(f, start + m->request.len);
}

void phase_request_switched(struct feed *f)
{
	struct phase_machine *m = f->m;
	bool own = m->asked == m->answered; /* what is being read belongs to the switched request */
	enum dir dir = request_dir(m);

	switch (m->req_step) {
	case REQ_HEAD:
		if (own)
			return; /* answered before its head was complete */
		m->req_step = REQ_RAW;
		if (phase_is_framed(m))
			phase_tell(f, PHASE_STRAY, dir, m->off[dir] - m->request.len,
				   answer_ordinal(m));
		return;
	case REQ_BODY:
	case REQ_CHUNKED:
	case REQ_BODY_REST:
	case REQ_RAW:
		return;
	default:
		break;
	}
	m->req_step = phase_is_framed(m) ? REQ_FRAMES : REQ_RAW;
	if (!phase_is_framed(m))
		return;
	if (m->bits & BIT_EARLY)
		phase_frames_confirm(f);
	else
		ws_frame_init(&m->req.frame);
	m->bits &= (uint8_t)~BIT_EARLY;
	m->left[0] = 0;
}

size_t phase_request_step(struct feed *f)
{
	struct phase_machine *m = f->m;

	switch ((enum req_step)m->req_step) {
	case REQ_SNIFF:
	case REQ_PROXY_LINE:
	case REQ_PROXY_DATA:
		return phase_sniff_step(f);
	case REQ_IDLE:
		return idle_bytes(f);
	case REQ_HEAD:
		return head_bytes(f);
	case REQ_BODY:
		return body_bytes(f);
	case REQ_CHUNKED:
		return chunked_bytes(f);
	case REQ_EARLY:
		return early_bytes(f);
	case REQ_FRAMES:
		return phase_frames_step(f, &m->req.frame, &m->req_step, REQ_RAW);
	case REQ_BODY_REST:
	case REQ_RAW:
		break;
	}
	m->off[f->dir] += f->n;
	return f->n;
}
