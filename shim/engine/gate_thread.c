/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_thread: who keeps the deadlines.
 */
#include "shim/engine/gate_internal.h"

void gate_thread_want(uint64_t at)
{
}

bool gate_thread_runs(void)
{
	return false;
}

void gate_thread_stop(void)
{
}

void gate_thread_forked(void)
{
}
