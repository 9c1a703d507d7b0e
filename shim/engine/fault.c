/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault: see fault.h: the way of one call through the rules.
 *
 * Source: recv(2), send(2), clock_nanosleep(2).
 */
#include "shim/engine/fault.h"
#include "shim/engine/clock.h"
#include "shim/engine/fault_act.h"
#include "shim/engine/fault_bytes.h"
#include "shim/engine/fault_call.h"
#include "shim/engine/fault_pick.h"
#include "shim/engine/fault_piece.h"
#include "shim/engine/fault_time.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/queue.h"
#include "shim/engine/sys.h"

#include <errno.h>

#define NOINLINE __attribute__((noinline))

uint32_t engine_faults ENGINE_HOT;
uint32_t engine_gates ENGINE_HOT;

enum {
	TURNS = 4096, /* things done at one call, so that it ends whatever rules say */
	TELLS = 64,   /* records in one of them */
	WAYS = 256,   /* calls at a time */
};

enum look {
	LOOK_PASS,   /* no rule has a say */
	LOOK_PICKED, /* p says what is to be done */
	LOOK_ANSWERED,
};

/* One call on its way.  Not on the caller's stack, which is too small, and kept while it waits. */
struct way {
	struct call *c;
	struct conn *conn;
	struct sight_work *w; /* behind the call */
	uint64_t done;	      /* bytes of it that we moved */
	uint64_t left;	      /* bytes it asks for behind them */
	uint64_t rest;	      /* of them those that are there */
	uint32_t turns;
	uint64_t least; /* what a gate could not hold back is waited for until then */
	uint8_t dir;
	bool hidden;
	bool blocks;
	/* Behind it: */
	bool rearm, lift[2], corrupt;
	struct pick p;
};

static struct way ways[WAYS];
static uint8_t way_taken[WAYS];

static struct way *way_take(void)
{
	for (uint32_t i = 0; i < WAYS; i++) {
		if (!__atomic_load_n(&way_taken[i], __ATOMIC_RELAXED) &&
		    !__atomic_exchange_n(&way_taken[i], 1, __ATOMIC_ACQUIRE))
			return &ways[i];
	}
	return NULL;
}

static void way_give(struct way *y)
{
	__atomic_store_n(&way_taken[y - ways], 0, __ATOMIC_RELEASE);
}

static int fd_of(const struct call *c, enum dir dir)
{
	return (int)c->arg[call_table[c->id].op == OP_SPLICE && dir == DIR_TX ? 2 : 0];
}

/* ---- looking ---- */

static uint64_t rules_for(const struct sight_work *w, const struct call *c)
{
	uint64_t mask = w->view.on & w->s->dirs[w->dir];

	for (uint64_t left = mask; left; left &= left - 1) {
		uint32_t n = (uint32_t)__builtin_ctzll(left);
		const struct fault_rule *r = &w->view.rules->rule[n];

		if (fault_given(r, FAULT_KEY_CALL) && !fault_match_call(r, call_table[c->id].name))
			mask &= ~(UINT64_C(1) << n);
	}
	return mask;
}

/* Find the row, which still stands where the window begins.  True: some rule could act; the lock is
 * held. */
static bool attend(struct way *y, struct sight_work *w)
{
	uint64_t start = w->start;

	w->dir = y->dir;
	w->hidden = y->hidden;
	w->partial = y->done && call_table[y->c->id].shape != SHAPE_FLAT;
	if (!conn_lock(y->conn))
		return false;
	w->s = y->conn->id == (uint32_t)y->c->conn_key
		       ? sight_of(y->conn, &w->view, fd_of(y->c, (enum dir)y->dir),
				  (enum dir)y->dir, y->done)
		       : NULL;
	if (w->s) {
		w->mask = rules_for(w, y->c);
		w->start = w->s->m.off[y->dir];
	}
	if (w->s && w->mask && (!w->n || w->start == start))
		return true;
	conn_unlock(y->conn);
	return false;
}

/* Nothing is there to be read. */
static enum look nothing(struct way *y, int64_t got)
{
	if (got == -EAGAIN && y->blocks)
		got = fault_bytes_wait((int)y->c->arg[0]);
	if (got > 0)
		return LOOK_PICKED;
	if (got == 0 || got == -EBADF || got == -ENOTSOCK || got == -EINVAL)
		return LOOK_PASS;
	fault_piece_answer(y->c, y->done ? (int64_t)y->done : got);
	return LOOK_ANSWERED;
}

/* Bring the bytes into the window.  PICKED: they are there. */
static enum look fetch(struct way *y, struct sight_work *w)
{
	size_t most = y->left < SIGHT_WINDOW ? (size_t)y->left : SIGHT_WINDOW;
	int64_t got;

	w->n = (uint32_t)most;
	y->rest = y->left;
	if (y->hidden) {
		w->n = (uint32_t)(y->left < UINT32_MAX ? y->left : UINT32_MAX);
		return LOOK_PICKED;
	}
	if (y->dir == DIR_TX) {
		w->n = (uint32_t)fault_bytes(y->c, y->done, sight_window(w), most);
		return w->n ? LOOK_PICKED : LOOK_PASS;
	}
	got = fault_bytes_ahead((int)y->c->arg[0], sight_window(w), most, &y->rest);
	if (got <= 0) {
		w->n = 0;
		return nothing(y, got);
	}
	w->n = (uint32_t)got;
	return LOOK_PICKED;
}

/* What do the rules make of it?  The work of a moment: nothing of it is held while somebody waits. */
static NOINLINE enum look look_with(struct way *y, struct sight_work *w)
{
	struct pick *p = &y->p;
	enum look found;

	w->n = 0;
	if (!control_now(&w->view) || !attend(y, w))
		return LOOK_PASS;
	conn_unlock(y->conn);
	found = fetch(y, w);
	if (found != LOOK_PICKED)
		return found;
	if (!w->n) { /* now there is something */
		p->kind = PICK_TELL;
		return LOOK_PICKED;
	}
	if (!attend(y, w))
		return LOOK_PASS;
	w->now = clock_now();
	w->now = w->now > y->least ? w->now : y->least;
	w->rest = y->rest < y->left ? y->rest : y->left;
	time_meet(w, y->rest);
	sight_try(w);
	pick_next(w, y->c, p);
	conn_unlock(y->conn);
	for (unsigned i = 0; i < TELLS && p->kind == PICK_TELL; i++) {
		fault_tell(y->c, y->conn, &p->hit, p->what, p->value);
		if (!attend(y, w))
			return LOOK_PASS;
		pick_next(w, y->c, p);
		conn_unlock(y->conn);
	}
	y->rest = w->rest;
	return LOOK_PICKED;
}

static enum look look(struct way *y)
{
	struct sight_work *w = sight_work_take();
	enum look found;

	if (!w)
		return LOOK_PASS;
	found = look_with(y, w);
	sight_work_give(w);
	return found;
}

/* ---- behind bytes ---- */

/* Those bytes of the call moved: what they mean for the rules. */
static NOINLINE void commit_with(struct sight_work *w, const struct call *c, uint64_t skip,
				 uint64_t n)
{
	uint8_t phase = w->s->at.phase;

	for (uint64_t at = 0; at < n; at += w->n) {
		uint64_t step = n - at;

		w->start = w->s->m.off[w->dir];
		if (!w->hidden) {
			step = step < SIGHT_WINDOW ? step : SIGHT_WINDOW;
			step = fault_bytes(c, skip + at, sight_window(w), (size_t)step);
		}
		w->n = (uint32_t)(step < UINT32_MAX ? step : UINT32_MAX);
		if (!w->n)
			break;
		sight_commit(w);
	}
	time_moved(w->s, &w->view, (enum dir)w->dir, n, w->now);
	w->start = w->s->m.off[w->dir];
	w->n = 0;
	w->events = 0;
	w->m = w->s->m;
	if (w->s->at.phase != phase)
		control_event();
}

/* Take note of a part that we moved. */
static NOINLINE void commit_part(struct way *y, uint64_t n)
{
	struct sight_work *w = sight_work_take();

	if (w)
		w->n = 0;
	if (w && control_now(&w->view) && attend(y, w)) {
		w->now = clock_now();
		commit_with(w, y->c, y->done, n);
		conn_unlock(y->conn);
	}
	if (w)
		sight_work_give(w);
}

/* ---- doing ---- */

static void sleep_until(uint64_t t)
{
	struct timespec ts = {(time_t)(t / 1000000000), (long)(t % 1000000000)};

	while (sys_4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&ts, 0) == -EINTR)
		;
}

/* The bytes wait in the queue: what they wait for is served, and the next call does not wait for it again. */
static NOINLINE void serve_queued(struct way *y)
{
	struct sight_work *w = sight_work_take();
	uint64_t until = y->p.until;
	bool more = true;

	if (!w)
		return;
	w->n = 0;
	for (unsigned i = 0; more && i < TELLS && control_now(&w->view) && attend(y, w); i++) {
		more = time_queued(w, until, &y->p);
		conn_unlock(y->conn);
		if (more)
			fault_tell(y->c, y->conn, &y->p.hit, y->p.what, y->p.value);
	}
	sight_work_give(w);
}

/* Can the queue take it?  Then it is answered. */
static bool takes_queue(struct way *y)
{
	const struct pick *p = &y->p;

	if (p->mode != FAULT_MODE_QUEUE || y->dir != DIR_TX || y->done ||
	    p->until == GATE_RELEASE || queue_write(y->c, y->conn, p->until, p->hit.stat))
		return false;
	if (y->c->ret > 0)
		serve_queued(y);
	return true;
}

/* True: ask again. */
static NOINLINE bool wait_for(struct way *y)
{
	struct pick *p = &y->p;

	if (takes_queue(y))
		return false;
	if (p->mode == FAULT_MODE_SLEEP && p->until != GATE_RELEASE) {
		sleep_until(p->until);
		return true;
	}
	if (gate_wait(y->c, y->conn, (enum dir)y->dir, p->until, p->hit.n) == GATE_ANSWERED) {
		if (y->done)
			fault_piece_answer(y->c, (int64_t)y->done);
		return false;
	}
	y->least = p->until;
	return true;
}

static NOINLINE void remember_cap(const struct way *y, uint64_t n)
{
	struct sight *s;

	if (!conn_lock(y->conn))
		return;
	s = sight_row(y->conn);
	if (s)
		s->cap[y->dir] = (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);
	conn_unlock(y->conn);
}

enum step {
	STEP_CALL, /* make the call */
	STEP_DONE, /* answered */
	STEP_ON,
};

/* Returns bytes, or -errno. */
static NOINLINE int64_t move_part(struct way *y)
{
	struct pick *p = &y->p;
	struct call *c = y->c;

	if (!p->segment || call_table[c->id].shape == SHAPE_MMSG ||
	    (y->done && call_table[c->id].shape != SHAPE_FLAT))
		return fault_piece_move(c, y->done, p->bytes, 0);
	c->arg[1] += y->done;
	fault_piece_segments(c, y->conn, &p->hit, p->until, p->bytes);
	c->arg[1] -= y->done;
	return c->ret;
}

/* So many bytes may move now. */
static NOINLINE enum step pass(struct way *y)
{
	struct pick *p = &y->p;
	bool whole = p->bytes >= y->left;
	int64_t got;

	if (whole && !y->done && !p->segment)
		return STEP_CALL;
	if (!y->done && !p->segment &&
	    !(y->blocks && (y->dir == DIR_TX || (gather_flags(y->c) & MSG_WAITALL)))) {
		if (p->capped)
			remember_cap(y, p->bytes);
		return fault_piece_cap(y->c, p->bytes) ? STEP_CALL : STEP_DONE;
	}
	got = move_part(y);
	if (got <= 0) {
		fault_piece_answer(y->c, y->done ? (int64_t)y->done : got);
		return STEP_DONE;
	}
	commit_part(y, (uint64_t)got);
	y->c->flags |= FAULT_PART;
	y->done += (uint64_t)got;
	y->left -= (uint64_t)got;
	if (y->left && y->blocks)
		return STEP_ON;
	fault_piece_answer(y->c, (int64_t)y->done);
	return STEP_DONE;
}

static bool carry_out(struct way *y)
{
	return y->p.kind == PICK_SHAPE ? fault_act_shape(y->c, y->conn, &y->p.hit)
				       : fault_act_outcome(y->c, y->conn, &y->p.hit);
}

/* The call stands for its rest while something is done to that. */
static void move_on(struct way *y)
{
	if (call_table[y->c->id].shape != SHAPE_FLAT)
		return;
	y->c->arg[1] += y->done;
	y->c->arg[2] -= y->done;
}

static void move_back(struct way *y)
{
	struct call *c = y->c;

	if (call_table[c->id].shape != SHAPE_FLAT)
		return;
	if (c->changed) { /* shorter: that much comes next */
		y->p.bytes = c->arg[2];
		c->arg[2] = (uint64_t)c->ret;
		c->changed = 0;
	}
	c->arg[1] -= y->done;
	c->arg[2] += y->done;
}

/* Did it end the connection? */
static bool has_ended(const struct fault_act *act)
{
	return act->fault == FAULT_CLOSE || act->fault == FAULT_HALF_CLOSE ||
	       (act->fault == FAULT_RESET && !act->param[FAULT_RESET_after]);
}

/* A part of the call has moved, as if the kernel had taken no more.  What happens to the rest happens
 * now; the application is told of the part, and of the rest only what succeeded. */
static NOINLINE enum step act_behind_part(struct way *y)
{
	struct call *c = y->c;
	bool go_on, shorter;

	if (call_table[c->id].shape != SHAPE_FLAT && pick_needs_bytes(y->p.hit.act)) {
		fault_piece_answer(c, (int64_t)y->done);
		return STEP_DONE;
	}
	move_on(y);
	go_on = carry_out(y);
	shorter = c->changed;
	move_back(y);
	if (!go_on) {
		fault_piece_answer(c, (int64_t)y->done + (c->ret > 0 ? c->ret : 0));
		return STEP_DONE;
	}
	if (has_ended(y->p.hit.act)) { /* how is for the next call to find */
		fault_piece_answer(c, (int64_t)y->done);
		return STEP_DONE;
	}
	if (!shorter)
		return STEP_ON;
	y->p.segment = false;
	return pass(y);
}

/* The next call picks it again. */
static NOINLINE void put_back(const struct way *y)
{
	const struct fault_hit *h = &y->p.hit;
	struct sight *s;

	if (y->p.kind == PICK_PASS || !conn_lock(y->conn))
		return;
	s = sight_row(y->conn);
	if (s)
		s->rule[h->n].done[y->dir] &= (uint8_t) ~(1u << (h->act - h->rule->act));
	conn_unlock(y->conn);
}

/* What is done in another way than by the whole call goes past the queue: not before that is empty.
 * False: answered. */
static NOINLINE bool comes_next(struct way *y)
{
	const struct pick *p = &y->p;
	bool past = p->kind == PICK_SHAPE || p->kind == PICK_OUTCOME ||
		    (p->kind == PICK_PASS && (y->done || p->segment || p->bytes < y->left));

	if (y->dir != DIR_TX || !past || !queue_bytes(y->conn) || queue_waits(y->c, y->conn))
		return true;
	put_back(y);
	if (y->done)
		fault_piece_answer(y->c, (int64_t)y->done);
	return false;
}

static NOINLINE enum step act(struct way *y)
{
	struct pick *p = &y->p;
	bool go_on = true;

	if (!comes_next(y))
		return STEP_DONE;

	switch ((enum pick_kind)p->kind) {
	case PICK_PASS:
		return pass(y);
	case PICK_TELL:
		return STEP_ON;
	case PICK_WAIT:
		return wait_for(y) ? STEP_ON : STEP_DONE;
	case PICK_PROCESS:
		go_on = fault_act_process(y->c, y->conn, &p->hit);
		break;
	case PICK_SHAPE:
	case PICK_OUTCOME:
		if (y->done)
			return act_behind_part(y);
		go_on = carry_out(y);
		break;
	}
	return go_on ? STEP_ON : STEP_DONE;
}

static NOINLINE struct way *way_begin(struct call *c, struct conn *conn, enum dir dir, bool hidden)
{
	int64_t total = fault_piece_total(c);
	struct way *y;

	if (total <= 0 || (gather_flags(c) & (MSG_OOB | MSG_ERRQUEUE)))
		return NULL;
	y = way_take();
	if (!y)
		return NULL;
	y->c = c;
	y->conn = conn;
	y->dir = (uint8_t)dir;
	y->hidden = hidden;
	y->done = y->least = 0;
	y->left = (uint64_t)total;
	y->blocks = !hidden && fault_piece_blocks(c);
	y->turns = 0;
	return y;
}

static NOINLINE enum step one_turn(struct way *y)
{
	enum look found = look(y);

	if (found == LOOK_ANSWERED)
		return STEP_DONE;
	if (found == LOOK_PASS) {
		if (!y->done)
			return STEP_CALL;
		y->p.kind = PICK_PASS;
		y->p.bytes = y->left;
		y->p.segment = false;
	}
	return act(y);
}

static bool go_through(struct way *y)
{
	enum step step = STEP_ON;

	if (!y)
		return true;
	while (step == STEP_ON && y->turns++ < TURNS)
		step = one_turn(y);
	way_give(y);
	return step != STEP_DONE;
}

/* ---- entry ---- */

/* With all rules off nothing goes on, but what the calls move is followed. */
static bool goes_on(struct call *c, struct conn *conn, enum dir dir)
{
	return !control_is_on() || fault_act_goes_on(c, conn, dir);
}

bool fault_read(struct call *c, struct conn *conn)
{
	return goes_on(c, conn, DIR_RX) && fault_call_named(c, conn) &&
	       go_through(way_begin(c, conn, DIR_RX, false));
}

bool fault_write(struct call *c, struct conn *conn)
{
	return goes_on(c, conn, DIR_TX) && fault_call_named(c, conn) &&
	       go_through(way_begin(c, conn, DIR_TX, call_table[c->id].op == OP_SENDFILE));
}

bool fault_splice(struct call *c, struct conn *to, struct conn *from)
{
	if (to && !(goes_on(c, to, DIR_TX) && go_through(way_begin(c, to, DIR_TX, true))))
		return false;
	return !from || (goes_on(c, from, DIR_RX) && go_through(way_begin(c, from, DIR_RX, false)));
}

bool fault_close(struct call *c)
{
	struct conn *conn = conn_of((int)c->arg[0]);

	if (!conn)
		return true;
	c->conn_key = conn->id;
	if (!fault_call_named(c, conn)) {
		fault_act_closed(c);
		return false;
	}
	fault_call_closes(c, conn);
	return true;
}

bool fault_other(struct call *c, enum call_op op)
{
	return fault_call_other(c, op);
}

/* ---- exit ---- */

static void find_corrupt(const struct sight_work *w, struct way *b)
{
	struct sight *s = w->s;
	const struct sight_rule *sr = &s->rule[s->corrupt - 1];

	b->corrupt = true;
	pick_fill(w, s->corrupt - 1u, s->corrupt_act, &b->p, PICK_SHAPE);
	b->p.hit.off = sr->off[DIR_RX];
	s->corrupt = 0;
}

/* What the call moved is taken into account.  False: there is nothing more to do. */
static NOINLINE bool settle_with(struct sight_work *w, struct way *b)
{
	const struct conn *conn = b->conn;
	struct sight *s = sight_row(conn);
	uint64_t moved = b->done;
	uint64_t off;

	w->s = s;
	if (!s || s->generation != w->view.generation ||
	    !(s->concerns & (w->view.on | s->asks | s->keyed)))
		return false;
	off = conn->machine.off[w->dir];
	b->rearm = s->cap[w->dir] && moved >= s->cap[w->dir];
	s->cap[w->dir] = 0;
	w->start = s->m.off[w->dir];
	if (s->m.role == conn->machine.role && w->start + moved == off)
		commit_with(w, b->c, 0, moved);
	else if (w->start != off)
		return b->rearm;
	w->m = s->m;
	w->n = 0;
	w->events = 0;
	w->mask = rules_for(w, b->c);
	b->lift[DIR_RX] = time_phase_reached(s, &w->view, DIR_RX);
	b->lift[DIR_TX] = time_phase_reached(s, &w->view, DIR_TX);
	if (w->dir == DIR_RX && s->corrupt)
		find_corrupt(w, b);
	return true;
}

static NOINLINE void behind(struct sight_work *w, struct call *c, struct conn *conn, struct way *b)
{
	if (b->corrupt)
		fault_act_read(c, conn, &b->p.hit);
	for (unsigned dir = 0; dir < 2; dir++) {
		if (b->lift[dir])
			gate_lift(conn, (enum dir)dir);
	}
	if (b->rearm)
		gate_rearm(conn, (enum dir)w->dir);
	for (unsigned i = 0; w->s && i < FAULT_RULES; i++) {
		bool found;

		if (!conn_lock(conn))
			return;
		found = pick_behind(w, c, &b->p);
		conn_unlock(conn);
		if (!found)
			return;
		if (b->p.kind == PICK_TELL)
			fault_tell(c, conn, &b->p.hit, b->p.what, b->p.value);
		else
			fault_act_behind(c, conn, &b->p.hit);
	}
}

static NOINLINE struct way *settle_begin(struct call *c, struct conn *conn, enum dir dir,
					 uint64_t moved, bool hidden)
{
	struct sight_work *w = moved ? sight_work_take() : NULL;
	struct way *y = w ? way_take() : NULL;

	if (!y) {
		if (w)
			sight_work_give(w);
		return NULL;
	}
	y->c = c;
	y->conn = conn;
	y->w = w;
	y->dir = w->dir = (uint8_t)dir;
	y->hidden = w->hidden = hidden;
	y->done = moved;
	y->rearm = y->corrupt = y->lift[DIR_RX] = y->lift[DIR_TX] = false;
	w->partial = false;
	w->now = clock_now();
	return y;
}

static void settle_moved(struct way *y)
{
	bool more;

	if (!y)
		return;
	if (control_now(&y->w->view) && conn_lock(y->conn)) {
		more = settle_with(y->w, y);
		conn_unlock(y->conn);
		if (more)
			behind(y->w, y->c, y->conn, y);
	}
	sight_work_give(y->w);
	way_give(y);
}

static NOINLINE void move_exits(struct call *c, enum call_op op)
{
	bool hidden = op == OP_SENDFILE;
	struct conn *conn = c->conn ? conn_at(c->conn) : NULL;
	uint64_t moved = hidden ? (c->ret > 0 ? (uint64_t)c->ret : 0) : gather_moved(c);

	if (conn && conn->id == (uint32_t)c->conn_key && !(gather_flags(c) & MSG_PEEK))
		settle_moved(settle_begin(c, conn, op == OP_READ ? DIR_RX : DIR_TX, moved, hidden));
}

static NOINLINE void splice_settles(struct call *c, enum dir dir)
{
	struct conn *conn = conn_of(fd_of(c, dir));

	if (conn && c->ret > 0)
		settle_moved(settle_begin(c, conn, dir, (uint64_t)c->ret, true));
}

void fault_exit(struct call *c, enum call_op op)
{
	if (op == OP_READ || op == OP_WRITE || op == OP_SENDFILE) {
		move_exits(c, op);
	} else if (op == OP_SPLICE) {
		splice_settles(c, DIR_TX);
		splice_settles(c, DIR_RX);
	} else {
		fault_call_exits(c, op);
	}
}
