/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue: bytes of a write that was answered with success, and that leave later; and sockets that the
 * application has closed, whose FIN leaves later.
 *
 * (1) Only mode=queue of a delay, and slow_close, do this.  What is queued is delivered in order, at its time;
 *     what the application writes, shuts down or closes behind it comes behind it.
 * (2) Memory is bounded, per connection and in all.  A write that finds it full is held back as by a gate.
 * (3) A socket that is broken takes no more: its bytes are gone, as from the kernel's own queue, and the next
 *     call finds the error.
 * (4) The end of the process, and exec, deliver all at once.  What is queued is counted in the rule's
 *     statistics (control_stat.lost) as long as it is: what is left there by a process that is gone, is lost.
 * (5) A closed socket is kept by a descriptor of its own, out of the way of those the application is given.
 *     This is the one exception to the rule that none is kept open; there are at most QUEUES of them, and
 *     exec closes them.
 * (6) Nothing is sent to a descriptor whose socket is another one (SO_COOKIE).  Bytes whose socket is out of
 *     reach are lost.
 */
#ifndef SHIM_ENGINE_QUEUE_H
#define SHIM_ENGINE_QUEUE_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

#include "core/trace/control.h"

/* Take the bytes of a write, to leave at a time (CLOCK_MONOTONIC ns).  True: go on with the call itself (it
 * is none whose bytes can be kept).  False: answered, c->ret is set.  stat: of the rule, NULL for none. */
bool queue_write(struct call *c, struct conn *conn, uint64_t until, struct control_stat *stat);

/* A write or shutdown on conn, while there may be something queued.  False: answered. */
bool queue_enters(struct call *c, struct conn *conn);

/* The same for what goes past the queue: wait until it is empty. */
bool queue_waits(struct call *c, struct conn *conn);

/* A descriptor of conn that is not its last is about to be closed: go on with another one. */
void queue_moves(struct conn *conn, int fd);

/* conn's last descriptor, fd, is about to be closed: keep the socket until a time (0: as long as something is
 * queued). */
void queue_closes(struct conn *conn, int fd, uint64_t until);

/* Bytes of conn that are queued. */
uint64_t queue_bytes(const struct conn *conn);

/* In the child of a fork: what is queued is the parent's. */
void queue_forked(void);

#endif
