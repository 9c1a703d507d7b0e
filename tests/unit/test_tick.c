/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_tick: what a thread may rely on when it takes the time from a counter: it is the kernel's to
 * within a microsecond while that keeps its pace, and it never goes back, whatever happens to either.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shim/engine/tick.c"

/* A machine whose counter and clock are known to the last digit. */
struct machine {
	struct tick tick;
	double counter, clock; /* now */
	double ghz, pace;      /* ticks per real nanosecond; clock nanoseconds per real one */
	uint64_t told;	       /* last */
	uint64_t asked;	       /* questions to the kernel */
	double worst;	       /* distance from the clock since that was set to 0 */
};

static struct machine machine(double ghz)
{
	return (struct machine){.counter = 7e12, .clock = 3e12, .ghz = ghz, .pace = 1};
}

static void pass(struct machine *m, double ns)
{
	m->counter += ns * m->ghz;
	m->clock += ns * m->pace;
}

static void ask(struct machine *m)
{
	uint64_t before, t = tick_read(&m->tick, (uint64_t)m->counter);
	struct tick seen;
	double off;

	if (!t) {
		tick_look(&m->tick, &seen);
		before = (uint64_t)m->counter;
		pass(m, 25);
		t = (uint64_t)m->clock;
		pass(m, 10);
		t = tick_learn(&m->tick, &seen, before, t, (uint64_t)m->counter);
		m->asked++;
	}
	assert_true(t >= m->told);
	off = (double)t - m->clock;
	off = off < 0 ? -off : off;
	m->worst = off > m->worst ? off : m->worst;
	m->told = t;
}

static void run(struct machine *m, double ns, double step)
{
	for (double done = 0; done < ns; done += step) {
		ask(m);
		pass(m, step);
	}
}

static void the_kernel_is_asked_once_in_milliseconds(void **state)
{
	static const double ghz[] = {0.6, 1, 2.6, 5.1};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(ghz); i++) {
		struct machine m = machine(ghz[i]);

		run(&m, 20e6, 100); /* it gets to know the pace */
		m.asked = 0;
		run(&m, 200e6, 100);
		assert_true(m.asked > 0);
		assert_true((double)m.asked < 2 + 200e6 * ghz[i] / (double)TICK_REACH);
		assert_true(m.worst < 1000);
	}
}

static void calls_far_apart_get_the_time_of_the_kernel(void **state)
{
	struct machine m = machine(2.6);

	run(&m, 60e9, 17e6);
	assert_true(m.worst < 1000);
	run(&m, 20e6, 100);
	assert_true(m.worst < 1000);
}

static void a_clock_that_is_slewed_is_followed_and_never_goes_back(void **state)
{
	static const double pace[] = {1.0005, 0.9995, 1.08, 0.92, 1, 0.999999};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(pace); i++) {
		struct machine m = machine(2.6);

		run(&m, 20e6, 100);
		m.pace = pace[i];
		run(&m, 5e6, 100); /* no more than the reach */
		assert_true(m.worst < 300e3);
		run(&m, 50e6, 100);
		m.worst = 0;
		run(&m, 50e6, 100);
		assert_true(m.worst < 1000);
	}
}

static void a_counter_set_back_or_stopped_or_changed_is_survived(void **state)
{
	static const struct {
		double counter, clock, ghz;
	} jump[] = {
		{-6.9e12, 0, 2.6}, /* reset */
		{0, 3600e9, 2.6},  /* the clock went on without it */
		{9e12, 0, 2.6},	   /* it went on without the clock: suspend */
		{5e11, 1e9, 3.4},  /* another machine */
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(jump); i++) {
		struct machine m = machine(2.6);

		run(&m, 20e6, 100);
		m.counter += jump[i].counter;
		m.clock += jump[i].clock;
		m.ghz = jump[i].ghz;
		run(&m, 50e6, 100);
		m.worst = 0;
		m.asked = 0;
		run(&m, 50e6, 100);
		assert_true(m.worst < 1000);
		assert_true(m.asked < 100);
	}
}

static void a_counter_a_little_behind_that_of_another_processor_changes_nothing(void **state)
{
	struct machine m = machine(2.6);
	struct tick seen;
	uint64_t tick, ns;

	run(&m, 20e6, 100);
	tick_look(&m.tick, &seen);
	tick = seen.base.tick;
	ns = seen.base.ns;
	assert_int_equal(tick_read(&m.tick, tick - 90), 0);
	assert_int_equal(tick_learn(&m.tick, &seen, tick - 90, ns - 40, tick - 20), ns);
	assert_memory_equal(&seen.base, &m.tick.base, sizeof(seen.base));
}

/* Between any two steps, for longer than what it saw is valid. */
static void a_thread_stopped_while_it_asks_is_not_sent_elsewhere(void **state)
{
	for (unsigned step = 0; step < 3; step++) {
		struct machine m = machine(2.6);
		struct tick seen, others;
		uint64_t before, ns, t;

		run(&m, 20e6, 100);
		pass(&m, 5e6);
		tick_look(&m.tick, &seen);
		if (step == 0)
			run(&m, 20e6, 100);
		before = (uint64_t)m.counter;
		if (step == 1)
			run(&m, 20e6, 100);
		ns = (uint64_t)m.clock;
		if (step == 2)
			run(&m, 20e6, 100);
		others = m.tick;
		t = tick_learn(&m.tick, &seen, before, ns, (uint64_t)m.counter);
		assert_in_range(t, ns, ns + 1000);
		assert_memory_equal(&others.base, &m.tick.base, sizeof(others.base));
		run(&m, 20e6, 100);
		assert_true(m.worst < 1000);
	}
}

static void an_answer_that_took_long_is_not_built_upon(void **state)
{
	struct machine m = machine(2.6);
	struct tick seen;

	run(&m, 20e6, 100);
	pass(&m, 10e6);
	tick_look(&m.tick, &seen);
	assert_true(tick_learn(&m.tick, &seen, (uint64_t)m.counter, (uint64_t)m.clock + 40000,
			       (uint64_t)m.counter + 100000) >= m.told);
	assert_memory_equal(&seen.base, &m.tick.base, sizeof(seen.base));
}

static void whoever_finds_it_being_changed_gets_the_time_of_the_kernel(void **state)
{
	struct machine m = machine(2.6);
	struct tick seen;

	run(&m, 20e6, 100);
	m.tick.turn++;
	m.asked = 0;
	pass(&m, 5000);
	assert_int_equal(tick_read(&m.tick, (uint64_t)m.counter), 0);
	tick_look(&m.tick, &seen);
	assert_int_equal(
		tick_learn(&m.tick, &seen, (uint64_t)m.counter, 12345, (uint64_t)m.counter + 9),
		12345);
	assert_memory_equal(&seen.base, &m.tick.base, sizeof(seen.base));
	tick_forget(&m.tick);
	run(&m, 20e6, 100);
	assert_true(m.asked < 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_is_asked_once_in_milliseconds),
		cmocka_unit_test(calls_far_apart_get_the_time_of_the_kernel),
		cmocka_unit_test(a_clock_that_is_slewed_is_followed_and_never_goes_back),
		cmocka_unit_test(a_counter_set_back_or_stopped_or_changed_is_survived),
		cmocka_unit_test(
			a_counter_a_little_behind_that_of_another_processor_changes_nothing),
		cmocka_unit_test(a_thread_stopped_while_it_asks_is_not_sent_elsewhere),
		cmocka_unit_test(an_answer_that_took_long_is_not_built_upon),
		cmocka_unit_test(whoever_finds_it_being_changed_gets_the_time_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
