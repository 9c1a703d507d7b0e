/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/report: what the parts of `shakedown report` share.
 */
#ifndef TOOLS_VERB_REPORT_H
#define TOOLS_VERB_REPORT_H

#include "tools/format/format.h"

struct report_job {
	const char *path;
	struct report_filter filter;
	struct finding_options thresholds;
	bool json;
	bool fails;	       /* --fail-on was given */
	enum severity fail_on; /* valid with fails */
};

/* ---- report_since.c ---- */

/* A point in time as people write it: "10m" (ago), "14:05", "14:05:30", "2024-05-31 14:05[:30]", with
 * 'T' for the blank, "@SECONDS" since 1970.  Local time; a time of day lies at most a day back.
 *   now_real_ns   CLOCK_REALTIME
 * Returns false when text is none of them. */
bool report_since_parse(const char *text, uint64_t now_real_ns, uint64_t *ret_real_ns);

/* ---- report_follow.c ---- */

/* Print attempts as they are decided, until ^C or until every process has ended.
 * Returns an exit status. */
int report_follow(const struct report_job *job);

/* ---- report.c ---- */

/* The exit status of what was printed. */
int report_status(const struct report_job *job, const struct report_result *r);

#endif
