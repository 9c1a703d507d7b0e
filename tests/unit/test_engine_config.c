/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the environment says to the guest, and what it answers when that makes no sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "shim/engine/config.c"
#include "shim/engine/line.c"

static const char *read_one(struct config *c, char *entry)
{
	char *const environ[] = {"PATH=/bin", entry, NULL};

	return config_read(c, environ);
}

static void defaults_are_those_of_the_table(void **state)
{
	struct config c;

	assert_null(read_one(&c, "HOME=/"));
	assert_true(c.enabled);
	assert_false(c.all || c.no_redact || c.quiet || c.keep_first);
	assert_int_equal(c.max_trace, 128 << 20);
	assert_int_equal(c.max_body, 16 << 10);
	assert_int_equal(c.max_payload, 0);
}

static void sizes_take_suffixes_and_refuse_nonsense(void **state)
{
	static const struct {
		char *entry;
		uint64_t size; /* 0: refused */
	} cases[] = {
		{"SHAKEDOWN_MAX_TRACE=16777217", (16 << 20) + 1},
		{"SHAKEDOWN_MAX_TRACE=65536K", 64 << 20},
		{"SHAKEDOWN_MAX_TRACE=30m", 30 << 20},
		{"SHAKEDOWN_MAX_TRACE=2G", UINT64_C(2) << 30},
		{"SHAKEDOWN_MAX_TRACE=", 0},
		{"SHAKEDOWN_MAX_TRACE=1", 0},
		{"SHAKEDOWN_MAX_TRACE=G", 0},
		{"SHAKEDOWN_MAX_TRACE=-1", 0},
		{"SHAKEDOWN_MAX_TRACE=1KB", 0},
		{"SHAKEDOWN_MAX_TRACE=0x10", 0},
		{"SHAKEDOWN_MAX_TRACE=99999999999999999999", 0},
		{"SHAKEDOWN_MAX_TRACE=999999999999G", 0},
	};
	struct config c;

	for (unsigned i = 0; i < CORE_ARRAY_LEN(cases); i++) {
		const char *wrong = read_one(&c, cases[i].entry);

		if (cases[i].size) {
			assert_null(wrong);
			assert_int_equal(c.max_trace, cases[i].size);
		} else {
			assert_non_null(wrong);
			assert_non_null(strstr(wrong, "SHAKEDOWN_MAX_TRACE"));
		}
	}
}

static void a_name_nobody_knows_is_refused_by_name(void **state)
{
	struct config c;
	const char *wrong = read_one(&c, "SHAKEDOWN_PAYLAOD=9");

	assert_non_null(wrong);
	assert_non_null(strstr(wrong, "SHAKEDOWN_PAYLAOD"));
	assert_null(strchr(wrong, '\n'));
	assert_null(read_one(&c, "SHAKEDOWNX=9"));	    /* not our prefix */
	assert_null(read_one(&c, "SHAKEDOWN_LIB=/a/b.so")); /* the command's */
	assert_null(strstr(config_place, "/a/b.so"));
}

static void a_long_value_is_cut_in_the_message(void **state)
{
	static char entry[2000] = "SHAKEDOWN_ALL=";
	struct config c;
	const char *wrong;

	memset(entry + strlen(entry), 'x', sizeof(entry) - strlen(entry) - 1);
	wrong = read_one(&c, entry);
	assert_non_null(wrong);
	assert_true(strlen(wrong) < CONFIG_PROBLEM_MAX);
}

static void off_wins_over_everything_else(void **state)
{
	char *const environ[] = {"SHAKEDOWN_NONSENSE=1", "SHAKEDOWN=off", NULL};
	struct config c;

	assert_null(config_read(&c, environ));
	assert_false(c.enabled);
}

static void the_place_becomes_absolute_at_once(void **state)
{
	char here[CONFIG_PATH_MAX];
	struct config c;

	assert_non_null(getcwd(here, sizeof(here)));
	strcat(here, "/some/dir");
	assert_null(read_one(&c, "SHAKEDOWN_TRACE=some/dir"));
	assert_string_equal(config_place, here);
	assert_null(read_one(&c, "SHAKEDOWN_TRACE=/x/y z:w"));
	assert_string_equal(config_place, "/x/y z:w");
	assert_null(read_one(&c, "SHAKEDOWN_TRACE="));
	assert_non_null(strstr(config_place, "/test_engine_config.trace"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_table),
		cmocka_unit_test(sizes_take_suffixes_and_refuse_nonsense),
		cmocka_unit_test(a_name_nobody_knows_is_refused_by_name),
		cmocka_unit_test(a_long_value_is_cut_in_the_message),
		cmocka_unit_test(off_wins_over_everything_else),
		cmocka_unit_test(the_place_becomes_absolute_at_once),
	};

	return cmocka_run_group_tests_name("engine_config", tests, NULL, NULL);
}
