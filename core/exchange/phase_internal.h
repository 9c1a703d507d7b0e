/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_internal: what the files of the phase machine share.
 *
 *     phase.c           the loop, the derived phase, ends
 *     phase_sniff.c     first bytes of a connection: prefix, TLS, HTTP/2
 *     phase_request.c   request stream, early bytes included
 *     phase_response.c  answer stream, the switch
 *     phase_frames.c    frames of either stream
 *     phase_plain.c     whole plain messages, the short way
 *
 * The phase is never set: it is derived from the steps of both streams (phase_settle), so no order of
 * events can leave the two in contradiction.
 */
#ifndef CORE_EXCHANGE_PHASE_INTERNAL_H
#define CORE_EXCHANGE_PHASE_INTERNAL_H

#include "core/exchange/phase.h"

enum req_step {
	REQ_SNIFF,	/* what does this connection speak? */
	REQ_PROXY_LINE, /* PROXY protocol v1: up to LF */
	REQ_PROXY_DATA, /* v2: left[0] bytes */
	REQ_IDLE,
	REQ_HEAD,
	REQ_BODY, /* left[0] bytes */
	REQ_CHUNKED,
	REQ_BODY_REST, /* nobody can tell where it ends */
	REQ_EARLY,     /* behind the request of an open attempt */
	REQ_FRAMES,
	REQ_RAW, /* only counted */
};

enum resp_step {
	RESP_IDLE,
	RESP_HEAD,
	RESP_BODY, /* left[1] bytes */
	RESP_CHUNKED,
	RESP_BODY_REST, /* up to the end of the connection */
	RESP_JUNK,	/* nobody asked; passed over until somebody does */
	RESP_FRAMES,
	RESP_RAW,  /* only counted */
	RESP_LOST, /* did not parse; only counted */
};

enum phase_bit {
	BIT_SWITCHED = 1u << 0,
	BIT_FRAMED = 1u << 1,
	BIT_MOVED = 1u << 2, /* bytes moved since the switch */
	BIT_CLOSING = 1u << 3,
	BIT_EARLY = 1u << 4,   /* REQ_EARLY has seen a byte: both readings are under way */
	BIT_UNASKED = 1u << 5, /* the answer being read belongs to no waiting request */
	BIT_BLIND = 1u << 6,
};

enum pending_kind { /* of a request in phase_machine.pending */
	KIND_METHOD = 0x0f,
	KIND_ATTEMPT = 0x10,
	KIND_WEBSOCKET = 0x20,
};

/* One call of the public interface.  p is NULL when the bytes cannot be seen. */
struct feed {
	struct phase_machine *m;
	phase_sink *sink;
	void *ctx;
	const uint8_t *p;
	size_t n;
	const uint8_t *rest; /* continues here once held bytes were read again */
	size_t rest_n;
	enum dir dir;
	uint8_t held[24];
};

static inline enum dir request_dir(const struct phase_machine *m)
{
	return m->role == ROLE_SERVER ? DIR_RX : DIR_TX;
}

static inline enum dir answer_dir(const struct phase_machine *m)
{
	return m->role == ROLE_SERVER ? DIR_TX : DIR_RX;
}

/* At least one request waits for its answer. */
static inline bool is_pending(const struct phase_machine *m)
{
	return m->asked != m->answered;
}

static inline bool in_response_body(const struct phase_machine *m)
{
	return m->resp_step == RESP_BODY || m->resp_step == RESP_CHUNKED ||
	       m->resp_step == RESP_BODY_REST;
}

/* Ordinals: the request read last, and the request the current answer is for. */
static inline uint32_t request_ordinal(const struct phase_machine *m)
{
	return m->asked - 1;
}

static inline uint32_t answer_ordinal(const struct phase_machine *m)
{
	bool last = (m->bits & (BIT_UNASKED | BIT_SWITCHED)) || !is_pending(m);

	return last && m->answered ? m->answered - 1 : m->answered;
}

/* Pass over bytes of a body with a length (left[stream] counts down), or of a chunked one. */
static inline size_t phase_take_body(struct feed *f, unsigned stream)
{
	struct phase_machine *m = f->m;
	size_t n = f->n < m->left[stream] ? f->n : (size_t)m->left[stream];

	m->left[stream] -= n;
	m->off[f->dir] += n;
	return n;
}

static inline size_t phase_take_chunked(struct feed *f, struct http_chunk *c)
{
	size_t used;

	if (f->p) {
		used = http_chunk_feed(c, f->p, f->n);
	} else {
		used = f->n < c->left ? f->n : (size_t)c->left;
		http_chunk_skip(c, used);
	}
	f->m->off[f->dir] += used;
	return used;
}

/* phase.c */
void phase_tell(struct feed *f, enum phase_what what, enum dir dir, uint64_t off,
		uint32_t exchange);
void phase_tell_head(struct feed *f, enum phase_what what, enum dir dir, uint64_t off,
		     uint32_t exchange, const struct http_head *head);
void phase_tell_frame(struct feed *f, enum phase_what what, enum dir dir, uint64_t off,
		      const struct ws_frame *frame);
void phase_settle(struct feed *f, enum dir dir, uint64_t off);
void phase_set_aside(struct feed *f, enum phase_foreign foreign, uint64_t off);
void phase_give_up(struct feed *f);

/* Each consumes what its step can take of f->p, f->n and returns how much; 0 when only the step
 * changed.  Offsets are moved on before anything is told. */
size_t phase_sniff_step(struct feed *f);
size_t phase_request_step(struct feed *f);
size_t phase_response_step(struct feed *f);

/* Read the held bytes again, as a request; then go on with f->p. */
void phase_sniff_release(struct feed *f);

/* The current answer is over: the next byte starts another one. */
void phase_response_over(struct phase_machine *m);

/* The answer to the last request is final and no 101: early bytes were a next request. */
void phase_request_refused(struct feed *f);
/* The 101 is complete: early bytes were frames. */
void phase_request_switched(struct feed *f);

size_t phase_frames_step(struct feed *f, struct ws_frame *frame, uint8_t *step, uint8_t raw);
void phase_frames_early(struct feed *f);
void phase_frames_confirm(struct feed *f);

#endif
