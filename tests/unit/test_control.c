/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_control: what readers and writers of a control page may rely on: whatever the page says of itself,
 * no byte outside of it is touched; switches are whole; concurrent ones lose nothing.
 */
#include "core/trace/control.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

enum {
	THREADS = 4,
	EACH = 200,
};

/* A page with nothing behind it, so that a step beyond its end is a fault. */
static struct control_header *page_new(void)
{
	uint8_t *p = mmap(NULL, CONTROL_SIZE + 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + CONTROL_SIZE, 4096, PROT_NONE), 0);
	control_init((void *)p, 7);
	return (void *)p;
}

static void page_free(struct control_header *h)
{
	munmap(h, CONTROL_SIZE + 4096);
}

static struct fault_rule *rules_new(uint32_t count, const char *prefix)
{
	struct fault_rule *r = calloc(count ? count : 1, sizeof(*r));

	assert_non_null(r);
	for (uint32_t i = 0; i < count; i++)
		snprintf(r[i].name, sizeof(r[i].name), "%s%u", prefix, i);
	return r;
}

static void test_a_new_page_is_ours_and_has_no_rules(void **state)
{
	struct control_header *h = page_new();

	assert_true(control_check(h, CONTROL_SIZE));
	assert_null(control_state(h));
	assert_null(control_rules(h, NULL));
	assert_false(control_switch(h, 1, 1));
	assert_false(control_replays(h));
	assert_int_equal(h->seed, 7);
	page_free(h);
}

static void test_a_page_of_another_kind_is_refused(void **state)
{
	struct control_header *h = page_new();

	assert_false(control_check(h, CONTROL_SIZE - 4096));
	assert_false(control_check(h, UINT64_MAX));
	h->version++;
	assert_false(control_check(h, CONTROL_SIZE));
	h->version--;
	h->size_of_rule -= 8;
	assert_false(control_check(h, CONTROL_SIZE));
	h->size_of_rule += 8;
	h->magic ^= 1;
	assert_false(control_check(h, CONTROL_SIZE));
	page_free(h);
}

static void test_rules_set_are_the_rules_in_force(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(3, "a");
	const struct control_state *s;
	const struct control_rules *in;

	assert_true(control_set(h, r, 3, 5, 99));
	s = control_state(h);
	in = control_rules(h, s);
	assert_non_null(in);
	assert_int_equal(in->count, 3);
	assert_int_equal(s->on, 5);
	assert_int_equal(s->t_ns, 99);
	assert_string_equal(in->rule[2].name, "a2");
	assert_true(control_switch(h, 2, 100));
	assert_ptr_equal(control_rules(h, control_state(h)), in);
	assert_int_equal(control_state(h)->on, 2);
	assert_int_equal(control_state(h)->generation, s->generation + 1);
	assert_int_equal(s->on, 5); /* the old one is as it was */
	assert_int_equal(h->changes, 2);
	assert_true(control_set(h, r, 0, 0, 101)); /* no rules any more */
	assert_int_equal(control_rules(h, control_state(h))->count, 0);
	free(r);
	page_free(h);
}

static void test_lists_have_statistics_of_their_own(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(2, "a");
	const struct control_rules *one, *two;

	assert_true(control_set(h, r, 2, 3, 1));
	one = control_rules(h, control_state(h));
	assert_true(control_set(h, r, 2, 3, 2));
	two = control_rules(h, control_state(h));
	control_stat(h, one, 1)->hits = 4;
	assert_int_equal(control_stat(h, two, 0)->hits, 0);
	assert_int_equal(control_stat(h, two, 1)->hits, 0);
	assert_int_not_equal(one->generation, two->generation);
	assert_null(control_stat(h, one, FAULT_RULES));
	free(r);
	page_free(h);
}

static void test_a_full_page_refuses_and_keeps_what_is_in_force(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(FAULT_RULES, "a");
	const struct control_state *s;
	unsigned n = 0;

	while (control_set(h, r, FAULT_RULES, n, n))
		n++;
	assert_true(n >= CONTROL_STATS / FAULT_RULES);
	s = control_state(h);
	assert_int_equal(s->on, n - 1);
	assert_false(control_set(h, r, FAULT_RULES + 1, 0, 0));
	assert_ptr_equal(control_state(h), s);
	h->cursor = CONTROL_SIZE - 8;
	assert_false(control_switch(h, 0, 0));
	h->cursor = UINT64_MAX & ~UINT64_C(7);
	assert_false(control_switch(h, 0, 0));
	h->cursor = 0;
	assert_false(control_switch(h, 0, 0)); /* never over the header */
	assert_ptr_equal(control_state(h), s);
	free(r);
	page_free(h);
}

static const uint64_t hostile[] = {1,
				   8,
				   4096,
				   CONTROL_SIZE - 8,
				   CONTROL_SIZE,
				   CONTROL_SIZE + 4096,
				   UINT64_MAX,
				   UINT64_MAX - 7,
				   UINT64_C(1) << 63,
				   300 * 1024 + 1};

static void test_hostile_offsets_are_as_if_there_were_no_rules(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(1, "a");
	struct control_state *s;
	uint64_t off;

	assert_true(control_set(h, r, 1, 1, 1));
	off = h->state;
	s = (struct control_state *)(uintptr_t)control_state(h);
	for (size_t i = 0; i < CORE_ARRAY_LEN(hostile); i++) {
		h->state = hostile[i];
		assert_null(control_rules(h, control_state(h)));
		h->state = off;
		s->rules = hostile[i];
		assert_null(control_rules(h, control_state(h)));
		assert_false(control_switch(h, 0, 0));
	}
	free(r);
	page_free(h);
}

static void test_hostile_counts_and_rows_are_refused(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(1, "a");
	struct control_rules *in;
	struct control_state *s;

	assert_true(control_set(h, r, 1, 1, 1));
	s = (struct control_state *)(uintptr_t)control_state(h);
	in = (struct control_rules *)(uintptr_t)control_rules(h, s);
	in->count = FAULT_RULES + 1;
	assert_null(control_rules(h, s));
	in->count = UINT32_MAX;
	assert_null(control_rules(h, s));
	in->count = 1;
	in->stat = CONTROL_STATS;
	assert_null(control_stat(h, in, 0));
	in->stat = UINT32_MAX;
	assert_null(control_stat(h, in, 1));
	h->stats = UINT32_MAX;
	assert_false(control_set(h, r, 1, 1, 1));
	/* A list whose last rule would lie behind the end. */
	s->rules = CONTROL_SIZE - sizeof(*in) - sizeof(*r) / 2 / 8 * 8;
	((struct control_rules *)((uint8_t *)h + s->rules))->count = 1;
	assert_null(control_rules(h, s));
	free(r);
	page_free(h);
}

static void test_a_state_that_is_its_own_list_is_only_bytes(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(1, "a");
	struct control_state *s;

	assert_true(control_set(h, r, 1, 1, 1));
	s = (struct control_state *)(uintptr_t)control_state(h);
	s->rules = h->state; /* in a circle: read once, never followed further */
	(void)control_rules(h, s);
	assert_true(control_switch(h, 0, 0) || true);
	free(r);
	page_free(h);
}

static void test_releases_are_counted_by_name(void **state)
{
	struct control_header *h = page_new();
	char name[FAULT_NAME + 8];

	assert_int_equal(control_released(h, "r1", 2), 0);
	assert_true(control_release(h, "r1"));
	assert_true(control_release(h, "r10"));
	assert_true(control_release(h, "r1"));
	assert_int_equal(control_released(h, "r1", 2), 2);
	assert_int_equal(control_released(h, "r10", 3), 1);
	assert_int_equal(control_released(h, "r", 1), 0);
	assert_false(control_release(h, ""));
	memset(name, 'x', sizeof(name));
	name[FAULT_NAME] = '\0';
	assert_false(control_release(h, name));
	assert_int_equal(control_released(h, name, FAULT_NAME), 0);
	for (unsigned i = 0; i < CONTROL_NAMES - 2; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_true(control_release(h, name));
	}
	assert_false(control_release(h, "one-too-many"));
	assert_true(control_release(h, "r1"));
	page_free(h);
}

static void test_a_release_name_without_end_is_no_name(void **state)
{
	struct control_header *h = page_new();

	assert_true(control_release(h, "r1"));
	memset(h->release[0].name, 'x', FAULT_NAME);
	assert_int_equal(control_released(h, "r1", 2), 0);
	assert_true(control_release(h, "r1"));
	page_free(h);
}

static void test_decisions_of_another_run_are_found_by_their_key(void **state)
{
	struct control_header *h = page_new();
	struct control_decision *d = control_replay(h, 1000);
	uint64_t drawn = 0;

	assert_non_null(d);
	for (uint64_t i = 0; i < 1000; i++)
		d[i] = (struct control_decision){.key = 10 * i, .drawn = i};
	assert_true(control_replays(h));
	assert_true(control_replayed(h, 0, &drawn));
	assert_true(control_replayed(h, 9990, &drawn));
	assert_int_equal(drawn, 999);
	assert_false(control_replayed(h, 5, &drawn));
	assert_false(control_replayed(h, UINT64_MAX, &drawn));
	h->replay_count = UINT64_MAX;
	assert_false(control_replayed(h, 0, &drawn));
	h->replay_count = 1000;
	for (size_t i = 0; i < CORE_ARRAY_LEN(hostile); i++) {
		h->replay_off = hostile[i];
		(void)control_replayed(h, 0, &drawn);
	}
	page_free(h);
}

static void test_rules_go_behind_the_decisions(void **state)
{
	struct control_header *h = page_new();
	struct fault_rule *r = rules_new(1, "a");
	uint64_t drawn;

	assert_null(control_replay(h, CONTROL_REPLAY + 1));
	control_replay(h, 2)[1] = (struct control_decision){.key = 3, .drawn = 4};
	assert_true(control_set(h, r, 1, 1, 1));
	assert_non_null(control_rules(h, control_state(h)));
	assert_true(control_replayed(h, 3, &drawn));
	assert_int_equal(drawn, 4);
	assert_null(control_replay(h, 1)); /* too late */
	free(r);
	page_free(h);
}

/* ---- several at once ---- */

struct worker {
	struct control_header *h;
	char prefix[8];
	unsigned set, switched;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct fault_rule *r = rules_new(3, w->prefix);

	for (unsigned i = 0; i < EACH; i++) {
		w->set += control_set(w->h, r, 3, i % 8, i);
		w->switched += control_switch(w->h, i % 8, i);
		(void)control_release(w->h, "same");
		(void)control_release(w->h, w->prefix);
	}
	free(r);
	return NULL;
}

/* What is in force at any moment is one list that somebody set, whole. */
static void check_whole(const struct control_header *h)
{
	const struct control_rules *in = control_rules(h, control_state(h));

	if (!in)
		return;
	assert_int_equal(in->count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_memory_equal(in->rule[i].name, in->rule[0].name, 1);
		assert_int_equal(in->rule[i].name[1], '0' + (int)i);
	}
}

static void test_concurrent_setters_lose_nothing(void **state)
{
	struct control_header *h = page_new();
	struct worker w[THREADS];
	pthread_t t[THREADS];
	unsigned enforced = 0;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.h = h, .prefix = {(char)('a' + i)}};
		assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 10000; i++)
		check_whole(h);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].set, EACH);
		assert_int_equal(control_released(h, w[i].prefix, 1), EACH);
		enforced += w[i].set + w[i].switched;
	}
	check_whole(h);
	assert_int_equal(control_state(h)->generation, enforced);
	assert_int_equal(h->stats, THREADS * EACH * 3);
	assert_int_equal(control_released(h, "same", 4), THREADS * EACH);
	page_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_page_is_ours_and_has_no_rules),
		cmocka_unit_test(test_a_page_of_another_kind_is_refused),
		cmocka_unit_test(test_rules_set_are_the_rules_in_force),
		cmocka_unit_test(test_lists_have_statistics_of_their_own),
		cmocka_unit_test(test_a_full_page_refuses_and_keeps_what_is_in_force),
		cmocka_unit_test(test_hostile_offsets_are_as_if_there_were_no_rules),
		cmocka_unit_test(test_hostile_counts_and_rows_are_refused),
		cmocka_unit_test(test_a_state_that_is_its_own_list_is_only_bytes),
		cmocka_unit_test(test_releases_are_counted_by_name),
		cmocka_unit_test(test_a_release_name_without_end_is_no_name),
		cmocka_unit_test(test_decisions_of_another_run_are_found_by_their_key),
		cmocka_unit_test(test_rules_go_behind_the_decisions),
		cmocka_unit_test(test_concurrent_setters_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
