/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/expand: variables in the texts of a scenario.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tools/scenario/scenario.h"

/* The value of a variable, in room if need be; NULL: it is none of ours. */
static const char *value_of(const struct variables *v, const char *name, size_t n, char *room,
			    size_t size)
{
	const struct {
		const char *name, *text;
		uint64_t number;
	} known[] = {{"path", v->path, 0},    {"host", v->host, 0},    {"dir", v->dir, 0},
		     {"port", NULL, v->port}, {"seed", NULL, v->seed}, {"n", NULL, v->n},
		     {"pid", NULL, v->pid}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) != n || strncasecmp(known[i].name, name, n))
			continue;
		if (known[i].text)
			return known[i].text;
		snprintf(room, size, "%" PRIu64, known[i].number);
		return room;
	}
	return NULL;
}

/* A variable at text, which begins with $: its name and the length of all of it; 0. */
static size_t variable_at(const char *text, const char **ret_name, size_t *ret_n)
{
	bool braces = text[1] == '{';
	const char *name = text + 1 + braces;
	size_t n = 0;

	while (isalpha((unsigned char)name[n]))
		n++;
	if (!n || (braces && name[n] != '}') ||
	    (!braces && (isalnum((unsigned char)name[n]) || name[n] == '_')))
		return 0;
	*ret_name = name;
	*ret_n = n;
	return n + 1 + (braces ? 2 : 0);
}

/* Append a value; in a rule, as %XX where a byte could mean something.  to NULL: only count. */
static size_t put(char *to, const char *value, bool rule)
{
	size_t n = 0;

	for (; *value; value++) {
		bool plain = !rule || isalnum((unsigned char)*value) || strchr("/._-~*?", *value);

		if (to && plain)
			to[n] = *value;
		else if (to)
			snprintf(to + n, 4, "%%%02X", (unsigned char)*value);
		n += plain ? 1 : 3;
	}
	return n;
}

static size_t expand_into(const struct variables *v, const char *text, bool rule, char *to)
{
	size_t out = 0;

	while (*text) {
		const char *name, *value = NULL;
		char room[24];
		size_t n, all = 0;

		if (text[0] == '$' && text[1] == '$') {
			all = 2;
			value = "$";
		} else if (text[0] == '$' && (all = variable_at(text, &name, &n))) {
			value = value_of(v, name, n, room, sizeof(room));
		}
		if (value) {
			out += put(to ? to + out : NULL, value, rule && all > 2);
			text += all;
		} else {
			if (to)
				to[out] = *text;
			out++;
			text++;
		}
	}
	return out;
}

char *expand(const struct variables *v, const char *text, bool rule, struct arena *a)
{
	/* Room for the NUL that putting %XX leaves behind, too. */
	size_t n = expand_into(v, text, rule, NULL);
	char *ret = arena_alloc(a, n + 4);

	expand_into(v, text, rule, ret);
	ret[n] = '\0';
	return ret;
}
