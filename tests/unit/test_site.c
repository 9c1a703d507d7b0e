/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site on functions of a few bytes, each with its symbol: what is proven, and every way in which a
 * site is not.  Real programs are compared in tests/shim/test_target_real.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/target/site_internal.h"
#include "tests/unit/guard.h"

enum {
	TEXT_OFF = 0x100,
	TEXT_VADDR = 0x401000,
	TEXT_SIZE = 0x200,
	SYMBOLS_OFF = TEXT_OFF + TEXT_SIZE,
	SECTIONS_OFF = SYMBOLS_OFF + 4 * 24,
	FILE_SIZE = SECTIONS_OFF + 2 * 64,
	ANY = -1,
};

#define SYSCALL "\x0f\x05"
#define COMPARE "\x48\x3d\x00\xf0\xff\xff"
#define RET	"\xc3"

static uint8_t file[FILE_SIZE];
static unsigned symbols;

static void put(unsigned off, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		file[off + i] = (uint8_t)(v >> i * 8);
}

/* An empty program: one executable segment and a symbol table. */
static void begin(void)
{
	memset(file, 0, sizeof(file));
	memset(file + TEXT_OFF, 0xcc, TEXT_SIZE);
	memcpy(file,
	       "\x7f"
	       "ELF\x02\x01\x01",
	       7);
	put(16, 2, 2);
	put(18, 62, 2);
	put(32, 0x40, 8);
	put(40, SECTIONS_OFF, 8);
	put(54, 56, 2);
	put(56, 1, 2);
	put(58, 64, 2);
	put(60, 2, 2);
	put(0x40, 1, 4);
	put(0x44, 5, 4);
	put(0x48, TEXT_OFF, 8);
	put(0x50, TEXT_VADDR, 8);
	put(0x60, TEXT_SIZE, 8);
	put(0x68, TEXT_SIZE, 8);
	put(SECTIONS_OFF + 64 + 4, 2, 4);
	put(SECTIONS_OFF + 64 + 24, SYMBOLS_OFF, 8);
	put(SECTIONS_OFF + 64 + 32, 4 * 24, 8);
	symbols = 0;
}

/* A function at an offset of the text. */
static void function(unsigned at, const char *code, unsigned n)
{
	unsigned symbol = SYMBOLS_OFF + symbols++ * 24;

	memcpy(file + TEXT_OFF + at, code, n);
	file[symbol + 4] = 2;
	put(symbol + 8, TEXT_VADDR + at, 8);
	put(symbol + 16, n, 8);
}

struct answers {
	struct site site[8];
	unsigned n;
	struct site_totals totals;
};

static bool wants_read_write(uint32_t nr)
{
	return nr <= 1 || nr == UINT32_MAX;
}

static bool keep(void *arg, const struct site *s)
{
	struct answers *a = arg;

	a->site[a->n++] = *s;
	return a->n < 8;
}

static struct answers ask(void)
{
	struct span s = {guard_copy(file, sizeof(file)), sizeof(file)};
	struct answers a = {0};
	struct elf e;

	assert_true(elf_open(s, &e));
	a.totals = sites_find(&e, wants_read_write, keep, &a);
	assert_int_equal(a.totals.sites, a.n);
	return a;
}

struct row {
	const char *why;
	const char *code;
	unsigned n;
	int sites, refused;
	int shape, start, size, before, nr;
};

#define CODE(text) text, sizeof(text) - 1

static const struct row rows[] = {
	{"the number, then the call", CODE("\xb8\x01\0\0\0" SYSCALL RET), 1, 0, SITE_NUMBER, 0, 7,
	 5, 1},
	{"a number nobody asked for", CODE("\xb8\x02\0\0\0" SYSCALL RET), 0, 0, 0, 0, 0, 0, 0},
	{"zero, call, comparison", CODE("\x31\xc0" SYSCALL COMPARE RET), 1, 0, SITE_ZERO, 0, 10, 2,
	 0},
	{"call and comparison, the number loaded earlier",
	 CODE("\xb8\x01\0\0\0\x48\x8b\x54\x24\x08" SYSCALL COMPARE RET), 1, 0, SITE_COMPARE, 10, 8,
	 0, 1},
	{"an unwanted number loaded earlier",
	 CODE("\xb8\x02\0\0\0\x48\x8b\x54\x24\x08" SYSCALL COMPARE RET), 0, 0, 0, 0, 0, 0, 0},
	{"the number comes from elsewhere", CODE("\x89\xf0" SYSCALL COMPARE RET), 1, 0,
	 SITE_COMPARE, 2, 8, 0, ANY},
	{"a move of registers, then the call", CODE("\x48\x89\xca" SYSCALL RET), 1, 0, SITE_MOVE, 0,
	 5, 3, ANY},
	{"the call, then a move", CODE(SYSCALL "\x48\x89\xc7" RET), 1, 0, SITE_MOVE_AFTER, 0, 5, 0,
	 ANY},
	{"a move of the stack pointer", CODE("\x48\x89\xcc" SYSCALL RET), 0, 1, 0, 0, 0, 0, 0},
	{"nothing that could be replaced", CODE("\x90" SYSCALL RET), 0, 1, 0, 0, 0, 0, 0},
	{"a jump to the first byte", CODE("\xb8\x01\0\0\0" SYSCALL "\x75\xf7" RET), 1, 0,
	 SITE_NUMBER, 0, 7, 5, 1},
	{"a jump to the call itself: another shape, and no number",
	 CODE("\xb8\x01\0\0\0" SYSCALL COMPARE "\x75\xf6" RET), 1, 0, SITE_COMPARE, 5, 8, 0, ANY},
	{"a jump to the call itself, and no other shape",
	 CODE("\xb8\x01\0\0\0" SYSCALL "\x75\xfc" RET), 0, 1, 0, 0, 0, 0, 0},
	{"a jump behind the call", CODE("\x48\x89\xca" SYSCALL COMPARE "\x75\xf8" RET), 1, 0,
	 SITE_MOVE, 0, 5, 3, ANY},
	{"a jump through a register", CODE("\xb8\x01\0\0\0" SYSCALL "\xff\xe2"), 0, 1, 0, 0, 0, 0,
	 0},
	{"an instruction nobody can measure", CODE("\xc5\xf8\x77\xb8\x01\0\0\0" SYSCALL RET), 0, 1,
	 0, 0, 0, 0, 0},
	{"two bytes of a constant", CODE("\xb8\x01\0\0\0\xb9\x0f\x05\x48\x3d" RET), 0, 0, 0, 0, 0,
	 0, 0},
	{"a function that ends within the comparison", CODE("\x89\xf0" SYSCALL "\x48\x3d"), 0, 0, 0,
	 0, 0, 0, 0},
};

static void every_shape_is_proven_and_every_doubt_is_refused(void **state)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct answers a;

		begin();
		function(0x40, r->code, r->n);
		a = ask();
		if ((int)a.totals.sites != r->sites || (int)a.totals.refused != r->refused)
			fail_msg("%s: %u sites, %u refused", r->why, a.totals.sites,
				 a.totals.refused);
		if (!r->sites)
			continue;
		if (a.site[0].shape != r->shape || a.site[0].size != r->size ||
		    a.site[0].before != r->before || (int)a.site[0].nr != r->nr ||
		    a.site[0].vaddr != TEXT_VADDR + 0x40u + (unsigned)r->start)
			fail_msg("%s: shape %u at %llx, %u bytes, %u before, number %d", r->why,
				 a.site[0].shape, (unsigned long long)a.site[0].vaddr,
				 a.site[0].size, a.site[0].before, (int)a.site[0].nr);
	}
}

static void the_place_where_threads_are_cancelled_is_named(void **state)
{
	begin();
	function(0x40, CODE("\x4c\x89\x5c\x24\x08" SYSCALL RET));
	assert_true(ask().totals.cancelled);
	assert_int_equal(ask().totals.refused, 1);
	file[SYMBOLS_OFF + 4] = 1; /* data, says the symbol: it is known without one */
	assert_true(ask().totals.cancelled);
	begin();
	function(0x40, CODE("\x4c\x89\x5c\x24\x10" SYSCALL RET));
	assert_false(ask().totals.cancelled);
	begin();
	function(0x40, CODE(SYSCALL RET));
	assert_false(ask().totals.cancelled);
}

static void a_stub_is_told_registers_and_constants(void **state)
{
	struct answers a;

	begin();
	function(0, CODE("\x4d\x89\xca" SYSCALL RET));
	function(0x40, CODE(SYSCALL "\x48\x3d\x01\xf0\xff\xff" RET));
	a = ask();
	assert_int_equal(a.n, 2);
	assert_int_equal(a.site[0].to, 10);
	assert_int_equal(a.site[0].from, 9);
	assert_int_equal(a.site[1].compare, -4095);
}

static void the_cold_half_of_a_function_may_not_jump_into_a_site(void **state)
{
	begin();
	function(0, CODE("\xb8\x01\0\0\0" SYSCALL RET));
	function(0x100, CODE("\xe9\xfb\xfe\xff\xff")); /* to the first byte */
	assert_int_equal(ask().totals.sites, 1);
	begin();
	function(0, CODE("\xb8\x01\0\0\0" SYSCALL RET));
	function(0x100, CODE("\xe9\x00\xff\xff\xff")); /* to the call */
	assert_int_equal(ask().totals.sites, 0);
	assert_int_equal(ask().totals.refused, 1);
	begin();
	function(0, CODE("\xb8\x01\0\0\0" SYSCALL RET));
	function(0x100, CODE("\x0f\x84\xff\xfe\xff\xff"));
	assert_int_equal(ask().totals.refused, 1);
}

static void bytes_of_no_function_are_never_a_site(void **state)
{
	begin();
	function(0, CODE("\xb8\x01\0\0\0" SYSCALL RET));
	file[SYMBOLS_OFF + 4] = 1; /* data, says the symbol */
	assert_int_equal(ask().totals.sites, 0);
	assert_int_equal(ask().totals.refused, 1);
}

static void many_sites_come_in_the_order_of_their_addresses(void **state)
{
	char code[8 * 7 + 1];
	struct answers a;

	for (unsigned i = 0; i < 8; i++)
		memcpy(code + i * 7, "\xb8\x01\0\0\0" SYSCALL, 7);
	code[56] = '\xc3';
	begin();
	function(0, code, sizeof(code));
	a = ask();
	assert_int_equal(a.n, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(a.site[i].vaddr, TEXT_VADDR + i * 7);
}

static void instructions_have_the_length_the_manual_gives_them(void **state)
{
	static const struct {
		const char *code;
		unsigned n, expect;
	} known[] = {
		{CODE("\xc3"), 1},
		{CODE("\xf3\x0f\x1e\xfa"), 4},
		{CODE("\x48\xb8\1\2\3\4\5\6\7\x08"), 10},
		{CODE("\x66\xb8\1\2"), 4},
		{CODE("\x80\x3d\1\2\3\4\0"), 7},
		{CODE("\x48\x8b\x84\x24\1\2\3\4"), 8},
		{CODE("\x64\x48\x8b\x04\x25\1\2\3\4"), 9},
		{CODE("\xf6\x05\1\2\3\4\1"), 7},
		{CODE("\xf7\xd8"), 2},
		{CODE("\x66\xf7\xc1\1\2"), 5},
		{CODE("\x48\xf7\xc1\1\2\3\4"), 7},
		{CODE("\x0f\xba\xe0\x05"), 4},
		{CODE("\x66\x0f\x3a\x0f\xc1\x08"), 6},
		{CODE("\x66\x2e\x0f\x1f\x84\0\0\0\0\0"), 10},
		{CODE("\xc8\1\2\3"), 0}, /* enter */
		{CODE("\xc5\xf8\x77"), 0},
		{CODE("\x62\xf1\x7c\x48\x10\x07"), 0},
		{CODE("\xc7\xf8\1\2\3\4"), 0}, /* xbegin */
		{CODE("\x66\xe9\1\2\3\4"), 0},
		{CODE("\x48\x66\x90"), 0},
		{CODE("\x06"), 0},
		{CODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"), 0},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct site_insn insn = {0};
		const uint8_t *p = guard_copy(known[i].code, known[i].n);

		if (site_decode((struct span){p, known[i].n}, &insn) != !!known[i].expect ||
		    insn.size != known[i].expect)
			fail_msg("row %u: %u bytes", i, insn.size);
		if (known[i].expect) { /* one byte less is none */
			p = guard_copy(known[i].code, known[i].n - 1);
			assert_false(site_decode((struct span){p, known[i].n - 1}, &insn));
		}
	}
}

static void a_file_damaged_anywhere_does_no_harm(void **state)
{
	const uint8_t damage[] = {0x00, 0x7f, 0x80, 0xff};

	for (unsigned i = 0; i < sizeof(file) * 4; i++) {
		struct span s = {file, sizeof(file)};
		struct answers a = {0};
		struct elf e;

		begin();
		function(0, CODE("\xb8\x01\0\0\0" SYSCALL RET));
		function(0x20, CODE("\x31\xc0" SYSCALL COMPARE RET));
		function(0x1f8, CODE("\xb8\x01\0\0\0" SYSCALL RET));
		file[i / 4] = damage[i % 4];
		s.p = guard_copy(file, sizeof(file));
		if (elf_open(s, &e))
			sites_find(&e, wants_read_write, keep, &a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_is_proven_and_every_doubt_is_refused),
		cmocka_unit_test(the_place_where_threads_are_cancelled_is_named),
		cmocka_unit_test(a_stub_is_told_registers_and_constants),
		cmocka_unit_test(the_cold_half_of_a_function_may_not_jump_into_a_site),
		cmocka_unit_test(bytes_of_no_function_are_never_a_site),
		cmocka_unit_test(many_sites_come_in_the_order_of_their_addresses),
		cmocka_unit_test(instructions_have_the_length_the_manual_gives_them),
		cmocka_unit_test(a_file_damaged_anywhere_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
