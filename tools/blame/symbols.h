/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/symbols: names for program counters.
 *
 * One counter may be several frames: functions inlined there are frames of their own, so that a
 * middleware inlined into its caller is still named.  Names come from DWARF, then .symtab and
 * .dynsym; a symbol counts only when its size covers the address.
 */
#ifndef TOOLS_BLAME_SYMBOLS_H
#define TOOLS_BLAME_SYMBOLS_H

#include "tools/blame/blame.h"
#include "tools/blame/unwind.h"

/* Name every counter of u. ret is filled; free with symbols_free. False when memory is out. */
bool symbols_name(const struct modules *m, const struct unwound *u, struct stack *ret);
void symbols_free(struct stack *s);

/* Functions that may have been called through a pointer and jumped on to a frame of the stack, so that
 * they are not on it: "auth (server.c:12), logger (server.c:30)".
 *   caller   only those this frame may have called; NULL: of any frame
 * malloc'ed; NULL when there is none. */
char *symbols_jumpers(const struct modules *m, const struct stack *s, const struct frame *caller);

#endif
