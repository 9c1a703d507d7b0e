/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target: what a program is, judged on real programs and on damaged copies of them.  Programs are built
 * here, in a temporary folder; damage is done to bytes that end at an unmapped page, so that a read
 * beyond the file is a crash and not luck.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/target/target.h"

static char folder[] = "/tmp/test_target-XXXXXX";

struct bytes {
	uint8_t *map;
	size_t mapped;
	struct span s;
};

/* A copy of bytes whose end is the end of what may be read. */
static struct bytes guarded(const uint8_t *p, size_t n)
{
	size_t page = 4096, room = (n + page - 1) / page * page;
	struct bytes b = {.mapped = room + page};

	b.map = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(b.map, MAP_FAILED);
	assert_int_equal(mprotect(b.map + room, page, PROT_NONE), 0);
	if (n)
		memcpy(b.map + room - n, p, n);
	b.s = (struct span){b.map + room - n, n};
	return b;
}

static void drop(struct bytes *b)
{
	munmap(b->map, b->mapped);
}

static struct bytes load(const char *path)
{
	struct stat st;
	uint8_t *p;
	struct bytes b;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	p = malloc((size_t)st.st_size);
	assert_non_null(p);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	b = guarded(p, (size_t)st.st_size);
	free(p);
	return b;
}

static struct target examine(const char *path)
{
	struct bytes b = load(path);
	struct target t;

	assert_true(target_examine(b.s, &t));
	drop(&b);
	return t;
}

static void write_source(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Compile text with CC and flags; the path of the program is in a static buffer. */
static const char *build(const char *cc, const char *flags, const char *text)
{
	static char program[96];
	static unsigned number;
	char source[128], command[512];

	snprintf(program, sizeof(program), "%s/program%u", folder, ++number);
	snprintf(source, sizeof(source), "%s.c", program);
	write_source(source, text);
	snprintf(command, sizeof(command), "%s %s -o %s %s", cc, flags, program, source);
	assert_int_equal(system(command), 0);
	return program;
}

static const char hello[] = "int main(void) { return 0; }\n";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* ---- real programs ---- */

static void a_program_of_the_distribution_is_dynamic(void **state)
{
	struct target t = examine("/bin/true");

	(void)state;
	assert_int_equal(t.kind, TARGET_DYNAMIC);
	assert_int_equal(t.machine, target_machine_own());
	assert_int_equal(t.elf_class, 2);
	assert_true(t.has_needed);
	assert_true(t.stripped);
	assert_true(strstr(t.interp, "ld-linux"));
	assert_false(t.musl || t.go || t.loader);
	assert_string_equal(t.sanitizer, "");
}

static void a_fresh_program_has_its_symbols(void **state)
{
	(void)state;
	assert_false(examine(build("cc", "-pie -fPIE", hello)).stripped);
	assert_true(examine(build("cc", "-s", hello)).stripped);
	assert_true(examine(build("cc", "-pie -fPIE", hello)).pie);
	assert_false(examine(build("cc", "-no-pie", hello)).pie);
}

static void a_static_program_is_told_from_a_static_pie(void **state)
{
	(void)state;
	assert_int_equal(examine(build("cc", "-static -no-pie", hello)).kind, TARGET_STATIC);
	assert_int_equal(examine(build("cc", "-static-pie -fPIE", hello)).kind, TARGET_STATIC_PIE);
}

static void a_musl_program_is_recognised_by_its_loader(void **state)
{
	struct target t = examine(build("musl-gcc", "", hello));

	(void)state;
	assert_int_equal(t.kind, TARGET_DYNAMIC);
	assert_true(t.musl);
	assert_int_equal(examine(build("musl-gcc", "-static", hello)).kind, TARGET_STATIC);
}

static void a_32_bit_program_is_of_another_architecture(void **state)
{
	struct bytes b = load("/bin/true");
	struct target t;

	(void)state;
	b.map[b.s.p - b.map + 4] = 1;
	assert_true(target_examine(b.s, &t));
	assert_int_equal(t.kind, TARGET_OTHER_ARCH);
	assert_int_equal(t.elf_class, 1);
	drop(&b);
}

static void another_machine_is_named(void **state)
{
	static const struct {
		uint8_t low, high, order;
		const char *name;
	} row[] = {{3, 0, 1, "i386"},
		   {40, 0, 1, "ARM"},
		   {243, 0, 1, "RISC-V"},
		   {0, 22, 2, "s390"},
		   {0xfe, 0xca, 1, "an unknown machine"}};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		struct bytes b = load("/bin/true");
		uint8_t *p = b.map + (b.s.p - b.map);
		struct target t;

		p[5] = row[i].order;
		p[18] = row[i].low;
		p[19] = row[i].high;
		assert_true(target_examine(b.s, &t));
		assert_int_equal(t.kind, TARGET_OTHER_ARCH);
		assert_string_equal(target_machine_name(t.machine), row[i].name);
		drop(&b);
	}
}

static void the_dynamic_loader_itself_is_no_static_program_to_give_up_on(void **state)
{
	struct target t = examine("/lib64/ld-linux-x86-64.so.2");

	(void)state;
	assert_true(t.loader);
	assert_false(examine(build("cc", "-static-pie -fPIE", hello)).loader);
}

static void the_sanitizer_a_program_insists_on_is_named(void **state)
{
	struct target t = examine(build("gcc", "-fsanitize=address", hello));

	(void)state;
	assert_int_equal(strncmp(t.sanitizer, "libasan.so", 10), 0);
}

/* ---- Go, without a Go toolchain: the bytes its linker writes ---- */

static const char inline_info[] =
	"__attribute__((section(\".go.buildinfo\"), aligned(16), used)) static char info[] =\n"
	"\"\\xff Go buildinf:\\x08\\x02\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\"\n"
	"\"\\x08go1.22.3\\0\";\n"
	"int main(void) { return info[0] == 0; }\n";

static const char pointed_info[] =
	"static const char version[] = \"go1.17.13\";\n"
	"static struct { const char *p; long n; } header = {version, 9};\n"
	"__attribute__((section(\".go.buildinfo\"), aligned(16), used)) static struct {\n"
	"	char magic[14]; unsigned char size, flags; void *version, *modules;\n"
	"} info = {\"\\xff Go buildinf:\", 8, 0, &header, 0};\n"
	"int main(void) { return info.size == 0; }\n";

static void go_is_recognised_and_its_version_read(void **state)
{
	struct target t = examine(build("cc", "-static -no-pie", inline_info));

	(void)state;
	assert_true(t.go);
	assert_string_equal(t.go_version, "go1.22.3");
	t = examine(build("cc", "-no-pie", pointed_info));
	assert_true(t.go);
	assert_string_equal(t.go_version, "go1.17.13");
	assert_false(examine(build("cc", "-static", hello)).go);
}

static void go_is_recognised_without_section_headers(void **state)
{
	struct bytes b = load(build("cc", "-static -no-pie -Wl,-z,norelro", inline_info));
	uint8_t *p = b.map + (b.s.p - b.map);
	struct target t;

	(void)state;
	memset(p + 40, 0, 8); /* e_shoff */
	memset(p + 58, 0, 6); /* e_shentsize, e_shnum, e_shstrndx */
	assert_true(target_examine(b.s, &t));
	assert_true(t.stripped);
	assert_true(t.go);
	assert_string_equal(t.go_version, "go1.22.3");
	drop(&b);
}

static void a_go_version_with_control_characters_is_cut_before_them(void **state)
{
	char *text = strdup(inline_info), *version = strstr(text, "1.22.3");
	struct target t;

	(void)state;
	memcpy(version, "\\x1b[0", 6);
	t = examine(build("cc", "-static", text));
	free(text);
	assert_true(t.go);
	assert_string_equal(t.go_version, "go");
}

/* ---- hostile files ---- */

static void a_file_cut_anywhere_is_never_read_beyond_its_end(void **state)
{
	struct bytes whole = load(build("cc", "-static -no-pie -s", inline_info));
	/* Every length in the headers, then some of the rest. */
	size_t step = 1;

	(void)state;
	for (size_t n = 0; n < whole.s.n; n += n < 2048 ? 1 : (step += 37)) {
		struct bytes b = guarded(whole.s.p, n);
		struct target t;

		if (target_examine(b.s, &t))
			assert_int_not_equal(t.kind, TARGET_NOT_ELF);
		else
			assert_true(n < 4);
		drop(&b);
	}
	drop(&whole);
}

static void a_truncated_program_is_called_broken(void **state)
{
	struct bytes whole = load("/bin/true");
	struct bytes b = guarded(whole.s.p, whole.s.n / 2);
	struct target t;

	(void)state;
	assert_true(target_examine(b.s, &t));
	assert_int_equal(t.kind, TARGET_BROKEN);
	drop(&b);
	drop(&whole);
}

/* Every byte of the headers, with values that make numbers huge, negative or zero. */
static void no_header_byte_leads_outside_the_file(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct bytes b = load("/bin/true");
	uint8_t *p = b.map + (b.s.p - b.map);
	uint32_t headers = 64 + 56 * 13;

	(void)state;
	for (uint32_t i = 0; i < headers; i++) {
		uint8_t was = p[i];

		for (size_t v = 0; v < sizeof(values); v++) {
			struct target t;

			p[i] = values[v];
			target_examine(b.s, &t);
			assert_true(memchr(t.interp, 0, sizeof(t.interp)));
			assert_true(memchr(t.go_version, 0, sizeof(t.go_version)));
		}
		p[i] = was;
	}
	drop(&b);
}

static void an_interpreter_that_does_not_end_is_broken(void **state)
{
	struct bytes b = load("/bin/true");
	uint8_t *p = b.map + (b.s.p - b.map);
	char *name = memmem(p, b.s.n, "/lib64/ld-linux-x86-64.so.2", 28);
	struct target t;

	(void)state;
	assert_non_null(name);
	name[27] = 'x';
	assert_true(target_examine(b.s, &t));
	assert_int_equal(t.kind, TARGET_BROKEN);
	drop(&b);
}

static void what_is_no_elf_is_said_to_be_none(void **state)
{
	static const char *const texts[] = {"", "\x7f",
					    "\x7f"
					    "EL",
					    "#!/bin/sh\n", "MZ\x90"};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(texts); i++) {
		struct bytes b = guarded((const uint8_t *)texts[i], strlen(texts[i]));
		struct target t;

		assert_false(target_examine(b.s, &t));
		assert_int_equal(t.kind, TARGET_NOT_ELF);
		drop(&b);
	}
}

static void an_object_file_is_no_program(void **state)
{
	(void)state;
	assert_int_equal(examine(build("cc", "-c", hello)).kind, TARGET_BROKEN);
}

/* ---- scripts ---- */

static void a_script_line_is_read_as_the_kernel_reads_it(void **state)
{
	static const struct {
		const char *text, *interp, *arg;
	} row[] = {
		{"#!/bin/sh\necho", "/bin/sh", ""},
		{"#!/bin/sh", "/bin/sh", ""},
		{"#! \t/usr/bin/env  python3 -u \t\nx", "/usr/bin/env", "python3 -u"},
		{"#!/usr/bin/env -S node --x y\n", "/usr/bin/env", "-S node --x y"},
		{"#!/bin/sh\r\n", "/bin/sh\r", ""},
		{"#!/bin/sh -e", "/bin/sh", "-e"},
	};
	static const char *const none[] = {"", "#", "#!", "#!\n", "#!  \t \n/bin/sh", "# !/bin/sh"};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		struct bytes b = guarded((const uint8_t *)row[i].text, strlen(row[i].text));
		char interp[256], arg[256];

		assert_true(target_script(b.s, interp, arg));
		assert_string_equal(interp, row[i].interp);
		assert_string_equal(arg, row[i].arg);
		drop(&b);
	}
	for (size_t i = 0; i < CORE_ARRAY_LEN(none); i++) {
		struct bytes b = guarded((const uint8_t *)none[i], strlen(none[i]));
		char interp[256], arg[256];

		assert_false(target_script(b.s, interp, arg));
		drop(&b);
	}
}

static void an_endless_script_line_is_cut_where_the_kernel_cuts_it(void **state)
{
	uint8_t text[5000];
	struct bytes b;
	char interp[256], arg[256];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	b = guarded(text, sizeof(text));
	assert_true(target_script(b.s, interp, arg));
	assert_int_equal(strlen(interp), 254);
	assert_string_equal(arg, "");
	drop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_of_the_distribution_is_dynamic),
		cmocka_unit_test(a_fresh_program_has_its_symbols),
		cmocka_unit_test(a_static_program_is_told_from_a_static_pie),
		cmocka_unit_test(a_musl_program_is_recognised_by_its_loader),
		cmocka_unit_test(a_32_bit_program_is_of_another_architecture),
		cmocka_unit_test(another_machine_is_named),
		cmocka_unit_test(the_dynamic_loader_itself_is_no_static_program_to_give_up_on),
		cmocka_unit_test(the_sanitizer_a_program_insists_on_is_named),
		cmocka_unit_test(go_is_recognised_and_its_version_read),
		cmocka_unit_test(go_is_recognised_without_section_headers),
		cmocka_unit_test(a_go_version_with_control_characters_is_cut_before_them),
		cmocka_unit_test(a_file_cut_anywhere_is_never_read_beyond_its_end),
		cmocka_unit_test(a_truncated_program_is_called_broken),
		cmocka_unit_test(no_header_byte_leads_outside_the_file),
		cmocka_unit_test(an_interpreter_that_does_not_end_is_broken),
		cmocka_unit_test(what_is_no_elf_is_said_to_be_none),
		cmocka_unit_test(an_object_file_is_no_program),
		cmocka_unit_test(a_script_line_is_read_as_the_kernel_reads_it),
		cmocka_unit_test(an_endless_script_line_is_cut_where_the_kernel_cuts_it),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
