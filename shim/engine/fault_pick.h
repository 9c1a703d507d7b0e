/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_pick: what the rules make of the next bytes of one direction: the first thing to be done at the
 * first of them, or how many may move until something is to be done.
 *
 * (1) A unit is decided about when its place becomes the first byte of a call, or when it is passed over
 *     with the answer no.  What would act further on caps the call there and is decided about then: behind
 *     that call, when it needs no bytes and waits for nothing, for there may never be another.
 * (2) Rules act in their order: first what takes time (delays add up), then what acts on the process, then
 *     what changes the bytes, then one outcome; the smallest cap wins.
 */
#ifndef SHIM_ENGINE_FAULT_PICK_H
#define SHIM_ENGINE_FAULT_PICK_H

#include "shim/engine/fault_act.h"
#include "shim/engine/fault_sight.h"

enum pick_kind {
	PICK_PASS, /* move up to `bytes` */
	PICK_TELL, /* a record: what, value */
	PICK_WAIT, /* until `until`, then ask again */
	PICK_PROCESS,
	PICK_SHAPE,
	PICK_OUTCOME,
};

struct pick {
	struct fault_hit hit; /* not of PICK_PASS */
	uint64_t until;
	uint64_t bytes;
	int64_t value;
	uint8_t kind, what;
	uint8_t mode; /* enum fault_mode */
	bool capped;  /* bytes is less than the call would move, by our doing */
	bool segment; /* and they travel in segments of their own: hit; `until` is where that began */
};

/* w was tried; the lock is held. */
void pick_next(struct sight_work *w, const struct call *c, struct pick *p);

/* Does rule n act on the unit in which the first byte lies? */
bool pick_is_current(struct sight_work *w, uint32_t n);

/* Does it look at the bytes of the call?  Then lists of buffers whose first part has moved are in its way. */
bool pick_needs_bytes(const struct fault_act *a);

/* Behind a call: the next rule that acts where a phase ended, or ends the connection, or stops the process,
 * at the offset up to which the call moved.  False: none. */
bool pick_behind(struct sight_work *w, const struct call *c, struct pick *p);

/* The hit of act i of rule n at the first byte, to be told as ACTED. */
void pick_fill(const struct sight_work *w, uint32_t n, uint32_t i, struct pick *p,
	       enum pick_kind kind);

#endif
