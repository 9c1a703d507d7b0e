/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/jobs: clients and programs of a case, each a process of its own that can be killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/scenario/case.h"
#include "tools/scenario/client.h"

#define SECOND UINT64_C(1000000000)

enum {
	NOT_FOUND = 127,
	CLIENT_GRACE_MS = 500, /* a client ends by itself at its timeout, and says why */
};

/* ---- start ---- */

static char **words_of(struct run_case *c, const struct yaml *map)
{
	const struct yaml *cmd = yaml_get(map, "cmd");
	size_t n = cmd->kind == YAML_LIST ? cmd->count : cmd->len + 1, k = 0;
	char **argv = arena_alloc(c->arena, (n + 1) * sizeof(*argv)), *rest, *word;

	if (cmd->kind == YAML_LIST) {
		for (const struct yaml *w = cmd->first; w; w = w->next)
			argv[k++] = expand(&c->v, w->text, false, c->arena);
		return argv;
	}
	rest = arena_copy(c->arena, cmd->text, cmd->len + 1);
	while ((word = strtok_r(k ? NULL : rest, " \t\n", &rest)))
		argv[k++] = expand(&c->v, word, false, c->arena);
	return argv;
}

static void set_environment(struct run_case *c, const struct yaml *map)
{
	const struct yaml *env = yaml_get(map, "env");
	char port[24];

	snprintf(port, sizeof(port), "%llu", (unsigned long long)c->v.port);
	setenv("HOST", c->v.host, 1);
	setenv("PORT", port, 1);
	for (const struct yaml *e = env ? env->first : NULL; e; e = e->next)
		setenv(e->key, expand(&c->v, e->text, false, c->arena), 1);
}

static _Noreturn void be_program(struct run_case *c, struct job *j)
{
	char **argv = words_of(c, j->step);
	int log = open(j->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	if (log >= 0) {
		dup2(log, 1);
		dup2(log, 2);
	}
	set_environment(c, j->step);
	if (!c->s->given->command && chdir(c->s->folder))
		dprintf(2, "cannot enter %s: %s\n", c->s->folder, strerror(errno));
	else if (argv[0])
		execvp(argv[0], argv);
	dprintf(2, "%s cannot be executed: %s\n", argv[0] ? argv[0] : "", strerror(errno));
	_exit(NOT_FOUND);
}

static _Noreturn void be_client(struct run_case *c, struct job *j)
{
	client_run(j->step, &c->server.at, &c->v, j->result);
	_exit(j->result->ok ? 0 : 1);
}

static bool fork_job(struct run_case *c, struct job *j)
{
	pid_t me = getpid();

	j->pid = fork();
	if (j->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != me)
			_exit(NOT_FOUND);
		if (j->kind == JOB_CLIENT)
			be_client(c, j);
		be_program(c, j);
	}
	if (j->pid > 0)
		setpgid(j->pid, j->pid);
	j->pidfd = j->pid > 0 ? (int)syscall(SYS_pidfd_open, j->pid, 0) : -1;
	if (j->pid > 0 && j->pidfd < 0) {
		kill(j->pid, SIGKILL);
		waitpid(j->pid, NULL, 0);
	}
	return j->pidfd >= 0;
}

struct job *job_start(struct run_case *c, const struct yaml *step, enum job_kind kind)
{
	struct job *j = &c->job[c->jobs];

	if (c->jobs >= CASE_JOBS) {
		case_fail(c, step->at, "there are too many clients and programs");
		return NULL;
	}
	*j = (struct job){.kind = kind, .step = step, .name = keys_text(step, "name")};
	snprintf(j->log, sizeof(j->log), "%.3000s/%.80s.%u.log", c->dir, j->name ? j->name : "run",
		 c->jobs);
	if (kind == JOB_CLIENT) {
		j->result = mmap(NULL, sizeof(*j->result), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (j->result == MAP_FAILED) {
			case_fail(c, step->at, "no memory for a client");
			return NULL;
		}
	}
	j->began = scenario_now_ns();
	j->deadline = j->began + keys_time(step, "timeout", 30 * SECOND) +
		      (kind == JOB_CLIENT ? CLIENT_GRACE_MS * UINT64_C(1000000) : 0);
	if (!fork_job(c, j)) {
		case_fail(c, step->at, "cannot start a process: %s", strerror(errno));
		return NULL;
	}
	j->running = true;
	c->jobs++;
	return j;
}

/* ---- end ---- */

static void job_reap(struct job *j)
{
	if (!j->running || waitpid(j->pid, &j->status, WNOHANG) == 0)
		return;
	j->running = false;
	j->ended = scenario_now_ns();
	close(j->pidfd);
	j->pidfd = -1;
	kill(-j->pid, SIGKILL); /* what it started and left behind */
}

void jobs_reap(struct run_case *c)
{
	uint64_t now = scenario_now_ns();

	for (unsigned i = 0; i < c->jobs; i++) {
		struct job *j = &c->job[i];

		job_reap(j);
		if (j->running && now >= j->deadline && !j->killed) {
			j->killed = true;
			kill(-j->pid, SIGKILL);
		}
	}
}

void jobs_kill(struct run_case *c)
{
	for (unsigned i = 0; i < c->jobs; i++) {
		struct job *j = &c->job[i];

		if (j->running) {
			kill(-j->pid, SIGKILL);
			while (waitpid(j->pid, &j->status, 0) < 0 && errno == EINTR)
				continue;
			close(j->pidfd);
			j->running = false;
			j->ended = scenario_now_ns();
		}
		if (j->result)
			munmap(j->result, sizeof(*j->result));
	}
	c->jobs = 0;
}

bool job_wait(struct run_case *c, struct job *j, struct place at, uint64_t deadline)
{
	jobs_reap(c);
	while (j->running) {
		bool late = !case_wait(c, false, deadline < j->deadline ? deadline : j->deadline);

		jobs_reap(c);
		if (!late || !j->running)
			continue;
		if (case_broken(c, at))
			return false;
		if (scenario_now_ns() >= deadline)
			return case_fail(c, at, "%s '%s' has not ended in time",
					 j->kind == JOB_CLIENT ? "client" : "run",
					 j->name ? j->name : "");
	}
	return true;
}

struct job *job_find(struct run_case *c, const char *name, enum job_kind kind)
{
	for (unsigned i = 0; i < c->jobs; i++) {
		if (c->job[i].kind == kind && c->job[i].name && !strcmp(c->job[i].name, name))
			return &c->job[i];
	}
	return NULL;
}

/* ---- judged ---- */

bool job_expected(const struct run_case *c, const struct job *j)
{
	const char *key = j->kind == JOB_CLIENT ? "client" : "run";

	for (const struct yaml *e = c->s->expect && j->name ? c->s->expect->first : NULL; e;
	     e = e->next) {
		if (yaml_get(yaml_get(e, key), j->name))
			return true;
	}
	return false;
}

static const char *called(const struct job *j, char *room, size_t size)
{
	if (j->name)
		snprintf(room, size, "%s '%.60s'", j->kind == JOB_CLIENT ? "client" : "run",
			 j->name);
	else
		snprintf(room, size, "%s", j->kind == JOB_CLIENT ? "the client" : "the program");
	return room;
}

bool job_check(struct run_case *c, const struct job *j)
{
	char name[80], how[64], *tail;
	struct place at;

	called(j, name, sizeof(name));
	if (j->killed)
		return case_fail(c, j->step->at, "%s hung: it was killed after %.3g s", name,
				 (double)(j->ended - j->began) / 1e9);
	if (j->kind == JOB_CLIENT) {
		if (j->result->ok)
			return true;
		at = j->result->at;
		at.file = c->s->file;
		return case_fail(c, at.line ? at : j->step->at, "%s: %s", name,
				 j->result->what[0] ? j->result->what : "it crashed");
	}
	if (WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0)
		return true;
	tail = server_tail(j->log);
	case_fail(c, j->step->at, "%s %s%s%.400s", name, server_ending(j->status, how, sizeof(how)),
		  tail && tail[0] ? "; it printed: " : "", tail ? tail : "");
	free(tail);
	return false;
}
