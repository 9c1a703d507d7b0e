/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go_internal: what the files of target/go share.
 *
 *     go.c         build info, version
 *     go_sites.c   where system calls are made
 *     go_table.c   .gopclntab: opening it, functions
 *     go_frames.c  .gopclntab: files, lines, inlined calls
 */
#ifndef CORE_TARGET_GO_INTERNAL_H
#define CORE_TARGET_GO_INTERNAL_H

#include "core/target/go.h"

enum go_generation {
	GO_16 = 16, /* absolute addresses, 64 bits */
	GO_18 = 18, /* offsets from text, 32 bits */
	GO_20 = 20, /* a start line in each function */
};

/* One function of the table. */
struct go_function {
	uint64_t entry; /* link-time address */
	uint64_t end;	/* of the next function */
	uint64_t off;	/* file offset of its record, right behind the entry field */
};

/* The function that holds a link-time address; false when none does. */
bool go_function_at(const struct go_table *t, uint64_t pc, struct go_function *ret);

/* File offset of the function's name; may lie outside the file. */
uint64_t go_function_name(const struct go_table *t, const struct go_function *f);

/* Is the NUL-terminated text at a file offset this one? */
bool go_name_is(struct span file, uint64_t off, const char *text);

#endif
