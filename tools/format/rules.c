/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/rules: what the rules of a run did, as the control pages in its folder say: the list that was in
 * force last.  A rule that never acted tests nothing, and is marked.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/control/control_file.h"
#include "tools/format/block.h"
#include "tools/format/object.h"

/* One rule of a page, with its counts. */
struct row {
	const struct control_file *f;
	const struct fault_rule *rule;
	const char *page; /* name of the file */
	struct control_stat stat;
	bool on;
};

typedef void see_row(void *to, const struct row *r);

static void each_rule(const struct control_files *pages, see_row *see, void *to)
{
	for (size_t i = 0; i < pages->n; i++) {
		const struct control_file *f = &pages->file[i];
		const struct control_state *s = control_state(f->h);
		const struct control_rules *rules = control_rules(f->h, s);
		const char *slash = strrchr(f->path, '/');

		for (uint32_t k = 0; rules && k < rules->count; k++) {
			struct row r = {.f = f,
					.rule = &rules->rule[k],
					.page = slash ? slash + 1 : f->path,
					.on = s->on >> k & 1};
			const struct control_stat *stat = control_stat(f->h, rules, k);

			if (!fault_rule_check(r.rule))
				continue;
			if (stat)
				r.stat = *stat;
			see(to, &r);
		}
	}
}

static void add_object(void *to, const struct row *r)
{
	char rule[FAULT_PRINTED], seed[24];

	/* Too large for the numbers of many readers. */
	snprintf(seed, sizeof(seed), "%" PRIu64, r->f->h->seed);
	json_array_append_new(
		to, json_pack("{s:o, s:o, s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "page",
			      object_text(r->page), "name", object_text(r->rule->name), "rule",
			      object_text(control_rule_text(r->rule, rule)), "seed", seed, "on",
			      r->on, "eligible", (json_int_t)r->stat.eligible, "hits",
			      (json_int_t)r->stat.hits, "shadowed", (json_int_t)r->stat.shadowed,
			      "bytes", (json_int_t)r->stat.bytes, "waited_ns",
			      (json_int_t)r->stat.waited_ns, "lost", (json_int_t)r->stat.lost));
}

json_t *object_rules(const char *path)
{
	struct control_files pages;
	json_t *ret = json_array();

	control_files_read(&pages, path);
	each_rule(&pages, add_object, ret);
	control_files_free(&pages);
	return ret;
}

struct lines {
	const struct page *p;
	bool any;
};

static void write_row(void *to, const struct row *r)
{
	struct lines *l = to;
	char rule[FAULT_PRINTED];
	FILE *out = l->p->out;

	if (!l->any) {
		page_put(l->p, INK_BOLD, "rules");
		fputc('\n', out);
		page_put(l->p, INK_DIM, "  %10s %10s %10s %10s  rule\n", "acted", "of", "second",
			 "lost");
	}
	l->any = true;
	page_put(l->p, r->stat.hits ? INK_PLAIN : INK_YELLOW,
		 "  %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "  ", r->stat.hits,
		 r->stat.eligible, r->stat.shadowed, r->stat.lost);
	page_name(l->p, INK_PLAIN, control_rule_text(r->rule, rule), l->p->width - 61);
	page_put(l->p, INK_YELLOW, "%s%s", r->on ? "" : " (off)",
		 r->stat.hits ? "" : " never acted");
	fputc('\n', out);
}

void rules_write(const struct page *p, const char *path)
{
	struct lines l = {.p = p};
	struct control_files pages;

	control_files_read(&pages, path);
	each_rule(&pages, write_row, &l);
	control_files_free(&pages);
	if (l.any)
		fputc('\n', p->out);
}
