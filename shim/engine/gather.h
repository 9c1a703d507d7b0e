/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gather: the bytes a call moved, wherever the application put them: one buffer, several, or several
 * messages.  Only what the kernel really moved is touched, and only after it did.
 */
#ifndef SHIM_ENGINE_GATHER_H
#define SHIM_ENGINE_GATHER_H

#include "shim/engine/engine.h"

struct iovec;
struct mmsghdr;

/* A place in those bytes; copy it freely. */
struct gather {
	const uint8_t *p;
	size_t n; /* of the current buffer */
	const struct iovec *iov;
	const struct mmsghdr *msg;
	uint64_t left;	   /* bytes of the current message behind n */
	uint32_t iovs;	   /* buffers behind the current one */
	uint32_t messages; /* messages behind the current one */
};

/* Bytes the call moved in all; 0 when it moved nothing. */
uint64_t gather_moved(const struct call *c);

/* Did the application ask for at least one byte? */
bool gather_asked(const struct call *c);

/* Flags of the recv and send family, 0 for other calls. */
uint32_t gather_flags(const struct call *c);

/* Start at the first byte. c->ret is set and positive. */
void gather_init(struct gather *g, const struct call *c);

/* The next run of at most max bytes that lie together; empty at the end. */
struct span gather_next(struct gather *g, size_t max);

/* Pass over n bytes. */
void gather_skip(struct gather *g, uint64_t n);

#endif
