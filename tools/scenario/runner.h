/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/runner: many cases, some at a time, and what is printed about them.
 *
 * (1) Each case runs in a process of its own; a case that crashes us is a case that failed.
 * (2) When runner_run returns, no process that it started is left: not after ^C, not after a crash.
 * (3) Results are printed in the order of the cases, whichever ended first.
 */
#ifndef TOOLS_SCENARIO_RUNNER_H
#define TOOLS_SCENARIO_RUNNER_H

#include <stdio.h>

#include "tools/scenario/case.h"

struct runner_case {
	const struct scenario *s;
	uint64_t seed;
	char name[128]; /* NAME, or NAME/SEED where there are several */
	struct case_result *result;
	pid_t pid; /* 0: does not run */
};

struct runner {
	const char *tool, *root; /* root: folder of the folders of the cases */
	unsigned jobs;		 /* at a time */
	uint64_t timeout_ns;
	bool keep;
	bool progress; /* say on stderr what is under way */
	const struct output *output;
	size_t cases, room;
	struct runner_case *item;
	size_t printed, finished;
	unsigned passed, failed, cannot;
	int signal; /* that ended us, 0 none */
};

/* A way to print results, to stdout. */
struct output {
	const char *name;
	void (*begin)(const struct runner *r);
	void (*each)(const struct runner *r, size_t i); /* in order */
	void (*end)(const struct runner *r);
};
/* The JUnit document of all cases, printed so far or not. */
void output_junit_write(FILE *f, const struct runner *r);
extern const struct output output_text, output_tap, output_junit, output_json;

/* NAME, or NAME/SEED for one of several. */
void runner_name(const struct scenario *s, uint64_t seed, char *ret, size_t size);
/* One case per seed of the scenario. */
void runner_add(struct runner *r, const struct scenario *s);
/* Run them all.  Returns an exit status. */
int runner_run(struct runner *r);

const char *runner_verdict_name(enum case_verdict v);
/* The words that show the trace of a failed case, and run it again; malloc'ed. */
char *runner_show_command(const struct runner_case *c);
char *runner_again_command(const struct runner_case *c);
/* The same with the decisions of its trace; NULL: there are none. */
char *runner_replay_command(const struct runner_case *c);

/* A rule that draws for connections by their order, where clients in the background race for it: the same
 * seed need not give the same faults.  NULL: none. */
const struct scenario_rule *runner_race(const struct scenario *s);

#endif
