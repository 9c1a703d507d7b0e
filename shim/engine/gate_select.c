/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_select: select and pselect, while something is held back.
 *
 * (1) The caller's sets are read once, and what is held back is left out of copies of them; so it is never
 *     reported, and the caller's own sets are written only with the answer.
 * (2) Both go through the kernel, which knows whether they may be read and written.
 *
 * Source: select(2), which tells how the kernel's own pselect6 differs from libc's.
 */
#include "shim/engine/clock.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/gate_wait.h"
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include "core/trace/layout.h"

enum {
	SECOND = 1000000000,
	MICROSECONDS = 1000000,
	SETS = 3, /* in, out, except */
	WORD = 64,
	MOST = 1 << 20, /* descriptors */
};

/* What pselect6 takes as its sixth argument. */
struct mask {
	uint64_t at, size;
};

struct sets {
	uint64_t *want, *work; /* SETS times words */
	uint64_t words;
};

static bool read_sets(const struct call *c, const struct sets *s)
{
	size_t size = s->words * sizeof(uint64_t);

	for (unsigned i = 0; i < SETS; i++) {
		uint64_t at = c->arg[1 + i];

		if (at && peek_read(at, s->want + i * s->words, size) != size)
			return false;
	}
	return true;
}

/* What cannot be written there is the application's EFAULT. */
static bool write_sets(const struct call *c, const struct sets *s)
{
	size_t size = s->words * sizeof(uint64_t);

	for (unsigned i = 0; i < SETS; i++) {
		void *to = (void *)c->arg[1 + i];

		if (to && peek_read((uintptr_t)(s->work + i * s->words), to, size) != size)
			return false;
	}
	return true;
}

static void leave_out(const struct sets *s, enum dir dir)
{
	uint64_t *set = s->work + (dir == DIR_RX ? 0 : s->words);

	for (uint64_t i = 0; i < s->words; i++) {
		for (uint64_t bits = set[i]; bits; bits &= bits - 1) {
			int fd = (int)(i * WORD) + __builtin_ctzll(bits);
			const struct conn *conn = conn_of(fd);

			if (conn && gate_holds(conn, dir))
				set[i] &= ~(bits & -bits);
		}
	}
}

static struct mask mask_of(const struct call *c)
{
	struct mask m = {0, 8};

	if (c->id != CALL_pselect)
		return m;
	if (engine.door == TRACE_DOOR_LIBC)
		m.at = c->arg[5];
	else if (c->arg[5] && peek_read(c->arg[5], &m, sizeof(m)) != sizeof(m))
		m.at = 0;
	return m;
}

static long slice(const struct call *c, const struct sets *s, uint64_t ns)
{
	struct timespec t = gate_timespec(ns);
	struct mask m = mask_of(c);
	long set[SETS];

	memcpy(s->work, s->want, SETS * s->words * sizeof(uint64_t));
	leave_out(s, DIR_RX);
	leave_out(s, DIR_TX);
	for (unsigned i = 0; i < SETS; i++)
		set[i] = c->arg[1 + i] ? (long)(s->work + i * s->words) : 0;
	return sys_call(SYS_pselect6, (int)c->arg[0], set[0], set[1], set[2],
			ns == UINT64_MAX ? 0 : (long)&t, (long)&m);
}

/* select tells what was left of the time. */
static void write_left(const struct call *c, uint64_t now, uint64_t end)
{
	uint64_t left = end > now ? end - now : 0;
	int64_t t[2] = {(int64_t)(left / SECOND),
			(int64_t)(left % SECOND / (SECOND / MICROSECONDS))};

	if (c->id == CALL_select && end != UINT64_MAX)
		(void)peek_read((uintptr_t)t, (void *)c->arg[4], sizeof(t));
}

static __attribute__((noinline)) bool wait(struct call *c, const struct sets *s, uint64_t now,
					   uint64_t end)
{
	if (!read_sets(c, s))
		return true;
	for (;;) {
		gate_expire(now);
		c->ret = slice(c, s, gate_slice(now, end));
		now = clock_now();
		if (!c->ret || c->ret == -EINTR)
			gate_cancel_point(); /* the copies are lost with the thread */
		if (c->ret || now >= end)
			break;
	}
	if (c->ret >= 0 && !write_sets(c, s))
		c->ret = -EFAULT;
	write_left(c, now, end);
	return false;
}

bool gate_select(struct call *c)
{
	uint64_t now = clock_now(), end;
	int n = (int)c->arg[0];
	struct sets s;
	size_t size;
	bool go_on;

	if (n < 0 || n > MOST ||
	    !gate_end_time(now, c->arg[4], c->id == CALL_select ? MICROSECONDS : SECOND, &end))
		return true;
	s.words = ((uint64_t)n + WORD - 1) / WORD;
	size = 2 * SETS * (s.words + 1) * sizeof(uint64_t);
	s.want = gate_map(size);
	if (!s.want)
		return true;
	s.work = s.want + SETS * s.words;
	go_on = wait(c, &s, now, end);
	(void)sys_munmap(s.want, size);
	return go_on;
}
