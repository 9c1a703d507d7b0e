/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/environ: the variables of this project.  The library can only stay inactive when one of them
 * is wrong; here it is refused before the server starts.
 */
#include "tools/verb/launch.h"

#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "tools/verb/nearest.h"
#include "tools/verb/options.h"

enum type {
	SWITCH,
	SIZE,
	WHICH,
	PATH,
};

enum reader {
	LIBRARY,
	COMMAND,
	TESTS,
};

static const struct variable {
	const char *name;
	enum type type;
	enum reader reader;
} table[] = {
#define VARIABLE(name, type, reader, help) {name, type, reader},
#include "tools/verb/environ.def"
#undef VARIABLE
};

static const char prefix[] = "SHAKEDOWN_";

/* As the library reads it: up to twelve digits and one letter. */
static bool is_size(const char *v)
{
	size_t n = strspn(v, "0123456789");

	v += n;
	return n > 0 && n <= 12 && (!*v || (strchr("kKmMgG", *v) && !v[1]));
}

static const char *wrong_value(enum type type, const char *v)
{
	switch (type) {
	case SWITCH:
		return options_choice("on|off|1|0|yes|no", v) ? NULL : "is neither on nor off";
	case SIZE:
		return is_size(v) ? NULL : "is no size: write bytes or a number with K, M or G";
	case WHICH:
		return options_choice("first|last", v) ? NULL : "is neither first nor last";
	case PATH:
		break;
	}
	return NULL;
}

static bool check_value(const struct variable *row, const char *value)
{
	const char *wrong = wrong_value(row->type, value);

	if (wrong) {
		complain("%s: '%s' %s; correct or unset it", row->name, value, wrong);
		return false;
	}
	if (!strcmp(row->name, "SHAKEDOWN") && !options_choice("on|1|yes", value)) {
		complain("SHAKEDOWN=%s tells the library to leave processes alone; unset it to "
			 "watch",
			 value);
		return false;
	}
	return true;
}

static bool refuse_unknown(const char *name)
{
	struct nearest near;

	nearest_init(&near, name + sizeof(prefix) - 1);
	for (size_t i = 0; i < CORE_ARRAY_LEN(table); i++) {
		if (!strncmp(table[i].name, prefix, sizeof(prefix) - 1))
			nearest_try(&near, table[i].name + sizeof(prefix) - 1);
	}
	if (near.best)
		complain("nobody reads the variable %s; did you mean %s%s?", name, prefix,
			 near.best);
	else
		complain(
			"nobody reads the variable %s; unset it ('shakedown help' lists those that "
			"mean something)",
			name);
	return false;
}

static bool check_entry(const char *entry)
{
	size_t n = strcspn(entry, "=");
	char name[64];

	for (size_t i = 0; i < CORE_ARRAY_LEN(table); i++) {
		if (strlen(table[i].name) == n && !memcmp(table[i].name, entry, n))
			return !entry[n] || check_value(&table[i], entry + n + 1);
	}
	if (strncmp(entry, prefix, sizeof(prefix) - 1) || n >= sizeof(name))
		return true;
	memcpy(name, entry, n);
	name[n] = '\0';
	return refuse_unknown(name);
}

bool launch_environ_check(char *const *env)
{
	for (; *env; env++) {
		if (!check_entry(*env))
			return false;
	}
	return true;
}

void launch_environ_strip(void)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(table); i++) {
		if (table[i].reader != LIBRARY)
			unsetenv(table[i].name);
	}
}
