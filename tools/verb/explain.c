/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/explain: the catalogue of findings, read aloud.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/finding/finding.h"
#include "tools/verb/nearest.h"
#include "tools/verb/verb.h"

static const char *format = "text";

static const struct option_row options[] = {
	{"format", 0, OPTION_CHOICE, "text|json", "how to write it (text)", &format},
	{.name = NULL},
};

static const char text[] =
	"Without ID lists every finding there is, the gravest first. With one or more, "
	"says for each what it means, why it breaks something, what evidence a trace "
	"must hold for it, and how to mend it.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown explain\n"
	"    shakedown explain http-after-101\n"
	"    shakedown explain --format json | jq '.findings[].id'\n";

static const char *name_of(size_t i)
{
	return i < FINDING_COUNT ? finding_info((enum finding_id)i)->id : NULL;
}

static const struct verb_choices names = {name_of};

static const char *scope_name(enum finding_scope s)
{
	switch (s) {
	case SCOPE_EXCHANGE:
		return "exchange";
	case SCOPE_CONNECTION:
		return "connection";
	case SCOPE_PROCESS:
		break;
	}
	return "process";
}

/* ---- text ---- */

/* A paragraph, wrapped at 80 columns, indented by four. */
static void paragraph(const char *p)
{
	size_t at = 0;

	while (*p) {
		size_t n = strcspn(p, " ");

		if (at && at + 1 + n > 76) {
			putchar('\n');
			at = 0;
		}
		printf("%s%.*s", at ? " " : "    ", (int)n, p);
		at += n + (at ? 1 : 0);
		p += n;
		p += strspn(p, " ");
	}
	putchar('\n');
}

/* What excuses it, by effect of a fault. */
static const struct {
	uint32_t effect;
	const char *name, *says;
} effects[] = {
	{EFFECT_TIME, "time", "made bytes wait for at least half of the time"},
	{EFFECT_ASK, "ask", "changed, added or lost bytes of the side that asks"},
	{EFFECT_ANSWER, "answer", "changed, added or lost bytes of the side that answers"},
	{EFFECT_END, "end", "ended the connection"},
	{EFFECT_CALL, "call", "let a call fail for good"},
};

static void say_excuses(const struct finding_info *f)
{
	char line[512];
	const char *before = "A fault that";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		if (!(f->explained & effects[i].effect))
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s %s", before, effects[i].says);
		before = ", or";
	}
	(void)snprintf(line + n, sizeof(line) - n, n ? "." : "Nothing.");
	paragraph(line);
}

static void say(const struct finding_info *f)
{
	printf("%s (%s)\n\n", f->id, severity_name(f->severity));
	puts("What");
	paragraph(f->title);
	puts("\nWhy it matters");
	paragraph(f->why);
	puts("\nHow to fix it");
	paragraph(f->fix);
	puts("\nEvidence");
	paragraph(f->evidence);
	puts("\nWhat a rule can excuse it with");
	say_excuses(f);
}

static void list_text(void)
{
	size_t width = 0;

	for (size_t i = 0; name_of(i); i++) {
		size_t n = strlen(name_of(i));

		width = n > width ? n : width;
	}
	for (int s = SEVERITY_CRITICAL; s >= SEVERITY_INFO; s--) {
		printf("%s%s\n", s == SEVERITY_CRITICAL ? "" : "\n",
		       severity_name((enum severity)s));
		for (size_t i = 0; name_of(i); i++) {
			const struct finding_info *f = finding_info((enum finding_id)i);

			if ((int)f->severity == s)
				printf("  %-*s  %s\n", (int)width, f->id, f->title);
		}
	}
	puts("\nshakedown explain ID says more");
}

/* ---- JSON ---- */

static json_t *object_of(const struct finding_info *f)
{
	json_t *excuses = json_array();

	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		if (f->explained & effects[i].effect)
			json_array_append_new(excuses, json_string(effects[i].name));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", f->id, "severity",
			 severity_name(f->severity), "scope", scope_name(f->scope), "title",
			 f->title, "why", f->why, "fix", f->fix, "evidence", f->evidence,
			 "explained_by", excuses);
}

static int write_json(json_t *list)
{
	json_t *root = json_pack("{s:i, s:o}", "version", 1, "findings", list);
	int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	json_decref(root);
	putchar('\n');
	return failed ? VERB_CANNOT : VERB_OK;
}

/* ---- both ---- */

static int unknown(const char *word)
{
	struct nearest near;

	nearest_init(&near, word);
	for (size_t i = 0; name_of(i); i++)
		nearest_try(&near, name_of(i));
	if (near.best)
		complain("there is no finding '%s'; did you mean '%s'?", word, near.best);
	else
		complain("there is no finding '%s'; 'shakedown explain' lists them", word);
	return VERB_USAGE;
}

static int run(int argc, char **argv)
{
	bool json = !strcmp(format, "json");
	json_t *list = json ? json_array() : NULL;
	enum finding_id id;

	for (int i = 0; i < argc; i++) {
		if (!finding_from_name(argv[i], &id)) {
			json_decref(list);
			return unknown(argv[i]);
		}
	}
	if (argc == 0 && !json)
		list_text();
	for (size_t i = 0; argc == 0 && json && name_of(i); i++)
		json_array_append_new(list, object_of(finding_info((enum finding_id)i)));
	for (int i = 0; i < argc; i++) {
		finding_from_name(argv[i], &id);
		if (json) {
			json_array_append_new(list, object_of(finding_info(id)));
			continue;
		}
		if (i)
			putchar('\n');
		say(finding_info(id));
	}
	return json ? write_json(list) : VERB_OK;
}

const struct verb verb_explain = {
	.name = "explain",
	.synopsis = "[--format text|json] [ID...]",
	.summary = "say what a finding means and how to mend it",
	.text = text,
	.options = options,
	.run = run,
	.operands = &names,
};
