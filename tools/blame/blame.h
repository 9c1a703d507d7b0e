/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame: who made a finding true.  Unwinds recorded stacks with elfutils, names frames, and leaves out
 * everybody who is not the user: our own library, libc, runtimes, HTTP servers, WebSocket libraries
 * (roles.def), and the frames of the same server's healthy switches.
 */
#ifndef TOOLS_BLAME_BLAME_H
#define TOOLS_BLAME_BLAME_H

#include "tools/exchange/load.h"

struct frame {
	uint64_t pc;
	char *function;	     /* NULL when no symbol was found */
	char *file;	     /* NULL without DWARF */
	unsigned line;	     /* 0 without DWARF */
	char *module;	     /* base name of the mapped file */
	uint64_t module_off; /* pc within the file: what addr2line -e wants */
	uint64_t
		entry; /* start of the function, like module_off; 0 unknown. Known without symbols */
	bool inlined;  /* the function was inlined into the next frame, whose pc is the same */
	bool go;       /* of a Go program: the function's package says whose it is */
	bool jumped; /* it ended in a jump to the frame before it: it was not on the stack any more */
	const char
		*role; /* row of roles.def: "libc", "runtime", "server", "library", ... or "user" */
	const char *why; /* function is NULL: why the module could not be read; NULL unknown */
};

struct stack {
	uint32_t frames;
	struct frame *frame; /* innermost first */
};

struct blame {
	const struct frame *culprit; /* NULL: reason says why */
	const char *reason;	     /* beside a culprit: why it is less than certain; else NULL */
	const struct stack *stack;   /* NULL when none was recorded */
};

struct blamer;

/* Blame for one image.  The healthy switches of every image of set that runs the same program are
 * subtracted (a server that forks per connection has them in other images); set may be NULL. */
struct blamer *blamer_new(const struct image *img, const struct trace_set *set);
void blamer_free(struct blamer *b);

/* Unwind and name once per stack id; cached; NULL when the id is unknown. */
const struct stack *blamer_stack(struct blamer *b, uint64_t id);

/* Blame one finding of one exchange (x NULL for connection findings). */
struct blame blamer_blame(struct blamer *b, const struct connection *c, const struct exchange *x,
			  const struct finding *f);

#endif
