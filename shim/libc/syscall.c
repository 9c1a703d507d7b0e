/* SPDX-License-Identifier: BSD-2-Clause
 *
 * syscall: what becomes of syscall(number, ...) when the number has a row.
 *
 * (1) Only numbers marked in libc_syscall_watch come here; the assembly file lets all others jump on.
 *     A number that may share our memory with a child (vfork, clone, clone3) jumps on, too, once
 *     that is noted, and so does pselect6, whose last argument is not that of libc's function.
 * (2) The result and errno are those of the next definition of syscall().
 */
#include "shim/libc/door.h"

#include <sys/syscall.h>

enum {
	SYSCALL_NUMBERS = 512, /* as in the assembly file */
};

/* 1: the number has a row; 2: it may share our memory.  Empty until our constructor ran. */
uint8_t libc_syscall_watch[SYSCALL_NUMBERS];

long syscall(long nr, ...);
long libc_syscall_watched(long nr, long a, long b, long c, long d, long e, long f);

void libc_syscall_start(void)
{
	for (long nr = 0; nr < SYSCALL_NUMBERS; nr++) {
		unsigned id = call_from_nr(nr);

		if (id < CALL_COUNT && id != CALL_pselect)
			libc_syscall_watch[nr] = call_table[id].op == OP_VFORK ? 2 : 1;
	}
}

/* An exec must hand the environment on, whatever way it is made. */
static long syscall_exec(long nr, const uint64_t arg[6])
{
	unsigned at = nr == SYS_execveat; /* then a directory comes first */

	return libc_exec_at(nr, (int)arg[0], (const char *)arg[at], (char *const *)arg[at + 1],
			    (char *const *)arg[at + 2], (int)arg[4]);
}

/* From memory: words kept in registers across the engine's entry would cost the caller's stack. */
static long syscall_next(long nr, const uint64_t arg[6])
{
	return LIBC_NEXT(syscall)(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

long libc_syscall_watched(long nr, long a, long b, long c, long d, long e, long f)
{
	struct call call;

	libc_call_init(&call, 0, (uint64_t)a, (uint64_t)b, (uint64_t)c, (uint64_t)d, (uint64_t)e,
		       (uint64_t)f);
	call.id = (uint16_t)call_from_nr(nr);

	unsigned op = call_table[call.id].op;

	if (libc_passes(call.id, op, call.arg[0], call.arg[1], call.arg[2]))
		return syscall_next(nr, call.arg);
	if (op == OP_EXEC)
		return syscall_exec(nr, call.arg);
	if (op == OP_EXIT)
		engine_end((int)call.arg[0]);
	if (!engine_enter(&call))
		return libc_answer(&call);

	long ret = syscall_next(nr, call.arg);

	libc_leave(&call, op, ret);
	return ret;
}
