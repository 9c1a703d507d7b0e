/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_decide: see fault_decide.h.
 */
#include "shim/engine/fault_decide.h"
#include "shim/engine/clock.h"

enum {
	THREADS = 256, /* pairs of thread and rule; more share their counts */
};

/* Counts over the whole process, and over a thread, of the rules of one list. */
static struct {
	uint32_t generation;
	struct {
		uint32_t eligible, hits;
	} process[FAULT_RULES];
	struct {
		uint32_t owner; /* thread << 6 | rule, mixed up; 0 free */
		uint32_t eligible, hits;
	} thread[THREADS];
} counts;

static void renew(uint32_t generation)
{
	uint32_t old = __atomic_load_n(&counts.generation, __ATOMIC_ACQUIRE);

	if (old == generation ||
	    !__atomic_compare_exchange_n(&counts.generation, &old, generation, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	memset(counts.process, 0, sizeof(counts.process));
	memset(counts.thread, 0, sizeof(counts.thread));
}

static struct decide_count of_thread(uint32_t n)
{
	uint32_t owner = clock_thread() << 6 | n, at = owner * 2654435761u >> 24, none = 0;

	owner += !owner;
	for (uint32_t i = 0; i < THREADS; i++, at = (at + 1) % THREADS) {
		none = 0;
		if (__atomic_load_n(&counts.thread[at].owner, __ATOMIC_RELAXED) == owner ||
		    __atomic_compare_exchange_n(&counts.thread[at].owner, &none, owner, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
		    none == owner)
			break;
	}
	return (struct decide_count){&counts.thread[at].eligible, &counts.thread[at].hits};
}

struct decide_count decide_counts(const struct control_view *v, struct sight *s, uint32_t n,
				  const struct sight_place *at)
{
	const struct fault_rule *r = &v->rules->rule[n];
	uint64_t scope = 0;

	renew(v->generation);
	if (r->per == FAULT_PER_THREAD)
		return of_thread(n);
	if (r->per == FAULT_PER_PROCESS || !s)
		return (struct decide_count){&counts.process[n].eligible, &counts.process[n].hits};
	if (r->per == FAULT_PER_EXCHANGE)
		scope = at->exchange + UINT64_C(1);
	else if (r->per == FAULT_PER_PHASE)
		scope = fault_unit_of_phase(at->exchange, (enum phase)at->phase) + 1;
	if (s->rule[n].scope != scope) {
		s->rule[n].scope = scope;
		s->rule[n].eligible = s->rule[n].hits = 0;
	}
	return (struct decide_count){&s->rule[n].eligible, &s->rule[n].hits};
}

static uint64_t key_of(const struct fault_rule *r, const struct sight *s, uint32_t n)
{
	if (!s)
		return 0;
	switch ((enum fault_conn_key)r->conn_key) {
	case FAULT_BY_PATH:
	case FAULT_BY_FIELD:
		return s->rule[n].key;
	case FAULT_BY_PEER_PORT:
		return s->peer_port;
	case FAULT_BY_ORDINAL:
		break;
	}
	return s->ordinal;
}

bool decide_hit(const struct control_view *v, const struct sight *s, uint32_t n, enum dir dir,
		uint64_t unit, struct fault_hit *h)
{
	const struct fault_rule *r = &v->rules->rule[n];

	h->rule = r;
	h->act = &r->act[0];
	h->stat = control_stat(v->page, v->rules, n);
	h->unit.seed = v->page->seed;
	h->unit.conn_key = key_of(r, s, n);
	h->unit.unit = unit;
	h->unit.rule = fault_rule_id(r);
	h->unit.dir = dir;
	h->drawn = h->off = 0;
	h->n = n;
	h->phase = 0;
	h->dir = (uint8_t)dir;
	return h->unit.conn_key || !s;
}

/* Loss has a chance of its own: a unit that is not lost was not acted upon. */
static bool does_something(const struct fault_hit *h)
{
	for (unsigned i = 0; i < h->rule->acts; i++) {
		const struct fault_act *a = &h->rule->act[i];

		if (a->fault != FAULT_LOSS || fault_loss(&h->unit, a))
			return true;
	}
	return false;
}

bool decide_would(const struct control_view *v, const struct decide_count *count,
		  struct fault_hit *h)
{
	if (control_replays(v->page))
		return control_replayed(v->page, fault_unit_key(&h->unit), &h->drawn);
	return fault_count(h->rule, *count->eligible + UINT64_C(1), *count->hits) &&
	       fault_decide(h->rule, &h->unit, &h->drawn) && does_something(h);
}

void decide_taken(const struct decide_count *count, const struct fault_hit *h, bool acts)
{
	__atomic_fetch_add(count->eligible, 1, __ATOMIC_RELAXED);
	if (acts)
		__atomic_fetch_add(count->hits, 1, __ATOMIC_RELAXED);
	if (h->stat)
		__atomic_fetch_add(&h->stat->eligible, 1, __ATOMIC_RELAXED);
}
