/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/exec: the exec of a program whose system calls come to us one by one: a Go program, a static
 * one.  The environment is carried on, and so is the watching of programs that load no libraries.
 */
#ifndef SHIM_STATIC_EXEC_H
#define SHIM_STATIC_EXEC_H

#include "core/core.h"

/* nr is execve or execveat, and arg what the kernel will be given: changed for execve.  Callable in a
 * vfork child. */
void static_exec(long nr, uint64_t arg[6]);

#endif
