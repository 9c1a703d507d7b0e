/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_response: the answer stream.  Interim answers, the final one, its body, the switch;
 * and answers nobody asked for, which are read as far as they can be read, because a second answer to
 * one request is what breaks upgrades.
 */
#include "core/exchange/phase_internal.h"

static uint8_t answered_kind(const struct phase_machine *m)
{
	return m->bits & BIT_UNASKED ? m->last : m->pending[m->answered % PHASE_PENDING];
}

void phase_response_over(struct phase_machine *m)
{
	if (!(m->bits & BIT_UNASKED)) {
		m->last = answered_kind(m);
		m->answered++;
	}
	m->bits &= (uint8_t)~BIT_UNASKED;
	m->resp_step = RESP_IDLE;
}

static void response_end(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint32_t exchange = answer_ordinal(m);

	phase_response_over(m);
	phase_settle(f, f->dir, m->off[f->dir]);
	phase_tell(f, PHASE_RESPONSE_END, f->dir, m->off[f->dir], exchange);
}

/* The answer stream cannot be read on.  When nobody waits for this answer the next request starts
 * afresh. */
static void response_bad(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint32_t exchange = answer_ordinal(m);

	m->resp_step = m->bits & BIT_UNASKED ? RESP_JUNK : RESP_LOST;
	m->bits &= (uint8_t)~BIT_UNASKED;
	phase_settle(f, f->dir, m->off[f->dir]);
	phase_tell_head(f, PHASE_BAD_RESPONSE, f->dir, m->off[f->dir], exchange, &m->response);
}

/* ---- heads ---- */

static void response_begin(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint64_t off = m->off[f->dir];

	m->resp_step = RESP_HEAD;
	http_head_init(&m->response, HTTP_RESPONSE);
	phase_settle(f, f->dir, off);
	if (*f->p == 'H')
		phase_tell(f, PHASE_RESPONSE_START, f->dir, off, answer_ordinal(m));
}

/* First byte while no request waits. */
static size_t unasked_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;

	m->bits |= BIT_UNASKED;
	if (*f->p == 'H') {
		phase_tell(f, PHASE_UNASKED, f->dir, m->off[f->dir], answer_ordinal(m));
		response_begin(f);
	} else if (!m->asked) { /* the server speaks first, and no HTTP */
		http_head_init(&m->response, HTTP_RESPONSE);
		m->response.state = HTTP_BAD;
		m->response.error = HTTP_ERR_START_LINE;
		response_bad(f);
	} else {
		phase_tell(f, PHASE_UNASKED, f->dir, m->off[f->dir], answer_ordinal(m));
		m->bits &= (uint8_t)~BIT_UNASKED;
		m->resp_step = RESP_JUNK;
	}
	return 0;
}

static size_t idle_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t i = 0;

	if (!is_pending(m))
		return unasked_bytes(f);
	while (i < f->n && (f->p[i] == '\r' || f->p[i] == '\n'))
		i++;
	m->off[f->dir] += i;
	if (i == f->n)
		return i;
	f->p += i;
	f->n -= i;
	response_begin(f);
	return 0;
}

/* 101: from here on both streams are something else. */
static __attribute__((noinline)) void response_switch(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint32_t flags = m->response.flags, exchange = answer_ordinal(m);
	bool framed = (flags & (HTTP_UP_WEBSOCKET | HTTP_WS_ACCEPT)) ||
		      (!(flags & HTTP_UPGRADE) && (answered_kind(m) & KIND_WEBSOCKET));
	uint64_t off = m->off[f->dir];

	phase_response_over(m);
	m->bits |= framed ? BIT_SWITCHED | BIT_FRAMED : BIT_SWITCHED;
	m->resp_step = framed ? RESP_FRAMES : RESP_RAW;
	ws_frame_init(&m->resp.frame);
	phase_settle(f, f->dir, off);
	phase_tell_head(f, PHASE_RESPONSE_READY, f->dir, off, exchange, &m->response);
	phase_tell(f, PHASE_SWITCHED, f->dir, off, exchange);
	if (!framed) {
		m->foreign = PHASE_FOREIGN_SWITCHED;
		phase_tell(f, PHASE_SET_ASIDE, f->dir, off, exchange);
	}
	phase_request_switched(f);
}

/* Step into the body of a final answer, if there is one. */
static bool body_begin(struct phase_machine *m, enum http_method method)
{
	uint64_t len = 0;

	switch (http_response_body(&m->response, method, &len)) {
	case HTTP_BODY_NONE:
		return false;
	case HTTP_BODY_LENGTH:
		m->left[1] = len;
		m->resp_step = RESP_BODY;
		return len > 0;
	case HTTP_BODY_CHUNKED:
		http_chunk_init(&m->resp.chunk);
		m->resp_step = RESP_CHUNKED;
		return true;
	case HTTP_BODY_TO_CLOSE:
		break;
	}
	m->resp_step = RESP_BODY_REST;
	return true;
}

static __attribute__((noinline)) void response_final(struct feed *f)
{
	struct phase_machine *m = f->m;
	enum http_method method = (enum http_method)(answered_kind(m) & KIND_METHOD);
	bool tunnel = method == HTTP_CONNECT && m->response.status < 300;
	bool decides = !(m->bits & BIT_UNASKED) && m->asked - m->answered == 1;
	uint32_t exchange = answer_ordinal(m);
	uint64_t off = m->off[f->dir];
	bool body = body_begin(m, method);

	if (!body)
		phase_response_over(m);
	if (tunnel)
		m->bits |= BIT_SWITCHED;
	phase_settle(f, f->dir, off);
	phase_tell_head(f, PHASE_RESPONSE_READY, f->dir, off, exchange, &m->response);
	if (!body)
		phase_tell(f, PHASE_RESPONSE_END, f->dir, off, exchange);
	if (tunnel)
		phase_set_aside(f, PHASE_FOREIGN_SWITCHED, off);
	else if (decides)
		phase_request_refused(f);
}

static void response_interim(struct feed *f)
{
	struct phase_machine *m = f->m;
	uint32_t exchange = answer_ordinal(m);

	m->resp_step = RESP_IDLE;
	m->bits &= (uint8_t)~BIT_UNASKED;
	phase_settle(f, f->dir, m->off[f->dir]);
	phase_tell_head(f, PHASE_RESPONSE_READY, f->dir, m->off[f->dir], exchange, &m->response);
}

static size_t head_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t used = http_head_feed(&m->response, f->p, f->n, NULL, NULL);

	m->off[f->dir] += used;
	if (m->response.state == HTTP_BAD)
		response_bad(f);
	else if (m->response.state == HTTP_MORE)
		return used;
	else if (m->response.status == 101 && m->asked)
		response_switch(f);
	else if (m->response.status < 200)
		response_interim(f);
	else
		response_final(f);
	return used;
}

/* ---- bodies ---- */

static size_t body_bytes(struct feed *f)
{
	size_t n = phase_take_body(f, 1);

	if (!f->m->left[1])
		response_end(f);
	return n;
}

static size_t chunked_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	struct http_chunk *c = &m->resp.chunk;
	size_t used = phase_take_chunked(f, c);

	if (c->done)
		response_end(f);
	else if (c->bad && f->p && http_chunk_at_size(c) && f->p[used] == 'H')
		phase_response_over(m); /* another answer head where a chunk should start */
	else if (c->bad)
		response_bad(f);
	return used;
}

size_t phase_response_step(struct feed *f)
{
	struct phase_machine *m = f->m;

	switch ((enum resp_step)m->resp_step) {
	case RESP_IDLE:
		return idle_bytes(f);
	case RESP_HEAD:
		return head_bytes(f);
	case RESP_BODY:
		return body_bytes(f);
	case RESP_CHUNKED:
		return chunked_bytes(f);
	case RESP_FRAMES:
		return phase_frames_step(f, &m->resp.frame, &m->resp_step, RESP_RAW);
	case RESP_JUNK:
		if (is_pending(m)) {
			m->resp_step = RESP_IDLE;
			return 0;
		}
		break;
	case RESP_BODY_REST:
	case RESP_RAW:
	case RESP_LOST:
		break;
	}
	m->off[f->dir] += f->n;
	return f->n;
}
