/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/case: rounds.
 */
#include "tools/scenario/case.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/format/format.h"
#include "tools/scenario/client.h"
#include "tools/verb/value.h"

#define SECOND UINT64_C(1000000000)

enum {
	CRASH_NS = 300 * 1000 * 1000, /* a crash takes no longer to be seen */
	PORTS_FROM = 10240,	      /* below those the kernel gives to connecting clients */
	PORTS_TO = 32768,
	PORT_TRIES = 200,
	TAIL_LINES = 12,
};

/* ---- what is said ---- */

static void say(struct case_result *r, const char *text)
{
	size_t n = strlen(r->text);

	snprintf(r->text + n, sizeof(r->text) - n, "%s\n", text);
}

bool case_fail(struct run_case *c, struct place at, const char *format, ...)
{
	struct scenario_error e = {.at = at};
	char line[2048];
	size_t n;
	va_list args;

	va_start(args, format);
	vsnprintf(e.what, sizeof(e.what), format, args);
	va_end(args);
	n = strlen(scenario_error_text(&e, line, sizeof(line) - 64));
	if (c->s->sweep)
		snprintf(line + n, sizeof(line) - n, " (n = %" PRIu64 ")", c->v.n);
	say(c->ret, line);
	c->failed = true;
	if (c->ret->verdict == CASE_RUNNING)
		c->ret->verdict = CASE_FAILED;
	return false;
}

static struct place target_place(const struct run_case *c)
{
	struct place whole = {c->s->file, 0, 0};

	return c->s->target ? c->s->target->at : whole;
}

/* The last lines that the server printed. */
static void say_tail(struct run_case *c)
{
	char *tail = server_tail(c->server.log), *line, *rest = tail, shown[400];
	unsigned lines = 0, skip;

	for (const char *p = tail; p && *p; p++)
		lines += *p == '\n';
	skip = lines > TAIL_LINES ? lines - TAIL_LINES : 0;
	while (tail && (line = strtok_r(rest == tail ? tail : NULL, "\n", &rest))) {
		if (skip && skip--)
			continue;
		snprintf(shown, sizeof(shown), "    server: ");
		format_escape(shown + strlen(shown), sizeof(shown) - strlen(shown),
			      (struct span){(const uint8_t *)line, strlen(line)}, NULL);
		say(c->ret, shown);
	}
	free(tail);
}

/* ---- waiting ---- */

static bool may_exit(const struct run_case *c)
{
	for (const struct yaml *e = c->s->expect ? c->s->expect->first : NULL; e; e = e->next) {
		const char *state = keys_text(yaml_get(e, "server"), "state");

		if (state && !strcmp(state, "exited"))
			return true;
	}
	return false;
}

bool case_broken(struct run_case *c, struct place at)
{
	char how[64];

	if (c->ret->verdict == CASE_INTERRUPTED || server_interrupted(&c->server)) {
		c->ret->verdict = CASE_INTERRUPTED;
		return true;
	}
	if (scenario_now_ns() >= c->deadline) {
		case_fail(c, at, "the case took longer than --timeout allows, and was ended here");
		return true;
	}
	if (!server_running(&c->server) && !may_exit(c)) {
		case_fail(c, at, "the server %s while this was under way",
			  server_ending(c->server.status, how, sizeof(how)));
		return true;
	}
	return false;
}

bool case_wait(struct run_case *c, bool watch, uint64_t deadline)
{
	int fd[CASE_JOBS];
	unsigned n = 0;
	bool was_running = c->server.running;

	for (unsigned i = 0; i < c->jobs; i++) {
		if (c->job[i].running)
			fd[n++] = c->job[i].pidfd;
	}
	if (deadline > c->deadline)
		deadline = c->deadline;
	if (!server_wait(&c->server, fd, n, watch, deadline))
		return false;
	return server_running(&c->server) || !was_running || may_exit(c);
}

uint64_t case_hits(const struct run_case *c, size_t rule)
{
	return server_hits(&c->server, (uint32_t)rule);
}

size_t case_rule(const struct run_case *c, const char *name)
{
	for (size_t i = 0; i < c->rules; i++) {
		if (!strcmp(c->rule[i].name, name))
			return i;
	}
	return 0; /* the loader has checked the names */
}

/* ---- setting up ---- */

/* A port of the loopback interface nobody listens on at this moment. */
static uint64_t free_port(void)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_ANY)};
		uint16_t draw = 0;
		bool ok;
		int fd;

		(void)!getrandom(&draw, sizeof(draw), 0);
		draw = (uint16_t)(PORTS_FROM + draw % (PORTS_TO - PORTS_FROM));
		a.sin_port = htons(draw);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ok = fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a));
		if (fd >= 0)
			close(fd);
		if (ok)
			return draw;
	}
	return 0;
}

static void choose_port(struct run_case *c)
{
	uint64_t port = keys_number(c->s->target, "port", 0);

	if (c->s->given->port)
		value_number(c->s->given->port, &port);
	c->v.port = port ? port : free_port();
}

/* The command with its variables, and whether it asks for the port. */
static char **target_command(struct run_case *c, bool *ret_port)
{
	const struct yaml *cmd = c->s->target ? yaml_get(c->s->target, "cmd") : NULL;
	struct variables other = c->v;
	size_t n = 0, k = 0;
	char **argv, *rest, *word;

	other.port ^= 1;
	while (c->s->given->command && c->s->given->command[n])
		n++;
	if (cmd)
		n = cmd->kind == YAML_LIST ? cmd->count : cmd->len + 1;
	argv = arena_alloc(c->arena, (n + 1) * sizeof(*argv));
	if (!cmd) {
		for (; k < n; k++)
			argv[k] = c->s->given->command[k];
	} else if (cmd->kind == YAML_LIST) {
		for (const struct yaml *w = cmd->first; w; w = w->next)
			argv[k++] = (char *)(uintptr_t)w->text;
	} else {
		rest = arena_copy(c->arena, cmd->text, cmd->len + 1);
		while ((word = strtok_r(k ? NULL : rest, " \t\n", &rest)))
			argv[k++] = word;
	}
	*ret_port = false;
	for (size_t i = 0; i < k; i++) {
		char *with = expand(&c->v, argv[i], false, c->arena);

		*ret_port |= strcmp(with, expand(&other, argv[i], false, c->arena)) != 0;
		argv[i] = with;
	}
	return argv;
}

static char **target_environment(struct run_case *c)
{
	const struct yaml *env = yaml_get(c->s->target, "env");
	char **ret = arena_alloc(c->arena, ((env ? env->count : 0) + 2) * sizeof(*ret));
	size_t n = 0;
	char port[40];

	snprintf(port, sizeof(port), "PORT=%" PRIu64, c->v.port);
	ret[n++] = arena_copy(c->arena, port, strlen(port) + 1);
	for (const struct yaml *e = env ? env->first : NULL; e; e = e->next) {
		const char *value = expand(&c->v, e->text, false, c->arena);
		size_t size = strlen(e->key) + strlen(value) + 2;

		ret[n] = arena_alloc(c->arena, size);
		snprintf(ret[n++], size, "%s=%s", e->key, value);
	}
	return ret;
}

static const char *target_folder(struct run_case *c)
{
	const char *cwd = keys_text(c->s->target, "cwd");
	size_t size;
	char *ret;

	if (!c->s->target)
		return NULL;
	if (!cwd)
		return c->s->folder;
	cwd = expand(&c->v, cwd, false, c->arena);
	if (cwd[0] == '/')
		return cwd;
	size = strlen(c->s->folder) + strlen(cwd) + 2;
	ret = arena_alloc(c->arena, size);
	snprintf(ret, size, "%s/%s", c->s->folder, cwd);
	return ret;
}

static struct listen_wanted target_listen(struct run_case *c, bool uses_port)
{
	const char *listen = keys_text(yaml_get(c->s->target, "ready"), "listen");
	struct listen_wanted w = {.port = uses_port ? (uint16_t)c->v.port : 0};
	uint64_t port;

	if (!listen || !strcmp(listen, "any"))
		return w;
	listen = expand(&c->v, listen, false, c->arena);
	w.port = value_number(listen, &port) ? 0 : (uint16_t)port;
	w.path = listen[0] == '/' ? listen : NULL;
	return w;
}

static bool collect_rules(struct run_case *c)
{
	struct scenario_rule sweep;
	struct scenario_error e;

	for (size_t i = 0; i < c->s->rules; i++)
		c->rule[c->rules++] = c->s->rule[i].rule;
	if (!c->s->sweep)
		return true;
	if (!scenario_sweep_rule(c->s, c->v.n, &sweep, &e))
		return case_fail(c, e.at, "%s", e.what);
	c->on = c->ever_on = UINT64_C(1) << c->rules;
	c->rule[c->rules++] = sweep.rule;
	return true;
}

static bool start(struct run_case *c)
{
	const struct yaml *ready = yaml_get(c->s->target, "ready");
	struct server_setup setup = {.tool = c->setup->tool,
				     .dir = c->dir,
				     .seed = c->setup->seed,
				     .replay = c->s->replay,
				     .interrupt = c->setup->interrupt};
	enum server_result result;
	char why[1024];
	bool uses_port;

	choose_port(c);
	setup.argv = target_command(c, &uses_port);
	setup.env = target_environment(c);
	setup.cwd = target_folder(c);
	setup.listen = target_listen(c, uses_port);
	setup.ready_ns = keys_time(ready, "within", 10 * SECOND);
	if (c->deadline - scenario_now_ns() < setup.ready_ns)
		setup.ready_ns = c->deadline - scenario_now_ns();
	setup.rule = c->rule;
	setup.rules = (uint32_t)c->rules;
	setup.on = c->on;
	result = server_start(&setup, &c->server, why, sizeof(why));
	if (result == SERVER_OK) {
		c->started = true;
		c->v.port = c->server.at.port;
		c->v.host = c->server.at.host;
		return true;
	}
	if (result == SERVER_INTERRUPTED) {
		c->ret->verdict = CASE_INTERRUPTED;
		return false;
	}
	case_fail(c, target_place(c), "%s", why);
	if (result == SERVER_CANNOT)
		c->ret->verdict = CASE_CANNOT;
	say_tail(c);
	return false;
}

/* ---- the end ---- */

static void settle(struct run_case *c)
{
	uint64_t began = scenario_now_ns(), cpu = proc_cpu_ns(c->server.pid);
	uint64_t deadline = began + keys_time(c->s->root, "settle", 0);

	while (scenario_now_ns() < deadline && case_wait(c, false, deadline))
		continue;
	c->settled_ns = scenario_now_ns() - began;
	c->settled_cpu_ns = proc_cpu_ns(c->server.pid) - cpu;
}

static void stop(struct run_case *c)
{
	const struct yaml *y = yaml_get(c->s->target, "stop");
	const char *name = keys_text(y, "signal");
	uint64_t within = keys_time(y, "within", 5 * SECOND);
	bool running = c->server.running;

	jobs_kill(c);
	/* Bytes that a rule still holds back must not keep the server from ending. */
	control_file_switch(&c->server.control, 0);
	if (!server_stop(&c->server, name ? signal_by_name(name) : SIGTERM, within) && running &&
	    c->ret->verdict != CASE_INTERRUPTED)
		case_fail(c, y ? y->at : target_place(c),
			  "the server did not end within %.3g s of SIG%s, and was killed",
			  (double)within / 1e9, name ? name : "TERM");
}

/* A client that fails may be the first to learn that the server has crashed. */
static void check_alive(struct run_case *c)
{
	uint64_t deadline = scenario_now_ns() + CRASH_NS;
	bool told = !c->server.running;
	char how[64];

	while (c->failed && c->server.running && server_wait(&c->server, NULL, 0, false, deadline))
		continue;
	if (!server_running(&c->server) && !may_exit(c) && !told)
		case_fail(c, target_place(c), "the server %s",
			  server_ending(c->server.status, how, sizeof(how)));
}

/* Whose reports stay when the rest of the folder goes; NULL: none. */
static _Thread_local const struct scenario *kept;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (ftw->level <= 1 && kept && (!ftw->level || reports_own(kept, path + ftw->base)))
		return 0;
	return remove(path);
}

/* A server may listen before it has opened all that it keeps, as one does whose workers were just forked.
 * Count when it has come to rest; one that never does is counted as it is. */
static uint64_t descriptors_at_rest(pid_t root)
{
	static const struct timespec moment = {0, 10000000};
	uint64_t before = 0, now = proc_descriptors(root);

	for (int i = 0, still = 0; i < 100 && still < 3; i++) {
		nanosleep(&moment, NULL);
		before = now;
		now = proc_descriptors(root);
		still = now == before && proc_at_rest(root) ? still + 1 : 0;
	}
	return now;
}

/* One round: true when it passed. */
static bool run_round(struct run_case *c)
{
	bool through;

	if (mkdir(c->dir, 0700)) {
		case_fail(c, (struct place){c->dir, 0, 0}, "cannot be made: %s", strerror(errno));
		c->ret->verdict = CASE_CANNOT;
		return false;
	}
	if (!collect_rules(c) || !start(c))
		return false;
	c->descriptors = descriptors_at_rest(c->server.pid);
	through = steps_run(c);
	if (through)
		settle(c);
	check_alive(c);
	if (through && c->ret->verdict != CASE_INTERRUPTED)
		expect_running(c);
	for (size_t i = 0; i < c->rules; i++)
		c->stat_hits[i] = case_hits(c, i);
	stop(c);
	if (through && c->ret->verdict != CASE_INTERRUPTED)
		expect_trace(c);
	if (c->failed)
		say_tail(c);
	c->reported = reports_write(c);
	return !c->failed && c->ret->verdict != CASE_INTERRUPTED;
}

static void round_done(struct run_case *c, bool passed)
{
	server_done(&c->server);
	proc_kill_tree(getpid());
	kept = c->reported ? c->s : NULL;
	if (c->reported)
		snprintf(c->ret->reports, sizeof(c->ret->reports), "%s", c->setup->dir);
	if (passed && !c->setup->keep)
		nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	else if (!passed && c->started)
		snprintf(c->ret->trace, sizeof(c->ret->trace), "%s", c->server.trace);
	arena_free(c->arena);
}

/* Returns true when the sweep goes on. */
static bool case_round(const struct case_setup *setup, const char *dir, uint64_t n,
		       uint64_t deadline, struct case_result *ret)
{
	static _Thread_local struct run_case c;
	size_t sweep;
	bool passed;

	c = (struct run_case){
		.setup = setup, .s = setup->s, .ret = ret, .dir = dir, .deadline = deadline};
	c.server.pidfd = -1;
	c.server.interrupt = setup->interrupt;
	c.arena = arena_new();
	c.began = scenario_now_ns();
	c.v = (struct variables){.path = setup->s->given->path,
				 .host = "127.0.0.1",
				 .dir = dir,
				 .seed = setup->seed,
				 .n = n};
	ret->rounds++;
	passed = run_round(&c);
	sweep = c.rules - 1;
	if (passed && setup->s->sweep && !c.stat_hits[sweep] && n == setup->s->sweep_first)
		passed = case_fail(
			&c, setup->s->sweep->at,
			"vacuous: the rule of the sweep never acted, so this proves nothing");
	round_done(&c, passed);
	return passed && setup->s->sweep && c.stat_hits[sweep];
}

static void sweep(const struct case_setup *setup, uint64_t deadline, struct case_result *ret)
{
	const struct scenario *s = setup->s;
	uint64_t n = s->sweep_first;
	char dir[PATH_MAX];

	mkdir(setup->dir, 0700);
	for (;; n++) {
		snprintf(dir, sizeof(dir), "%.3500s/n-%" PRIu64, setup->dir, n);
		if (!case_round(setup, dir, n, deadline, ret) || n == s->sweep_last)
			break;
		if (n - s->sweep_first < SCENARIO_ROUNDS)
			continue;
		snprintf(ret->text, sizeof(ret->text), "%.300s: the sweep has no end: %d rounds\n",
			 s->file, SCENARIO_ROUNDS);
		ret->verdict = CASE_FAILED;
		break;
	}
	if (ret->verdict == CASE_RUNNING)
		rmdir(setup->dir);
}

void case_run(const struct case_setup *setup, struct case_result *ret)
{
	uint64_t began = scenario_now_ns();
	uint64_t deadline = setup->timeout_ns ? began + setup->timeout_ns : UINT64_MAX;

	ret->verdict = CASE_RUNNING;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (setup->s->sweep)
		sweep(setup, deadline, ret);
	else
		case_round(setup, setup->dir, 0, deadline, ret);
	ret->took_ns = scenario_now_ns() - began;
	if (ret->verdict == CASE_RUNNING)
		ret->verdict = CASE_PASSED;
}
