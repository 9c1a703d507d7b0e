/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/summary: a few lines about what was recorded, from the same loading and the same rules the
 * report uses, so that the two cannot disagree.
 */
#include "tools/verb/launch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/exchange/launcher.h"
#include "tools/exchange/load.h"
#include "tools/verb/verb.h"

enum {
	OUTCOMES = OUTCOME_PENDING + 1,
	SEVERITIES = SEVERITY_CRITICAL + 1,
};

struct tally {
	struct launch_summary *sum;
	uint64_t outcome[OUTCOMES];
	uint32_t severity[SEVERITIES];
	uint32_t explained; /* by our own rules: no findings about the server */
	uint32_t coverage;  /* the worst enum trace_coverage_state */
	uint64_t reasons;
	uint64_t tls, connections;
	uint64_t lost;
	uint32_t doors; /* enum trace_door */
};

static void count_findings(struct tally *t, const struct finding *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (f[i].injected_by[0]) {
			t->explained++;
			continue;
		}
		t->severity[f[i].severity]++;
		if (!t->sum->findings++ || (int)f[i].severity > t->sum->worst)
			t->sum->worst = (int)f[i].severity;
	}
}

static void count_connection(struct tally *t, const struct process *p, const struct connection *c,
			     const struct finding_options *o)
{
	static struct finding found[FINDING_MAX];

	for (uint32_t i = 0; i < c->exchanges; i++) {
		const struct exchange *x = &c->exchange[i];

		if (x->attempt) {
			t->sum->attempts++;
			t->outcome[x->outcome]++;
		}
		count_findings(t, found, finding_detect(p, x, o, found));
	}
	count_findings(t, found, finding_detect_connection(p, c, o, found));
}

static void count_image(struct tally *t, const struct image *img, const struct finding_options *o)
{
	const struct trace_header *h = img->header;

	t->sum->traces++;
	uint64_t reasons;
	enum trace_coverage_state state = trace_coverage_of(h, &reasons);

	t->sum->all_blind &= state == TRACE_BLIND;
	if (state > t->coverage)
		t->coverage = state;
	t->reasons |= reasons;
	t->tls += h->tls_connections;
	t->connections += h->opened;
	t->lost += h->lost_events;
	t->doors |= h->doors;
	for (uint32_t i = 0; i < img->process.connections; i++)
		count_connection(t, &img->process, &img->process.connection[i], o);
	count_findings(t, img->finding, img->findings);
}

/* ---- saying it ---- */

struct text {
	char p[512];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->p + t->n, sizeof(t->p) - t->n, format, ap);
	va_end(ap);
	if (n > 0)
		t->n = t->n + (size_t)n < sizeof(t->p) ? t->n + (size_t)n : sizeof(t->p) - 1;
}

static void say_attempts(const struct tally *t)
{
	struct text line = {.n = 0};
	const char *comma = ":";

	add(&line, "%" PRIu64 " upgrade attempt%s in %u process%s", t->sum->attempts,
	    t->sum->attempts == 1 ? "" : "s", t->sum->traces, t->sum->traces == 1 ? "" : "es");
	for (unsigned i = 0; i < OUTCOMES; i++) {
		if (!t->outcome[i])
			continue;
		add(&line, "%s %" PRIu64 " %s", comma, t->outcome[i],
		    outcome_name((enum outcome)i));
		comma = ",";
	}
	complain("%s", line.p);
}

static void say_findings(const struct tally *t)
{
	struct text line = {.n = 0};
	const char *comma = "";

	for (unsigned i = SEVERITIES; i-- > 0;) {
		if (!t->severity[i])
			continue;
		add(&line, "%s%u %s", comma, t->severity[i], severity_name((enum severity)i));
		comma = ", ";
	}
	if (line.n)
		complain("findings: %s", line.p);
	else
		complain("no findings");
	if (t->explained)
		complain("explained by rules: %u", t->explained);
}

/* The libc door alone goes without saying. */
static void add_doors(struct text *line, uint32_t doors)
{
	static const char *const names[] = {"libc", "Go", "injected", "seccomp"};
	const char *comma = "; seen through the";

	if (doors == TRACE_DOOR_LIBC)
		return;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(doors & 1u << i))
			continue;
		add(line, "%s %s door", comma, names[i]);
		comma = " and the";
	}
}

static void say_coverage(const struct tally *t)
{
	static const char *const names[] = {"full", "partial", "blind"};
	struct text line = {.n = 0};

	add(&line, "coverage: %s", names[t->coverage <= TRACE_BLIND ? t->coverage : TRACE_BLIND]);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t one = UINT64_C(1) << bit;
		const char *why = t->reasons & one ? trace_reason_text(one) : NULL;

		if (why)
			add(&line, "; %s", why);
	}
	if (t->tls)
		add(&line, "; %" PRIu64 " of %" PRIu64 " connections TLS", t->tls,
		    t->connections > t->tls ? t->connections : t->tls);
	if (t->lost)
		add(&line, "; %" PRIu64 " events lost", t->lost);
	add_doors(&line, t->doors);
	complain("%s", line.p);
}

static void say(const struct tally *t, const struct trace_set *set)
{
	for (uint32_t i = 0; i < set->skipped; i++)
		complain("%s", set->error[i]);
	if (!t->sum->traces)
		return;
	say_attempts(t);
	if (t->sum->all_blind)
		complain("blind: nothing can be said about this server");
	else
		say_findings(t);
	say_coverage(t);
}

void launch_summarize(const char *folder, uint64_t since, bool quiet, struct launch_summary *ret)
{
	struct launcher now;
	struct finding_options options;
	struct tally t = {.sum = ret};
	struct trace_set *set;
	char *error = NULL;

	*ret = (struct launch_summary){.all_blind = true};
	launcher_begin(&now, since);
	finding_options_default(&options);
	set = trace_set_load(folder, &options, &error);
	if (!set) {
		free(error); /* an empty folder: the caller knows why */
		return;
	}
	for (uint32_t i = 0; i < set->images; i++) {
		if (launcher_began_before(&now, set->image[i].header))
			count_image(&t, &set->image[i], &options);
	}
	ret->unreadable = set->skipped;
	if (!quiet)
		say(&t, set);
	trace_set_free(set);
}
