/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_sight: see fault_sight.h.
 *
 * Source: getsockname(2), getpeername(2), ipv6(7) (addresses of IPv4 as mapped ones).
 */
#include "shim/engine/fault_sight.h"
#include "shim/engine/clock.h"
#include "shim/engine/reserve.h"
#include "shim/engine/sys.h"

#include <netinet/in.h>

#define NOINLINE __attribute__((noinline))

enum {
	WORKS = 16,
	HEADS = 64,
	SPINS = 10000,
};

struct table {
	struct reserve r;
	size_t size;
	uint8_t state; /* 0 not made yet, 1 there, 2 there is no memory */
};

static struct table rows = {.size = sizeof(struct sight) * (size_t)TRACE_CONNECTIONS};
static struct table works = {.size = sizeof(struct sight_work) * WORKS};
static struct table heads = {.size = (size_t)SIGHT_HEAD * HEADS};
static uint8_t work_taken[WORKS], head_taken[HEADS];

/* ---- memory ---- */

static uint8_t making; /* a try-lock */

static NOINLINE void table_make(struct table *t)
{
	/* What the first calls meet must not depend on who came first: the others wait. */
	for (unsigned i = 0; i < SPINS && __atomic_exchange_n(&making, 1, __ATOMIC_ACQUIRE); i++) {
		if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE))
			return;
		(void)sys_1(SYS_sched_yield, 0);
	}
	if (!t->state)
		__atomic_store_n(&t->state, reserve_start(&t->r, t->size) ? 1 : 2,
				 __ATOMIC_RELEASE);
	__atomic_store_n(&making, 0, __ATOMIC_RELEASE);
}

/* The first n bytes of a table, which is made when it is needed first. */
static bool table_open(struct table *t, size_t n)
{
	if (!__atomic_load_n(&t->state, __ATOMIC_ACQUIRE))
		table_make(t);
	return __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == 1 && reserve_open(&t->r, n);
}

static bool take(uint8_t *taken)
{
	return !__atomic_load_n(taken, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(taken, 1, __ATOMIC_ACQUIRE);
}

struct sight_work *sight_work_take(void)
{
	for (uint32_t i = 0; i < WORKS; i++) {
		if (!take(&work_taken[i]))
			continue;
		if (table_open(&works, sizeof(struct sight_work) * (i + 1)))
			return (struct sight_work *)works.r.base + i;
		__atomic_store_n(&work_taken[i], 0, __ATOMIC_RELEASE);
		break;
	}
	return NULL;
}

void sight_work_give(struct sight_work *w)
{
	__atomic_store_n(&work_taken[w - (struct sight_work *)works.r.base], 0, __ATOMIC_RELEASE);
}

static void head_give(struct sight *s)
{
	if (s->head)
		__atomic_store_n(&head_taken[s->head - 1], 0, __ATOMIC_RELEASE);
	s->head = 0;
	s->head_len = 0;
}

static uint8_t *head_bytes(const struct sight *s)
{
	return heads.r.base + (s->head - 1u) * (size_t)SIGHT_HEAD;
}

/* Keep the beginning of a head until the rest is there.  What cannot be kept matches nothing. */
static void head_keep(struct sight *s, const uint8_t *p, size_t n)
{
	for (uint32_t i = 0; !s->head && i < HEADS; i++) {
		if (!take(&head_taken[i]))
			continue;
		if (!table_open(&heads, (size_t)SIGHT_HEAD * (i + 1))) {
			__atomic_store_n(&head_taken[i], 0, __ATOMIC_RELEASE);
			return;
		}
		s->head = (uint8_t)(i + 1);
	}
	if (!s->head || n > SIGHT_HEAD - s->head_len)
		return;
	memcpy(head_bytes(s) + s->head_len, p, n);
	s->head_len += (uint32_t)n;
}

/* ---- which rules concern it ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool asks_address(const struct fault_rule *r)
{
	return r->conn_key == FAULT_BY_PEER_PORT || fault_given(r, FAULT_KEY_PORT) ||
	       fault_given(r, FAULT_KEY_PEER) || fault_given(r, FAULT_KEY_UNIX);
}

/* Returns the port; ip may be NULL. */
static NOINLINE uint16_t ask_name(long nr, int fd, uint8_t *ip, uint8_t *ret_unix)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	union address a;
	uint32_t len = sizeof(a);

	a.any.sa_family = AF_UNSPEC;
	if (sys_3(nr, fd, (long)&a, (long)&len) < 0)
		return 0;
	*ret_unix |= a.any.sa_family == AF_UNIX;
	if (a.any.sa_family == AF_INET) {
		if (ip) {
			memcpy(ip, mapped, 12);
			memcpy(ip + 12, &a.in.sin_addr, 4);
		}
		return (uint16_t)(a.in.sin_port << 8 | a.in.sin_port >> 8);
	}
	if (a.any.sa_family != AF_INET6)
		return 0;
	if (ip)
		memcpy(ip, &a.in6.sin6_addr, 16);
	return (uint16_t)(a.in6.sin6_port << 8 | a.in6.sin6_port >> 8);
}

void sight_facts(struct fault_conn_facts *f, const struct control_view *v, int fd, enum role role,
		 uint64_t ordinal)
{
	bool asked = false;
	uint16_t local;

	*f = (struct fault_conn_facts){.ordinal = ordinal, .role = (uint8_t)role};
	for (uint32_t i = 0; i < v->rules->count && i < FAULT_RULES; i++)
		asked |= asks_address(&v->rules->rule[i]); /* one that is off may be on soon */
	if (!asked)
		return;
	local = ask_name(SYS_getsockname, fd, NULL, &f->unix_socket);
	f->peer_port = ask_name(SYS_getpeername, fd, f->ip, &f->unix_socket);
	f->port = role == ROLE_SERVER ? local : f->peer_port;
}

uint64_t sight_ordinal(struct control_header *page)
{
	return __atomic_add_fetch(&page->connections, 1, __ATOMIC_RELAXED);
}

static bool takes_time(const struct fault_rule *r)
{
	for (unsigned i = 0; i < r->acts; i++) {
		if (fault_kind_of((enum fault_id)r->act[i].fault) == FAULT_KIND_TIMING)
			return true;
	}
	return false;
}

static void sort_rules(struct sight *s, const struct control_view *v,
		       const struct fault_conn_facts *f)
{
	s->concerns = s->dirs[0] = s->dirs[1] = s->asks = s->keyed = s->timed = 0;
	for (uint32_t i = 0; i < v->rules->count && i < FAULT_RULES; i++) {
		const struct fault_rule *r = &v->rules->rule[i];
		uint64_t bit = UINT64_C(1) << i;

		if (!fault_rule_check(r) || !fault_match_conn(r, f))
			continue;
		s->concerns |= bit;
		if (fault_asks_head(r))
			s->asks |= bit;
		if (r->conn_key == FAULT_BY_PATH || r->conn_key == FAULT_BY_FIELD)
			s->keyed |= bit;
		if (takes_time(r))
			s->timed |= bit;
		for (unsigned dir = 0; r->site == FAULT_SITE_BYTES && dir < 2; dir++) {
			if (fault_match_dir(r, (enum role)f->role, (enum dir)dir))
				s->dirs[dir] |= bit;
		}
	}
}

static NOINLINE void begin_rules(struct sight *s, const struct conn *conn,
				 const struct control_view *v, int fd)
{
	struct fault_conn_facts f;

	if (!s->ordinal)
		s->ordinal = sight_ordinal(v->page);
	sight_facts(&f, v, fd, (enum role)conn->machine.role, s->ordinal);
	memset(s->rule, 0,
	       sizeof(s->rule[0]) *
		       (v->rules->count < FAULT_RULES ? v->rules->count : FAULT_RULES));
	s->peer_port = f.peer_port;
	s->role = conn->machine.role;
	sort_rules(s, v, &f);
	memset(s->at.mask_of, 0, sizeof(s->at.mask_of));
	s->generation = v->generation;
}

/* ---- where it stands ---- */

static uint32_t exchange_of(const struct phase_machine *m)
{
	bool last = phase_is_switched(m) || m->asked == m->answered;

	return last && m->answered ? m->answered - 1 : m->answered;
}

/* rx, tx: first bytes of it. */
static void enter_phase(struct sight_place *p, uint8_t phase, uint32_t exchange, uint64_t rx,
			uint64_t tx)
{
	uint16_t bit = (uint16_t)(1u << p->phase);

	p->left[p->phase] = p->exchange + 1;
	p->empty[DIR_RX] &= (uint16_t)~bit;
	p->empty[DIR_TX] &= (uint16_t)~bit;
	p->empty[DIR_RX] |= p->phase_off[DIR_RX] == rx ? bit : 0;
	p->empty[DIR_TX] |= p->phase_off[DIR_TX] == tx ? bit : 0;
	p->phase = phase;
	p->exchange = exchange;
	p->phase_off[DIR_RX] = rx;
	p->phase_off[DIR_TX] = tx;
}

/* Bytes moved unseen: go on from what the connection knows. */
static void resume(struct sight *s, const struct phase_machine *m)
{
	uint32_t exchange = exchange_of(m);

	head_give(s);
	s->m = *m;
	s->at.in_head = false;
	s->at.request = m->asked ? m->asked - 1 : 0;
	if (s->at.phase == m->phase && s->at.exchange == exchange)
		return;
	enter_phase(&s->at, m->phase, exchange, m->off[DIR_RX], m->off[DIR_TX]);
	s->t_phase = clock_now();
}

static void begin(struct sight *s, const struct conn *conn)
{
	head_give(s);
	memset(s, 0, offsetof(struct sight, rule));
	s->id = conn->id;
	s->generation = UINT32_MAX;
	s->m = conn->machine;
	s->at.phase = s->m.phase;
	s->at.exchange = exchange_of(&s->m);
	s->at.request = s->m.asked ? s->m.asked - 1 : 0;
	s->at.phase_off[DIR_RX] = s->m.off[DIR_RX];
	s->at.phase_off[DIR_TX] = s->m.off[DIR_TX];
	s->t_phase = s->m.phase == PHASE_ACCEPTED ? conn->t_open : clock_now();
}

struct sight *sight_of(struct conn *conn, const struct control_view *v, int fd, enum dir dir,
		       uint64_t ahead)
{
	uint32_t row = conn_row(conn);
	const struct phase_machine *m = &conn->machine;
	struct sight *s;

	if (!table_open(&rows, sizeof(struct sight) * (row + (size_t)1)))
		return NULL;
	s = (struct sight *)rows.r.base + row;
	if (s->id != conn->id)
		begin(s, conn);
	if (s->generation != v->generation || s->role != m->role)
		begin_rules(s, conn, v, fd);
	if (s->m.off[dir] != m->off[dir] + ahead || s->m.off[!dir] != m->off[!dir] ||
	    s->m.role != m->role || (!ahead && s->m.phase != m->phase))
		resume(s, m);
	return s;
}

struct sight *sight_row(const struct conn *conn)
{
	size_t row = conn_row(conn);
	struct sight *s = (struct sight *)rows.r.base + row;

	if (__atomic_load_n(&rows.r.open, __ATOMIC_ACQUIRE) < (row + 1) * sizeof(*s) ||
	    s->id != conn->id)
		return NULL;
	return s;
}

/* ---- what bytes mean ---- */

static void sight_note(void *ctx, const struct phase_event *e)
{
	struct sight_work *w = ctx;
	struct sight_event *to = &w->event[w->events];
	uint64_t off = e->dir == (enum dir)w->dir ? e->off : w->m.off[w->dir];

	switch (e->what) {
	case PHASE_CHANGE:
	case PHASE_REQUEST_START:
	case PHASE_REQUEST_READY:
	case PHASE_RESPONSE_READY:
	case PHASE_FRAME:
		break;
	default:
		return;
	}
	if (w->events == SIGHT_EVENTS) {
		w->full = true;
		return;
	}
	if (w->events && off < to[-1].off)
		off = to[-1].off;
	*to = (struct sight_event){
		.off = off,
		.exchange = e->exchange,
		.status = e->what == PHASE_RESPONSE_READY ? e->head->status : 0,
		.what = (uint8_t)e->what,
		.phase = (uint8_t)e->phase,
		.op = e->what == PHASE_FRAME ? ws_opcode(e->frame) : 0,
		.dir = (uint8_t)e->dir,
	};
	w->events++;
}

/* Do the matchers of the request hold?  from: stream offset of the head's first byte. */
static NOINLINE void match_head(struct sight_work *w, uint64_t from, uint64_t to, uint32_t exchange)
{
	const uint8_t *p = sight_window(w) + (int64_t)(from - w->start);
	uint64_t mask = 0;

	if (w->hidden || p < w->room || (from < w->start && w->start - from != w->s->head_len))
		return;
	to -= from;
	for (uint64_t left = w->s->asks | w->s->keyed; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[i];

		if (fault_match_head(r, p, (size_t)to))
			mask |= UINT64_C(1) << i;
		if (w->s->keyed >> i & 1)
			w->s->rule[i].key = fault_key_of_head(r, p, (size_t)to);
	}
	w->at.mask[exchange % SIGHT_RING] = mask;
	w->at.mask_of[exchange % SIGHT_RING] = exchange + 1;
}

/* Where the head that is being read at event i ends, as far as it is there. */
static uint64_t head_end(const struct sight_work *w, uint32_t i)
{
	for (; i < w->events; i++) {
		if (w->event[i].what == PHASE_REQUEST_READY)
			return w->event[i].off;
	}
	return w->start + w->n;
}

static uint16_t status_ahead(const struct sight_work *w, uint32_t i, uint32_t exchange)
{
	for (; i < w->events; i++) {
		if (w->event[i].what == PHASE_RESPONSE_READY && w->event[i].exchange == exchange)
			return w->event[i].status;
	}
	return w->m.phase == PHASE_RESPONSE_HEAD ? w->m.response.status : 0;
}

void sight_apply(struct sight_work *w, uint32_t i)
{
	const struct sight_event *e = &w->event[i];
	struct sight_place *at = &w->at;

	switch ((enum phase_what)e->what) {
	case PHASE_CHANGE:
		enter_phase(at, e->phase, e->exchange,
			    w->dir == DIR_RX ? e->off : w->s->m.off[DIR_RX],
			    w->dir == DIR_TX ? e->off : w->s->m.off[DIR_TX]);
		if (e->phase == PHASE_RESPONSE_HEAD)
			at->status[e->exchange % SIGHT_RING] = status_ahead(w, i, e->exchange);
		break;
	case PHASE_REQUEST_START:
		at->request = e->exchange;
		at->head_off = e->off;
		at->in_head = true;
		at->mask_of[e->exchange % SIGHT_RING] = 0;
		at->status[e->exchange % SIGHT_RING] = 0;
		match_head(w, e->off, head_end(w, i), e->exchange);
		break;
	case PHASE_REQUEST_READY:
		at->in_head = false;
		break;
	case PHASE_RESPONSE_READY:
		at->status[e->exchange % SIGHT_RING] = e->status;
		break;
	case PHASE_FRAME:
		at->frames[e->dir]++;
		at->frame_off[e->dir] = e->off;
		at->op[e->dir] = e->op;
		break;
	default:
		break;
	}
}

static bool reads_requests(const struct sight_work *w)
{
	return (w->dir == DIR_RX) == (w->m.role == ROLE_SERVER);
}

static NOINLINE void sight_feed(struct sight_work *w)
{
	w->events = 0;
	w->full = false;
	w->m = w->s->m;
	w->at = w->s->at;
	if (w->hidden)
		phase_skip(&w->m, (enum dir)w->dir, w->n, sight_note, w);
	else
		phase_feed(&w->m, (enum dir)w->dir, sight_window(w), w->n, sight_note, w);
}

void sight_try(struct sight_work *w)
{
	struct sight *s = w->s;

	sight_feed(w);
	if (reads_requests(w) && w->at.in_head) {
		if (s->head_len)
			memcpy(sight_window(w) - s->head_len, head_bytes(s), s->head_len);
		match_head(w, w->at.head_off, head_end(w, 0), w->at.request);
	}
	w->first = w->at;
}

/* What of an unfinished head is in the window is kept. */
static NOINLINE void keep_head(struct sight_work *w)
{
	struct sight *s = w->s;
	uint64_t from = s->at.head_off > w->start ? s->at.head_off : w->start;

	if (!s->at.in_head || !(s->asks | s->keyed)) {
		head_give(s);
		return;
	}
	if (s->at.head_off >= w->start)
		head_give(s);
	else if (w->start - s->at.head_off != s->head_len)
		return;
	head_keep(s, sight_window(w) + (from - w->start), (size_t)(w->start + w->n - from));
}

void sight_commit(struct sight_work *w)
{
	struct sight *s = w->s;

	sight_try(w);
	for (uint32_t i = 0; i < w->events; i++)
		sight_apply(w, i);
	if (s->at.phase != w->at.phase || s->at.exchange != w->at.exchange)
		s->t_phase = w->now;
	s->m = w->m;
	s->at = w->at;
	if (reads_requests(w))
		keep_head(w);
}
