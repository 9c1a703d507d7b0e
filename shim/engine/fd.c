/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fd: see fd.h.
 *
 * Source: close(2), dup(2), unix(7) (SCM_RIGHTS), socket(7), tcp(7) (TCP_INFO).
 */
#include "shim/engine/fd.h"
#include "shim/engine/clock.h"
#include "shim/engine/conn.h"
#include "shim/engine/observe.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/stack.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/engine/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

static uint32_t fd_end; /* descriptors that ever meant a connection end here */

/* What a descriptor means when it means no connection. */
static uint32_t meaning_of_none(int fd)
{
	return fd == 1 || fd == 2 ? CONN_TEXT : 0;
}

static void say_table_full(void)
{
	recorder_lost(TRACE_LOST_TABLE, 0);
	recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_TABLE);
}

/* One descriptor less. */
static void let_go(struct conn *c, const struct call *call, int fd, enum trace_close_what what)
{
	uint16_t left = __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);
	struct closing how = {.call = call, .fd = (uint32_t)fd, .left = left, .what = what};

	if (what == TRACE_CLOSE_UNSEEN)
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_UNSEEN);
	observe_closing(c, &how);
}

/* fd means row from now on.  What it meant before ended where we could not see it. */
static void assign(const struct call *call, int fd, uint32_t row)
{
	uint32_t old;

	if (!engine_takes(fd))
		return recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_HIGH_FD);
	if (fd_end <= (uint32_t)fd)
		fd_end = (uint32_t)fd + 1;
	old = __atomic_exchange_n(&engine_fds[fd], row, __ATOMIC_ACQ_REL);
	if (old >= CONN_FIRST)
		let_go(conn_at(old), call, fd, TRACE_CLOSE_UNSEEN);
}

void fd_forget(const struct call *c, int fd)
{
	if (fd < 0 || !conn_of(fd) || engine_called_by_stranger())
		return;
	assign(c, fd, meaning_of_none(fd));
}

void fd_gone(const struct call *c, int fd)
{
	fd_forget(c, fd);
}

/* ---- new connections ---- */

/* The descriptor means already what it should: another library's accept calls ours, for example. */
static bool is_known(int fd)
{
	const struct conn *c = conn_of(fd);

	return c && c->cookie && c->cookie == conn_cookie(fd);
}

static struct conn *open_conn(const struct call *call, int fd, enum role role,
			      enum trace_origin origin)
{
	uint64_t now = clock_now();
	struct conn *c;

	if (!engine_takes(fd)) {
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_HIGH_FD);
		return NULL;
	}
	c = conn_new((uint32_t)fd, role, origin, now);
	if (!c) {
		say_table_full();
		fd_forget(call, fd);
		return NULL;
	}
	c->cookie = conn_cookie(fd);
	c->call = call->id;
	if (engine.config.all) {
		c->bits |= CONN_RECORDING | CONN_RECORDED;
		for (unsigned dir = 0; dir < 2; dir++) {
			c->limit[dir] = c->resume[dir] = UINT64_MAX;
			mask_init(&c->mask[dir], MASK_HEAD);
		}
	}
	return c;
}

static void publish(const struct call *call, struct conn *c)
{
	int fd = (int)c->fd;

	conn_show(c, c->t_open);
	conn_unlock(c);
	assign(call, fd, conn_row(c));
}

void fd_accepted(const struct call *call)
{
	int fd = (int)call->ret;
	struct conn *c;

	if (is_known(fd) || !recorder_open())
		return;
	c = open_conn(call, fd, ROLE_SERVER, TRACE_ACCEPTED);
	if (!c)
		return;
	c->listener = (uint32_t)call->arg[0];
	c->open_stack = stack_take_cached(call, c->t_open);
	publish(call, c);
}

static int socket_option(int fd, int name)
{
	int value = -1;
	uint32_t len = sizeof(value);

	return sys_getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static bool is_stream(int fd)
{
	int domain;

	if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return false;
	domain = socket_option(fd, SO_DOMAIN);
	return domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
}

void fd_connected(const struct call *call)
{
	int fd = (int)call->arg[0];
	struct conn *c;

	if (call->ret < 0 && call->ret != -EINPROGRESS && call->ret != -EINTR)
		return;
	if (engine_called_by_stranger() || !is_stream(fd))
		return;
	if (is_known(fd) || !recorder_open()) /* known: asked again how far it is */
		return;
	c = open_conn(call, fd, ROLE_CLIENT, TRACE_CONNECTED);
	if (!c)
		return;
	c->open_stack = stack_take_cached(call, c->t_open);
	publish(call, c);
}

void fd_paired(const struct call *call)
{
	const int *pair = (const int *)call->arg[3];
	bool stream = (call->arg[1] & 0xf) == SOCK_STREAM;

	for (unsigned i = 0; i < 2; i++) {
		struct conn *c;

		if (is_known(pair[i]))
			continue;
		fd_forget(call, pair[i]);
		if (!stream || !recorder_header || engine_called_by_stranger())
			continue;
		c = open_conn(call, pair[i], ROLE_SERVER, TRACE_PAIRED);
		if (!c)
			continue;
		c->bits |= CONN_EITHER_ROLE;
		publish(call, c);
	}
}

/* ---- fewer and more descriptors ---- */

void fd_close(const struct call *call)
{
	int fd = (int)call->arg[0];
	uint32_t row;

	if (!conn_of(fd) || engine_called_by_stranger())
		return;
	/* Now, not after the kernel: by then another thread may have been given the number. */
	row = __atomic_exchange_n(&engine_fds[fd], meaning_of_none(fd), __ATOMIC_ACQ_REL);
	if (row >= CONN_FIRST)
		let_go(conn_at(row), call, fd, TRACE_CLOSED);
}

void fd_close_range(const struct call *call)
{
	uint64_t last = call->arg[1];
	struct call one = *call;

	if (call->arg[2] & 4) /* CLOSE_RANGE_CLOEXEC closes nothing now */
		return;
	if (last >= fd_end)
		last = fd_end ? fd_end - 1 : 0;
	for (uint64_t fd = call->arg[0]; fd <= last; fd++) {
		if (!engine_tracks((int)fd))
			continue;
		one.arg[0] = fd;
		fd_close(&one);
	}
}

void fd_shut(const struct call *call)
{
	struct conn *c = conn_of((int)call->arg[0]);
	struct closing how = {
		.call = call,
		.fd = (uint32_t)call->arg[0],
		.what = TRACE_SHUT,
		.how = (uint8_t)call->arg[1],
	};

	if (!c)
		return;
	how.left = c->refs;
	observe_shut(c, &how);
}

void fd_duped(const struct call *call, int from, int to)
{
	struct conn *c = conn_of(from);
	struct closing how = {.call = call, .fd = (uint32_t)to, .what = TRACE_DUPED};

	if (to < 0 || c == conn_of(to) || engine_called_by_stranger())
		return;
	if (!c || !engine_takes(to)) {
		fd_forget(call, to);
		return;
	}
	how.left = __atomic_add_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);
	assign(call, to, conn_row(c));
	observe_closing(c, &how);
}

/* ---- descriptors from other processes ---- */

/* Bytes moved before it came to us? Not known for unix sockets. */
static __attribute__((noinline)) bool is_midstream(int fd)
{
	struct {
		uint8_t base[104];
		uint64_t pacing, max_pacing, acked, received;
		uint32_t segs_out, segs_in;
		uint32_t notsent, min_rtt, data_segs_in, data_segs_out;
	} info;
	uint32_t len = sizeof(info);
	int queued = 0;

	memset(&info, 0, sizeof(info));
	if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	(void)sys_ioctl(fd, FIONREAD, &queued);
	return info.data_segs_out || info.received > (uint64_t)queued;
}

static struct conn *find_cookie(uint64_t cookie)
{
	uint32_t end = conn_rows();

	for (uint32_t row = CONN_FIRST; cookie && row < end; row++) {
		if (conn_at(row)->id && conn_at(row)->cookie == cookie)
			return conn_at(row);
	}
	return NULL;
}

static void receive(const struct call *call, int fd)
{
	struct conn *c;
	uint8_t peer[16];
	uint32_t len = sizeof(peer);

	if (is_known(fd))
		return;
	fd_forget(call, fd);
	if (!is_stream(fd) || socket_option(fd, SO_ACCEPTCONN) != 0 ||
	    sys_3(SYS_getpeername, fd, (long)peer, (long)&len) < 0 || !recorder_open())
		return;
	c = find_cookie(conn_cookie(fd));
	if (c) {
		__atomic_add_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);
		assign(call, fd, conn_row(c));
		return;
	}
	c = open_conn(call, fd, ROLE_SERVER, TRACE_RECEIVED);
	if (!c)
		return;
	c->bits |= CONN_EITHER_ROLE;
	if (is_midstream(fd)) {
		record_cover(c, fd, TRACE_REASON_RECEIVED);
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_RECEIVED);
	}
	publish(call, c);
}

/* Lengths are read as 32-bit words: glibc and musl differ in what lies behind them. */
static void receive_message(const struct call *call, const struct msghdr *m)
{
	const uint8_t *p = m->msg_control;
	uint32_t left = (uint32_t)m->msg_controllen;

	while (p && left >= sizeof(struct cmsghdr)) {
		const struct cmsghdr *h = (const struct cmsghdr *)p;
		uint32_t len = (uint32_t)h->cmsg_len, step = (uint32_t)CORE_ALIGN8((size_t)len);

		if (len < sizeof(*h) || len > left)
			return;
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			const int *fds = (const int *)(h + 1);

			for (uint32_t i = 0; i < (len - sizeof(*h)) / sizeof(int); i++)
				receive(call, fds[i]);
		}
		p += step;
		left -= step < left ? step : left;
	}
}

void fd_received(const struct call *call)
{
	const struct mmsghdr *m = (const struct mmsghdr *)call->arg[1];

	if (call_table[call->id].shape == SHAPE_MSG) {
		if (call->ret >= 0)
			receive_message(call, (const struct msghdr *)call->arg[1]);
		return;
	}
	for (int64_t i = 0; i < call->ret; i++)
		receive_message(call, &m[i].msg_hdr);
}

/* ---- fork ---- */

void fd_forked(void)
{
	uint32_t end = conn_rows();

	for (uint32_t row = CONN_FIRST; row < end; row++) {
		struct conn *c = conn_at(row);

		c->lock = 0;
		if (!c->id)
			continue;
		c->origin = TRACE_INHERITED;
		c->epoch = 0;
		c->open_stack = 0;
		/* The thread that forked is the only one left. */
		c->owner = c->bits & CONN_ATTEMPT ? text_open(clock_thread(), c->id) : 0;
	}
	conn_show_all();
}
