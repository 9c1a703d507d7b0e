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

enum inject_result {
	INJECT_DONE,
	INJECT_NOT_NEEDED, /* the program that was executed loads libraries by itself */
	INJECT_FORBIDDEN,  /* why says by whom */
	INJECT_FAILED,	   /* why says what */
	INJECT_ENDED, /* the process died before its first instruction; wait status untouched */
};

/* In the child, before it executes the program: let the parent stop it at the exec.
 * Returns 0 or an errno: then execute the program all the same. */
int inject_allow(void);

/* In the parent: pid called inject_allow and is about to exec (or to exit when exec fails).  Waits for
 * the exec, maps the library into the new image, sends it through static_entry and lets go of it.
 * Processes that never stop are not waited for longer than it takes them to exec or to exit; then the
 * wait status is left for the caller when it is an exit (INJECT_ENDED).
 *   library  absolute path
 *   why      receives a sentence, NUL-terminated */
enum inject_result inject_at_exec(pid_t pid, const char *library, char *why, size_t size);

/* Where ptrace is forbidden: make a copy of the program that names the library as its interpreter.
 * Returns a descriptor (memfd or unlinked file, close-on-exec off) to be executed through
 * /proc/self/fd, or -1 with why. */
int inject_copy(const char *program, const char *library, char *why, size_t size);

/* Become argv[0..] at path in this very process, injected by a helper that nobody has to wait for
 * (double-forked, traces us over the exec).  Returns only when exec fails: errno. */
int inject_exec(const char *path, char *const argv[], char *const envp[], const char *library);

#endif
