/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/rule_source: rules from several places (options, files, variables) compiled as one list, in which
 * names are unique; a mistake is shown in the place it came from.
 */
#ifndef TOOLS_CONTROL_RULE_SOURCE_H
#define TOOLS_CONTROL_RULE_SOURCE_H

#include <stdio.h>

#include "core/fault/rule.h"

struct rule_source {
	struct rule_part {
		const char *name; /* what the user calls it; stays where it is */
		size_t at;	  /* of its first byte in text */
	} * part;
	size_t parts;
	char *text; /* all of them, each behind a newline */
	size_t n;
};

/* Add text, or what a file holds ("-": standard input).  False: complained to err. */
bool rule_source_add(struct rule_source *s, const char *name, const char *text, FILE *err);
bool rule_source_read(struct rule_source *s, const char *path, FILE *err);

/* Compile what was added; an empty list is fine. *ret: malloc'ed, FAULT_RULES of them.  False: the mistake
 * was shown on err. */
bool rule_source_compile(const struct rule_source *s, struct fault_rule **ret, uint32_t *ret_count,
			 FILE *err);

void rule_source_free(struct rule_source *s);

#endif
