/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record: see record.h.
 */
#include "shim/engine/record.h"
#include "shim/engine/clock.h"
#include "shim/engine/heads.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <netinet/in.h>
#include <sys/un.h>

/* ---- OPEN ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static void copy_unix(struct trace_address *to, const struct sockaddr_un *un, uint32_t len)
{
	size_t n = len > offsetof(struct sockaddr_un, sun_path)
			   ? len - offsetof(struct sockaddr_un, sun_path)
			   : 0;

	if (n > sizeof(un->sun_path))
		n = sizeof(un->sun_path);
	if (n > sizeof(to->path) - 1)
		n = sizeof(to->path) - 1;
	memcpy(to->path, un->sun_path, n);
	if (n && !to->path[0])
		to->path[0] = '@';
}

/* nr: SYS_getpeername or SYS_getsockname. */
static __attribute__((noinline)) void ask_address(long nr, int fd, struct trace_address *to)
{
	union address a;
	uint32_t len = sizeof(a);

	a.any.sa_family = AF_UNSPEC;
	if (sys_3(nr, fd, (long)&a, (long)&len) < 0)
		return;
	to->family = a.any.sa_family;
	switch (a.any.sa_family) {
	case AF_INET:
		to->port = (uint16_t)(a.in.sin_port << 8 | a.in.sin_port >> 8);
		memcpy(to->ip, &a.in.sin_addr, 4);
		break;
	case AF_INET6:
		to->port = (uint16_t)(a.in6.sin6_port << 8 | a.in6.sin6_port >> 8);
		memcpy(to->ip, &a.in6.sin6_addr, 16);
		break;
	case AF_UNIX:
		copy_unix(to, &a.un, len);
		break;
	default:
		break;
	}
}

static __attribute__((noinline)) bool write_open(struct conn *c, int fd)
{
	struct trace_open *r = recorder_begin(TRACE_OPEN, sizeof(*r));

	if (!r)
		return false;
	r->t_ns = c->t_open;
	r->cookie = c->cookie;
	r->stack = c->open_stack;
	r->conn = c->id;
	r->tid = clock_thread();
	r->fd = c->fd;
	r->listener = c->listener;
	r->call = c->call;
	r->role = c->machine.role;
	r->origin = c->origin;
	r->inherited_from = c->origin == TRACE_INHERITED ? c->id : 0;
	if (fd >= 0) {
		ask_address(SYS_getpeername, fd, &r->peer);
		ask_address(SYS_getsockname, fd, &r->local);
	}
	trace_publish(&r->rec);
	return true;
}

void record_open(struct conn *c, int fd)
{
	uint32_t epoch = (uint32_t)recorder_epoch();

	if (write_open(c, fd))
		c->epoch = epoch;
}

/* ---- DATA ---- */

/* to NULL: these bytes are lost, and the masker no longer knows where in a head the next ones lie. */
static inline __attribute__((always_inline)) void copy_masked(struct conn *c, enum dir dir,
							      uint8_t *to, struct span s)
{
	if (!to)
		c->bits |= (uint16_t)(CONN_BLOT_RX << dir);
	else if (engine.config.no_redact)
		memmove(to, s.p, s.n);
	else if (c->bits & (CONN_BLOT_RX << dir))
		memset(to, '*', s.n);
	else
		mask_copy(&c->mask[dir], to, s.p, s.n);
}

void record_start(struct conn *c, enum dir dir, enum run_mode mode)
{
	if (mode != RUN_HEAD && mode != RUN_TEXT)
		return;
	mask_restart(&c->mask[dir], mode == RUN_HEAD ? MASK_HEAD : MASK_TEXT, &c->mask[!dir]);
	c->bits &= (uint16_t) ~(CONN_BLOT_RX << dir);
}

/* Copy one run, or lose it.  RAW: it has its record, and the masker sees it where it lies, in the pool
 * of partial heads. */
static inline __attribute__((always_inline)) void copy_run(struct conn *c, enum dir dir,
							   uint8_t *to, const struct run *run,
							   struct gather *g, const struct data *d)
{
	uint32_t left = run->len;

	record_start(c, dir, (enum run_mode)run->mode);
	while (left) {
		struct span s = gather_next(g, left);

		if (!s.n)
			return;
		if (d->flags & TRACE_DATA_RAW)
			to = (uint8_t *)(uintptr_t)s.p;
		if (run->mode != RUN_RAW)
			copy_masked(c, dir, to, s);
		else if (to)
			memmove(to, s.p, s.n);
		to = to ? to + s.n : NULL;
		left -= (uint32_t)s.n;
	}
}

static __attribute__((noinline)) void copy_runs(struct conn *c, const struct data *d,
						struct trace_data *r, struct gather *g)
{
	uint8_t *to = r ? (uint8_t *)(r + 1) : NULL;
	uint32_t at = 0;

	for (unsigned i = 0; i < d->runs; i++) {
		const struct run *run = &d->run[i];
		struct trace_segment *seg = (struct trace_segment *)to;

		gather_skip(g, run->rel - at);
		if (r) {
			seg->rel = run->rel;
			seg->len = run->len;
		}
		copy_run(c, (enum dir)d->dir, r ? to + sizeof(*seg) : NULL, run, g, d);
		at = run->rel + run->len;
		if (r)
			to += sizeof(*seg) + CORE_ALIGN8((size_t)run->len);
	}
	gather_skip(g, d->moved - at);
}

void record_data(struct conn *c, const struct data *d, struct gather *g)
{
	size_t size = sizeof(struct trace_data);
	struct trace_data *r = NULL;

	for (unsigned i = 0; i < d->runs; i++)
		size += sizeof(struct trace_segment) + CORE_ALIGN8((size_t)d->run[i].len);
	if (!(d->flags & TRACE_DATA_RAW))
		r = recorder_begin(TRACE_DATA, size);
	if (r) {
		r->rec.flags = d->flags;
		r->t_ns = d->t;
		r->off = d->off;
		r->stack = d->stack;
		r->conn = c->id;
		r->tid = d->tid ? d->tid : clock_thread_at(d->call->place);
		r->moved = d->moved;
		r->call = d->call->id;
		r->dir = d->dir;
		r->segments = d->runs;
	}
	copy_runs(c, d, r, g);
	if (r)
		trace_publish(&r->rec);
}

static void write_late(struct conn *c, const struct heads_piece *p)
{
	struct span s = {(const uint8_t *)(p + 1), p->len};
	struct trace_segment *seg;
	struct trace_data *r;

	r = recorder_begin(TRACE_DATA, sizeof(*r) + sizeof(*seg) + CORE_ALIGN8(s.n));
	if (!r) {
		copy_masked(c, (enum dir)p->dir, NULL, s);
		return;
	}
	r->rec.flags = TRACE_DATA_LATE;
	r->t_ns = p->t_ns;
	r->off = p->off;
	r->conn = c->id;
	r->tid = p->tid;
	r->moved = p->moved;
	r->call = p->call;
	r->dir = p->dir;
	r->segments = 1;
	seg = (struct trace_segment *)(r + 1);
	seg->len = p->len;
	copy_masked(c, (enum dir)p->dir, (uint8_t *)(seg + 1), s);
	trace_publish(&r->rec);
}

void record_late(struct conn *c)
{
	const struct heads_piece *p;
	uint32_t at = 0;

	/* Requests are heads; what a server said before anybody asked is anything. */
	record_start(c, DIR_RX, c->machine.role == ROLE_SERVER ? RUN_HEAD : RUN_TEXT);
	record_start(c, DIR_TX, c->machine.role == ROLE_SERVER ? RUN_TEXT : RUN_HEAD);
	while ((p = heads_next(c->heads, &at)))
		write_late(c, p);
}

/* ---- the rest ---- */

void record_result(struct conn *c, int fd, const struct call *call, enum dir dir,
		   enum trace_result_what what, int err, uint64_t t, uint64_t stack)
{
	struct trace_result *r;

	record_ensure_open(c, fd);
	r = recorder_begin(TRACE_RESULT, sizeof(*r));
	if (!r)
		return;
	r->t_ns = t;
	r->stack = stack;
	r->conn = c->id;
	r->tid = clock_thread_at(call->place);
	r->err = err;
	r->call = call->id;
	r->dir = (uint8_t)dir;
	r->what = (uint8_t)what;
	trace_publish(&r->rec);
}

void record_close(struct conn *c, const struct closing *how)
{
	struct trace_close *r;

	record_ensure_open(c, how->what == TRACE_CLOSE_UNSEEN ? -1 : (int)how->fd);
	r = recorder_begin(TRACE_CLOSE, sizeof(*r));
	if (!r)
		return;
	r->t_ns = how->t;
	r->stack = how->stack;
	r->conn = c->id;
	r->tid = clock_thread_at(how->call ? how->call->place : NULL);
	r->fd = how->fd;
	r->unread = how->unread;
	r->call = how->call ? how->call->id : 0;
	r->what = (uint8_t)how->what;
	r->how = how->how;
	r->left = how->left;
	trace_publish(&r->rec);
}

void record_cover(struct conn *c, int fd, uint64_t reason)
{
	c->bits |= CONN_PARTIAL;
	if (!(c->bits & (CONN_RECORDED | CONN_RECORDING)))
		return;
	record_ensure_open(c, fd);
	recorder_cover(c->id, TRACE_PARTIAL, reason);
}
