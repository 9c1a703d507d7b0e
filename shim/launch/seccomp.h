/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp: the door for what cannot be patched: the kernel hands the socket calls of a program
 * to a supervisor, which performs them on the same sockets and shows the engine what moved.
 *
 * (1) The supervisor is a process of its own and lives until the last user of the filter ends: without it
 *     their calls would fail.  Neither the terminal nor the end of whoever started it ends it, and a guard
 *     stands behind it: when it dies, another takes its place, and coverage says so.
 * (2) One process is followed at a time: the first that accepts a connection; until there is one, the
 *     first that connects over a network; after its end the next.  What others call meanwhile goes on
 *     untouched, and coverage says so when they serve connections.
 * (3) No stacks are taken.  Each call on the list costs two switches of process, on any descriptor.
 * (4) One thread serves all calls; it never waits for a socket.
 *
 * Source: seccomp(2), seccomp_unotify(2), pidfd_getfd(2), Documentation/userspace-api/seccomp_filter.rst.
 */
#ifndef SHIM_LAUNCH_SECCOMP_H
#define SHIM_LAUNCH_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct seccomp_door {
	pid_t supervisor; /* child of the caller's (the guard), to be reaped like any other; 0: none */
	struct seccomp_shared *shared;
};

/* Start the supervisor.  environ configures the engine as it would in the program.  Unmap
 * nothing: it lives until exit.  0, or an errno with why: a sentence without a period. */
int seccomp_start(struct seccomp_door *door, char *const *environ, char *why, size_t size);

/* In the child that is going to be the program: put the filter in, wait until the supervisor has it,
 * and measure.  0 or an errno; then nothing is filtered and seccomp_why tells the parent. */
int seccomp_install(struct seccomp_door *door);

/* In the parent, once the child executed or gave up.  NULL: installed; ret_ns is what a call costs that
 * the supervisor only lets pass, in nanoseconds.  Otherwise what is forbidden and by whom. */
const char *seccomp_why(const struct seccomp_door *door, uint64_t *ret_ns);

/* Is this the supervisor or its guard? */
bool seccomp_is_supervisor(const struct seccomp_door *door, pid_t pid);

/* Did a supervisor die before its time? */
bool seccomp_lost(const struct seccomp_door *door);

/* Wait until the traces of those who have ended are whole, at most that long. */
void seccomp_wait(const struct seccomp_door *door, int ms);

#endif
