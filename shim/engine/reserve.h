/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reserve: large tables of which little is used.
 *
 * The addresses are taken at once and may not be touched; memory is opened from the start on, step by
 * step, by a call that can fail.  What is not open costs nothing even where the application has all its
 * memory locked: the kernel fills what may be touched, and nothing else.  And what is ours is taken out
 * of the lock again, because it would count against the application's limit (RLIMIT_MEMLOCK).
 *
 * Source: mlock(2), mprotect(2).
 */
#ifndef SHIM_ENGINE_RESERVE_H
#define SHIM_ENGINE_RESERVE_H

#include "core/core.h"

struct reserve {
	uint8_t *base;
	size_t size, open; /* bytes */
};

/* Take the addresses of a table of size bytes and open its beginning. False when there is no memory. */
bool reserve_start(struct reserve *r, size_t size);

/* Make sure that the first end bytes can be touched; new ones are zero.  Whoever shares the table calls
 * this before others may learn of what lies there. */
bool reserve_open(struct reserve *r, size_t end);

/* The application locked its memory: flags as mlockall(2) took them. */
void reserve_locked(int flags);
/* ... what it maps from now on, too: a mapping of ours has to be unlocked by us. */
bool reserve_locks_all(void);
void reserve_forked(void);

#endif
