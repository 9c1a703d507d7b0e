/* SPDX-License-Identifier: BSD-2-Clause
 *
 * guard: input that ends at an inaccessible page, so that reading one byte too many is a crash.
 */
#ifndef TESTS_UNIT_GUARD_H
#define TESTS_UNIT_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	GUARD_ROOM = 256 * 1024, /* a multiple of every page size in use */
};

/* A copy of n bytes whose end is the end of accessible memory; valid until the next call. */
static inline const uint8_t *guard_copy(const void *bytes, size_t n)
{
	static uint8_t *room;

	if (!room) {
		room = mmap(NULL, 2 * GUARD_ROOM, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED || mprotect(room + GUARD_ROOM, GUARD_ROOM, PROT_NONE))
			abort();
	}
	if (n > GUARD_ROOM)
		abort();
	if (n)
		memcpy(room + GUARD_ROOM - n, bytes, n);
	return room + GUARD_ROOM - n;
}

#endif
