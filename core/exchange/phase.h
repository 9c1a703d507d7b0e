/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase: the phase machine.  Bytes of both directions of one connection go in, as they
 * moved; what they mean comes out through a sink.
 *
 * (1) The state is at most 256 bytes, holds no pointer, and may be copied: feed a copy to learn what
 *     bytes would mean, feed the original when the kernel took them.
 * (2) Any split of the bytes, within a direction, gives the same events at the same offsets.
 * (3) Both roles use the same machine: the request stream is RX for a server and TX for a client.
 * (4) While an attempt without an answer is open, bytes behind its request are read both ways at
 *     once, as frames and as a next request; the answer decides which reading was true.  Nothing is
 *     reported from the reading that lost.  A complete request head settles it before the answer: it
 *     cannot be frames.  Of frames that were complete before the switch the last one is reported.
 * (5) What is not HTTP/1 is set aside (PHASE_FOREIGN), never guessed at.
 *
 * Source: RFC 9112 (framing, pipelining, persistence), RFC 9110 sections 7.8, 10.1.1 and 15.2,
 * RFC 6455 sections 4 and 5, RFC 8441; the PROXY protocol specification, versions 1 and 2.
 */
#ifndef CORE_EXCHANGE_PHASE_H
#define CORE_EXCHANGE_PHASE_H

#include "core/http/chunk.h"
#include "core/http/head.h"
#include "core/websocket/frame.h"

enum phase {
#define PHASE(id, name, starts, ends) PHASE_##id,
#include "core/exchange/phase.def"
#undef PHASE
	PHASE_COUNT,
};

const char *phase_name(enum phase p);			 /* never NULL */
bool phase_from_name(struct span name, enum phase *ret); /* kebab-case */

/* What the machine tells its sink.  START, EARLY, FRAME, STRAY, UNASKED, SET_ASIDE, BLIND: off is the
 * first byte (SET_ASIDE after a switch: the first behind the 101).  READY, END, SWITCHED, PREFIX: off is one past the last byte.  BAD_*: off is the offending byte.
 * When bytes both change the phase and mean something, PHASE_CHANGE is told first. */
enum phase_what {
	PHASE_CHANGE,	      /* phase is the new one; off is its first byte in dir */
	PHASE_REQUEST_START,  /* a request head begins (empty lines before it are passed over) */
	PHASE_REQUEST_READY,  /* request head complete: head */
	PHASE_REQUEST_END,    /* last byte of the body (or of the head without one) */
	PHASE_RESPONSE_START, /* first byte of an answer head, interim or final */
	PHASE_RESPONSE_READY, /* answer head complete: head; status 1xx other than 101 is interim */
	PHASE_RESPONSE_END,   /* of a final answer; neither interim answers nor a 101 have one */
	PHASE_EARLY,	      /* first byte behind an open attempt's request; off is that byte */
	PHASE_SWITCHED,	      /* 101 complete; follows its RESPONSE_READY */
	PHASE_FRAME,	 /* a frame header is complete: frame; off is the header's first byte */
	PHASE_FRAME_END, /* its payload is complete */
	PHASE_STRAY,	 /* bytes that are no frame where one must start; that direction is only
				 counted from here on */
	PHASE_UNASKED,	 /* answer bytes although no request waits for an answer.  RESPONSE_START
				 follows when they look like a head: exchange is the last answered */
	PHASE_BAD_REQUEST, /* request bytes that do not parse: head->error; no request is read after */
	PHASE_BAD_RESPONSE, /* answer bytes that do not start with HTTP/ or do not parse: head */
	PHASE_SET_ASIDE,    /* not HTTP/1: foreign says what; the machine looks no further */
	PHASE_PREFIX,	    /* a PROXY protocol prefix was skipped; off is its end */
	PHASE_BLIND,	    /* a skip hit bytes that had to be seen: no phase from here on */
};

enum phase_foreign {
	PHASE_FOREIGN_NONE,
	PHASE_FOREIGN_TLS,   /* first bytes 16 03 */
	PHASE_FOREIGN_HTTP2, /* PRI * HTTP/2.0 */
	PHASE_FOREIGN_HTTP09,
	PHASE_FOREIGN_OTHER,	/* first byte cannot start a request line */
	PHASE_FOREIGN_SWITCHED, /* switched to a protocol without frames we know (h2c, tcp, spdy) */
};

struct phase_event {
	enum phase_what what;
	enum phase phase;	      /* the phase after the event */
	enum dir dir;		      /* direction whose bytes made it true */
	uint64_t off;		      /* stream offset in that direction */
	uint32_t exchange;	      /* ordinal of the request on this connection, from 0 */
	uint32_t foreign;	      /* enum phase_foreign, PHASE_SET_ASIDE only */
	const struct http_head *head; /* valid during the call; NULL where not named above */
	const struct ws_frame *frame;
};
typedef void phase_sink(void *ctx, const struct phase_event *e);

enum phase_end {
	PHASE_END_EOF,	    /* RX: the peer's FIN was delivered */
	PHASE_END_RESET,    /* the connection broke; both directions end */
	PHASE_END_SHUTDOWN, /* TX: we sent FIN */
	PHASE_END_CLOSE,    /* last descriptor closed; both directions end */
};

enum {
	PHASE_PENDING = 16, /* pipelined requests that may wait for answers; more is PHASE_BLIND */
};

struct phase_machine {
	struct http_head request;  /* of the request stream */
	struct http_head response; /* of the answer stream */
	union {
		struct http_chunk chunk;
		struct ws_frame frame; /* also the early reading of (4) */
		uint8_t prefix[24];    /* PROXY protocol */
	} req;
	union {
		struct http_chunk chunk;
		struct ws_frame frame;
	} resp;
	uint64_t off[2];   /* bytes taken so far, by enum dir */
	uint64_t left[2];  /* body bytes still to come, 0: request stream, 1: answer stream; during
				(4) left[0] is the offset where the next request would begin */
	uint32_t asked;	   /* requests begun */
	uint32_t answered; /* requests answered */
	uint8_t pending[PHASE_PENDING]; /* method and kind of each unanswered request, a ring */
	uint8_t role;
	uint8_t phase;
	uint8_t req_step;
	uint8_t resp_step;
	uint8_t foreign;
	uint8_t bits;
	uint8_t held; /* bytes in req.prefix: too few yet to tell what the connection speaks */
	uint8_t last; /* method and kind of the request answered last */
};

_Static_assert(sizeof(struct phase_machine) <= 256, "the state must stay cheap to copy");

/* Start a connection whose first byte has not moved yet. */
void phase_init(struct phase_machine *m, enum role role);

/* The next n bytes of direction dir, as the kernel moved them. */
void phase_feed(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n, phase_sink *sink,
		void *ctx);

/* The next n bytes moved but cannot be seen (sendfile, splice, payload left out of a trace).  Inside
 * a body or a payload this is exact; elsewhere it ends in PHASE_BLIND. */
void phase_skip(struct phase_machine *m, enum dir dir, uint64_t n, phase_sink *sink, void *ctx);

/* A direction, or both, ended. */
void phase_end(struct phase_machine *m, enum dir dir, enum phase_end how, phase_sink *sink,
	       void *ctx);

/* The short way, for what nearly every server does nearly all the time: on a connection between
 * messages one call carries exactly one request without a body that asks for no switch; or the whole
 * final answer to the only waiting request.  When that is so the machine stands where phase_feed would
 * have left it and true is returned; nothing is told to anybody.  False: feed the bytes, all of them.
 *   p, n     not empty; of an answer the first run of bytes, which must hold the whole head
 *   moved    bytes of the answer's call in all; those behind n are not looked at
 *   known    what http_head_feed makes of the head that p begins with, from somebody who knows it
 *	      already; NULL: it is read.  Only the result of that reading is not where phase_feed
 *	      leaves it, in request or response, which nobody asks for between messages */
bool phase_plain_request(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n,
			 const struct http_head *known);
bool phase_plain_answer(struct phase_machine *m, enum dir dir, const uint8_t *p, size_t n,
			uint64_t moved, const struct http_head *known);

static inline enum phase phase_now(const struct phase_machine *m)
{
	return (enum phase)m->phase;
}

/* The oldest unanswered request is an upgrade attempt whose head is complete. */
bool phase_attempt_open(const struct phase_machine *m);
/* The switch happened (whatever the protocol). */
bool phase_is_switched(const struct phase_machine *m);
/* The switch was to WebSocket, so frames are decoded. */
bool phase_is_framed(const struct phase_machine *m);
/* Neither requests nor answers are read any more: PHASE_BLIND was told, or PHASE_SET_ASIDE without a
 * switch. */
bool phase_is_blind(const struct phase_machine *m);

#endif
