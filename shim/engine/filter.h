/* SPDX-License-Identifier: BSD-2-Clause
 *
 * filter: the seccomp filters that were in force before this program started.
 *
 * A filter may kill for any call that the program was not expected to make, and nobody can ask it.  So
 * nothing of ours is done under one, beyond what the loader did to bring us here (open, read, close),
 * until somebody vouches for it: `shakedown run`, which lives under the same filters and had a child
 * try all our calls, says how many there are in SHAKEDOWN_FILTERS; a container runtime's profile, which
 * process 1 lives under as well, answers what it refuses with an error.  Where /proc cannot be read, no filter
 * is seen.
 *
 * Source: seccomp(2); proc(5) ("Seccomp:" and "Seccomp_filters:" in /proc/PID/status).
 */
#ifndef SHIM_ENGINE_FILTER_H
#define SHIM_ENGINE_FILTER_H

#include "core/core.h"

/* The number of the system call with which this process's libc opens files.  Set by a door before the
 * engine starts; openat unless it is. */
extern long filter_open_call;

/* Look, at the first call, which filters are in force.  False when one of them may kill for what we do. */
bool filter_start(char *const *environ);

/* Was there one?  Then calls that no ordinary server makes are still not made. */
bool filter_in_force(void);

#endif
