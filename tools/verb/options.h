/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/options: what else is made from a verb's table: help, man pages, words for completion.
 */
#ifndef TOOLS_VERB_OPTIONS_H
#define TOOLS_VERB_OPTIONS_H

#include <stdio.h>

#include "tools/verb/verb.h"

/* Is text one of "a|b|c"? */
bool options_choice(const char *choices, const char *text);

/* The help of a verb; options_help writes it to stdout. */
void manual_help(FILE *out, const struct verb *v);
/* The list of verbs. */
void manual_overview(FILE *out);
/* A page for man(1); of the whole command when v is NULL. */
void manual_page(FILE *out, const struct verb *v);
/* Words that may stand on the command line: verbs (v NULL), the options of a verb, or, with an option's
 * name, the values of its choice. One per line. */
void manual_words(FILE *out, const struct verb *v, const char *option);

#endif
