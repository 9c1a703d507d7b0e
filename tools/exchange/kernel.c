/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/kernel: asks for the TCP sockets in CLOSE_WAIT and finds them by their cookies.
 * Source: sock_diag(7).
 */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "tools/exchange/kernel.h"

enum {
	STATE_CLOSE_WAIT = 8, /* TCP_CLOSE_WAIT of the kernel's enum */
	ANSWER = 32 * 1024,
};

struct open_rows {
	struct trace_connection **row; /* by cookie */
	size_t n;
	uint64_t now_ns;
};

static int by_cookie(const void *a, const void *b)
{
	const struct trace_connection *x = *(struct trace_connection *const *)a,
				      *y = *(struct trace_connection *const *)b;

	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

/* Rows that matter: open, recorded, and nothing known of an end. */
static bool open_rows_take(struct open_rows *o, struct trace_connection *row, uint32_t rows)
{
	o->row = malloc(rows * sizeof(*o->row));
	o->n = 0;
	for (uint32_t i = 0; o->row && i < rows; i++) {
		if (row[i].id && row[i].cookie && row[i].flags & TRACE_CONN_RECORDED &&
		    !(row[i].flags & TRACE_CONN_EOF))
			o->row[o->n++] = &row[i];
	}
	if (o->n)
		qsort(o->row, o->n, sizeof(*o->row), by_cookie);
	return o->n != 0;
}

/* How long ago the last segment came; the FIN was one of them. */
static uint64_t silence_ns(const struct nlmsghdr *h, const struct inet_diag_msg *m)
{
	unsigned left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	const struct rtattr *a = (const struct rtattr *)(m + 1);
	const size_t need = offsetof(struct tcp_info, tcpi_last_ack_recv) +
			    sizeof(((struct tcp_info *)0)->tcpi_last_ack_recv);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		const struct tcp_info *info = RTA_DATA(a);

		if (a->rta_type == INET_DIAG_INFO && RTA_PAYLOAD(a) >= need)
			return info->tcpi_last_ack_recv * UINT64_C(1000000);
	}
	return 0;
}

static void mark(const struct open_rows *o, const struct nlmsghdr *h)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct trace_connection wanted, *key = &wanted, **at;
	uint64_t silence, t;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	wanted.cookie = m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32;
	at = bsearch(&key, o->row, o->n, sizeof(*o->row), by_cookie);
	if (!at)
		return;
	silence = silence_ns(h, m);
	t = silence < o->now_ns ? o->now_ns - silence : o->now_ns;
	(*at)->flags |= TRACE_CONN_EOF;
	if (t > (*at)->t_last)
		(*at)->t_last = t;
}

static bool ask(int s, uint8_t family)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} question = {
		.h = {.nlmsg_len = sizeof(question),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.r = {.sdiag_family = family,
		      .sdiag_protocol = IPPROTO_TCP,
		      .idiag_ext = 1 << (INET_DIAG_INFO - 1),
		      .idiag_states = 1u << STATE_CLOSE_WAIT},
	};

	return send(s, &question, sizeof(question), 0) == (ssize_t)sizeof(question);
}

static void hear(int s, const struct open_rows *o)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER];

	for (;;) {
		ssize_t n = recv(s, answer, sizeof(answer), 0);
		const struct nlmsghdr *h = (const void *)answer;
		unsigned left = n > 0 ? (unsigned)n : 0;

		if (!left)
			return;
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
				return;
			mark(o, h);
		}
	}
}

void kernel_mark_left(struct trace_connection *row, uint32_t rows, uint64_t netns, uint64_t now_ns)
{
	static const uint8_t family[] = {AF_INET, AF_INET6};
	const struct timeval patience = {.tv_sec = 1};
	struct open_rows o = {.now_ns = now_ns};
	struct stat st;
	int s;

	if (stat("/proc/self/ns/net", &st) < 0 || st.st_ino != netns)
		return;
	s = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (s >= 0 && open_rows_take(&o, row, rows)) {
		(void)setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		for (unsigned i = 0; i < CORE_ARRAY_LEN(family) && ask(s, family[i]); i++)
			hear(s, &o);
	}
	if (s >= 0)
		close(s);
	free(o.row);
}
