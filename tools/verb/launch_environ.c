/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/environ: the variables of this project.  The library can only stay inactive when one of them
 * is wrong; here it is refused before the server starts.
 */
#include "tools/verb/launch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/trace/append.h"
#include "tools/verb/nearest.h"
#include "tools/verb/options.h"

enum type {
	SWITCH,
	SIZE,
	WHICH,
	PATH,
	SEED,
};

enum reader {
	LIBRARY,
	COMMAND,
	TESTS,
	MARK,
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

/* As the library reads it: up to twelve digits and one letter, below 2^46 in all. */
static bool read_size(const char *v, uint64_t *ret)
{
	static const char suffixes[] = "kKmMgG";
	size_t n = strspn(v, "0123456789");
	const char *suffix = v[n] ? strchr(suffixes, v[n]) : NULL;
	unsigned shift = suffix ? 10 * (unsigned)(1 + (suffix - suffixes) / 2) : 0;

	if (!n || n > 12 || (v[n] && (!suffix || v[n + 1])))
		return false;
	*ret = strtoull(v, NULL, 10);
	if (*ret >= UINT64_C(1) << 46 >> shift)
		return false;
	*ret <<= shift;
	return true;
}

bool launch_seed(const char *v, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(v, &end, 10);
	return !errno && *v >= '0' && *v <= '9' && !*end;
}

bool launch_max_trace_check(const char *name, uint64_t max)
{
	if (trace_file_size(max))
		return true;
	complain("%s is too small for a trace: the least is %" PRIu64 "K", name,
		 (trace_file_least() + 1023) / 1024);
	return false;
}

static const char *wrong_value(enum type type, const char *v)
{
	uint64_t size;

	switch (type) {
	case SWITCH:
		return options_choice("on|off|1|0|yes|no", v) ? NULL : "is neither on nor off";
	case SIZE:
		return read_size(v, &size) ? NULL
					   : "is no size: write bytes or a number with K, M or G";
	case WHICH:
		return options_choice("first|last", v) ? NULL : "is neither first nor last";
	case SEED:
		return launch_seed(v, &size) ? NULL : "is no number from 0 to 18446744073709551615";
	case PATH:
		break;
	}
	return NULL;
}

static bool check_value(const struct variable *row, const char *value)
{
	const char *wrong = wrong_value(row->type, value);
	uint64_t size;

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
	if (!strcmp(row->name, "SHAKEDOWN_MAX_TRACE") && read_size(value, &size))
		return launch_max_trace_check(row->name, size);
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
