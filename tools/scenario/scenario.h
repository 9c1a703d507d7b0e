/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario: a scenario file, checked: everything that can be known to be wrong before a server starts
 * has been refused, with its line and column.
 */
#ifndef TOOLS_SCENARIO_SCENARIO_H
#define TOOLS_SCENARIO_SCENARIO_H

#include <stdint.h>

#include "core/fault/rule.h"
#include "tools/scenario/keys.h"

enum {
	SCENARIO_SEEDS = 10000,
	SCENARIO_ROUNDS = 10000, /* of a sweep without an end of its own */
};

struct scenario_rule {
	const char *name;
	const char *text; /* one line, variables put in */
	struct place at;
	struct fault_rule rule;
};

/* What the command line adds to a file. */
struct scenario_given {
	char *const *command; /* the target of a template; NULL: the file must have one */
	const char *path;     /* of the requests */
	const char *port;     /* of the target, NULL: as the file says */
	const char *replay;   /* folder of a trace, NULL none */
	const uint64_t *seed; /* instead of the file's, NULL: as the file says */
};

struct scenario {
	const char *file, *name, *about;
	const char *folder; /* that the file is in */
	const struct yaml *root, *target, *steps, *expect, *sweep;
	const struct scenario_given *given;
	const char
		*replay; /* absolute path of the trace whose decisions are taken again, NULL none */
	size_t seeds;
	uint64_t *seed;
	size_t rules;
	struct scenario_rule *rule; /* without that of the sweep */
	uint64_t sweep_first, sweep_last;
	struct arena *arena;
};

/* Load and check.  What is returned lives in the arena.  NULL and *e when it is refused. */
struct scenario *scenario_load(const char *file, const struct scenario_given *given,
			       struct arena *a, struct scenario_error *e);
/* The same for text in memory. */
struct scenario *scenario_parse(const char *file, const char *text, size_t n,
				const struct scenario_given *given, struct arena *a,
				struct scenario_error *e);

/* Index of a rule by name; SIZE_MAX. */
size_t scenario_rule_find(const struct scenario *s, const char *name);

/* The rule of the sweep for one n.  False: *e. */
bool scenario_sweep_rule(const struct scenario *s, uint64_t n, struct scenario_rule *ret,
			 struct scenario_error *e);

/* ---- expand.c: variables in texts ---- */

struct variables {
	const char *path, *host, *dir;
	uint64_t port, seed, n, pid;
};

/* text with $path, $port and so on (also ${path}, $PORT) put in, in the arena.  $$ is one $; names that
 * are none of ours stay as they are.
 *   rule   escape what has a meaning in a rule */
char *expand(const struct variables *v, const char *text, bool rule, struct arena *a);

/* ---- rule.c ---- */

/* One rule in either spelling.  v: what its variables stand for. */
bool rule_load(const struct yaml *y, const struct variables *v, struct arena *a,
	       struct scenario_rule *ret, struct scenario_error *e);

/* ---- check.c: what refers to what ---- */

bool scenario_check(const struct scenario *s, struct scenario_error *e);

/* ---- words.c: names of things, and bytes ---- */

/* Number of a signal by its name, with or without SIG, or its number; 0. */
int signal_by_name(const char *name);
/* errno by name; 0. */
int error_by_name(const char *name);
/* Opcode of a frame by name or number; -1. */
int opcode_by_name(const char *name);
/* Hexadecimal with blanks -> bytes; -1 when it is none, else how many.  to may be NULL. */
long hex_bytes(const char *text, uint8_t *to);
/* "101", "400..499", "any". */
bool status_range(const char *text, unsigned *ret_first, unsigned *ret_last);
/* Pattern with * and ?. */
bool pattern_matches(const char *pattern, const char *text, size_t n);

#endif
