/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/verdict: can this command be watched?  Said before it starts, because afterwards "nothing was
 * recorded" looks the same as "nothing happened".
 */
#ifndef TOOLS_VERB_VERDICT_H
#define TOOLS_VERB_VERDICT_H

#include <limits.h>
#include <stdbool.h>

#include "core/target/target.h"

enum verdict_sight {
	SIGHT_FULL,   /* the library will be loaded and sees every call */
	SIGHT_PARTLY, /* it will be loaded, but some calls pass it by */
	SIGHT_BLIND,  /* it will not be loaded, or sees nothing */
	SIGHT_NONE,   /* the command cannot be executed at all */
};
const char *verdict_sight_name(enum verdict_sight s);

struct verdict {
	enum verdict_sight sight;
	int status;		/* SIGHT_NONE: 126 or 127, as env(1) */
	char path[PATH_MAX];	/* what will be executed (a script's own path) */
	char program[PATH_MAX]; /* the ELF file in the end: the script's interpreter, or path */
	bool script;
	bool shell;	      /* a text file without "#!": /bin/sh will read it */
	bool unreadable;      /* nobody knows what the program is: it may only be executed */
	bool inject;	      /* it loads no libraries: ours must be put into it */
	struct target target; /* of program */
	const char *door;    /* "the libc door": what lets us in; NULL with SIGHT_BLIND and _NONE */
	char sentence[1024]; /* what is the matter; "" when there is nothing to say */
	char remedy[512];    /* what to do about it; "" */
};

/* Find argv[0] as execvp(3) does and judge it.  argv ends with NULL. */
void verdict_of_command(char *const *argv, struct verdict *ret);

/* Judge one file by its path. */
void verdict_of_file(const char *path, struct verdict *ret);

#endif
