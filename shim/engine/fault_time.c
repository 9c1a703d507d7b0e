/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_time: see fault_time.h.
 */
#include "shim/engine/fault_time.h"
#include "shim/engine/fault_decide.h"
#include "shim/engine/gate.h"

#define NOINLINE __attribute__((noinline))
#define SECOND	 UINT64_C(1000000000)

enum {
	RATE_MOST = 1 << 30, /* bytes counted at once, so that nothing overflows */
};

static uint64_t rate_ns(const struct fault_act *a, uint64_t bytes)
{
	uint64_t rate = a->param[FAULT_RATE_rate] ? a->param[FAULT_RATE_rate] : 1;

	return (bytes < RATE_MOST ? bytes : RATE_MOST) * SECOND / rate;
}

static uint64_t delay_ns(const struct fault_unit *u, uint32_t i, const struct fault_act *a)
{
	if (a->fault == FAULT_LOSS)
		return fault_loss(u, a);
	return fault_spread(u, 1 + i, a->param[FAULT_DELAY_time], a->param[FAULT_DELAY_jitter],
			    (uint32_t)a->param[FAULT_DELAY_corr],
			    (uint32_t)a->param[FAULT_DELAY_dist]);
}

const struct fault_unit *time_slice_unit(struct sight_work *w, uint32_t n)
{
	/* Without a phase the pieces are those of the whole stream. */
	bool whole = w->view.rules->rule[n].phase == PHASE_COUNT;
	uint64_t unit = whole ? 0 : w->s->rule[n].acting[w->dir] - 1;

	(void)decide_hit(&w->view, w->s, n, (enum dir)w->dir, unit, &w->hit);
	return &w->hit.unit;
}

bool time_is_over(const struct sight_work *w, const struct fault_hit *h, int64_t *ret_ns)
{
	const struct fault_act *a = h->act;
	uint64_t ns;

	if (h->rule->acts != 1 || (a->fault != FAULT_DELAY && a->fault != FAULT_LOSS) ||
	    (a->fault == FAULT_DELAY && a->param[FAULT_DELAY_mode] == FAULT_MODE_QUEUE))
		return false;
	ns = delay_ns(&h->unit, 0, a);
	*ret_ns = (int64_t)ns;
	return w->s->seen_at[w->dir] + ns <= w->now;
}

void time_meet(struct sight_work *w, uint64_t total)
{
	struct sight *s = w->s;

	w->met = w->start >= s->seen_to[w->dir];
	if (!w->met)
		return;
	s->seen_at[w->dir] = w->now;
	s->seen_to[w->dir] = w->start + total;
}

void time_moved(struct sight *s, const struct control_view *v, enum dir dir, uint64_t n,
		uint64_t now)
{
	s->moved_at[dir] = now;
	for (uint64_t left = s->rated[dir] & v->on; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &v->rules->rule[i];
		uint64_t *mark = &s->rule[i].mark[dir];

		for (uint32_t k = 0; k < r->acts; k++) {
			if (r->act[k].fault != FAULT_RATE)
				continue;
			*mark = (*mark > now ? *mark : now) + rate_ns(&r->act[k], n);
		}
	}
	s->rated[dir] = 0;
}

/* ---- hold ---- */

static bool phase_reached(const struct sight *s, const struct sight_rule *sr, enum dir dir,
			  uint32_t phase)
{
	(void)sr;
	(void)dir;
	return s->at.phase >= phase;
}

/* Returns when it is over: 0 now, GATE_RELEASE when somebody says so. */
static uint64_t hold_until(struct sight_work *w, uint32_t n, const struct fault_act *a)
{
	const struct fault_rule *r = &w->view.rules->rule[n];
	struct sight_rule *sr = &w->s->rule[n];
	uint32_t low = (uint32_t)a->param[FAULT_HOLD_until], count;
	uint32_t i = (uint32_t)(a - r->act);

	switch ((enum fault_until)(a->param[FAULT_HOLD_until] >> 32)) {
	case FAULT_UNTIL_TIME:
		return w->s->seen_at[w->dir] + low * UINT64_C(1000000);
	case FAULT_UNTIL_PHASE:
		return phase_reached(w->s, sr, (enum dir)w->dir, low) ? 0 : GATE_RELEASE;
	case FAULT_UNTIL_RELEASE:
		break;
	}
	if (sr->mark[w->dir] > w->start)
		return 0;
	count = control_released(w->view.page, r->text + (low >> 16), low & 0xffff);
	if (!(sr->told[w->dir] >> i & 1))
		sr->base[w->dir] = count;
	if (count == sr->base[w->dir])
		return GATE_RELEASE;
	/* Whatever was met before the release goes with it. */
	sr->mark[w->dir] = w->s->seen_to[w->dir];
	return 0;
}

bool time_phase_reached(const struct sight *s, const struct control_view *v, enum dir dir)
{
	for (uint64_t left = s->timed & s->dirs[dir] & v->on; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &v->rules->rule[n];
		const struct sight_rule *sr = &s->rule[n];

		for (uint32_t i = 0; sr->acting[dir] && i < r->acts; i++) {
			uint64_t until = r->act[i].param[FAULT_HOLD_until];

			if (r->act[i].fault == FAULT_HOLD && !(sr->done[dir] >> i & 1) &&
			    until >> 32 == FAULT_UNTIL_PHASE &&
			    phase_reached(s, sr, dir, (uint32_t)until))
				return true;
		}
	}
	return false;
}

/* ---- what goes on as long as the unit does ---- */

static uint64_t rate_until(const struct sight_work *w, uint32_t n, const struct fault_act *a)
{
	uint64_t burst = a->param[FAULT_RATE_burst], mark = w->s->rule[n].mark[w->dir];
	uint64_t bytes = w->rest < burst ? w->rest : burst, due;

	if (mark <= w->now)
		return 0;
	due = mark + rate_ns(a, bytes);
	return due > rate_ns(a, burst) ? due - rate_ns(a, burst) : 0;
}

static uint64_t gap_until(struct sight_work *w, uint32_t n, const struct fault_act *a)
{
	const struct sight_rule *sr = &w->s->rule[n];
	uint64_t began = w->view.rules->rule[n].phase == PHASE_COUNT ? 0 : sr->off[w->dir];
	uint64_t distance = w->start > began ? w->start - began : 0;
	const struct fault_unit *u;

	if (!a->param[FAULT_SLICE_gap] || !w->s->moved_at[w->dir])
		return 0;
	u = time_slice_unit(w, n);
	if (fault_slice_start(u, a, fault_slice_piece(u, a, distance)) != distance)
		return 0;
	return w->s->moved_at[w->dir] + a->param[FAULT_SLICE_gap];
}

/* ---- together ---- */

static void record(const struct sight_work *w, uint32_t n, uint32_t i, struct pick *p,
		   enum trace_fault_what what, uint64_t value)
{
	const struct sight_rule *sr = &w->s->rule[n];

	(void)decide_hit(&w->view, w->s, n, (enum dir)w->dir, sr->acting[w->dir] - 1, &p->hit);
	p->hit.act = &p->hit.rule->act[i];
	p->hit.drawn = sr->drawn[w->dir];
	p->hit.off = w->start;
	p->hit.phase = w->at.phase;
	p->kind = PICK_TELL;
	p->what = (uint8_t)what;
	p->value = (int64_t)value;
}

static void blame(struct sight_wait *t, uint64_t ns, uint32_t n, uint32_t i)
{
	t->any = true;
	if (ns < t->longest)
		return;
	t->longest = ns;
	t->rule = n;
	t->act = i;
}

/* Add act i of rule n.  True: a record comes first. */
static NOINLINE bool add(struct sight_work *w, struct sight_wait *t, uint32_t n, uint32_t i,
			 struct pick *p)
{
	struct sight_rule *sr = &w->s->rule[n];
	const struct fault_act *a = &w->view.rules->rule[n].act[i];
	bool told = sr->told[w->dir] >> i & 1;
	uint64_t ns = 0, until = 0;

	switch ((enum fault_id)a->fault) {
	case FAULT_DELAY:
	case FAULT_LOSS:
		ns = delay_ns(&p->hit.unit, i, a);
		t->sum += ns;
		if (a->fault == FAULT_DELAY && a->param[FAULT_DELAY_mode])
			t->mode = (uint8_t)a->param[FAULT_DELAY_mode];
		break;
	case FAULT_HOLD:
		until = hold_until(w, n, a);
		if (!until && !told) {
			sr->done[w->dir] |= (uint8_t)(1u << i);
			return false;
		}
		break;
	case FAULT_RATE:
		until = rate_until(w, n, a);
		break;
	case FAULT_SLICE:
		until = gap_until(w, n, a);
		break;
	default:
		return false;
	}
	t->until = until > t->until ? until : t->until;
	blame(t, until > w->now ? until - w->now : ns, n, i);
	if (told || a->fault == FAULT_SLICE || (a->fault == FAULT_LOSS && !ns))
		return false;
	sr->told[w->dir] |= (uint8_t)(1u << i);
	record(w, n, i, p, a->fault == FAULT_RATE ? TRACE_FAULT_ACTED : TRACE_FAULT_BEGAN, ns);
	return true;
}

/* Is act i of rule n one that waits now? */
static bool counts(struct sight_work *w, uint32_t n, uint32_t i)
{
	const struct fault_rule *r = &w->view.rules->rule[n];
	const struct sight_rule *sr = &w->s->rule[n];
	uint8_t id = r->act[i].fault;

	if (!sr->acting[w->dir] || (sr->done[w->dir] >> i & 1))
		return false;
	if (id == FAULT_RATE || id == FAULT_SLICE)
		return sr->off[w->dir] == w->start || pick_is_current(w, n);
	return id == FAULT_DELAY || id == FAULT_LOSS || id == FAULT_HOLD;
}

/* The waiting is over: what it was good for once does not come again, and that it ended is told.  */
static NOINLINE bool finish(struct sight_work *w, struct pick *p)
{
	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];
		struct sight_rule *sr = &w->s->rule[n];

		for (uint32_t i = 0; i < r->acts; i++) {
			uint8_t id = r->act[i].fault;

			if (!counts(w, n, i) || id == FAULT_RATE || id == FAULT_SLICE)
				continue;
			sr->done[w->dir] |= (uint8_t)(1u << i);
			if (w->now == w->s->seen_at[w->dir] || !(sr->told[w->dir] >> i & 1))
				continue;
			record(w, n, i, p, TRACE_FAULT_ENDED, w->now - w->s->seen_at[w->dir]);
			return true;
		}
	}
	return false;
}

bool time_queued(struct sight_work *w, uint64_t until, struct pick *p)
{
	w->now = until;
	return finish(w, p);
}

bool time_pick(struct sight_work *w, struct pick *p)
{
	struct sight_wait *t = &w->wait;
	uint64_t until;

	*t = (struct sight_wait){0};
	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];

		for (uint32_t i = 0; i < r->acts; i++) {
			if (!counts(w, n, i))
				continue;
			(void)decide_hit(&w->view, w->s, n, (enum dir)w->dir,
					 w->s->rule[n].acting[w->dir] - 1, &p->hit);
			if (add(w, t, n, i, p))
				return true;
		}
	}
	if (!t->any)
		return false;
	until = t->sum ? w->s->seen_at[w->dir] + t->sum : 0;
	until = until > t->until ? until : t->until;
	if (until <= w->now)
		return finish(w, p);
	record(w, t->rule, t->act, p, TRACE_FAULT_BEGAN, 0);
	p->kind = PICK_WAIT;
	p->until = until;
	p->mode = t->mode;
	return true;
}
