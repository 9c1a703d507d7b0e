/* SPDX-License-Identifier: BSD-2-Clause
 *
 * state: what the whole engine shares: is it on, whose process is this, what was it asked to do.
 */
#ifndef SHIM_ENGINE_STATE_H
#define SHIM_ENGINE_STATE_H

#include "shim/engine/config.h"
#include "shim/engine/engine.h"

struct engine_state {
	bool active; /* false: every call goes straight through */
	bool quiet;  /* a seccomp filter may be there: no system call of our own any more */
	uint32_t pid;
	bool marked; /* mark is a timer of this process's */
	int32_t mark;
	uint32_t parent; /* pid we were forked from, 0 for an image that was executed */
	uint32_t door;
	uint32_t forks; /* children made so far: open connections may have further owners */
	uint64_t t_load;
	uint64_t t_quiet; /* when quiet was set: from then on even the clock may be a system call */
	const uint32_t *alive; /* reads 0 in a child that has not noticed yet */
	struct config config;
};
extern struct engine_state engine;

/* A vfork child or another memory-sharing clone runs in our memory but is not us: what it does to its
 * descriptors must not touch our table.  Costs a system call. */
bool engine_is_stranger(void);

/* Can there be such a child?  Where the libc door is the only one, from the first that it lets be made;
 * elsewhere always.  Never taken back. */
extern uint8_t engine_shares;

/* The same where every connection asks: costs a load until there can be one.  A child that a program of
 * the libc door makes by an instruction of its own then counts as us. */
static inline bool engine_called_by_stranger(void)
{
	return __atomic_load_n(&engine_shares, __ATOMIC_RELAXED) && engine_is_stranger();
}

/* May fd mean something in engine_fds? Makes room for it. */
bool engine_takes(int fd);

/* Nothing is watched any more; the reason is one of enum trace_coverage_reason. */
void engine_stop(uint64_t reason);

#endif
