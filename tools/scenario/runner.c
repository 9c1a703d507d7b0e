/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/runner: the processes of the cases.
 */
#include "tools/scenario/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/verb/doctor.h"
#include "tools/verb/verb.h"

static const int ends_us[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

const char *runner_verdict_name(enum case_verdict v)
{
	static const char *const name[] = {"not run", "not run", "passed",
					   "failed",  "error",	 "interrupted"};

	return name[v];
}

void runner_name(const struct scenario *s, uint64_t seed, char *ret, size_t size)
{
	if (s->seeds > 1)
		snprintf(ret, size, "%s/%" PRIu64, s->name, seed);
	else
		snprintf(ret, size, "%s", s->name);
}

void runner_add(struct runner *r, const struct scenario *s)
{
	for (size_t i = 0; i < s->seeds; i++) {
		struct runner_case *c;

		r->item = array_grow(r->item, r->cases, &r->room, sizeof(*r->item));
		c = &r->item[r->cases++];
		*c = (struct runner_case){.s = s, .seed = s->seed[i]};
		runner_name(s, c->seed, c->name, sizeof(c->name));
	}
}

/* ---- a case ---- */

static _Noreturn void be_case(const struct runner *r, size_t i, pid_t parent)
{
	struct runner_case *c = &r->item[i];
	struct case_setup setup = {.s = c->s,
				   .seed = c->seed,
				   .tool = r->tool,
				   .keep = r->keep,
				   .timeout_ns = r->timeout_ns};
	char dir[PATH_MAX];
	sigset_t mask;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&mask);
	for (size_t k = 0; k < CORE_ARRAY_LEN(ends_us); k++)
		sigaddset(&mask, ends_us[k]);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	setup.interrupt = signalfd(-1, &mask, SFD_CLOEXEC);
	snprintf(dir, sizeof(dir), "%.3000s/%zu-%.80s", r->root, i + 1, c->name);
	for (char *p = dir + strlen(r->root) + 1; *p; p++)
		*p = *p == '/' ? '-' : *p;
	setup.dir = dir;
	case_run(&setup, c->result);
	_exit(0);
}

static bool start_case(struct runner *r, size_t i)
{
	struct runner_case *c = &r->item[i];
	pid_t me = getpid();

	fflush(NULL);
	c->pid = fork();
	if (c->pid == 0)
		be_case(r, i, me);
	if (c->pid > 0)
		setpgid(c->pid, c->pid);
	else
		snprintf(c->result->text, CASE_TEXT, "cannot start a process: %s\n",
			 strerror(errno));
	if (c->pid < 0)
		c->result->verdict = CASE_CANNOT;
	return c->pid > 0;
}

/* ---- results ---- */

static void count(struct runner *r, const struct case_result *result)
{
	r->passed += result->verdict == CASE_PASSED;
	r->failed += result->verdict == CASE_FAILED;
	r->cannot += result->verdict == CASE_CANNOT;
	r->finished++;
}

static bool is_done(const struct case_result *result)
{
	return result->verdict > CASE_RUNNING;
}

/* In order.  A case that failed may know that long before its process has ended, and the rest of what is to
 * be said of it. */
static void print_done(struct runner *r)
{
	while (r->printed < r->cases && !r->item[r->printed].pid &&
	       is_done(r->item[r->printed].result)) {
		r->output->each(r, r->printed);
		r->printed++;
	}
	fflush(stdout);
}

/* Its process has ended: did it say how? */
static void case_ended(struct runner *r, struct runner_case *c, int status)
{
	char how[64];

	c->pid = 0;
	if (!is_done(c->result)) {
		c->result->verdict = CASE_CANNOT;
		snprintf(c->result->text, CASE_TEXT, "%.300s: the process of this case %s\n",
			 c->s->file, server_ending(status, how, sizeof(how)));
	}
	count(r, c->result);
}

static void progress(const struct runner *r, const char *name)
{
	if (!r->progress)
		return;
	if (name)
		fprintf(stderr, "\r\033[K[%zu/%zu] %s", r->finished, r->cases, name);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

static unsigned reap(struct runner *r)
{
	unsigned ended = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < r->cases; i++) {
			if (r->item[i].pid != pid)
				continue;
			case_ended(r, &r->item[i], status);
			ended++;
		}
	}
	if (ended) {
		progress(r, NULL);
		print_done(r);
	}
	return ended;
}

/* ---- all ---- */

static void interrupt(struct runner *r, int number)
{
	if (!r->signal)
		r->signal = number;
	for (size_t i = 0; i < r->cases; i++) {
		if (r->item[i].pid > 0)
			kill(r->item[i].pid, SIGTERM);
	}
}

static void loop(struct runner *r, int signals)
{
	unsigned running = 0;
	size_t next = 0;

	while (running || (next < r->cases && !r->signal)) {
		struct signalfd_siginfo info;

		while (running < r->jobs && next < r->cases && !r->signal) {
			progress(r, r->item[next].name);
			if (start_case(r, next))
				running++;
			else
				count(r, r->item[next].result);
			next++;
		}
		running -= reap(r);
		if (!running)
			continue;
		if (read(signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
			interrupt(r, (int)info.ssi_signo);
		running -= reap(r);
	}
	progress(r, NULL);
	print_done(r);
}

static int status_of(const struct runner *r)
{
	if (r->signal)
		return 128 + r->signal;
	if (r->failed)
		return VERB_FOUND;
	return r->cannot ? VERB_CANNOT : VERB_OK;
}

int runner_run(struct runner *r)
{
	struct case_result *shared;
	sigset_t mask, before;
	int signals;

	shared = mmap(NULL, r->cases * sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	for (size_t i = 0; i < CORE_ARRAY_LEN(ends_us); i++)
		sigaddset(&mask, ends_us[i]);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would throw the statuses away */
	sigprocmask(SIG_BLOCK, &mask, &before);
	signals = signalfd(-1, &mask, SFD_CLOEXEC);
	if (shared == MAP_FAILED || signals < 0) {
		complain("cannot begin: %s", strerror(errno));
		return VERB_CANNOT;
	}
	for (size_t i = 0; i < r->cases; i++)
		r->item[i].result = &shared[i];
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r->output->begin(r);
	loop(r, signals);
	proc_kill_tree(getpid());
	r->output->end(r);
	fflush(stdout);
	close(signals);
	munmap(shared, r->cases * sizeof(*shared));
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status_of(r);
}

/* ---- what to do next ---- */

char *runner_show_command(const struct runner_case *c)
{
	char *words[] = {program_invocation_name, "report", c->result->trace, NULL};

	return doctor_quote(words);
}

char *runner_again_command(const struct runner_case *c)
{
	char seed[24];
	char *words[] = {program_invocation_name,	"test", "--seed", seed,
			 (char *)(uintptr_t)c->s->file, NULL};

	snprintf(seed, sizeof(seed), "%" PRIu64, c->seed);
	return c->s->given->command ? NULL : doctor_quote(words);
}

char *runner_replay_command(const struct runner_case *c)
{
	char seed[24];
	char *words[] = {
		program_invocation_name,       "test", "--seed", seed, "--replay", c->result->trace,
		(char *)(uintptr_t)c->s->file, NULL};
	bool can = c->s->rules && !c->s->sweep && !c->s->given->command && c->result->trace[0];

	snprintf(seed, sizeof(seed), "%" PRIu64, c->seed);
	return can ? doctor_quote(words) : NULL;
}

/* ---- races ---- */

static bool draws(const struct fault_rule *r)
{
	if (fault_given(r, FAULT_KEY_P) || r->where == FAULT_WHERE_RAND)
		return true;
	for (uint8_t i = 0; i < r->acts; i++) {
		const struct fault_act *a = &r->act[i];

		if (a->fault == FAULT_LOSS || (a->fault == FAULT_DELAY && a->param[1]))
			return true;
	}
	return false;
}

const struct scenario_rule *runner_race(const struct scenario *s)
{
	unsigned racing = 0;

	for (const struct yaml *y = s->steps->first; y; y = y->next) {
		const struct yaml *job = yaml_get(y, "client");

		job = job ? job : yaml_get(y, "run");
		racing += job && keys_switch(job, "background", false);
	}
	for (size_t i = 0; racing > 1 && i < s->rules; i++) {
		const struct fault_rule *r = &s->rule[i].rule;

		if (r->conn_key == FAULT_BY_ORDINAL && draws(r))
			return &s->rule[i];
	}
	return NULL;
}
