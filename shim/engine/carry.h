/* SPDX-License-Identifier: BSD-2-Clause
 *
 * carry: exec of a program no dynamic loader prepares, from a process that is watched: it is executed
 * by way of the launcher (SHAKEDOWN_LAUNCH), which puts the library into it.
 *
 * (1) Callable wherever exec is: in a vfork child, in a signal handler; no descriptor stays open.
 * (2) What is not certain is executed as it was asked for.
 */
#ifndef SHIM_ENGINE_CARRY_H
#define SHIM_ENGINE_CARRY_H

#include "core/core.h"

/* Where execvp(3) would find name.  variable: the value of PATH, NULL when it is not set.  False: not
 * found, or not certain. */
bool carry_search(const char *name, const char *variable, char *ret, size_t size);

/* How an exec is carried. */
struct carry {
	size_t words; /* arguments */
	bool self; /* the path is a name of the executing program that means another one to others */
};

/* Bytes of memory carry_make needs for an exec of path, 0: execute it as it is.  Any pointer may be
 * wrong. */
size_t carry_room(struct carry *ret, const char *path, char *const *argv, char *const *envp);

/* What to execute instead, in room (8-byte aligned): its path is ret[0].  The strings are shared.
 * NULL: execute it as it is. */
char **carry_make(const struct carry *c, const char *path, char *const *argv, void *room);

#endif
