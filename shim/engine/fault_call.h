/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_call: rules whose site is a call: by name, accept, connect, wait.
 *
 * A call that would do nothing (nobody to accept, nothing to read) is not one that could have failed: it
 * is not counted.
 */
#ifndef SHIM_ENGINE_FAULT_CALL_H
#define SHIM_ENGINE_FAULT_CALL_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

/* A call on a connection, before its bytes are looked at.  False: answered. */
bool fault_call_named(struct call *c, struct conn *conn);

/* A descriptor of it is about to be closed: if it is the last one, the FIN may leave later. */
void fault_call_closes(struct call *c, struct conn *conn);

/* Any other call. */
bool fault_call_other(struct call *c, enum call_op op);

/* Behind it: connections get their numbers. */
void fault_call_exits(struct call *c, enum call_op op);

#endif
