/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/keys: mappings compared with keys.def.
 */
#include "tools/scenario/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "tools/scenario/internal.h"
#include "tools/verb/nearest.h"
#include "tools/verb/options.h"
#include "tools/verb/value.h"

const struct key_row key_row[] = {
#define KEY(place, name, type, more, says) {PLACE_##place, name, KEY_##type, more, says},
#include "tools/scenario/keys.def"
	{.name = NULL},
};

const struct key_place_row key_place_row[PLACE_COUNT] = {
#define PLACE(id, what, says) {#id, what, says},
#include "tools/scenario/keys.def"
};

const char *keys_place_what(enum key_place place)
{
	return key_place_row[place].what;
}

/* The place that `more` of a row names. */
enum key_place key_place_named(const char *id)
{
	for (unsigned i = 0; i < PLACE_COUNT; i++) {
		if (!strcmp(key_place_row[i].id, id))
			return i;
	}
	return PLACE_COUNT;
}

static const struct key_row *row_find(enum key_place place, const char *name)
{
	for (const struct key_row *r = key_row; r->name; r++) {
		if (r->place == place && !strcmp(r->name, name))
			return r;
	}
	return NULL;
}

/* ---- words we do not know ---- */

static void add_word(struct scenario_error *e, const char *word, bool first)
{
	size_t n = strlen(e->what);

	snprintf(e->what + n, sizeof(e->what) - n, "%s%s", first ? "" : ", ", word);
}

static void refuse_key(const struct yaml *child, enum key_place place, struct scenario_error *e)
{
	struct nearest near;
	bool first = true;

	nearest_init(&near, child->key);
	for (const struct key_row *r = key_row; r->name; r++) {
		if (r->place == place)
			nearest_try(&near, r->name);
	}
	if (near.best) {
		scenario_error_set(e, child->key_at, "%s has no key '%.60s'; did you mean '%s'?",
				   keys_place_what(place), child->key, near.best);
		return;
	}
	scenario_error_set(e, child->key_at, "%s has no key '%.60s'; its keys are ",
			   keys_place_what(place), child->key);
	for (const struct key_row *r = key_row; r->name; r++) {
		if (r->place != place)
			continue;
		add_word(e, r->name, first);
		first = false;
	}
}

void keys_refuse_word(struct place at, const char *what, const char *word, const struct words *w,
		      struct scenario_error *e)
{
	struct nearest near;

	nearest_init(&near, word);
	for (size_t i = 0; w->name(w->of, i); i++)
		nearest_try(&near, w->name(w->of, i));
	if (near.best) {
		scenario_error_set(e, at, "there is no %s '%.60s'; did you mean '%s'?", what, word,
				   near.best);
		return;
	}
	scenario_error_set(e, at, "there is no %s '%.60s'; there %s ", what, word,
			   w->name(w->of, 0) ? "are" : "is none here");
	for (size_t i = 0; w->name(w->of, i); i++)
		add_word(e, w->name(w->of, i), i == 0);
}

/* ---- values ---- */

static bool refuse_value(const struct yaml *y, struct scenario_error *e, const char *wants)
{
	if (y->kind == YAML_SCALAR)
		scenario_error_set(e, y->at, "'%s' must be %s, not '%.60s'",
				   y->key ? y->key : "value", wants, y->text);
	else
		scenario_error_set(e, y->at, "'%s' must be %s, not a %s", y->key ? y->key : "value",
				   wants, y->kind == YAML_MAP ? "mapping" : "list");
	return false;
}

static bool is_name(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return false;
	}
	return n && n <= 80 && text[0] != '.';
}

static bool check_time(const struct yaml *y, struct scenario_error *e)
{
	uint64_t ns;
	const char *wrong = value_time(y->text, &ns);

	if (!wrong && ns <= UINT64_C(24) * 3600 * 1000000000)
		return true;
	if (!wrong)
		return refuse_value(y, e, "a time of at most 24h");
	scenario_error_set(e, y->at, "'%s': '%.60s' %s", y->key ? y->key : "time", y->text, wrong);
	return false;
}

static bool switch_value(const char *text, bool *ret)
{
	*ret = options_choice("yes|true|on", text);
	return *ret || options_choice("no|false|off", text);
}

static bool check_scalar(const struct yaml *y, const struct key_row *r, struct scenario_error *e)
{
	uint64_t number;
	char wants[160];
	bool yes;

	switch (r->type) {
	case KEY_NAME:
		return is_name(y->text) ||
		       refuse_value(y, e, "a name of letters, digits, '.', '_' and '-'");
	case KEY_TIME:
		return check_time(y, e);
	case KEY_NUMBER:
		return !value_number(y->text, &number) || refuse_value(y, e, "a number");
	case KEY_SWITCH:
		return switch_value(y->text, &yes) || refuse_value(y, e, "yes or no");
	case KEY_CHOICE:
		snprintf(wants, sizeof(wants), "one of %s", r->more);
		return options_choice(r->more, y->text) || refuse_value(y, e, wants);
	default:
		return true;
	}
}

static bool check_words(const struct yaml *y, struct scenario_error *e)
{
	if (y->kind == YAML_SCALAR)
		return true;
	if (y->kind != YAML_LIST || !y->count)
		return refuse_value(y, e,
				    y->kind == YAML_LIST ? "a list that is not empty"
							 : "a word or a list of words");
	for (const struct yaml *c = y->first; c; c = c->next) {
		if (c->kind != YAML_SCALAR) {
			scenario_error_set(e, c->at, "'%s' must be a list of words", y->key);
			return false;
		}
	}
	return true;
}

static bool check_map_of(const struct yaml *y, const struct key_row *r, struct scenario_error *e)
{
	if (y->kind != YAML_MAP)
		return refuse_value(y, e, "a mapping");
	if (r->type == KEY_MAP)
		return keys_check(y, key_place_named(r->more), e);
	for (const struct yaml *c = y->first; c; c = c->next) {
		if (r->type == KEY_TEXTS && c->kind != YAML_SCALAR)
			return refuse_value(c, e, "a text");
		if (r->type == KEY_EACH && !keys_check(c, key_place_named(r->more), e))
			return false;
	}
	return true;
}

static bool check_value(const struct yaml *y, const struct key_row *r, struct scenario_error *e)
{
	switch (r->type) {
	case KEY_ANY:
		return true;
	case KEY_WORDS:
		return check_words(y, e);
	case KEY_LIST:
		return y->kind == YAML_LIST || refuse_value(y, e, "a list");
	case KEY_MAP:
	case KEY_TEXTS:
	case KEY_EACH:
		return check_map_of(y, r, e);
	case KEY_SHORT:
		if (y->kind == YAML_LIST)
			return refuse_value(y, e, "a text or a mapping");
		return y->kind == YAML_SCALAR || keys_check(y, key_place_named(r->more), e);
	default:
		if (y->kind != YAML_SCALAR)
			return refuse_value(y, e, "a single value");
		return check_scalar(y, r, e);
	}
}

/* What no table can say: a window whose end is before its beginning. */
static bool check_window(const struct yaml *y, struct scenario_error *e)
{
	const struct yaml *within = yaml_get(y, "within");

	if (!within || keys_time(y, "at_least", 0) <= keys_time(y, "within", 0))
		return true;
	scenario_error_set(e, within->at,
			   "'within' is shorter than 'at_least': nothing can be both");
	return false;
}

bool keys_check(const struct yaml *y, enum key_place place, struct scenario_error *e)
{
	if (y->kind != YAML_MAP) {
		scenario_error_set(e, y->at, "%s must be a mapping (key: value)",
				   keys_place_what(place));
		return false;
	}
	for (const struct yaml *c = y->first; c; c = c->next) {
		const struct key_row *r = row_find(place, c->key);

		if (!r)
			refuse_key(c, place, e);
		if (!r || !check_value(c, r, e))
			return false;
	}
	return check_window(y, e);
}

bool keys_check_one(const struct yaml *y, enum key_place place, struct scenario_error *e)
{
	if (!keys_check(y, place, e))
		return false;
	if (y->count == 1)
		return true;
	scenario_error_set(e, y->count ? y->first->next->key_at : y->at,
			   y->count ? "%s has one key; begin another list item with '- ' here"
				    : "%s has one key",
			   keys_place_what(place));
	return false;
}
