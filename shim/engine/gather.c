/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gather: see gather.h.
 */
#include "shim/engine/gather.h"
#include "shim/engine/sys.h"

uint64_t gather_moved(const struct call *c)
{
	const struct mmsghdr *m = (const struct mmsghdr *)c->arg[1];
	uint64_t moved = 0;

	if (c->ret <= 0)
		return 0;
	if (call_table[c->id].shape != SHAPE_MMSG)
		return (uint64_t)c->ret;
	for (int64_t i = 0; i < c->ret; i++)
		moved += m[i].msg_len;
	return moved;
}

static bool any_room(const struct iovec *iov, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (iov[i].iov_len)
			return true;
	}
	return false;
}

bool gather_asked(const struct call *c)
{
	const struct msghdr *m = (const struct msghdr *)c->arg[1];

	switch ((enum call_shape)call_table[c->id].shape) {
	case SHAPE_FLAT:
		return c->arg[2] != 0;
	case SHAPE_IOV:
		return any_room((const struct iovec *)c->arg[1], (size_t)c->arg[2]);
	case SHAPE_MSG:
		return any_room(m->msg_iov, (uint32_t)m->msg_iovlen);
	case SHAPE_MMSG:
		m = &((const struct mmsghdr *)c->arg[1])->msg_hdr;
		return c->arg[2] && any_room(m->msg_iov, (uint32_t)m->msg_iovlen);
	case SHAPE_NONE:
		break;
	}
	return false;
}

uint32_t gather_flags(const struct call *c)
{
	const struct call_row *row = &call_table[c->id];

	switch ((enum call_shape)row->shape) {
	case SHAPE_FLAT:
		return row->flagged ? (uint32_t)c->arg[3] : 0;
	case SHAPE_MSG:
		return (uint32_t)c->arg[2];
	case SHAPE_MMSG:
		return (uint32_t)c->arg[3];
	case SHAPE_NONE:
	case SHAPE_IOV:
		break;
	}
	return 0;
}

static void open_message(struct gather *g, const struct msghdr *m, uint64_t moved)
{
	g->iov = m->msg_iov;
	g->iovs = (uint32_t)m->msg_iovlen;
	g->left = moved;
}

void gather_init(struct gather *g, const struct call *c)
{
	const struct mmsghdr *m = (const struct mmsghdr *)c->arg[1];

	*g = (struct gather){0};
	switch ((enum call_shape)call_table[c->id].shape) {
	case SHAPE_FLAT:
		g->p = (const uint8_t *)c->arg[1];
		g->n = (size_t)c->ret;
		break;
	case SHAPE_IOV:
		g->iov = (const struct iovec *)c->arg[1];
		g->iovs = (uint32_t)c->arg[2];
		g->left = (uint64_t)c->ret;
		break;
	case SHAPE_MSG:
		open_message(g, (const struct msghdr *)c->arg[1], (uint64_t)c->ret);
		break;
	case SHAPE_MMSG:
		g->msg = m + 1;
		g->messages = (uint32_t)c->ret - 1;
		open_message(g, &m->msg_hdr, m->msg_len);
		break;
	case SHAPE_NONE:
		break;
	}
}

struct span gather_next(struct gather *g, size_t max)
{
	struct span s = {NULL, 0};

	while (!g->n) {
		if (g->left && g->iovs) {
			g->p = g->iov->iov_base;
			g->n = g->iov->iov_len < g->left ? g->iov->iov_len : g->left;
			g->left -= g->n;
			g->iov++;
			g->iovs--;
		} else if (g->messages) {
			open_message(g, &g->msg->msg_hdr, g->msg->msg_len);
			g->msg++;
			g->messages--;
		} else {
			return s;
		}
	}
	s.p = g->p;
	s.n = g->n < max ? g->n : max;
	g->p += s.n;
	g->n -= s.n;
	return s;
}

void gather_skip(struct gather *g, uint64_t n)
{
	while (n) {
		struct span s = gather_next(g, n);

		if (!s.n)
			return;
		n -= s.n;
	}
}
