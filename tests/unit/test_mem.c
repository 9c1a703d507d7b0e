/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_mem: the guest's memory functions agree with libc's, for every length and alignment that
 * selects another path, and touch nothing else.
 */
#define memcpy	guest_memcpy
#define memmove guest_memmove
#define memset	guest_memset
#define memcmp	guest_memcmp
#include "core/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

enum {
	AREA = 1024,
	LENGTHS = 200, /* beyond every unrolled loop */
};

static uint8_t ours[AREA], theirs[AREA], source[AREA];

static void fill(void)
{
	for (size_t i = 0; i < AREA; i++) {
		source[i] = (uint8_t)(i * 7 + 3);
		ours[i] = theirs[i] = (uint8_t)(i * 13 + 1);
	}
}

static void copy_writes_exactly_the_bytes_asked_for(void **state)
{
	for (size_t n = 0; n <= LENGTHS; n++) {
		for (size_t to = 0; to < 9; to++) {
			for (size_t from = 0; from < 9; from++) {
				fill();
				assert_ptr_equal(guest_memcpy(ours + to, source + from, n),
						 ours + to);
				memcpy(theirs + to, source + from, n);
				assert_memory_equal(ours, theirs, AREA);
			}
		}
	}
}

static void move_survives_every_overlap(void **state)
{
	for (size_t n = 0; n <= LENGTHS; n++) {
		for (size_t to = 0; to < 80; to += 1 + to / 20) {
			for (size_t from = 0; from < 80; from += 1 + from / 20) {
				fill();
				guest_memmove(ours + to, ours + from, n);
				memmove(theirs + to, theirs + from, n);
				assert_memory_equal(ours, theirs, AREA);
			}
		}
	}
}

static void set_writes_exactly_the_bytes_asked_for(void **state)
{
	volatile int value = 0x1c5; /* only its lowest byte counts */

	for (size_t n = 0; n <= LENGTHS; n++) {
		for (size_t to = 0; to < 9; to++) {
			fill();
			assert_ptr_equal(guest_memset(ours + to, value, n), ours + to);
			memset(theirs + to, value, n);
			assert_memory_equal(ours, theirs, AREA);
		}
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void compare_orders_by_the_first_differing_byte(void **state)
{
	for (size_t n = 1; n <= LENGTHS; n++) {
		fill();
		memcpy(theirs, ours, AREA);
		assert_int_equal(guest_memcmp(ours, theirs, n), 0);
		for (size_t at = 0; at < n; at++) {
			theirs[at] ^= 0x80;
			theirs[n] = 1; /* behind the end: must not matter */
			assert_int_equal(sign(guest_memcmp(ours, theirs, n)),
					 sign(memcmp(ours, theirs, n)));
			theirs[at] ^= 0x80;
		}
	}
	assert_int_equal(guest_memcmp("a", "b", 0), 0);
}

/* The end of the area is followed by a page nobody may touch. */
static void nothing_behind_the_end_is_read_or_written(void **state)
{
	uint8_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mprotect(page + 4096, 4096, PROT_NONE), 0);
	for (size_t n = 0; n <= LENGTHS; n++) {
		uint8_t *end = page + 4096 - n;

		guest_memset(end, 7, n);
		guest_memcpy(ours, end, n);
		guest_memcpy(end, ours, n);
		guest_memmove(end, ours, n);
		assert_int_equal(guest_memcmp(end, ours, n), 0);
	}
	munmap(page, 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_writes_exactly_the_bytes_asked_for),
		cmocka_unit_test(move_survives_every_overlap),
		cmocka_unit_test(set_writes_exactly_the_bytes_asked_for),
		cmocka_unit_test(compare_orders_by_the_first_differing_byte),
		cmocka_unit_test(nothing_behind_the_end_is_read_or_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
