/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/known: a table of distinct (call, caller) pairs.  There are as many as call sites that were on
 * a stack, some dozens, so it is searched from front to back.
 */
#include "tools/blame/known.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct seen_id {
	uint64_t id;
	unsigned image, kind;
};

static int by_value(const void *a, const void *b)
{
	const struct seen_id *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->image != y->image)
		return x->image < y->image ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

bool known_is_new(const struct known *k, uint64_t id, enum known_kind kind)
{
	struct seen_id wanted = {id, k->image, kind};

	return !tfind(&wanted, &k->ids, by_value);
}

bool known_take(struct known *k, uint64_t id, enum known_kind kind)
{
	struct seen_id *s;

	if (!known_is_new(k, id, kind))
		return false;
	s = malloc(sizeof(*s));
	if (!s)
		return false;
	*s = (struct seen_id){id, k->image, kind};
	if (tsearch(s, &k->ids, by_value))
		return true;
	free(s);
	return false;
}

void known_next_image(struct known *k)
{
	k->image++;
}

void known_done(struct known *k)
{
	tdestroy(k->ids, free);
	free(k->row);
	memset(k, 0, sizeof(*k));
}

bool frame_is_same(const struct frame *a, const struct frame *b)
{
	if (a->module != b->module &&
	    (!a->module || !b->module || strcmp(a->module, b->module) != 0))
		return false;
	if (a->function && b->function)
		return strcmp(a->function, b->function) == 0;
	return !a->function && !b->function && a->entry && a->entry == b->entry;
}

static bool is_same_call(const struct frame *a, const struct frame *b)
{
	return a->module_off == b->module_off && frame_is_same(a, b);
}

/* Two frames without names and without unwind tables are the same only at the same address. */
static bool is_same_place(const struct frame *a, const struct frame *b)
{
	if (is_same_call(a, b))
		return true;
	return !a->function && !b->function && a->module && b->module &&
	       strcmp(a->module, b->module) == 0 && a->module_off == b->module_off;
}

static bool is_same_caller(const struct frame *a, const struct frame *b)
{
	if (!a || !b)
		return a == b;
	return frame_is_same(a, b);
}

static void add_row(struct known *k, const struct frame *f, const struct frame *caller, bool leaf,
		    enum known_kind kind)
{
	size_t i;

	for (i = 0; i < k->rows; i++) {
		struct known_row *row = &k->row[i];

		if (is_same_place(row->frame, f) && is_same_caller(row->caller, caller)) {
			row->kinds |= (uint8_t)kind;
			row->leaf = row->leaf || leaf;
			return;
		}
	}
	if (k->rows == k->room) {
		size_t room = k->room ? k->room * 2 : 64;
		struct known_row *more = realloc(k->row, room * sizeof(*more));

		if (!more)
			return;
		k->row = more;
		k->room = room;
	}
	k->row[k->rows++] = (struct known_row){f, caller, (uint8_t)kind, leaf};
}

void known_add(struct known *k, const struct stack *s, enum known_kind kind)
{
	const struct frame *inner = NULL;
	bool leaf = true;
	uint32_t i;

	for (i = 0; s && i < s->frames; i++) {
		const struct frame *f = &s->frame[i];

		if (strcmp(f->role, "user") != 0)
			continue;
		if (inner) {
			add_row(k, inner, f, leaf, kind);
			leaf = false;
		}
		inner = f;
	}
	if (!inner)
		return;
	add_row(k, inner, NULL, leaf, kind);
	k->kinds |= (uint8_t)kind;
}

bool known_has(const struct known *k, enum known_kind kind)
{
	return k->kinds & kind;
}

bool known_is_place(const struct known *k, const struct frame *f, enum known_kind kind)
{
	size_t i;

	for (i = 0; i < k->rows; i++)
		if ((k->row[i].kinds & kind) && is_same_place(k->row[i].frame, f))
			return true;
	return false;
}

bool known_is_function(const struct known *k, const struct frame *f, enum known_kind kind)
{
	size_t i;

	for (i = 0; i < k->rows; i++)
		if ((k->row[i].kinds & kind) &&
		    (frame_is_same(k->row[i].frame, f) || is_same_place(k->row[i].frame, f)))
			return true;
	return false;
}

bool known_is_leaf(const struct known *k, const struct frame *f, enum known_kind kind)
{
	size_t i;

	for (i = 0; i < k->rows; i++)
		if (k->row[i].leaf && (k->row[i].kinds & kind) && frame_is_same(k->row[i].frame, f))
			return true;
	return false;
}

bool known_is_shared(const struct known *k, const struct frame *f)
{
	const struct frame *first = NULL;
	size_t i;

	for (i = 0; i < k->rows; i++) {
		const struct known_row *row = &k->row[i];

		if (!row->leaf || !row->caller || !frame_is_same(row->frame, f))
			continue;
		if (!first)
			first = row->caller;
		else if (!frame_is_same(first, row->caller))
			return true;
	}
	return false;
}
