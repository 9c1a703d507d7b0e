/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb: one file per verb of the command, each exporting one entry; the options of a verb are a table
 * from which parsing, --help, the man page and completion are made.
 */
#ifndef TOOLS_VERB_VERB_H
#define TOOLS_VERB_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of every verb but run. */
enum verb_status {
	VERB_OK = 0,
	VERB_FOUND = 1, /* --fail-on, a failed test, a leak */
	VERB_USAGE = 2,
	VERB_CANNOT = 3, /* blind, no privilege, unreadable */
};

enum option_type {
	OPTION_FLAG,   /* bool * */
	OPTION_STRING, /* const char ** */
	OPTION_LIST,   /* struct option_list *, may be given several times */
	OPTION_TIME, /* uint64_t * in ns; "5s", "300ms"; a bare number is refused with the remedy */
	OPTION_SIZE, /* uint64_t * in bytes; "64M" */
	OPTION_NUMBER, /* uint64_t * */
	OPTION_CHOICE, /* const char **; choices separated by '|' in arg */
};

struct option_list {
	size_t n;
	const char **item;
};

struct option_row {
	const char *name; /* long name without dashes */
	char letter;	  /* 0: none */
	enum option_type type;
	const char *arg; /* placeholder shown in help, or the choices */
	const char *help;
	void *value; /* static storage of the verb */
};

/* Words an operand may be, for completion. */
struct verb_choices {
	const char *(*name)(size_t i); /* NULL behind the last */
};

struct verb {
	const char *name;
	const char *synopsis; /* "[-o DIR] [options] -- CMD..." */
	const char *summary;  /* one line */
	const char *text;     /* paragraphs for --help and the man page; ends in examples */
	const struct option_row *options;  /* ends with a row whose name is NULL */
	int (*run)(int argc, char **argv); /* operands only */
	bool command; /* the operands are somebody's command line: the first one ends the options */
	int misuse;   /* exit status of a wrong option, 0: VERB_USAGE */
	const struct verb_choices *operands; /* what completion may offer, NULL: files */
};

extern const struct verb verb_run, verb_test, verb_report, verb_rules, verb_explain, verb_doctor;

/* Every verb, in the order help lists them; ends with NULL. */
extern const struct verb *const verb_all[];
const struct verb *verb_find(const char *name);

/* Parse options into their values; operands are moved to the front, *argc counts them.
 * Returns false after one sentence on stderr that names the misspelt option and the nearest real one.
 * "--" ends the options; with stop_at_operand the first operand does too. */
bool options_parse(const struct verb *v, int *argc, char **argv, bool stop_at_operand);
/* Does --help or -h stand among the options?  Ask before parsing: help is owed even beside a mistake. */
bool options_ask_help(const struct verb *v, int argc, char **argv, bool stop_at_operand);
void options_help(const struct verb *v);

/* "shakedown: " + one sentence on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
