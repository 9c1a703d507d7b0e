/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/page: a page of text of a known width: labels, wrapped paragraphs, colours.
 */
#ifndef TOOLS_FORMAT_PAGE_H
#define TOOLS_FORMAT_PAGE_H

#include "tools/format/format.h"

enum {
	PAGE_WIDTH = 100, /* when the output is no terminal */
	PAGE_MIN = 60,
	PAGE_MAX = 160,
	PAGE_LABEL = 10, /* columns of the label of a paragraph, its indent included */
};

struct page {
	FILE *out;
	unsigned width;
	bool colour;
};

enum page_ink {
	INK_PLAIN,
	INK_BOLD,
	INK_DIM,
	INK_RED,
	INK_YELLOW,
	INK_GREEN,
};

void page_init(struct page *p, FILE *out, const struct report_filter *f);
enum page_ink page_severity_ink(enum severity s);

/* printf in a colour. The text is ours. */
void page_put(const struct page *p, enum page_ink ink, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "  label   text text text\n" with the text wrapped and cleaned; continuation lines are indented. */
void page_paragraph(const struct page *p, const char *label, enum page_ink ink, const char *text);

/* A rule across the page with a text on the left and one on the right. */
void page_rule(const struct page *p, enum page_ink ink, const char *left, const char *right);

/* Text from files or the trace: cleaned, cut to columns with "..." (0: not cut). Returns columns. */
unsigned page_name(const struct page *p, enum page_ink ink, const char *text, unsigned columns);

/* The same for a path, of which the end says most: whole names are left out in front. */
unsigned page_path(const struct page *p, enum page_ink ink, const char *path, unsigned columns);

/* "1.5 KiB", "12 B". ret holds 24 bytes. */
const char *page_bytes(char ret[24], uint64_t n);
/* "+12.345 ms", "+3.210 s", "-..." ret holds 32 bytes. */
const char *page_delta(char ret[32], int64_t ns);
/* "1 attempt", "2 attempts". ret holds 48 bytes. */
const char *page_count(char ret[48], uint64_t n, const char *one, const char *many);

#endif
