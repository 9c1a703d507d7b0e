/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/expect: the expectations of a scenario.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/scenario/case.h"
#include "tools/scenario/client.h"

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* ---- jobs ---- */

static void expect_window(struct run_case *c, const struct yaml *y, const char *who, uint64_t took)
{
	const struct yaml *within = yaml_get(y, "within"), *at_least = yaml_get(y, "at_least");

	if (within && took > keys_time(y, "within", 0))
		case_fail(c, within->at, "%s '%s' took %.4g ms, and %.4g ms at most were expected",
			  who, y->key, ms(took), ms(keys_time(y, "within", 0)));
	if (at_least && took < keys_time(y, "at_least", 0))
		case_fail(c, at_least->at,
			  "%s '%s' took %.4g ms, and %.4g ms at least were expected", who, y->key,
			  ms(took), ms(keys_time(y, "at_least", 0)));
}

static void expect_client(struct run_case *c, const struct yaml *y, const struct job *j)
{
	const char *result = keys_text(y, "result");

	if (!result || !strcmp(result, "pass"))
		job_check(c, j);
	else if (!strcmp(result, "fail") && j->result->ok)
		case_fail(c, y->at, "client '%s' succeeded, and was expected to fail", y->key);
	expect_window(c, y, "client", j->ended - j->began);
}

static void expect_output(struct run_case *c, const struct yaml *y, const struct job *j)
{
	const char *pattern = keys_text(y, "output");
	char *tail = pattern ? server_tail(j->log) : NULL;
	size_t n = tail ? strlen(tail) : 0;

	while (n && tail[n - 1] == '\n')
		n--;
	if (tail && !pattern_matches(expand(&c->v, pattern, false, c->arena), tail, n))
		case_fail(c, yaml_get(y, "output")->at, "run '%s' printed '%.400s'", y->key, tail);
	free(tail);
}

static void expect_program(struct run_case *c, const struct yaml *y, const struct job *j)
{
	const char *exit = keys_text(y, "exit"), *signal = keys_text(y, "signal");
	uint64_t first = 0, last = 0;
	char how[64];
	bool ok;

	if (exit && strcmp(exit, "any"))
		keys_range(exit, &first, &last);
	if (signal)
		ok = WIFSIGNALED(j->status) && WTERMSIG(j->status) == signal_by_name(signal);
	else if (exit && !strcmp(exit, "any"))
		ok = WIFEXITED(j->status);
	else
		ok = WIFEXITED(j->status) && (uint64_t)WEXITSTATUS(j->status) >= first &&
		     (uint64_t)WEXITSTATUS(j->status) <= last;
	if (j->killed)
		case_fail(c, y->at, "run '%s' hung: it was killed after %.3g s", y->key,
			  ms(j->ended - j->began) / 1e3);
	else if (!ok)
		case_fail(c, y->at, "run '%s' %s", y->key,
			  server_ending(j->status, how, sizeof(how)));
	expect_output(c, y, j);
	expect_window(c, y, "run", j->ended - j->began);
}

static void expect_jobs(struct run_case *c, const struct yaml *map, enum job_kind kind)
{
	for (const struct yaml *y = map->first; y; y = y->next) {
		const struct job *j = job_find(c, y->key, kind);

		if (!j)
			continue; /* the steps ended before it was started, and that was said */
		if (kind == JOB_CLIENT)
			expect_client(c, y, j);
		else
			expect_program(c, y, j);
	}
}

/* ---- hits ---- */

/* Does any expectation say something of the rule's hits? */
static const struct yaml *hits_of(const struct run_case *c, const char *rule)
{
	for (const struct yaml *e = c->s->expect ? c->s->expect->first : NULL; e; e = e->next) {
		const struct yaml *y = yaml_get(yaml_get(e, "hits"), rule);

		if (y)
			return y;
	}
	return NULL;
}

static void expect_hits(struct run_case *c)
{
	for (size_t i = 0; i < c->rules; i++) {
		const char *name = c->rule[i].name;
		const struct yaml *y = hits_of(c, name);
		uint64_t hits = case_hits(c, i);
		struct comparison cmp;

		if (y && keys_comparison(y->text, &cmp) && !comparison_holds(&cmp, hits))
			case_fail(c, y->at, "the rule '%s' acted %" PRIu64 " times, not %s%s", name,
				  hits, y->text, hits ? "" : ": vacuous, it proves nothing");
		if (!y && i < c->s->rules && (c->ever_on >> i & 1) && !hits)
			case_fail(
				c, c->s->rule[i].at,
				"vacuous: the rule '%s' never acted, so this proves nothing (hits: "
				"{%s: any} allows it)",
				name, name);
	}
}

/* ---- server ---- */

static void expect_descriptors(struct run_case *c, const struct yaml *y)
{
	uint64_t allowed = c->descriptors + keys_number(y, "fd_leak", 0);
	uint64_t deadline = scenario_now_ns() + keys_time(c->s->root, "settle", 0), now;

	/* What is still being closed is given the time that the server has to settle. */
	while ((now = proc_descriptors(c->server.pid)) > allowed && case_wait(c, true, deadline))
		continue;
	if (now > allowed)
		case_fail(c, yaml_get(y, "fd_leak")->at,
			  "the server holds %" PRIu64
			  " descriptors more than before the first step",
			  now - c->descriptors);
}

static void expect_server(struct run_case *c, const struct yaml *y)
{
	const char *state = keys_text(y, "state");
	bool exited = state && !strcmp(state, "exited");

	if (exited && server_running(&c->server))
		case_fail(c, y->at, "the server still runs, and was expected to have exited");
	if (exited || !c->server.running)
		return;
	if (yaml_get(y, "fd_leak"))
		expect_descriptors(c, y);
	if (!keys_switch(y, "spin", true) && c->settled_cpu_ns * 5 > c->settled_ns)
		case_fail(c, yaml_get(y, "spin")->at,
			  "the server spins: it used %.3g s of processor time in %.3g s with "
			  "nothing to do",
			  ms(c->settled_cpu_ns) / 1e3, ms(c->settled_ns) / 1e3);
}

void expect_running(struct run_case *c)
{
	for (const struct yaml *e = c->s->expect ? c->s->expect->first : NULL; e; e = e->next) {
		const struct yaml *y = e->first;

		if (!strcmp(y->key, "run"))
			expect_jobs(c, y, JOB_RUN);
		else if (!strcmp(y->key, "client"))
			expect_jobs(c, y, JOB_CLIENT);
		else if (!strcmp(y->key, "server"))
			expect_server(c, y);
	}
	expect_hits(c);
}

/* ---- the trace ---- */

struct phase_check {
	struct run_case *c;
	const struct yaml *y; /* the span: its key is the phase */
	enum phase phase;
	unsigned seen;
};

static void check_span(void *ctx, const struct image *img, const struct exchange *x)
{
	struct phase_check *p = ctx;
	const struct yaml *within = yaml_get(p->y, "within"),
			  *at_least = yaml_get(p->y, "at_least");
	uint64_t begin, end, took;

	if (!observe_span(img, x, p->phase, &begin, &end))
		return;
	p->seen++;
	took = end - begin;
	if (within && took > keys_time(p->y, "within", 0))
		case_fail(p->c, within->at, "the phase %s of connection %" PRIu32 " took %.4g ms",
			  p->y->key, x->conn->id, ms(took));
	if (at_least && took < keys_time(p->y, "at_least", 0))
		case_fail(p->c, at_least->at,
			  "the phase %s of connection %" PRIu32 " took only %.4g ms", p->y->key,
			  x->conn->id, ms(took));
}

static void expect_phases(struct run_case *c, const struct trace_set *set, const struct yaml *map)
{
	const struct yaml *where = yaml_get(map, "where");
	const char *path = keys_text(where, "path");
	struct observe_where w = {.attempt = -1};

	w.path = path ? expand(&c->v, path, false, c->arena) : NULL;
	if (yaml_get(where, "upgrade"))
		w.attempt = keys_switch(where, "upgrade", true);
	for (const struct yaml *y = map->first; y; y = y->next) {
		struct phase_check p = {.c = c, .y = y};

		if (!strcmp(y->key, "where"))
			continue;
		phase_from_name((struct span){(const uint8_t *)y->key, strlen(y->key)}, &p.phase);
		observe_each(set, &w, check_span, &p);
		if (!p.seen)
			case_fail(c, y->key_at, "no such exchange entered the phase %s", y->key);
	}
}

struct finding_check {
	struct run_case *c;
	const struct yaml *absent;
	const char *present;
	bool seen;
};

static void check_finding(void *ctx, const struct finding *f)
{
	struct finding_check *p = ctx;
	const char *id = finding_info(f->id)->id;
	enum severity limit;

	p->seen |= p->present && !strcmp(p->present, id);
	if (!p->absent)
		return;
	if (severity_from_name(p->absent->text, &limit) ? f->severity >= limit
							: !strcmp(p->absent->text, id))
		case_fail(p->c, p->absent->at, "finding %s (%s): %s", id,
			  severity_name(f->severity), f->message);
}

static void expect_findings(struct run_case *c, const struct trace_set *set, const struct yaml *y)
{
	struct finding_check p = {.c = c};

	for (const struct yaml *w = keys_words(y, "present"); w;
	     w = keys_word_next(y, "present", w)) {
		p.present = w->text;
		p.seen = false;
		observe_findings(set, check_finding, &p);
		if (!p.seen)
			case_fail(c, w->at, "there is no finding %s", w->text);
	}
	p.present = NULL;
	for (p.absent = keys_words(y, "absent"); p.absent;
	     p.absent = keys_word_next(y, "absent", p.absent))
		observe_findings(set, check_finding, &p);
}

struct outcome_check {
	struct run_case *c;
	const struct yaml *y;
	uint64_t seen, other;
	enum outcome last;
};

static void check_outcome(void *ctx, const struct image *img, const struct exchange *x)
{
	struct outcome_check *p = ctx;

	(void)img;
	for (const struct yaml *w = keys_words(p->y, "is"); w; w = keys_word_next(p->y, "is", w)) {
		if (!strcmp(w->text, outcome_name(x->outcome))) {
			p->seen++;
			return;
		}
	}
	p->other++;
	p->last = x->outcome;
}

static void expect_outcome(struct run_case *c, const struct trace_set *set, const struct yaml *y)
{
	const char *path = keys_text(y, "path"), *count = keys_text(y, "count");
	struct observe_where w = {.attempt = 1};
	struct outcome_check p = {.c = c, .y = y};
	struct comparison cmp;

	w.path = path ? expand(&c->v, path, false, c->arena) : NULL;
	observe_each(set, &w, check_outcome, &p);
	if (count && keys_comparison(count, &cmp) && !comparison_holds(&cmp, p.seen))
		case_fail(c, y->at, "%" PRIu64 " attempts had that outcome, not %s", p.seen, count);
	else if (!count && p.other)
		case_fail(c, y->at, "%" PRIu64 " attempts had another outcome: %s", p.other,
			  outcome_name(p.last));
	else if (!count && !p.seen)
		case_fail(c, y->at, "there was no such attempt");
}

static void expect_never(struct run_case *c, const struct trace_set *set, const struct yaml *y)
{
	const char *result = keys_text(y, "result");
	char call[64];

	if (!observe_call(set, keys_text(y, "call"), result ? error_by_name(result) : 0, call,
			  sizeof(call)))
		return;
	if (result)
		case_fail(c, y->at, "the server's call %s failed with %s", call, result);
	else
		case_fail(c, y->at, "the server called %s", call);
}

static void expect_exit(struct run_case *c, const struct yaml *y)
{
	const char *exit = keys_text(y, "exit");
	uint64_t first, last, code;
	char how[64];

	if (!exit || !strcmp(exit, "any") || c->server.running)
		return;
	code = WIFEXITED(c->server.status) ? (uint64_t)WEXITSTATUS(c->server.status)
					   : 128 + (uint64_t)WTERMSIG(c->server.status);
	if (!keys_range(exit, &first, &last) || code < first || code > last)
		case_fail(c, yaml_get(y, "exit")->at, "the server %s, not with %s",
			  server_ending(c->server.status, how, sizeof(how)), exit);
}

static bool asks_trace(const char *key)
{
	return !strcmp(key, "phase") || !strcmp(key, "findings") || !strcmp(key, "never") ||
	       !strcmp(key, "outcome");
}

void expect_trace(struct run_case *c)
{
	struct trace_set *set = observe_load(c->server.trace);

	for (const struct yaml *e = c->s->expect ? c->s->expect->first : NULL; e; e = e->next) {
		const struct yaml *y = e->first;

		if (asks_trace(y->key) && !set)
			case_fail(c, y->at,
				  "nothing was recorded of the server, so nothing can be said; "
				  "'shakedown doctor CMD' tells whether it can be watched");
		else if (!strcmp(y->key, "phase"))
			expect_phases(c, set, y);
		else if (!strcmp(y->key, "findings"))
			expect_findings(c, set, y);
		else if (!strcmp(y->key, "outcome"))
			expect_outcome(c, set, y);
		else if (!strcmp(y->key, "never"))
			expect_never(c, set, y);
		else if (!strcmp(y->key, "server"))
			expect_exit(c, y);
	}
	trace_set_free(set);
}
