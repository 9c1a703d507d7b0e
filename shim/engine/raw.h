/* SPDX-License-Identifier: BSD-2-Clause
 *
 * raw: bytes of calls that found somebody else inside their connection.
 *
 * (1) While a connection is recorded they are told at once, in a record of their own without the lock:
 *     its place among the others is found by who reads the trace.  It carries bytes only where they
 *     begin a head, for nothing else can be masked without knowing what came before.
 * (2) They are also kept, in the pool of partial heads, until the next call gets the lock and leads
 *     the phase machine and the masker over them.  One call per connection waits so; more, and what
 *     cannot be kept, is counted in conn.missed, which comes after the call that waits.
 */
#ifndef SHIM_ENGINE_RAW_H
#define SHIM_ENGINE_RAW_H

#include "shim/engine/conn.h"

/* The lock was not to be had.  stack: of the call, 0 none.  hidden: the bytes cannot be seen. */
void raw_moved(struct conn *c, const struct call *call, enum dir dir, uint64_t moved, bool hidden,
	       uint64_t stack);

/* A call that waited, in its slot of the pool. */
struct raw {
	struct call call; /* with its place, though the stack behind it is gone */
	struct call_place place;
	uint64_t t, stack;
	uint32_t moved, len; /* len: bytes that follow, at most moved */
	uint32_t tid;
	uint8_t dir;
	bool told; /* a record of it was written */
	uint8_t slot;
	uint8_t spare;
};

static inline bool raw_waits(const struct conn *c)
{
	return __atomic_load_n(&c->waiting, __ATOMIC_RELAXED) != 0;
}

/* Take the call that waits; the lock is held.  NULL: there is none.  raw_done ends it, and wants no more
 * than its call. */
const struct raw *raw_take(struct conn *c);
void raw_done(const struct call *call);

#endif
