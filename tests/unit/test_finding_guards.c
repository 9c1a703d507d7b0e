/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What must silence the rules, shown on all cases at once: when records were lost, when another
 * process may hold the socket, when the server was told to stop, when nobody watched long enough.
 * And who must not be blamed.
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

static struct finding_options options;

typedef void judge(const struct image *img, const struct connection *c, const struct finding *f,
		   const char *name);
/* Change a case's text; returns a new one. */
typedef char *change(const char *text);

static void judge_all(const struct image *img, const char *name, judge *judge_one)
{
	static struct finding f[FINDING_MAX];

	for (uint32_t i = 0; i < img->process.connections; i++) {
		const struct connection *c = &img->process.connection[i];
		uint32_t n = finding_detect_connection(&img->process, c, &options, f);

		for (uint32_t k = 0; k < n; k++)
			judge_one(img, c, &f[k], name);
		for (uint32_t j = 0; j < c->exchanges; j++) {
			n = finding_detect(&img->process, &c->exchange[j], &options, f);
			for (uint32_t k = 0; k < n; k++)
				judge_one(img, c, &f[k], name);
		}
	}
}

static void with_case(const struct replay_case *original, change *change_text, judge *judge_one)
{
	struct replay_case c = *original;
	struct image img;
	char *error = NULL;

	c.text = change_text(original->text);
	if (!replay_build(&c, 0, &options, &img, &error))
		fail_msg("%s", error);
	judge_all(&img, c.name, judge_one);
	replay_done(&img);
	free(c.text);
}

static void with_all_cases(change *change_text, judge *judge_one)
{
	glob_t g;

	assert_int_equal(glob("tests/cases/M*.case", 0, NULL, &g), 0);
	assert_int_equal(glob("tests/cases/findings/*.case", GLOB_APPEND, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char *error = NULL;
		struct replay_file *f = replay_load(g.gl_pathv[i], &error);

		if (!f)
			fail_msg("%s", error);
		for (unsigned k = 0; k < f->cases; k++)
			with_case(&f->item[k], change_text, judge_one);
		replay_free(f);
	}
	globfree(&g);
}

static bool one_of(enum finding_id id, const enum finding_id *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == id)
			return true;
	}
	return false;
}

static char *append(const char *text, const char *lines)
{
	char *s;

	assert_true(asprintf(&s, "%s%s", text, lines) > 0);
	return s;
}

/* ---- lost records ---- */

static char *lose_records(const char *text)
{
	return append(text, "0 +200s - lost\n");
}

static void only_heads_are_judged(const struct image *img, const struct connection *c,
				  const struct finding *f, const char *name)
{
	static const enum finding_id heads[] = {
		FINDING_BAD_ACCEPT,
		FINDING_HANDSHAKE_HEADER_MISSING,
		FINDING_HANDSHAKE_HEADER_DUPLICATE,
		FINDING_SUBPROTOCOL_NOT_OFFERED,
		FINDING_SUBPROTOCOL_OMITTED,
		FINDING_EXTENSION_NOT_OFFERED,
		FINDING_BODY_HEADER_ON_101,
		FINDING_PROTOCOL_NOT_OFFERED,
		FINDING_REQ_UPGRADE_STRIPPED,
		FINDING_REQ_MALFORMED,
		FINDING_FIELD_LOST_IN_PROCESS,
		FINDING_VERSION_NEGOTIATION,
		FINDING_UPGRADE_IGNORED_2XX,
		FINDING_UPGRADE_REDIRECTED,
		FINDING_UPGRADE_REJECTED,
		FINDING_UPGRADE_FAILED_5XX,
		FINDING_CONCURRENT_READERS,
		FINDING_APP_LOG_ONLY,
	};
	bool frame = f->sub && strcmp(f->sub, "rsv1") == 0;

	(void)img;
	assert_true(c->partial);
	if (!one_of(f->id, heads, CORE_ARRAY_LEN(heads)) || frame)
		fail_msg("%s: %s although records were lost", name, finding_info(f->id)->id);
}

static void where_records_were_lost_only_heads_are_judged(void **state)
{
	(void)state;
	with_all_cases(lose_records, only_heads_are_judged);
}

/* ---- forks ---- */

static char *fork_early(const char *text)
{
	return append(text, "0 +0ms - fork\n0 +1ms - fork\n0 +2ms - fork\n0 +1001ms - fork\n"
			    "0 +3s - fork\n0 +5s - fork\n");
}

static void no_end_is_judged(const struct image *img, const struct connection *c,
			     const struct finding *f, const char *name)
{
	static const enum finding_id ends[] = {
		FINDING_CLOSED_WITHOUT_RESPONSE,
		FINDING_CLOSED_RIGHT_AFTER_101,
		FINDING_HTTP_TIMER_ON_UPGRADED,
		FINDING_IDLE_TIMEOUT_CLOSE,
		FINDING_ABRUPT_CLOSE,
		FINDING_NEVER_ANSWERED,
		FINDING_PREMATURE_BODY_READ,
		FINDING_HEAD_NEVER_COMPLETE,
		FINDING_REJECT_FRAMING,
		FINDING_REJECT_TRUNCATED,
		FINDING_RELAY_ORPHAN,
	};
	bool whole_process = f->sub && strcmp(f->sub, "process-exit") == 0;

	(void)img;
	if (c->shared && one_of(f->id, ends, CORE_ARRAY_LEN(ends)) && c->role == ROLE_SERVER &&
	    !whole_process)
		fail_msg("%s: %s although a child may hold the socket", name,
			 finding_info(f->id)->id);
}

static void where_a_child_may_hold_the_socket_no_end_is_judged(void **state)
{
	(void)state;
	with_all_cases(fork_early, no_end_is_judged);
}

/* ---- shutting down ---- */

static char *stop_early(const char *text)
{
	return append(text, "0 +0ms - signal\n");
}

static void no_close_is_judged(const struct image *img, const struct connection *c,
			       const struct finding *f, const char *name)
{
	static const enum finding_id ends[] = {
		FINDING_HTTP_TIMER_ON_UPGRADED,
		FINDING_IDLE_TIMEOUT_CLOSE,
		FINDING_ABRUPT_CLOSE,
		FINDING_CLOSED_RIGHT_AFTER_101,
		FINDING_CLOSED_WITHOUT_RESPONSE,
	};
	bool refusal = f->id == FINDING_UPGRADE_FAILED_5XX || f->id == FINDING_UPGRADE_REJECTED;

	(void)img;
	if (c->role == ROLE_SERVER && one_of(f->id, ends, CORE_ARRAY_LEN(ends)))
		fail_msg("%s: %s while the server was stopping", name, finding_info(f->id)->id);
	if (refusal)
		assert_int_equal(f->severity, SEVERITY_INFO);
}

static void while_a_server_stops_no_close_is_its_defect(void **state)
{
	(void)state;
	with_all_cases(stop_early, no_close_is_judged);
}

/* ---- too short a watch ---- */

/* "end" right behind the last line before it that has a time. */
static char *end_at_once(const char *text)
{
	char *copy = strdup(text), *save = NULL, *ret = strdup(""), last[32] = "+0ms", *more;

	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		const char *word = strchr(s, ' ') + 1;

		if (*word == '+')
			sscanf(word, "%31s", last);
		if (strncmp(word, "end ", 4) == 0)
			continue;
		assert_true(asprintf(&more, "%s%s\n", ret, s) > 0);
		free(ret);
		ret = more;
	}
	assert_true(asprintf(&more, "%s0 end %s\n", ret, last) > 0);
	free(ret);
	free(copy);
	return more;
}

static void no_absence_is_judged(const struct image *img, const struct connection *c,
				 const struct finding *f, const char *name)
{
	uint64_t watched = img->process.t_end - c->t_open;
	struct {
		enum finding_id id;
		uint64_t limit;
	} absence[] = {
		{FINDING_NEVER_ANSWERED, options.never_answered_ns},
		{FINDING_PREMATURE_BODY_READ, options.never_answered_ns},
		{FINDING_CLOSE_WAIT_HELD, options.close_wait_ns},
		{FINDING_HANDLER_LEFT_OPEN, options.close_wait_ns},
		{FINDING_SILENT_AFTER_101, options.silent_ns},
		{FINDING_RELAY_ORPHAN, options.orphan_ns},
		{FINDING_EARLY_DATA_LOST, options.relay_ns},
		{FINDING_RELAY_101_NOT_FORWARDED, options.relay_ns},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(absence); i++) {
		/* "late" and "taken": the body did come. */
		if (f->id == FINDING_PREMATURE_BODY_READ && f->sub &&
		    strcmp(f->sub, "awaited") != 0)
			continue;
		if (f->id == absence[i].id && watched < absence[i].limit)
			fail_msg("%s: %s after %llu ms", name, finding_info(f->id)->id,
				 (unsigned long long)watched / 1000000);
	}
	if (f->id == FINDING_HEAD_NEVER_COMPLETE && strcmp(f->sub, "one-read") == 0)
		assert_true(watched >= options.never_answered_ns);
	if (f->id == FINDING_REJECT_FRAMING && strcmp(f->sub, "open") == 0)
		assert_true(watched >= options.never_answered_ns);
	if (f->id == FINDING_RELAY_ORPHAN)
		fail_msg("%s: relay-orphan at the moment of the close", name);
}

static void what_was_not_watched_for_long_enough_is_undecided(void **state)
{
	(void)state;
	with_all_cases(end_at_once, no_absence_is_judged);
}

/* ---- descriptors closed where nobody saw it ---- */

static void leaks_need_to_see_every_close(void **state)
{
	static const char *const files[] = {"close-wait-held", "relay-orphan"};
	static struct finding f[FINDING_MAX];

	(void)state;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(files); i++) {
		char path[128], *error = NULL;
		struct replay_file *file;
		struct image img;

		snprintf(path, sizeof(path), "tests/cases/findings/%s.case", files[i]);
		file = replay_load(path, &error);
		assert_non_null(file);
		assert_true(replay_build(&file->item[0], 0, &options, &img, &error));
		assert_int_equal(finding_detect_connection(&img.process, img.process.connection,
							   &options, f),
				 1);
		img.process.closes_unseen = true;
		assert_int_equal(finding_detect_connection(&img.process, img.process.connection,
							   &options, f),
				 0);
		replay_done(&img);
		replay_free(file);
	}
}

static void silence_of_a_server_whose_answers_nobody_sees_is_no_finding(void **state)
{
	static struct finding f[FINDING_MAX];
	char *error = NULL;
	struct replay_file *file =
		replay_load("tests/cases/findings/closed-without-response.case", &error);
	const struct exchange *x;
	struct image img;

	(void)state;
	assert_non_null(file);
	assert_true(replay_build(&file->item[0], 0, &options, &img, &error));
	x = img.process.connection->exchange;
	assert_int_not_equal(finding_detect(&img.process, x, &options, f), 0);
	img.process.answers_unseen = true;
	assert_int_equal(finding_detect(&img.process, x, &options, f), 0);
	replay_done(&img);
	replay_free(file);
}

/* ---- blame ---- */

static char *keep(const char *text)
{
	return strdup(text);
}

/* The same wire seen from the other end. */
static char *swap_sides(const char *text)
{
	static const char *const pair[][2] = {{" server", " client"}, {"rx ", "tx "}};
	char *ret = strdup(text), *at = ret;

	while (*at) {
		bool swapped = false;

		for (unsigned i = 0; i < CORE_ARRAY_LEN(pair) && !swapped; i++) {
			for (unsigned k = 0; k < 2 && !swapped; k++) {
				size_t n = strlen(pair[i][k]);

				if (strncmp(at, pair[i][k], n) != 0 || at == ret)
					continue;
				memcpy(at, pair[i][!k], n);
				at += n;
				swapped = true;
			}
		}
		at += !swapped;
	}
	return ret;
}

/* An event blames only when this process made it: a call of its own, or a read that it should have
 * acted upon. */
static void blame_is_ours(const struct image *img, const struct connection *c,
			  const struct finding *f, const char *name)
{
	const struct event *e;
	bool our_read = f->id == FINDING_NEVER_ANSWERED || f->id == FINDING_PREMATURE_BODY_READ ||
			f->id == FINDING_CLOSE_WAIT_HELD || f->id == FINDING_CONCURRENT_READERS ||
			f->id == FINDING_HEAD_NEVER_COMPLETE;

	(void)img;
	if (f->blame_event == MODEL_NONE) {
		assert_non_null(f->blame_reason);
		return;
	}
	assert_null(f->blame_reason);
	assert_true(f->blame_event < c->events);
	e = &c->event[f->blame_event];
	if (e->dir == DIR_RX && !our_read)
		fail_msg("%s: %s blames a read for what the other side sent", name,
			 finding_info(f->id)->id);
	if (our_read && f->id != FINDING_CLOSE_WAIT_HELD && f->id != FINDING_CONCURRENT_READERS)
		assert_int_equal(c->role, ROLE_SERVER);
}

static void nobody_here_is_blamed_for_what_the_other_side_did(void **state)
{
	(void)state;
	with_all_cases(keep, blame_is_ours);
	with_all_cases(swap_sides, blame_is_ours);
}

static void evidence_lies_in_the_connection(const struct image *img, const struct connection *c,
					    const struct finding *f, const char *name)
{
	(void)img;
	if (!f->evidences || !f->message[0] || !f->fix[0])
		fail_msg("%s: %s without evidence or words", name, finding_info(f->id)->id);
	for (uint32_t i = 0; i < f->evidences; i++) {
		assert_true(f->evidence[i].event < c->events);
		assert_true(f->evidence[i].dir <= DIR_TX);
	}
}

static void every_finding_has_evidence_and_words(void **state)
{
	(void)state;
	with_all_cases(keep, evidence_lies_in_the_connection);
	with_all_cases(swap_sides, evidence_lies_in_the_connection);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_records_were_lost_only_heads_are_judged),
		cmocka_unit_test(where_a_child_may_hold_the_socket_no_end_is_judged),
		cmocka_unit_test(while_a_server_stops_no_close_is_its_defect),
		cmocka_unit_test(what_was_not_watched_for_long_enough_is_undecided),
		cmocka_unit_test(leaks_need_to_see_every_close),
		cmocka_unit_test(silence_of_a_server_whose_answers_nobody_sees_is_no_finding),
		cmocka_unit_test(nobody_here_is_blamed_for_what_the_other_side_did),
		cmocka_unit_test(every_finding_has_evidence_and_words),
	};

	finding_options_default(&options);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
