/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The catalogue is what explain, the docs and every report are made from: it has to be whole.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/finding/finding.h"
#include "core/finding/say.h"

static void every_row_has_a_name_in_kebab_case_that_leads_back_to_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		const struct finding_info *info = finding_info((enum finding_id)i);
		enum finding_id id;

		for (const char *p = info->id; *p; p++)
			assert_true(islower((unsigned char)*p) || isdigit((unsigned char)*p) ||
				    *p == '-');
		assert_true(finding_from_name(info->id, &id));
		assert_int_equal(id, i);
	}
}

/* A fix is copied into every finding, so it has to fit. */
static void every_row_says_what_why_how_and_from_what(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		const struct finding_info *info = finding_info((enum finding_id)i);
		const char *text[] = {info->title, info->why, info->fix, info->evidence};

		for (unsigned k = 0; k < 4; k++) {
			assert_in_range(strlen(text[k]), 10, FINDING_TEXT - 1);
			for (const char *p = text[k]; *p; p++)
				assert_in_range(*p, ' ', '~');
		}
		assert_int_not_equal(info->title[strlen(info->title) - 1], '.');
		assert_int_equal(info->fix[strlen(info->fix) - 1], '.');
	}
}

static void an_unknown_name_is_refused(void **state)
{
	enum finding_id id = FINDING_COUNT;
	enum severity s = SEVERITY_INFO;

	(void)state;
	assert_false(finding_from_name("http-after-10", &id));
	assert_false(finding_from_name("", &id));
	assert_false(finding_from_name("http-after-1011", &id));
	assert_int_equal(id, FINDING_COUNT);
	assert_null(finding_info(FINDING_COUNT));
	assert_false(severity_from_name("fatal", &s));
	assert_true(severity_from_name("critical", &s));
	assert_int_equal(s, SEVERITY_CRITICAL);
}

static void severities_rise(void **state)
{
	(void)state;
	assert_true(SEVERITY_INFO < SEVERITY_WARNING);
	assert_true(SEVERITY_WARNING < SEVERITY_ERROR);
	assert_true(SEVERITY_ERROR < SEVERITY_CRITICAL);
	assert_string_equal(severity_name(SEVERITY_WARNING), "warning");
}

static const char *said(const char *format, uint64_t v)
{
	static char text[64];

	text[0] = '\0';
	say(text, sizeof(text), format, v);
	return text;
}

static void times_are_said_as_people_say_them(void **state)
{
	(void)state;
	assert_string_equal(said("%t", 0), "0 us");
	assert_string_equal(said("%t", 999999), "999 us");
	assert_string_equal(said("%t", 4000000), "4 ms");
	assert_string_equal(said("%t", 998000000), "1.00 s");
	assert_string_equal(said("%t", UINT64_C(60010000000)), "60.01 s");
	assert_string_equal(said("%t", UINT64_C(61999000000)), "62.00 s");
}

static void bytes_of_strangers_come_out_as_plain_text(void **state)
{
	static const uint8_t bytes[] = "a\x1b[31m\r\n\0\xff\"";
	struct span s = {bytes, sizeof(bytes) - 1};
	char text[64] = "";

	(void)state;
	say(text, sizeof(text), "%b", &s);
	assert_string_equal(text, "a\\x1b[31m\\r\\n\\x00\\xff\"");
}

static void what_does_not_fit_is_cut_with_dots(void **state)
{
	char text[12] = "";

	(void)state;
	say(text, sizeof(text), "%s", "a long sentence");
	assert_string_equal(text, "a long s...");
	say(text, sizeof(text), "more");
	assert_string_equal(text, "a long s...");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_a_name_in_kebab_case_that_leads_back_to_it),
		cmocka_unit_test(every_row_says_what_why_how_and_from_what),
		cmocka_unit_test(an_unknown_name_is_refused),
		cmocka_unit_test(severities_rise),
		cmocka_unit_test(times_are_said_as_people_say_them),
		cmocka_unit_test(bytes_of_strangers_come_out_as_plain_text),
		cmocka_unit_test(what_does_not_fit_is_cut_with_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
