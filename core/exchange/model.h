/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/model: what a connection and its exchanges look like to the detection rules.
 *
 * Plain structs over memory somebody else owns.  tools/exchange builds them from a trace; the rules
 * in core/finding read them and nothing else, so a rule is a pure function.
 * Times are CLOCK_MONOTONIC nanoseconds.  Offsets are stream offsets: bytes since the connection
 * began, per direction.
 */
#ifndef CORE_EXCHANGE_MODEL_H
#define CORE_EXCHANGE_MODEL_H

#include "core/exchange/phase.h"
#include "core/fault/rule.h"
#include "core/http/view.h"

#define MODEL_NONE   UINT32_MAX /* no event */
#define MODEL_NO_OFF UINT64_MAX

enum event_kind {
	EVENT_OPEN,	/* accepted or connected */
	EVENT_DATA,	/* bytes moved */
	EVENT_WAIT,	/* a read was entered; a later DATA/EOF/FAILED of the same tid ends it */
	EVENT_EOF,	/* read returned 0: the peer's FIN */
	EVENT_FAILED,	/* a call returned an error: err */
	EVENT_SHUTDOWN, /* shutdown(WR or RDWR) */
	EVENT_CLOSE,	/* the last descriptor was closed; close_how */
	EVENT_DUP,	/* a further descriptor */
	EVENT_TEXT,	/* text written to fd 1 or 2 that may belong here */
	EVENT_WITNESS,	/* a function of the runtime was entered: witness, off, moved */
	EVENT_FAULT,	/* a rule acted, on purpose: fault; off: of the byte it acted at */
};

/* What the entry of a witness tells: the third column of witness.def. */
enum witness_what {
	WITNESS_UNKNOWN, /* a row of a newer version */
	WITNESS_ANSWER,	 /* the program decides what the answer is */
	WITNESS_BODY,	 /* the program asks for the body of the request */
	WITNESS_HIJACK,	 /* the program takes the connection over */
	WITNESS_RETURN,	 /* the handler has returned; moved 1: somebody waits for bytes */
};

enum close_how {
	CLOSE_CALL,   /* close and kin */
	CLOSE_UNSEEN, /* the descriptor was reused: somebody closed it where we could not see */
	CLOSE_EXEC,   /* close-on-exec */
	CLOSE_EXIT,   /* the process ended */
};

struct trace_fault; /* core/trace/layout.h */

/* A run of recorded bytes inside an event's bytes; what lies between segments was not recorded. */
struct segment {
	uint32_t rel; /* from the event's first byte */
	uint32_t len;
	const uint8_t *bytes;
};

struct event {
	uint64_t t_ns;	/* TX: when the call began; everything else: when it returned */
	uint64_t off;	/* DATA: stream offset of the first byte; WITNESS: goroutine, 0 unknown */
	uint64_t stack; /* id of a recorded stack, 0 for none */
	uint32_t moved; /* DATA: bytes the kernel moved; WITNESS: its first argument, 0 when none
			 * is kept, UINT32_MAX when it is larger */
	uint32_t tid;
	uint32_t record; /* ordinal of the record in its file: "event" in the JSON evidence */
	int32_t err;	 /* FAILED: errno */
	uint16_t call;	 /* row of calls.def */
	uint8_t kind;	 /* enum event_kind */
	uint8_t dir;	 /* enum dir */
	uint8_t flags;	 /* enum event_flag */
	uint8_t close_how;
	uint8_t fd;	 /* TEXT: 1 or 2 */
	uint8_t witness; /* WITNESS: enum trace_witness_id */
	uint32_t segments;
	union {
		const struct segment *segment;
		const struct trace_fault *fault; /* FAULT: the record itself */
	};
};

enum event_flag {
	EVENT_OVERLAP = 1u << 0, /* another thread was inside a read of this connection */
	EVENT_UNREAD = 1u << 1,	 /* CLOSE: input was still queued (the kernel will send RST) */
	EVENT_OWNER = 1u << 2,	 /* TEXT: written by a thread with exactly this one open attempt */
	EVENT_AFTER_SIGNAL =
		1u << 3,     /* the process is being shut down (launcher saw TERM/INT/QUIT) */
	EVENT_RAW = 1u << 4, /* DATA: told while somebody else was inside the connection */
};

/* A phase event pinned to the event whose bytes made it true; frame is a copy.
 * Of the frames, those are kept that a reader or a rule may ask for: control frames, frames with a
 * fault or RSV1, and the first MODEL_FRAMES of each direction; exchange.frames counts them all. */
struct mark {
	struct phase_event e; /* e.head and e.frame are NULL here: see exchange, and frame below */
	uint32_t event;	      /* index into connection.event */
	uint64_t t_ns;
	struct ws_frame frame; /* of PHASE_FRAME */
};

enum outcome {
	OUTCOME_UPGRADED, /* 101 written completely */
	OUTCOME_REFUSED,  /* final status 3xx, 4xx or other non-2xx below 500 */
	OUTCOME_IGNORED,  /* 2xx: treated as an ordinary request */
	OUTCOME_FAILED,	  /* 5xx, or an answer that is no answer (cut off, not HTTP) */
	OUTCOME_UNANSWERED, /* the server ended the connection, or observation ended after the limit, without an answer */
	OUTCOME_ABANDONED, /* the client left first */
	OUTCOME_PENDING,   /* observation ended before anything could be said */
};
const char *outcome_name(enum outcome o);

enum {
	MODEL_ANSWERS = 8, /* heads written for one request, interim ones included */
	MODEL_FRAMES = 6,
};

/* Views are never NULL; their field array is only as long as field_count, so copy the pointer, not
 * the struct. */
struct answer {
	const struct http_view *view;
	struct span bytes; /* the head as recorded (masked) */
	uint64_t off;	   /* first byte of the head, in its direction */
	uint64_t end;	   /* one past the head */
	uint64_t body_end; /* one past the body, MODEL_NO_OFF when it was not seen to end */
	uint32_t first_event, last_event; /* events that carried the head */
	uint64_t t_ns;
};

struct connection;

struct exchange {
	const struct connection *conn;
	uint32_t ordinal; /* request number on the connection, from 0 */
	bool attempt;
	bool websocket; /* Upgrade: websocket, or Sec-WebSocket-* fields */
	enum outcome outcome;
	const struct http_view
		*request; /* never NULL; empty when no byte of the head was recorded */
	struct span request_bytes;
	uint64_t req_off, req_head_end, req_end; /* MODEL_NO_OFF: not reached */
	uint64_t early_off; /* first byte behind the request before the answer */
	uint32_t answers;
	struct answer *answer; /* answers of them, in the order written; the last may be partial */
	const struct answer *final; /* first answer that is 101 or not 1xx; NULL when none */
	uint64_t t_start, t_head, t_answer, t_switched;	    /* 0: never */
	uint32_t ev_start, ev_head, ev_answer, ev_switched; /* event indices, MODEL_NONE: never */
	uint32_t ev_end;	       /* one past the last event of this exchange */
	uint32_t mark_start, mark_end; /* half-open range of connection.mark */
	uint64_t frames[2];	       /* frames begun, by direction */
	uint64_t off_switched
		[2]; /* behind the switch: first offset of each direction, MODEL_NO_OFF */
};

struct connection {
	uint32_t id;	 /* unique within the process image */
	uint64_t cookie; /* SO_COOKIE, 0 unknown */
	enum role role;
	char peer[64], local[64]; /* printable addresses */
	uint32_t fd;
	bool partial; /* not everything was seen; partial_reason says why */
	const char *partial_reason;
	enum phase_foreign foreign;
	uint32_t events, marks, exchanges;
	struct event *event; /* ordered by t_ns, ties in record order */
	struct mark *mark;
	struct exchange *exchange;
	uint32_t ev_eof, ev_close, ev_reset, ev_shutdown; /* first of each, MODEL_NONE */
	uint64_t rx_end, tx_end;			  /* bytes moved in all */
	uint64_t t_open;
	uint64_t
		spoke_first; /* bytes of the answering side, not recorded, before the first request */
	bool held;	     /* the process's own table says it is open */
	bool overlapped;     /* some event has EVENT_OVERLAP */
	bool texts;	     /* some event is EVENT_TEXT */
	bool witnesses;	     /* some event is EVENT_WITNESS */
	bool faults;	     /* some event is EVENT_FAULT */
	bool shared;	     /* another process may hold a copy (fork while open): closing proves
				 * nothing about the peer */
	const struct connection *relay; /* the other leg, NULL when none was found */
};

/* One process image: the unit a rule may look across (relay pairs, equal timeouts). */
struct process {
	uint32_t pid;
	uint64_t t_begin, t_end; /* observation */
	bool alive;		 /* still running when the trace was read */
	bool exited;		 /* its end was seen */
	int exit_status;	 /* wait(2) status, valid with exited and status_known */
	bool status_known;
	bool closes_unseen;  /* descriptors may have been closed where we could not see */
	bool answers_unseen; /* some of its calls go past us, and no byte it wrote was ever seen */
	uint64_t t_signal;   /* when the launcher saw or sent TERM/INT/QUIT/HUP, 0 never */
	uint32_t connections;
	struct connection *connection;
};

/* Recorded bytes of one event from stream offset off on; empty when that byte was not recorded. */
struct span model_event_bytes(const struct event *e, uint64_t off);

/* Copy up to n recorded bytes of one direction, from stream offset off on, looking at events from
 * index from on.  Returns how many there are without a hole. */
size_t model_bytes(const struct connection *c, enum dir dir, uint64_t off, uint32_t from, void *ret,
		   size_t n);

/* The event that moved the byte at off, searching from index from on; MODEL_NONE. */
uint32_t model_event_at(const struct connection *c, enum dir dir, uint64_t off, uint32_t from);

/* What kind of witness the event is; WITNESS_UNKNOWN for other events. */
enum witness_what model_witness_what(const struct event *e);
/* The function that was entered; NULL for other events and rows this version does not know. */
const char *model_witness_function(const struct event *e);

/* The witness that decided what the answer is, of those entered before its first byte: where the
 * server buffers, its stack tells who answered, and the stack of the write does not.  Index of the
 * event, MODEL_NONE when there is none.  a is an answer of x. */
uint32_t model_author(const struct exchange *x, const struct answer *a);

/* The first witness of that kind in the exchange at or behind index from; MODEL_NONE. */
uint32_t model_witness_next(const struct exchange *x, enum witness_what what, uint32_t from);

/* Which fault of this version it was, by its name; FAULT_COUNT for other events and unknown ones. */
enum fault_id model_fault(const struct event *e);

/* The exchange of the relay's other connection that belongs to this one; NULL when there is none. */
const struct exchange *model_other_leg(const struct exchange *x);

#endif
