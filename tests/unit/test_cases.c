/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The known failures, replayed.  Every case of tests/cases must show the finding it promises, its
 * healthy twin must show none, and neither may depend on how the bytes were cut into calls.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/exchange/replay.h"

enum {
	FILES = 256,
};

static struct finding_options options;

static struct replay_file *load(const char *path)
{
	char *error = NULL;
	struct replay_file *f = replay_load(path, &error);

	if (!f)
		fail_msg("%s", error);
	return f;
}

static void play(const struct replay_case *c, unsigned cut)
{
	struct image img;
	char *error = NULL;

	if (!replay_build(c, cut, &options, &img, &error))
		fail_msg("%s", error);
	if (!replay_check(c, &img, &options, &error))
		fail_msg("%s%s", error, cut ? " (bytes cut into smaller calls)" : "");
	replay_done(&img);
}

/* One test per file: each case whole, in calls of 7 bytes, and byte by byte. */
static void file_shows_what_it_promises(void **state)
{
	struct replay_file *f = load(*state);

	assert_true(f->cases > 0);
	for (unsigned i = 0; i < f->cases; i++) {
		const struct replay_case *c = &f->item[i];

		if (!c->expects)
			fail_msg("case %s expects nothing", c->name);
		play(c, 0);
		if (c->whole)
			continue;
		play(c, 7);
		play(c, 1);
	}
	replay_free(f);
}

static bool expects(const struct replay_file *f, enum replay_kind kind)
{
	for (unsigned i = 0; i < f->cases; i++) {
		for (unsigned j = 0; j < f->item[i].expects; j++) {
			if (f->item[i].expect[j].kind == kind)
				return true;
		}
	}
	return false;
}

static void every_known_failure_has_a_case_and_a_healthy_twin(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 45; n++) {
		char path[64];
		struct replay_file *f;

		snprintf(path, sizeof(path), "tests/cases/M%02u.case", n);
		f = load(path);
		if (!expects(f, REPLAY_PRIMARY) || !expects(f, REPLAY_NONE) ||
		    !expects(f, REPLAY_OUTCOME))
			fail_msg("%s needs a spoiled part, an outcome and a healthy twin", path);
		replay_free(f);
	}
}

/* Findings that no trace of one process can show; the report says why. */
static bool out_of_reach(enum finding_id id)
{
	return finding_info(id)->scope == SCOPE_PROCESS;
}

static void every_finding_has_a_bad_and_a_healthy_sequence(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		const struct finding_info *info = finding_info((enum finding_id)i);
		char path[128];
		struct replay_file *f;
		bool named = false;

		if (out_of_reach((enum finding_id)i))
			continue;
		snprintf(path, sizeof(path), "tests/cases/findings/%s.case", info->id);
		f = load(path);
		for (unsigned j = 0; j < f->cases; j++) {
			for (unsigned k = 0; k < f->item[j].expects; k++)
				named |= strcmp(f->item[j].expect[k].what, info->id) == 0;
		}
		if (!named || !expects(f, REPLAY_NONE))
			fail_msg("%s needs a sequence with the finding and one without", path);
		replay_free(f);
	}
}

static size_t add_files(struct CMUnitTest *test, size_t n, const char *pattern)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return n;
	for (size_t i = 0; i < g.gl_pathc && n < FILES; i++) {
		char *path = strdup(g.gl_pathv[i]);

		test[n++] = (struct CMUnitTest){
			.name = path,
			.test_func = file_shows_what_it_promises,
			.initial_state = path,
		};
	}
	globfree(&g);
	return n;
}

int main(void)
{
	static struct CMUnitTest test[FILES] = {
		cmocka_unit_test(every_known_failure_has_a_case_and_a_healthy_twin),
		cmocka_unit_test(every_finding_has_a_bad_and_a_healthy_sequence),
	};
	size_t n = 2;

	finding_options_default(&options);
	n = add_files(test, n, "tests/cases/M*.case");
	n = add_files(test, n, "tests/cases/findings/*.case");
	n = add_files(test, n, "tests/cases/reader/*.case");
	n = add_files(test, n, "tests/cases/faults/*.case");
	return _cmocka_run_group_tests("cases", test, n, NULL, NULL);
}
