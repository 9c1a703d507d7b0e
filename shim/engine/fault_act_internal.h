/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_internal: between the files of fault_act only.
 */
#ifndef SHIM_ENGINE_FAULT_ACT_INTERNAL_H
#define SHIM_ENGINE_FAULT_ACT_INTERNAL_H

#include "shim/engine/fault_act.h"
#include "shim/engine/fault_piece.h"

enum {
	FAULT_SCRATCH = 16 * 1024,
	FAULT_EOF = 255, /* in fault_conn.ended */
};

/* Until the socket takes bytes: 0, or -errno. */
int64_t fault_wait_out(int fd);

/* Memory for bytes that the application has no room for.  NULL: all is taken. */
uint8_t *fault_scratch_take(void);
void fault_scratch_give(uint8_t *p);

/* That memory, or a little on the stack when others have all of it. */
struct fault_room {
	uint8_t *p;
	uint64_t n;
	uint8_t little[128];
};
void fault_room_take(struct fault_room *r);
void fault_room_give(const struct fault_room *r);

/* The descriptor of c that means the connection in that direction. */
static inline int fault_fd(const struct call *c, enum dir dir)
{
	return (int)c->arg[call_table[c->id].op == OP_SPLICE && dir == DIR_TX ? 2 : 0];
}

/* Any descriptor that means it; -1: there is none any more. */
int fault_fd_of(const struct conn *conn);

/* Count bytes that a fault took, changed or added. */
void fault_count_bytes(const struct fault_hit *h, uint64_t n);

/* pause, kill, signal. */
void fault_process(const struct call *c, struct conn *conn, const struct fault_hit *h);

/* ---- errors ---- */

/* Answer with an error, as the kernel would: EPIPE comes with its signal. */
void fault_answer_error(struct call *c, int err);

/* eagain, eintr, error, retval.  conn may be NULL. */
bool fault_fail(struct call *c, struct conn *conn, const struct fault_hit *h);
/* The next call in that direction fails so. */
void fault_fail_next(struct fault_conn *fc, const struct fault_hit *h);
/* The next of several in a row. */
bool fault_fail_again(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir);

/* ---- ends ---- */

/* Read what is there, and throw it away.  *ret_dropped: bytes.  Returns the last answer of the kernel: 0 at
 * the end of the stream, -EAGAIN when nothing is left; positive: there is more than is reasonable. */
int64_t fault_drain(int fd, uint64_t *ret_dropped);

/* close, half_close, reset, on a descriptor that means the connection.  c's answer is not touched. */
void fault_end(const struct call *c, struct conn *conn, struct fault_conn *fc,
	       const struct fault_hit *h, int fd);
/* The same at the first byte of a call. */
bool fault_end_now(struct call *c, struct conn *conn, struct fault_conn *fc,
		   const struct fault_hit *h);

/* What follows a drop or a limit. */
void fault_then(struct fault_conn *fc, enum dir dir, enum fault_then then, int fd);

/* A direction that ended although the kernel does not know it.  Answers c. */
void fault_ended(struct call *c, struct fault_conn *fc, enum dir dir);

/* ---- bytes that do not arrive ---- */

/* What this call has vanishes with fault_drop; what follows, if a time was given, is seen to. */
void fault_drop_begin(struct conn *conn, struct fault_conn *fc, const struct fault_hit *h);
bool fault_drop(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir, bool first);
void fault_limit_begin(struct fault_conn *fc, const struct fault_hit *h);
/* Behind a call: it may be reached already. */
void fault_limit_behind(const struct call *c, struct conn *conn, struct fault_conn *fc,
			const struct fault_hit *h);
bool fault_limit(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir);

/* ---- other bytes ---- */

bool fault_corrupt_write(struct call *c, struct conn *conn, struct fault_conn *fc,
			 const struct fault_hit *h);

bool fault_insert(struct call *c, struct conn *conn, struct fault_conn *fc,
		  const struct fault_hit *h);
bool fault_frame(struct call *c, struct conn *conn, struct fault_conn *fc,
		 const struct fault_hit *h);

/* Nothing of it could be done now: with the next write. */
void fault_own_keep(struct fault_conn *fc, const struct fault_hit *h);

/* Move what is left of these, then what belongs to a frame that is split.  True: nothing is in c's way. */
bool fault_own_goes_on(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir);

#endif
