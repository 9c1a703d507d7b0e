/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/output: results as text, TAP, JUnit XML and JSON.
 * Source: Test Anything Protocol 13 (testanything.org); the JUnit schema of Jenkins' xUnit plugin.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/format/format.h"
#include "tools/scenario/runner.h"

static double seconds(const struct case_result *result)
{
	return (double)result->took_ns / 1e9;
}

/* Each line of text behind a prefix. */
static void put_lines(const char *prefix, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("%s%.*s\n", prefix, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/* ---- text ---- */

static void text_begin(const struct runner *r)
{
	(void)r;
}

static void put_next(const char *what, char *command)
{
	if (command)
		printf("    %s%s\n", what, command);
	free(command);
}

static void text_each(const struct runner *r, size_t i)
{
	const struct runner_case *c = &r->item[i];
	bool colour = isatty(1) && !getenv("NO_COLOR"), good = c->result->verdict == CASE_PASSED;

	printf("%s%s%s  %s (%.2f s", colour ? (good ? "\033[32m" : "\033[31m") : "",
	       good				   ? "ok  "
	       : c->result->verdict == CASE_FAILED ? "FAIL"
						   : "STOP",
	       colour ? "\033[0m" : "", c->name, seconds(c->result));
	if (c->s->sweep)
		printf(", %" PRIu64 " rounds", c->result->rounds);
	printf(")\n");
	if (c->result->reports[0])
		printf("    reports: %s\n", c->result->reports);
	if (good)
		return;
	put_lines("    ", c->result->text);
	if (c->result->verdict == CASE_INTERRUPTED)
		put_lines("    ", "interrupted; the server was stopped");
	if (c->result->trace[0])
		put_next("its trace: ", runner_show_command(c));
	put_next("again: ", runner_again_command(c));
	put_next("with its decisions: ", runner_replay_command(c));
}

static void text_end(const struct runner *r)
{
	printf("%u passed, %u failed", r->passed, r->failed);
	if (r->cannot)
		printf(", %u could not be run", r->cannot);
	if (r->signal)
		printf(", %zu interrupted or not run",
		       r->cases - r->passed - r->failed - r->cannot);
	printf("\n");
}

const struct output output_text = {"text", text_begin, text_each, text_end};

/* ---- TAP ---- */

/* Between single quotes YAML doubles those that are meant. */
static void put_quoted(const char *key, const char *text)
{
	char *clean = format_clean(text);

	printf("  %s: '", key);
	for (const char *p = clean; p && *p; p++)
		fputs(*p == '\'' ? "''" : (char[]){*p, 0}, stdout);
	printf("'\n");
	free(clean);
}

static void tap_begin(const struct runner *r)
{
	printf("TAP version 13\n1..%zu\n", r->cases);
}

static void tap_each(const struct runner *r, size_t i)
{
	const struct runner_case *c = &r->item[i];
	bool good = c->result->verdict == CASE_PASSED;

	printf("%s %zu - %s\n", good ? "ok" : "not ok", i + 1, c->name);
	if (good)
		return;
	printf("  ---\n  result: %s\n  message: |\n", runner_verdict_name(c->result->verdict));
	put_lines("    ", c->result->text[0] ? c->result->text : "nothing was said\n");
	if (c->result->trace[0])
		put_quoted("trace", c->result->trace);
	printf("  ...\n");
}

static void tap_end(const struct runner *r)
{
	if (r->signal)
		printf("Bail out! interrupted\n");
	printf("# %u passed, %u failed, %u could not be run\n", r->passed, r->failed, r->cannot);
}

const struct output output_tap = {"tap", tap_begin, tap_each, tap_end};

/* ---- JUnit ---- */

/* Text of an element or attribute; what XML 1.0 cannot hold is left out. */
static void put_xml(FILE *f, const char *text)
{
	char *clean = format_utf8((struct span){(const uint8_t *)text, strlen(text)}, NULL);

	for (const char *p = clean; p && *p; p++) {
		switch (*p) {
		case '&':
			fprintf(f, "&amp;");
			break;
		case '<':
			fprintf(f, "&lt;");
			break;
		case '>':
			fprintf(f, "&gt;");
			break;
		case '"':
			fprintf(f, "&quot;");
			break;
		default:
			if ((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t')
				putc(*p, f);
		}
	}
	free(clean);
}

static void junit_begin(const struct runner *r)
{
	(void)r;
}

static void junit_each(const struct runner *r, size_t i)
{
	(void)r;
	(void)i;
}

static void junit_failure(FILE *f, const struct runner_case *c)
{
	const char *tag = c->result->verdict == CASE_FAILED ? "failure" : "error";
	size_t n = strcspn(c->result->text, "\n");
	char first[512];

	snprintf(first, sizeof(first), "%.*s", (int)n, c->result->text);
	fprintf(f, "\n      <%s message=\"", tag);
	put_xml(f, first[0] ? first : runner_verdict_name(c->result->verdict));
	fprintf(f, "\">");
	put_xml(f, c->result->text);
	if (c->result->trace[0]) {
		char *command = runner_show_command(c);

		put_xml(f, command ? command : "");
		free(command);
	}
	fprintf(f, "</%s>\n    ", tag);
}

static void junit_case(FILE *f, const struct runner_case *c)
{
	fprintf(f, "    <testcase classname=\"");
	put_xml(f, c->s->name);
	fprintf(f, "\" name=\"");
	put_xml(f, c->name);
	fprintf(f, "\" file=\"");
	put_xml(f, c->s->file);
	fprintf(f, "\" time=\"%.3f\">", seconds(c->result));
	if (!c->result->verdict || c->result->verdict == CASE_INTERRUPTED)
		fprintf(f, "<skipped/>");
	else if (c->result->verdict != CASE_PASSED)
		junit_failure(f, c);
	fprintf(f, "</testcase>\n");
}

void output_junit_write(FILE *f, const struct runner *r)
{
	double all = 0;

	for (size_t i = 0; i < r->cases; i++)
		all += seconds(r->item[i].result);
	fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite "
		"name=\"shakedown\" "
		"tests=\"%zu\" failures=\"%u\" errors=\"%u\" skipped=\"%zu\" time=\"%.3f\">\n",
		r->cases, r->failed, r->cannot, r->cases - r->passed - r->failed - r->cannot, all);
	for (size_t i = 0; i < r->cases; i++)
		junit_case(f, &r->item[i]);
	fprintf(f, "  </testsuite>\n</testsuites>\n");
}

static void junit_end(const struct runner *r)
{
	output_junit_write(stdout, r);
}

const struct output output_junit = {"junit", junit_begin, junit_each, junit_end};

/* ---- JSON ---- */

static json_t *text_value(const char *text)
{
	size_t n;
	char *clean = format_utf8((struct span){(const uint8_t *)text, strlen(text)}, &n);
	json_t *value = clean ? json_stringn(clean, n) : NULL;

	free(clean);
	return value;
}

static json_t *messages(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n);

		if (line)
			json_array_append_new(list, text_value(line));
		free(line);
		text += n + (text[n] == '\n');
	}
	return list;
}

static json_t *case_value(const struct runner_case *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "scenario", text_value(c->s->name));
	json_object_set_new(o, "file", text_value(c->s->file));
	json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));
	json_object_set_new(o, "result", json_string(runner_verdict_name(c->result->verdict)));
	json_object_set_new(o, "rounds", json_integer((json_int_t)c->result->rounds));
	json_object_set_new(o, "took_ns", json_integer((json_int_t)c->result->took_ns));
	json_object_set_new(o, "messages", messages(c->result->text));
	json_object_set_new(o, "trace",
			    c->result->trace[0] ? text_value(c->result->trace) : json_null());
	return o;
}

static void json_end(const struct runner *r)
{
	json_t *all = json_object(), *cases = json_array();

	for (size_t i = 0; i < r->cases; i++)
		json_array_append_new(cases, case_value(&r->item[i]));
	json_object_set_new(all, "version", json_integer(1));
	json_object_set_new(all, "passed", json_integer(r->passed));
	json_object_set_new(all, "failed", json_integer(r->failed));
	json_object_set_new(all, "errors", json_integer(r->cannot));
	json_object_set_new(all, "cases", cases);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

const struct output output_json = {"json", junit_begin, junit_each, json_end};
