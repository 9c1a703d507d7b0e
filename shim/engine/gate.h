/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate: one direction of a connection stands still while the rest of the process goes on.
 *
 * (1) On a descriptor that does not block, the call is answered with EAGAIN; level-triggered and oneshot
 *     interest of every epoll registration of the connection loses the bits of that direction, so that
 *     nobody spins; at the deadline the application's own mask is set again with EPOLL_CTL_MOD, which
 *     fires when there is something (epoll_ctl(2)).  Edge-triggered interest is left and re-armed only.
 *     What the application asks of epoll_ctl meanwhile is remembered and set without those bits.
 *     A registration that has fired ONESHOT is left alone: the application re-arms it itself.
 * (2) Registrations are known from epoll_ctl; those that were never seen (made before there were rules, or
 *     through io_uring) are found in /proc/self/fdinfo.
 * (3) poll and select: events of that direction are left out, the time is clamped to the next deadline,
 *     and the call goes on until the caller's own time is over.
 * (4) On a descriptor that blocks, the calling thread waits: SO_RCVTIMEO and SO_SNDTIMEO count, signals
 *     interrupt as they would the call itself, a cancellation is acted on.
 * (5) Deadlines: a process with one thread has its waits clamped.  With more, or where something is to be
 *     done at the deadline, one helper thread is made with clone, all signals blocked; it ends by itself when no gate is left, and before set*id, capset, unshare
 *     and setns.  Never one thread per connection.
 * (6) A connection whose peer is gone (error or hang-up) is never held back: its end would spin.
 * (7) A forked child has its own deadlines for connections it inherited; gates of the parent end there.
 *
 * Source: epoll(7), epoll_ctl(2), proc(5) (fdinfo), poll(2), select(2), futex(2), clone(2).
 */
#ifndef SHIM_ENGINE_GATE_H
#define SHIM_ENGINE_GATE_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

#define GATE_RELEASE UINT64_MAX /* until: a rule's release, or its removal, lifts it */

enum gate_way {
	GATE_PASS,     /* go on: the wait is over (it blocked), or no gate is possible here */
	GATE_ANSWERED, /* c->ret is set: EAGAIN, EINTR, a timeout */
};

/* Hold direction dir of conn back from now until a time (CLOCK_MONOTONIC ns).  c: the call that met it. A
 * later until than that of a gate that is there already moves it; an earlier one does not.
 * rule: its place in the set, to lift it when the rule goes. */
enum gate_way gate_wait(struct call *c, struct conn *conn, enum dir dir, uint64_t until,
			uint32_t rule);

/* Is dir held back now? */
bool gate_holds(const struct conn *conn, enum dir dir);

/* Let a direction go, or all that rules outside of the mask hold (state in force changed), or all whose
 * deadline is over. */
void gate_lift(struct conn *conn, enum dir dir);
void gate_state_changed(uint64_t rules_on, bool replaced);
void gate_expire(uint64_t now);

/* The call moved less than it could, by our doing, and there may be more: fire the edge again. */
void gate_rearm(struct conn *conn, enum dir dir);

/* Do it at that time on behalf of conn, from a deadline: a FIN, a RST, the next bytes of a queue. */
typedef void gate_task(struct conn *conn, uint32_t conn_id, uint64_t what);
bool gate_later(struct conn *conn, uint64_t at, gate_task *task, uint64_t what);

/* epoll_ctl on a tracked descriptor; a wait while something is held back; FIONREAD: c->ret of a cap. */
bool gate_epoll_ctl(struct call *c, struct conn *conn);
void gate_epoll_ctl_done(const struct call *c, struct conn *conn);
bool gate_wait_call(struct call *c);

/* FIONREAD, while reads are held back, and TIOCOUTQ, while writes wait in the queue. */
bool gate_ioctl(struct call *c);

/* A descriptor of conn is about to be closed. */
void gate_closing(struct conn *conn, int fd);

/* set*id and kin are about to be made, or over. */
void gate_privileges(bool over);
/* No call of ours can be made from now on, or the process or image ends: let all go, and do at once what
 * was to be done later. */
void gate_end(void);
/* fork happened, in the child. */
void gate_forked(void);

#endif
