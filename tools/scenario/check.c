/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/check: steps and expectations, and whether what they name is there.
 */
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "core/exchange/model.h"
#include "core/finding/finding.h"
#include "tools/scenario/scenario.h"

enum {
	JOBS = 256, /* clients and programs of one scenario */
};

struct check {
	const struct scenario *s;
	struct scenario_error *error;
	/* Clients and programs named so far. */
	unsigned jobs;
	struct {
		const char *name;
		bool client;
	} job[JOBS];
};

static bool refuse(struct check *c, struct place at, const char *what)
{
	scenario_error_set(c->error, at, "%s", what);
	return false;
}

/* ---- names ---- */

static const char *rule_word(const void *of, size_t i)
{
	const struct check *c = of;

	return i < c->s->rules ? c->s->rule[i].name : i == c->s->rules ? "all" : NULL;
}

static const char *job_word(const struct check *c, bool client, size_t i)
{
	for (size_t k = 0; k < c->jobs; k++) {
		if (c->job[k].client == client && i-- == 0)
			return c->job[k].name;
	}
	return NULL;
}

static const char *client_word(const void *of, size_t i)
{
	return job_word(of, true, i);
}

static const char *run_word(const void *of, size_t i)
{
	return job_word(of, false, i);
}

static const char *phase_word(const void *of, size_t i)
{
	return i < PHASE_COUNT ? phase_name((enum phase)i) : NULL;
}

static const char *finding_word(const void *of, size_t i)
{
	return i < FINDING_COUNT ? finding_info((enum finding_id)i)->id : NULL;
}

static const char *outcome_word(const void *of, size_t i)
{
	return i <= OUTCOME_PENDING ? outcome_name((enum outcome)i) : NULL;
}

/* Is the word one of them?  Else it is refused, with the nearest. */
static bool check_word(struct check *c, struct place at, const char *what, const char *word,
		       const char *(*name)(const void *of, size_t i))
{
	struct words w = {name, c};

	for (size_t i = 0; name(c, i); i++) {
		if (!strcmp(name(c, i), word))
			return true;
	}
	keys_refuse_word(at, what, word, &w, c->error);
	return false;
}

static bool check_rule_name(struct check *c, struct place at, const char *name, bool all)
{
	if (c->s->sweep && !strcmp(name, "sweep"))
		return true;
	if (!all && !strcmp(name, "all"))
		return refuse(c, at, "name one rule here");
	return check_word(c, at, "rule", name, rule_word);
}

static bool check_job_name(struct check *c, struct place at, const char *name, bool client)
{
	return check_word(c, at, client ? "client" : "run", name, client ? client_word : run_word);
}

static bool add_job(struct check *c, const struct yaml *y, bool client)
{
	const struct yaml *name = yaml_get(y, "name");

	if (!name && keys_switch(y, "background", false))
		return refuse(c, y->at, "what runs in the background needs a name");
	for (unsigned i = 0; name && i < c->jobs; i++) {
		if (!strcmp(c->job[i].name, name->text))
			return refuse(c, name->at, "this name is taken already");
	}
	if (c->jobs >= JOBS)
		return refuse(c, y->at, "there are too many clients and programs; 256 are allowed");
	if (name) {
		c->job[c->jobs].name = name->text;
		c->job[c->jobs++].client = client;
	}
	return true;
}

/* ---- actions of a client ---- */

static bool check_hex(struct check *c, const struct yaml *y)
{
	const struct yaml *hex = yaml_get(y, "hex");

	return !hex || hex_bytes(hex->text, NULL) >= 0 ||
	       refuse(c, hex->at, "'hex' must be pairs of hexadecimal digits");
}

static bool check_split(struct check *c, const struct yaml *y)
{
	const struct yaml *every = yaml_get(y, "every");

	if (every && (keys_number(y, "every", 0) == 0 || yaml_get(y, "split")))
		return refuse(c, every->at,
			      yaml_get(y, "split") ? "'every' and 'split' exclude each other"
						   : "'every' must be at least 1");
	for (const struct yaml *w = keys_words(y, "split"); w; w = keys_word_next(y, "split", w)) {
		int used = 0;
		long at;

		if (sscanf(w->text, "%ld%n", &at, &used) != 1 || w->text[used] || !at)
			return refuse(c, w->at, "'split' must be offsets, like [17, -2]");
	}
	return true;
}

static bool check_bytes(struct check *c, const struct yaml *y)
{
	const struct yaml *repeat = yaml_get(y, "repeat"), *pad = yaml_get(y, "pad");

	if (pad && keys_number(y, "pad", 0) > 1000000)
		return refuse(c, pad->at, "'pad' is at most 1,000,000");
	if (repeat && keys_number(y, "repeat", 1) > 1000000)
		return refuse(c, repeat->at, "'repeat' is at most 1,000,000");
	return check_hex(c, y) && check_split(c, y);
}

static bool check_op(struct check *c, const struct yaml *y)
{
	const struct yaml *op = yaml_get(y, "op"), *code = yaml_get(y, "code"),
			  *rsv = yaml_get(y, "rsv");

	if (op && opcode_by_name(op->text) < 0)
		return refuse(c, op->at,
			      "'op' must be text, binary, continuation, ping, pong, close or 0 "
			      "to 15");
	if (code && keys_number(y, "code", 0) > 65535)
		return refuse(c, code->at, "a status code is at most 65535");
	return !rsv || keys_number(y, "rsv", 0) < 8 || refuse(c, rsv->at, "'rsv' is at most 7");
}

static bool check_status(struct check *c, const struct yaml *y)
{
	const struct yaml *status = yaml_get(y, "status");
	unsigned first, last;

	return !status || status_range(status->text, &first, &last) ||
	       refuse(c, status->at, "'status' must be a code, a range like 400..499, or any");
}

static bool check_answer(struct check *c, const struct yaml *y)
{
	static const char *const kind[] = {"status", "frame", "end", "nothing"};
	const struct yaml *seen = NULL;

	for (size_t i = 0; i < CORE_ARRAY_LEN(kind); i++) {
		const struct yaml *k = yaml_get(y, kind[i]);

		if (k && seen)
			return refuse(c, k->key_at,
				      "'status', 'frame', 'end' and 'nothing' are "
				      "expected one at a time, each in an action of its own");
		seen = k ? k : seen;
	}
	return check_status(c, y) && check_op(c, yaml_get(y, "frame"));
}

/* An upgrade whose answer is not read. */
static bool is_none(const struct yaml *y)
{
	const char *status = keys_text(y, "status");

	return status && !strcmp(status, "none");
}

static bool check_action(struct check *c, const struct yaml *action)
{
	const struct yaml *y;

	if (!keys_check_one(action, PLACE_ACTION, c->error))
		return false;
	y = action->first;
	if (!strcmp(y->key, "expect"))
		return check_answer(c, y);
	if (!strcmp(y->key, "upgrade"))
		return check_bytes(c, y) && (is_none(y) || check_status(c, y)) &&
		       check_op(c, yaml_get(y, "early")) && check_bytes(c, yaml_get(y, "early"));
	if (!strcmp(y->key, "frame"))
		return check_bytes(c, y) && check_op(c, y);
	return check_bytes(c, y);
}

static bool check_client(struct check *c, const struct yaml *y)
{
	const struct yaml *list = yaml_get(y, "do");

	if (!list || !list->count)
		return refuse(c, y->at, "a client needs a list of actions: do: [upgrade: /ws]");
	for (const struct yaml *a = list->first; a; a = a->next) {
		if (!check_action(c, a))
			return false;
	}
	return add_job(c, y, true);
}

/* ---- steps ---- */

static bool check_rule_names(struct check *c, const struct yaml *step, const char *key)
{
	for (const struct yaml *w = keys_words(step, key); w; w = keys_word_next(step, key, w)) {
		if (!check_rule_name(c, w->at, w->text, true))
			return false;
	}
	return true;
}

static bool check_wait(struct check *c, const struct yaml *y)
{
	const struct yaml *phase = yaml_get(y, "phase"), *client = yaml_get(y, "client"),
			  *run = yaml_get(y, "run"), *hits = yaml_get(y, "hits");

	if (!!phase + !!client + !!run + !!hits != 1)
		return refuse(c, y->at, "'wait' needs one of phase, client, run and hits");
	if (yaml_get(y, "path") && !phase)
		return refuse(c, yaml_get(y, "path")->key_at, "'path' belongs to a phase");
	if (phase)
		return check_word(c, phase->at, "phase", phase->text, phase_word);
	if (hits)
		return check_rule_name(c, hits->at, hits->text, false);
	return client ? check_job_name(c, client->at, client->text, true)
		      : check_job_name(c, run->at, run->text, false);
}

static bool check_step(struct check *c, const struct yaml *step)
{
	const struct yaml *y;

	if (!keys_check_one(step, PLACE_STEP, c->error))
		return false;
	y = step->first;
	if (!strcmp(y->key, "on") || !strcmp(y->key, "off"))
		return check_rule_names(c, step, y->key);
	if (!strcmp(y->key, "client"))
		return check_client(c, y);
	if (!strcmp(y->key, "wait"))
		return check_wait(c, y);
	if (!strcmp(y->key, "run"))
		return (yaml_get(y, "cmd") || refuse(c, y->at, "'run' needs a cmd")) &&
		       add_job(c, y, false);
	if (!strcmp(y->key, "signal") && !signal_by_name(y->text))
		return refuse(c, y->at, "there is no such signal");
	return true;
}

/* ---- expectations ---- */

static bool check_ended(struct check *c, const struct yaml *y, bool client)
{
	for (const struct yaml *j = y->first; j; j = j->next) {
		const struct yaml *exit = yaml_get(j, "exit"), *signal = yaml_get(j, "signal");
		uint64_t first, last;

		if (!check_job_name(c, j->key_at, j->key, client))
			return false;
		if (exit && strcmp(exit->text, "any") &&
		    (!keys_range(exit->text, &first, &last) || last > 255))
			return refuse(c, exit->at, "'exit' must be a status from 0 to 255, or any");
		if (signal && !signal_by_name(signal->text))
			return refuse(c, signal->at, "there is no such signal");
	}
	return true;
}

static bool check_comparison(struct check *c, const struct yaml *y)
{
	struct comparison cmp;

	return !y || keys_comparison(y->text, &cmp) ||
	       refuse(c, y->at, "a comparison looks like '>=1', '==3', '<10', 0 or any");
}

static bool check_hits(struct check *c, const struct yaml *y)
{
	for (const struct yaml *r = y->first; r; r = r->next) {
		if (!check_rule_name(c, r->key_at, r->key, false) || !check_comparison(c, r))
			return false;
	}
	return true;
}

static bool check_phases(struct check *c, const struct yaml *y)
{
	if (y->kind != YAML_MAP)
		return refuse(c, y->at, "'phase' must be a mapping, phase: {at_least: ...}");
	for (const struct yaml *p = y->first; p; p = p->next) {
		bool where = !strcmp(p->key, "where");

		if (!where && !check_word(c, p->key_at, "phase", p->key, phase_word))
			return false;
		if (!keys_check(p, where ? PLACE_WHERE : PLACE_SPAN, c->error))
			return false;
	}
	return true;
}

static bool check_findings(struct check *c, const struct yaml *y)
{
	static const char *const key[] = {"present", "absent"};

	for (size_t i = 0; i < CORE_ARRAY_LEN(key); i++) {
		for (const struct yaml *w = keys_words(y, key[i]); w;
		     w = keys_word_next(y, key[i], w)) {
			enum severity s;

			if (i == 1 && severity_from_name(w->text, &s))
				continue;
			if (!check_word(c, w->at, "finding", w->text, finding_word))
				return false;
		}
	}
	return true;
}

static bool check_outcome(struct check *c, const struct yaml *y)
{
	if (!yaml_get(y, "is"))
		return refuse(c, y->at, "'outcome' needs 'is'");
	for (const struct yaml *w = keys_words(y, "is"); w; w = keys_word_next(y, "is", w)) {
		if (!check_word(c, w->at, "outcome", w->text, outcome_word))
			return false;
	}
	return check_comparison(c, yaml_get(y, "count"));
}

static bool check_never(struct check *c, const struct yaml *y)
{
	const struct yaml *result = yaml_get(y, "result");

	if (!result && !yaml_get(y, "call"))
		return refuse(c, y->at,
			      "'never' needs a call, like shutdown, or a result, like EPIPE");
	return !result || error_by_name(result->text) ||
	       refuse(c, result->at, "there is no error of that name; they look like EPIPE");
}

static bool check_server(struct check *c, const struct yaml *y)
{
	const struct yaml *state = yaml_get(y, "state"), *spin = yaml_get(y, "spin"),
			  *leak = yaml_get(y, "fd_leak");

	if (state && !strcmp(state->text, "exited") && (spin || leak))
		return refuse(
			c, (spin ? spin : leak)->key_at,
			"a server that has exited neither spins nor leaks: leave that out, or "
			"'state: exited'");
	if (spin && !keys_switch(y, "spin", true) && !keys_time(c->s->root, "settle", 0))
		return refuse(c, spin->key_at,
			      "'spin: no' is measured while the server settles: add "
			      "settle: 1s");
	return true;
}

static bool check_expectation(struct check *c, const struct yaml *item)
{
	const struct yaml *y;

	if (!keys_check_one(item, PLACE_EXPECT, c->error))
		return false;
	y = item->first;
	if (!strcmp(y->key, "run") || !strcmp(y->key, "client"))
		return check_ended(c, y, y->key[0] == 'c');
	if (!strcmp(y->key, "hits"))
		return check_hits(c, y);
	if (!strcmp(y->key, "phase"))
		return check_phases(c, y);
	if (!strcmp(y->key, "findings"))
		return check_findings(c, y);
	if (!strcmp(y->key, "outcome"))
		return check_outcome(c, y);
	if (!strcmp(y->key, "never"))
		return check_never(c, y);
	return check_server(c, y);
}

/* Another folder is the same for all rounds: the name must tell them apart. */
static bool check_report(struct check *c, const struct yaml *w)
{
	static const char *const ending[] = {".json", ".jsonl", ".txt", ".md", ".xml"};
	const char *dot = strrchr(w->text, '.');
	bool known = false;

	for (size_t i = 0; dot && i < CORE_ARRAY_LEN(ending); i++)
		known |= !strcmp(dot, ending[i]);
	if (!known)
		return refuse(c, w->at,
			      "the name of a report ends in .jsonl, .json, .txt, .md or .xml");
	if (!strchr(w->text, '/'))
		return true;
	if (c->s->seeds > 1 && !strstr(w->text, "$seed") && !strstr(w->text, "${seed}"))
		return refuse(c, w->at,
			      "each seed would overwrite this file: its name needs $seed");
	if (c->s->sweep && !strstr(w->text, "$n") && !strstr(w->text, "${n}"))
		return refuse(c, w->at, "each round would overwrite this file: its name needs $n");
	return true;
}

static bool check_reports(struct check *c)
{
	for (const struct yaml *w = keys_words(c->s->root, "report"); w;
	     w = keys_word_next(c->s->root, "report", w)) {
		if (!check_report(c, w))
			return false;
	}
	return true;
}

bool scenario_check(const struct scenario *s, struct scenario_error *e)
{
	struct check c = {.s = s, .error = e};

	if (!s->steps || !s->steps->count)
		return refuse(&c, s->root->at, "there are no steps: nothing would happen");
	for (const struct yaml *y = s->steps->first; y; y = y->next) {
		if (!check_step(&c, y))
			return false;
	}
	for (const struct yaml *y = s->expect ? s->expect->first : NULL; y; y = y->next) {
		if (!check_expectation(&c, y))
			return false;
	}
	return check_reports(&c);
}
