/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_plain: see the end of phase.h.
 *
 * Everything here must leave the machine as phase_feed would (tests/unit/test_phase.c compares them).
 * A head that turns out to be something else was scanned in vain: the long way begins every head
 * anew, so nothing has to be put back.
 */
#include "core/exchange/phase_internal.h"

/* Between messages, and nothing special ever happened. */
static bool is_calm(const struct phase_machine *m, const uint8_t *p)
{
	if (m->resp_step != RESP_IDLE || m->bits || m->foreign)
		return false;
	return m->req_step == REQ_IDLE ||
	       (m->req_step == REQ_SNIFF && !m->held && *p != 'P' && http_is_token(*p));
}

/* The head p begins with; NULL when it is not all there. */
static inline const struct http_head *whole_head(struct http_head *h, enum http_kind kind,
						 const uint8_t *p, size_t n)
{
	http_head_init(h, kind);
	(void)http_head_feed(h, p, n, NULL, NULL);
	return h->state == HTTP_DONE ? h : NULL;
}

CORE_HOT bool phase_plain_request(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n,
				  const struct http_head *known)
{
	const struct http_head *h = known;
	uint64_t len;

	if (dir != request_dir(m) || m->asked != m->answered || !is_calm(m, p) ||
	    !http_is_token(*p))
		return false;
	if (!h)
		h = whole_head(&m->request, HTTP_REQUEST, p, n);
	if (!h || h->len != n || h->version == 0x09 || h->method == HTTP_CONNECT ||
	    http_head_is_attempt(h) || http_request_body(h, &len))
		return false;
	m->off[dir] += n;
	m->pending[m->asked++ % PHASE_PENDING] = h->method;
	m->req_step = REQ_IDLE;
	m->phase = PHASE_BEFORE_RESPONSE;
	return true;
}

CORE_HOT bool phase_plain_answer(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n,
				 uint64_t moved, const struct http_head *known)
{
	uint8_t kind = m->pending[m->answered % PHASE_PENDING];
	const struct http_head *h = known;
	uint64_t len = 0;

	if (dir != answer_dir(m) || m->asked - m->answered != 1 || m->req_step != REQ_IDLE ||
	    !is_calm(m, p) || kind == HTTP_CONNECT || (kind & ~KIND_METHOD) || *p != 'H')
		return false;
	if (!h)
		h = whole_head(&m->response, HTTP_RESPONSE, p, n);
	if (!h || h->status < 200)
		return false;
	switch (http_response_body(h, (enum http_method)kind, &len)) {
	case HTTP_BODY_NONE:
	case HTTP_BODY_LENGTH:
		break;
	default:
		return false;
	}
	if (moved - h->len != len)
		return false;
	m->off[dir] += moved;
	m->answered++;
	m->last = kind;
	m->phase = PHASE_IDLE;
	return true;
}
