/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/environ: the variables of this project.  A misspelt one would be ignored in silence by the
 * library, which may print nothing into a server: so it is found here.
 */
#include "tools/verb/launch.h"

#include <string.h>

#include "core/core.h"
#include "tools/verb/nearest.h"
#include "tools/verb/verb.h"

static const char prefix[] = "SHAKEDOWN_";

const char *launch_variable(size_t i)
{
	static const char *const names[] = {
#define VARIABLE(name, help) name,
#include "tools/verb/environ.def"
#undef VARIABLE
	};

	return i < CORE_ARRAY_LEN(names) ? names[i] : NULL;
}

static bool is_known(const char *name, struct nearest *near)
{
	const char *known;

	for (size_t i = 0; (known = launch_variable(i)); i++) {
		if (!strcmp(known, name))
			return true;
		nearest_try(near, known + sizeof(prefix) - 1);
	}
	return false;
}

bool launch_environ_check(char *const *env)
{
	for (; *env; env++) {
		char name[64];
		size_t n = strcspn(*env, "=");
		struct nearest near;

		if (strncmp(*env, prefix, sizeof(prefix) - 1) || n >= sizeof(name))
			continue;
		memcpy(name, *env, n);
		name[n] = '\0';
		nearest_init(&near, name + sizeof(prefix) - 1);
		if (is_known(name, &near))
			continue;
		if (near.best)
			complain("nobody reads the variable %s; did you mean %s%s?", name, prefix,
				 near.best);
		else
			complain("nobody reads the variable %s; unset it ('shakedown help run' "
				 "lists those that mean something)",
				 name);
		return false;
	}
	return true;
}
