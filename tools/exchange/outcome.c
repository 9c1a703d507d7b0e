/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/outcome: in one word, how an exchange ended.  docs/report.md is the prose of this file.
 */
#include "tools/exchange/build.h"

static enum outcome of_status(unsigned status)
{
	if (status == 101)
		return OUTCOME_UPGRADED;
	if (status < 300)
		return OUTCOME_IGNORED;
	return status < 500 ? OUTCOME_REFUSED : OUTCOME_FAILED;
}

static bool answered_nonsense(const struct connection *c, const struct exchange *x)
{
	for (uint32_t i = x->mark_start; i < x->mark_end; i++) {
		if (c->mark[i].e.what == PHASE_BAD_RESPONSE && c->mark[i].e.exchange == x->ordinal)
			return true;
	}
	return false;
}

enum outcome outcome_decide(const struct process *p, const struct exchange *x, uint64_t limit_ns)
{
	const struct connection *c = x->conn;
	uint32_t peer = c->ev_eof < c->ev_reset ? c->ev_eof : c->ev_reset;
	uint32_t own = c->ev_close < c->ev_shutdown ? c->ev_close : c->ev_shutdown;
	uint32_t asker = c->role == ROLE_SERVER ? peer : own;
	uint32_t answerer = c->role == ROLE_SERVER ? own : peer;

	if (x->final)
		return of_status(x->final->view->head.status);
	if (answered_nonsense(c, x))
		return OUTCOME_FAILED;
	if (asker == MODEL_NONE && answerer == MODEL_NONE) {
		if (c->partial || !x->t_head || p->t_end < x->t_head ||
		    p->t_end - x->t_head < limit_ns)
			return OUTCOME_PENDING;
		return OUTCOME_UNANSWERED;
	}
	if (asker < answerer)
		return OUTCOME_ABANDONED;
	return x->answers ? OUTCOME_FAILED : OUTCOME_UNANSWERED;
}
