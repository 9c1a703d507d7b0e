/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/scan: the first walk over a trace.  Notes for every record which connection it belongs to,
 * and counts, so that the second walk can fill arrays of the right size.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/exchange/build.h"

static size_t hash(uint32_t id, size_t buckets)
{
	return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (buckets - 1);
}

static void rehash(struct builder *b)
{
	b->buckets = b->buckets ? b->buckets * 2 : 1024;
	free(b->bucket);
	b->bucket = array_new(b->buckets, sizeof(*b->bucket));
	for (size_t i = 0; i < b->slots; i++) {
		size_t at = hash(b->slot[i].id, b->buckets);

		while (b->bucket[at])
			at = (at + 1) & (b->buckets - 1);
		b->bucket[at] = (uint32_t)i + 1;
	}
}

static uint32_t slot_of(struct builder *b, uint32_t id)
{
	size_t at;

	if (b->slots * 2 >= b->buckets)
		rehash(b);
	at = hash(id, b->buckets);
	while (b->bucket[at]) {
		if (b->slot[b->bucket[at] - 1].id == id)
			return b->bucket[at] - 1;
		at = (at + 1) & (b->buckets - 1);
	}
	b->slot = array_grow(b->slot, b->slots, &b->slot_cap, sizeof(*b->slot));
	b->slot[b->slots] = (struct slot){.id = id};
	b->bucket[at] = (uint32_t)++b->slots;
	return b->bucket[at] - 1;
}

static struct ref_run *run_begin(struct builder *b)
{
	struct ref_run *run = arena_alloc(b->scratch, sizeof(*run));

	if (b->run_last)
		b->run_last->next = run;
	else
		b->run = run;
	b->run_last = run;
	return run;
}

static struct slot *note(struct builder *b, uint32_t slot, uint64_t at, uint32_t ordinal)
{
	struct ref_run *run = b->run_last;

	if (!run || run->n == RUN_REFS)
		run = run_begin(b);
	run->ref[run->n++] = (struct ref){.at = at, .slot = slot, .ordinal = ordinal};
	b->refs++;
	b->slot[slot].events++;
	return &b->slot[slot];
}

/* A text that only stands near: give it to a connection unless it has it already. */
static void text_give(struct builder *b, struct near_text *t, uint32_t slot)
{
	for (uint32_t i = 0; i < t->slots; i++) {
		if (t->slot[i] == slot)
			return;
	}
	if (t->slots == NEAR_CONNECTIONS)
		return;
	t->slot[t->slots++] = slot;
	note(b, slot, t->at, t->ordinal)->segments++;
	b->segments++;
}

static void scan_text(struct builder *b, const struct trace_text *r, uint64_t at, uint32_t ordinal)
{
	struct near_text *t;

	if (r->conn) {
		note(b, slot_of(b, r->conn), at, ordinal)->segments++;
		b->segments++;
		return;
	}
	t = &b->text[b->texts++ % NEAR_TEXTS];
	*t = (struct near_text){.t_ns = r->t_ns, .at = at, .ordinal = ordinal};
	for (unsigned i = 0; i < NEAR_CONNECTIONS && i < b->recents; i++) {
		if (r->t_ns - b->recent[i].t_ns <= NEAR_NS)
			text_give(b, t, b->recent[i].slot);
	}
}

/* Remember who was busy lately, for texts that come next; and look back at texts that came before. */
static void scan_near(struct builder *b, uint32_t slot, uint64_t t_ns, enum dir dir)
{
	unsigned last = (b->recents - 1) % NEAR_CONNECTIONS;

	if (!b->recents || b->recent[last].slot != slot)
		last = b->recents++ % NEAR_CONNECTIONS;
	b->recent[last].slot = slot;
	b->recent[last].t_ns = t_ns;
	if (dir != DIR_TX)
		return;
	for (unsigned i = 0; i < NEAR_TEXTS && i < b->texts; i++) {
		if (t_ns - b->text[i].t_ns <= NEAR_NS)
			text_give(b, &b->text[i], slot);
	}
}

static uint64_t scan_data(struct builder *b, const struct trace_data *d, uint64_t at,
			  uint32_t ordinal)
{
	uint32_t room = ((d->rec.size_state & ~(uint32_t)TRACE_STATE_MASK) - sizeof(*d)) /
			sizeof(struct trace_segment);
	uint32_t n = d->segments < room ? d->segments : room;
	uint32_t slot = slot_of(b, d->conn);
	struct slot *s = note(b, slot, at, ordinal);

	s->segments += n;
	b->segments += n;
	if (d->rec.flags & TRACE_DATA_RAW)
		s->flags |= SLOT_RAW;
	scan_near(b, slot, d->t_ns, d->dir);
	return d->t_ns;
}

static uint64_t scan_process(struct builder *b, const struct trace_process *p)
{
	if (p->what == TRACE_EXECED)
		b->t_exec = p->t_ns;
	if (p->what == TRACE_FORKED) {
		b->fork = array_grow(b->fork, b->forks, &b->fork_cap, sizeof(*b->fork));
		b->fork[b->forks++] = p->t_ns;
	}
	return p->t_ns;
}

static uint64_t scan_coverage(struct builder *b, const struct trace_coverage *c)
{
	if (c->conn) {
		/* In a step of its own, as in scan_table. */
		uint32_t slot = slot_of(b, c->conn);
		struct slot *s = &b->slot[slot];

		s->flags |= SLOT_PARTIAL;
		s->reason = trace_reason_text(c->reasons & -c->reasons);
	}
	return c->t_ns;
}

static void scan_stack(struct builder *b, const struct trace_stack *s, uint64_t at)
{
	b->stack = array_grow(b->stack, b->stacks, &b->stack_cap, sizeof(*b->stack));
	b->stack[b->stacks++] = (struct stack_ref){.id = s->id, .at = at};
}

/* Returns the record's time, 0 when it has none. */
static uint64_t scan_record(struct builder *b, const struct trace_record *r, uint64_t at,
			    uint32_t ordinal)
{
	const struct trace_open *o = (const void *)r;
	const struct trace_result *res = (const void *)r;
	const struct trace_close *c = (const void *)r;
	const struct trace_lost *l = (const void *)r;
	const struct trace_witness *w = (const void *)r;
	const struct trace_fault *fault = (const void *)r;
	struct slot *s;

	switch (r->kind) {
	case TRACE_DATA:
		return scan_data(b, (const void *)r, at, ordinal);
	case TRACE_OPEN:
		s = note(b, slot_of(b, o->conn), at, ordinal);
		s->flags |= SLOT_OPENED;
		s->open_at = at;
		return o->t_ns;
	case TRACE_RESULT:
		note(b, slot_of(b, res->conn), at, ordinal);
		return res->t_ns;
	case TRACE_CLOSE:
		note(b, slot_of(b, c->conn), at, ordinal);
		return c->t_ns;
	case TRACE_TEXT:
		scan_text(b, (const void *)r, at, ordinal);
		return ((const struct trace_text *)r)->t_ns;
	case TRACE_WITNESS:
		note(b, slot_of(b, w->conn), at, ordinal);
		b->img->witnesses++;
		return w->t_ns;
	case TRACE_FAULT:
		if (fault->conn)
			note(b, slot_of(b, fault->conn), at, ordinal);
		return fault->t_ns;
	case TRACE_STACK:
		scan_stack(b, (const void *)r, at);
		return 0;
	case TRACE_PROCESS:
		return scan_process(b, (const void *)r);
	case TRACE_COVERAGE:
		return scan_coverage(b, (const void *)r);
	case TRACE_LOST:
		if (l->why != TRACE_LOST_STACKS && l->t_ns > b->t_lost)
			b->t_lost = l->t_ns;
		return l->t_ns;
	default:
		return 0;
	}
}

/* Connections the process still had open: what is not in the records is in the table. */
static void scan_table(struct builder *b)
{
	const struct trace_connection *row;
	uint32_t n = b->img->header->ended ? 0 : TRACE_CONNECTIONS;

	for (uint32_t i = 0; i < n; i++) {
		struct slot *s;
		uint32_t slot;

		row = trace_connection_at(b->img->file, b->img->len, i);
		if (!row)
			break;
		if (!row->id || !(row->flags & (TRACE_CONN_EOF | TRACE_CONN_RECORDED)))
			continue;
		/* In a step of its own: a connection without records yet makes the array grow. */
		slot = slot_of(b, row->id);
		s = &b->slot[slot];
		s->row = row;
		if (row->flags & TRACE_CONN_EOF)
			s->flags |= SLOT_EOF;
	}
}

static int stack_order(const void *a, const void *b)
{
	const struct stack_ref *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

void scan_records(struct builder *b)
{
	const struct trace_record *r;
	struct trace_iter it;

	trace_iter_init(&it, b->img->file, b->img->len);
	while ((r = trace_next(&it))) {
		uint64_t t = scan_record(b, r, (uint64_t)((const uint8_t *)r - b->img->file),
					 it.ordinal);

		if (t > b->t_last)
			b->t_last = t;
	}
	b->img->holes = it.holes;
	b->img->broken = it.broken;
	scan_table(b);
	if (b->stacks)
		qsort(b->stack, b->stacks, sizeof(*b->stack), stack_order);
}
