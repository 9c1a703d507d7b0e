/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/report: what a trace says about every upgrade.
 */
#include "tools/verb/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/verb/nearest.h"
#include "tools/verb/verb.h"

static const char *format = "text", *path_glob, *finding, *connection, *since, *fail_on;
static bool all, follow, debuginfod;
static uint64_t timer_percent = UINT64_MAX;
static struct finding_options thresholds = {
	/* Sentinel of "not given"; the defaults are finding's own. */
	.never_answered_ns = UINT64_MAX,
	.relay_ns = UINT64_MAX,
	.closed_right_after_ns = UINT64_MAX,
	.close_wait_ns = UINT64_MAX,
	.silent_ns = UINT64_MAX,
	.orphan_ns = UINT64_MAX,
	.log_near_ns = UINT64_MAX,
};

static const struct option_row options[] = {
	{"format", 0, OPTION_CHOICE, "text|json", "how to write it (text)", &format},
	{"path", 0, OPTION_STRING, "GLOB", "only requests whose path matches, as in '/ws/*'",
	 &path_glob},
	{"finding", 0, OPTION_STRING, "ID", "only attempts with this finding", &finding},
	{"since", 0, OPTION_STRING, "TIME",
	 "only requests that began after: 10m (ago), 14:05, '2024-05-31 14:05', @SECONDS", &since},
	{"conn", 0, OPTION_STRING, "ID", "only this connection: its number or its socket cookie",
	 &connection},
	{"all", 'a', OPTION_FLAG, NULL,
	 "healthy attempts and recorded plain exchanges in full, too", &all},
	{"fail-on", 0, OPTION_CHOICE, "info|warning|error|critical",
	 "end with 1 when there is a finding at least that severe", &fail_on},
	{"follow", 'f', OPTION_FLAG, NULL,
	 "stay, and print each attempt when it is decided; JSON then has one exchange per line",
	 &follow},
	{"debuginfod", 0, OPTION_FLAG, NULL,
	 "fetch missing symbols from the servers in DEBUGINFOD_URLS", &debuginfod},
	{"never-answered", 0, OPTION_TIME, "TIME", "silence that counts as no answer (5s)",
	 &thresholds.never_answered_ns},
	{"relay", 0, OPTION_TIME, "TIME", "time a proxy may take to pass an answer on (1s)",
	 &thresholds.relay_ns},
	{"closed-right-after", 0, OPTION_TIME, "TIME",
	 "a connection closed this soon after its 101 was refused after all (1s)",
	 &thresholds.closed_right_after_ns},
	{"close-wait", 0, OPTION_TIME, "TIME",
	 "time to close a connection that its peer or its handler has left (30s)",
	 &thresholds.close_wait_ns},
	{"silent", 0, OPTION_TIME, "TIME", "silence after a 101 worth a remark (30s)",
	 &thresholds.silent_ns},
	{"orphan", 0, OPTION_TIME, "TIME",
	 "time one side of a proxied pair may outlive the other (5s)", &thresholds.orphan_ns},
	{"log-near", 0, OPTION_TIME, "TIME", "how near a log line must be to belong (50ms)",
	 &thresholds.log_near_ns},
	{"timer-percent", 0, OPTION_NUMBER, "N", "how exact a timer is expected to fire (2)",
	 &timer_percent},
	{.name = NULL},
};

static const char text[] =
	"Reads a trace, live or years old, and says for every HTTP upgrade what happened to it. An "
	"attempt that needs attention gets a block: what happened, call by call with the offending "
	"bytes, who did it (function, file and line, where that can be known), why it breaks "
	"something and what to change. Healthy attempts get one line each. Totals, plain exchanges "
	"and what could not be seen stand at the end.\n"
	"\n"
	"DIR is the folder the trace was recorded into, or one .trace file. Symbols are read from "
	"the files that ran, when they are still there and unchanged.\n"
	"\n"
	"Bytes are shown escaped: \\r \\n \\t \\\\ and \\xNN. A line of the timeline that starts "
	"with '>' is evidence; times count from the first byte of the request.\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"0. 1 with --fail-on when there is such a finding. 2 for wrong options. 3 when nothing "
	"could be read, when nothing could be seen (blind) or, with --fail-on, when a part of "
	"the trace could not be read.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown report server.trace\n"
	"    shakedown report server.trace --path '/ws/*' --since 10m\n"
	"    shakedown report server.trace --format json --fail-on error\n"
	"    shakedown report server.trace --follow\n";

/* ---- options into a job ---- */

static void take(uint64_t *to, uint64_t given)
{
	if (given != UINT64_MAX)
		*to = given;
}

static void take_thresholds(struct finding_options *o)
{
	finding_options_default(o);
	take(&o->never_answered_ns, thresholds.never_answered_ns);
	take(&o->relay_ns, thresholds.relay_ns);
	take(&o->closed_right_after_ns, thresholds.closed_right_after_ns);
	take(&o->close_wait_ns, thresholds.close_wait_ns);
	take(&o->silent_ns, thresholds.silent_ns);
	take(&o->orphan_ns, thresholds.orphan_ns);
	take(&o->log_near_ns, thresholds.log_near_ns);
	if (timer_percent != UINT64_MAX)
		o->timer_percent = timer_percent > 100 ? 100 : (uint32_t)timer_percent;
}

static bool check_finding(const char *name)
{
	enum finding_id id;
	struct nearest near;
	unsigned i;

	if (finding_from_name(name, &id))
		return true;
	nearest_init(&near, name);
	for (i = 0; i < FINDING_COUNT; i++)
		nearest_try(&near, finding_info((enum finding_id)i)->id);
	if (near.best)
		complain("there is no finding '%s'; did you mean '%s'?", name, near.best);
	else
		complain("there is no finding '%s'; 'shakedown explain' lists them", name);
	return false;
}

static bool check_connection(const char *id)
{
	char *end;

	errno = 0;
	(void)strtoull(id, &end, 0);
	if (*id >= '0' && *id <= '9' && !*end && !errno)
		return true;
	complain(
		"--conn wants the number a report shows behind 'connection #', or a socket cookie, "
		"not '%s'",
		id);
	return false;
}

static bool check_since(uint64_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (report_since_parse(since, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
			       ret))
		return true;
	complain("--since wants 10m, 14:05, '2024-05-31 14:05' or @SECONDS, not '%s'", since);
	return false;
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static unsigned page_width(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		return size.ws_col;
	return 0;
}

static bool take_options(struct report_job *job)
{
	job->json = strcmp(format, "json") == 0;
	job->filter = (struct report_filter){.path = path_glob,
					     .finding = finding,
					     .conn = connection,
					     .all = all,
					     .colour = wants_colour(),
					     .width = page_width(),
					     .name = job->path};
	take_thresholds(&job->thresholds);
	job->fails = fail_on && severity_from_name(fail_on, &job->fail_on);
	if (finding && !check_finding(finding))
		return false;
	if (connection && !check_connection(connection))
		return false;
	return !since || check_since(&job->filter.since_real_ns);
}

/* ---- the report ---- */

int report_status(const struct report_job *job, const struct report_result *r)
{
	if (job->fails && r->any && r->worst >= job->fail_on)
		return VERB_FOUND;
	return r->blind ? VERB_CANNOT : VERB_OK;
}

static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain("cannot write the report: %s", strerror(errno));
	return VERB_CANNOT;
}

static int report_once(const struct report_job *job)
{
	const struct report_format *form = job->json ? &format_json : &format_text;
	struct report_result result;
	struct trace_set *set;
	char *error = NULL;
	uint32_t i;
	int status;

	set = trace_set_load(job->path, &job->thresholds, &error);
	if (!set) {
		complain("%s", error ? error : "the trace cannot be read");
		free(error);
		return VERB_CANNOT;
	}
	for (i = 0; i < set->skipped; i++)
		complain("%s", set->error[i]);
	for (i = 0; i < set->images; i++)
		if (set->image[i].len < set->image[i].header->file_size)
			complain("%s is cut off; it is shown as far as it goes",
				 set->image[i].path);
	form->write(stdout, set, &job->filter, &job->thresholds, &result);
	status = report_status(job, &result);
	/* What could not be read might hold what --fail-on looks for. */
	if (job->fails && status == VERB_OK && set->skipped)
		status = VERB_CANNOT;
	trace_set_free(set);
	return flush_output(status);
}

static int run(int argc, char **argv)
{
	struct report_job job = {0};

	if (argc != 1) {
		complain(argc ? "report reads one trace at a time; give one folder or .trace file"
			      : "report wants the trace folder: shakedown report DIR");
		return VERB_USAGE;
	}
	job.path = argv[0];
	if (!take_options(&job))
		return VERB_USAGE;
	if (!debuginfod)
		unsetenv("DEBUGINFOD_URLS");
	return follow ? flush_output(report_follow(&job)) : report_once(&job);
}

const struct verb verb_report = {
	.name = "report",
	.synopsis = "DIR [options]",
	.summary =
		"say what happened to every upgrade in a trace, who spoiled it and how to fix it",
	.text = text,
	.options = options,
	.run = run,
};
