/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/report: the files that a scenario asks for, written when a round has ended: what the trace
 * says (.jsonl, .json, .txt), a summary (.md), and the result as CI reads it (.xml).
 *
 * A name without a folder lies in the folder of the round and stays there when the rest goes.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/format/format.h"
#include "tools/scenario/runner.h"

static bool ends_in(const char *name, const char *ending)
{
	const char *dot = strrchr(name, '.');

	return dot && !strcmp(dot, ending);
}

bool reports_own(const struct scenario *s, const char *name)
{
	for (const struct yaml *w = keys_words(s->root, "report"); w;
	     w = keys_word_next(s->root, "report", w)) {
		if (!strcmp(w->text, name))
			return true;
	}
	return false;
}

/* What `report` says of the trace, in that format, into the file. */
static bool ask_report(const struct run_case *c, const char *format, FILE *to)
{
	int status = 0;
	pid_t pid;

	fflush(to);
	pid = fork();
	if (pid == 0) {
		if (dup2(fileno(to), 1) == 1)
			execl(c->setup->tool, c->setup->tool, "report", "--all", "--format", format,
			      c->server.trace, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

/* ---- one exchange per line ---- */

static bool write_lines(const struct run_case *c, FILE *f)
{
	FILE *whole = tmpfile();
	json_t *all = NULL, *process, *exchange;
	size_t i, k;
	bool read;

	if (whole && ask_report(c, "json", whole)) {
		rewind(whole);
		all = json_loadf(whole, 0, NULL);
	}
	json_array_foreach(json_object_get(all, "processes"), i, process)
	{
		json_array_foreach(json_object_get(process, "exchanges"), k, exchange)
		{
			json_object_set(exchange, "pid", json_object_get(process, "pid"));
			json_dumpf(exchange, f, JSON_COMPACT);
			putc('\n', f);
		}
	}
	if (whole)
		fclose(whole);
	read = all != NULL;
	json_decref(all);
	return read;
}

/* ---- summary ---- */

/* Each line of what was said, as an item; nothing of it is markup. */
static void put_items(FILE *f, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		fprintf(f, "    %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static bool write_summary(const struct run_case *c, const struct runner_case *item, FILE *f)
{
	fprintf(f, "# %s: %s\n\n", item->name, runner_verdict_name(item->result->verdict));
	if (c->s->about)
		fprintf(f, "    %s\n\n", c->s->about);
	fprintf(f, "seed %" PRIu64, item->seed);
	if (c->s->sweep)
		fprintf(f, ", n = %" PRIu64, c->v.n);
	fprintf(f, ", %.2f s\n", (double)item->result->took_ns / 1e9);
	if (item->result->text[0])
		fprintf(f, "\n## What did not hold\n\n");
	put_items(f, item->result->text);
	if (c->rules)
		fprintf(f, "\n## Rules\n\n| rule | acted |\n|---|---|\n");
	for (size_t i = 0; i < c->rules; i++)
		fprintf(f, "| `%s` | %" PRIu64 " |\n", c->rule[i].name, c->stat_hits[i]);
	fprintf(f, "\n## Trace\n\n```\n");
	if (!c->started || !ask_report(c, "text", f))
		fprintf(f, "nothing was recorded\n");
	fprintf(f, "```\n");
	return true;
}

/* ---- all ---- */

/* The case as it stands, for those who print cases: it would pass now. */
static void describe(const struct run_case *c, struct runner_case *item, struct case_result *result)
{
	*result = *c->ret;
	result->took_ns = scenario_now_ns() - c->began;
	if (result->verdict == CASE_RUNNING)
		result->verdict = CASE_PASSED;
	if (c->failed && c->started)
		snprintf(result->trace, sizeof(result->trace), "%s", c->server.trace);
	*item = (struct runner_case){.s = c->s, .seed = c->setup->seed, .result = result};
	runner_name(c->s, item->seed, item->name, sizeof(item->name));
}

static bool write_junit(const struct runner_case *item, FILE *f)
{
	struct runner_case one = *item;
	struct runner r = {.cases = 1, .item = &one};

	r.passed = one.result->verdict == CASE_PASSED;
	r.failed = one.result->verdict == CASE_FAILED;
	r.cannot = one.result->verdict == CASE_CANNOT;
	output_junit_write(f, &r);
	return true;
}

static bool write_one(const struct run_case *c, const struct runner_case *item, const char *name,
		      FILE *f)
{
	if (ends_in(name, ".xml"))
		return write_junit(item, f);
	if (ends_in(name, ".md"))
		return write_summary(c, item, f);
	if (!c->started)
		return true; /* there is no trace: an empty file */
	if (ends_in(name, ".jsonl"))
		return write_lines(c, f);
	return ask_report(c, ends_in(name, ".json") ? "json" : "text", f);
}

/* Where the file goes: *ret_own says into the folder of the round. */
static void place_of(struct run_case *c, const char *text, char ret[PATH_MAX], bool *ret_own)
{
	const char *name = expand(&c->v, text, false, c->arena);
	const char *folder = c->s->given->command ? "." : c->s->folder;

	*ret_own = !strchr(text, '/');
	if (*ret_own)
		folder = c->dir;
	snprintf(ret, PATH_MAX, "%.2000s%s%.2000s", name[0] == '/' ? "" : folder,
		 name[0] == '/' ? "" : "/", *ret_own ? text : name);
}

bool reports_write(struct run_case *c)
{
	static _Thread_local struct case_result result;
	struct runner_case item;
	bool any = false;

	describe(c, &item, &result);
	for (const struct yaml *w = keys_words(c->s->root, "report"); w;
	     w = keys_word_next(c->s->root, "report", w)) {
		char path[PATH_MAX];
		bool own, ok;
		FILE *f;
		int fd;

		place_of(c, w->text, path, &own);
		any |= own;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		f = fd >= 0 ? fdopen(fd, "w") : NULL;
		ok = f && write_one(c, &item, path, f);
		if (f)
			ok &= !fclose(f);
		if (!ok)
			case_fail(c, w->at, "the report %.300s cannot be written", path);
	}
	return any;
}
