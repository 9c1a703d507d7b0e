/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/tracee: a stopped process, and making it do things: memory, registers, system calls.
 *
 * Source: ptrace(2); System V ABI, AMD64 supplement A.2.1.
 */
#ifndef SHIM_LAUNCH_TRACEE_H
#define SHIM_LAUNCH_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct tracee {
	pid_t pid;
	struct user_regs_struct start; /* as it stopped; pc may be changed before tracee_leave */
	uint64_t mask;		       /* its signal mask */
	uint64_t borrowed;	       /* address of the text we borrow */
	long code;		       /* what stood there */
	bool entered, changed;	       /* start is valid; the text is changed */
	bool ended;		       /* it died; its wait status is untouched */
	bool stop_asked;	       /* a SIGSTOP came, and is due when we leave */
};

/* Resume pid until it reaches its exec.  False: it ended. */
bool tracee_wait_exec(pid_t pid);

/* At the exec: hold back its signals and borrow the instruction it is about to execute.  0 or errno. */
int tracee_enter(struct tracee *t, pid_t pid);

/* Put everything back (registers as in start) and stop tracing. */
void tracee_leave(struct tracee *t);

/* Where its instructions go on, and its stack. */
uint64_t tracee_pc(const struct tracee *t);
void tracee_set_pc(struct tracee *t, uint64_t pc);
uint64_t tracee_sp(const struct tracee *t);

/* One system call in the tracee: the kernel's answer, or -ESRCH when it died. */
long tracee_call(struct tracee *t, long nr, const uint64_t arg[6]);

/* Copy n bytes into its writable memory.  0 or errno. */
int tracee_write(const struct tracee *t, uint64_t to, const void *from, size_t n);

#endif
