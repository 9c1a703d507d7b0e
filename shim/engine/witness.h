/* SPDX-License-Identifier: BSD-2-Clause
 *
 * witness: which goroutine serves which attempt, and what it was seen doing.
 *
 * A goroutine owns a connection from the moment it read the head of an attempt there, through the
 * switch, until it reads the head of another one or the connection goes back to being counted.  It
 * is known by its address and, where this Go's layout is known, by its number: addresses are used
 * again.
 */
#ifndef SHIM_ENGINE_WITNESS_H
#define SHIM_ENGINE_WITNESS_H

#include "shim/engine/conn.h"
#include "shim/engine/engine.h"

/* The head of an attempt of c, which is locked, was read there. */
void witness_open(struct conn *c, const struct call_place *place);

/* What is done for c, which is locked, is not noted any more. */
void witness_close(struct conn *c);

/* A goroutine without a known number read from c: it owns no other connection any more. */
void witness_moved(const struct conn *c, const struct call_place *place);

/* The id of the connection that this goroutine owns, 0: none. */
uint32_t witness_conn(const struct call_place *place);

#endif
