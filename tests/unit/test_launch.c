/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch: what ends up in LD_PRELOAD, and which variables are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/core.h"
#include "tools/verb/launch.h"

static void the_preload_keeps_what_was_there_and_comes_behind_a_sanitizer_only(void **state)
{
	static const struct {
		const char *existing, *sanitizer, *expected;
	} row[] = {
		{NULL, "", "/l.so"},
		{"", "", "/l.so"},
		{"/a.so", "", "/l.so:/a.so"},
		{"/a.so:/b.so", "", "/l.so:/a.so:/b.so"},
		{"/a.so  /b.so ", "", "/l.so:/a.so:/b.so"},
		{":/a.so:", "", "/l.so:/a.so"},
		{"/l.so", "", "/l.so"},
		{"/a.so:/l.so", "", "/l.so:/a.so"},
		{"/x/libasan.so.8:/a.so", "", "/x/libasan.so.8:/l.so:/a.so"},
		{"libtsan.so.2", "", "libtsan.so.2:/l.so"},
		{NULL, "libasan.so.8", "libasan.so.8:/l.so"},
		{"/a.so", "libasan.so.8", "libasan.so.8:/l.so:/a.so"},
		{"/x/libasan.so.8", "libasan.so.8", "/x/libasan.so.8:/l.so"},
	};
	char value[128];

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		assert_true(launch_preload("/l.so", row[i].existing, row[i].sanitizer, value,
					   sizeof(value)));
		assert_string_equal(value, row[i].expected);
	}
}

static void a_preload_that_does_not_fit_is_refused_and_never_cut(void **state)
{
	char value[32];

	(void)state;
	for (size_t size = 1; size < sizeof(value); size++) {
		bool fits = launch_preload("/l.so", "/a.so:/b.so", "", value, size);

		assert_int_equal(fits, size >= sizeof("/l.so:/a.so:/b.so"));
		assert_true(memchr(value, 0, size));
	}
}

static void variables_with_values_that_mean_nothing_are_refused(void **state)
{
	static char *const good[] = {
		"SHAKEDOWN_MAX_TRACE=64M", "SHAKEDOWN_BODY=0", "SHAKEDOWN_KEEP=first",
		"SHAKEDOWN_ALL=yes",	   "SHAKEDOWN=on",     "SHAKEDOWNS_OTHER=x",
		"SHAKEDOWN_TRACE=a b:c",   "PATH=x",	       "=",
		"SHAKEDOWN_LIB="};
	static char *const bad[] = {"SHAKEDOWN_MAX_TRACE=",  "SHAKEDOWN_MAX_TRACE=64MiB",
				    "SHAKEDOWN_MAX_TRACE=1", "SHAKEDOWN_MAX_TRACE=999999999G",
				    "SHAKEDOWN_BODY=-1",     "SHAKEDOWN_BODY=1234567890123",
				    "SHAKEDOWN_KEEP=most",   "SHAKEDOWN_ALL=perhaps",
				    "SHAKEDOWN=off",	     "SHAKEDOWN_NOTHING=1",
				    "SHAKEDOWN_TRACES=x"};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(good); i++)
		assert_true(launch_environ_check((char *[]){good[i], NULL}));
	for (size_t i = 0; i < CORE_ARRAY_LEN(bad); i++)
		assert_false(launch_environ_check((char *[]){"A=1", bad[i], NULL}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_preload_keeps_what_was_there_and_comes_behind_a_sanitizer_only),
		cmocka_unit_test(a_preload_that_does_not_fit_is_refused_and_never_cut),
		cmocka_unit_test(variables_with_values_that_mean_nothing_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
