/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_fault_decide: draws follow from what they are about and have the shapes they are said to have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/fault/decide.h"

enum {
	DRAWS = 100000,
};

static struct fault_rule rule;

static const struct fault_rule *parse(const char *text)
{
	struct fault_error e;

	if (!fault_parse_rule(text, strlen(text), &rule, &e))
		fail_msg("%s: %s", text, e.what);
	return &rule;
}

static struct fault_unit unit_at(uint64_t n)
{
	return (struct fault_unit){.seed = 42, .conn_key = 7, .unit = n, .rule = 9, .dir = DIR_TX};
}

/* The key is 00 01 ... 0f, the message 00 01 ...: the first lines of the vectors its authors publish. */
static void the_hash_is_siphash(void **state)
{
	static const uint64_t vectors[] = {
		UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
		UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d),
		UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
		UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137),
		UINT64_C(0x93f5f5799a932462),
	};
	uint8_t message[16];

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (unsigned n = 0; n < CORE_ARRAY_LEN(vectors); n++)
		assert_int_equal(fault_hash(UINT64_C(0x0706050403020100), message, n), vectors[n]);
	assert_int_equal(fault_hash(UINT64_C(0x0706050403020100), message, 15),
			 UINT64_C(0xa129ca6149be45e5));
}

static void a_draw_depends_on_everything_it_is_about_and_on_nothing_else(void **state)
{
	struct fault_unit u = unit_at(3);
	uint64_t first = fault_draw(&u, 1), key = fault_unit_key(&u);

	assert_int_equal(fault_draw(&u, 1), first);
	assert_int_not_equal(fault_draw(&u, 2), first);
	u.seed++;
	assert_int_not_equal(fault_draw(&u, 1), first);
	assert_int_equal(fault_unit_key(&u), key);
	for (unsigned i = 0; i < 4; i++) {
		u = unit_at(3);
		u.conn_key += i == 0;
		u.unit += i == 1;
		u.rule += i == 2;
		u.dir ^= i == 3;
		assert_int_not_equal(fault_draw(&u, 1), first);
		assert_int_not_equal(fault_unit_key(&u), key);
	}
}

/* What logs and replays hold must mean the same tomorrow. */
static void draws_are_the_same_in_every_build_and_run(void **state)
{
	struct fault_unit u = unit_at(fault_unit_of_phase(2, PHASE_RESPONSE_HEAD));

	assert_int_equal(fault_rule_id(parse("slow=tx:close")), 0x28c1cb23);
	assert_int_equal(fault_draw(&u, 1), UINT64_C(0x871ffff7860d1d46));
	assert_int_equal(fault_spread(&u, 1, 1000000, 1000, 0, FAULT_DIST_NORMAL), 1000069);
}

static unsigned times_of(const struct fault_rule *r, uint64_t seed)
{
	unsigned hits = 0;
	uint64_t drawn;

	for (unsigned n = 0; n < DRAWS; n++) {
		struct fault_unit u = unit_at(n);

		u.seed = seed;
		hits += fault_decide(r, &u, &drawn);
	}
	return hits;
}

static void p_is_how_often_a_rule_acts_and_corr_does_not_change_that(void **state)
{
	assert_int_equal(times_of(parse("tx:close"), 1), DRAWS);
	assert_in_range(times_of(parse("tx:close:p=10%"), 1), DRAWS * 97 / 1000,
			DRAWS * 103 / 1000);
	assert_in_range(times_of(parse("tx:close:p=10%:corr=80%"), 1), DRAWS * 90 / 1000,
			DRAWS * 110 / 1000);
	assert_int_equal(times_of(parse("tx:close:p=100%:corr=30%"), 1), DRAWS);
}

static void corr_makes_what_follows_resemble_what_was(void **state)
{
	const struct fault_rule *r = parse("tx:close:p=10%:corr=80%");
	unsigned again = 0, hits = 0;
	bool last = false, now;
	uint64_t drawn;

	for (unsigned n = 0; n < DRAWS; n++, last = now) {
		struct fault_unit u = unit_at(n);

		now = fault_decide(r, &u, &drawn);
		hits += now;
		again += now && last;
	}
	/* 80 % the same value, 20 % a new one that falls under 10 %: 82 %. */
	assert_in_range(again * 100 / hits, 79, 85);
}

static void activate_is_decided_once_for_a_run(void **state)
{
	const struct fault_rule *r = parse("tx:close:activate=30%");
	unsigned active = 0;
	uint64_t drawn;

	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct fault_unit u = unit_at(1), other = unit_at(50);
		bool acts;

		u.seed = other.seed = seed;
		other.conn_key++;
		acts = fault_decide(r, &u, &drawn);
		assert_int_equal(fault_decide(r, &other, &drawn), acts);
		active += acts;
	}
	assert_in_range(active, 540, 660);
}

/* Mean, deviation and ends of a million around its middle, a thousand being the spread. */
static void every_shape_has_its_middle_and_its_width(void **state)
{
	static const struct {
		uint32_t dist, deviation, low, high;
	} rows[] = {
		{FAULT_DIST_UNIFORM, 577, 1000, 1000},
		{FAULT_DIST_NORMAL, 1000, 3150, 3150},
		{FAULT_DIST_PARETO, 1000, 700, 11450},
		{FAULT_DIST_PARETONORMAL, 1000, 1550, 11350},
		{FAULT_DIST_LOGNORMAL, 1000, 800, 10100},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		int64_t sum = 0, squares = 0, low = 0, high = 0;

		for (unsigned n = 0; n < DRAWS; n++) {
			struct fault_unit u = unit_at(n);
			int64_t off = (int64_t)fault_spread(&u, 1, 1000000, 1000, 0, rows[i].dist) -
				      1000000;

			sum += off;
			squares += off * off;
			low = off < low ? off : low;
			high = off > high ? off : high;
		}
		assert_in_range(sum / DRAWS + 20, 0, 40);
		squares = squares / DRAWS * 100 / rows[i].deviation / rows[i].deviation;
		assert_in_range(squares, 90, 110);
		assert_in_range(-low, rows[i].low * 9 / 10, rows[i].low);
		assert_in_range(high, rows[i].high * 9 / 10, rows[i].high);
	}
}

static void a_value_is_never_negative_and_without_spread_it_is_the_middle(void **state)
{
	struct fault_unit u;

	for (unsigned n = 0; n < 1000; n++) {
		u = unit_at(n);
		assert_in_range(fault_spread(&u, 1, 5, 1000, 0, FAULT_DIST_UNIFORM), 0, 1005);
		assert_int_equal(fault_spread(&u, 1, 5, 0, 0, FAULT_DIST_NORMAL), 5);
		assert_in_range(
			fault_spread(&u, 1, FAULT_TIME_MAX, FAULT_TIME_MAX, 0, FAULT_DIST_PARETO),
			0, 20 * FAULT_TIME_MAX);
	}
}

static void pieces_of_a_slice_follow_each_other_and_keep_their_size(void **state)
{
	static const struct {
		uint64_t size, var;
	} rows[] = {{1460, 0}, {1460, 700}, {100, 99}, {2, 1}, {1, 0}};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		struct fault_act slice = {.fault = FAULT_SLICE};
		struct fault_unit u = unit_at(i);
		uint64_t sizes = 0;

		slice.param[FAULT_SLICE_size] = rows[i].size;
		slice.param[FAULT_SLICE_var] = rows[i].var;
		assert_int_equal(fault_slice_start(&u, &slice, 0), 0);
		for (uint64_t k = 0; k < 2000; k++) {
			uint64_t from = fault_slice_start(&u, &slice, k);
			uint64_t to = fault_slice_start(&u, &slice, k + 1);

			assert_in_range(to - from, rows[i].size - rows[i].var,
					rows[i].size + rows[i].var);
			assert_int_equal(fault_slice_piece(&u, &slice, from), k);
			assert_int_equal(fault_slice_piece(&u, &slice, to - 1), k);
			sizes |= UINT64_C(1) << ((to - from) % 64);
		}
		assert_int_equal((sizes & (sizes - 1)) != 0, rows[i].var != 0);
	}
}

static void a_lost_segment_waits_for_timeouts_that_double(void **state)
{
	struct fault_act loss = {.fault = FAULT_LOSS};
	unsigned lost = 0, twice = 0;

	loss.param[FAULT_LOSS_p] = FAULT_PPM / 10;
	loss.param[FAULT_LOSS_rto] = 200;
	for (unsigned n = 0; n < DRAWS; n++) {
		struct fault_unit u = unit_at(n);
		uint64_t wait = fault_loss(&u, &loss);

		lost += wait != 0;
		twice += wait > 200;
		assert_true(wait % 200 == 0 && ((wait / 200 + 1) & (wait / 200)) == 0);
	}
	assert_in_range(lost, DRAWS * 97 / 1000, DRAWS * 103 / 1000);
	assert_in_range(twice, DRAWS * 85 / 10000, DRAWS * 115 / 10000);
	loss.param[FAULT_LOSS_p] = FAULT_PPM;
	loss.param[FAULT_LOSS_rto] = UINT64_C(200000000);
	/* 0.2 s, 0.4 s ... 102.4 s, then five times two minutes */
	assert_int_equal(fault_loss(&(struct fault_unit){.unit = 1}, &loss),
			 UINT64_C(204600000000) + 5 * UINT64_C(120000000000));
}

static void when_times_and_interval_say_which_times_a_rule_acts(void **state)
{
	static const struct {
		const char *keys;
		const char *acts; /* a letter for each of ten times */
	} rows[] = {
		{"", "xxxxxxxxxx"},
		{":when=3", "..x......."},
		{":when=3..5", "..xxx....."},
		{":when=3+", "..xxxxxxxx"},
		{":when=3+3", "..x..x..x."},
		{":when=2..9+3", ".x..x..x.."},
		{":when=1:when=8+", "x......xxx"},
		{":times=2", "xx........"},
		{":interval=4", "...x...x.."},
		{":when=3+3:times=2", "..x..x...."},
		{":interval=2:when=4+:times=2", "...x.x...."},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		char text[80] = "tx:close", acts[11] = "";
		unsigned acted = 0;

		parse(strcat(text, rows[i].keys));
		for (unsigned n = 1; n <= 10; n++) {
			bool now = fault_count(&rule, n, acted);

			acts[n - 1] = now ? 'x' : '.';
			acted += now;
		}
		assert_string_equal(acts, rows[i].acts);
	}
}

static void units_of_a_phase_grow_with_the_exchange(void **state)
{
	assert_true(fault_unit_of_phase(1, PHASE_IDLE) < fault_unit_of_phase(2, PHASE_IDLE));
	assert_int_not_equal(fault_unit_of_phase(1, PHASE_IDLE),
			     fault_unit_of_phase(1, PHASE_FRAMES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash),
		cmocka_unit_test(a_draw_depends_on_everything_it_is_about_and_on_nothing_else),
		cmocka_unit_test(draws_are_the_same_in_every_build_and_run),
		cmocka_unit_test(p_is_how_often_a_rule_acts_and_corr_does_not_change_that),
		cmocka_unit_test(corr_makes_what_follows_resemble_what_was),
		cmocka_unit_test(activate_is_decided_once_for_a_run),
		cmocka_unit_test(every_shape_has_its_middle_and_its_width),
		cmocka_unit_test(a_value_is_never_negative_and_without_spread_it_is_the_middle),
		cmocka_unit_test(pieces_of_a_slice_follow_each_other_and_keep_their_size),
		cmocka_unit_test(a_lost_segment_waits_for_timeouts_that_double),
		cmocka_unit_test(when_times_and_interval_say_which_times_a_rule_acts),
		cmocka_unit_test(units_of_a_phase_grow_with_the_exchange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
