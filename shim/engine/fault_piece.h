/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_piece: part of the bytes of a call, moved by calls of our own, for those whose length cannot be
 * changed by one argument, and for writes that may not become shorter because they block.
 *
 * (1) Memory of the application is read and written by the kernel alone: a bad pointer is EFAULT.
 * (2) A call of our own waits, times out and is interrupted as the application's would be; it is no point
 *     where a thread is cancelled.
 * (3) A stream that is written to by several threads keeps the pieces of one call together no more than the
 *     kernel would keep the parts of a long write.
 *
 * Source: readv(2), sendmsg(2), recvmsg(2), recvmmsg(2), sendfile(2), splice(2), tcp(7) (TCP_NODELAY).
 */
#ifndef SHIM_ENGINE_FAULT_PIECE_H
#define SHIM_ENGINE_FAULT_PIECE_H

#include "shim/engine/fault_act.h"

#include <sys/socket.h>

enum {
	FAULT_PART = 1u << 12, /* in call.flags: bytes of it moved already, by calls of our own */
};

/* What a send of ours adds: the kernel sends SIGPIPE for a call only that moved nothing. */
static inline uint32_t fault_piece_flags(const struct call *c, bool moved)
{
	return moved || (c->flags & FAULT_PART) ? MSG_NOSIGNAL : 0;
}

/* Bytes that c asks to move; -EFAULT when its lists cannot be read.  Of several messages those of the
 * first: more is never moved in one piece. */
int64_t fault_piece_total(const struct call *c);

/* Does c wait for its descriptor? */
bool fault_piece_blocks(const struct call *c);

/* Move n bytes of c, at most, from its byte `skip` on, by a call of our own; flags are added (MSG_*).
 * Returns the kernel's answer in bytes, or -errno.  What sendfile and splice move goes on where they were:
 * skip does not count there. */
int64_t fault_piece_move(const struct call *c, uint64_t skip, uint64_t n, uint32_t flags);

/* Answer c with what was moved in its place, or with -errno. */
void fault_piece_answer(struct call *c, int64_t moved);

/* The same for a read that found the end. */
void fault_piece_answer_end(struct call *c);

/* Copy bytes [skip, skip + n) of a write into to, or from `from` into the buffers of a read, whose kernel
 * call is not made.  Returns how many, or -EFAULT. */
int64_t fault_piece_get(const struct call *c, uint64_t skip, void *to, uint64_t n);
int64_t fault_piece_put(const struct call *c, uint64_t skip, const void *from, uint64_t n);

/* Could the kernel read the first n bytes of a write? */
bool fault_piece_readable(const struct call *c, uint64_t n);

/* Let c move no more than n bytes, n > 0.  True: make it, it is shorter now (c->changed).  False: it was
 * made and answered.  Not for a write that blocks and has more: that goes on with fault_piece_move. */
bool fault_piece_cap(struct call *c, uint64_t n);

/* slice as=segment: the first n bytes of a write leave in pieces, each in a segment of its own; began:
 * offset in the stream at which slicing began.  Answers c.  A descriptor that blocks: all n bytes, with
 * the gaps slept.  Another one: as much as the socket takes, and with a gap one piece only; how long
 * nothing may be written then is the caller's to see to. */
void fault_piece_segments(struct call *c, struct conn *conn, const struct fault_hit *h,
			  uint64_t began, uint64_t n);

#endif
