/* SPDX-License-Identifier: BSD-2-Clause
 *
 * quick: the calls that happen millions of times: whole, sound frames in one buffer, on a connection
 * that was upgraded long ago; and whole plain requests and answers, which are only counted.  Everything
 * else goes the long way through observe.
 */
#ifndef SHIM_ENGINE_QUICK_H
#define SHIM_ENGINE_QUICK_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

/* Record the call if it is of that kind.  False: nothing was done.  The caller holds the lock. */
bool quick_frames(struct conn *c, const struct call *call, enum dir dir);

/* Count the call if it is a whole plain message: the first one when its head is known already, the
 * second one reads it.  Apart, because together they take more of the stack.  False: nothing was done.
 * Likewise. */
bool quick_known(struct conn *c, const struct call *call, enum dir dir, uint64_t moved);
bool quick_plain(struct conn *c, const struct call *call, enum dir dir, uint64_t moved);

#endif
