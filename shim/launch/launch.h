/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch: the host side of the doors into programs that load no libraries.
 *
 * (1) The program keeps its process id, its parent, its terminal and its descriptors.
 * (2) Whatever forbids the injection, the program still runs, and *what* forbids it is said.
 * (3) After the injection nothing of ours traces the process: debuggers may attach.
 *
 * Source: ptrace(2), execve(2), elf(5), Documentation/admin-guide/LSM/Yama.rst.
 */
#ifndef SHIM_LAUNCH_LAUNCH_H
#define SHIM_LAUNCH_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/core.h"

enum inject_result {
	INJECT_DONE,
	INJECT_NOT_NEEDED, /* the program that was executed loads libraries by itself */
	INJECT_FAILED,	   /* why says what; the program runs all the same */
	INJECT_ENDED, /* the process died before its first instruction; wait status untouched */
};

/* Where a program enters the kernel, as far as it is worth following. */
struct inject_sight {
	unsigned sites;	  /* that can be patched */
	unsigned refused; /* that stay as they are */
	bool cancelled;	  /* struct site_totals */
};

/* file: a whole program of this machine. */
void inject_judge(struct span file, struct inject_sight *ret);

/* Let pid stop at its next exec.  It must not exec before this returned, and must not leave the caller's
 * sight afterwards: inject_at_exec follows.
 *   why  receives who forbids it: a sentence without a period, NUL-terminated
 * Returns 0 or an errno: then nothing traces it. */
int inject_seize(pid_t pid, char *why, size_t size);

/* After inject_seize: wait for the exec, map the library into the new image if it needs that, send it
 * through the library's entry point and let go of it.  Waits for nothing but the exec or the exit of
 * pid; a wait status of an exit is left for the caller.
 *   library  absolute path, the same in the mount namespace of pid */
enum inject_result inject_at_exec(pid_t pid, const char *library, char *why, size_t size);

/* Where ptrace is forbidden: make a copy of the program that names the library as its interpreter.
 * Returns a descriptor (memfd or unlinked file, close-on-exec), to be executed through /proc/self/fd,
 * or -1 with why. */
int inject_copy(const char *program, const char *library, char *why, size_t size);

enum {
	INJECT_COPY_PATH = 32,
};

/* The path by which a copy is executed. */
void inject_copy_path(int fd, char ret[INJECT_COPY_PATH]);

/* Become argv[0..] at path in this very process, injected by a helper that nobody has to wait for
 * (double-forked, traces us over the exec).  Returns only when exec fails: errno. */
int inject_exec(const char *path, char *const argv[], char *const envp[], const char *library);

#endif
