/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/rule_source: see rule_source.h.
 */
#include "tools/control/rule_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/control/rule_error.h"

enum {
	TEXT_MAX = 256 * 1024, /* as the library reads them */
};

static bool add(struct rule_source *s, const char *name, const char *text, size_t n, FILE *err)
{
	struct rule_part *part;
	char *all;

	if (memchr(text, '\0', n) || s->n + n + 2 > TEXT_MAX) {
		fprintf(err, "shakedown: %s: %s\n", name,
			memchr(text, '\0', n) ? "holds a NUL byte, which no rule has"
					      : "more than 256 KiB of rules");
		return false;
	}
	part = realloc(s->part, (s->parts + 1) * sizeof(*part));
	if (part)
		s->part = part;
	all = part ? realloc(s->text, s->n + n + 2) : NULL;
	if (!all) {
		fprintf(err, "shakedown: no memory for the rules\n");
		return false;
	}
	s->text = all;
	s->part[s->parts++] = (struct rule_part){.name = name, .at = s->n};
	memcpy(s->text + s->n, text, n);
	s->n += n;
	s->text[s->n++] = '\n';
	s->text[s->n] = '\0';
	return true;
}

bool rule_source_add(struct rule_source *s, const char *name, const char *text, FILE *err)
{
	return add(s, name, text, strlen(text), err);
}

bool rule_source_read(struct rule_source *s, const char *path, FILE *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? malloc(TEXT_MAX) : NULL;
	size_t n = text ? fread(text, 1, TEXT_MAX, f) : 0;
	bool ok = text && !ferror(f);

	if (!ok)
		fprintf(err, "shakedown: the rules in %s cannot be read: %s\n", path,
			strerror(errno));
	else
		ok = add(s, path, text, n, err);
	free(text);
	if (f && f != stdin)
		fclose(f);
	return ok;
}

/* The mistake in the part it lies in. */
static void show(const struct rule_source *s, const struct fault_error *e, FILE *err)
{
	struct fault_error in = *e;
	size_t i = s->parts, end;
	char *text;

	while (i > 1 && s->part[i - 1].at > e->at)
		i--;
	end = i < s->parts ? s->part[i].at : s->n;
	i -= i > 0;
	in.at -= (uint32_t)s->part[i].at;
	text = strndup(s->text + s->part[i].at, end - s->part[i].at - 1);
	if (text)
		rule_error_print(err, s->part[i].name, text, &in);
	free(text);
}

bool rule_source_compile(const struct rule_source *s, struct fault_rule **ret, uint32_t *ret_count,
			 FILE *err)
{
	struct fault_error e = {0};

	*ret = calloc(FAULT_RULES, sizeof(**ret));
	*ret_count = 0;
	if (!*ret) {
		fprintf(err, "shakedown: no memory for the rules\n");
		return false;
	}
	if (!s->n || fault_parse_rules(s->text, s->n, *ret, FAULT_RULES, ret_count, &e))
		return true;
	show(s, &e, err);
	free(*ret);
	*ret = NULL;
	return false;
}

void rule_source_free(struct rule_source *s)
{
	free(s->part);
	free(s->text);
	*s = (struct rule_source){0};
}
