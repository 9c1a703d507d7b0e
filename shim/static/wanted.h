/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/wanted: which system calls of a static program are worth a jump.  For the guest, which patches
 * them, and for the launcher, which says beforehand what will be seen.
 */
#ifndef SHIM_STATIC_WANTED_H
#define SHIM_STATIC_WANTED_H

#include "shim/engine/engine.h"

#include "core/target/site.h"

#include <sys/syscall.h>

/* Calls that return twice or never, to other places or on other stacks, stay where they are; so do
 * those in which there is nothing to see. */
static inline bool static_wants_op(enum call_op op, int32_t nr)
{
	switch (op) {
	case OP_FORK:
	case OP_VFORK:
	case OP_SPAWN:
	case OP_DLOPEN:
	case OP_SYSCALL:
		return false;
	case OP_EXIT:
		return nr == SYS_exit_group;
	default:
		return true;
	}
}

/* UINT32_MAX: a site where the number is not known before the call. */
static inline bool static_wants(uint32_t nr)
{
	static const struct {
		int32_t nr;
		uint8_t op;
	} rows[] = {
#define CALL(id, nr, op, ...) {nr, OP_##op},
#include "shim/engine/calls.def"
#undef CALL
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		if (rows[i].nr >= 0 && (uint32_t)rows[i].nr == nr)
			return static_wants_op((enum call_op)rows[i].op, rows[i].nr);
	}
	return nr == UINT32_MAX;
}

/* The stack pointer is not the stub's to move. */
static inline bool static_can_move(uint8_t reg)
{
	return reg != 4 && reg < 16;
}

/* Nor are, behind a call, the registers it changes. */
static inline bool static_can_move_after(uint8_t reg)
{
	return static_can_move(reg) && reg != 1 && reg != 11;
}

/* Can a stub do what the site does? */
static inline bool static_can_do(const struct site *s)
{
	switch ((enum site_shape)s->shape) {
	case SITE_NUMBER:
	case SITE_ZERO:
	case SITE_COMPARE:
		return true;
	case SITE_MOVE:
		return static_can_move(s->to) && static_can_move(s->from);
	case SITE_MOVE_AFTER:
		return s->nr != UINT32_MAX && static_can_move_after(s->to) &&
		       static_can_move_after(s->from);
	}
	return false;
}

#endif
