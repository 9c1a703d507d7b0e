/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/roles: whose code a frame is.  Pure; the table is roles.def.
 */
#ifndef TOOLS_BLAME_ROLES_H
#define TOOLS_BLAME_ROLES_H

#include <stdbool.h>
#include <stddef.h>

/* The role of a frame: a row's name, "user" when no row matches, "unknown" without a module.
 *   module    base name of the mapped file, or NULL
 *   function  name of the function, or NULL */
const char *role_of(const char *module, const char *function);

/* The role of code whose source has this full path; NULL when no row matches. */
const char *role_of_source(const char *path);

/* ---- Go: one file holds everything, and the package says whose a function is ---- */

/* The role of a function of a Go program. function may be NULL. */
const char *role_of_go(const char *function);

/* "github.com/gin-gonic/gin" of "github.com/gin-gonic/gin.(*Context).Next", cut to size. */
void role_go_package(const char *function, char *ret, size_t size);

/* Library code the user put into the way of requests, a middleware of somebody else's. */
bool role_go_is_chosen(const char *function);

/* Code that refuses an upgrade on its own account. */
bool role_go_decides(const char *function);

/* A method by which a wrapped response writer or reader passes a call on. */
bool role_go_is_helper(const char *function);

/* The language a runtime's module runs, NULL when it is no runtime we know. */
const char *role_language(const char *module);

/* The name is one a function that moves bytes for others would have. */
bool role_is_helper(const char *function);

#endif
