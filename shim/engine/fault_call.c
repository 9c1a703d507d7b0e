/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_call: see fault_call.h.
 *
 * Source: accept(2), poll(2).
 */
#include "shim/engine/fault_call.h"
#include "shim/engine/clock.h"
#include "shim/engine/fault_bytes.h"
#include "shim/engine/fault_decide.h"
#include "shim/engine/fault_piece.h"
#include "shim/engine/queue.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <poll.h>

#define NOINLINE __attribute__((noinline))

enum {
	SITES = 64, /* calls at a time */
};

/* A call and the rules that are asked about it.  Not on the caller's stack, which is too small. */
struct site {
	struct control_view view;
	struct call *c;
	struct conn *conn;
	struct sight *s;
	uint64_t mask;
	bool answered; /* one of them had its outcome */
	struct fault_hit hit;
};

static struct site sites[SITES];
static uint8_t site_taken[SITES];

static struct site *site_take(struct call *c, struct conn *conn)
{
	for (uint32_t i = 0; i < SITES; i++) {
		struct site *t = &sites[i];

		if (__atomic_load_n(&site_taken[i], __ATOMIC_RELAXED) ||
		    __atomic_exchange_n(&site_taken[i], 1, __ATOMIC_ACQUIRE))
			continue;
		t->c = c;
		t->conn = conn;
		t->s = NULL;
		t->mask = 0;
		t->answered = false;
		return t;
	}
	return NULL;
}

static void site_give(struct site *t)
{
	__atomic_store_n(&site_taken[t - sites], 0, __ATOMIC_RELEASE);
}

static uint64_t rules_of(const struct control_view *v, enum fault_site site, const struct call *c)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < v->rules->count && i < FAULT_RULES; i++) {
		const struct fault_rule *r = &v->rules->rule[i];

		if ((v->on >> i & 1) && r->site == site &&
		    (site != FAULT_SITE_CALL || fault_match_call(r, call_table[c->id].name)))
			mask |= UINT64_C(1) << i;
	}
	return mask;
}

/* ---- deciding ---- */

static bool exchange_holds(const struct site *t, uint32_t n)
{
	const struct sight_place *at = &t->s->at;
	uint32_t i = at->exchange % SIGHT_RING;

	if (!(t->s->asks >> n & 1))
		return true;
	return at->mask_of[i] == at->exchange + 1 && (at->mask[i] >> n & 1);
}

/* Does rule n act on this call?  Its unit is how often it could have. */
static bool decide(struct site *t, uint32_t n)
{
	struct decide_count count = decide_counts(&t->view, t->s, n, t->s ? &t->s->at : NULL);
	uint64_t unit = *count.eligible + UINT64_C(1);
	bool acts;

	if (!decide_hit(&t->view, t->s, n, DIR_RX, unit, &t->hit))
		return false;
	acts = decide_would(&t->view, &count, &t->hit);
	decide_taken(&count, &t->hit, acts);
	t->hit.phase = t->s ? t->s->at.phase : PHASE_ACCEPTED;
	return acts;
}

static bool is_outcome(const struct fault_act *a)
{
	return fault_kind_of((enum fault_id)a->fault) == FAULT_KIND_OUTCOME;
}

static void pause_for(const struct site *t)
{
	uint64_t ns = fault_spread(&t->hit.unit, 1, t->hit.act->param[FAULT_DELAY_time],
				   t->hit.act->param[FAULT_DELAY_jitter],
				   (uint32_t)t->hit.act->param[FAULT_DELAY_corr],
				   (uint32_t)t->hit.act->param[FAULT_DELAY_dist]);
	uint64_t end = clock_now() + ns;
	struct timespec ts = {(time_t)(end / 1000000000), (long)(end % 1000000000)};

	fault_tell(t->c, t->conn, &t->hit, TRACE_FAULT_BEGAN, (int64_t)ns);
	while (sys_4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&ts, 0) == -EINTR)
		;
	fault_tell(t->c, t->conn, &t->hit, TRACE_FAULT_ENDED, (int64_t)ns);
}

/* Carry out what the rule does.  False: answered. */
static bool carry_out(struct site *t)
{
	const struct fault_rule *r = t->hit.rule;

	for (uint32_t i = 0; i < r->acts; i++) {
		t->hit.act = &r->act[i];
		if (t->hit.act->fault == FAULT_DELAY) {
			pause_for(t);
		} else if (is_outcome(t->hit.act) && t->answered) {
			fault_tell(t->c, t->conn, &t->hit, TRACE_FAULT_SHADOWED, 0);
		} else if (!t->answered && !fault_act_call(t->c, t->conn, &t->hit)) {
			t->answered = true;
		}
	}
	return !t->answered;
}

/* Which of the rules concern the call's connection, or whom it would be with. */
static NOINLINE void sift_rules(struct site *t, int fd, enum role role)
{
	struct fault_conn_facts f;

	if (t->conn)
		return;
	sight_facts(&f, &t->view, fd, role, t->view.page->connections + 1);
	for (uint64_t left = t->mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);

		if (!fault_match_conn(&t->view.rules->rule[n], &f))
			t->mask &= ~(UINT64_C(1) << n);
	}
}

static bool look_at_rule(struct site *t, uint32_t n)
{
	bool acts;

	if (!t->conn)
		return decide(t, n);
	if (!conn_lock(t->conn))
		return false;
	t->s = t->conn->id == (uint32_t)t->c->conn_key
		       ? sight_of(t->conn, &t->view, (int)t->conn->fd, DIR_RX, 0)
		       : NULL;
	acts = t->s && (t->s->concerns >> n & 1) && exchange_holds(t, n) && decide(t, n);
	conn_unlock(t->conn);
	return acts;
}

static NOINLINE bool ask(struct site *t)
{
	for (uint64_t left = t->mask; left; left &= left - 1) {
		if (look_at_rule(t, (uint32_t)__builtin_ctzll(left)))
			(void)carry_out(t);
	}
	return !t->answered;
}

/* ---- which calls ---- */

/* Would it do anything? */
static bool would_read(const struct call *c)
{
	uint64_t all;
	uint8_t one;

	return fault_piece_blocks(c) || fault_bytes_ahead((int)c->arg[0], &one, 1, &all) != -EAGAIN;
}

static bool ask_named(struct site *t)
{
	if (!control_now(&t->view))
		return true;
	t->mask = rules_of(&t->view, FAULT_SITE_CALL, t->c);
	if (!t->mask || (call_table[t->c->id].op == OP_READ && !would_read(t->c)))
		return true;
	return ask(t);
}

bool fault_call_named(struct call *c, struct conn *conn)
{
	struct site *t = conn ? site_take(c, conn) : NULL;
	bool make = !t || ask_named(t);

	if (t)
		site_give(t);
	return make;
}

static const struct fault_act *slow_close_of(const struct fault_rule *r)
{
	for (uint32_t i = 0; i < r->acts; i++) {
		if (r->act[i].fault == FAULT_SLOW_CLOSE)
			return &r->act[i];
	}
	return NULL;
}

/* A rule that names a phase acts when the close comes in it. */
static bool look_at_close(struct site *t, uint32_t n)
{
	const struct fault_rule *r = &t->view.rules->rule[n];
	bool here;

	if (!conn_lock(t->conn))
		return false;
	t->s = sight_of(t->conn, &t->view, (int)t->c->arg[0], DIR_TX, 0);
	here = r->phase == PHASE_COUNT || (t->s && t->s->at.phase == r->phase);
	conn_unlock(t->conn);
	return here && look_at_rule(t, n);
}

static void close_slowly(struct site *t)
{
	uint64_t ns;

	if (!control_now(&t->view))
		return;
	for (uint64_t left = t->view.on; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_act *a = slow_close_of(&t->view.rules->rule[n]);

		if (!a || !look_at_close(t, n))
			continue;
		ns = a->param[FAULT_SLOW_CLOSE_delay];
		t->hit.act = a;
		t->hit.dir = DIR_TX;
		queue_closes(t->conn, (int)t->c->arg[0], clock_now() + ns);
		fault_tell(t->c, t->conn, &t->hit, TRACE_FAULT_BEGAN, (int64_t)ns);
		return;
	}
}

void fault_call_closes(struct call *c, struct conn *conn)
{
	struct site *t = conn->refs > 1 ? NULL : site_take(c, conn);

	if (t) {
		close_slowly(t);
		site_give(t);
	}
}

static bool would_accept(const struct call *c)
{
	struct pollfd p = {.fd = (int)c->arg[0], .events = POLLIN};
	bool blocks = !(sys_2(SYS_fcntl, (int)c->arg[0], F_GETFL) & O_NONBLOCK);

	/* Who waits for somebody, waits here: what follows is about him. */
	return sys_3(SYS_poll, (long)&p, 1, blocks ? -1 : 0) > 0;
}

static bool ask_other(struct site *t, enum call_op op)
{
	struct call *c = t->c;

	if (!control_now(&t->view))
		return true;
	if (op == OP_ACCEPT)
		t->mask = rules_of(&t->view, FAULT_SITE_ACCEPT, c);
	else if (op == OP_CONNECT)
		t->mask = rules_of(&t->view, FAULT_SITE_CONNECT, c);
	else if (op == OP_WAIT)
		t->mask = rules_of(&t->view, FAULT_SITE_WAIT, c);
	t->mask |= rules_of(&t->view, FAULT_SITE_CALL, c);
	if (!t->mask || (op == OP_ACCEPT && !would_accept(c)))
		return true;
	sift_rules(t, (int)c->arg[0], op == OP_CONNECT ? ROLE_CLIENT : ROLE_SERVER);
	return ask(t);
}

bool fault_call_other(struct call *c, enum call_op op)
{
	struct site *t = site_take(c, NULL);
	bool make = !t || ask_other(t, op);

	if (t)
		site_give(t);
	return make;
}

/* Numbers are given in the order of accept and connect. */
void fault_call_exits(struct call *c, enum call_op op)
{
	bool opened = (op == OP_ACCEPT && c->ret >= 0) ||
		      (op == OP_CONNECT && (c->ret == 0 || c->ret == -EINPROGRESS));
	int fd = (int)(op == OP_ACCEPT ? c->ret : (int64_t)c->arg[0]);
	struct conn *conn = opened ? conn_of(fd) : NULL;
	struct control_view v;

	if (!conn || !control_now(&v) || !conn_lock(conn))
		return;
	(void)sight_of(conn, &v, fd, DIR_RX, 0);
	conn_unlock(conn);
}
