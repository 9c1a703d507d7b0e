/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/rules: the rules a command is started under: read from options, files and variables, shown when
 * they are wrong, and put into the control page before the command starts.
 */
#include "tools/verb/launch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/control/control_file.h"
#include "tools/control/replay_decisions.h"
#include "tools/control/rule_source.h"
#include "tools/verb/verb.h"

enum {
	PAGES = 1000, /* of one folder: one per --append */
};

/* An empty word is a variable of a script that was not set, and a run nobody wanted.  False: complained. */
static bool given(const char *text)
{
	if (text[strspn(text, " \t\n;")])
		return true;
	complain("--rule is empty; it needs a rule, like --rule tx@response-head:delay=300ms");
	return false;
}

static bool gather(const struct launch_rules *r, struct rule_source *s)
{
	const char *text = getenv("SHAKEDOWN_RULES"), *file = getenv("SHAKEDOWN_RULES_FILE");
	bool ok = true;

	if (text && *text)
		ok = rule_source_add(s, "SHAKEDOWN_RULES", text, stderr);
	if (ok && file && *file)
		ok = rule_source_read(s, file, stderr);
	for (size_t i = 0; ok && i < r->files->n; i++)
		ok = rule_source_read(s, r->files->item[i], stderr);
	for (size_t i = 0; ok && i < r->texts->n; i++)
		ok = given(r->texts->item[i]) &&
		     rule_source_add(s, "--rule", r->texts->item[i], stderr);
	return ok;
}

static bool read_seed(struct launch_rules *r)
{
	const char *text = r->seed ? r->seed : getenv("SHAKEDOWN_SEED");

	r->number = 1;
	if (!text || launch_seed(text, &r->number))
		return true;
	complain("%s '%s' is no number from 0 to 18446744073709551615",
		 r->seed ? "--seed" : "SHAKEDOWN_SEED", text);
	return false;
}

/* Decisions of another run, and its rules and seed unless others were given. */
static bool read_replay(struct launch_rules *r)
{
	struct replay_decisions d;
	char *error = NULL;

	if (!r->replay)
		return true;
	if (!replay_decisions_read(&d, r->replay, &error)) {
		complain("--replay: %s", error ? error : "no memory");
		free(error);
		return false;
	}
	if (d.lost)
		complain("--replay: %" PRIu64 " records of %s are gone; decisions among them are "
			 "not repeated",
			 d.lost, r->replay);
	r->repeats = true;
	r->decision = d.decision;
	r->decisions = d.n;
	d.decision = NULL;
	if (!r->count && d.rules) {
		free(r->rule);
		r->rule = d.rule;
		r->count = d.rules;
		r->on = d.on;
		r->number = r->seed ? r->number : d.seed;
		d.rule = NULL;
	}
	replay_decisions_free(&d);
	if (r->count)
		return true;
	complain("--replay: %s has no rules that could be repeated; give them with --rule",
		 r->replay);
	return false;
}

bool launch_rules_read(struct launch_rules *r)
{
	struct rule_source source = {0};
	bool ok = read_seed(r) && gather(r, &source) &&
		  rule_source_compile(&source, &r->rule, &r->count, stderr);

	rule_source_free(&source);
	r->on = r->count >= 64 ? UINT64_MAX : (UINT64_C(1) << r->count) - 1;
	if (!ok || !read_replay(r))
		return false;
	unsetenv("SHAKEDOWN_RULES");
	unsetenv("SHAKEDOWN_RULES_FILE");
	unsetenv("SHAKEDOWN_SEED");
	return true;
}

/* The first name that is free. */
static bool make_page(struct launch_rules *r, const char *folder, struct control_file *f)
{
	for (unsigned i = 1; i < PAGES; i++) {
		int n = i == 1 ? snprintf(r->path, sizeof(r->path), "%s/control", folder)
			       : snprintf(r->path, sizeof(r->path), "%s/%u.control", folder, i);

		if (n < 0 || (size_t)n >= sizeof(r->path))
			break;
		if (!access(r->path, F_OK))
			continue;
		if (control_file_make(f, r->path, r->number))
			return true;
		break;
	}
	r->path[0] = '\0';
	return false;
}

bool launch_rules_make(struct launch_rules *r, const char *folder)
{
	struct control_file f = {.fd = -1};
	bool wanted = r->count || r->repeats, ok;

	ok = make_page(r, folder, &f);
	if (ok && r->repeats)
		ok = control_file_replay(&f, r->decision, r->decisions);
	if (ok && r->count)
		ok = control_file_set(&f, r->rule, r->count, r->on);
	if (ok)
		ok = !setenv("SHAKEDOWN_CONTROL", r->path, 1);
	if (!ok && wanted)
		complain("the rules cannot be put in force: %s",
			 f.why[0] ? f.why : "no file can be made in the trace folder");
	control_file_close(&f);
	return ok || !wanted;
}

/* The page is the command's to write: what it holds is checked, and its names are made whole. */
static void tell_idle(const struct control_file *f, const struct control_rules *rules, uint64_t on,
		      uint32_t i)
{
	const struct fault_rule *r = &rules->rule[i];
	const struct control_stat *s = control_stat(f->h, rules, i);

	if (!fault_rule_check(r) || (s && s->hits))
		return;
	if (!(on >> i & 1))
		complain("rule '%.*s' never acted: it is off", FAULT_NAME, r->name);
	else if (s && s->eligible)
		complain("rule '%.*s' never acted, though it could have %" PRIu64 " time%s",
			 FAULT_NAME, r->name, s->eligible, s->eligible == 1 ? "" : "s");
	else
		complain("rule '%.*s' never acted: nothing came that it is about", FAULT_NAME,
			 r->name);
}

void launch_rules_tell_idle(const struct launch_rules *r)
{
	struct control_file f = {.fd = -1};
	const struct control_state *state;
	const struct control_rules *rules;

	if (!r->path[0] || !control_file_read(&f, r->path))
		return;
	state = control_state(f.h);
	rules = control_rules(f.h, state);
	for (uint32_t i = 0; rules && i < rules->count; i++)
		tell_idle(&f, rules, state->on, i);
	control_file_close(&f);
}

void launch_rules_undo(const struct launch_rules *r)
{
	if (r->path[0])
		(void)unlink(r->path);
}
