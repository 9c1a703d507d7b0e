/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A scenario file: YAML with places, rules in both spellings, variables, values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/scenario/client.h"
#include "tools/scenario/scenario.h"

static struct arena *arena;
static struct scenario_error error;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	memset(&error, 0, sizeof(error));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct yaml *parse(const char *text)
{
	return yaml_parse("f.yaml", text, strlen(text), arena, &error);
}

static struct scenario *load(const char *text)
{
	static const struct scenario_given given = {.path = "/w:s"};

	return scenario_parse("dir/f.yaml", text, strlen(text), &given, arena, &error);
}

#define HEAD "version: 1\ntarget: {cmd: [x]}\nsteps: [{sleep: 1ms}]\n"

/* ---- YAML ---- */

static void each_value_knows_its_line_and_column(void **state)
{
	const struct yaml *root = parse("a: 1\nb:\n  - x\n  - {c: 'y z'}\n"), *list, *map;

	(void)state;
	assert_non_null(root);
	list = yaml_get(root, "b");
	map = list->first->next;
	assert_int_equal(yaml_get(root, "a")->at.column, 4);
	assert_int_equal(list->first->at.line, 3);
	assert_int_equal(list->first->at.column, 5);
	assert_int_equal(yaml_get(map, "c")->key_at.column, 6);
	assert_int_equal(yaml_get(map, "c")->at.column, 9);
	assert_true(yaml_get(map, "c")->quoted);
	assert_string_equal(yaml_get(map, "c")->text, "y z");
}

static void a_key_stands_once_in_its_mapping_and_may_stand_in_another(void **state)
{
	(void)state;
	assert_non_null(parse("a: {b: 1}\nc: {b: 1}\n"));
	assert_null(parse("a: 1\nb: 2\na: 3\n"));
	assert_int_equal(error.at.line, 3);
	assert_non_null(strstr(error.what, "in line 1"));
}

static void what_makes_small_files_large_is_refused(void **state)
{
	static const char *const bad[] = {"a: &x [1]\n",  "a: *x\n",	       "a: !!str 1\n",
					  "? [a]\n: b\n", "a: 1\n---\nb: 2\n", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(parse(bad[i]));
		assert_true(error.what[0]);
	}
}

static void a_text_with_a_nul_byte_is_refused(void **state)
{
	(void)state;
	assert_null(parse("a: \"x\\0y\"\n"));
	assert_non_null(strstr(error.what, "NUL"));
}

static void an_error_is_one_line_without_control_characters(void **state)
{
	char line[1200];

	(void)state;
	scenario_error_set(&error, (struct place){"f\x1b[31m", 3, 4}, "bad\nword\x07");
	scenario_error_text(&error, line, sizeof(line));
	for (const char *p = line; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	assert_non_null(strstr(line, ":3:4: "));
}

/* ---- rules ---- */

static void both_spellings_of_a_rule_are_the_same_rule(void **state)
{
	static const char *const pair[][2] = {
		{"tx@response-head:delay=300ms,50ms:path=/ws",
		 "{site: tx@response-head, fault: {delay: {time: 300ms, jitter: 50ms}}, match: "
		 "{path: /ws}}"},
		{"rx:slice=1460", "{site: rx, fault: {slice: 1460}}"},
		{"tx@response-head+17:reset:conn=3",
		 "{site: tx@response-head+17, fault: reset, match: {conn: 3}}"},
		{"tx:delay=1ms+slice=9", "{site: tx, fault: [{delay: 1ms}, {slice: 9}]}"},
		{"tx:delay=1ms+slice=9", "{site: tx, fault: {delay: 1ms, slice: {size: 9}}}"},
		{"recv:error=EINTR:when=3+3:per=conn",
		 "{site: recv, fault: {error: EINTR}, match: {when: 3+3, per: conn}}"},
		{"tx@frames:insert=a%3Bb%20c",
		 "{site: tx@frames, fault: {insert: {bytes: 'a;b c'}}}"},
		{"rx:drop,then=close:path=/a%3Ab",
		 "{site: rx, fault: {drop: {then: close}}, match: {path: '/a:b'}}"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		char one[FAULT_TEXT * 2], other[FAULT_TEXT * 2];
		struct scenario *s;

		snprintf(text, sizeof(text), HEAD "rules:\n  a: \"%s\"\n  b: %s\n", pair[i][0],
			 pair[i][1]);
		s = load(text);
		if (!s)
			fail_msg("%s: %s", pair[i][1], error.what);
		memcpy(s->rule[1].rule.name, "a\0", 2);
		fault_rule_print(&s->rule[0].rule, one, sizeof(one));
		fault_rule_print(&s->rule[1].rule, other, sizeof(other));
		assert_string_equal(one, other);
	}
}

static void what_is_wrong_in_a_mapping_is_shown_at_its_own_word(void **state)
{
	static const struct {
		const char *rule;
		unsigned column;
	} wrong[] = {
		{"{site: txx, fault: reset}", 13},
		{"{site: tx@framez, fault: reset}", 16},
		{"{site: tx, fault: resett}", 24},
		{"{site: tx, fault: {delay: {time: 3}}}", 39},
		{"{site: tx, fault: {delay: {tim: 3ms}}}", 33},
		{"{site: tx, fault: reset, match: {p: 120%}}", 42},
		{"{site: tx, fault: reset, match: {pat: /}}", 39},
		{"{site: tx, fault: [reset, resett]}", 32},
		{"{site: tx}", 6},
		{"{site: tx, fault: reset, macht: {}}", 31},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), HEAD "rules:\n  a: %s\n", wrong[i].rule);
		assert_null(load(text));
		assert_int_equal(error.at.line, 5);
		if (error.at.column != wrong[i].column)
			fail_msg("%s: column %u: %s", wrong[i].rule, error.at.column, error.what);
	}
}

static void a_rule_may_be_called_as_a_fault_is(void **state)
{
	(void)state;
	assert_non_null(load(
		HEAD
		"rules: {mtu: \"rx:slice=1460\", clog: \"any@frames:hold,until=release.r1\"}\n"));
}

static void a_path_from_the_command_line_cannot_add_to_a_rule(void **state)
{
	struct scenario *s = load(HEAD "rules: {a: \"tx:reset:path=$path\"}\n");
	char text[FAULT_TEXT * 2];

	(void)state;
	assert_non_null(s);
	fault_rule_print(&s->rule[0].rule, text, sizeof(text));
	assert_non_null(strstr(text, "path=/w%3As"));
}

/* ---- variables ---- */

static void variables_are_put_in_and_others_stay(void **state)
{
	const struct variables v = {
		.path = "/p", .host = "h", .dir = "/d", .port = 80, .seed = 7, .n = 3};
	static const char *const pair[][2] = {
		{"$host:$port$path", "h:80/p"},
		{"${host}x$PORT", "hx80"},
		{"$$port", "$port"},
		{"$other $hosts $", "$other $hosts $"},
		{"${port", "${port"},
		{"when=$n+$n", "when=3+3"},
		{"a$seed", "a7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++)
		assert_string_equal(expand(&v, pair[i][0], false, arena), pair[i][1]);
}

/* ---- values ---- */

static void comparisons_hold_as_they_are_written(void **state)
{
	static const struct {
		const char *text;
		bool at2, at3, at4;
	} row[] = {
		{">=3", false, true, true},  {">3", false, false, true},
		{"<=3", true, true, false},  {"< 3", true, false, false},
		{"==3", false, true, false}, {"3", false, true, false},
		{"!=3", true, false, true},  {"any", true, true, true},
	};
	struct comparison c;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_true(keys_comparison(row[i].text, &c));
		assert_int_equal(comparison_holds(&c, 2), row[i].at2);
		assert_int_equal(comparison_holds(&c, 3), row[i].at3);
		assert_int_equal(comparison_holds(&c, 4), row[i].at4);
	}
	assert_false(keys_comparison(">=", &c));
	assert_false(keys_comparison("=>3", &c));
	assert_false(keys_comparison("", &c));
}

static void ranges_have_an_order(void **state)
{
	uint64_t a, b;

	(void)state;
	assert_true(keys_range("3..5", &a, &b) && a == 3 && b == 5);
	assert_true(keys_range("3..", &a, &b) && a == 3 && b == UINT64_MAX);
	assert_true(keys_range("3", &a, &b) && a == 3 && b == 3);
	assert_false(keys_range("5..3", &a, &b));
	assert_false(keys_range("..3", &a, &b));
	assert_false(keys_range("99999999999999999999999999", &a, &b));
}

static void seeds_are_a_list_or_a_range(void **state)
{
	struct scenario *s = load(HEAD "seeds: 5..7\n");

	(void)state;
	assert_int_equal(s->seeds, 3);
	assert_int_equal(s->seed[2], 7);
	s = load(HEAD "seeds: [9, 1]\n");
	assert_int_equal(s->seeds, 2);
	assert_int_equal(s->seed[0], 9);
	s = load(HEAD);
	assert_int_equal(s->seeds, 1);
	assert_int_equal(s->seed[0], 1);
	assert_string_equal(s->name, "f");
	assert_string_equal(s->folder, "dir");
}

static void bytes_names_and_numbers_are_read(void **state)
{
	uint8_t bytes[4];

	(void)state;
	assert_int_equal(hex_bytes("0d 0A ff", bytes), 3);
	assert_int_equal(bytes[2], 255);
	assert_int_equal(hex_bytes("0d0", NULL), -1);
	assert_int_equal(hex_bytes("zz", NULL), -1);
	assert_int_equal(opcode_by_name("pong"), 10);
	assert_int_equal(opcode_by_name("15"), 15);
	assert_int_equal(opcode_by_name("16"), -1);
	assert_int_equal(signal_by_name("TERM"), 15);
	assert_int_equal(signal_by_name("SIGKILL"), 9);
	assert_int_equal(signal_by_name("TERN"), 0);
	assert_int_equal(error_by_name("EPIPE"), 32);
	assert_int_equal(error_by_name("EPIP"), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(each_value_knows_its_line_and_column),
		CASE(a_key_stands_once_in_its_mapping_and_may_stand_in_another),
		CASE(what_makes_small_files_large_is_refused),
		CASE(a_text_with_a_nul_byte_is_refused),
		CASE(an_error_is_one_line_without_control_characters),
		CASE(both_spellings_of_a_rule_are_the_same_rule),
		CASE(what_is_wrong_in_a_mapping_is_shown_at_its_own_word),
		CASE(a_rule_may_be_called_as_a_fault_is),
		CASE(a_path_from_the_command_line_cannot_add_to_a_rule),
		CASE(variables_are_put_in_and_others_stay),
		CASE(comparisons_hold_as_they_are_written),
		CASE(ranges_have_an_order),
		CASE(seeds_are_a_list_or_a_range),
		CASE(bytes_names_and_numbers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
