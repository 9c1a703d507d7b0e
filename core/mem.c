/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mem: the four memory functions of core.h for the guest, which may not use libc's.
 *
 * (1) General registers only: the caller's vector state is never touched.
 * (2) Plain C, no function here is ever compiled into a call of another one: every loop carries an
 *     empty barrier that no compiler recognises as an idiom.
 * The host build uses libc's instead; this file is not part of it.
 */
#include "core/core.h"

#ifdef SHAKEDOWN_GUEST
#undef memcpy
#undef memset
#undef memcmp
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#define MEM_BARRIER() __asm__ volatile("")

typedef uint64_t __attribute__((may_alias, aligned(1))) word64;
typedef uint32_t __attribute__((may_alias, aligned(1))) word32;
typedef uint16_t __attribute__((may_alias, aligned(1))) word16;

/* Up to 16 bytes, everything loaded before anything is stored, so the areas may overlap. */
static inline void copy_small(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n >= 8) {
		uint64_t a = *(const word64 *)s, b = *(const word64 *)(s + n - 8);

		*(word64 *)d = a;
		*(word64 *)(d + n - 8) = b;
	} else if (n >= 4) {
		uint32_t a = *(const word32 *)s, b = *(const word32 *)(s + n - 4);

		*(word32 *)d = a;
		*(word32 *)(d + n - 4) = b;
	} else if (n >= 2) {
		uint16_t a = *(const word16 *)s, b = *(const word16 *)(s + n - 2);

		*(word16 *)d = a;
		*(word16 *)(d + n - 2) = b;
	} else if (n) {
		*d = *s;
	}
}

/* Lowest address first; also right when dst lies below src. The tail is loaded before the loop may
 * overwrite it. */
static inline void copy_up(uint8_t *d, const uint8_t *s, size_t n)
{
	uint8_t *last = d + n - 8;
	uint64_t tail = *(const word64 *)(s + n - 8);

	for (; n >= 32; n -= 32, d += 32, s += 32) {
		uint64_t a = ((const word64 *)s)[0], b = ((const word64 *)s)[1];
		uint64_t c = ((const word64 *)s)[2], e = ((const word64 *)s)[3];

		((word64 *)d)[0] = a;
		((word64 *)d)[1] = b;
		((word64 *)d)[2] = c;
		((word64 *)d)[3] = e;
		MEM_BARRIER();
	}
	for (; n > 8; n -= 8, d += 8, s += 8) {
		*(word64 *)d = *(const word64 *)s;
		MEM_BARRIER();
	}
	*(word64 *)last = tail;
}

/* Highest address first, for dst above src. */
static inline void copy_down(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t head = *(const word64 *)s;
	size_t at = n;

	for (; at > 8; at -= 8) {
		*(word64 *)(d + at - 8) = *(const word64 *)(s + at - 8);
		MEM_BARRIER();
	}
	*(word64 *)d = head;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	if (n <= 16)
		copy_small(dst, src, n);
	else
		copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if (n <= 16)
		copy_small(dst, src, n);
	else if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint64_t v = UINT64_C(0x0101010101010101) * (uint8_t)c;
	uint8_t *d = dst;

	if (n < 8) {
		for (; n; n--) {
			*d++ = (uint8_t)c;
			MEM_BARRIER();
		}
		return dst;
	}
	*(word64 *)(d + n - 8) = v;
	for (; n >= 8; n -= 8, d += 8) {
		*(word64 *)d = v;
		MEM_BARRIER();
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		if (*(const word64 *)x != *(const word64 *)y)
			break;
		MEM_BARRIER();
	}
	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
		MEM_BARRIER();
	}
	return 0;
}
