/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/doctor: can it be watched, and if not, why not?  Looks and never touches: nothing is started,
 * attached to or changed.
 */
#include "tools/verb/doctor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/verb/value.h"
#include "tools/verb/verb.h"

static const char *format = "text";

static const struct option_row options[] = {
	{"format", 0, OPTION_CHOICE, "text|json", "how to write it (text)", &format},
	{.name = NULL},
};

static const char text[] =
	"Says what can be watched on this machine and why not. With CMD, judges the "
	"program that would run: what run would say before its start. With PID, looks at "
	"a running process: whether the library is in it, why it cannot be watched, and "
	"the command that restarts it under shakedown. A running process cannot be "
	"attached to.\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"0 when it can be watched, 2 when doctor was used wrongly, 3 when something "
	"prevents it.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown doctor\n"
	"    shakedown doctor ./server\n"
	"    shakedown doctor 4711\n";

void doctor_say(struct doctor *d, const char *section, const char *name, enum doctor_state state,
		const char *fmt, ...)
{
	struct doctor_row *row = realloc(d->row, (d->n + 1) * sizeof(*row));
	va_list ap;

	if (!row)
		return;
	d->row = row;
	row += d->n;
	*row = (struct doctor_row){.section = section, .name = name, .state = state};
	va_start(ap, fmt);
	if (vasprintf(&row->text, fmt, ap) < 0)
		row->text = NULL;
	va_end(ap);
	if (!row->text)
		return;
	for (char *p = row->text; *p; p++) {
		/* Names come from strangers: no control characters towards the terminal. */
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
			*p = '?';
	}
	d->n++;
	d->ill |= state == DOCTOR_NO;
}

static bool is_plain(const char *word)
{
	return *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_-+=./:,@%^")];
}

char *doctor_quote(char *const *argv)
{
	size_t size = 1;
	char *ret, *p;

	for (size_t i = 0; argv[i]; i++)
		size += 4 * strlen(argv[i]) + 3;
	ret = p = malloc(size);
	if (!ret)
		return NULL;
	for (size_t i = 0; argv[i]; i++) {
		if (i)
			*p++ = ' ';
		if (is_plain(argv[i])) {
			p = stpcpy(p, argv[i]);
			continue;
		}
		*p++ = '\'';
		for (const char *c = argv[i]; *c; c++) {
			if (*c == '\'')
				p = stpcpy(p, "'\\''");
			else
				*p++ = *c;
		}
		*p++ = '\'';
	}
	*p = '\0';
	return ret;
}

/* ---- output ---- */

static const char *state_name(enum doctor_state s)
{
	static const char *const names[] = {"yes", "note", "no"};

	return names[s];
}

static void write_text(const struct doctor *d)
{
	const char *section = "";

	for (size_t i = 0; i < d->n; i++) {
		const struct doctor_row *r = &d->row[i];

		if (strcmp(section, r->section)) {
			printf("%sthis %s\n", *section ? "\n" : "", r->section);
			section = r->section;
		}
		printf("  %-4s %-14s ", r->state == DOCTOR_NOTE ? "-" : state_name(r->state),
		       r->name);
		for (const char *p = r->text; *p; p++) {
			putchar(*p);
			if (*p == '\n')
				printf("%*s", 22, "");
		}
		putchar('\n');
	}
}

static int write_json(const struct doctor *d)
{
	json_t *rows = json_array();
	json_t *root;
	int failed;

	for (size_t i = 0; i < d->n; i++) {
		const struct doctor_row *r = &d->row[i];
		json_t *shown = json_string(r->text);

		/* Not UTF-8: a file name may be anything. */
		if (!shown)
			shown = json_string("(not printable)");
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o}", "about", r->section,
						      "check", r->name, "state",
						      state_name(r->state), "text", shown));
	}
	root = json_pack("{s:i, s:b, s:o}", "version", 1, "watchable", !d->ill, "checks", rows);
	failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	putchar('\n');
	return failed ? VERB_CANNOT : VERB_OK;
}

static void done(struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->row[i].text);
	free(d->row);
}

/* A number that is not also the name of a file here. */
static bool is_pid(int argc, char **argv, pid_t *ret)
{
	struct stat st;
	uint64_t n;

	if (argc != 1 || value_number(argv[0], &n) || n == 0 || n > INT32_MAX ||
	    !stat(argv[0], &st))
		return false;
	*ret = (pid_t)n;
	return true;
}

static int run(int argc, char **argv)
{
	struct doctor d = {.n = 0};
	int status = VERB_OK;
	pid_t pid;

	if (is_pid(argc, argv, &pid)) {
		if (!doctor_process(&d, pid))
			status = VERB_CANNOT;
	} else {
		doctor_machine(&d);
		if (argc)
			doctor_command(&d, argv);
	}
	if (status == VERB_OK && !strcmp(format, "json"))
		status = write_json(&d);
	else if (status == VERB_OK)
		write_text(&d);
	if (status == VERB_OK && d.ill)
		status = VERB_CANNOT;
	done(&d);
	return status;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.synopsis = "[--format text|json] [CMD... | PID]",
	.summary = "say what can be watched here and why not",
	.text = text,
	.options = options,
	.run = run,
	.command = true,
};
