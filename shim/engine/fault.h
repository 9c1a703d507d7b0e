/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault: where rules meet calls.
 *
 * (1) Without rules this costs two loads per call on a tracked descriptor (control_acts), and nothing
 *     elsewhere.
 * (2) The kernel stays the source of truth: no byte is read that the application does not get at once,
 *     except what a rule says to throw away.
 * (3) A call is followed up to the first place where something happens: its length is capped there, so that
 *     the next call begins exactly at it.  What happens at the first byte of a call happens at its entry.
 * (4) Whatever has to be done in another way than by the application's own call is done, and over, before
 *     entry returns: nothing is held across the call.
 * (5) While the engine is quiet, or when a copy or the lock is not to be had, the call passes as it is, and
 *     the page counts it as not eligible.
 */
#ifndef SHIM_ENGINE_FAULT_H
#define SHIM_ENGINE_FAULT_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

/* Entry of a read, a write or sendfile, a splice.  conn is tracked; false: answered, c->ret is set. */
bool fault_read(struct call *c, struct conn *conn);
bool fault_write(struct call *c, struct conn *conn);
bool fault_splice(struct call *c, struct conn *to, struct conn *from);
/* ... of a close on a tracked descriptor. */
bool fault_close(struct call *c);
/* ... of all others: accept, connect, shutdown, epoll_ctl, waits, ioctl. */
bool fault_other(struct call *c, enum call_op op);
/* Exit of any call, after the engine took note of it. */
void fault_exit(struct call *c, enum call_op op);

#endif
