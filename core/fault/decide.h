/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/decide: does a rule act here, and with what value.
 *
 * (1) A decision is a keyed hash of (seed, rule, connection key, direction, unit) and of nothing else: no
 *     shared stream of numbers, no time, no thread.  The same seed gives the same faults, however the
 *     kernel cut the bytes and whichever thread came first.
 * (2) A unit is the entry of a phase (the rule names one), a frame (phase `frames`), the n-th call (site is
 *     a call, accept, connect), or a FAULT_BLOCK of the stream (no phase).
 * (3) Integers only.
 *
 * Source of the hash: SipHash-2-4 (Aumasson, Bernstein 2012).  Shapes of jitter: tc-netem(8).
 */
#ifndef CORE_FAULT_DECIDE_H
#define CORE_FAULT_DECIDE_H

#include "core/fault/rule.h"

/* What a decision is about. */
struct fault_unit {
	uint64_t seed;
	uint64_t conn_key; /* ordinal, or the hash of what conn-key names */
	uint64_t unit; /* ordinal of the phase entry, frame, block or call; fault_unit_of_phase */
	uint32_t rule; /* hash of its name: fault_rule_id */
	uint32_t dir;
};

uint32_t fault_rule_id(const struct fault_rule *r);
uint64_t fault_hash(uint64_t seed, const void *p, size_t n);

/* For one phase this number grows along a connection, and the unit before is the same phase of the
 * exchange before: what `corr` looks back to. */
static inline uint64_t fault_unit_of_phase(uint32_t exchange, enum phase phase)
{
	return (uint64_t)phase << 48 | exchange;
}

/* What a decision is known by in a list to be replayed: everything it is about but the seed. */
static inline uint64_t fault_unit_key(const struct fault_unit *u)
{
	return fault_hash(0, &u->conn_key, sizeof(*u) - offsetof(struct fault_unit, conn_key));
}

/* Uniform 64-bit draw number `which` of a unit.  0: p; 1..: one per act. */
uint64_t fault_draw(const struct fault_unit *u, uint32_t which);

/* Do p and activate let the rule act?  (when, times, interval, space count, and are the caller's.) */
bool fault_decide(const struct fault_rule *r, const struct fault_unit *u, uint64_t *ret_drawn);

/* A time or a size around its middle: middle +- spread by the distribution, correlated with the unit
 * before; never negative. */
uint64_t fault_spread(const struct fault_unit *u, uint32_t which, uint64_t middle, uint64_t spread,
		      uint32_t corr_ppm, uint32_t dist);

/* Piece k of a slice begins at that distance from where slicing began. */
uint64_t fault_slice_start(const struct fault_unit *u, const struct fault_act *slice, uint64_t k);
/* Which piece holds that distance. */
uint64_t fault_slice_piece(const struct fault_unit *u, const struct fault_act *slice,
			   uint64_t distance);

/* How long the retransmissions of a lost segment take: rto, then rto + 2 rto ..., as long as further
 * draws lose them too; 0 when the unit is not lost. */
uint64_t fault_loss(const struct fault_unit *u, const struct fault_act *loss);

/* ---- counting: the n-th time a rule could act, n from 1 ---- */

/* Do when, times, interval let the n-th eligible time pass, when it acted `acted` times before? */
bool fault_count(const struct fault_rule *r, uint64_t n, uint64_t acted);

#endif
