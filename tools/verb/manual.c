/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/manual: one text, two clothes.  The paragraphs of a verb are plain: a blank line ends one, an
 * indented line is an example kept as it is, a line in capitals is a heading.  --help shows them
 * wrapped for a terminal, the man page as roff for man(7).
 */
#include "tools/verb/options.h"

#include <string.h>

#include "core/core.h"

enum {
	WIDTH = 80,
	HELP_COLUMN = 26, /* where the explanation of an option starts */
};

/* ---- both ---- */

static const char overview_text[] =
	"shakedown watches the moment an HTTP connection switches protocols inside a "
	"server process, says what spoiled it and which code did. The server is not "
	"changed: a library is preloaded into it, which records every upgrade to a "
	"trace; the report reads the trace, live or years later.\n"
	"\n"
	"Without the command in front, the same watching is\n"
	"\n"
	"    LD_PRELOAD=/path/to/libshakedown.so SHAKEDOWN_TRACE=DIR ./server\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown run -- ./server --port 8080\n"
	"    shakedown report server.trace\n"
	"    shakedown explain http-after-101\n"
	"    shakedown doctor ./server\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"run passes the status of the command on. Every other verb ends with 0, with 1 "
	"when it found what it was told to look for, with 2 when it was used wrongly and "
	"with 3 when it could not do its job.\n";

enum reader {
	LIBRARY,
	COMMAND,
	TESTS, /* not for users */
	MARK,  /* not set by users */
};

static const struct {
	const char *name;
	enum reader reader;
	const char *help;
} variables[] = {
#define VARIABLE(name, type, reader, help) {name, reader, help},
#include "tools/verb/environ.def"
#undef VARIABLE
};

struct line {
	const char *p;
	size_t n;
};

/* The next line of a text; false at its end. */
static bool line_next(const char **text, struct line *ret)
{
	const char *end = strchr(*text, '\n');

	if (!**text)
		return false;
	ret->p = *text;
	ret->n = end ? (size_t)(end - *text) : strlen(*text);
	*text += ret->n + (end != NULL);
	return true;
}

static bool is_heading(struct line l)
{
	for (size_t i = 0; i < l.n; i++) {
		if ((l.p[i] < 'A' || l.p[i] > 'Z') && l.p[i] != ' ')
			return false;
	}
	return l.n > 3;
}

static bool is_literal(struct line l)
{
	return l.n && (l.p[0] == ' ' || l.p[0] == '\t');
}

/* "-o, --output DIR": the letter, the name, the placeholder. */
static size_t option_left(const struct option_row *r, char *ret, size_t size)
{
	char letter[8] = "    ";
	int n;

	if (r->letter)
		snprintf(letter, sizeof(letter), "-%c, ", r->letter);
	n = snprintf(ret, size, "  %s--%s%s%s", letter, r->name, r->type == OPTION_FLAG ? "" : " ",
		     r->type == OPTION_FLAG ? "" : r->arg);
	return n < 0 ? 0 : (size_t)n;
}

static const struct option_row help_row = {
	.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "show this and end"};

/* ---- help ---- */

/* Words of text from column at on, wrapped, further lines indented to column indent. */
static void wrap(FILE *out, const char *text, size_t n, size_t at, size_t indent)
{
	size_t i = 0;
	bool first = true;

	while (i < n) {
		size_t word = i;

		while (word < n && text[word] != ' ')
			word++;
		if (!first && at + 1 + (word - i) > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			fputc(' ', out);
			at++;
		}
		fwrite(text + i, 1, word - i, out);
		at += word - i;
		first = false;
		for (i = word; i < n && text[i] == ' ';)
			i++;
	}
	fputc('\n', out);
}

static void help_text(FILE *out, const char *text)
{
	struct line l;

	while (line_next(&text, &l)) {
		if (is_literal(l) || is_heading(l))
			fprintf(out, "%.*s\n", (int)l.n, l.p);
		else
			wrap(out, l.p, l.n, 0, 0);
	}
}

static void help_option(FILE *out, const struct option_row *r)
{
	char left[96];
	size_t n = option_left(r, left, sizeof(left));

	fputs(left, out);
	if (n + 2 > HELP_COLUMN)
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(out, "%*s", (int)(HELP_COLUMN - n), "");
	wrap(out, r->help, strlen(r->help), HELP_COLUMN, HELP_COLUMN);
}

void manual_help(FILE *out, const struct verb *v)
{
	fprintf(out, "usage: shakedown %s %s\n%s\n\n", v->name, v->synopsis, v->summary);
	fputs("OPTIONS\n\n", out);
	for (const struct option_row *r = v->options; r && r->name; r++)
		help_option(out, r);
	help_option(out, &help_row);
	fputc('\n', out);
	help_text(out, v->text);
}

void options_help(const struct verb *v)
{
	manual_help(stdout, v);
}

void manual_overview(FILE *out)
{
	fputs("usage: shakedown VERB [options] ...\n\n", out);
	for (size_t i = 0; verb_all[i]; i++)
		fprintf(out, "  %-10s %s\n", verb_all[i]->name, verb_all[i]->summary);
	fputs("  help       show the help of a verb\n\n", out);
	help_text(out, overview_text);
	fputs("\nENVIRONMENT\n\n", out);
	for (size_t i = 0; i < CORE_ARRAY_LEN(variables); i++) {
		if (variables[i].reader == TESTS || variables[i].reader == MARK)
			continue;
		fprintf(out, "  %-*s", HELP_COLUMN - 2, variables[i].name);
		wrap(out, variables[i].help, strlen(variables[i].help), HELP_COLUMN, HELP_COLUMN);
	}
}

/* ---- man page ---- */

static void roff(FILE *out, const char *text, size_t n)
{
	if (n && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else if (text[i] == '-')
			fputs("\\-", out);
		else
			fputc(text[i], out);
	}
}

static void roff_line(FILE *out, const char *text)
{
	roff(out, text, strlen(text));
	fputc('\n', out);
}

static void page_text(FILE *out, const char *text)
{
	struct line l;
	bool literal = false;

	while (line_next(&text, &l)) {
		if (literal && !is_literal(l)) {
			fputs(".fi\n.RE\n", out);
			literal = false;
		}
		if (!l.n) {
			fputs(".PP\n", out);
			continue;
		}
		if (is_heading(l)) {
			fprintf(out, ".SH %.*s\n", (int)l.n, l.p);
			continue;
		}
		if (is_literal(l) && !literal) {
			fputs(".RS 4\n.nf\n", out);
			literal = true;
		}
		while (literal && l.n > 4 && l.p[0] == ' ' && l.p[3] == ' ' && l.p[1] == ' ') {
			l.p += 4;
			l.n -= 4;
			break;
		}
		roff(out, l.p, l.n);
		fputc('\n', out);
	}
	if (literal)
		fputs(".fi\n.RE\n", out);
}

static void page_option(FILE *out, const struct option_row *r)
{
	fputs(".TP\n", out);
	if (r->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", r->letter);
	fputs("\\fB\\-\\-", out);
	roff(out, r->name, strlen(r->name));
	fputs("\\fR", out);
	if (r->type != OPTION_FLAG) {
		fputs(" \\fI", out);
		roff(out, r->arg, strlen(r->arg));
		fputs("\\fR", out);
	}
	fputc('\n', out);
	roff_line(out, r->help);
}

static void page_title(FILE *out, const char *name, const char *summary)
{
	fputs(".TH ", out);
	for (const char *p = name; *p; p++)
		fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
	fprintf(out, " 1 \"\" \"shakedown %s\" \"User Commands\"\n.SH NAME\n", SHAKEDOWN_VERSION);
	roff(out, name, strlen(name));
	fputs(" \\- ", out);
	roff_line(out, summary);
}

static void page_see_also(FILE *out, const struct verb *self)
{
	bool first = true;

	fputs(".SH SEE ALSO\n", out);
	if (self) {
		fputs("\\fBshakedown\\fR(1)", out);
		first = false;
	}
	for (size_t i = 0; verb_all[i]; i++) {
		if (verb_all[i] == self)
			continue;
		fprintf(out, "%s\\fBshakedown\\-%s\\fR(1)", first ? "" : ",\n", verb_all[i]->name);
		first = false;
	}
	fputc('\n', out);
}

static void page_overview(FILE *out)
{
	page_title(out, "shakedown", "what happened to every HTTP upgrade, and who spoiled it");
	fputs(".SH SYNOPSIS\n\\fBshakedown\\fR \\fIVERB\\fR [options] ...\n.SH VERBS\n", out);
	for (size_t i = 0; verb_all[i]; i++) {
		fprintf(out, ".TP\n\\fB%s\\fR\n", verb_all[i]->name);
		roff_line(out, verb_all[i]->summary);
	}
	fputs(".SH DESCRIPTION\n", out);
	page_text(out, overview_text);
	fputs(".SH ENVIRONMENT\n", out);
	for (size_t i = 0; i < CORE_ARRAY_LEN(variables); i++) {
		if (variables[i].reader == TESTS || variables[i].reader == MARK)
			continue;
		fprintf(out, ".TP\n\\fB%s\\fR\n", variables[i].name);
		roff_line(out, variables[i].help);
	}
	page_see_also(out, NULL);
}

void manual_page(FILE *out, const struct verb *v)
{
	char name[64];

	if (!v) {
		page_overview(out);
		return;
	}
	snprintf(name, sizeof(name), "shakedown-%s", v->name);
	page_title(out, name, v->summary);
	fprintf(out, ".SH SYNOPSIS\n\\fBshakedown %s\\fR ", v->name);
	roff_line(out, v->synopsis);
	fputs(".SH OPTIONS\n", out);
	for (const struct option_row *r = v->options; r && r->name; r++)
		page_option(out, r);
	page_option(out, &help_row);
	fputs(".SH DESCRIPTION\n", out);
	page_text(out, v->text);
	page_see_also(out, v);
}

/* ---- completion ---- */

static void words_of_option(FILE *out, const struct verb *v, const char *option)
{
	for (const struct option_row *r = v->options; r && r->name; r++) {
		if (strcmp(r->name, option) || r->type != OPTION_CHOICE)
			continue;
		for (const char *p = r->arg; *p; p++)
			fputc(*p == '|' ? '\n' : *p, out);
		fputc('\n', out);
	}
}

void manual_words(FILE *out, const struct verb *v, const char *option)
{
	if (!v) {
		for (size_t i = 0; verb_all[i]; i++)
			fprintf(out, "%s\n", verb_all[i]->name);
		fputs("help\n", out);
		return;
	}
	if (option) {
		words_of_option(out, v, option);
		return;
	}
	for (const struct option_row *r = v->options; r && r->name; r++) {
		/* An '=' tells the shell that a value follows. */
		fprintf(out, "--%s%s\n", r->name, r->type == OPTION_FLAG ? "" : "=");
		if (r->letter)
			fprintf(out, "-%c%s\n", r->letter, r->type == OPTION_FLAG ? "" : "=");
	}
	fputs("--help\n", out);
	for (size_t i = 0; v->operands && v->operands->name(i); i++)
		fprintf(out, "%s\n", v->operands->name(i));
}
