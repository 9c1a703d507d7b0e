/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue: bytes of a write that was answered with success, and that leave later.
 *
 * (1) Only mode=queue of a delay does this.  What is queued is delivered in order, at its time, and before
 *     shutdown, close, exit and exec.
 * (2) Memory is bounded, per connection and in all.  A write that finds it full is held back as by a gate.
 * (3) The first error of a delivery is the answer to the connection's next call.
 */
#ifndef SHIM_ENGINE_QUEUE_H
#define SHIM_ENGINE_QUEUE_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

/* Take the bytes of a write, to leave at a time (CLOCK_MONOTONIC ns).  True: go on with the call itself (it
 * is none whose bytes can be kept).  False: answered, c->ret is set. */
bool queue_write(struct call *c, struct conn *conn, uint64_t until);

#endif
