/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/server: the server of a case: `shakedown run` with a control page, started, found listening,
 * asked to end.
 *
 * (1) It is a process group of its own: ^C on the terminal reaches us, and we stop it.
 * (2) Nothing stays behind: we are the subreaper of everything below; when we die without a word, the
 *     kernel sends `run` a SIGTERM, which it forwards.
 * (3) Nothing waits without a deadline, nor while a signal asks us to end.
 */
#ifndef TOOLS_SCENARIO_SERVER_H
#define TOOLS_SCENARIO_SERVER_H

#include "tools/control/control_file.h"
#include "tools/scenario/proc.h"

struct server_setup {
	const char *tool; /* path of the command shakedown */
	const char *dir;  /* exists: trace, log and rules are made in it */
	char *const *argv;
	char *const *env; /* NAME=VALUE, added; ends with NULL; may be NULL */
	const char *cwd;  /* NULL: ours */
	struct listen_wanted listen;
	uint64_t ready_ns; /* must be ready within */
	uint64_t seed;
	const struct fault_rule *rule;
	uint32_t rules;
	uint64_t on;	    /* mask of those that are on before its main */
	const char *replay; /* folder of the trace whose decisions are taken again, NULL none */
	int interrupt;	    /* a descriptor that becomes readable when we are asked to end; -1 */
};

struct server {
	pid_t pid; /* of `run` */
	int pidfd;
	bool running;
	int status; /* wait(2), when it is not */
	char trace[PATH_MAX], log[PATH_MAX], rules[PATH_MAX];
	struct listening at;
	struct control_file control;
	uint32_t events; /* of the control page, when it was last looked at */
	int interrupt;
};

enum server_result {
	SERVER_OK,
	SERVER_FAILED,	    /* the server did not do what it should */
	SERVER_CANNOT,	    /* we could not do what we should */
	SERVER_INTERRUPTED, /* we were asked to end */
};

/* Start it and wait until it listens.  What is not SERVER_OK comes with a sentence in why; then nothing
 * runs any more. */
enum server_result server_start(const struct server_setup *setup, struct server *ret, char *why,
				size_t size);

/* Look whether it has ended. */
bool server_running(struct server *s);

/* Ask it to end, and kill what is left after within_ns.  False: it had to be killed. */
bool server_stop(struct server *s, int signal_number, uint64_t within_ns);

/* Times that a rule, by its place in the setup, has acted. */
uint64_t server_hits(const struct server *s, uint32_t rule);

/* Let the control page of a server that has ended go. */
void server_done(struct server *s);

/* Send a signal to the server (through `run`). */
void server_signal(const struct server *s, int signal_number);

/* From now on, until it is called with false, the server tells of what happens on its control page. */
void server_watch(struct server *s, bool on);

/* Wait until one of fds (256 of them at most) is readable, the server has ended, or something happens on the
 * control page if watch is true.  False: the deadline has come, or we were asked to end.
 * What happened is for the caller to find out; it may be nothing. */
bool server_wait(struct server *s, const int *fd, unsigned fds, bool watch, uint64_t deadline_ns);
bool server_interrupted(const struct server *s);

/* The last lines of what it printed, for messages; malloc'ed, "" when there is nothing. */
char *server_tail(const char *log);

/* How it ended, as people say it: "exited with status 1", "was killed by SIGSEGV". */
const char *server_ending(int status, char *room, size_t size);

uint64_t scenario_now_ns(void); /* CLOCK_MONOTONIC */

#endif
