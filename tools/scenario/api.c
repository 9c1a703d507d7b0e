/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/api: the functions of include/shakedown.h.  They keep to this file's own names and change
 * nothing of the process they are in: no signal's disposition, no subreaper.
 */
#include "include/shakedown.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/format/format.h"
#include "tools/scenario/observe.h"
#include "tools/scenario/server.h"

#define MS UINT64_C(1000000)

struct shakedown {
	struct server server;
	uint32_t rules;
	struct fault_rule *rule;
	uint64_t on;
	char dir[PATH_MAX];
	bool made, keep;
	unsigned stop_ms;
	char error[512];
};

static int fail(struct shakedown *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct shakedown *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	return -1;
}

/* ---- start ---- */

static bool find_tool(const char *given, char ret[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (given)
		return realpath(given, ret) && !access(ret, X_OK);
	while (path && *path) {
		size_t n = strcspn(path, ":");
		char name[PATH_MAX];

		snprintf(name, sizeof(name), "%.*s/shakedown", (int)n, path);
		if (!access(name, X_OK) && realpath(name, ret))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static bool make_dir(struct shakedown *s, const char *given)
{
	const char *tmp = getenv("TMPDIR");
	char name[PATH_MAX];

	if (given) {
		s->made = !mkdir(given, 0700);
		return (s->made || errno == EEXIST) && realpath(given, s->dir);
	}
	snprintf(name, sizeof(name), "%.3000s/shakedown-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	s->made = mkdtemp(name) != NULL;
	return s->made && realpath(name, s->dir);
}

static bool read_rules(struct shakedown *s, const char *text, char *why, size_t size)
{
	struct fault_error e;

	s->rule = calloc(FAULT_RULES, sizeof(*s->rule));
	if (!s->rule) {
		snprintf(why, size, "no memory");
		return false;
	}
	if (!text || fault_parse_rules(text, strlen(text), s->rule, FAULT_RULES, &s->rules, &e))
		return true;
	snprintf(why, size, "rules, byte %u: %s%s%s", e.at, e.what,
		 e.expected[0] ? "; expected " : "", e.expected);
	return false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void give_back(struct shakedown *s)
{
	server_done(&s->server);
	if (s->made && !s->keep)
		nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(s->rule);
	free(s);
}

/* Behind the sentence: what the server printed last, without what a terminal would obey. */
static void add_tail(const struct shakedown *s, char *why, size_t size)
{
	char *tail = server_tail(s->server.log), *clean = tail ? format_clean(tail) : NULL;
	size_t n = strlen(why);

	if (clean && *clean && n < size)
		snprintf(why + n, size - n, "; it printed: %s", clean);
	free(clean);
	free(tail);
}

static bool start(struct shakedown *s, const struct shakedown_options *o, char *const argv[],
		  char *why, size_t size)
{
	struct server_setup setup = {.dir = s->dir,
				     .argv = argv,
				     .cwd = o->cwd,
				     .listen.port = o->port,
				     .ready_ns = (o->ready_ms ? o->ready_ms : 10000) * MS,
				     .seed = o->seed ? o->seed : 1,
				     .interrupt = -1};
	char tool[PATH_MAX];

	if (!find_tool(o->tool, tool)) {
		snprintf(why, size,
			 "the command shakedown is not in PATH; name it in options.tool");
		return false;
	}
	if (!make_dir(s, o->dir)) {
		snprintf(why, size, "cannot make a folder for the trace: %s", strerror(errno));
		return false;
	}
	if (!read_rules(s, o->rules, why, size))
		return false;
	setup.tool = tool;
	setup.rule = s->rule;
	setup.rules = s->rules;
	if (server_start(&setup, &s->server, why, size) == SERVER_OK)
		return true;
	add_tail(s, why, size);
	return false;
}

struct shakedown *shakedown_start(const struct shakedown_options *options, char *const argv[],
				  char *why, size_t size)
{
	static const struct shakedown_options plain;
	struct shakedown *s = calloc(1, sizeof(*s));
	char room[512];

	if (!why) {
		why = room;
		size = sizeof(room);
	}
	if (!s) {
		snprintf(why, size, "no memory");
		return NULL;
	}
	options = options ? options : &plain;
	s->keep = options->keep;
	s->stop_ms = options->stop_ms ? options->stop_ms : 5000;
	s->server.pidfd = -1;
	if (start(s, options, argv, why, size))
		return s;
	give_back(s);
	return NULL;
}

int shakedown_stop(struct shakedown *s)
{
	int status;

	if (!s)
		return 0;
	control_file_switch(&s->server.control, 0); /* held bytes must not keep it from ending */
	status = server_stop(&s->server, SIGTERM, s->stop_ms * MS) ? s->server.status : -1;
	give_back(s);
	return status;
}

/* ---- what it is ---- */

uint16_t shakedown_port(const struct shakedown *s)
{
	return s->server.at.port;
}

const char *shakedown_host(const struct shakedown *s)
{
	return s->server.at.path[0] ? s->server.at.path : s->server.at.host;
}

const char *shakedown_trace(const struct shakedown *s)
{
	return s->server.trace;
}

int shakedown_running(struct shakedown *s)
{
	return server_running(&s->server);
}

const char *shakedown_error(const struct shakedown *s)
{
	return s->error;
}

/* ---- rules ---- */

/* Index of the rule; -1. */
static int rule_find(const struct shakedown *s, const char *name)
{
	for (uint32_t i = 0; i < s->rules; i++) {
		if (!strcmp(s->rule[i].name, name))
			return (int)i;
	}
	return -1;
}

static int switch_rule(struct shakedown *s, const char *rule, bool on)
{
	uint64_t mask = UINT64_MAX;
	int i = rule_find(s, rule);

	if (!strcmp(rule, "all"))
		mask = s->rules ? UINT64_MAX >> (64 - s->rules) : 0;
	else if (i >= 0)
		mask = UINT64_C(1) << i;
	else
		return fail(s, "there is no rule '%s'", rule);
	s->on = on ? s->on | mask : s->on & ~mask;
	if (control_file_switch(&s->server.control, s->on))
		return 0;
	return fail(s, "%s", s->server.control.why);
}

int shakedown_on(struct shakedown *s, const char *rule)
{
	return switch_rule(s, rule, true);
}

int shakedown_off(struct shakedown *s, const char *rule)
{
	return switch_rule(s, rule, false);
}

int shakedown_release(struct shakedown *s, const char *name)
{
	return control_file_release(&s->server.control, name)
		       ? 0
		       : fail(s, "%s", s->server.control.why);
}

int64_t shakedown_hits(const struct shakedown *s, const char *rule)
{
	int i = rule_find(s, rule);

	return i < 0 ? -1 : (int64_t)server_hits(&s->server, (uint32_t)i);
}

/* ---- waiting ---- */

static int wait_hits(struct shakedown *s, int i, const char *rule, uint64_t count,
		     uint64_t deadline)
{
	while (server_hits(&s->server, (uint32_t)i) < count) {
		if (!s->server.running)
			return fail(s, "the server ended before rule '%s' had acted", rule);
		if (!server_wait(&s->server, NULL, 0, true, deadline) &&
		    server_hits(&s->server, (uint32_t)i) < count)
			return fail(s, "rule '%s' did not act in time", rule);
	}
	return 0;
}

int shakedown_wait_hits(struct shakedown *s, const char *rule, uint64_t count, unsigned timeout_ms)
{
	uint64_t deadline = scenario_now_ns() + timeout_ms * MS;
	int i = rule_find(s, rule), result;

	if (i < 0)
		return fail(s, "there is no rule '%s'", rule);
	server_watch(&s->server, true);
	result = wait_hits(s, i, rule, count, deadline);
	server_watch(&s->server, false);
	return result;
}

static bool has_entered(const struct shakedown *s, const struct observe_where *w, enum phase phase,
			unsigned count)
{
	struct trace_set *set = observe_load(s->server.trace);
	bool entered = set && observe_phase(set, w, phase) >= count;

	trace_set_free(set);
	return entered;
}

int shakedown_wait_phase(struct shakedown *s, const char *phase, const char *path, unsigned count,
			 unsigned timeout_ms)
{
	uint64_t deadline = scenario_now_ns() + timeout_ms * MS;
	struct observe_where w = {.path = path, .attempt = -1};
	enum phase which;

	if (!phase_from_name((struct span){(const uint8_t *)phase, strlen(phase)}, &which))
		return fail(s, "there is no phase '%s'", phase);
	for (;;) {
		bool late = !server_wait(&s->server, NULL, 0, true, deadline);

		if (has_entered(s, &w, which, count))
			return 0;
		if (late || !s->server.running)
			return fail(s, "no exchange entered the phase %s %s", phase,
				    late ? "in time" : "before the server ended");
	}
}

/* ---- findings ---- */

struct visit {
	void (*visit)(void *ctx, const struct shakedown_finding *f);
	void *ctx;
	const char *id;
	int n;
};

static void tell(void *ctx, const struct finding *f)
{
	struct visit *v = ctx;
	struct shakedown_finding one = {finding_info(f->id)->id, severity_name(f->severity),
					f->message};

	if (v->id && strcmp(v->id, one.id))
		return;
	v->n++;
	if (v->visit)
		v->visit(v->ctx, &one);
}

static int findings(struct shakedown *s, struct visit *v)
{
	struct trace_set *set = observe_load(s->server.trace);

	if (!set)
		return fail(s, "nothing has been recorded yet");
	observe_findings(set, tell, v);
	trace_set_free(set);
	return v->n;
}

int shakedown_findings(struct shakedown *s,
		       void (*visit)(void *ctx, const struct shakedown_finding *f), void *ctx)
{
	return findings(s, &(struct visit){.visit = visit, .ctx = ctx});
}

int shakedown_finding_count(struct shakedown *s, const char *id)
{
	return findings(s, &(struct visit){.id = id});
}
