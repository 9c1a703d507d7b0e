/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/replay: a case written as text -> a trace in memory -> a process, through the same code as
 * a trace from a server.  docs/HOWTO_ADD_A_FINDING.md describes the language; in short:
 *
 *     case M08 two WebSocket servers on one HTTP server
 *     expect A http-after-101            primary finding of A's first attempt
 *     expect A/1 none                    second request of A: nothing of warning or worse
 *     expect none                        nothing of warning or worse anywhere
 *     also A frame-error                 among the others
 *     injected A never-answered          among the others, explained by a rule
 *     outcome A upgraded
 *     blame A http_write_header          the first finding blames who entered that witness; -: a call
 *     conn A server peer=10.0.0.7:40000 local=10.0.0.1:80
 *     +0ms A rx $REQUEST
 *     +1ms A tx $SWITCH
 *     +2ms A tx hex 81 02 "hi"
 *     +3ms A fault tx frames drop acted 5   what a rule did, with a value (TIME for waits)
 *     +9ms A close
 *     end +60s                           the process is still running then; or: exit 1
 */
#ifndef TOOLS_EXCHANGE_REPLAY_H
#define TOOLS_EXCHANGE_REPLAY_H

#include "tools/exchange/load.h"

enum {
	REPLAY_CONNECTIONS = 8,
	REPLAY_EXPECT = 8,
	REPLAY_NAME = 12,
};

enum replay_kind {
	REPLAY_PRIMARY,
	REPLAY_ALSO,
	REPLAY_INJECTED,
	REPLAY_NONE,
	REPLAY_OUTCOME,
	REPLAY_BLAME,
};

struct replay_expect {
	enum replay_kind kind;
	int conn;	   /* index, -1: everywhere */
	unsigned exchange; /* the nth attempt of it */
	char what[48];	   /* finding, outcome or witness */
	char sub[32];	   /* "" when it does not matter */
	unsigned line;
};

struct replay_case {
	char name[32];
	char title[128];
	unsigned line;
	bool whole; /* "whole": depends on how bytes are cut into calls */
	unsigned expects;
	struct replay_expect expect[REPLAY_EXPECT];
	unsigned conns;
	char conn[REPLAY_CONNECTIONS][REPLAY_NAME];
	char *text; /* the lines of the case */
};

struct replay_file {
	unsigned cases;
	struct replay_case *item;
};

/* Read all cases of a file. NULL and *ret_error ("file:line: sentence") when it does not parse. */
struct replay_file *replay_load(const char *path, char **ret_error);
void replay_free(struct replay_file *f);

/* Make the trace and build the process.  cut 0 keeps calls as they are written; otherwise bytes come
 * in calls of at most cut bytes.  Returns false and *ret_error on an unknown word. */
bool replay_build(const struct replay_case *c, unsigned cut, const struct finding_options *o,
		  struct image *ret, char **ret_error);
void replay_done(struct image *img);

/* Does the process show what the case expects?  Returns true, or false with a sentence. */
bool replay_check(const struct replay_case *c, const struct image *img,
		  const struct finding_options *o, char **ret_error);

#endif
