/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/forbidden: who forbids it?  The kernel says EPERM; these look around for the reason.
 *
 * Source: ptrace(2), Documentation/admin-guide/LSM/Yama.rst, proc(5).
 */
#ifndef SHIM_LAUNCH_FORBIDDEN_H
#define SHIM_LAUNCH_FORBIDDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Tracing pid, our child or ancestor, failed with e, or was not tried because it kills
 * (0): a sentence without a period. */
void forbidden_ptrace(pid_t pid, int e, char *why, size_t size);

/* Is there a filter here that kills whoever makes this call?  Tried out by a child, with arguments that do
 * nothing. */
bool forbidden_kills(long nr);

/* Mapping the library into a traced process failed with e. */
void forbidden_injection(int e, const char *library, char *why, size_t size);

#endif
