/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack: note where the application is.  Registers and the words above the stack pointer that an
 * unwinder can use; every other word is left out, so that no data of the application is taken along.
 * Where frame pointers are proven, the return addresses along them are enough.
 */
#ifndef SHIM_ENGINE_STACK_H
#define SHIM_ENGINE_STACK_H

#include "shim/engine/engine.h"

/* Take the stack of this call and store it unless the file has it.  place: where the application is,
 * when that is not the stack we run on, else NULL.  Returns its id, 0 when it could not be taken
 * (counted as lost). */
uint64_t stack_take(const struct call_place *place, uint64_t now);

/* The same for calls that come from few places and whose stack is seldom looked at: a stack of the
 * same depth and caller is recognised without being read.  Without a place the door's struct call
 * lies right below its return address. */
uint64_t stack_take_cached(const struct call *call, uint64_t now);

void stack_forked(void);

#endif
