/* SPDX-License-Identifier: BSD-2-Clause
 *
 * go: the Go door.  Go programs enter the kernel from one function of their own; its first bytes and the
 * comparison behind its `syscall` become jumps to us, the `syscall` itself stays where it is.
 *
 * (1) Nothing of ours lies on a goroutine's stack: C runs on private stacks, claimed for as long as C
 *     runs and not while the kernel does.  None free: the call passes unseen and is counted.
 * (2) FS, the vector registers, g (r14) and every register Go keeps are as they were.
 * (3) Between the two halves a call is told by r12, which Go does not keep over calls; 0: not ours.
 * (4) A child of vfork shares our memory: its descriptors never touch our table.
 * (5) No signal handler, no thread, nothing that Go's scheduler could notice.
 */
#ifndef SHIM_GO_GO_H
#define SHIM_GO_GO_H

#include "core/core.h"

/* Is this process's program Go?  Then patch it, and say in coverage what could not be patched.
 * To be called once, before the program runs, after engine_start.
 *   library  path of our own file
 * Returns true when the calls are seen.  False with *ret_why NULL: not Go. */
bool go_start(const char *library, const char **ret_why);

#endif
