/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/steps: the steps of a scenario, one after the other.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tools/scenario/case.h"

#define SECOND UINT64_C(1000000000)

/* ---- rules ---- */

static bool switch_rules(struct run_case *c, const struct yaml *step, const char *key)
{
	uint64_t mask = 0;

	for (const struct yaml *w = keys_words(step, key); w; w = keys_word_next(step, key, w)) {
		if (!strcmp(w->text, "all"))
			mask = ~UINT64_C(0) >> (64 - c->rules);
		else
			mask |= UINT64_C(1) << case_rule(c, w->text);
	}
	c->on = key[1] == 'n' ? c->on | mask : c->on & ~mask;
	c->ever_on |= c->on;
	return control_file_switch(&c->server.control, c->on) ||
	       case_fail(c, step->at, "cannot switch rules: %s", c->server.control.why);
}

static bool release(struct run_case *c, const struct yaml *step)
{
	for (const struct yaml *w = keys_words(step, "release"); w;
	     w = keys_word_next(step, "release", w)) {
		if (!control_file_release(&c->server.control, w->text))
			return case_fail(c, w->at, "cannot release: %s", c->server.control.why);
	}
	return true;
}

/* ---- waiting ---- */

/* How much of the time the trace is read while we wait, at most: one part in REST. */
enum {
	REST = 4,
};

/* What is known of the trace between two looks. */
struct look {
	uint64_t seen;	 /* of observe_glance */
	bool changed;	 /* since it was last read */
	uint64_t t_next; /* not read again before */
};

/* Rows tell without the trace when the path does not matter; else it is read, when it has changed. */
static bool phase_has_come(struct run_case *c, const struct yaml *y, struct look *l)
{
	const char *phase = keys_text(y, "phase"), *path = keys_text(y, "path");
	uint64_t count = keys_number(y, "count", 1), began = scenario_now_ns();
	struct observe_where where = {.attempt = -1};
	struct trace_set *set;
	enum phase which;
	unsigned inside;
	bool come;

	phase_from_name((struct span){(const uint8_t *)phase, strlen(phase)}, &which);
	l->changed |= observe_glance(c->server.trace, which, &l->seen, &inside);
	if (!path && inside >= count)
		return true;
	if (!l->changed || began < l->t_next)
		return false;
	where.path = path ? expand(&c->v, path, false, c->arena) : NULL;
	l->changed = false;
	set = observe_load(c->server.trace);
	come = set && observe_phase(set, &where, which) >= count;
	trace_set_free(set);
	l->t_next = scenario_now_ns() + REST * (scenario_now_ns() - began);
	return come;
}

/* Has what the step waits for happened? */
static bool has_come(struct run_case *c, const struct yaml *y, struct look *l)
{
	if (keys_text(y, "phase"))
		return phase_has_come(c, y, l);
	return case_hits(c, case_rule(c, keys_text(y, "hits"))) >= keys_number(y, "count", 1);
}

static bool say_late(struct run_case *c, const struct yaml *y)
{
	const char *phase = keys_text(y, "phase"), *hits = keys_text(y, "hits");

	if (case_broken(c, y->at))
		return false;
	if (phase)
		return case_fail(c, y->at, "no exchange entered the phase %s in time", phase);
	return case_fail(c, y->at,
			 "the rule '%s' acted %" PRIu64 " times, not %" PRIu64 ", in time", hits,
			 case_hits(c, case_rule(c, hits)), keys_number(y, "count", 1));
}

static bool wait_for_event(struct run_case *c, const struct yaml *y, uint64_t deadline)
{
	struct look l = {.changed = true};
	bool come, late = false;

	server_watch(&c->server, true);
	while (!(come = has_come(c, y, &l)) && !late) {
		late = !case_wait(c, true, deadline);
		jobs_reap(c);
		if (late)
			l.t_next = 0; /* the last look leaves nothing out */
	}
	server_watch(&c->server, false);
	return come || say_late(c, y);
}

static bool wait_step(struct run_case *c, const struct yaml *y)
{
	const char *client = keys_text(y, "client"), *run = keys_text(y, "run");
	uint64_t deadline = scenario_now_ns() + keys_time(y, "within", 10 * SECOND);
	struct job *j;

	if (!client && !run)
		return wait_for_event(c, y, deadline);
	j = job_find(c, client ? client : run, client ? JOB_CLIENT : JOB_RUN);
	return job_wait(c, j, y->at, deadline) && (job_expected(c, j) || job_check(c, j));
}

static bool sleep_step(struct run_case *c, const struct yaml *y, uint64_t ns)
{
	uint64_t deadline = scenario_now_ns() + ns;

	while (case_wait(c, false, deadline))
		jobs_reap(c);
	return !case_broken(c, y->at);
}

/* ---- all ---- */

static bool job_step(struct run_case *c, const struct yaml *y, enum job_kind kind)
{
	struct job *j = job_start(c, y, kind);

	if (!j || keys_switch(y, "background", false))
		return j;
	return job_wait(c, j, y->at, UINT64_MAX) && (job_expected(c, j) || job_check(c, j));
}

static bool step_run(struct run_case *c, const struct yaml *step)
{
	const struct yaml *y = step->first;

	jobs_reap(c);
	if (!strcmp(y->key, "on") || !strcmp(y->key, "off"))
		return switch_rules(c, step, y->key);
	if (!strcmp(y->key, "client"))
		return job_step(c, y, JOB_CLIENT);
	if (!strcmp(y->key, "run"))
		return job_step(c, y, JOB_RUN);
	if (!strcmp(y->key, "wait"))
		return wait_step(c, y);
	if (!strcmp(y->key, "release"))
		return release(c, step);
	if (!strcmp(y->key, "sleep"))
		return sleep_step(c, y, keys_time(step, "sleep", 0));
	server_signal(&c->server, signal_by_name(y->text));
	return true;
}

bool steps_run(struct run_case *c)
{
	for (const struct yaml *step = c->s->steps->first; step; step = step->next) {
		if (!step_run(c, step))
			return false;
	}
	/* What was left in the background must end, too. */
	for (unsigned i = 0; i < c->jobs; i++) {
		struct job *j = &c->job[i];

		if (!keys_switch(j->step, "background", false))
			continue;
		if (!job_wait(c, j, j->step->at, UINT64_MAX) ||
		    !(job_expected(c, j) || job_check(c, j)))
			return false;
	}
	return true;
}
