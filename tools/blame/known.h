/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/known: what is normal in a program: the calls on the stacks of its healthy switches, the
 * functions that accept connections and read requests, and the helpers everybody calls.
 *
 * Entries point into stacks, which must outlive the table.
 */
#ifndef TOOLS_BLAME_KNOWN_H
#define TOOLS_BLAME_KNOWN_H

#include "tools/blame/blame.h"

enum known_kind {
	KNOWN_INTAKE = 1u << 0, /* accepting a connection, reading a request head */
	KNOWN_SWITCH = 1u << 1, /* on the way to a healthy 101 */
	KNOWN_SEEN = 1u << 2,	/* any stack of the trace: tells who calls whom */
};

struct known_row {
	const struct frame *frame;
	const struct frame *caller; /* the next user frame, or NULL */
	uint8_t kinds;
	bool leaf; /* was the innermost user frame */
};

struct known {
	size_t rows, room;
	struct known_row *row;
	void *ids;	/* stacks taken already, per kind */
	unsigned image; /* ids are unique within one image only */
	uint8_t kinds;
};

/* Was the stack of that id not taken yet, for that kind, in this image? */
bool known_is_new(const struct known *k, uint64_t id, enum known_kind kind);
/* The same, and takes it: true once. */
bool known_take(struct known *k, uint64_t id, enum known_kind kind);
void known_next_image(struct known *k);
void known_add(struct known *k, const struct stack *s, enum known_kind kind); /* s may be NULL */
void known_done(struct known *k);

/* Was anything of that kind learned? */
bool known_has(const struct known *k, enum known_kind kind);
/* The same function, calling from the same place. */
bool known_is_place(const struct known *k, const struct frame *f, enum known_kind kind);
/* The same function. */
bool known_is_function(const struct known *k, const struct frame *f, enum known_kind kind);
/* The function was innermost on a stack of that kind. */
bool known_is_leaf(const struct known *k, const struct frame *f, enum known_kind kind);
/* The function was innermost on stacks of at least two callers: it moves bytes for others. */
bool known_is_shared(const struct known *k, const struct frame *f);

/* The same function: by name, or by its start when there is no name. */
bool frame_is_same(const struct frame *a, const struct frame *b);

#endif
