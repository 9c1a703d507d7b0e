/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/load: a file -> a checked scenario.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/scenario/scenario.h"
#include "tools/verb/value.h"

struct loader {
	struct scenario *s;
	struct scenario_error *error;
	struct variables v; /* while loading: port, pid and the like stand for 1 */
};

static bool refuse(struct loader *l, struct place at, const char *what)
{
	scenario_error_set(l->error, at, "%s", what);
	return false;
}

/* ---- the top ---- */

static bool load_version(struct loader *l)
{
	const struct yaml *y = yaml_get(l->s->root, "version");

	if (!y)
		return refuse(l, l->s->root->at,
			      "the file must say which format it is in: version: 1");
	if (keys_number(l->s->root, "version", 0) == 1)
		return true;
	scenario_error_set(l->error, y->at, "version %.20s is not known here; this is version 1",
			   y->text);
	return false;
}

/* The file's name without folder and ending. */
static void load_name(struct loader *l)
{
	const char *slash = strrchr(l->s->file, '/'), *base = slash ? slash + 1 : l->s->file;
	const char *dot = strrchr(base, '.');
	size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
	char *name = arena_alloc(l->s->arena, n + 1), *folder;

	for (size_t i = 0; i < n; i++)
		name[i] = isalnum((unsigned char)base[i]) || strchr("._-", base[i]) ? base[i] : '-';
	l->s->name = keys_text(l->s->root, "name");
	if (!l->s->name)
		l->s->name = name;
	l->s->about = keys_text(l->s->root, "about");
	n = slash ? (size_t)(slash - l->s->file) : 1;
	n += n == 0; /* a file in the root folder */
	folder = arena_alloc(l->s->arena, n + 1);
	snprintf(folder, n + 1, "%s", slash ? l->s->file : ".");
	l->s->folder = folder;
}

static bool load_seed(struct loader *l, const struct yaml *y, uint64_t *ret)
{
	if (y->kind == YAML_SCALAR && !value_number(y->text, ret) && *ret >= 1 && *ret <= INT64_MAX)
		return true;
	return refuse(l, y->at, "a seed must be a number from 1 to 9223372036854775807");
}

static bool load_seed_range(struct loader *l, const struct yaml *y)
{
	uint64_t first, last;

	if (!keys_range(y->text, &first, &last) || !first || first > INT64_MAX)
		return refuse(
			l, y->at,
			"'seeds' must be a list of numbers, a number, or a range from a smaller "
			"one to a larger one, like 1..200, all of them from 1 to "
			"9223372036854775807");
	if (last > INT64_MAX || last - first >= SCENARIO_SEEDS)
		return refuse(l, y->at, "'seeds' must have an end, and be no more than 10,000");
	l->s->seeds = last - first + 1;
	l->s->seed = arena_alloc(l->s->arena, l->s->seeds * sizeof(*l->s->seed));
	for (size_t i = 0; i < l->s->seeds; i++)
		l->s->seed[i] = first + i;
	return true;
}

static bool load_seed_list(struct loader *l, const struct yaml *y)
{
	size_t n = 0;

	if (y->kind != YAML_LIST || !y->count || y->count > SCENARIO_SEEDS)
		return refuse(l, y->at,
			      "'seeds' must be a list of 1 to 10,000 numbers, or a range like "
			      "1..200");
	l->s->seed = arena_alloc(l->s->arena, y->count * sizeof(*l->s->seed));
	for (const struct yaml *c = y->first; c; c = c->next) {
		if (!load_seed(l, c, &l->s->seed[n]))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (l->s->seed[i] == l->s->seed[n])
				return refuse(l, c->at, "this seed is in the list already");
		}
		n++;
	}
	l->s->seeds = n;
	return true;
}

static bool load_seeds(struct loader *l)
{
	static const uint64_t one = 1;
	const struct yaml *y = yaml_get(l->s->root, "seeds");
	bool ok = !y || (y->kind == YAML_SCALAR ? load_seed_range(l, y) : load_seed_list(l, y));

	if (ok && (l->s->given->seed || !y)) {
		l->s->seeds = 1;
		l->s->seed = arena_copy(l->s->arena, l->s->given->seed ? l->s->given->seed : &one,
					sizeof(one));
	}
	return ok;
}

/* ---- the target ---- */

static bool check_listen(struct loader *l, const struct yaml *ready)
{
	const struct yaml *y = yaml_get(ready, "listen");
	uint64_t port;

	if (!y || !strcmp(y->text, "any") || y->text[0] == '/' || y->text[0] == '$')
		return true;
	if (!value_number(y->text, &port) && port >= 1 && port <= 65535)
		return true;
	return refuse(l, y->at,
		      "'listen' must be any, a port from 1 to 65535, or the absolute path of "
		      "a unix socket");
}

static bool load_target(struct loader *l)
{
	struct scenario *s = l->s;
	const struct yaml *ready, *stop, *signal, *port;

	s->target = yaml_get(s->root, "target");
	if (s->given->command && s->target)
		return refuse(l, s->target->key_at,
			      "the scenario has a target of its own; run it "
			      "without a command");
	if (s->given->command)
		return true;
	if (!s->target)
		return refuse(l, s->root->at,
			      "there is no target; add target: {cmd: [...]}, or run the file as a "
			      "template: shakedown test --templates FILE -- CMD");
	if (!yaml_get(s->target, "cmd"))
		return refuse(l, s->target->at, "the target needs a cmd");
	if (!keys_words(s->target, "cmd")->len)
		return refuse(l, yaml_get(s->target, "cmd")->at, "the target's cmd is empty");
	port = yaml_get(s->target, "port");
	if (keys_number(s->target, "port", 0) > 65535)
		return refuse(l, port->at, "a port is at most 65535");
	ready = yaml_get(s->target, "ready");
	stop = yaml_get(s->target, "stop");
	signal = yaml_get(stop, "signal");
	if (signal && !signal_by_name(signal->text)) {
		scenario_error_set(l->error, signal->at, "there is no signal '%.40s'",
				   signal->text);
		return false;
	}
	return check_listen(l, ready);
}

/* ---- rules ---- */

static bool load_rules(struct loader *l)
{
	const struct yaml *y = yaml_get(l->s->root, "rules");

	if (!y)
		return true;
	if (y->kind != YAML_MAP)
		return refuse(l, y->at, "'rules' must be a mapping, name: rule");
	if (y->count > FAULT_RULES - 1)
		return refuse(l, y->at, "there are too many rules; 63 are allowed");
	l->s->rule = arena_alloc(l->s->arena, y->count * sizeof(*l->s->rule) + 1);
	for (const struct yaml *c = y->first; c; c = c->next) {
		if (!strcmp(c->key, "all"))
			return refuse(l, c->key_at,
				      "'all' means all rules; call this one otherwise");
		if (!rule_load(c, &l->v, l->s->arena, &l->s->rule[l->s->rules], l->error))
			return false;
		l->s->rules++;
	}
	return true;
}

size_t scenario_rule_find(const struct scenario *s, const char *name)
{
	for (size_t i = 0; i < s->rules; i++) {
		if (!strcmp(s->rule[i].name, name))
			return i;
	}
	return SIZE_MAX;
}

bool scenario_sweep_rule(const struct scenario *s, uint64_t n, struct scenario_rule *ret,
			 struct scenario_error *e)
{
	struct variables v = {.path = s->given->path, .host = "127.0.0.1", .dir = "/", .n = n};

	struct yaml rule = *yaml_get(s->sweep, "rule");

	rule.key = "sweep";
	return rule_load(&rule, &v, s->arena, ret, e);
}

static bool load_sweep(struct loader *l)
{
	struct scenario_rule rule;
	const struct yaml *y = l->s->sweep = yaml_get(l->s->root, "sweep"), *n, *text;

	if (!y)
		return true;
	text = yaml_get(y, "rule");
	if (!text)
		return refuse(l, y->at, "the sweep needs a rule");
	if (!strstr(text->text, "$n") && !strstr(text->text, "${n}"))
		return refuse(l, text->at,
			      "the rule of a sweep must hold $n: each round puts the next "
			      "number there");
	if (scenario_rule_find(l->s, "sweep") != SIZE_MAX)
		return refuse(l, y->key_at, "with a sweep, no other rule may be called sweep");
	n = yaml_get(y, "n");
	l->s->sweep_first = 1;
	l->s->sweep_last = UINT64_MAX;
	if (n &&
	    (!keys_range(n->text, &l->s->sweep_first, &l->s->sweep_last) || !l->s->sweep_first))
		return refuse(l, n->at,
			      "'n' must be a range that begins with 1 or more: 1.. or 1..50");
	if (n && !strstr(n->text, ".."))
		return refuse(l, n->at, "'n' must be a range: 1.. or 1..50");
	return scenario_sweep_rule(l->s, l->s->sweep_first, &rule, l->error);
}

/* ---- replay ---- */

static bool load_replay(struct loader *l)
{
	const struct yaml *y = yaml_get(l->s->root, "replay");
	const char *given = l->s->given->replay,
		   *text = given ? given : keys_text(l->s->root, "replay");
	struct place at = y ? y->at : l->s->root->at;
	char name[2 * PATH_MAX], path[PATH_MAX];

	if (!text)
		return true;
	if (!l->s->rules || l->s->sweep || l->s->seeds != 1)
		return refuse(
			l, at,
			"'replay' repeats what rules drew in one run: it needs rules, one seed "
			"(--seed N) and no sweep");
	snprintf(name, sizeof(name), "%.4000s%s%.4000s", given || *text == '/' ? "" : l->s->folder,
		 given || *text == '/' ? "" : "/", text);
	if (!realpath(name, path)) {
		scenario_error_set(l->error, at, "the trace %.300s that is to be replayed: %s",
				   name, strerror(errno));
		return false;
	}
	l->s->replay = arena_copy(l->s->arena, path, strlen(path) + 1);
	return true;
}

/* ---- all ---- */

struct scenario *scenario_parse(const char *file, const char *text, size_t n,
				const struct scenario_given *given, struct arena *a,
				struct scenario_error *e)
{
	struct scenario *s = arena_alloc(a, sizeof(*s));
	struct loader l = {.s = s,
			   .error = e,
			   .v = {.path = given->path,
				 .host = "127.0.0.1",
				 .dir = "/",
				 .port = 1,
				 .seed = 1,
				 .n = 1,
				 .pid = 1}};

	s->file = arena_copy(a, file, strlen(file) + 1);
	s->arena = a;
	s->given = given;
	s->root = yaml_parse(s->file, text, n, a, e);
	if (!s->root || !keys_check(s->root, PLACE_TOP, e) || !load_version(&l))
		return NULL;
	load_name(&l);
	s->steps = yaml_get(s->root, "steps");
	s->expect = yaml_get(s->root, "expect");
	if (!load_seeds(&l) || !load_target(&l) || !load_rules(&l) || !load_sweep(&l) ||
	    !load_replay(&l) || !scenario_check(s, e))
		return NULL;
	return s;
}

/* All of a file, malloc'ed; NULL: *e. */
static char *read_file(const char *file, size_t *ret_n, struct scenario_error *e)
{
	struct place at = {file, 0, 0};
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st)) {
		scenario_error_set(e, at, "cannot be read: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		scenario_error_set(e, at, "is no file");
	} else if (st.st_size > YAML_SIZE) {
		scenario_error_set(e, at, "the file is too large for a scenario; 1 MiB is allowed");
	} else {
		text = array_new((size_t)st.st_size + 1, 1);
		*ret_n = 0;
		while (*ret_n < (size_t)st.st_size &&
		       (n = read(fd, text + *ret_n, (size_t)st.st_size - *ret_n)) > 0)
			*ret_n += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

struct scenario *scenario_load(const char *file, const struct scenario_given *given,
			       struct arena *a, struct scenario_error *e)
{
	const char *name = arena_copy(a, file, strlen(file) + 1);
	struct scenario *s;
	char *text;
	size_t n;

	text = read_file(name, &n, e);
	if (!text)
		return NULL;
	s = scenario_parse(name, text, n, given, a, e);
	free(text);
	return s;
}
