/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_piece: see fault_piece.h.
 */
#include "shim/engine/fault_piece.h"
#include "shim/engine/gather.h"
#include "shim/engine/peek.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
	PARTS = 3,	  /* of one piece */
	PARTS_MAX = 1024, /* UIO_MAXIOV */
	NS_PER_S = 1000000000,
};

/* Where the buffers of a call are listed. */
struct list {
	uint64_t at; /* address of the iovecs; 0: one buffer, that of the call itself */
	uint32_t count;
};

static __attribute__((noinline)) int64_t find_list(const struct call *c, struct list *l)
{
	struct iovec m; /* what is in a message: where they are, how many */

	l->at = 0;
	switch ((enum call_shape)call_table[c->id].shape) {
	case SHAPE_IOV:
		l->at = c->arg[1];
		l->count = (uint32_t)c->arg[2];
		break;
	case SHAPE_MSG:
	case SHAPE_MMSG:
		if (peek_read(c->arg[1] + offsetof(struct msghdr, msg_iov), &m, sizeof(m)) !=
		    sizeof(m))
			return -EFAULT;
		l->at = (uint64_t)(uintptr_t)m.iov_base;
		/* 32 bits wide: glibc and musl differ in what lies behind them. */
		l->count = (uint32_t)m.iov_len;
		break;
	case SHAPE_NONE: /* no buffers of its own */
		l->count = 0;
		return -EINVAL;
	case SHAPE_FLAT:
		return 0;
	}
	return l->count <= PARTS_MAX ? 0 : -EINVAL;
}

/* Argument that says how much a call moves, where there is one. */
static unsigned length_arg(const struct call *c)
{
	switch ((enum call_op)call_table[c->id].op) {
	case OP_SENDFILE:
		return 3;
	case OP_SPLICE:
		return 4;
	default:
		return call_table[c->id].shape == SHAPE_FLAT ? 2 : 0;
	}
}

int64_t fault_piece_total(const struct call *c)
{
	struct list l;
	uint64_t sum = 0;
	int64_t err;

	if (length_arg(c))
		return (int64_t)(c->arg[length_arg(c)] & INT64_MAX);
	err = find_list(c, &l);
	if (err < 0)
		return err;
	for (uint32_t i = 0; i < l.count; i++) {
		struct iovec one;

		if (peek_read(l.at + i * sizeof(one), &one, sizeof(one)) != sizeof(one))
			return -EFAULT;
		if (one.iov_len > INT64_MAX - sum)
			return -EINVAL;
		sum += one.iov_len;
	}
	return (int64_t)sum;
}

bool fault_piece_blocks(const struct call *c)
{
	bool splice = call_table[c->id].op == OP_SPLICE;

	if (gather_flags(c) & MSG_DONTWAIT)
		return false;
	return !(sys_2(SYS_fcntl, (long)c->arg[splice ? 2 : 0], F_GETFL) & O_NONBLOCK);
}

/* ---- a call of our own ---- */

/* The buffers that hold bytes [skip, skip + n), as many as there is room for.  Returns their number. */
static __attribute__((noinline)) int64_t take_parts(const struct call *c, const struct list *l,
						    uint64_t skip, uint64_t n, struct iovec *part)
{
	int64_t count = 0;

	if (!l->at) {
		uint64_t left = skip < c->arg[2] ? c->arg[2] - skip : 0;

		*part = (struct iovec){(void *)(uintptr_t)(c->arg[1] + skip), n < left ? n : left};
		return part->iov_len != 0;
	}
	for (uint32_t i = 0; i < l->count && n && count < PARTS; i++) {
		struct iovec *p = &part[count];

		if (peek_read(l->at + i * sizeof(*p), p, sizeof(*p)) != sizeof(*p))
			return -EFAULT;
		if (skip >= p->iov_len) {
			skip -= p->iov_len;
			continue;
		}
		p->iov_base = (uint8_t *)p->iov_base + skip;
		p->iov_len -= skip;
		p->iov_len = p->iov_len < n ? p->iov_len : n;
		n -= p->iov_len;
		skip = 0;
		count++;
	}
	return count;
}

static bool has_message(const struct call *c)
{
	return call_table[c->id].shape >= SHAPE_MSG;
}

/* A word in what the application gave to learn of a message. */
static void store_word(const struct call *c, size_t off, uint32_t word)
{
	(void)peek_read((uint64_t)(uintptr_t)&word, (void *)(uintptr_t)(c->arg[1] + off),
			sizeof(word));
}

/* What the kernel says about a message besides its bytes. */
static void give_back(const struct call *c, const struct msghdr *m)
{
	store_word(c, offsetof(struct msghdr, msg_namelen), m->msg_namelen);
	store_word(c, offsetof(struct msghdr, msg_controllen), (uint32_t)m->msg_controllen);
	store_word(c, offsetof(struct msghdr, msg_flags), (uint32_t)m->msg_flags);
}

static __attribute__((noinline)) int64_t move_message(const struct call *c, uint64_t skip,
						      uint64_t n, uint32_t flags)
{
	bool in = call_table[c->id].op == OP_READ;
	struct iovec part[PARTS];
	struct msghdr m = {0};
	struct list l;
	int64_t count = find_list(c, &l), ret;

	if (!count)
		count = take_parts(c, &l, skip, n, part);
	if (count < 0)
		return count;
	if (has_message(c) && !skip) {
		if (peek_read(c->arg[1], &m, sizeof(m)) != sizeof(m))
			return -EFAULT;
		m.msg_controllen = (uint32_t)m.msg_controllen;
	}
	m.msg_iov = part;
	m.msg_iovlen = (size_t)count;
	flags |= in ? 0 : fault_piece_flags(c, skip != 0);
	ret = sys_3(in ? SYS_recvmsg : SYS_sendmsg, (long)c->arg[0], (long)&m,
		    (long)(gather_flags(c) | flags));
	if (ret >= 0 && in && has_message(c) && !skip)
		give_back(c, &m);
	return ret;
}

int64_t fault_piece_move(const struct call *c, uint64_t skip, uint64_t n, uint32_t flags)
{
	const uint64_t *a = c->arg;

	switch ((enum call_op)call_table[c->id].op) {
	case OP_SENDFILE:
		return sys_4(SYS_sendfile, (long)a[0], (long)a[1], (long)a[2], (long)n);
	case OP_SPLICE:
		return sys_call(SYS_splice, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)n,
				(long)a[5]);
	default:
		return move_message(c, skip, n, flags);
	}
}

void fault_piece_answer(struct call *c, int64_t moved)
{
	c->ret = moved;
	if (call_table[c->id].shape != SHAPE_MMSG || moved < 0)
		return;
	c->ret = 1;
	store_word(c, offsetof(struct mmsghdr, msg_len), (uint32_t)moved);
}

void fault_piece_answer_end(struct call *c)
{
	fault_piece_answer(c, 0);
	if (has_message(c))
		give_back(c, &(struct msghdr){0});
}

static int64_t copy(const struct call *c, uint64_t skip, uint8_t *p, uint64_t n, bool out)
{
	struct iovec part[PARTS];
	struct list l;
	uint64_t done = 0;
	int64_t count = find_list(c, &l);

	while (!count && done < n) {
		count = take_parts(c, &l, skip + done, n - done, part);
		if (count <= 0)
			return done ? (int64_t)done : count;
		for (int64_t i = 0; i < count; i++) {
			uint64_t at = (uint64_t)(uintptr_t)part[i].iov_base;
			size_t got = out ? peek_read(at, p + done, part[i].iov_len)
					 : peek_read((uint64_t)(uintptr_t)(p + done),
						     part[i].iov_base, part[i].iov_len);

			done += got;
			if (got < part[i].iov_len)
				return done ? (int64_t)done : -EFAULT;
		}
		count = 0;
	}
	return count < 0 ? count : (int64_t)done;
}

int64_t fault_piece_get(const struct call *c, uint64_t skip, void *to, uint64_t n)
{
	return copy(c, skip, to, n, true);
}

int64_t fault_piece_put(const struct call *c, uint64_t skip, const void *from, uint64_t n)
{
	return copy(c, skip, (uint8_t *)(uintptr_t)from, n, false);
}

bool fault_piece_readable(const struct call *c, uint64_t n)
{
	struct iovec part[PARTS];
	struct list l;
	uint64_t done = 0;

	if (find_list(c, &l) < 0)
		return false;
	while (done < n) {
		int64_t count = take_parts(c, &l, done, n - done, part);

		if (count <= 0)
			return false;
		for (int64_t i = 0; i < count; i++) {
			if (peek_reach((uint64_t)(uintptr_t)part[i].iov_base, part[i].iov_len) <
			    part[i].iov_len)
				return false;
			done += part[i].iov_len;
		}
	}
	return true;
}

bool fault_piece_cap(struct call *c, uint64_t n)
{
	unsigned i = length_arg(c);

	if (!i) {
		fault_piece_answer(c, fault_piece_move(c, 0, n, 0));
		return false;
	}
	if (c->arg[i] <= n)
		return true;
	if (!c->changed) {
		c->changed = 1 + i;
		c->ret = (int64_t)c->arg[i];
	}
	c->arg[i] = n;
	return true;
}

/* ---- segments ---- */

/* Set an option of TCP; returns what it was, -1 when it cannot be said. */
static int set_option(int fd, int name, int value)
{
	int was = -1;
	uint32_t len = sizeof(was);

	if (sys_getsockopt(fd, IPPROTO_TCP, name, &was, &len) < 0)
		return -1;
	if (was != value)
		(void)sys_call(SYS_setsockopt, fd, IPPROTO_TCP, name, (long)&value, sizeof(value),
			       0);
	return was;
}

/* False: a signal came. */
static bool sleep_for(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

	return sys_2(SYS_nanosleep, (long)&t, 0) == 0;
}

static __attribute__((noinline)) int64_t move_segments(const struct call *c,
						       const struct fault_hit *h, uint64_t began,
						       uint64_t n)
{
	uint64_t gap = h->act->param[FAULT_SLICE_gap], sum = 0;
	bool blocks = fault_piece_blocks(c);
	int64_t moved = 0;

	while (sum < n) {
		uint64_t from = h->off - began + sum;
		uint64_t k = fault_slice_piece(&h->unit, h->act, from);
		uint64_t to = fault_slice_start(&h->unit, h->act, k + 1);
		uint64_t len = to > from ? to - from : 1;

		len = len < n - sum ? len : n - sum;
		moved = fault_piece_move(c, sum, len, blocks ? 0 : MSG_DONTWAIT);
		if (moved <= 0)
			break;
		sum += (uint64_t)moved;
		if (gap && sum < n && (!blocks || !sleep_for(gap)))
			break;
	}
	return sum ? (int64_t)sum : moved;
}

void fault_piece_segments(struct call *c, struct conn *conn, const struct fault_hit *h,
			  uint64_t began, uint64_t n)
{
	int fd = (int)c->arg[call_table[c->id].op == OP_SPLICE ? 2 : 0];
	int cork = set_option(fd, TCP_CORK, 0), nodelay = set_option(fd, TCP_NODELAY, 1);

	fault_piece_answer(c, move_segments(c, h, began, n));
	if (nodelay == 0)
		(void)set_option(fd, TCP_NODELAY, 0);
	if (cork == 1)
		(void)set_option(fd, TCP_CORK, 1);
}
