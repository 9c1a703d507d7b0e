/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go on a Go program made by hand: small enough to damage every byte of it, and to end it anywhere
 * at a page that may not be read.  Real programs are compared in tests/shim/test_target_real.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/target/go.h"
#include "tests/unit/guard.h"

enum {
	TEXT_OFF = 0x100,
	TEXT_VADDR = 0x401000,
	DATA_OFF = 0x200,
	DATA_VADDR = 0x500000,
	MODULE_OFF = 0x260,
	INLINED_OFF = 0x3c0,
	TABLE_OFF = 0x400,
	FUNCTIONS_OFF = TABLE_OFF + 0x200,
	FILE_SIZE = 0x900,
	NAME_MAIN = 1,
	NAME_SYSCALL6 = 0x20,
	NAME_GENERIC = 0x50,
	NAME_TWIN = 0x80,
	NAME_INLINED = 0x90,
};

static uint8_t file[FILE_SIZE];

static const uint8_t syscall6[] = {0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48,
				   0x89, 0xdf, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};
static const uint8_t stack[] = {0x48, 0x8b, 0x44, 0x24, 0x08, 0x0f, 0x05,
				0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};

static void put(unsigned off, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		file[off + i] = (uint8_t)(v >> i * 8);
}

static void put_text(unsigned off, const char *text)
{
	memcpy(file + off, text, strlen(text) + 1);
}

static uint64_t data(unsigned off)
{
	return DATA_VADDR + off - DATA_OFF;
}

static void put_segment(unsigned i, unsigned flags, unsigned off, uint64_t vaddr, unsigned size)
{
	unsigned at = 0x40 + i * 56;

	put(at, 1, 4);
	put(at + 4, flags, 4);
	put(at + 8, off, 8);
	put(at + 16, vaddr, 8);
	put(at + 32, size, 8);
	put(at + 40, size, 8);
}

/* One function's row and record; the record of every generation, 0x60 bytes apart. */
static void put_function(unsigned generation, unsigned i, unsigned entry, unsigned name)
{
	unsigned wide = generation == 16 ? 8 : 4, row = FUNCTIONS_OFF + i * 2 * wide;
	unsigned off = 0x80 + i * 0x60, at = FUNCTIONS_OFF + off;
	uint64_t start = generation == 16 ? TEXT_VADDR + entry : entry;
	unsigned tables = generation == 20 ? 40 : 36;

	put(row, start, wide);
	put(row + wide, off, wide);
	put(at, start, wide);
	at += wide;
	put(at, name, 4);
	put(at + 16, 1, 4); /* files */
	put(at + 20, 5, 4); /* lines */
	put(at + 24, 3, 4); /* pc tables */
	put(at + tables - 1, 4, 1);
	put(at + tables + 8, 10, 4); /* which inlined call */
	at += tables + 12;
	if (generation == 16)
		put((at + 7) / 8 * 8 + 24, i ? 0 : data(INLINED_OFF), 8);
	else
		put(at + 12, i ? UINT32_MAX : 0, 4);
}

static void put_table(unsigned generation)
{
	static const uint8_t steps[] = {0,
					/* files */ 2,
					0x40,
					0,
					0,
					/* lines: 10, then 15 */ 22,
					0x10,
					10,
					0x30,
					0,
					/* inlined: call 0, then none */ 2,
					0x10,
					1,
					0x30,
					0};
	unsigned columns = TABLE_OFF + (generation == 16 ? 24 : 32);
	const unsigned to[] = {0x50, 0x120, 0x130, 0x150, 0x200};

	put(TABLE_OFF,
	    generation == 16   ? 0xfffffffa
	    : generation == 18 ? 0xfffffff0
			       : 0xfffffff1,
	    4);
	put(TABLE_OFF + 6, 1, 1);
	put(TABLE_OFF + 7, 8, 1);
	put(TABLE_OFF + 8, 4, 8);
	put(TABLE_OFF + 16, 1, 8);
	for (unsigned i = 0; i < 5; i++)
		put(columns + i * 8, to[i], 8);
	put_text(TABLE_OFF + 0x50 + NAME_MAIN, "main.main");
	put_text(TABLE_OFF + 0x50 + NAME_SYSCALL6, "internal/runtime/syscall.Syscall6");
	put_text(TABLE_OFF + 0x50 + NAME_GENERIC, "main.(*box[go.shape.[]int]).get");
	put_text(TABLE_OFF + 0x50 + NAME_TWIN, "twin");
	put_text(TABLE_OFF + 0x50 + NAME_INLINED, "main.small");
	put(TABLE_OFF + 0x120, 0, 4);
	put_text(TABLE_OFF + 0x130, "/src/main.go");
	memcpy(file + TABLE_OFF + 0x150, steps, sizeof(steps));
	put_function(generation, 0, 0, NAME_MAIN);
	put_function(generation, 1, 0x40, NAME_SYSCALL6);
	put_function(generation, 2, 0x80, NAME_TWIN);
	put_function(generation, 3, 0xc0, NAME_TWIN);
	put(FUNCTIONS_OFF + (generation == 16 ? 64 : 32),
	    (generation == 16 ? TEXT_VADDR : 0) + 0x100, generation == 16 ? 8 : 4);
}

/* A whole program; its Syscall6 stands at TEXT_VADDR + 0x40. */
static struct span program(unsigned generation)
{
	static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	unsigned inlined = INLINED_OFF + (generation == 20 ? 4 : 12);

	memset(file, 0, sizeof(file));
	memcpy(file, ident, sizeof(ident));
	put(16, 2, 2);
	put(18, 62, 2);
	put(32, 0x40, 8);
	put(54, 56, 2);
	put(56, 2, 2);
	put_segment(0, 5, TEXT_OFF, TEXT_VADDR, 0x100);
	put_segment(1, 6, DATA_OFF, DATA_VADDR, FILE_SIZE - DATA_OFF);
	memcpy(file + TEXT_OFF + 0x40, syscall6, sizeof(syscall6));
	memcpy(file + DATA_OFF, "\xff Go buildinf:\x08\x02", 16);
	file[DATA_OFF + 32] = 8;
	memcpy(file + DATA_OFF + 33, "go1.23.4", 8);
	put(MODULE_OFF, data(TABLE_OFF), 8);
	put(MODULE_OFF + 8, data(TABLE_OFF + 0x50), 8);
	put(MODULE_OFF + 176, TEXT_VADDR, 8);
	put(MODULE_OFF + (generation == 20 ? 320 : 304), data(INLINED_OFF), 8);
	put(inlined, NAME_INLINED, 4);
	put(inlined + 4, 0x20, 4);
	put_table(generation);
	return (struct span){guard_copy(file, sizeof(file)), sizeof(file)};
}

/* The file as it is now. */
static struct elf opened(void)
{
	struct span s = {guard_copy(file, sizeof(file)), sizeof(file)};
	struct elf e;

	assert_true(elf_open(s, &e));
	return e;
}

static void a_release_has_a_number_and_nothing_else_has(void **state)
{
	assert_int_equal(go_minor("go1.22.5"), 22);
	assert_int_equal(go_minor("go1.9"), 9);
	assert_int_equal(go_minor("go1.26rc1"), 26);
	assert_int_equal(go_minor("go1."), 0);
	assert_int_equal(go_minor("go1"), 0);
	assert_int_equal(go_minor("go2.1"), 0);
	assert_int_equal(go_minor("go1.99999999999"), 0);
	assert_int_equal(go_minor("devel go1.27-0123456"), 0);
	assert_int_equal(go_minor(""), 0);
}

static void a_goroutines_layout_is_known_only_where_it_was_seen(void **state)
{
	assert_int_equal(go_layout(19).goid, 152);
	assert_int_equal(go_layout(19).m, 48);
	assert_int_equal(go_layout(19).procid, 72);
	assert_int_equal(go_layout(24).goid, 160);
	assert_int_equal(go_layout(26).procid, 64);
	assert_int_equal(go_layout(0).goid, 0);
	assert_int_equal(go_layout(0).procid, 0);
	assert_int_equal(go_layout(999).goid, 0);
	assert_int_equal(go_layout(999).procid, 0);
}

static enum go_sites_result sites(unsigned minor, struct go_site site[GO_SITES], unsigned *n)
{
	struct elf e = opened();

	*n = 0;
	return go_sites(&e, minor, site, n);
}

static void the_one_site_is_found_whatever_the_version_says(void **state)
{
	const unsigned minors[] = {0, 19, 23, 99};
	struct go_site site[GO_SITES];
	unsigned n;

	program(20);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(sites(minors[i], site, &n), GO_SITES_FOUND);
		assert_int_equal(n, 1);
		assert_int_equal(site[0].vaddr, TEXT_VADDR + 0x40);
		assert_int_equal(site[0].kind, GO_SITE_SYSCALL6);
	}
	assert_int_equal(sites(18, site, &n), GO_SITES_NONE);
}

static void of_two_matches_the_function_table_names_the_right_one(void **state)
{
	struct go_site site[GO_SITES];
	unsigned n;

	program(20);
	memcpy(file + TEXT_OFF + 0x90, syscall6, sizeof(syscall6));
	assert_int_equal(sites(23, site, &n), GO_SITES_FOUND);
	assert_int_equal(site[0].vaddr, TEXT_VADDR + 0x40);
	put(TABLE_OFF, 0, 4); /* nobody can name it any more */
	assert_int_equal(sites(23, site, &n), GO_SITES_MANY);
}

static void old_programs_have_three_or_four_sites(void **state)
{
	struct go_site site[GO_SITES];
	unsigned n;

	program(18);
	memset(file + TEXT_OFF, 0x90, 0x100);
	for (unsigned i = 0; i < 4; i++)
		memcpy(file + TEXT_OFF + i * 0x20, stack, sizeof(stack));
	assert_int_equal(sites(17, site, &n), GO_SITES_FOUND);
	assert_int_equal(n, 4);
	assert_int_equal(site[3].vaddr, TEXT_VADDR + 0x60);
	assert_int_equal(site[3].kind, GO_SITE_STACK);
	assert_int_equal(sites(0, site, &n), GO_SITES_FOUND);
	assert_int_equal(sites(19, site, &n), GO_SITES_NONE);
	memset(file + TEXT_OFF + 0x60, 0x90, 0x20);
	assert_int_equal(sites(17, site, &n), GO_SITES_FOUND);
	assert_int_equal(n, 3);
	memset(file + TEXT_OFF + 0x40, 0x90, 0x20);
	assert_int_equal(sites(17, site, &n), GO_SITES_NONE); /* those are something else */
	for (unsigned i = 0; i < 4; i++)
		memcpy(file + TEXT_OFF + i * 0x20, stack, sizeof(stack));
	memcpy(file + TEXT_OFF + 0x80, stack, sizeof(stack));
	assert_int_equal(sites(17, site, &n), GO_SITES_MANY);
}

static void a_single_match_where_no_function_begins_is_no_site(void **state)
{
	struct go_site site[GO_SITES];
	unsigned n;

	program(20);
	memset(file + TEXT_OFF, 0x90, 0x100);
	memcpy(file + TEXT_OFF + 0x48, syscall6, sizeof(syscall6));
	assert_int_equal(sites(23, site, &n), GO_SITES_NONE);
	put(TABLE_OFF, 0, 4); /* nobody can tell */
	assert_int_equal(sites(23, site, &n), GO_SITES_FOUND);
}

static void bytes_in_data_or_in_a_program_without_build_info_are_no_site(void **state)
{
	struct go_site site[GO_SITES];
	unsigned n;

	program(20);
	memset(file + TEXT_OFF, 0x90, 0x100);
	memcpy(file + FILE_SIZE - sizeof(syscall6), syscall6, sizeof(syscall6));
	assert_int_equal(sites(23, site, &n), GO_SITES_NONE);
	program(20);
	file[DATA_OFF] = 0;
	assert_int_equal(sites(23, site, &n), GO_SITES_NONE);
}

static void the_last_bytes_of_the_text_can_be_a_site(void **state)
{
	struct go_site site[GO_SITES];
	unsigned n;

	program(20);
	memset(file + TEXT_OFF, 0x90, 0x100);
	put(TABLE_OFF, 0, 4); /* which has no function begin there */
	memcpy(file + TEXT_OFF + 0x100 - sizeof(syscall6), syscall6, sizeof(syscall6));
	assert_int_equal(sites(0, site, &n), GO_SITES_FOUND);
	put_segment(0, 5, TEXT_OFF, TEXT_VADDR, 0xff);
	assert_int_equal(sites(0, site, &n), GO_SITES_NONE);
}

static void functions_are_found_by_their_exact_name_in_every_generation(void **state)
{
	static const char *const names[] = {"main.main",  "internal/runtime/syscall.Syscall6",
					    "twin",	  "main.mai",
					    "main.main2", ""};
	const unsigned generations[] = {16, 18, 20};

	for (unsigned i = 0; i < 3; i++) {
		struct elf e;
		struct go_table t;
		uint64_t at[6];

		program(generations[i]);
		e = opened();
		assert_true(go_table_open(&e, &t));
		assert_int_equal(t.generation, generations[i]);
		go_functions_find(&t, names, 6, at);
		assert_int_equal(at[0], TEXT_VADDR);
		assert_int_equal(at[1], TEXT_VADDR + 0x40);
		assert_int_equal(at[2], 0); /* two have that name */
		assert_int_equal(at[3], 0);
		assert_int_equal(at[4], 0);
		assert_int_equal(at[5], 0);
	}
}

static void a_frame_shows_the_inlined_call_first(void **state)
{
	const unsigned generations[] = {16, 18, 20};
	static struct go_frame frame[GO_INLINED];

	for (unsigned i = 0; i < 3; i++) {
		struct elf e;
		struct go_table t;

		program(generations[i]);
		e = opened();
		assert_true(go_table_open(&e, &t));
		assert_int_equal(go_frames_at(&t, TEXT_VADDR + 0x0f, frame), 2);
		assert_string_equal(frame[0].function, "main.small");
		assert_string_equal(frame[0].file, "/src/main.go");
		assert_int_equal(frame[0].line, 10);
		assert_true(frame[0].inlined);
		assert_string_equal(frame[1].function, "main.main");
		assert_int_equal(frame[1].line, 15);
		assert_int_equal(frame[1].entry, TEXT_VADDR);
		assert_false(frame[1].inlined);
		assert_int_equal(go_frames_at(&t, TEXT_VADDR + 0x10, frame), 1);
		assert_int_equal(go_frames_at(&t, TEXT_VADDR + 0xff, frame), 1);
		assert_int_equal(go_frames_at(&t, TEXT_VADDR + 0x100, frame), 0);
		assert_int_equal(go_frames_at(&t, TEXT_VADDR - 1, frame), 0);
	}
}

static void generic_functions_are_called_what_go_calls_them(void **state)
{
	static struct go_frame frame[GO_INLINED];
	struct go_table t;
	struct elf e;

	program(20);
	put_function(20, 0, 0, NAME_GENERIC);
	e = opened();
	assert_true(go_table_open(&e, &t));
	assert_int_equal(go_frames_at(&t, TEXT_VADDR + 0x20, frame), 1);
	assert_string_equal(frame[0].function, "main.(*box[...]).get");
}

static void a_call_that_says_it_is_inlined_into_itself_ends(void **state)
{
	static struct go_frame frame[GO_INLINED];
	struct go_table t;
	struct elf e;

	program(20);
	put(INLINED_OFF + 8, 0, 4);
	e = opened();
	assert_true(go_table_open(&e, &t));
	assert_int_equal(go_frames_at(&t, TEXT_VADDR, frame), GO_INLINED);
	assert_false(frame[GO_INLINED - 1].inlined);
	assert_string_equal(frame[GO_INLINED - 1].function, "main.main");
}

static void without_moduledata_the_header_says_where_text_is(void **state)
{
	struct go_table t;
	struct elf e;

	program(20);
	put(MODULE_OFF, 0, 8);
	e = opened();
	assert_false(go_table_open(&e, &t));
	put(TABLE_OFF + 24, TEXT_VADDR, 8);
	e = opened();
	assert_true(go_table_open(&e, &t));
	assert_int_equal(t.text, TEXT_VADDR);
	assert_int_equal(t.gofunc, 0);
}

static void ask_everything(struct span s)
{
	static const char *const names[] = {"main.main", "twin"};
	static struct go_frame frame[GO_INLINED];
	struct go_site site[GO_SITES];
	struct go_table t;
	struct elf e;
	uint64_t at[2];
	unsigned n;

	if (!elf_open(s, &e))
		return;
	go_sites(&e, 0, site, &n);
	if (!go_table_open(&e, &t))
		return;
	go_functions_find(&t, names, 2, at);
	for (uint64_t pc = TEXT_VADDR; pc < TEXT_VADDR + 0x100; pc += 0x10)
		assert_in_range(go_frames_at(&t, pc, frame), 0, GO_INLINED);
}

static void a_file_cut_anywhere_is_read_to_its_end_and_no_further(void **state)
{
	const unsigned generations[] = {16, 18, 20};

	for (unsigned i = 0; i < 3; i++) {
		program(generations[i]);
		for (size_t n = 0; n <= sizeof(file); n++)
			ask_everything((struct span){guard_copy(file, n), n});
	}
}

static void a_file_damaged_anywhere_does_no_harm(void **state)
{
	const uint8_t damage[] = {0x00, 0x7f, 0x80, 0xff};

	for (unsigned i = 0; i < sizeof(file) * 4; i++) {
		program(i & 4 ? 16 : 20);
		file[i / 4] = damage[i % 4];
		ask_everything((struct span){guard_copy(file, sizeof(file)), sizeof(file)});
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_release_has_a_number_and_nothing_else_has),
		cmocka_unit_test(a_goroutines_layout_is_known_only_where_it_was_seen),
		cmocka_unit_test(the_one_site_is_found_whatever_the_version_says),
		cmocka_unit_test(of_two_matches_the_function_table_names_the_right_one),
		cmocka_unit_test(a_single_match_where_no_function_begins_is_no_site),
		cmocka_unit_test(old_programs_have_three_or_four_sites),
		cmocka_unit_test(bytes_in_data_or_in_a_program_without_build_info_are_no_site),
		cmocka_unit_test(the_last_bytes_of_the_text_can_be_a_site),
		cmocka_unit_test(functions_are_found_by_their_exact_name_in_every_generation),
		cmocka_unit_test(a_frame_shows_the_inlined_call_first),
		cmocka_unit_test(generic_functions_are_called_what_go_calls_them),
		cmocka_unit_test(a_call_that_says_it_is_inlined_into_itself_ends),
		cmocka_unit_test(without_moduledata_the_header_says_where_text_is),
		cmocka_unit_test(a_file_cut_anywhere_is_read_to_its_end_and_no_further),
		cmocka_unit_test(a_file_damaged_anywhere_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
