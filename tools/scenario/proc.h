/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/proc: what /proc tells of a process and everything below it.
 *
 * Processes come and go while we look: what has vanished is left out, and nothing is an error.
 */
#ifndef TOOLS_SCENARIO_PROC_H
#define TOOLS_SCENARIO_PROC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	PROC_TREE = 1024, /* processes of one tree; more are not looked at */
};

/* root's descendants, without root itself.  Returns how many. */
size_t proc_tree(pid_t root, pid_t *ret, size_t room);

struct listening {
	char host[64];	     /* address to connect to; "" for a unix socket */
	uint16_t port;	     /* 0 for a unix socket */
	char path[PATH_MAX]; /* of a unix socket */
};

/* What a listening socket must be to be taken. */
struct listen_wanted {
	uint16_t port;	  /* 0: any */
	const char *path; /* of a unix socket, NULL: any */
};

/* A listening socket that a process of the tree below root holds.  TCP comes before unix, IPv4 before IPv6.
 * False: none yet. */
bool proc_listening(pid_t root, const struct listen_wanted *w, struct listening *ret);

/* Open descriptors, and processor time in nanoseconds, of the whole tree below root. */
uint64_t proc_descriptors(pid_t root);
uint64_t proc_cpu_ns(pid_t root);

/* Does no process of the tree run, or wait to run? */
bool proc_at_rest(pid_t root);

/* SIGKILL for everything below root, again and again until nothing is left or a second has passed.  When
 * root is this process, its children are reaped on the way. */
void proc_kill_tree(pid_t root);

#endif
