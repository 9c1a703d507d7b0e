/* SPDX-License-Identifier: BSD-2-Clause
 *
 * loaded: names looked up in the loaded libraries without dlsym.
 *
 * glibc before 2.34 has dlsym in libdl, which a plain server does not load.  The loader's own list of
 * libraries is the same in every libc, because debuggers read it.
 */
#ifndef SHIM_LIBC_LOADED_H
#define SHIM_LIBC_LOADED_H

#include <stdbool.h>

/* The definition of name a program would get, or with behind_us the next one after ours.  Hidden
 * versions are passed over, indirect functions resolved.  NULL when there is none.
 * Allocates nothing and takes no lock: only before other threads can load libraries. */
void *loaded_find(const char *name, bool behind_us);

/* Our path as the loader knows it, NULL when it is unknown. */
const char *loaded_self(void);

#endif
