/* SPDX-License-Identifier: BSD-2-Clause
 *
 * --since understands time the way people and logs write it, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "tools/verb/report.h"

static const uint64_t second = UINT64_C(1000000000);
static const uint64_t now = UINT64_C(1717164000); /* 2024-05-31 14:00:00 UTC */

static void is_time(const char *text, uint64_t seconds)
{
	uint64_t ret = 1;

	if (!report_since_parse(text, now * second, &ret))
		fail_msg("'%s' is refused", text);
	assert_int_equal(ret, seconds * second);
}

static void a_duration_counts_back_from_now(void **state)
{
	is_time("10m", now - 600);
	is_time("1h", now - 3600);
	is_time("0", now);
	is_time("36500d", 0);
}

static void a_time_of_day_is_the_last_one(void **state)
{
	is_time("13:59", now - 60);
	is_time("13:59:30", now - 30);
	is_time("14:00", now);
	is_time("14:01", now + 60 - 86400);
}

static void a_date_is_taken_as_it_stands(void **state)
{
	is_time("2024-05-31", now - 14 * 3600);
	is_time("2024-05-31 13:00", now - 3600);
	is_time("2024-05-31T13:00:05", now - 3595);
	is_time("2024-06-01 14:00", now + 86400);
}

static void seconds_since_1970_are_marked(void **state)
{
	is_time("@1717164000", now);
	is_time("@0", 0);
}

static void anything_else_is_refused(void **state)
{
	static const char *const wrong[] = {"",
					    "yesterday",
					    "10",
					    "14:",
					    "14:00x",
					    "@",
					    "@-1",
					    "@1e9",
					    "25:00",
					    "2024-13-01",
					    "10m ",
					    "-5m",
					    "@99999999999999999999"};
	uint64_t ret = 7;
	size_t i;

	for (i = 0; i < CORE_ARRAY_LEN(wrong); i++) {
		if (report_since_parse(wrong[i], now * second, &ret))
			fail_msg("'%s' is taken", wrong[i]);
		assert_int_equal(ret, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_duration_counts_back_from_now),
		cmocka_unit_test(a_time_of_day_is_the_last_one),
		cmocka_unit_test(a_date_is_taken_as_it_stands),
		cmocka_unit_test(seconds_since_1970_are_marked),
		cmocka_unit_test(anything_else_is_refused),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
