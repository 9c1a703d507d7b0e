/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/roles: rows of roles.def, searched in order.
 */
#include "tools/blame/roles.h"

#include <fnmatch.h>
#include <stddef.h>

struct role_row {
	const char *role, *module, *symbol;
};

static const struct role_row role_table[] = {
#define ROLE(role, module, symbol) {#role, module, symbol},
#include "tools/blame/roles.def"
};

struct language_row {
	const char *module, *name;
};

static const struct language_row language_table[] = {
#define LANGUAGE(module, name) {module, name},
#include "tools/blame/roles.def"
};

static const char *const helper_table[] = {
#define HELPER(symbol) symbol,
#include "tools/blame/roles.def"
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static bool glob(const char *pattern, const char *text)
{
	return fnmatch(pattern, text, 0) == 0;
}

const char *role_of(const char *module, const char *function)
{
	size_t i;

	if (!module)
		return "unknown";
	for (i = 0; i < ROWS(role_table); i++) {
		const struct role_row *row = &role_table[i];

		if (glob(row->module, module) && glob(row->symbol, function ? function : ""))
			return row->role;
	}
	return "user";
}

const char *role_language(const char *module)
{
	size_t i;

	for (i = 0; module && i < ROWS(language_table); i++)
		if (glob(language_table[i].module, module))
			return language_table[i].name;
	return NULL;
}

bool role_is_helper(const char *function)
{
	size_t i;

	for (i = 0; function && i < ROWS(helper_table); i++)
		if (glob(helper_table[i], function))
			return true;
	return false;
}
