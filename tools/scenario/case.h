/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/case: one scenario with one seed: server, steps, checks.  A sweep is several rounds of that.
 *
 * (1) When case_run returns, no process that it started is left.
 * (2) Everything that is wrong is said with its place in the file; the first failure of a step ends the
 *     steps, failures of expectations are all told.
 */
#ifndef TOOLS_SCENARIO_CASE_H
#define TOOLS_SCENARIO_CASE_H

#include <limits.h>

#include "tools/scenario/observe.h"
#include "tools/scenario/scenario.h"
#include "tools/scenario/server.h"

enum case_verdict {
	CASE_WAITING, /* has not run */
	CASE_RUNNING,
	CASE_PASSED,
	CASE_FAILED,
	CASE_CANNOT, /* we could not do our job */
	CASE_INTERRUPTED,
};

enum {
	CASE_TEXT = 8192,
	CASE_JOBS = 256,
};

struct case_setup {
	const struct scenario *s;
	uint64_t seed;
	const char *dir;     /* is made; NULL-terminated absolute path */
	const char *tool;    /* path of the command shakedown */
	uint64_t timeout_ns; /* 0: none */
	int interrupt;	     /* a descriptor that becomes readable when we are asked to end */
	bool keep;	     /* the folder stays although everything passed */
};

/* In memory shared by the process that runs it and the one that prints. */
struct case_result {
	enum case_verdict verdict;
	uint64_t took_ns, rounds;
	char trace[PATH_MAX];	/* of the round that failed, "" none */
	char reports[PATH_MAX]; /* folder of the reports that lie in no other, "" none */
	char text[CASE_TEXT];	/* lines; FILE:LINE:COLUMN: sentence */
};

void case_run(const struct case_setup *setup, struct case_result *ret);

/* ---- the rest is shared by the files of a case only ---- */

enum job_kind {
	JOB_CLIENT,
	JOB_RUN,
};

/* A client or a program: a process of its own. */
struct job {
	enum job_kind kind;
	const struct yaml *step; /* its mapping */
	const char *name;	 /* NULL none */
	pid_t pid;
	int pidfd;
	bool running, killed; /* killed: it took too long */
	int status;
	uint64_t began, ended, deadline;
	struct client_result *result; /* of a client: shared with its process */
	char log[PATH_MAX];
};

struct run_case {
	const struct case_setup *setup;
	const struct scenario *s;
	struct case_result *ret;
	const char *dir; /* of this round */
	struct variables v;
	struct server server;
	bool started;
	uint64_t deadline;
	size_t rules; /* with that of the sweep */
	struct fault_rule rule[FAULT_RULES];
	uint64_t on, ever_on; /* masks */
	struct arena *arena;
	unsigned jobs;
	struct job job[CASE_JOBS];
	uint64_t descriptors; /* before the first step */
	uint64_t settled_ns, settled_cpu_ns;
	uint64_t stat_hits[FAULT_RULES];
	uint64_t began;
	bool failed, reported; /* reported: files of the folder are to stay */
};

/* Note a failure. Returns false. */
bool case_fail(struct run_case *c, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Where an interruption, the case's own timeout, or the server's end broke off what was under way.
 * True: something of that kind happened, and was said. */
bool case_broken(struct run_case *c, struct place at);
/* Wait for anything until the deadline, or the case's.  False: it has come, or case_broken is true. */
bool case_wait(struct run_case *c, bool watch, uint64_t deadline);
/* Times the rule acted. */
uint64_t case_hits(const struct run_case *c, size_t rule);
/* The rule of that name, that of the sweep included. */
size_t case_rule(const struct run_case *c, const char *name);

/* ---- jobs.c ---- */

/* Start the job of a step. NULL: failed, said. */
struct job *job_start(struct run_case *c, const struct yaml *step, enum job_kind kind);
/* Take the status of jobs that have ended, kill those that took too long. */
void jobs_reap(struct run_case *c);
/* Wait until it has ended. False: failed, said. */
bool job_wait(struct run_case *c, struct job *j, struct place at, uint64_t deadline);
/* End what still runs. */
void jobs_kill(struct run_case *c);
struct job *job_find(struct run_case *c, const char *name, enum job_kind kind);
/* Did it do what a job without an expectation of its own must?  False: said. */
bool job_check(struct run_case *c, const struct job *j);
/* Is there an expectation about it? */
bool job_expected(const struct run_case *c, const struct job *j);

/* ---- steps.c ---- */
bool steps_run(struct run_case *c);

/* ---- report.c ---- */
/* Write the files that the scenario asks for.  True: some of them lie in the folder of the round. */
bool reports_write(struct run_case *c);
/* Is that a file that reports_write makes in the folder of the round? */
bool reports_own(const struct scenario *s, const char *name);

/* ---- expect.c ---- */
/* Those that need the server, before it is stopped. */
void expect_running(struct run_case *c);
/* Those that read the trace, afterwards. */
void expect_trace(struct run_case *c);

#endif
