/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act: what faults do, once it is decided that they do it, at the first byte of a call.
 *
 * (1) Each function carries one fault out, writes its FAULT record and counts it; nothing of it is left to
 *     do behind the call but what it leaves in the connection's fault_conn.
 * (2) What it injects is legal by the call's contract, unless the rule says illegal=yes: no EAGAIN where the
 *     descriptor blocks, no error that the call cannot give.  What is not legal is refused, with a record
 *     that says so (FAILED).
 * (3) The connection is not locked by the caller: some of it waits, as the call itself would.
 * (4) The trace shows what the application's calls did; of what was different on the wire the FAULT record
 *     tells.  The phase machine is fed so that it stays true to what both sides meant:
 *         written and dropped     fed: the application believes that it was sent
 *         arrived and dropped     not fed: the application never saw it
 *         inserted, either way    not fed: nobody meant it
 *         corrupted, either way   fed as it was meant
 *         a frame that is split   fed as the application has it: out as one frame, in as its pieces
 */
#ifndef SHIM_ENGINE_FAULT_ACT_H
#define SHIM_ENGINE_FAULT_ACT_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

#include "core/fault/decide.h"
#include "core/trace/control.h"

/* A rule, one of its faults, and what they were decided about. */
struct fault_hit {
	const struct fault_rule *rule;
	const struct fault_act *act;
	struct control_stat *stat; /* NULL: the page is full */
	struct fault_unit unit;
	uint64_t drawn;
	uint64_t off;  /* stream offset in dir of the first byte it acts on */
	uint32_t n;    /* place of the rule in its list */
	uint8_t phase; /* enum phase */
	uint8_t dir;
	uint8_t spare[2];
};

/* What faults have done to a connection and still do until it ends; a row per row of connections. */
struct fault_conn {
	uint32_t id; /* of the connection these facts are about; another one: they are void */
	uint64_t drop_until
		[2]; /* 0: nothing is thrown away; UINT64_MAX: for good; else drop_then follows */
	uint64_t limit_at[2]; /* 0: none; 1 + offset from which on no byte passes */
	uint8_t drop_then[2], limit_then[2];
	uint8_t ended[2]; /* errno that this direction answers from now on, 255: end of file */
	uint8_t again_error[2]; /* an injected error that comes again, */
	uint32_t again[2];	/* ... so many times in a row */
	struct fault_hit on[2]; /* who began that: for its records */
	/* Bytes that are nobody's, on their way: an insert, a frame, the headers of a split one. */
	struct fault_own {
		struct fault_hit hit;
		uint64_t len, done; /* done < len: they come before anything else */
		struct fault_split {
			uint64_t len, at;    /* payload of the frame in all, and what of it moved */
			uint64_t size;	     /* of a piece, 0: nothing is split */
			uint8_t first, mask; /* first byte of its header; bit 7: it is masked, */
			uint8_t key[4];	     /* ... with that */
			uint8_t skip; /* bytes of the header that the application wrote and nobody sent yet */
			uint8_t spare;
		} split;
	} own[2];
};

/* The row of a connection, void ones started anew; NULL without memory, or when somebody else takes very long
 * to start it. */
struct fault_conn *fault_conn_of(struct conn *conn);

/* Write the record (and make sure that the connection has one), count it: ACTED and BEGAN are hits, ENDED
 * adds the time waited, SHADOWED is counted as that.  conn may be NULL.
 *   what	enum trace_fault_what, with FAULT_TELL_ILLEGAL where the call's contract does not allow it
 *   value	trace_fault.value */
enum {
	FAULT_TELL_ILLEGAL = 1 << 8,
	FAULT_TELL_SAME = 1 << 9, /* of a hit that was counted: its record only */
};
void fault_tell(const struct call *c, struct conn *conn, const struct fault_hit *h, unsigned what,
		int64_t value);

/* At the entry of a call that moves bytes.  True: go on with the call, which may have become shorter.
 * False: answered. */
bool fault_act_outcome(struct call *c, struct conn *conn, const struct fault_hit *h);
bool fault_act_shape(struct call *c, struct conn *conn,
		     const struct fault_hit *h); /* corrupt, insert, frame */
bool fault_act_process(struct call *c, struct conn *conn,
		       const struct fault_hit *h); /* pause, kill, signal */

/* What goes on: drop, limit, a direction that ended.  Asked before any rule. */
bool fault_act_goes_on(struct call *c, struct conn *conn, enum dir dir);

/* Behind the last byte of a phase (".end"), or the byte before an offset, at exit: what ends or cuts the
 * connection, what befalls the process; an error is that of the next call in that direction. */
void fault_act_behind(const struct call *c, struct conn *conn, const struct fault_hit *h);

/* At the exit of a read: change what arrived (corrupt). */
void fault_act_read(struct call *c, struct conn *conn, const struct fault_hit *h);

/* accept, connect and other named calls; conn may be NULL. */
bool fault_act_call(struct call *c, struct conn *conn, const struct fault_hit *h);

/* A close was answered with an error: the descriptor is closed all the same. */
void fault_act_closed(struct call *c);

#endif
