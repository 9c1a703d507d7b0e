/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/out: text that is put together in memory of a fixed size.  Private to core/fault.
 *
 * (1) What does not fit is counted and not stored; what is stored always ends in NUL (room > 0).
 */
#ifndef CORE_FAULT_OUT_H
#define CORE_FAULT_OUT_H

#include "core/fault/table.h"

struct fault_out {
	char *to;
	size_t room;
	size_t n; /* bytes put so far, stored or not */
};

void fault_put(struct fault_out *o, const char *text);
void fault_put_byte(struct fault_out *o, char c);
void fault_put_number(struct fault_out *o, uint64_t v);
/* Up to 40 bytes of a user's text; what could do harm on a terminal becomes a question mark. */
void fault_put_quoted(struct fault_out *o, struct span s);

/* A value as its type writes it: TIME SIZE COUNT PERCENT RATE ERRNO SIGNAL NUMBER, and WORD.
 * 1.5s and the like are never printed: the unit is the largest one that divides the value. */
void fault_put_value(struct fault_out *o, const struct fault_row *row, uint64_t v);

/* Text as it may stand in a value: everything with a meaning of its own as %XX.
 *   in_key   of a key: there + , and = mean nothing */
void fault_put_text(struct fault_out *o, const char *p, size_t n, bool in_key);

#endif
