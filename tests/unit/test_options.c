/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options: what a command line means, what is said about one that means nothing, and that help, man
 * page and completion know the same options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"
#include "tools/verb/launch.h"
#include "tools/verb/nearest.h"
#include "tools/verb/options.h"
#include "tools/verb/value.h"

static bool loud, dry;
static const char *name, *colour;
static uint64_t wait_ns, room, count;
static struct option_list words;

static const struct option_row rows[] = {
	{"loud", 'l', OPTION_FLAG, NULL, "say more", &loud},
	{"dry-run", 'd', OPTION_FLAG, NULL, "change nothing", &dry},
	{"name", 'n', OPTION_STRING, "NAME", "call it so", &name},
	{"word", 'w', OPTION_LIST, "WORD", "one more word", &words},
	{"wait", 0, OPTION_TIME, "TIME", "how long", &wait_ns},
	{"room", 0, OPTION_SIZE, "SIZE", "how much", &room},
	{"count", 0, OPTION_NUMBER, "N", "how many", &count},
	{"colour", 0, OPTION_CHOICE, "red|green|blue", "which", &colour},
	{.name = NULL},
};

static int run_nothing(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct verb paint = {
	.name = "paint",
	.synopsis = "[options] FILE...",
	.summary = "paint files",
	.text = "Paints.\n\nEXAMPLES\n\n    shakedown paint 'a\\b'\n    .hidden\n",
	.options = rows,
	.run = run_nothing,
};

static char *argv_now[16];
static int argc_now;
static char said[1024];

/* Parse words given as one string; what was complained about is in `said`. */
static bool parse(const char *line, bool stop)
{
	static char copy[512];
	char *save = NULL;
	int null[2], err = dup(2);
	bool good;
	ssize_t n;

	loud = dry = false;
	name = colour = NULL;
	wait_ns = room = count = 0;
	free(words.item);
	words = (struct option_list){0};
	snprintf(copy, sizeof(copy), "%s", line);
	argc_now = 0;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv_now[argc_now++] = w;
	argv_now[argc_now] = NULL;

	assert_int_equal(pipe(null), 0);
	fflush(stderr);
	dup2(null[1], 2);
	good = options_parse(&paint, &argc_now, argv_now, stop);
	fflush(stderr);
	dup2(err, 2);
	close(err);
	close(null[1]);
	n = read(null[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(null[0]);
	return good;
}

static void options_may_stand_before_and_behind_operands(void **state)
{
	(void)state;
	assert_true(parse("one -l two --name me three", false));
	assert_true(loud);
	assert_string_equal(name, "me");
	assert_int_equal(argc_now, 3);
	assert_string_equal(argv_now[0], "one");
	assert_string_equal(argv_now[2], "three");
	assert_null(argv_now[3]);
}

static void all_spellings_of_a_value_mean_the_same(void **state)
{
	static const char *const lines[] = {"--name=x", "--name x", "-nx",
					    "-n x",	"-ldnx",    "-ldn x"};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(lines); i++) {
		assert_true(parse(lines[i], false));
		assert_string_equal(name, "x");
		assert_int_equal(argc_now, 0);
	}
	assert_true(loud && dry);
	assert_true(parse("--name=", false));
	assert_string_equal(name, "");
	assert_true(parse("--name=a=b", false));
	assert_string_equal(name, "a=b");
}

static void the_command_behind_the_options_keeps_its_own(void **state)
{
	(void)state;
	assert_true(parse("-l -- server -d --name x", true));
	assert_int_equal(argc_now, 4);
	assert_string_equal(argv_now[1], "-d");
	assert_false(dry);
	assert_true(parse("-l server -d -- --name x", true));
	assert_int_equal(argc_now, 5);
	assert_string_equal(argv_now[2], "--");
	assert_false(dry);
	assert_true(parse("a -- -d --", false));
	assert_int_equal(argc_now, 3);
	assert_string_equal(argv_now[1], "-d");
}

static void a_single_dash_is_an_operand(void **state)
{
	(void)state;
	assert_true(parse("- -l", false));
	assert_int_equal(argc_now, 1);
	assert_string_equal(argv_now[0], "-");
}

static void a_list_keeps_every_value_in_order(void **state)
{
	(void)state;
	assert_true(parse("-w a --word=b -wc", false));
	assert_int_equal(words.n, 3);
	assert_string_equal(words.item[0], "a");
	assert_string_equal(words.item[2], "c");
}

static void what_is_wrong_is_said_in_one_sentence_with_the_remedy(void **state)
{
	static const struct {
		const char *line, *expected;
	} row[] = {
		{"--luod", "did you mean '--loud'?"},
		{"--dryrun", "did you mean '--dry-run'?"},
		{"--colour=gren", "did you mean 'green'?"},
		{"--colour=mauve", "none of red|green|blue"},
		{"--frobnicate", "'shakedown help paint' lists them"},
		{"-x", "no option '-x'"},
		{"-lx", "no option '-x'"},
		{"--name", "--name needs a value: --name NAME"},
		{"-n", "--name needs a value"},
		{"--loud=yes", "--loud takes no value"},
		{"--wait=5", "has no unit"},
		{"--wait=soon", "is no duration"},
		{"--room=5x", "is no size"},
		{"--room=-1", "is no size"},
		{"--count=many", "is no number"},
		{"--count=1x", "is no number"},
		{"--count=99999999999999999999", "is too large"},
		{"--room=17179869184G", "is too large"},
	};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		assert_false(parse(row[i].line, false));
		assert_non_null(strstr(said, row[i].expected));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		assert_int_equal(strncmp(said, "shakedown: ", 11), 0);
	}
}

static void control_characters_of_a_command_line_do_not_reach_the_terminal(void **state)
{
	(void)state;
	assert_false(parse("--\x1b]0;x\x07", false));
	assert_null(strchr(said, '\x1b'));
	assert_null(strchr(said, '\x07'));
}

static void times_and_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} times[] = {{"0", 0},
		     {"1ns", 1},
		     {"2us", 2000},
		     {"3ms", 3000000},
		     {"1.5s", 1500000000},
		     {"5S", 5000000000},
		     {"2m", 120000000000},
		     {"1h", 3600000000000},
		     {"0.25us", 250}};
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {{"0", 0},	      {"4096", 4096},	 {"64K", 65536},   {"64k", 65536},
		     {"1M", 1 << 20}, {"1MiB", 1 << 20}, {"1MB", 1 << 20}, {"2G", 2ull << 30},
		     {"0.5K", 512},   {"1T", 1ull << 40}};
	static const char *const bad[] = {"",	 "s",	".s",  "1.",  "1..2s",
					  "1 s", "1s2", "-1s", "+1s", "1.s"};
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(times); i++) {
		assert_null(value_time(times[i].text, &v));
		assert_int_equal(v, times[i].ns);
	}
	for (size_t i = 0; i < CORE_ARRAY_LEN(sizes); i++) {
		assert_null(value_size(sizes[i].text, &v));
		assert_int_equal(v, sizes[i].bytes);
	}
	v = 7;
	for (size_t i = 0; i < CORE_ARRAY_LEN(bad); i++) {
		assert_non_null(value_time(bad[i], &v));
		assert_int_equal(v, 7);
	}
	assert_non_null(value_time("1000000000000h", &v));
	assert_int_equal(v, 7);
}

static void the_nearest_word_is_near_or_nothing(void **state)
{
	static const char *const known[] = {"run", "report", "explain", "doctor"};
	static const struct {
		const char *word, *expected;
	} row[] = {{"rnu", "run"},    {"RUN", "run"},  {"repotr", "report"}, {"explian", "explain"},
		   {"doc", "doctor"}, {"xyzzy", NULL}, {"", NULL},	     {"frobnicate", NULL}};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		struct nearest n;

		nearest_init(&n, row[i].word);
		for (size_t k = 0; k < CORE_ARRAY_LEN(known); k++)
			nearest_try(&n, known[k]);
		if (row[i].expected)
			assert_string_equal(n.best, row[i].expected);
		else
			assert_null(n.best);
	}
	assert_int_equal(nearest_distance("abc", "acb"), 1);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
}

static void words_of_any_length_can_be_compared(void **state)
{
	char long_word[5000];

	(void)state;
	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	assert_int_equal(nearest_distance(long_word, "a"), 64);
	assert_int_equal(nearest_distance(long_word, long_word), 0);
	long_word[63] = '\0';
	assert_int_equal(nearest_distance(long_word, ""), 63);
}

static void help_is_found_among_the_options_only(void **state)
{
	char *with[] = {"-l", "--nonsense", "--help", NULL};
	char *behind[] = {"-l", "--", "cmd", "--help", NULL};
	char *value[] = {"-n", "--help", NULL};

	(void)state;
	assert_true(options_ask_help(&paint, 3, with, true));
	assert_false(options_ask_help(&paint, 4, behind, true));
	assert_false(options_ask_help(&paint, 4, behind, false));
	assert_false(options_ask_help(&paint, 2, value, false));
}

static void every_variable_the_library_reads_is_known_to_the_command(void **state)
{
	static const char *const library[] = {
#define CONFIG(id, name, type, initial, help) name,
#include "shim/engine/config.def"
#undef CONFIG
	};

	(void)state;
	for (size_t i = 0; i < CORE_ARRAY_LEN(library); i++) {
		char value[] = "=first", *entry[] = {NULL, NULL}, text[64];

		/* Some value fits; a name that is unknown fits with none. */
		snprintf(text, sizeof(text), "%s%s", library[i],
			 strstr(library[i], "KEEP")	   ? value
			 : strstr(library[i], "MAX_TRACE") ? "=64M"
							   : "=1");
		entry[0] = text;
		assert_true(launch_environ_check(entry));
	}
}

/* What a function writes to a stream, in a static buffer. */
static const char *written(void (*what)(FILE *, const struct verb *), const struct verb *v)
{
	static char buffer[65536];
	FILE *f = fmemopen(buffer, sizeof(buffer), "w");

	assert_non_null(f);
	what(f, v);
	fclose(f);
	return buffer;
}

static void words_of(FILE *out, const struct verb *v)
{
	manual_words(out, v, NULL);
}

static void help_page_and_completion_name_every_option_of_every_verb(void **state)
{
	char dashed[64], roff[128];

	(void)state;
	for (size_t i = 0; verb_all[i]; i++) {
		for (const struct option_row *r = verb_all[i]->options; r->name; r++) {
			const char *p = r->name;
			size_t n = 0;

			snprintf(dashed, sizeof(dashed), "--%s", r->name);
			for (; *p; p++) {
				if (*p == '-')
					roff[n++] = '\\';
				roff[n++] = *p;
			}
			roff[n] = '\0';
			assert_non_null(strstr(written(manual_help, verb_all[i]), dashed));
			assert_non_null(strstr(written(words_of, verb_all[i]), dashed));
			assert_non_null(strstr(written(manual_page, verb_all[i]), roff));
		}
		assert_non_null(strstr(written(manual_help, verb_all[i]), verb_all[i]->synopsis));
	}
}

static void help_fits_a_terminal_of_80_columns(void **state)
{
	(void)state;
	for (size_t i = 0; verb_all[i]; i++) {
		const char *p = written(manual_help, verb_all[i]);

		for (const char *end; (end = strchr(p, '\n')); p = end + 1)
			assert_in_range(end - p, 0, 80);
	}
}

static void the_help_of_a_verb_is_exactly_this(void **state)
{
	(void)state;
	assert_string_equal(written(manual_help, &paint),
			    "usage: shakedown paint [options] FILE...\n"
			    "paint files\n"
			    "\n"
			    "OPTIONS\n"
			    "\n"
			    "  -l, --loud              say more\n"
			    "  -d, --dry-run           change nothing\n"
			    "  -n, --name NAME         call it so\n"
			    "  -w, --word WORD         one more word\n"
			    "      --wait TIME         how long\n"
			    "      --room SIZE         how much\n"
			    "      --count N           how many\n"
			    "      --colour red|green|blue\n"
			    "                          which\n"
			    "  -h, --help              show this and end\n"
			    "\n"
			    "Paints.\n"
			    "\n"
			    "EXAMPLES\n"
			    "\n"
			    "    shakedown paint 'a\\b'\n"
			    "    .hidden\n");
}

static void a_man_page_quotes_what_roff_would_take_for_a_request(void **state)
{
	const char *page = written(manual_page, &paint);

	(void)state;
	assert_non_null(strstr(page, "'a\\eb'"));
	assert_non_null(strstr(page, "\n\\&.hidden\n"));
	assert_non_null(strstr(page, ".SH EXAMPLES\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_may_stand_before_and_behind_operands),
		cmocka_unit_test(all_spellings_of_a_value_mean_the_same),
		cmocka_unit_test(the_command_behind_the_options_keeps_its_own),
		cmocka_unit_test(a_single_dash_is_an_operand),
		cmocka_unit_test(a_list_keeps_every_value_in_order),
		cmocka_unit_test(what_is_wrong_is_said_in_one_sentence_with_the_remedy),
		cmocka_unit_test(control_characters_of_a_command_line_do_not_reach_the_terminal),
		cmocka_unit_test(times_and_sizes_have_units),
		cmocka_unit_test(the_nearest_word_is_near_or_nothing),
		cmocka_unit_test(words_of_any_length_can_be_compared),
		cmocka_unit_test(help_is_found_among_the_options_only),
		cmocka_unit_test(every_variable_the_library_reads_is_known_to_the_command),
		cmocka_unit_test(help_page_and_completion_name_every_option_of_every_verb),
		cmocka_unit_test(help_fits_a_terminal_of_80_columns),
		cmocka_unit_test(the_help_of_a_verb_is_exactly_this),
		cmocka_unit_test(a_man_page_quotes_what_roff_would_take_for_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
