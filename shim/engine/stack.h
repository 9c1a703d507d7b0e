/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack: note where the application is.  Registers and the words above the stack pointer that an
 * unwinder can use; every other word is left out, so that no data of the application is taken along.
 */
#ifndef SHIM_ENGINE_STACK_H
#define SHIM_ENGINE_STACK_H

#include "core/core.h"

/* Take the stack of this call and store it unless the file has it.  Returns its id, 0 when it could
 * not be taken (counted as lost). */
uint64_t stack_take(uint64_t now);

/* The same for calls that come from few places and whose stack is seldom looked at: a stack of the
 * same depth and caller is recognised without being read.  frame: the door's struct call, which lies
 * right below its return address. */
uint64_t stack_take_cached(const void *frame, uint64_t now);

void stack_forked(void);

#endif
