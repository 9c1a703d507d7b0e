/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/values: reading values of mappings that keys_check has let through.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/scenario/keys.h"
#include "tools/verb/options.h"
#include "tools/verb/value.h"

const char *keys_text(const struct yaml *map, const char *key)
{
	const struct yaml *y = yaml_get(map, key);

	return y && y->kind == YAML_SCALAR ? y->text : NULL;
}

uint64_t keys_time(const struct yaml *map, const char *key, uint64_t otherwise)
{
	const char *text = keys_text(map, key);
	uint64_t ns;

	return text && !value_time(text, &ns) ? ns : otherwise;
}

uint64_t keys_number(const struct yaml *map, const char *key, uint64_t otherwise)
{
	const char *text = keys_text(map, key);
	uint64_t n;

	return text && !value_number(text, &n) ? n : otherwise;
}

bool keys_switch(const struct yaml *map, const char *key, bool otherwise)
{
	const char *text = keys_text(map, key);

	return text ? options_choice("yes|true|on", text) : otherwise;
}

const struct yaml *keys_words(const struct yaml *map, const char *key)
{
	const struct yaml *y = yaml_get(map, key);

	return y && y->kind == YAML_LIST ? y->first : y;
}

const struct yaml *keys_word_next(const struct yaml *map, const char *key, const struct yaml *word)
{
	return yaml_get(map, key)->kind == YAML_LIST ? word->next : NULL;
}

bool keys_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	const char *dots = strstr(text, "..");
	char first[24];
	size_t n = dots ? (size_t)(dots - text) : strlen(text);
	uint64_t a, b;

	if (n >= sizeof(first))
		return false;
	memcpy(first, text, n);
	first[n] = '\0';
	if (value_number(first, &a))
		return false;
	b = dots ? UINT64_MAX : a;
	if (dots && dots[2] && value_number(dots + 2, &b))
		return false;
	if (b < a)
		return false;
	*ret_first = a;
	*ret_last = b;
	return true;
}

bool keys_comparison(const char *text, struct comparison *ret)
{
	static const char *const op[] = {">=", "<=", "==", "!=", ">", "<"};

	*ret = (struct comparison){.op = "=="};
	if (!strcmp(text, "any")) {
		ret->op[0] = '\0';
		return true;
	}
	for (size_t i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		if (strncmp(text, op[i], strlen(op[i])))
			continue;
		memcpy(ret->op, op[i], strlen(op[i]) + 1);
		text += strlen(op[i]);
		text += strspn(text, " ");
		break;
	}
	return !value_number(text, &ret->than);
}

bool comparison_holds(const struct comparison *c, uint64_t n)
{
	bool equal = n == c->than;

	switch (c->op[0]) {
	case '>':
		return n > c->than || (c->op[1] && equal);
	case '<':
		return n < c->than || (c->op[1] && equal);
	case '=':
		return equal;
	case '!':
		return !equal;
	default:
		return true;
	}
}
