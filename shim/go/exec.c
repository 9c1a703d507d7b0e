/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec: a Go program replaces itself, or its child of vfork becomes something else.
 */
#include "shim/go/internal.h"

#include <sys/syscall.h>

void go_exec(long nr, const uint64_t arg[6])
{
	engine_exec((const char *)arg[nr == SYS_execveat]);
}
