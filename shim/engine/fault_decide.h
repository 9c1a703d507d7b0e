/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_decide: does a rule act on a unit: its counts, its windows, the draw or the list of a run that is
 * repeated.
 */
#ifndef SHIM_ENGINE_FAULT_DECIDE_H
#define SHIM_ENGINE_FAULT_DECIDE_H

#include "shim/engine/fault_act.h"
#include "shim/engine/fault_sight.h"

/* How often a rule could act, and acted. */
struct decide_count {
	uint32_t *eligible, *hits;
};

/* Fill h for rule n: what it is about.  False: its connection has no key yet. */
bool decide_hit(const struct control_view *v, const struct sight *s, uint32_t n, enum dir dir,
		uint64_t unit, struct fault_hit *h);

/* The counts of rule n over what its `per` says; s NULL: there is no connection. */
struct decide_count decide_counts(const struct control_view *v, struct sight *s, uint32_t n,
				  const struct sight_place *at);

/* Would it act this time?  Sets h->drawn; changes nothing. */
bool decide_would(const struct control_view *v, const struct decide_count *count,
		  struct fault_hit *h);

/* This time is counted. */
void decide_taken(const struct decide_count *count, const struct fault_hit *h, bool acts);

#endif
