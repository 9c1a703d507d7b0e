/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/text: the report for people.  Healthy attempts first, one line each; then a block for each
 * attempt that needs attention; totals and coverage last, where a terminal shows them.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/format/block.h"
#include "tools/format/routes.h"
#include "tools/format/select.h"

enum {
	ROUTES_SHOWN = 12,
};

struct totals {
	uint64_t attempts, attention;
	uint64_t outcome[OUTCOME_PENDING + 1];
	struct {
		uint64_t primary, also;
		enum severity worst;
	} finding[FINDING_COUNT];
};

/* An exchange whose block is still to be printed. */
struct pending {
	const struct image *img;
	const struct exchange *x;
};

struct text {
	struct page page;
	struct trace_set *set;
	const struct report_filter *f;
	const struct finding_options *o;
	struct report_result *ret;
	struct totals totals;
	struct pending *later;
	size_t n_later, room;
	bool any_line;
};

static void count_case(struct text *t, const struct report_case *rc)
{
	uint32_t i;

	for (i = 0; i < rc->findings; i++) {
		const struct finding *f = &rc->finding[i];

		result_add(t->ret, f);
		t->totals.finding[f->id].primary += f->primary;
		t->totals.finding[f->id].also += !f->primary;
		if (f->severity > t->totals.finding[f->id].worst)
			t->totals.finding[f->id].worst = f->severity;
	}
	if (!rc->x->attempt)
		return;
	t->totals.attempts++;
	t->totals.outcome[rc->x->outcome]++;
	t->totals.attention += case_needs_attention(rc);
}

static void keep_for_later(struct text *t, struct pending later)
{
	if (t->n_later == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct pending *more = realloc(t->later, room * sizeof(*more));

		if (!more)
			return;
		t->later = more;
		t->room = room;
	}
	t->later[t->n_later++] = later;
}

/* The connections [from, to) of an image. */
static void write_lines(struct text *t, struct report_case *rc, uint32_t from, uint32_t to)
{
	const struct process *p = &rc->img->process;
	uint32_t i, j;

	for (i = from; i < to; i++) {
		const struct connection *c = &p->connection[i];

		for (j = 0; j < c->exchanges; j++) {
			const struct exchange *x = &c->exchange[j];

			if (!select_exchange(t->f, rc->img, x) ||
			    !select_findings(t->f, t->o, rc->img, x, rc))
				continue;
			count_case(t, rc);
			if (case_needs_attention(rc) || t->f->all) {
				keep_for_later(t, (struct pending){rc->img, rc->x});
				continue;
			}
			block_line(&t->page, rc);
			t->any_line = true;
		}
	}
}

/* ---- lines of a large image, by several threads ---- */

enum {
	PARTS = 4,
	PART = 1000, /* connections that are worth a thread */
};

/* The findings of an exchange depend on nothing that is written here, so each thread takes a run of
 * connections and writes into memory; the texts are put together in the order of the connections. */
struct part {
	struct text text;
	struct report_result result;
	struct report_case rc;
	uint32_t from, to;
	char *buffer;
	size_t len;
	pthread_t thread;
};

static void *write_part(void *arg)
{
	struct part *p = arg;

	write_lines(&p->text, &p->rc, p->from, p->to);
	return NULL;
}

/* False when there is no memory or no thread: then nothing of it is written. */
static bool part_start(struct part *p, const struct text *t, const struct image *img)
{
	p->text = (struct text){.page = t->page, .set = t->set, .f = t->f, .o = t->o};
	p->text.ret = &p->result;
	p->rc.img = img;
	p->text.page.out = open_memstream(&p->buffer, &p->len);
	if (!p->text.page.out)
		return false;
	if (pthread_create(&p->thread, NULL, write_part, p) == 0)
		return true;
	fclose(p->text.page.out);
	free(p->buffer);
	return false;
}

static void add_totals(struct totals *t, const struct totals *more)
{
	t->attempts += more->attempts;
	t->attention += more->attention;
	for (unsigned i = 0; i <= OUTCOME_PENDING; i++)
		t->outcome[i] += more->outcome[i];
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		t->finding[i].primary += more->finding[i].primary;
		t->finding[i].also += more->finding[i].also;
		if (more->finding[i].worst > t->finding[i].worst)
			t->finding[i].worst = more->finding[i].worst;
	}
}

static void part_join(struct part *p, struct text *t)
{
	pthread_join(p->thread, NULL);
	fclose(p->text.page.out);
	fwrite(p->buffer, 1, p->len, t->page.out);
	free(p->buffer);
	add_totals(&t->totals, &p->text.totals);
	if (p->result.any && (!t->ret->any || p->result.worst > t->ret->worst))
		t->ret->worst = p->result.worst;
	t->ret->any |= p->result.any;
	for (size_t i = 0; i < p->text.n_later; i++)
		keep_for_later(t, p->text.later[i]);
	free(p->text.later);
	t->any_line |= p->text.any_line;
}

static unsigned count_parts(const struct image *img)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = img->process.connections / PART;

	n = n < PARTS ? n : PARTS;
	n = cpus > 0 && n > (unsigned long)cpus ? (uint32_t)cpus : n;
	return n ? n : 1;
}

static void write_image(struct text *t, struct report_case *rc, const struct image *img)
{
	const uint32_t all = img->process.connections;
	unsigned n = count_parts(img), started = 0;
	struct part *part = calloc(n, sizeof(*part));

	/* The first run is this thread's own; so is all that no thread could be had for. */
	while (part && started + 1 < n) {
		struct part *p = &part[started];

		p->from = all / n * (started + 1);
		p->to = started + 2 == n ? all : p->from + all / n;
		if (!part_start(p, t, img))
			break;
		started++;
	}
	rc->img = img;
	write_lines(t, rc, 0, started ? part[0].from : all);
	for (unsigned k = 0; k < started; k++)
		part_join(&part[k], t);
	if (started && part[started - 1].to < all)
		write_lines(t, rc, part[started - 1].to, all);
	free(part);
}

/* ---- blocks ---- */

static int by_time(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	uint64_t s = x->x->t_start + (uint64_t)x->img->header->realtime_offset;
	uint64_t u = y->x->t_start + (uint64_t)y->img->header->realtime_offset;

	return s < u ? -1 : s > u;
}

/* Blocks are made image by image in the order of time; one blamer per image is kept. */
static void write_blocks(struct text *t, struct report_case *rc)
{
	struct blamer **b = calloc(t->set->images, sizeof(struct blamer *));
	size_t i;

	if (!b)
		return;
	if (t->n_later)
		qsort(t->later, t->n_later, sizeof(*t->later), by_time);
	for (i = 0; i < t->n_later; i++) {
		size_t at = (size_t)(t->later[i].img - t->set->image);

		select_findings(t->f, t->o, t->later[i].img, t->later[i].x, rc);
		if (!b[at])
			b[at] = blamer_new(t->later[i].img, t->set);
		block_write(&t->page, rc, b[at]);
	}
	for (i = 0; i < t->set->images; i++)
		blamer_free(b[i]);
	free(b);
}

/* Findings that belong to no attempt. */
static void write_others(struct text *t, const struct image *img)
{
	const struct process *p = &img->process;
	struct finding found[FINDING_MAX];
	struct blamer *b = NULL;
	uint32_t i, j, n;

	for (i = 0; i < p->connections; i++) {
		n = select_orphans(t->f, t->o, img, &p->connection[i], found);
		for (j = 0; j < n; j++) {
			if (!b)
				b = blamer_new(img, t->set);
			result_add(t->ret, &found[j]);
			block_finding(&t->page, img, &p->connection[i], &found[j], b);
		}
	}
	for (i = 0; i < img->findings; i++) {
		if (!select_process_finding(t->f, &img->finding[i]))
			continue;
		result_add(t->ret, &img->finding[i]);
		block_finding(&t->page, img, NULL, &img->finding[i], NULL);
	}
	blamer_free(b);
}

/* ---- totals ---- */

static const char *duration(char ret[24], uint64_t us)
{
	if (us < 1000)
		snprintf(ret, 24, "<%" PRIu64 " us", us);
	else if (us < 1000000)
		snprintf(ret, 24, "<%.0f ms", (double)us / 1e3);
	else
		snprintf(ret, 24, "<%.0f s", (double)us / 1e6);
	return ret;
}

static void write_route(const struct page *p, const struct route *r)
{
	char p50[24], p90[24], p99[24];
	struct span path = {(const uint8_t *)r->path, strnlen(r->path, sizeof(r->path))};

	fprintf(p->out, "  %10" PRIu64 " %9s %9s %9s  %-8s", r->count,
		duration(p50, route_percentile(r, 50)), duration(p90, route_percentile(r, 90)),
		duration(p99, route_percentile(r, 99)),
		r->method ? http_method_name((enum http_method)r->method) : "(other)");
	format_escaped(p->out, path, p->width > 70 ? p->width - 56 : 20);
	fputc('\n', p->out);
}

static void write_routes(struct text *t)
{
	struct routes r;
	uint32_t i, shown = t->f->all ? UINT32_MAX : ROUTES_SHOWN;

	if (t->f->conn || t->f->finding || !routes_collect(&r, t->set, NULL))
		return;
	if (r.rows) {
		page_put(&t->page, INK_BOLD, "plain exchanges");
		fputc('\n', t->page.out);
		page_put(&t->page, INK_DIM, "  %10s %9s %9s %9s  %-8s%s\n", "count", "p50", "p90",
			 "p99", "method", "path");
	}
	for (i = 0; i < r.rows && i < shown; i++)
		write_route(&t->page, &r.row[i]);
	if (i < r.rows)
		fprintf(t->page.out, "  %10s %" PRIu32 " more (--all shows them)\n", "...",
			r.rows - i);
	if (r.rows)
		fputc('\n', t->page.out);
	routes_done(&r);
}

static void write_reasons(struct text *t, const struct trace_header *h)
{
	uint64_t bit, reasons;

	(void)trace_coverage_of(h, &reasons);
	for (bit = 1; bit; bit <<= 1)
		if (reasons & bit)
			page_paragraph(&t->page, "", INK_YELLOW, trace_reason_text(bit));
	if (h->tls_connections) {
		char some[96], all[48];

		page_count(all, h->opened > h->tls_connections ? h->opened : h->tls_connections,
			   "connection was", "connections were");
		snprintf(some, sizeof(some), "%" PRIu32 " of %s TLS: nothing inside is judged",
			 h->tls_connections, all);
		page_paragraph(&t->page, "", INK_YELLOW, some);
	}
	if (h->note[0]) {
		char note[sizeof(h->note) + 1];

		snprintf(note, sizeof(note), "%.*s", (int)sizeof(h->note), h->note);
		page_paragraph(&t->page, "", INK_YELLOW, note);
	}
}

static void write_losses(struct text *t, const struct image *img)
{
	const struct trace_header *h = img->header;
	char text[200];

	if (h->lost_events) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " events (%" PRIu64 " bytes) could not be recorded",
			 h->lost_events, h->lost_bytes);
		page_paragraph(&t->page, "", INK_YELLOW, text);
	}
	if (h->discarded_halves) {
		snprintf(text, sizeof(text),
			 "%" PRIu64
			 " older records were discarded to make room; a larger --max-trace "
			 "keeps more",
			 h->discarded_records);
		page_paragraph(&t->page, "", INK_DIM, text);
	}
	if (img->broken)
		page_paragraph(&t->page, "", INK_YELLOW,
			       "a part of the file made no sense and was skipped: it was damaged");
	if (img->len < h->file_size) {
		snprintf(text, sizeof(text),
			 "the file is cut off: %zu of %" PRIu64 " bytes; shown as far as it goes "
			 "(copy traces whole, with cp --sparse=always or tar -S)",
			 img->len, h->file_size);
		page_paragraph(&t->page, "", INK_YELLOW, text);
	}
}

static void write_process(struct text *t, const struct image *img)
{
	static const char *const states[] = {"full", "partial", "BLIND"};
	const struct trace_header *h = img->header;
	unsigned state = trace_coverage_of(h, NULL);
	char exe[sizeof(h->exe) + 1], connections[48], attempts[48];
	const char *slash;

	snprintf(exe, sizeof(exe), "%.*s", (int)sizeof(h->exe), h->exe);
	slash = strrchr(exe, '/');
	fprintf(t->page.out, "  %-9" PRIu32 " ", h->pid);
	fprintf(t->page.out, "%*s",
		(int)(24 - page_name(&t->page, INK_PLAIN, slash ? slash + 1 : exe, 23)), "");
	page_put(&t->page,
		 state == TRACE_FULL	? INK_GREEN
		 : state == TRACE_BLIND ? INK_RED
					: INK_YELLOW,
		 "%-8s", states[state]);
	fprintf(t->page.out, " %s, %s, %s%s\n",
		page_count(connections, h->opened, "connection", "connections"),
		page_count(attempts, h->attempts, "attempt", "attempts"),
		img->process.alive    ? "still running"
		: img->process.exited ? "ended"
				      : "gone, its end was not seen",
		img->superseded ? ", then ran another program" : "");
	write_reasons(t, h);
	write_losses(t, img);
}

static void write_coverage(struct text *t)
{
	uint32_t i;

	page_put(&t->page, INK_BOLD, "coverage");
	fputc('\n', t->page.out);
	for (i = 0; i < t->set->images; i++)
		write_process(t, &t->set->image[i]);
	for (i = 0; i < t->set->skipped; i++)
		page_paragraph(&t->page, "unread", INK_YELLOW, t->set->error[i]);
	fputc('\n', t->page.out);
}

/* What is found again and again stands out from what happened once. */
static void write_finding_counts(struct text *t)
{
	FILE *out = t->page.out;
	bool any = false;
	unsigned i;

	for (i = 0; i < FINDING_COUNT; i++) {
		enum severity worst = t->totals.finding[i].worst;
		uint64_t primary = t->totals.finding[i].primary, also = t->totals.finding[i].also;

		if (!primary && !also)
			continue;
		if (!any) {
			page_put(&t->page, INK_BOLD, "findings");
			fputc('\n', out);
		}
		any = true;
		fprintf(out, "  %10" PRIu64 "  ", primary);
		page_put(&t->page, page_severity_ink(worst), "%-8s  %s", severity_name(worst),
			 finding_info((enum finding_id)i)->id);
		if (also)
			fprintf(out, "%s%" PRIu64 " beside another", primary ? ", and " : ": ",
				also);
		fputc('\n', out);
	}
	if (any)
		fputc('\n', out);
}

static void write_totals(struct text *t)
{
	const struct totals *n = &t->totals;
	uint64_t h2c = 0, attempts = 0;
	FILE *out = t->page.out;
	const char *sep = ": ";
	char count[48];
	uint32_t i;

	for (i = 0; i < t->set->images; i++) {
		h2c += t->set->image[i].header->h2c_offers;
		attempts += t->set->image[i].header->attempts;
	}
	page_put(&t->page, INK_BOLD, "%s", page_count(count, n->attempts, "attempt", "attempts"));
	for (i = 0; i <= OUTCOME_PENDING; i++) {
		if (!n->outcome[i])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", sep, n->outcome[i], outcome_name((enum outcome)i));
		sep = ", ";
	}
	if (t->ret->blind)
		page_put(&t->page, INK_RED, "; BLIND: nothing could be seen, so nothing is proven");
	else if (n->attention)
		page_put(&t->page, INK_RED, "; %" PRIu64 " need%s attention", n->attention,
			 n->attention == 1 ? "s" : "");
	else if (n->attempts)
		page_put(&t->page, INK_GREEN, "; none needs attention");
	fputc('\n', out);
	if (n->attempts < attempts)
		fprintf(out,
			"%" PRIu64 " attempts were seen in all; the others do not match the "
			"options or are no longer in the trace\n",
			attempts);
	if (h2c)
		fprintf(out, "%" PRIu64 " offer%s of h2c, which a server may ignore\n", h2c,
			h2c == 1 ? "" : "s");
}

static void text_write(FILE *out, struct trace_set *set, const struct report_filter *f,
		       const struct finding_options *o, struct report_result *ret)
{
	struct text t = {.set = set, .f = f, .o = o, .ret = ret};
	struct report_case *rc = calloc(1, sizeof(*rc));
	uint32_t i;

	memset(ret, 0, sizeof(*ret));
	ret->blind = set_is_blind(set);
	page_init(&t.page, out, f);
	for (i = 0; rc && i < set->images; i++)
		write_image(&t, rc, &set->image[i]);
	if (t.any_line)
		fputc('\n', out);
	if (rc)
		write_blocks(&t, rc);
	for (i = 0; i < set->images; i++)
		write_others(&t, &set->image[i]);
	write_routes(&t);
	write_finding_counts(&t);
	rules_write(&t.page, set->path);
	write_coverage(&t);
	write_totals(&t);
	free(t.later);
	free(rc);
}

const struct report_format format_text = {"text", text_write};

void format_text_case(FILE *out, const struct report_case *rc, struct blamer *b,
		      const struct report_filter *f)
{
	struct page p;

	page_init(&p, out, f);
	if (case_needs_attention(rc) || f->all)
		block_write(&p, rc, b);
	else
		block_line(&p, rc);
}
