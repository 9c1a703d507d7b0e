/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_time: how long the first byte of a call has to wait.
 *
 * Delays and losses add up, from the moment at which the byte was first met, which all bytes of one call
 * share: so a delay does not become a rate.  What else takes time (rate, the gap of a slice, hold) is
 * waited for beside them; the latest end counts.
 */
#ifndef SHIM_ENGINE_FAULT_TIME_H
#define SHIM_ENGINE_FAULT_TIME_H

#include "shim/engine/fault_pick.h"

/* True: p says what to do: wait, or write a record. */
bool time_pick(struct sight_work *w, struct pick *p);

/* The bytes were queued, to leave at a time: the waiting is behind them, as far as calls are concerned.
 * True: p is a record; ask again. */
bool time_queued(struct sight_work *w, uint64_t until, struct pick *p);

/* A hit further on, about which nothing is to be done but the record, because its time is over; ret_ns is
 * how long it was. */
bool time_is_over(const struct sight_work *w, const struct fault_hit *h, int64_t *ret_ns);

/* Bytes from w->start on were met now, if they were not before; total: that are there. */
void time_meet(struct sight_work *w, uint64_t total);

/* n bytes of the call moved. */
void time_moved(struct sight *s, const struct control_view *v, enum dir dir, uint64_t n,
		uint64_t now);

/* What the pieces of a slice are drawn from; lies in w. */
const struct fault_unit *time_slice_unit(struct sight_work *w, uint32_t n);

/* Does a rule still hold bytes of dir back, whose `hold` waits for a phase?  For gate_lift. */
bool time_phase_reached(const struct sight *s, const struct control_view *v, enum dir dir);

#endif
