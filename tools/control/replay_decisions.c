/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/replay_decisions: see replay_decisions.h.
 */
#include "tools/control/replay_decisions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/control/control_file.h"
#include "tools/exchange/load.h"

static bool add(struct replay_decisions *r, size_t *room, const struct trace_fault *f)
{
	struct fault_unit u = {
		.conn_key = f->conn_key, .unit = f->unit, .rule = f->rule, .dir = f->dir};

	if (r->n == *room) {
		size_t more = *room ? *room * 2 : 1024;
		struct control_decision *p = realloc(r->decision, more * sizeof(*p));

		if (!p)
			return false;
		r->decision = p;
		*room = more;
	}
	r->decision[r->n++] = (struct control_decision){.key = control_key(&u), .drawn = f->drawn};
	return true;
}

static bool read_image(struct replay_decisions *r, size_t *room, const struct image *img)
{
	const struct trace_record *rec;
	struct trace_iter it;

	r->lost += img->header->discarded_records + img->header->lost_events;
	trace_iter_init(&it, img->file, img->len);
	while ((rec = trace_next(&it))) {
		if (rec->kind == TRACE_FAULT && !add(r, room, (const struct trace_fault *)rec))
			return false;
	}
	return true;
}

/* The rules of the first page that has any. */
static bool read_rules(struct replay_decisions *r, const char *path)
{
	struct control_files pages;
	bool ok = true;

	control_files_read(&pages, path);
	for (size_t i = 0; i < pages.n && !r->rule; i++) {
		const struct control_state *s = control_state(pages.file[i].h);
		const struct control_rules *rules = control_rules(pages.file[i].h, s);

		if (!rules || !rules->count)
			continue;
		r->rule = calloc(FAULT_RULES, sizeof(*r->rule));
		ok = r->rule;
		if (!ok)
			break;
		for (uint32_t k = 0; k < rules->count; k++) {
			ok = ok && fault_rule_check(&rules->rule[k]);
			r->rule[k] = rules->rule[k];
		}
		r->rules = ok ? rules->count : 0;
		r->on = s->on;
		r->seed = pages.file[i].h->seed;
	}
	control_files_free(&pages);
	return ok;
}

bool replay_decisions_read(struct replay_decisions *ret, const char *path, char **ret_error)
{
	struct finding_options options;
	struct trace_set *set;
	size_t room = 0;
	bool ok;

	finding_options_default(&options);
	set = trace_set_load(path, &options, ret_error);
	ok = set;
	*ret = (struct replay_decisions){0};
	for (uint32_t i = 0; ok && i < set->images; i++)
		ok = read_image(ret, &room, &set->image[i]);
	trace_set_free(set);
	if (!set)
		return false;
	if (ok && !read_rules(ret, path)) {
		ok = false;
		if (asprintf(ret_error,
			     "%s: the rules of that run cannot be read; was it recorded by another "
			     "version?",
			     path) < 0)
			*ret_error = NULL;
	} else if (!ok) {
		*ret_error = strdup("no memory for the decisions");
	}
	if (!ok)
		replay_decisions_free(ret);
	return ok;
}

void replay_decisions_free(struct replay_decisions *r)
{
	free(r->decision);
	free(r->rule);
	*r = (struct replay_decisions){0};
}
