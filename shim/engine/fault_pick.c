/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_pick: see fault_pick.h.
 */
#include "shim/engine/fault_pick.h"
#include "shim/engine/fault_decide.h"
#include "shim/engine/fault_time.h"

#define NOINLINE __attribute__((noinline))

enum answer {
	ANSWER_NO,
	ANSWER_CAP,  /* it acts here, which is not the first byte */
	ANSWER_TOLD, /* a record is to be written first */
};

/* ---- where a rule acts ---- */

/* The exchange that a rule without a phase asks about. */
static uint32_t exchange_about(const struct sight_work *w, const struct fault_rule *r)
{
	const struct sight_place *at = &w->at;
	bool requests = (w->dir == DIR_RX) == (w->m.role == ROLE_SERVER);

	if (r->phase != PHASE_COUNT || !requests || at->phase == PHASE_UPGRADED ||
	    at->phase == PHASE_FRAMES || at->phase == PHASE_CLOSING)
		return at->exchange;
	return at->request;
}

static bool exchange_matches(const struct sight_work *w, uint32_t n)
{
	const struct fault_rule *r = &w->view.rules->rule[n];
	uint32_t exchange = exchange_about(w, r), i = exchange % SIGHT_RING;

	if ((w->s->asks >> n & 1) &&
	    (w->at.mask_of[i] != exchange + 1 || !(w->at.mask[i] >> n & 1)))
		return false;
	return !fault_given(r, FAULT_KEY_STATUS) ||
	       (w->at.status[i] && fault_match_status(r, w->at.status[i]));
}

/* Is it time?  From the connection's beginning, or the phase's. */
static bool in_time(const struct sight_work *w, const struct fault_rule *r, uint64_t t_open)
{
	uint64_t from = t_open, past;

	if (!(r->after_ns | r->for_ns | r->until_ns))
		return true;
	if (r->phase != PHASE_COUNT) {
		bool same = w->at.phase == w->s->at.phase && w->at.exchange == w->s->at.exchange;

		from = same ? w->s->t_phase : w->now;
	}
	past = w->now > from ? w->now - from : 0;
	return past >= r->after_ns && (!r->for_ns || past < r->after_ns + r->for_ns) &&
	       (!r->until_ns || past < r->until_ns);
}

/* A slice that leaves nothing to chance or time acts on all bytes alike: its unit is the exchange, for its
 * pieces may be larger than a block. */
static bool acts_throughout(const struct fault_rule *r)
{
	static const enum fault_key chance[] = {
		FAULT_KEY_P,	 FAULT_KEY_CORR,  FAULT_KEY_WHEN,
		FAULT_KEY_TIMES, FAULT_KEY_SPACE, FAULT_KEY_INTERVAL,
		FAULT_KEY_AFTER, FAULT_KEY_FOR,	  FAULT_KEY_UNTIL,
	};

	if (r->phase != PHASE_COUNT)
		return false;
	for (uint32_t i = 0; i < r->acts; i++) {
		if (r->act[i].fault != FAULT_SLICE)
			return false;
	}
	for (uint32_t i = 0; i < CORE_ARRAY_LEN(chance); i++) {
		if (fault_given(r, chance[i]))
			return false;
	}
	return true;
}

/* How far into its phase a rule with +rand acts: into what is there of the phase. */
static uint64_t rand_offset(struct sight_work *w, uint32_t n, uint64_t unit)
{
	uint64_t end = w->start + w->n, begin = w->at.phase_off[w->dir];

	for (uint32_t i = 0; i < w->events; i++) {
		const struct sight_event *e = &w->event[i];

		if (e->what == PHASE_CHANGE && e->off > begin && e->off < end)
			end = e->off;
	}
	(void)decide_hit(&w->view, w->s, n, (enum dir)w->dir, unit, &w->hit);
	return end > begin ? fault_draw(&w->hit.unit, FAULT_ACTS + 1) % (end - begin) : 0;
}

/* Frames have numbers; bytes of other protocols behind a switch are blocks. */
static bool frame_unit(const struct sight_work *w, const struct fault_rule *r, uint64_t pos,
		       uint64_t *unit)
{
	const struct sight_place *at = &w->at;

	if (!phase_is_framed(&w->m)) {
		*unit = pos / FAULT_BLOCK;
		return at->phase == PHASE_FRAMES;
	}
	*unit = at->frames[w->dir];
	return *unit && fault_match_frame(r, *unit, at->op[w->dir]) &&
	       (r->where != FAULT_WHERE_OFFSET || pos >= at->frame_off[w->dir] + r->at);
}

/* Do the phase's own bytes move the other way?  What moves this way behind it belongs to another one. */
static bool moves_otherwise(const struct sight_work *w, const struct fault_rule *r)
{
	bool requests = (w->dir == DIR_RX) == (w->m.role == ROLE_SERVER);

	switch ((enum phase)r->phase) {
	case PHASE_REQUEST_HEAD:
	case PHASE_REQUEST_BODY:
		return !requests;
	case PHASE_RESPONSE_HEAD:
	case PHASE_RESPONSE_BODY:
		return requests;
	default:
		return false;
	}
}

static bool end_unit(const struct sight_work *w, const struct fault_rule *r, uint64_t pos,
		     bool leaving, uint64_t *unit)
{
	const struct sight_place *at = &w->at;
	uint32_t left = at->left[r->phase];

	if (leaving && at->phase == r->phase)
		left = at->exchange + 1;
	else if (leaving || pos != w->start || moves_otherwise(w, r))
		return false;
	*unit = fault_unit_of_phase(left - 1, (enum phase)r->phase);
	return left;
}

/* A phase that had no bytes in this direction is made up for at the next call. */
static bool passed_unit(const struct sight_work *w, const struct fault_rule *r, uint64_t pos,
			uint64_t *unit)
{
	const struct sight_place *at = &w->at;
	uint32_t left = at->left[r->phase];

	*unit = fault_unit_of_phase(left - 1, (enum phase)r->phase);
	return left && pos == w->start && r->where == FAULT_WHERE_START && !moves_otherwise(w, r) &&
	       (at->empty[w->dir] >> r->phase & 1) &&
	       (left == at->exchange + 1 || left == at->exchange);
}

/* The unit of rule n at pos.  leaving: the phase ends here. */
static bool unit_at(struct sight_work *w, uint32_t n, uint64_t pos, bool leaving, uint64_t *unit)
{
	const struct fault_rule *r = &w->view.rules->rule[n];
	const struct sight_place *at = &w->at;
	uint64_t off = at->phase_off[w->dir];

	if (pos < r->space)
		return false;
	if (r->phase == PHASE_COUNT) {
		*unit = acts_throughout(r) ? exchange_about(w, r) : pos / FAULT_BLOCK;
		return !leaving;
	}
	if (r->where == FAULT_WHERE_END)
		return end_unit(w, r, pos, leaving, unit);
	if (r->phase == PHASE_FRAMES)
		return !leaving && frame_unit(w, r, pos, unit);
	*unit = fault_unit_of_phase(at->exchange, (enum phase)at->phase);
	if (at->phase != r->phase)
		return passed_unit(w, r, pos, unit);
	if (r->where == FAULT_WHERE_OFFSET)
		return pos >= off + r->at;
	if (w->s->rule[n].cut[w->dir] == pos + 1 && !w->n)
		return true; /* behind a call */
	return r->where != FAULT_WHERE_RAND || pos >= off + rand_offset(w, n, *unit);
}

/* ---- deciding ---- */

static void begin_acting(struct sight_work *w, const struct fault_hit *h, uint64_t pos)
{
	struct sight_rule *sr = &w->s->rule[h->n];

	sr->acting[w->dir] = h->unit.unit + 1;
	sr->drawn[w->dir] = h->drawn;
	sr->off[w->dir] = pos;
	sr->told[w->dir] = sr->done[w->dir] = 0;
}

static NOINLINE enum answer consider(struct sight_work *w, const struct call *c, uint32_t n,
				     uint64_t pos, bool leaving, struct pick *p)
{
	const struct fault_rule *r = &w->view.rules->rule[n];
	struct sight_rule *sr = &w->s->rule[n];
	struct decide_count count;
	uint64_t unit;
	bool acts;

	if (!unit_at(w, n, pos, leaving, &unit) || unit < sr->served[w->dir] ||
	    !exchange_matches(w, n) || !in_time(w, r, conn_at(c->conn)->t_open) ||
	    !decide_hit(&w->view, w->s, n, (enum dir)w->dir, unit, &p->hit))
		return ANSWER_NO;
	count = decide_counts(&w->view, w->s, n, &w->at);
	acts = decide_would(&w->view, &count, &p->hit);
	if (acts && pos > w->start && !time_is_over(w, &p->hit, &p->value)) {
		sr->cut[w->dir] = pos + 1;
		return ANSWER_CAP;
	}
	decide_taken(&count, &p->hit, acts);
	sr->served[w->dir] = unit + 1;
	if (!acts)
		return ANSWER_NO;
	begin_acting(w, &p->hit, pos);
	if (pos == w->start)
		return ANSWER_NO;
	sr->told[w->dir] = sr->done[w->dir] = 1;
	p->hit.phase = w->at.phase;
	p->hit.off = pos;
	p->kind = PICK_TELL;
	p->what = TRACE_FAULT_BEGAN;
	return ANSWER_TOLD;
}

static enum answer consider_all(struct sight_work *w, const struct call *c, uint64_t pos,
				bool leaving, struct pick *p)
{
	enum answer a = ANSWER_NO;

	for (uint64_t left = w->mask; left && a == ANSWER_NO; left &= left - 1)
		a = consider(w, c, (uint32_t)__builtin_ctzll(left), pos, leaving, p);
	return a;
}

/* Every rule at pos: before what changes there, and behind it. */
static NOINLINE enum answer stand(struct sight_work *w, const struct call *c, uint64_t pos,
				  uint32_t *i, struct pick *p)
{
	for (; *i < w->events && w->event[*i].off <= pos; ++*i) {
		enum answer a = ANSWER_NO;

		if (w->event[*i].what == PHASE_CHANGE)
			a = consider_all(w, c, pos, true, p);
		if (a != ANSWER_NO)
			return a;
		sight_apply(w, *i);
	}
	return consider_all(w, c, pos, false, p);
}

static uint64_t nearer(uint64_t a, uint64_t b, uint64_t pos)
{
	return b > pos && b < a ? b : a;
}

/* The next place behind pos where a unit may begin. */
static NOINLINE uint64_t next_place(struct sight_work *w, uint64_t pos, uint32_t i, uint64_t end)
{
	uint64_t to = i < w->events && w->event[i].off < end ? w->event[i].off : end;

	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];
		bool frames = r->phase == PHASE_FRAMES;

		to = nearer(to, r->space, pos);
		if (acts_throughout(r))
			continue;
		if (r->phase == PHASE_COUNT || (frames && !phase_is_framed(&w->m)))
			to = nearer(to, (pos / FAULT_BLOCK + 1) * FAULT_BLOCK, pos);
		else if (r->where == FAULT_WHERE_OFFSET && frames)
			to = nearer(to, w->at.frame_off[w->dir] + r->at, pos);
		else if (r->where == FAULT_WHERE_OFFSET && w->at.phase == r->phase)
			to = nearer(to, w->at.phase_off[w->dir] + r->at, pos);
		else if (r->where == FAULT_WHERE_RAND && w->at.phase == r->phase)
			to = nearer(to,
				    w->at.phase_off[w->dir] +
					    rand_offset(w, n,
							fault_unit_of_phase(w->at.exchange,
									    (enum phase)r->phase)),
				    pos);
	}
	return to;
}

/* ---- what is to be done at the first byte ---- */

bool pick_is_current(struct sight_work *w, uint32_t n)
{
	uint64_t unit;

	return w->s->rule[n].acting[w->dir] && unit_at(w, n, w->start, false, &unit) &&
	       unit + 1 == w->s->rule[n].acting[w->dir];
}

void pick_fill(const struct sight_work *w, uint32_t n, uint32_t i, struct pick *p,
	       enum pick_kind kind)
{
	const struct sight_rule *sr = &w->s->rule[n];

	(void)decide_hit(&w->view, w->s, n, (enum dir)w->dir, sr->acting[w->dir] - 1, &p->hit);
	p->hit.act = &p->hit.rule->act[i];
	p->hit.drawn = sr->drawn[w->dir];
	p->hit.off = w->start;
	p->hit.phase = w->at.phase;
	p->kind = (uint8_t)kind;
	p->value = 0;
	p->what = TRACE_FAULT_ACTED;
}

static enum fault_kind kind_of(const struct fault_act *a)
{
	return fault_kind_of((enum fault_id)a->fault);
}

/* Does an act end with the call that it makes shorter? */
static bool is_cap(const struct fault_act *a)
{
	return a->fault == FAULT_SLICE || a->fault == FAULT_SHORT;
}

bool pick_needs_bytes(const struct fault_act *a)
{
	return a->fault == FAULT_DROP || a->fault == FAULT_LIMIT || kind_of(a) == FAULT_KIND_SHAPE;
}

/* A further outcome of the same moment does nothing, and that is told.  Behind the first part of a call
 * what needs the bytes is not done yet: that part is the answer, and the next call begins here. */
static bool outcome(struct sight_work *w, uint32_t n, uint32_t i, struct pick *p, bool *found)
{
	const struct fault_act *a = &w->view.rules->rule[n].act[i];
	struct sight_rule *sr = &w->s->rule[n];

	if (w->partial && pick_needs_bytes(a)) {
		*found = true;
		return false;
	}
	if (*found) {
		sr->done[w->dir] |= (uint8_t)(1u << i);
		pick_fill(w, n, i, p, PICK_TELL);
		p->what = TRACE_FAULT_SHADOWED;
		return true;
	}
	*found = true;
	return false;
}

static bool shape(struct sight_work *w, uint32_t n, uint32_t i, struct pick *p)
{
	struct sight_rule *sr = &w->s->rule[n];
	const struct fault_act *a = &w->view.rules->rule[n].act[i];

	if (is_cap(a)) {
		if (sr->told[w->dir] >> i & 1)
			return false;
		sr->told[w->dir] |= (uint8_t)(1u << i);
		pick_fill(w, n, i, p, PICK_TELL);
		p->value = (int64_t)a->param[0];
		return true;
	}
	if (!w->partial)
		sr->done[w->dir] |= (uint8_t)(1u << i);
	if (w->dir == DIR_RX && a->fault == FAULT_CORRUPT) {
		w->s->corrupt = (uint8_t)(n + 1);
		w->s->corrupt_act = (uint8_t)i;
		return false;
	}
	pick_fill(w, n, i, p, PICK_SHAPE);
	return true;
}

/* The acts of one kind at the first byte, in order.  True: p says what to do. */
static NOINLINE bool choose(struct sight_work *w, enum fault_kind kind, struct pick *p)
{
	uint32_t first = 0, first_act = 0;
	bool found = false;

	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];
		struct sight_rule *sr = &w->s->rule[n];

		for (uint32_t i = 0; sr->acting[w->dir] && i < r->acts; i++) {
			bool had = found;

			if (kind_of(&r->act[i]) != kind || (sr->done[w->dir] >> i & 1))
				continue;
			if (kind == FAULT_KIND_PROCESS) {
				sr->done[w->dir] |= (uint8_t)(1u << i);
				pick_fill(w, n, i, p, PICK_PROCESS);
				return true;
			}
			if (kind == FAULT_KIND_SHAPE ? shape(w, n, i, p)
						     : outcome(w, n, i, p, &found))
				return true;
			if (found && !had) {
				first = n;
				first_act = i;
			}
		}
	}
	if (!found)
		return false;
	if (!w->partial || !pick_needs_bytes(&w->view.rules->rule[first].act[first_act]))
		w->s->rule[first].done[w->dir] |= (uint8_t)(1u << first_act);
	pick_fill(w, first, first_act, p, PICK_OUTCOME);
	return true;
}

/* ---- how much may move ---- */

/* Pieces of a slice are counted from where the rule began to act; without a phase, from the beginning of
 * the stream. */
static uint64_t slice_began(const struct sight_work *w, uint32_t n)
{
	return w->view.rules->rule[n].phase == PHASE_COUNT ? 0 : w->s->rule[n].off[w->dir];
}

static bool is_segment(const struct sight_work *w, const struct fault_act *a)
{
	return a->fault == FAULT_SLICE && w->dir == DIR_TX && !w->hidden &&
	       a->param[FAULT_SLICE_as] == FAULT_AS_SEGMENT;
}

static uint64_t slice_end(struct sight_work *w, uint32_t n, const struct fault_act *a)
{
	uint64_t began = slice_began(w, n);
	uint64_t distance = w->start > began ? w->start - began : 0;
	const struct fault_unit *u = time_slice_unit(w, n);

	return began + fault_slice_start(u, a, fault_slice_piece(u, a, distance) + 1);
}

static void cap_at(struct pick *p, const struct sight_work *w, uint64_t end)
{
	uint64_t bytes = end > w->start ? end - w->start : 1;

	if (bytes >= p->bytes)
		return;
	p->bytes = bytes;
	p->capped = true;
}

static NOINLINE void cap_acts(struct sight_work *w, struct pick *p)
{
	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];
		struct sight_rule *sr = &w->s->rule[n];

		if (!pick_is_current(w, n))
			continue;
		for (uint32_t i = 0; i < r->acts; i++) {
			const struct fault_act *a = &r->act[i];

			if (is_segment(w, a) && !p->segment) {
				pick_fill(w, n, i, p, PICK_PASS);
				p->segment = true;
				p->until = slice_began(w, n);
			} else if (a->fault == FAULT_SLICE) {
				cap_at(p, w, slice_end(w, n, a));
			} else if (a->fault == FAULT_SHORT && !(sr->done[w->dir] >> i & 1)) {
				sr->done[w->dir] |= (uint8_t)(1u << i);
				cap_at(p, w, w->start + a->param[FAULT_SHORT_max]);
			} else if (a->fault == FAULT_RATE) {
				w->s->rated[w->dir] |= UINT64_C(1) << n;
				cap_at(p, w, w->start + a->param[FAULT_RATE_burst]);
			}
		}
	}
}

/* Several writes share a block, and a delay is that of each: what is met later waits from then on. */
static NOINLINE void delay_again(struct sight_work *w, const struct call *c)
{
	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];

		if (r->phase != PHASE_COUNT || !pick_is_current(w, n) || !exchange_matches(w, n) ||
		    !in_time(w, r, conn_at(c->conn)->t_open))
			continue;
		for (uint32_t i = 0; i < r->acts; i++) {
			if (r->act[i].fault == FAULT_DELAY)
				w->s->rule[n].done[w->dir] &= (uint8_t) ~(1u << i);
		}
	}
}

void pick_next(struct sight_work *w, const struct call *c, struct pick *p)
{
	uint64_t pos = w->start, end = w->start + w->n;
	enum answer a;
	uint32_t i = 0;

	w->at = w->first;
	p->segment = p->capped = false;
	p->mode = FAULT_MODE_GATE;
	if (stand(w, c, pos, &i, p) == ANSWER_TOLD)
		return;
	if (w->met)
		delay_again(w, c);
	w->met = false;
	if (time_pick(w, p) || choose(w, FAULT_KIND_PROCESS, p) || choose(w, FAULT_KIND_SHAPE, p) ||
	    choose(w, FAULT_KIND_OUTCOME, p))
		return;
	p->bytes = w->rest;
	w->s->rated[w->dir] = 0;
	if (w->full && w->event[SIGHT_EVENTS - 1].off < end)
		end = w->event[SIGHT_EVENTS - 1].off;
	if (end < w->start + w->rest)
		cap_at(p, w, end);
	if ((w->mask & w->s->timed) && w->s->seen_to[w->dir] < end)
		cap_at(p, w, w->s->seen_to[w->dir]);
	cap_acts(w, p);
	end = w->start + p->bytes < end ? w->start + p->bytes : end;
	while ((pos = next_place(w, pos, i, end)) < end) {
		a = stand(w, c, pos, &i, p);
		if (a == ANSWER_TOLD)
			return;
		if (a == ANSWER_CAP) {
			cap_at(p, w, pos);
			break;
		}
	}
	p->kind = PICK_PASS;
}

/* ---- behind a call ---- */

/* Does the frame that the last byte belonged to go on?  What lies behind its end is another one's. */
static bool is_inside_frame(const struct sight_work *w)
{
	bool requests = (w->dir == DIR_RX) == (w->m.role == ROLE_SERVER);
	const struct ws_frame *f = requests ? &w->m.req.frame : &w->m.resp.frame;

	return phase_is_framed(&w->m) && f->complete && f->left;
}

/* Did the call end where rule n acts? */
static bool reached(const struct sight_work *w, uint32_t n)
{
	const struct fault_rule *r = &w->view.rules->rule[n];

	if (r->where == FAULT_WHERE_END)
		return kind_of(&r->act[0]) == FAULT_KIND_OUTCOME ||
		       fault_acts_behind((enum fault_id)r->act[0].fault);
	for (uint32_t i = 0; i < r->acts; i++) {
		if (!fault_acts_behind((enum fault_id)r->act[i].fault))
			return false;
	}
	if (w->start == w->at.phase_off[w->dir])
		return false;
	if (r->where == FAULT_WHERE_RAND) /* drawn from what could be seen then */
		return w->s->rule[n].cut[w->dir] == w->start + 1;
	return r->where == FAULT_WHERE_OFFSET && r->at &&
	       (r->phase != PHASE_FRAMES || is_inside_frame(w));
}

bool pick_behind(struct sight_work *w, const struct call *c, struct pick *p)
{
	w->at = w->s->at;
	w->mask &= ~w->s->timed; /* these act at the next call's first byte */
	for (uint64_t left = w->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);

		if (!reached(w, n))
			w->mask &= ~(UINT64_C(1) << n);
	}
	if (!w->mask)
		return false;
	(void)consider_all(w, c, w->start, false, p);
	return choose(w, FAULT_KIND_PROCESS, p) || choose(w, FAULT_KIND_OUTCOME, p);
}
