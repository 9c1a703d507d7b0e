/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/select: which exchanges a report is about, and what was found about each.
 */
#ifndef TOOLS_FORMAT_SELECT_H
#define TOOLS_FORMAT_SELECT_H

#include "tools/format/format.h"

/* Does the exchange belong into the report at all, before findings are known? */
bool select_exchange(const struct report_filter *f, const struct image *img,
		     const struct exchange *x);

/* Fill rc: the findings of the exchange and, on the last attempt of a connection, those of the
 * connection.  False when the filter asks for a finding that is not among them. */
bool select_findings(const struct report_filter *f, const struct finding_options *o,
		     const struct image *img, const struct exchange *x, struct report_case *rc);

/* Findings of a connection no attempt of which can show them. ret holds FINDING_MAX. */
uint32_t select_orphans(const struct report_filter *f, const struct finding_options *o,
			const struct image *img, const struct connection *c, struct finding *ret);

/* Findings of a whole process that pass the filter. */
bool select_process_finding(const struct report_filter *f, const struct finding *found);

/* At least a warning was found, or something that a rule explains. */
bool case_needs_attention(const struct report_case *rc);
/* The primary finding, NULL without findings. */
const struct finding *case_primary(const struct report_case *rc);
/* The worst severity, INFO without findings. */
enum severity case_worst(const struct report_case *rc);

/* Fold one finding into what was printed; one that a rule explains does not count. */
void result_add(struct report_result *r, const struct finding *f);
/* A set all of whose images are blind, or that has none. */
bool set_is_blind(const struct trace_set *set);

#endif
