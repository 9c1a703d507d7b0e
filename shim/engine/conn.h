/* SPDX-License-Identifier: BSD-2-Clause
 *
 * conn: what is known about each open connection, and which descriptors mean it.
 *
 * (1) engine_fds[fd] is the number of a row here; rows 0 and 1 are never used (0: untracked, 1: text).
 * (2) A connection lives as long as one descriptor means it; its id is never used again, so a call
 *     that comes back late notices that its row belongs to somebody else.
 * (3) Row i here is row i of the table of connections in the trace file.
 * (4) Who changes a connection holds its try-lock; who does not get it goes on without.
 */
#ifndef SHIM_ENGINE_CONN_H
#define SHIM_ENGINE_CONN_H

#include "shim/engine/engine.h"
#include "shim/engine/recorder.h"
#include "core/exchange/phase.h"
#include "core/trace/mask.h"

enum {
	CONN_TEXT = 1,	/* engine_fds of descriptors 1 and 2 when they mean no connection */
	CONN_FIRST = 2, /* first row that is used */
};

enum conn_bit {
	CONN_RECORDING = 1u << 0, /* every call gets a record */
	CONN_RECORDED = 1u << 1,  /* an attempt of it was recorded */
	CONN_ATTEMPT = 1u << 2,	  /* an attempt waits for its answer */
	CONN_ASIDE = 1u << 3,	  /* not HTTP/1, or the machine gave up: only closing matters */
	CONN_PARTIAL = 1u << 4,
	CONN_EOF = 1u << 5,
	CONN_EITHER_ROLE = 1u << 6, /* the first byte that moves will tell */
	CONN_LATER = 1u << 7,	    /* earlier requests wait for answers: those are not recorded */
	CONN_COUNTING = 1u << 8,    /* a plain exchange is being counted */
	CONN_ANSWERED = 1u << 9,    /* ... and its answer head is complete: took holds the time */
	CONN_IN_HEAD = 1u << 10,    /* a request head has begun and is not complete */
	CONN_EARLY = 1u << 11,	    /* bytes came behind the request before its answer */
	CONN_FRAMES_RX = 1u << 12,  /* what arrives is read as frames, for certain */
	CONN_FRAMES_TX = 1u << 13,
	CONN_BLOT_RX =
		1u << 14, /* bytes were lost that the masker had to see: mask all that follow */
	CONN_BLOT_TX = 1u << 15,
};

/* conn.waits behind the answer, in Go. */
enum conn_reader {
	CONN_SETTLED = 6,  /* the handler has returned, and somebody waits or waited for bytes */
	CONN_RETURNED = 7, /* the handler has returned, and nobody was waiting for bytes */
	CONN_READER = 8,   /* + low bits of entered[DIR_RX]: that read, or a poll, still waits */
};

/* 440 bytes at most; 64 more lie in the file, and 4 in the table of descriptors. */
struct conn {
	struct phase_machine machine;
	/* What plain messages look at, together: with the end of the machine that is three or four
	 * lines of the cache. */
	uint32_t id;		/* 0: free */
	uint32_t entered[2];	/* counts calls entered: two at once are noticed by it */
	uint32_t last_what[2];	/* of the call that came back last: buffer and result, mixed; */
	uint16_t last_frame[2]; /* ... address of its struct call / 16 */
	uint32_t missed[2];	/* bytes moved by calls that did not get the lock, nor to wait */
	uint16_t bits;
	uint16_t route;
	uint8_t lock;
	uint8_t dying; /* set without the lock: free it when you unlock */
	uint8_t heads; /* 1 + slot of the pool of partial heads */
	uint8_t calls; /* not yet added to the header */
	union {
		uint64_t ready; /* when the head of the counted request was complete, in ticks */
		uint64_t took;	/* from there to the head of the answer, in nanoseconds */
	};
	union {
		/* Not recording: where both streams stood when the counted request began. */
		uint64_t start[2];
		/* Recording: of each direction, what lies before limit and from resume on. */
		struct {
			uint64_t limit[2], resume[2];
		};
	};
	uint64_t head_off; /* first byte of the request head read last */
	/* And the rest. */
	uint64_t cookie;
	uint64_t t_open;
	uint64_t open_stack; /* of the accept or connect */
	struct masker mask[2];
	uint32_t fd; /* one that means it; of a free row: the next free one */
	uint32_t listener;
	uint32_t epoch;	   /* half in which the OPEN record lies, 0: nowhere */
	uint32_t attempt;  /* ordinal of the attempt recorded last */
	uint16_t refs;	   /* descriptors */
	uint16_t owner;	   /* row of the text owners, 0: none */
	uint16_t call;	   /* that opened it */
	uint8_t waiting;   /* set without the lock: like heads, of a call that did not get it */
	uint8_t waits : 4; /* reads recorded before the answer; behind it enum conn_reader */
	uint8_t origin : 3;
	uint8_t witnessed : 1; /* counted in engine_attempts */
};
_Static_assert(sizeof(struct conn) <= 440, "memory per idle connection is a promise");

/* Map the table. False when there is no memory. */
bool conn_start(void);

/* A new connection with one descriptor; NULL when the table is full.  It is locked. */
struct conn *conn_new(uint32_t fd, enum role role, enum trace_origin origin, uint64_t now);

extern struct conn *conn_table;

static inline struct conn *conn_at(uint32_t row)
{
	return &conn_table[row];
}

static inline uint32_t conn_row(const struct conn *c)
{
	return (uint32_t)(c - conn_table);
}

/* The connection a descriptor means, NULL when it means none. */
static inline struct conn *conn_of(int fd)
{
	uint32_t row;

	if ((uint32_t)fd >= engine_fd_limit)
		return NULL;
	row = __atomic_load_n(&engine_fds[fd], __ATOMIC_ACQUIRE);
	return row >= CONN_FIRST ? &conn_table[row] : NULL;
}

uint32_t conn_rows(void); /* rows ever used end here */

/* What is left of the two below when somebody else is there. */
bool conn_lock_taken(struct conn *c);
void conn_unlock_dying(struct conn *c);

static inline bool conn_lock(struct conn *c)
{
	return !__atomic_exchange_n(&c->lock, 1, __ATOMIC_ACQUIRE) || conn_lock_taken(c);
}

/* Give the lock back; frees the row when its last descriptor is gone. */
static inline void conn_unlock(struct conn *c)
{
	if (!__atomic_load_n(&c->dying, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
		/* Whoever let go of the last descriptor meanwhile found the lock taken. */
		if (!__atomic_load_n(&c->dying, __ATOMIC_ACQUIRE) ||
		    __atomic_exchange_n(&c->lock, 1, __ATOMIC_ACQUIRE))
			return;
	}
	conn_unlock_dying(c);
}

/* The kernel's name of a socket, 0 when it has none. */
uint64_t conn_cookie(int fd);

/* Its row in the trace file, NULL when there is none to store to. */
static inline struct trace_connection *conn_file_row(const struct conn *c)
{
	return recorder_row(TRACE_CONNECTIONS_OFF, sizeof(struct trace_connection), conn_row(c));
}

/* Bring its row in the trace file up to date; t 0 keeps the time. */
void conn_show(const struct conn *c, uint64_t t);
void conn_show_all(void);
/* The same when nothing but the offsets and the phase changed. */
static inline void conn_moved(const struct conn *c, uint64_t t)
{
	struct trace_connection *row = conn_file_row(c);

	if (!row)
		return;
	if (t)
		row->t_last = t;
	row->off[DIR_RX] = c->machine.off[DIR_RX];
	row->off[DIR_TX] = c->machine.off[DIR_TX];
	row->phase = c->machine.phase;
}

#endif
