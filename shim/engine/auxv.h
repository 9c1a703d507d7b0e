/* SPDX-License-Identifier: BSD-2-Clause
 *
 * auxv: what the kernel told the program at its start.  For use at ours only: one buffer serves all
 * calls of a file.
 *
 * Source: getauxval(3), proc(5) on /proc/PID/auxv.
 */
#ifndef SHIM_ENGINE_AUXV_H
#define SHIM_ENGINE_AUXV_H

#include "shim/engine/sys.h"

#include <elf.h>

/* The value of that type (AT_ENTRY and the like), 0 when it cannot be told. */
static inline uint64_t auxv_value(uint64_t type)
{
	static Elf64_auxv_t aux[64];
	int fd = sys_open("/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return 0;
	n = sys_read(fd, aux, sizeof(aux));
	sys_close(fd);
	for (long i = 0; i < n / (long)sizeof(aux[0]); i++) {
		if (aux[i].a_type == type)
			return aux[i].a_un.a_val;
	}
	return 0;
}

#endif
