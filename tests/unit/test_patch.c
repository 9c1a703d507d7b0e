/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Jumps into this very program: they land, what is wrong changes nothing, and whatever way the kernel
 * leaves open is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/patch/patch.c"

bool filter_in_force(void)
{
	return false;
}

/* As near_x86_64.S has them. */
__asm__(".text\n"
	".p2align 12\n"
	".globl patch_near\n"
	".hidden patch_near\n"
	"patch_near:\n"
	".rept 512\n"
	"jmp *4096 - 6(%rip)\n"
	".byte 0xcc, 0xcc\n"
	".endr\n"
	".p2align 12\n");

/* Each says 1; the first seven bytes of each are mov eax,1 and two nops.  On a page of their own: the
 * code that writes to it must not lie there. */
#define SAYS_ONE(name)                 \
	".globl " #name "\n"           \
	".type " #name ", @function\n" \
	".p2align 4\n" #name ":\n"     \
	"movl $1, %eax\n"              \
	"nop\n"                        \
	"nop\n"                        \
	"ret\n"
__asm__(".text\n.p2align 12\n" SAYS_ONE(first) SAYS_ONE(second) SAYS_ONE(third)
		SAYS_ONE(fourth) ".p2align 12\n");
int first(void);
int second(void);
int third(void);
int fourth(void);

static const uint8_t one[] = {0xb8, 1, 0, 0, 0, 0x90, 0x90};
static const char self[] = "/proc/self/exe";

static int says_two(void)
{
	return 2;
}

static enum patch_error add(int (*at)(void), const uint8_t *expect)
{
	struct patch_jump jump = {
		.at = (uintptr_t)at, .size = sizeof(one), .target = (const void *)says_two};

	memcpy(jump.expect, expect, sizeof(one));
	return patch_add(&jump);
}

/* Through a pointer the compiler knows nothing about. */
static int ask(int (*f)(void))
{
	int (*volatile to)(void) = f;

	return to();
}

static void test_a_jump_lands_and_every_page_is_either_written_or_executed(void **state)
{
	char line[512];
	FILE *maps;

	assert_int_equal(add(first, one), PATCH_OK);
	assert_int_equal(patch_commit(self, (uintptr_t)first), PATCH_OK);
	assert_int_equal(ask(first), 2);
	maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		assert_null(strstr(line, " rwx"));
	fclose(maps);
}

static void test_bytes_of_somebody_else_are_refused(void **state)
{
	static const uint8_t other[] = {0xcc, 1, 0, 0, 0, 0x90, 0x90};

	assert_int_equal(add(third, other), PATCH_FOREIGN);
	assert_int_equal(patch_commit(self, (uintptr_t)third), PATCH_OK);
	assert_int_equal(ask(third), 1);
}

static void test_what_was_dropped_is_not_written(void **state)
{
	assert_int_equal(add(second, one), PATCH_OK);
	patch_drop();
	assert_int_equal(patch_commit(self, (uintptr_t)second), PATCH_OK);
	assert_int_equal(ask(second), 1);
}

static void test_a_library_that_is_gone_or_another_is_said(void **state)
{
	assert_int_equal(add(second, one), PATCH_OK);
	assert_int_equal(patch_commit("/nowhere", (uintptr_t)second), PATCH_NO_FILE);
	assert_int_equal(add(second, one), PATCH_OK);
	assert_int_equal(patch_commit("/bin/sh", (uintptr_t)second), PATCH_NO_FILE);
	assert_int_equal(patch_commit(NULL, (uintptr_t)second), PATCH_NO_FILE);
	assert_int_equal(ask(second), 1);
}

static void test_a_place_out_of_reach_is_refused(void **state)
{
	uint64_t far = (uintptr_t)second + (UINT64_C(1) << 36);

	assert_int_equal(add(second, one), PATCH_OK);
	assert_int_equal(patch_commit(self, far), PATCH_NO_ROOM);
	assert_int_equal(ask(second), 1);
}

static void test_jumps_that_do_not_fit_are_refused(void **state)
{
	struct patch_jump jump = {.at = (uintptr_t)second, .size = 4};

	assert_int_equal(patch_add(&jump), PATCH_TOO_MANY);
	jump.size = PATCH_SIZE + 1;
	assert_int_equal(patch_add(&jump), PATCH_TOO_MANY);
	jump.size = PATCH_SIZE;
	memcpy(jump.expect, (const void *)jump.at, PATCH_SIZE);
	for (unsigned i = 0; i < PATCH_JUMPS; i++)
		assert_int_equal(patch_add(&jump), PATCH_OK);
	assert_int_equal(patch_add(&jump), PATCH_TOO_MANY);
	patch_drop();
}

/* Under the thread sanitizer a store to the program's own text is checked in shadow memory that is not
 * there; a child that makes one dies of it. */
#ifndef __SANITIZE_THREAD__

/* From now on these calls of this process fail with EPERM: writing to memory through the kernel, and
 * with `execute`, making pages executable, as MemoryDenyWriteExecute= does. */
static bool forbid(bool execute)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, execute ? SYS_mprotect : UINT32_MAX, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = {CORE_ARRAY_LEN(code), code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In a child: its answer and what the function says afterwards, in one number. */
static int in_child(bool execute)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (!forbid(execute) || add(fourth, one) != PATCH_OK)
			_exit(255);
		_exit((int)patch_commit(self, (uintptr_t)fourth) * 10 + ask(fourth));
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_text_is_written_by_mprotect_where_memory_files_are_forbidden(void **state)
{
	assert_int_equal(in_child(false), PATCH_OK * 10 + 2);
}

static void test_where_neither_way_is_open_the_program_stays_as_it_is_and_runs(void **state)
{
	assert_int_equal(in_child(true), PATCH_FORBIDDEN * 10 + 1);
}

#endif

static void test_every_error_has_words(void **state)
{
	for (unsigned e = PATCH_OK; e <= PATCH_TOO_MANY; e++)
		assert_true(strlen(patch_error_text((enum patch_error)e)) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_jump_lands_and_every_page_is_either_written_or_executed),
		cmocka_unit_test(test_bytes_of_somebody_else_are_refused),
		cmocka_unit_test(test_what_was_dropped_is_not_written),
		cmocka_unit_test(test_a_library_that_is_gone_or_another_is_said),
		cmocka_unit_test(test_a_place_out_of_reach_is_refused),
		cmocka_unit_test(test_jumps_that_do_not_fit_are_refused),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(test_text_is_written_by_mprotect_where_memory_files_are_forbidden),
		cmocka_unit_test(
			test_where_neither_way_is_open_the_program_stays_as_it_is_and_runs),
#endif
		cmocka_unit_test(test_every_error_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
