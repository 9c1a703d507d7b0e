/* SPDX-License-Identifier: BSD-2-Clause
 *
 * quick: see quick.h.
 *
 * Why the phase machine need not see these bytes: it stands at the start of a frame, reads frames in
 * this direction (the bit is set by its own PHASE_FRAME and taken back by PHASE_STRAY), and whole data
 * frames without a fault leave it where it was, that many bytes further.  A Close frame changes the
 * phase and goes the long way.
 */
#include "shim/engine/quick.h"
#include "shim/engine/clock.h"
#include "shim/engine/counts.h"
#include "shim/engine/memo.h"
#include "shim/engine/observe.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"

#include <sys/socket.h>
#include <sys/uio.h>

enum {
	FRAMES = 4,			      /* of one call */
	PLAIN = CONN_COUNTING | CONN_PARTIAL, /* any of them, and no other */
	USUAL = CONN_RECORDING | CONN_RECORDED,
	ANY_STATE = CONN_PARTIAL | CONN_EARLY | CONN_FRAMES_RX | CONN_FRAMES_TX,
};

struct headers {
	uint32_t count;
	uint32_t size; /* of the record that holds them */
	struct {
		uint32_t rel, len;
	} header[FRAMES];
};

/* Find the frame headers of n bytes.  False unless they are whole, sound frames that change nothing. */
static bool find_headers(struct headers *h, const uint8_t *p, uint32_t n)
{
	uint32_t at = 0, have;
	uint64_t len;

	h->count = 0;
	h->size = sizeof(struct trace_data);
	while (at < n) {
		if (h->count == FRAMES)
			return false;
		have = ws_frame_head(p + at, n - at, &len);
		if (!have || (p[at] & 0x0f) == WS_CLOSE || len > n - at - have)
			return false;
		h->header[h->count].rel = at;
		h->header[h->count].len = have;
		h->count++;
		h->size += (uint32_t)(sizeof(struct trace_segment) + CORE_ALIGN8(have));
		at += have + (uint32_t)len;
	}
	return true;
}

static bool is_usual(const struct conn *c, const struct call *call, enum dir dir)
{
	const struct phase_machine *m = &c->machine;
	bool request = dir == (m->role == ROLE_SERVER ? DIR_RX : DIR_TX);
	const struct ws_frame *frame = request ? &m->req.frame : &m->resp.frame;
	uint16_t frames = (uint16_t)(CONN_FRAMES_RX << dir);

	return (c->bits & (frames | (uint16_t)~ANY_STATE)) == (frames | USUAL) &&
	       m->phase == PHASE_FRAMES && !frame->have && !c->missed[dir] &&
	       call_table[call->id].shape == SHAPE_FLAT && !engine.config.max_payload;
}

/* 2 to 14 bytes, to a place that is zero. */
static inline void copy_header(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (n >= 8) {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else {
		memcpy(to, from, 2);
	}
}

static inline void write_record(struct conn *c, const struct call *call, enum dir dir,
				const struct headers *h, uint64_t now)
{
	const uint8_t *from = (const uint8_t *)call->arg[1];
	struct trace_data *r;
	uint8_t *to;

	record_ensure_open(c, (int)call->arg[0]);
	r = recorder_begin(TRACE_DATA, h->size);
	if (!r)
		return;
	r->t_ns = now;
	r->off = c->machine.off[dir];
	r->conn = c->id;
	r->tid = clock_thread_at(call->place);
	r->moved = (uint32_t)call->ret;
	r->call = call->id;
	r->dir = (uint8_t)dir;
	r->segments = (uint8_t)h->count;
	to = (uint8_t *)(r + 1);
	for (uint32_t i = 0; i < h->count; i++) {
		struct trace_segment *seg = (struct trace_segment *)to;
		uint32_t n = h->header[i].len;

		seg->rel = h->header[i].rel;
		seg->len = n;
		copy_header((uint8_t *)(seg + 1), from + seg->rel, n);
		to += sizeof(*seg) + CORE_ALIGN8((size_t)n);
	}
	if (dir == DIR_RX && c->entered[dir] != (uint32_t)call->token)
		r->rec.flags = TRACE_DATA_OVERLAP;
	trace_publish(&r->rec);
}

bool quick_frames(struct conn *c, const struct call *call, enum dir dir)
{
	struct headers h;
	uint64_t now;

	if (!is_usual(c, call, dir) || call->ret > UINT32_MAX / 2 ||
	    !find_headers(&h, (const uint8_t *)call->arg[1], (uint32_t)call->ret))
		return false;
	now = observe_time(call, dir);
	write_record(c, call, dir, &h, now);
	c->machine.off[dir] += (uint64_t)call->ret;
	conn_moved(c, now);
	return true;
}

/* ---- plain messages ---- */

static struct span first_of(const struct iovec *iov, size_t count, uint64_t moved)
{
	if (!count)
		return (struct span){NULL, 0};
	return (struct span){iov->iov_base, iov->iov_len < moved ? iov->iov_len : moved};
}

/* The first run of the call's bytes, empty when it is not worth looking for. */
static struct span first_run(const struct call *call, uint64_t moved)
{
	const struct msghdr *m = (const struct msghdr *)call->arg[1];

	switch ((enum call_shape)call_table[call->id].shape) {
	case SHAPE_FLAT:
		return (struct span){(const uint8_t *)call->arg[1], moved};
	case SHAPE_IOV:
		return first_of((const struct iovec *)call->arg[1], (size_t)call->arg[2], moved);
	case SHAPE_MSG:
		return first_of(m->msg_iov, m->msg_iovlen, moved);
	case SHAPE_MMSG:
	case SHAPE_NONE:
		break;
	}
	return (struct span){NULL, 0};
}

static inline void count_request(struct conn *c, const struct call *call, enum dir dir, uint64_t n)
{
	c->ready = observe_ticks(call, dir);
	c->start[DIR_RX] = c->machine.off[DIR_RX];
	c->start[DIR_TX] = c->machine.off[DIR_TX];
	c->head_off = c->start[dir] -= n;
	if (recorder_header)
		__atomic_fetch_add(&recorder_header->exchanges, 1, __ATOMIC_RELAXED);
	c->bits |= CONN_COUNTING;
}

static inline void count_answer(struct conn *c, const struct call *call, enum dir dir,
				unsigned status)
{
	uint64_t took = clock_elapsed(c->ready, observe_ticks(call, dir));

	counts_add(c->route, status, took, c->machine.off[DIR_RX] - c->start[DIR_RX],
		   c->machine.off[DIR_TX] - c->start[DIR_TX]);
	c->bits &= (uint16_t)~CONN_COUNTING;
}

/* The first run of a call's bytes, when they may be a whole plain message; else empty. */
static inline struct span message_of(const struct conn *c, const struct call *call, enum dir dir,
				     uint64_t moved)
{
	struct span s = {NULL, 0};

	if ((c->bits & ~PLAIN) || c->heads || c->missed[dir] || engine.config.all)
		return s;
	s = first_run(call, moved);
	if (!(c->bits & CONN_COUNTING) && s.n != moved)
		s.n = 0;
	return s;
}

CORE_HOT bool quick_known(struct conn *c, const struct call *call, enum dir dir, uint64_t moved)
{
	struct span s = message_of(c, call, dir, moved);
	bool answer = c->bits & CONN_COUNTING;
	struct memo memo;

	if (!memo_find(answer ? HTTP_RESPONSE : HTTP_REQUEST, s.p, s.n, moved, &memo))
		return false;
	if (answer) {
		if (!phase_plain_answer(&c->machine, dir, s.p, s.n, moved, &memo.head))
			return false;
		count_answer(c, call, dir, memo.head.status);
	} else {
		if (!phase_plain_request(&c->machine, dir, s.p, s.n, &memo.head))
			return false;
		c->route = memo.route;
		count_request(c, call, dir, s.n);
	}
	conn_moved(c, 0);
	return true;
}

static inline bool new_request(struct conn *c, const struct call *call, enum dir dir, struct span s)
{
	enum http_method method;

	if (!phase_plain_request(&c->machine, dir, s.p, s.n, NULL))
		return false;
	count_request(c, call, dir, s.n);
	method = (enum http_method)c->machine.request.method;
	if (!counts_is(c->route, method, s.p, s.n))
		c->route = counts_route(method, s.p, s.n);
	if (c->route != COUNTS_NONE)
		memo_keep(HTTP_REQUEST, s.p, s.n, s.n, c->route);
	return true;
}

static inline bool new_answer(struct conn *c, const struct call *call, enum dir dir, struct span s,
			      uint64_t moved)
{
	const struct http_head *h = &c->machine.response;

	if (!phase_plain_answer(&c->machine, dir, s.p, s.n, moved, NULL))
		return false;
	count_answer(c, call, dir, h->status);
	memo_keep(HTTP_RESPONSE, s.p, h->len, moved, COUNTS_NONE);
	return true;
}

bool quick_plain(struct conn *c, const struct call *call, enum dir dir, uint64_t moved)
{
	struct span s = message_of(c, call, dir, moved);

	if (!s.n || !(c->bits & CONN_COUNTING ? new_answer(c, call, dir, s, moved)
					      : new_request(c, call, dir, s)))
		return false;
	conn_moved(c, 0);
	return true;
}
