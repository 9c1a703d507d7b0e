/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/options: a verb's option table against a command line.
 *
 * --name VALUE, --name=VALUE, -xVALUE, -x VALUE, bundled flags (-qa); "--" ends the options.  A name
 * is never completed from its beginning: a later version may add another one that starts so.
 */
#include "tools/verb/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/verb/nearest.h"
#include "tools/verb/value.h"

void complain(const char *format, ...)
{
	char line[4096];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	for (char *p = line; *p; p++) {
		/* Names of files and words of the command line end up here: keep terminals whole. */
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
			*p = '?';
	}
	fprintf(stderr, "shakedown: %s\n", line);
}

static const struct option_row *row_named(const struct verb *v, const char *name, size_t n)
{
	for (const struct option_row *r = v->options; r && r->name; r++) {
		if (strlen(r->name) == n && !memcmp(r->name, name, n))
			return r;
	}
	return NULL;
}

static const struct option_row *row_lettered(const struct verb *v, char letter)
{
	for (const struct option_row *r = v->options; r && r->name; r++) {
		if (r->letter && r->letter == letter)
			return r;
	}
	return NULL;
}

static void complain_unknown(const struct verb *v, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (const struct option_row *r = v->options; r && r->name; r++)
		nearest_try(&near, r->name);
	if (near.best)
		complain("%s has no option '--%s'; did you mean '--%s'?", v->name, name, near.best);
	else
		complain("%s has no option '--%s'; 'shakedown help %s' lists them", v->name, name,
			 v->name);
}

bool options_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (const char *p = choices; n;) {
		const char *bar = strchr(p, '|');
		size_t len = bar ? (size_t)(bar - p) : strlen(p);

		if (len == n && !memcmp(p, text, n))
			return true;
		if (!bar)
			return false;
		p = bar + 1;
	}
	return false;
}

static bool store_choice(const struct option_row *r, const char *text)
{
	struct nearest near;
	char *words, *save = NULL;

	if (options_choice(r->arg, text)) {
		*(const char **)r->value = text;
		return true;
	}
	nearest_init(&near, text);
	words = strdup(r->arg);
	if (words) {
		for (char *w = strtok_r(words, "|", &save); w; w = strtok_r(NULL, "|", &save))
			nearest_try(&near, w);
	}
	if (near.best)
		complain("--%s: '%s' is none of %s; did you mean '%s'?", r->name, text, r->arg,
			 near.best);
	else
		complain("--%s: '%s' is none of %s", r->name, text, r->arg);
	free(words);
	return false;
}

static bool store_item(struct option_list *list, const char *text)
{
	const char **item = realloc(list->item, (list->n + 1) * sizeof(*item));

	if (!item) {
		complain("no memory for the options");
		return false;
	}
	list->item = item;
	list->item[list->n++] = text;
	return true;
}

static bool store(const struct option_row *r, const char *text)
{
	const char *wrong = NULL;

	switch (r->type) {
	case OPTION_FLAG:
		*(bool *)r->value = true;
		return true;
	case OPTION_STRING:
		*(const char **)r->value = text;
		return true;
	case OPTION_LIST:
		return store_item(r->value, text);
	case OPTION_CHOICE:
		return store_choice(r, text);
	case OPTION_TIME:
		wrong = value_time(text, r->value);
		break;
	case OPTION_SIZE:
		wrong = value_size(text, r->value);
		break;
	case OPTION_NUMBER:
		wrong = value_number(text, r->value);
		break;
	}
	if (wrong)
		complain("--%s: '%s' %s", r->name, text, wrong);
	return !wrong;
}

/* Where we are on the command line. */
struct cursor {
	const struct verb *verb;
	int argc, at;
	char **argv;
	bool asking; /* only look: no complaint, nothing stored */
	bool help;   /* --help or -h was met */
};

/* The value behind an option, as the next word. */
static bool take(struct cursor *c, const struct option_row *r, const char *text)
{
	if (!text && r->type != OPTION_FLAG) {
		if (c->at + 1 >= c->argc) {
			if (!c->asking)
				complain("--%s needs a value: --%s %s", r->name, r->name, r->arg);
			return false;
		}
		text = c->argv[++c->at];
	}
	return c->asking || store(r, text);
}

static bool take_long(struct cursor *c, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_row *r = row_named(c->verb, word, n);
	char name[64];

	if (!r && n == 4 && !memcmp(word, "help", 4)) {
		c->help = true;
		return true;
	}
	if (c->asking && !r)
		return true;
	if (!r) {
		snprintf(name, sizeof(name), "%.*s", (int)(n < 63 ? n : 63), word);
		complain_unknown(c->verb, name);
		return false;
	}
	if (equals && r->type == OPTION_FLAG) {
		if (!c->asking)
			complain("--%s takes no value; write '--%s' alone", r->name, r->name);
		return c->asking;
	}
	return take(c, r, equals ? equals + 1 : NULL);
}

static bool take_letters(struct cursor *c, const char *letters)
{
	for (; *letters; letters++) {
		const struct option_row *r = row_lettered(c->verb, *letters);

		if (!r && *letters == 'h') {
			c->help = true;
			continue;
		}
		if (c->asking && !r)
			return true;
		if (!r) {
			complain("%s has no option '-%c'; 'shakedown help %s' lists them",
				 c->verb->name, *letters, c->verb->name);
			return false;
		}
		if (r->type != OPTION_FLAG)
			return take(c, r, letters[1] ? letters + 1 : NULL);
		if (!take(c, r, NULL))
			return false;
	}
	return true;
}

/* Walk the words; operands are moved to the front unless we are only asking. */
static bool walk(struct cursor *c, bool stop_at_operand, int *ret_operands)
{
	int kept = 0;

	for (; c->at < c->argc; c->at++) {
		char *word = c->argv[c->at];

		if (!strcmp(word, "--")) {
			c->at++;
			break;
		}
		if (word[0] != '-' || !word[1]) {
			if (stop_at_operand)
				break;
			if (!c->asking)
				c->argv[kept++] = word;
			continue;
		}
		if (word[1] == '-' ? !take_long(c, word + 2) : !take_letters(c, word + 1))
			return false;
	}
	if (!c->asking) {
		while (c->at < c->argc)
			c->argv[kept++] = c->argv[c->at++];
		c->argv[kept] = NULL;
	}
	*ret_operands = kept;
	return true;
}

bool options_parse(const struct verb *v, int *argc, char **argv, bool stop_at_operand)
{
	struct cursor c = {.verb = v, .argc = *argc, .argv = argv};

	return walk(&c, stop_at_operand, argc);
}

bool options_ask_help(const struct verb *v, int argc, char **argv, bool stop_at_operand)
{
	struct cursor c = {.verb = v, .argc = argc, .argv = argv, .asking = true};
	int operands;

	walk(&c, stop_at_operand, &operands);
	return c.help;
}
