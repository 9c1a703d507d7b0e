/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/rule: rules of a scenario file.  A mapping is turned into the line it stands for, and core/fault
 * reads that; while the line is made we note which part of it came from which place, so that what is
 * wrong is shown in the file and not in a line nobody wrote.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tools/scenario/scenario.h"

enum {
	LINE = 2048,
	PARTS = 64,
};

struct line {
	char text[LINE];
	size_t n;
	bool full;
	unsigned parts;
	struct {
		size_t at;
		struct place place;
		bool exact; /* columns go on along the text */
	} part[PARTS];
	const struct variables *v;
	struct arena *arena;
	struct scenario_error *error;
};

/* What follows comes from that place. */
static void mark(struct line *l, struct place at, bool exact)
{
	if (l->parts >= PARTS)
		return;
	l->part[l->parts].at = l->n;
	l->part[l->parts].place = at;
	l->part[l->parts].exact = exact;
	l->parts++;
}

static void put(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (l->n + n >= LINE) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->n, text, n + 1);
	l->n += n;
}

/* A value: what would end it is written as %XX. */
static void put_value(struct line *l, const struct yaml *y, const char *special)
{
	const char *text = expand(l->v, y->text, false, l->arena);

	for (; *text; text++) {
		bool plain = (unsigned char)*text > ' ' && *text != 0x7f && !strchr(special, *text);
		char one[4];

		snprintf(one, sizeof(one), plain ? "%c" : "%%%02X", (unsigned char)*text);
		put(l, one);
	}
}

static struct place place_at(const struct line *l, size_t at)
{
	struct place p = l->part[0].place;

	for (unsigned i = 0; i < l->parts && l->part[i].at <= at; i++) {
		p = l->part[i].place;
		if (l->part[i].exact)
			p.column += (unsigned)(at - l->part[i].at);
	}
	return p;
}

/* ---- the mapping ---- */

static bool refuse_fault(struct line *l, const struct yaml *y)
{
	scenario_error_set(
		l->error, y->at,
		"'fault' must be a fault (reset), a mapping of faults to their parameters "
		"(delay: {time: 300ms}), or a list of these");
	return false;
}

/* Parameters: a scalar is the first one. */
static bool put_params(struct line *l, const struct yaml *y)
{
	const char *between = "=";

	if (y->kind == YAML_SCALAR) {
		if (!y->len)
			return true;
		put(l, "=");
		mark(l, y->at, false);
		put_value(l, y, ";:+%[]");
		return true;
	}
	if (y->kind != YAML_MAP)
		return refuse_fault(l, y);
	for (const struct yaml *c = y->first; c; c = c->next, between = ",") {
		if (c->kind != YAML_SCALAR)
			return refuse_fault(l, c);
		put(l, between);
		mark(l, c->key_at, false);
		put(l, c->key);
		put(l, "=");
		mark(l, c->at, false);
		put_value(l, c, ";:+,%[]");
	}
	return true;
}

static bool put_fault(struct line *l, const struct yaml *y, bool *first)
{
	if (y->kind == YAML_SCALAR) {
		put(l, *first ? "" : "+");
		mark(l, y->at, !y->quoted);
		put(l, y->text);
		*first = false;
		return true;
	}
	if (y->kind == YAML_LIST || !y->first)
		return refuse_fault(l, y);
	for (const struct yaml *c = y->first; c; c = c->next) {
		put(l, *first ? "" : "+");
		mark(l, c->key_at, false);
		put(l, c->key);
		*first = false;
		if (!put_params(l, c))
			return false;
	}
	return true;
}

static bool put_faults(struct line *l, const struct yaml *y)
{
	bool first = true;

	if (y->kind != YAML_LIST)
		return put_fault(l, y, &first);
	for (const struct yaml *c = y->first; c; c = c->next) {
		if (!put_fault(l, c, &first))
			return false;
	}
	return !first || refuse_fault(l, y);
}

static bool put_map(struct line *l, const struct yaml *y)
{
	const struct yaml *site = yaml_get(y, "site"), *fault = yaml_get(y, "fault"),
			  *match = yaml_get(y, "match");

	if (!site || !fault) {
		scenario_error_set(l->error, y->at, "a rule needs 'site' and 'fault'");
		return false;
	}
	mark(l, site->at, !site->quoted);
	put(l, site->text);
	put(l, ":");
	if (!put_faults(l, fault))
		return false;
	for (const struct yaml *c = match ? match->first : NULL; c; c = c->next) {
		put(l, ":");
		mark(l, c->key_at, false);
		put(l, c->key);
		put(l, "=");
		mark(l, c->at, false);
		put_value(l, c, ";:%[]");
	}
	return true;
}

/* ---- both ---- */

static bool put_rule(struct line *l, const struct yaml *y)
{
	char *text;

	if (y->kind == YAML_MAP)
		return keys_check(y, PLACE_RULE, l->error) && put_map(l, y);
	if (y->kind == YAML_LIST) {
		scenario_error_set(
			l->error, y->at,
			"a rule is one line (\"rx:slice=1460\") or a mapping {site, fault, match}");
		return false;
	}
	text = expand(l->v, y->text, true, l->arena);
	struct place at = y->at;

	at.column += y->quoted;
	mark(l, at, !strcmp(text, y->text));
	put(l, text);
	return true;
}

static void explain(const struct line *l, const struct fault_error *f)
{
	scenario_error_set(l->error, place_at(l, f->at), "%s%s%s%s%.*s%s", f->what,
			   f->expected[0] ? "; expected " : "", f->expected, f->len ? " (at '" : "",
			   f->len ? (int)(f->len > 60 ? 60 : f->len) : 0,
			   f->at < l->n ? l->text + f->at : "", f->len ? "')" : "");
}

/* Its name is the key; the language of rules must take it, too. */
static bool name_rule(struct line *l, const struct yaml *y, struct scenario_rule *ret)
{
	size_t n = strlen(ret->name), size = n + l->n + 2;
	char *named = arena_alloc(l->arena, size);
	struct fault_error f;

	snprintf(named, size, "%s=%s", ret->name, l->text);
	if (n < FAULT_NAME && fault_parse_rule(named, size - 1, &ret->rule, &f))
		return true;
	scenario_error_set(
		l->error, y->key ? y->key_at : y->at,
		"a rule cannot be called '%.60s': a name has at most %d letters, digits, - "
		"and _, and is no word of the language of rules",
		ret->name, FAULT_NAME - 1);
	return false;
}

bool rule_load(const struct yaml *y, const struct variables *v, struct arena *a,
	       struct scenario_rule *ret, struct scenario_error *e)
{
	struct line *l = arena_alloc(a, sizeof(*l));
	struct fault_error f;

	*l = (struct line){.v = v, .arena = a, .error = e};
	if (!put_rule(l, y))
		return false;
	if (l->full) {
		scenario_error_set(e, y->at, "the rule is too long");
		return false;
	}
	if (!fault_parse_rule(l->text, l->n, &ret->rule, &f)) {
		explain(l, &f);
		return false;
	}
	ret->name = y->key;
	ret->at = y->at;
	ret->text = arena_copy(a, l->text, l->n + 1);
	return name_rule(l, y, ret);
}
