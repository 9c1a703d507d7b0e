/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/page: layout. Widths count bytes; what is printed is ASCII but for our users' file names.
 */
#include "tools/format/page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const inks[] = {
	[INK_PLAIN] = "",	  [INK_BOLD] = "\033[1m",    [INK_DIM] = "\033[2m",
	[INK_RED] = "\033[1;31m", [INK_YELLOW] = "\033[33m", [INK_GREEN] = "\033[32m",
};

void page_init(struct page *p, FILE *out, const struct report_filter *f)
{
	p->out = out;
	p->colour = f->colour;
	p->width = f->width ? f->width : PAGE_WIDTH;
	if (p->width < PAGE_MIN)
		p->width = PAGE_MIN;
	if (p->width > PAGE_MAX)
		p->width = PAGE_MAX;
}

enum page_ink page_severity_ink(enum severity s)
{
	return s >= SEVERITY_ERROR ? INK_RED : s == SEVERITY_WARNING ? INK_YELLOW : INK_PLAIN;
}

static void ink_on(const struct page *p, enum page_ink ink)
{
	if (p->colour && ink != INK_PLAIN)
		fputs(inks[ink], p->out);
}

static void ink_off(const struct page *p, enum page_ink ink)
{
	if (p->colour && ink != INK_PLAIN)
		fputs("\033[0m", p->out);
}

void page_put(const struct page *p, enum page_ink ink, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	ink_on(p, ink);
	vfprintf(p->out, format, ap);
	ink_off(p, ink);
	va_end(ap);
}

/* Bytes of the text that fit a line: up to the last blank before the limit, or a hard cut. */
static size_t fit(const char *text, size_t columns)
{
	size_t n = strlen(text), i;

	if (n <= columns)
		return n;
	for (i = columns; i > columns / 2; i--)
		if (text[i] == ' ')
			return i;
	for (i = columns; i > 1 && (text[i] & 0xc0) == 0x80; i--)
		;
	return i;
}

void page_paragraph(const struct page *p, const char *label, enum page_ink ink, const char *text)
{
	char *clean = format_clean(text);
	const char *at = clean ? clean : "";
	bool first = true;

	do {
		size_t n = fit(at, p->width - PAGE_LABEL);

		fprintf(p->out, "  %-*s", PAGE_LABEL - 2, first ? label : "");
		ink_on(p, ink);
		fwrite(at, 1, n, p->out);
		ink_off(p, ink);
		fputc('\n', p->out);
		at += n;
		at += strspn(at, " ");
		first = false;
	} while (*at);
	free(clean);
}

void page_rule(const struct page *p, enum page_ink ink, const char *left, const char *right)
{
	size_t used, i;
	char *clean = format_clean(left);

	used = (clean ? strlen(clean) : 0) + strlen(right) + 2;
	page_put(p, ink, "%s", clean ? clean : "");
	free(clean);
	fputc(' ', p->out);
	ink_on(p, INK_DIM);
	for (i = used; i < p->width; i++)
		fputc('-', p->out);
	ink_off(p, INK_DIM);
	fprintf(p->out, "%s%s\n", *right ? " " : "-", right);
}

unsigned page_name(const struct page *p, enum page_ink ink, const char *text, unsigned columns)
{
	char *clean = format_clean(text);
	size_t n = clean ? strlen(clean) : 0;

	ink_on(p, ink);
	if (!columns || n <= columns) {
		fputs(clean ? clean : "", p->out);
	} else {
		n = columns > 3 ? columns - 3 : 0;
		while (n && (clean[n] & 0xc0) == 0x80)
			n--;
		fwrite(clean, 1, n, p->out);
		fputs("...", p->out);
		n += 3;
	}
	ink_off(p, ink);
	free(clean);
	return (unsigned)n;
}

unsigned page_path(const struct page *p, enum page_ink ink, const char *path, unsigned columns)
{
	char *clean = format_clean(path), *cut = clean;
	size_t n = clean ? strlen(clean) : 0;

	while (n + 3 > columns && cut && (cut = strchr(cut + 1, '/')))
		n = strlen(cut);
	if (!cut || cut == clean) {
		n = page_name(p, ink, path, columns);
	} else {
		page_put(p, ink, "...%s", cut);
		n += 3;
	}
	free(clean);
	return (unsigned)n;
}

const char *page_bytes(char ret[24], uint64_t n)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	unsigned i = 0;

	while (v >= 1024 && i + 1 < CORE_ARRAY_LEN(unit)) {
		v /= 1024;
		i++;
	}
	snprintf(ret, 24, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
	return ret;
}

const char *page_delta(char ret[32], int64_t ns)
{
	double ms = (double)ns / 1e6;

	if (ms > -10000 && ms < 10000)
		snprintf(ret, 32, "%+.3f ms", ms);
	else
		snprintf(ret, 32, "%+.3f s ", ms / 1e3);
	return ret;
}

const char *page_count(char ret[48], uint64_t n, const char *one, const char *many)
{
	snprintf(ret, 48, "%" PRIu64 " %s", n, n == 1 ? one : many);
	return ret;
}
