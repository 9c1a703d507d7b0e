/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_wait: what waits for events have in common.
 */
#ifndef SHIM_ENGINE_GATE_WAIT_H
#define SHIM_ENGINE_GATE_WAIT_H

#include "shim/engine/engine.h"
#include "shim/engine/sys.h"

#include <errno.h>

/* When a wait that begins now ends by the caller's own wish, UINT64_MAX: never.  at: address of two words,
 * seconds and units of which a second has so many.  False: the kernel will refuse it. */
bool gate_end_ms(uint64_t now, int ms, uint64_t *ret_end);
bool gate_end_time(uint64_t now, uint64_t at, uint64_t units, uint64_t *ret_end);
struct timespec gate_timespec(uint64_t ns);

/* Between two slices of a wait, and when one was interrupted. */
static inline void gate_cancel_point(void)
{
	if (engine_cancel_point)
		engine_cancel_point();
}

/* select and pselect. */
bool gate_select(struct call *c);

#endif
