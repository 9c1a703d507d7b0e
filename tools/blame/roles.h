/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/roles: whose code a frame is.  Pure; the table is roles.def.
 */
#ifndef TOOLS_BLAME_ROLES_H
#define TOOLS_BLAME_ROLES_H

#include <stdbool.h>

/* The role of a frame: a row's name, "user" when no row matches, "unknown" without a module.
 *   module    base name of the mapped file, or NULL
 *   function  name of the function, or NULL */
const char *role_of(const char *module, const char *function);

/* The language a runtime's module runs, NULL when it is no runtime we know. */
const char *role_language(const char *module);

/* The name is one a function that moves bytes for others would have. */
bool role_is_helper(const char *function);

#endif
