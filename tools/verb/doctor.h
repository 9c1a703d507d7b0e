/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/doctor: what is found out, as rows that both formats are written from.
 */
#ifndef TOOLS_VERB_DOCTOR_H
#define TOOLS_VERB_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum doctor_state {
	DOCTOR_YES,  /* works */
	DOCTOR_NOTE, /* a fact, or a limit one can live with */
	DOCTOR_NO,   /* this prevents watching */
};

struct doctor_row {
	const char *section; /* "machine", "command", "process" */
	const char *name;
	enum doctor_state state;
	char *text;
};

struct doctor {
	size_t n;
	struct doctor_row *row;
	bool ill; /* some row is DOCTOR_NO */
};

/* Add a row. section and name live for ever. */
__attribute__((format(printf, 5, 6))) void doctor_say(struct doctor *d, const char *section,
						      const char *name, enum doctor_state state,
						      const char *format, ...);

/* A path from which the command to print is made: the shown row "next". */
void doctor_machine(struct doctor *d);
void doctor_command(struct doctor *d, char *const *argv);
/* False when there is no such process (complained). */
bool doctor_process(struct doctor *d, pid_t pid);

/* Words quoted for a POSIX shell, joined by spaces; malloc'ed, NULL without memory. */
char *doctor_quote(char *const *argv);

#endif
