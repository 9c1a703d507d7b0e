/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/replay_decisions: what a recorded run decided, for a run that repeats it.
 */
#ifndef TOOLS_CONTROL_REPLAY_DECISIONS_H
#define TOOLS_CONTROL_REPLAY_DECISIONS_H

#include "core/trace/control.h"

struct replay_decisions {
	struct control_decision *decision; /* in no order; doubles may occur */
	size_t n;
	uint64_t lost; /* records of the trace that are gone: some decisions may be */
	/* What was in force at its end. */
	struct fault_rule *rule;
	uint32_t rules;
	uint64_t on;
	uint64_t seed;
};

/* Read a trace folder.  False: *ret_error is a sentence (malloc'ed). */
bool replay_decisions_read(struct replay_decisions *ret, const char *path, char **ret_error);
void replay_decisions_free(struct replay_decisions *r);

#endif
