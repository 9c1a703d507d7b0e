/* SPDX-License-Identifier: BSD-2-Clause
 *
 * line: build a short text in memory somebody else owns.  Never writes past the room it was given,
 * always NUL-terminates, remembers whether everything fitted.
 */
#ifndef SHIM_ENGINE_LINE_H
#define SHIM_ENGINE_LINE_H

#include "core/core.h"

struct line {
	char *p;
	size_t n, room; /* n characters so far; room counts the NUL */
	bool cut;
};

void line_init(struct line *l, char *p, size_t room);
void line_add(struct line *l, const char *text);
void line_add_span(struct line *l, const char *text, size_t n);
void line_add_number(struct line *l, uint64_t v);

size_t line_length(const char *text); /* strlen */
bool line_equal(const char *a, const char *b);
/* The part of text behind the last '/', or all of it. */
const char *line_base(const char *text);
/* Parse digits at *at, advancing it; 0 when there are none. */
uint64_t line_number(const char **at, unsigned base);

#endif
