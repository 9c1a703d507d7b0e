/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/select: filters, applied the same way by every format.
 */
#include "tools/format/select.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static bool matches_path(const char *glob, struct span target)
{
	char *text = strndup((const char *)target.p, target.n), *query;
	bool ret;

	if (!text)
		return false;
	ret = fnmatch(glob, text, 0) == 0;
	query = strchr(text, '?');
	if (!ret && query) {
		*query = 0;
		ret = fnmatch(glob, text, 0) == 0;
	}
	free(text);
	return ret;
}

static bool matches_connection(const char *wanted, const struct connection *c)
{
	char *end;
	unsigned long long n = strtoull(wanted, &end, 0);

	return !*end && end != wanted && (n == c->id || (c->cookie && n == c->cookie));
}

static bool select_connection(const struct report_filter *f, const struct connection *c)
{
	return !f->conn || matches_connection(f->conn, c);
}

bool select_exchange(const struct report_filter *f, const struct image *img,
		     const struct exchange *x)
{
	uint64_t real = x->t_start + (uint64_t)img->header->realtime_offset;

	if (!x->attempt && !f->all)
		return false;
	if (!select_connection(f, x->conn) || (f->since_real_ns && real < f->since_real_ns))
		return false;
	return !f->path || matches_path(f->path, x->request->target);
}

static bool has_finding(const char *name, const struct finding *found, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (strcmp(finding_info(found[i].id)->id, name) == 0)
			return true;
	return false;
}

/* The attempt beside which findings of its connection are shown: the last. */
static const struct exchange *last_attempt(const struct connection *c)
{
	uint32_t i;

	for (i = c->exchanges; i > 0; i--)
		if (c->exchange[i - 1].attempt)
			return &c->exchange[i - 1];
	return NULL;
}

bool select_findings(const struct report_filter *f, const struct finding_options *o,
		     const struct image *img, const struct exchange *x, struct report_case *rc)
{
	uint32_t more = 0, i;

	rc->img = img;
	rc->c = x->conn;
	rc->x = x;
	rc->findings = finding_detect(&img->process, x, o, rc->finding);
	if (last_attempt(x->conn) == x)
		more = finding_detect_connection(&img->process, x->conn, o,
						 rc->finding + rc->findings);
	for (i = 0; i < more; i++)
		rc->finding[rc->findings + i].primary = rc->findings == 0 && i == 0;
	/* What a rule explains is not the first thing to say where there is something genuine. */
	if (more && rc->findings && rc->finding[0].injected_by[0] &&
	    !rc->finding[rc->findings].injected_by[0]) {
		rc->finding[0].primary = false;
		rc->finding[rc->findings].primary = true;
	}
	rc->findings += more;
	return !f->finding || has_finding(f->finding, rc->finding, rc->findings);
}

uint32_t select_orphans(const struct report_filter *f, const struct finding_options *o,
			const struct image *img, const struct connection *c, struct finding *ret)
{
	uint32_t n;

	if (!select_connection(f, c) || f->path || last_attempt(c))
		return 0;
	n = finding_detect_connection(&img->process, c, o, ret);
	return !f->finding || has_finding(f->finding, ret, n) ? n : 0;
}

bool select_process_finding(const struct report_filter *f, const struct finding *found)
{
	return !f->conn && !f->path && (!f->finding || has_finding(f->finding, found, 1));
}

enum severity case_worst(const struct report_case *rc)
{
	enum severity worst = SEVERITY_INFO;
	uint32_t i;

	for (i = 0; i < rc->findings; i++)
		if (rc->finding[i].severity > worst)
			worst = rc->finding[i].severity;
	return worst;
}

bool case_needs_attention(const struct report_case *rc)
{
	for (uint32_t i = 0; i < rc->findings; i++)
		if (rc->finding[i].injected_by[0])
			return true;
	return case_worst(rc) >= SEVERITY_WARNING;
}

const struct finding *case_primary(const struct report_case *rc)
{
	uint32_t i;

	for (i = 0; i < rc->findings; i++)
		if (rc->finding[i].primary)
			return &rc->finding[i];
	return NULL;
}

void result_add(struct report_result *r, const struct finding *f)
{
	if (f->injected_by[0])
		return;
	if (!r->any || f->severity > r->worst)
		r->worst = f->severity;
	r->any = true;
}

bool set_is_blind(const struct trace_set *set)
{
	uint32_t i;

	for (i = 0; i < set->images; i++)
		if (set->image[i].header->coverage != TRACE_BLIND)
			return false;
	return true;
}
