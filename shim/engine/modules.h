/* SPDX-License-Identifier: BSD-2-Clause
 *
 * modules: which file every executable address belongs to: the rows in the trace file, and the same
 * ranges in memory, sorted, for telling return addresses from other words.
 */
#ifndef SHIM_ENGINE_MODULES_H
#define SHIM_ENGINE_MODULES_H

#include "core/core.h"

/* Read the list again if something was loaded, or if the list is older than a moment.  Returns true
 * when it changed. */
bool modules_refresh(uint64_t now);

/* Something is being loaded. */
void modules_changed(void);

/* A new file wants its rows written anew. */
void modules_forked(void);

/* Does addr lie in an executable mapping of the list? */
bool modules_holds(uint64_t addr);

/* The file mapped at addr; false when there is none or its path does not fit.  For the start of a
 * process. */
bool modules_path(uint64_t addr, char *ret, size_t size);

#endif
