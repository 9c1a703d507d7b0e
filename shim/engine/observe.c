/* SPDX-License-Identifier: BSD-2-Clause
 *
 * observe: see observe.h.
 */
#include "shim/engine/observe.h"
#include "shim/engine/clock.h"
#include "shim/engine/heads.h"
#include "shim/engine/quick.h"
#include "shim/engine/raw.h"
#include "shim/engine/recorder.h"
#include "shim/engine/stack.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/engine/watch.h"
#include "shim/engine/witness.h"

#include <errno.h>
#include <sys/ioctl.h>

enum {
	WAITS = 8,  /* reads before the answer that get a record, per attempt */
	CALLS = 64, /* added to the header at a time */
};

/* ---- calls ---- */

/* Keep [from, from + len) until it is known what the request asks for; the call went on to end. */
static __attribute__((noinline)) bool keep_piece(struct watch *w, uint64_t from, uint64_t len,
						 uint64_t end)
{
	struct conn *c = w->c;
	struct heads_piece piece = {
		.t_ns = watch_now(w),
		.off = from,
		.tid = clock_thread_at(w->data.call->place),
		.moved = (uint32_t)(end - from),
		.len = (uint32_t)len,
		.call = w->data.call->id,
		.dir = w->data.dir,
	};
	struct span s;
	uint8_t *to;

	if (len > HEADS_SIZE)
		return false;
	if (!c->heads)
		c->heads = heads_take();
	to = c->heads ? heads_add(c->heads, &piece) : NULL;
	if (!to)
		return false;
	gather_skip(&w->copy, from - w->data.off);
	for (; len; len -= s.n, to += s.n) {
		s = gather_next(&w->copy, len);
		if (!s.n)
			break;
		memcpy(to, s.p, s.n);
	}
	return true;
}

static void keep_head(struct watch *w, uint64_t end)
{
	struct conn *c = w->c;
	bool began = (c->bits & CONN_IN_HEAD) && c->head_off > w->base;
	uint64_t from = began ? c->head_off : w->base;

	if (!keep_piece(w, from, end - from, end))
		recorder_lost(TRACE_LOST_HEADS, end - from);
}

/* A server that speaks before it was asked spoils the upgrade that comes. */
static void keep_unasked(struct watch *w, uint64_t end)
{
	uint64_t len = end - w->base;

	(void)keep_piece(w, w->base, len < WATCH_STRAY ? len : WATCH_STRAY, end);
}

static inline __attribute__((always_inline)) void finish(struct watch *w, uint64_t end)
{
	struct conn *c = w->c;
	bool requests = w->data.dir == watch_request_dir(c);
	bool partial = requests && !w->hidden && !(c->bits & CONN_ASIDE) &&
		       ((c->bits & CONN_IN_HEAD) || c->machine.held);

	if (partial && !(c->bits & CONN_RECORDING)) {
		if (watch_asks_already(c))
			watch_begin(w);
		else
			keep_head(w, end);
	} else if (w->unasked && !(c->bits & CONN_RECORDING)) {
		keep_unasked(w, end);
	} else if (c->heads && requests && !(c->bits & CONN_RECORDING)) {
		heads_give(c->heads);
		c->heads = 0;
	}
	if ((c->bits & CONN_RECORDING) && (!(c->bits & CONN_LATER) || requests)) {
		record_ensure_open(c, w->data.fd);
		watch_flush_pieces(w);
		if (!w->want_stack)
			w->data.stack = 0;
		else if (!w->data.stack && !w->past)
			w->data.stack = stack_take(w->data.call->place, watch_now(w));
		watch_advance(w, end);
		watch_flush(w, end);
		record_start(c, (enum dir)w->data.dir, (enum run_mode)w->mode);
	}
	if (w->pause && (c->bits & (CONN_RECORDING | CONN_ATTEMPT)) == CONN_RECORDING &&
	    !phase_is_switched(&c->machine)) {
		c->bits &= (uint16_t) ~(CONN_RECORDING | CONN_EARLY | CONN_LATER);
		c->start[DIR_RX] = c->machine.off[DIR_RX];
		c->start[DIR_TX] = c->machine.off[DIR_TX];
		witness_close(c);
	}
	conn_show(c, c->bits & CONN_RECORDED ? watch_now(w) : w->data.t);
}

static __attribute__((noinline)) void init_watch(struct watch *w, struct conn *c,
						 const struct call *call, enum dir dir,
						 uint64_t stack)
{
	w->c = c;
	w->data.t = 0;
	w->base = w->pos = w->data.off = c->machine.off[dir];
	w->mode = RUN_GO_ON;
	w->pause = w->hidden = w->unasked = w->past = false;
	w->data.call = call;
	w->data.dir = (uint8_t)dir;
	w->data.runs = 0;
	w->data.tid = 0;
	w->data.stack = stack;
	w->data.flags = 0;
	if (dir == DIR_RX && c->entered[dir] != (uint32_t)call->token)
		w->data.flags = TRACE_DATA_OVERLAP;
	w->want_stack = call->flags & OBSERVE_TOLD;
	w->data.fd = (int)call->arg[call_table[call->id].op == OP_SPLICE && dir == DIR_TX ? 2 : 0];
}

/* Apart, so that its own gather is gone from the stack when the records are written. */
static __attribute__((noinline)) void feed(struct watch *w, const struct call *call)
{
	struct gather g;
	struct span s;

	gather_init(&w->copy, call);
	g = w->copy;
	while ((s = gather_next(&g, SIZE_MAX)).n)
		phase_feed(&w->c->machine, (enum dir)w->data.dir, s.p, s.n, watch_event, w);
}

/* Nobody got the lock for these bytes: the machine has to pass over them. */
static __attribute__((noinline)) void make_up(struct watch *w)
{
	struct conn *c = w->c;
	uint32_t missed = __atomic_exchange_n(&c->missed[w->data.dir], 0, __ATOMIC_RELAXED);

	w->hidden = true;
	phase_skip(&c->machine, (enum dir)w->data.dir, missed, watch_event, w);
	w->hidden = false;
	w->base = w->pos = w->data.off = c->machine.off[w->data.dir];
}

enum {
	NEAR = 64 * 1024, /* frames of one call lie no farther apart */
};

static uint32_t what_of(const struct call *call)
{
	uint64_t v = (call->arg[1] ^ (uint64_t)call->ret << 48) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(v >> 32);
}

static uint16_t place_of(const struct call *call)
{
	return (uint16_t)((uintptr_t)call >> 4);
}

/* A door's next definition may be somebody's wrapper that comes back through another door: the same
 * bytes, seen from inside the call we are now leaving. */
static bool is_twice(const struct conn *c, const struct call *call, enum dir dir)
{
	return c->last_what[dir] == what_of(call) &&
	       (uint16_t)(place_of(call) - c->last_frame[dir] - 1) < NEAR / 16;
}

static void remember(struct conn *c, const struct call *call, enum dir dir)
{
	c->last_what[dir] = what_of(call);
	c->last_frame[dir] = place_of(call);
}

static void count_call(struct conn *c)
{
	if (++c->calls < CALLS)
		return;
	if (recorder_header)
		__atomic_fetch_add(&recorder_header->calls, c->calls, __ATOMIC_RELAXED);
	c->calls = 0;
}

static __attribute__((noinline)) void skip(struct watch *w, uint64_t moved)
{
	w->hidden = true;
	w->data.flags |= TRACE_DATA_UNSEEN;
	w->copy = (struct gather){0};
	phase_skip(&w->c->machine, (enum dir)w->data.dir, moved, watch_event, w);
}

static __attribute__((noinline)) void feed_raw(struct watch *w, const struct raw *raw)
{
	struct phase_machine *m = &w->c->machine;

	w->past = true;
	w->data.t = raw->t;
	w->data.tid = raw->tid;
	w->data.flags = raw->told ? TRACE_DATA_RAW : TRACE_DATA_LATE;
	w->copy = (struct gather){.p = (const uint8_t *)(raw + 1), .n = raw->len};
	phase_feed(m, (enum dir)raw->dir, w->copy.p, raw->len, watch_event, w);
	if (raw->len == raw->moved)
		return;
	w->hidden = true;
	phase_skip(m, (enum dir)raw->dir, raw->moved - raw->len, watch_event, w);
}

/* A call that did not get the lock comes first. */
static __attribute__((noinline)) void look_back(struct conn *c)
{
	const struct raw *raw = raw_take(c);
	struct watch w;

	if (!raw)
		return;
	init_watch(&w, c, &raw->call, (enum dir)raw->dir, raw->stack);
	feed_raw(&w, raw);
	finish(&w, w.base + raw->moved);
	raw_done(w.data.call);
}

static __attribute__((noinline)) void look(struct conn *c, const struct call *call, enum dir dir,
					   uint64_t moved, bool hidden, uint64_t stack)
{
	struct watch w;

	init_watch(&w, c, call, dir, stack);
	if (c->missed[dir])
		make_up(&w);
	if (hidden)
		skip(&w, moved);
	else
		feed(&w, call);
	finish(&w, w.base + moved);
}

/* The connection is locked. */
static __attribute__((noinline)) void look_around(struct conn *c, const struct call *call,
						  enum dir dir, uint64_t moved, bool hidden,
						  uint64_t stack)
{
	if (raw_waits(c))
		look_back(c);
	look(c, call, dir, moved, hidden, stack);
	conn_unlock(c);
}

/* Is there anything to look at in this call?  What nearly every message goes through: the ends are
 * calls whose frames take the place of this one. */
static CORE_HOT __attribute__((noinline)) void admit(struct conn *c, const struct call *call,
						     enum dir dir, uint64_t moved, bool hidden,
						     uint64_t stack)
{
	if (!conn_lock(c))
		return raw_moved(c, call, dir, moved, hidden, stack);
	if (c->id != call->conn_key ||
	    (c->entered[dir] != (uint32_t)call->token && is_twice(c, call, dir)))
		goto out;
	remember(c, call, dir);
	count_call(c);
	if (c->bits & CONN_EITHER_ROLE) {
		c->machine.role = dir == DIR_RX ? ROLE_SERVER : ROLE_CLIENT;
		c->bits &= (uint16_t)~CONN_EITHER_ROLE;
	}
	if (raw_waits(c))
		return look_around(c, call, dir, moved, hidden, stack);
	if (!hidden && (c->bits & CONN_RECORDING ? quick_frames(c, call, dir)
						 : quick_known(c, call, dir, moved) ||
							   quick_plain(c, call, dir, moved)))
		goto out;
	if ((c->bits & (CONN_ASIDE | CONN_RECORDING)) != CONN_ASIDE)
		return look_around(c, call, dir, moved, hidden, stack);
	c->machine.off[dir] += moved;
out:
	conn_unlock(c);
}

/* The answer to an attempt is recorded with its stack, and so are the bytes of a read that was told.
 * Taking it costs microseconds, in which others would find the lock taken. */
static __attribute__((noinline)) void foresee_stack(struct conn *c, const struct call *call,
						    enum dir dir, uint64_t moved, bool hidden)
{
	uint64_t stack = 0;

	if (dir != watch_request_dir(c) || (call->flags & OBSERVE_TOLD))
		stack = stack_take(call->place, observe_time(call, dir));
	admit(c, call, dir, moved, hidden, stack);
}

CORE_HOT void observe_moved(struct conn *c, const struct call *call, enum dir dir, uint64_t moved,
			    bool hidden)
{
	if (c->bits & CONN_ATTEMPT)
		return foresee_stack(c, call, dir, moved, hidden);
	admit(c, call, dir, moved, hidden, 0);
}

/* ---- calls that move nothing ---- */

/* Looked at without the lock, before a stack is taken: who has the lock may be changing it, and it is
 * looked at again with the lock. */
static __attribute__((no_sanitize("thread"))) bool may_tell_read(const struct conn *c)
{
	return c->machine.role == ROLE_SERVER && c->waits < WAITS;
}

bool observe_read_begins(struct conn *c, const struct call *call)
{
	bool told = false;
	uint64_t t, stack;

	if (!may_tell_read(c))
		return false;
	t = clock_now();
	stack = stack_take(call->place, t); /* others must not find the lock taken so long */
	if (!conn_lock(c))
		return false;
	if (c->id == call->conn_key && (c->bits & CONN_ATTEMPT) && may_tell_read(c) &&
	    !raw_waits(c)) {
		c->waits = (c->waits + 1) & 15;
		record_result(c, (int)call->arg[0], call, DIR_RX, TRACE_WAITING, 0, t, stack);
		told = true;
	}
	conn_unlock(c);
	return told;
}

/* A direction ended, which ends an answer without a length. */
static void end_stream(struct conn *c, enum dir dir, enum phase_end how)
{
	phase_end(&c->machine, dir, how, NULL, NULL);
	if ((c->bits & CONN_ANSWERED) && c->machine.asked == c->machine.answered)
		watch_count_answer(c);
	conn_show(c, 0);
}

static bool is_fatal(int err)
{
	return err == ECONNRESET || err == EPIPE || err == ETIMEDOUT || err == ECONNABORTED;
}

/* Is this end worth a record? */
static bool tells(const struct conn *c, const struct call *call, int err)
{
	if (err == EAGAIN || err == EINTR)
		return call->flags & OBSERVE_TOLD;
	return c->bits & CONN_RECORDED;
}

/* What conn.waits holds as long as no further read was entered. */
static unsigned still_waits(const struct conn *c)
{
	return CONN_READER | (c->entered[DIR_RX] & (CONN_READER - 1));
}

/* May there be something to note?  Asked without the lock, which its writers want more. */
static bool may_note(const struct conn *c)
{
	return c->witnessed && !(c->bits & CONN_ATTEMPT) && c->waits != CONN_SETTLED &&
	       c->waits != still_waits(c);
}

void observe_waits(struct conn *c, const struct call *call)
{
	uint64_t t;

	if (!may_note(c) || !conn_lock(c))
		return;
	if (c->id == call->conn_key && may_note(c)) {
		if (c->waits == CONN_RETURNED) {
			t = clock_now();
			record_result(c, -1, call, DIR_RX, TRACE_WAITING, 0, t,
				      stack_take(call->place, t));
			c->waits = CONN_SETTLED;
		} else {
			c->waits = still_waits(c) & 15;
		}
	}
	conn_unlock(c);
}

bool observe_return(struct conn *c)
{
	if (c->bits & CONN_ATTEMPT)
		return false;
	if (c->waits != CONN_SETTLED && c->waits != still_waits(c)) {
		c->waits = CONN_RETURNED;
		return false;
	}
	c->waits = CONN_SETTLED;
	return true;
}

void observe_nothing(struct conn *c, const struct call *call, enum dir dir, int err)
{
	bool told = tells(c, call, err);
	uint64_t t = told ? clock_now() : 0;
	uint64_t stack = told && !err ? stack_take(call->place, t) : 0;

	if (err == EAGAIN && dir == DIR_RX)
		observe_waits(c, call);
	if ((err == EAGAIN || err == EINTR) && !told)
		return;
	if (!conn_lock(c))
		return;
	if (c->id != call->conn_key) {
		conn_unlock(c);
		return;
	}
	if (told)
		record_result(c, (int)call->arg[0], call, dir, err ? TRACE_ERROR : TRACE_EOF, err,
			      t, stack);
	if (!err) {
		c->bits |= CONN_EOF;
		end_stream(c, DIR_RX, PHASE_END_EOF);
	} else if (is_fatal(err)) {
		end_stream(c, dir, PHASE_END_RESET);
	}
	conn_unlock(c);
}

/* What is told of a closing takes long: nobody must find the lock taken meanwhile. */
static void ask_closing(const struct conn *c, struct closing *how)
{
	int unread = 0;

	if (!(c->bits & CONN_RECORDED))
		return;
	how->t = clock_now();
	how->stack = stack_take(how->call ? how->call->place : NULL, how->t);
	if (how->what == TRACE_CLOSED && sys_ioctl((int)how->fd, FIONREAD, &unread) >= 0)
		how->unread = (uint32_t)unread;
}

void observe_closing(struct conn *c, struct closing *how)
{
	bool locked;

	ask_closing(c, how);
	locked = conn_lock(c);
	if (how->t)
		record_close(c, how);
	if (how->what != TRACE_DUPED && !how->left) {
		if (locked &&
		    (c->bits & CONN_ANSWERED)) /* an answer that ends with the connection */
			watch_count_answer(c);
		__atomic_store_n(&c->dying, 1, __ATOMIC_SEQ_CST);
	}
	if (locked || conn_lock(c))
		conn_unlock(c);
}

void observe_shut(struct conn *c, struct closing *how)
{
	bool locked;

	ask_closing(c, how);
	locked = conn_lock(c);
	if (how->t)
		record_close(c, how);
	if (!locked)
		return;
	if (how->how != SHUT_RD)
		end_stream(c, DIR_TX, PHASE_END_SHUTDOWN);
	conn_unlock(c);
}
