/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/spread: the shapes of jitter as tables of whole numbers.  Private to core/fault.
 */
#ifndef CORE_FAULT_SPREAD_H
#define CORE_FAULT_SPREAD_H

#include "core/fault/rule.h"

enum {
	FAULT_SPREAD_ONE = 2048, /* a standard deviation */
};

/* Where a draw lies in a distribution of mean 0 and deviation FAULT_SPREAD_ONE.
 *   dist     enum fault_dist, but neither UNIFORM nor COUNT
 *   drawn    uniform over 64 bits; a greater one gives no smaller result */
int32_t fault_spread_at(uint32_t dist, uint64_t drawn);

#endif
