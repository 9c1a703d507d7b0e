/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core: what bytes mean.
 *
 * The promise of every file under core/: no system call, no allocation, no global that changes, no
 * clock.  The caller owns all memory.  The same sources are built twice: for the guest (inside a
 * stranger's process: general registers only, own mem* functions) and for the host (the tools).
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The only four functions core takes from outside: libc's on the host, core/mem.c in the guest. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* A freestanding compiler takes them for anybody's functions: sizes it knows would become calls, too. */
#ifdef SHAKEDOWN_GUEST
#define memcpy(dst, src, n) __builtin_memcpy(dst, src, n)
#define memset(dst, c, n)   __builtin_memset(dst, c, n)
#define memcmp(a, b, n)	    __builtin_memcmp(a, b, n)
#endif

/* What runs for every plain message: kept together, because between two messages the kernel runs, and
 * every line of code has to be fetched again. */
#define CORE_HOT __attribute__((hot))

#define CORE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CORE_ALIGN8(n)	  (((n) + 7u) & ~(uintptr_t)7u)

/* A run of bytes somebody else owns. */
struct span {
	const uint8_t *p;
	size_t n;
};

/* Direction, always seen from the watched process: RX arrives, TX leaves. */
enum dir {
	DIR_RX = 0,
	DIR_TX = 1,
};

/* Role of the watched process on a connection: it accepted (server) or connected (client). */
enum role {
	ROLE_SERVER = 0,
	ROLE_CLIENT = 1,
};

static inline uint8_t ascii_lower(uint8_t c)
{
	return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

#endif
