/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/json: the report for programs.  Written exchange by exchange, so that the report of a large
 * trace needs no memory for its text; one exchange per line.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/format/object.h"
#include "tools/format/routes.h"
#include "tools/format/select.h"

enum {
	DUMP = JSON_COMPACT | JSON_ENSURE_ASCII,
};

struct json {
	FILE *out;
	struct trace_set *set;
	const struct report_filter *f;
	const struct finding_options *o;
	struct report_result *ret;
	uint64_t outcome[OUTCOME_PENDING + 1];
};

/* Write and release a value. */
static void put(FILE *out, json_t *value)
{
	json_dumpf(value, out, DUMP | JSON_ENCODE_ANY);
	json_decref(value);
}

static void put_member(FILE *out, const char *name, json_t *value)
{
	fprintf(out, ",\"%s\":", name);
	put(out, value);
}

static json_t *fixed_text(const char *text, size_t size)
{
	return object_bytes((struct span){(const uint8_t *)text, strnlen(text, size)});
}

static json_t *doors_array(uint32_t doors)
{
	static const char *const name[] = {"libc", "go", "injected", "seccomp"};
	json_t *ret = json_array();
	unsigned i;

	for (i = 0; i < CORE_ARRAY_LEN(name); i++)
		if (doors & 1u << i)
			json_array_append_new(ret, json_string(name[i]));
	return ret;
}

/* Null when coverage is full; the names and texts of the reasons otherwise. */
static json_t *reason_of(const struct trace_header *h)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	json_t *ret;
	uint64_t bit, reasons;

	if (!to)
		return json_null();
	(void)trace_coverage_of(h, &reasons);
	for (bit = 1; bit; bit <<= 1)
		if (reasons & bit)
			fprintf(to, "%s%s: %s", ftell(to) ? "; " : "", trace_reason_name(bit),
				trace_reason_text(bit));
	if (h->note[0])
		fprintf(to, "%s%.*s", ftell(to) ? "; " : "", (int)sizeof(h->note), h->note);
	fclose(to);
	ret = n ? object_text(text) : json_null();
	free(text);
	return ret;
}

static json_t *process_findings(struct json *j, const struct image *img, struct blamer *b)
{
	const struct process *p = &img->process;
	struct finding found[FINDING_MAX];
	json_t *ret = json_array();
	uint32_t i, k, n;

	for (i = 0; i < img->findings; i++) {
		if (!select_process_finding(j->f, &img->finding[i]))
			continue;
		result_add(j->ret, &img->finding[i]);
		json_array_append_new(ret, object_finding(&img->finding[i], NULL, NULL, NULL));
	}
	for (i = 0; i < p->connections; i++) {
		n = select_orphans(j->f, j->o, img, &p->connection[i], found);
		for (k = 0; k < n; k++) {
			result_add(j->ret, &found[k]);
			json_array_append_new(
				ret, object_finding(&found[k], &p->connection[i], NULL, b));
		}
	}
	return ret;
}

static void put_exchange(struct json *j, const struct report_case *rc, struct blamer *b,
			 bool *first)
{
	uint32_t i;

	for (i = 0; i < rc->findings; i++)
		result_add(j->ret, &rc->finding[i]);
	if (rc->x->attempt)
		j->outcome[rc->x->outcome]++;
	fputs(*first ? "\n" : ",\n", j->out);
	*first = false;
	put(j->out, object_exchange(rc, b));
}

static void put_exchanges(struct json *j, const struct image *img, struct blamer *b)
{
	const struct process *p = &img->process;
	struct report_case *rc = malloc(sizeof(*rc));
	bool first = true;
	uint32_t i, k;

	fputs(",\"exchanges\":[", j->out);
	for (i = 0; rc && i < p->connections; i++) {
		const struct connection *c = &p->connection[i];

		for (k = 0; k < c->exchanges; k++)
			if (select_exchange(j->f, img, &c->exchange[k]) &&
			    select_findings(j->f, j->o, img, &c->exchange[k], rc))
				put_exchange(j, rc, b, &first);
	}
	fputs("]", j->out);
	free(rc);
}

static json_t *route_object(const struct route *r)
{
	const char *method = r->method ? http_method_name((enum http_method)r->method) : NULL;

	return json_pack(
		"{s:o, s:o, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "method", object_text(method),
		"path", fixed_text(r->path, sizeof(r->path)), "count", (json_int_t)r->count,
		"bytes_read", (json_int_t)r->bytes_rx, "bytes_sent", (json_int_t)r->bytes_tx,
		"latency_us_below", "p50", (json_int_t)route_percentile(r, 50), "p90",
		(json_int_t)route_percentile(r, 90), "p99", (json_int_t)route_percentile(r, 99));
}

static json_t *counts_object(struct json *j, const struct image *img)
{
	const struct trace_header *h = img->header;
	json_t *o = json_object(), *outcomes = json_object(), *routes = json_array();
	struct routes r;
	uint32_t i;

	for (i = 0; i <= OUTCOME_PENDING; i++)
		json_object_set_new(outcomes, outcome_name((enum outcome)i),
				    json_integer((json_int_t)j->outcome[i]));
	(void)routes_collect(&r, j->set, img);
	for (i = 0; i < r.rows; i++)
		json_array_append_new(routes, route_object(&r.row[i]));
	routes_done(&r);
	json_object_set_new(o, "connections", json_integer((json_int_t)h->opened));
	json_object_set_new(o, "closed", json_integer((json_int_t)h->closed));
	json_object_set_new(o, "exchanges", json_integer((json_int_t)h->exchanges));
	json_object_set_new(o, "attempts", json_integer((json_int_t)h->attempts));
	json_object_set_new(o, "h2c_offers", json_integer((json_int_t)h->h2c_offers));
	json_object_set_new(o, "calls", json_integer((json_int_t)h->calls));
	json_object_set_new(o, "tls_connections", json_integer(h->tls_connections));
	json_object_set_new(o, "discarded_records", json_integer((json_int_t)h->discarded_records));
	json_object_set_new(o, "truncated", json_boolean(img->len < h->file_size));
	json_object_set_new(o, "outcomes", outcomes);
	json_object_set_new(o, "routes", routes);
	return o;
}

static const char *coverage_name(uint32_t state)
{
	return state == TRACE_FULL ? "full" : state == TRACE_PARTIAL ? "partial" : "blind";
}

static void put_process(struct json *j, const struct image *img)
{
	const struct trace_header *h = img->header;
	struct blamer *b = blamer_new(img, j->set);

	memset(j->outcome, 0, sizeof(j->outcome));
	fprintf(j->out, "{\"pid\":%u", h->pid);
	put_member(j->out, "exe", fixed_text(h->exe, sizeof(h->exe)));
	put_member(j->out, "coverage", json_string(coverage_name(trace_coverage_of(h, NULL))));
	put_member(j->out, "coverage_reason", reason_of(h));
	put_member(j->out, "doors", doors_array(h->doors));
	put_member(j->out, "alive", json_boolean(img->process.alive));
	put_member(j->out, "realtime_offset_ns", json_integer(h->realtime_offset));
	put_member(j->out, "findings", process_findings(j, img, b));
	put_exchanges(j, img, b);
	put_member(j->out, "counts", counts_object(j, img));
	put_member(j->out, "lost", json_integer((json_int_t)h->lost_events));
	fputs("}", j->out);
	blamer_free(b);
}

static void json_write(FILE *out, struct trace_set *set, const struct report_filter *f,
		       const struct finding_options *o, struct report_result *ret)
{
	struct json j = {.out = out, .set = set, .f = f, .o = o, .ret = ret};
	json_t *unread = json_array();
	uint32_t i;

	memset(ret, 0, sizeof(*ret));
	ret->blind = set_is_blind(set);
	fputs("{\"version\":1,\"processes\":[", out);
	for (i = 0; i < set->images; i++) {
		fputs(i ? ",\n" : "\n", out);
		put_process(&j, &set->image[i]);
	}
	fputs("]", out);
	for (i = 0; i < set->skipped; i++)
		json_array_append_new(unread, object_text(set->error[i]));
	put_member(out, "unread", unread);
	put_member(out, "rules", object_rules(set->path));
	fputs("}\n", out);
}

const struct report_format format_json = {"json", json_write};

void format_json_case(FILE *out, const struct report_case *rc, struct blamer *b)
{
	json_t *o = object_exchange(rc, b);

	json_object_set_new(o, "pid", json_integer(rc->img->process.pid));
	put(out, o);
	fputc('\n', out);
}
