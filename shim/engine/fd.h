/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fd: which descriptor means which connection.  What we believe drifts, because descriptors are closed
 * and used again where we cannot see it; every new descriptor corrects the belief about its number.
 */
#ifndef SHIM_ENGINE_FD_H
#define SHIM_ENGINE_FD_H

#include "shim/engine/engine.h"

/* ---- before the kernel ---- */
void fd_close(const struct call *c);
void fd_close_range(const struct call *c);

/* ---- after it ---- */
void fd_accepted(const struct call *c);
void fd_connected(const struct call *c);
void fd_paired(const struct call *c);
void fd_shut(const struct call *c);
/* from means the same as to now. */
void fd_duped(const struct call *c, int from, int to);
/* A new descriptor that is no connection, or none yet. */
void fd_forget(const struct call *c, int fd);
/* Descriptors that came in the control part of messages. */
void fd_received(const struct call *c);
/* The descriptor turned out not to be open, or no socket. */
void fd_gone(const struct call *c, int fd);

/* In a forked child: the connections it inherited. */
void fd_forked(void);

#endif
