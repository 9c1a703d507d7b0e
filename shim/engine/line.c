/* SPDX-License-Identifier: BSD-2-Clause
 *
 * line: see line.h.
 */
#include "shim/engine/line.h"

void line_init(struct line *l, char *p, size_t room)
{
	*l = (struct line){.p = p, .room = room};
	p[0] = '\0';
}

void line_add_span(struct line *l, const char *text, size_t n)
{
	size_t free = l->room - 1 - l->n;

	if (n > free) {
		n = free;
		l->cut = true;
	}
	memcpy(l->p + l->n, text, n);
	l->n += n;
	l->p[l->n] = '\0';
}

void line_add(struct line *l, const char *text)
{
	line_add_span(l, text, line_length(text));
}

void line_add_number(struct line *l, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	line_add_span(l, digits + at, sizeof(digits) - at);
}

size_t line_length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

bool line_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const char *line_base(const char *text)
{
	const char *base = text;

	for (; *text; text++) {
		if (*text == '/')
			base = text + 1;
	}
	return base;
}

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return 255;
}

uint64_t line_number(const char **at, unsigned base)
{
	uint64_t v = 0;
	unsigned d;

	while ((d = digit_value(**at)) < base) {
		v = v * base + d;
		(*at)++;
	}
	return v;
}
