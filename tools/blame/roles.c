/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/roles: rows of roles.def, searched in order.
 */
#include "tools/blame/roles.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

struct role_row {
	const char *role, *module, *symbol;
};

static const struct role_row role_table[] = {
#define ROLE(role, module, symbol) {#role, module, symbol},
#include "tools/blame/roles.def"
};

static const struct source_row {
	const char *role, *path;
} source_table[] = {
#define SOURCE(role, path) {#role, path},
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

static const struct go_row {
	const char *role, *name;
} go_frame_table[] =
	{
#define GO_FRAME(role, symbol) {#role, symbol},
#include "tools/blame/roles.def"
},
  go_package_table[] = {
#define GO_PACKAGE(role, package) {#role, package},
#include "tools/blame/roles.def"
};

static const char *const go_chosen_table[] = {
#define GO_CHOSEN(symbol) symbol,
#include "tools/blame/roles.def"
};

static const char *const go_decides_table[] = {
#define GO_DECIDES(package) package,
#include "tools/blame/roles.def"
};

static const char *const go_helper_table[] = {
#define GO_HELPER(method) method,
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

const char *role_of_source(const char *path)
{
	size_t i;

	for (i = 0; i < ROWS(source_table); i++)
		if (glob(source_table[i].path, path))
			return source_table[i].role;
	return NULL;
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

/* ---- Go ---- */

/* Length of the package's path: up to the first dot behind its last slash.  Type arguments and
 * receivers may hold slashes of their own. */
static size_t package_length(const char *function)
{
	size_t end = strcspn(function, "([{"), at = end;

	while (at > 0 && function[at - 1] != '/')
		at--;
	while (at < end && function[at] != '.')
		at++;
	return at;
}

void role_go_package(const char *function, char *ret, size_t size)
{
	size_t n = package_length(function);

	n = n < size ? n : size - 1;
	memcpy(ret, function, n);
	ret[n] = '\0';
}

/* The package itself, or one below it. */
static bool is_inside(const char *package, const char *function)
{
	size_t n = strlen(package), have = package_length(function);

	return have >= n && memcmp(package, function, n) == 0 && (have == n || function[n] == '/');
}

/* A row about that very function. */
static const char *go_frame_role(const char *function)
{
	size_t i;

	for (i = 0; i < ROWS(go_frame_table); i++)
		if (glob(go_frame_table[i].name, function))
			return go_frame_table[i].role;
	return NULL;
}

const char *role_of_go(const char *function)
{
	const char *role = function ? go_frame_role(function) : NULL;
	size_t i;

	if (role)
		return role;
	for (i = 0; function && i < ROWS(go_package_table); i++)
		if (is_inside(go_package_table[i].name, function))
			return go_package_table[i].role;
	/* What the linker and the assembler name has no package. */
	return function && function[package_length(function)] == '.' ? "user" : "runtime";
}

bool role_go_is_chosen(const char *function)
{
	size_t i;

	if (!function || go_frame_role(function))
		return false;
	for (i = 0; i < ROWS(go_chosen_table); i++)
		if (glob(go_chosen_table[i], function))
			return true;
	return false;
}

bool role_go_decides(const char *function)
{
	size_t i;

	for (i = 0; function && i < ROWS(go_decides_table); i++)
		if (is_inside(go_decides_table[i], function))
			return true;
	return false;
}

bool role_go_is_helper(const char *function)
{
	const char *last = function ? strrchr(function, '.') : NULL;
	size_t i;

	/* A method has a receiver between its package and its name. */
	if (!last || last == function + package_length(function))
		return false;
	for (i = 0; i < ROWS(go_helper_table); i++)
		if (strcmp(last + 1, go_helper_table[i]) == 0)
			return true;
	return false;
}
