/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/rule_error: see rule_error.h.  The text is hostile: what would move the caret or the terminal is
 * shown as one '?' per byte.
 */
#include "tools/control/rule_error.h"

#include <string.h>

#include "tools/format/format.h"

enum {
	WIDTH = 100, /* columns of a line that are shown, at most */
	WRAP = 92,
};

static void print_part(FILE *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		fputc(c == '\t' ? ' ' : c < 0x20 || c >= 0x7f ? '?' : c, out);
	}
}

/* The line, cut around the place when it is long, and the caret below. */
static void print_line(FILE *out, const char *line, size_t n, size_t at, size_t len)
{
	size_t from = at > WIDTH / 2 && n > WIDTH ? at - WIDTH / 2 : 0;
	size_t shown = n - from < WIDTH ? n - from : WIDTH, end = from + shown;
	const char *before = from ? "..." : "";

	fprintf(out, "    %s", before);
	print_part(out, line + from, shown);
	fprintf(out, "%s\n    %*s", end < n ? "..." : "", (int)(strlen(before) + at - from), "");
	fputc('^', out);
	for (size_t i = at + 1; i < at + len && i < end; i++)
		fputc('~', out);
	fputc('\n', out);
}

/* "a, b, c", wrapped. */
static void print_words(FILE *out, const char *words)
{
	size_t column = (size_t)fprintf(out, "    valid here:");

	while (*words) {
		size_t n = strcspn(words, ",") + 1;

		n = n > strlen(words) ? strlen(words) : n;
		if (column + 1 + n > WRAP)
			column = (size_t)fprintf(out, "\n       ") - 1;
		column += 1 + n;
		fputc(' ', out);
		print_part(out, words, n);
		words += n;
		words += strspn(words, " ");
	}
	fputc('\n', out);
}

void rule_error_print(FILE *out, const char *source, const char *text, const struct fault_error *e)
{
	size_t n = strlen(text), at = e->at < n ? e->at : n, row = 1, start = 0, length;

	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			row++;
			start = i + 1;
		}
	}
	length = strcspn(text + start, "\n");
	format_escaped(out, (struct span){(const uint8_t *)source, strlen(source)}, 4096);
	fprintf(out, ":%zu:%zu: ", row, at - start + 1);
	print_part(out, e->what, strnlen(e->what, sizeof(e->what)));
	fputc('\n', out);
	print_line(out, text + start, length, at - start, e->len);
	if (e->expected[0])
		print_words(out, e->expected);
}
