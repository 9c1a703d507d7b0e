/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/jumps: callers that are not on the stack.
 *
 * A compiler turns the last call of a function into a jump: `return send_all(...)` leaves no frame of its
 * own.  The debug information says who calls and jumps where; what follows from it for certain becomes a
 * frame, what is only possible is named as such.  Source: DWARF 5 section 3.4 (call sites), and the GNU
 * form of it in DWARF 4.
 */
#ifndef TOOLS_BLAME_JUMPS_H
#define TOOLS_BLAME_JUMPS_H

#include <elfutils/libdw.h>

#include "tools/blame/modules.h"

enum {
	JUMPS_DEPTH = 3,      /* jumps in a row that are followed */
	JUMPS_CANDIDATES = 4, /* possible callers that are named */
};

struct jump {
	const char *function; /* who jumped; inside the debug information */
	Dwarf_Die unit;
	Dwarf_Addr addr; /* of the jump, link-time */
};

/* Between a caller and a callee that are neighbours on a stack: who was called and jumped on?
 *   caller   the real function (not an inlined one) of the outer frame
 *   ret      its return address, link-time
 *   callee   name of the inner frame's real function
 *   ret_jump innermost first; holds JUMPS_DEPTH
 * Returns how many; 0 when there was none, or when more than one way is possible. */
int jumps_between(const struct module *row, Dwarf_Die *caller, Dwarf_Addr ret, const char *callee,
		  struct jump *ret_jump);

/* The caller called through a pointer: functions of its module that jump to callee. Returns how many are
 * in ret_jump, which holds JUMPS_CANDIDATES; 0 when the call is a direct one. */
int jumps_possible(const struct module *row, Dwarf_Die *caller, Dwarf_Addr ret, const char *callee,
		   struct jump *ret_jump);

#endif
