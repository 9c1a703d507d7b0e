/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_bytes: see seccomp.h: reads and writes, performed here on behalf of the program.
 *
 * (1) An answer is what the kernel would have answered: a short read or write only where the socket was
 *     empty or full, since servers with edge-triggered events conclude that from it.
 * (2) Bytes taken from a socket reach the program: those nobody could be given are kept for the next
 *     read of that descriptor.  poll does not see them, so coverage tells that there were such.
 * (3) Calls that ask for what is not done here go on to the kernel, and coverage says so.
 *
 * Source: recv(2), send(2), readv(2), sendfile(2), process_vm_readv(2), socket(7).
 */
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/trace/layout.h"

enum {
	MOST = 0x7ffff000, /* of one call: MAX_RW_COUNT */
	READ_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC | MSG_WAITALL,
	WRITE_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_EOR,
};

static uint8_t buffer[BUFFER];

/* ---- bytes kept ---- */

static struct kept {
	struct kept *next;
	int fd;
	size_t at, n;
	uint8_t byte[];
} * first_kept;

static struct kept **find_kept(int fd)
{
	struct kept **k = &first_kept;

	while (*k && (*k)->fd != fd)
		k = &(*k)->next;
	return k;
}

void bytes_dropped(int fd)
{
	struct kept **k = find_kept(fd), *gone = *k;

	if (gone) {
		*k = gone->next;
		free(gone);
	}
}

bool bytes_kept(void)
{
	return first_kept;
}

/* Before what is kept already. */
static void keep(int fd, const uint8_t *p, size_t n)
{
	struct kept *old = *find_kept(fd), *new;
	size_t more = old ? old->n - old->at : 0;

	engine_partial(fd, TRACE_REASON_UNSEEN);
	engine_partial(-1, TRACE_REASON_UNSEEN);
	new = calloc(1, sizeof(*new) + n + more);
	if (!new)
		return;
	memcpy(new->byte, p, n);
	if (old)
		memcpy(new->byte + n, old->byte + old->at, more);
	new->fd = fd;
	new->n = n + more;
	bytes_dropped(fd);
	new->next = first_kept;
	first_kept = new;
}

static size_t take_kept(int fd, size_t most)
{
	struct kept *k = *find_kept(fd);
	size_t n = k ? k->n - k->at : 0;

	n = n < most ? n : most;
	if (!n)
		return 0;
	memcpy(buffer, k->byte + k->at, n);
	k->at += n;
	if (k->at == k->n)
		bytes_dropped(fd);
	return n;
}

/* ---- memory of the program ---- */

/* process_vm_readv and not /proc/TID/mem, which would write into pages the program may only read. */
static int64_t peek(const struct supervisor *s, const struct work *w, uint64_t from, void *to,
		    size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)(uintptr_t)from, n};

	if (!supervisor_is_valid(s, &w->n))
		return -1;
	return process_vm_readv(w->n.tid, &local, 1, &remote, 1, 0);
}

static void poke(const struct supervisor *s, const struct work *w, uint64_t to, const void *from,
		 size_t n)
{
	struct iovec local = {(void *)(uintptr_t)from, n}, remote = {(void *)(uintptr_t)to, n};

	if (supervisor_is_valid(s, &w->n))
		(void)process_vm_writev(w->n.tid, &local, 1, &remote, 1, 0);
}

/* The next n bytes of its buffers, from or to ours. */
static int64_t carry(const struct supervisor *s, const struct work *w, size_t n, bool out)
{
	static struct iovec part[VECTORS];
	struct iovec local = {buffer, n};
	uint64_t skip = w->done;
	size_t left = n;
	uint32_t parts = 0;

	for (uint32_t i = 0; i < w->vectors && left; i++) {
		const struct iovec *v = &w->vector[i];
		size_t len;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		len = v->iov_len - skip < left ? v->iov_len - skip : left;
		part[parts++] = (struct iovec){(uint8_t *)v->iov_base + skip, len};
		left -= len;
		skip = 0;
	}
	if (!supervisor_is_valid(s, &w->n))
		return -1;
	return out ? process_vm_readv(w->n.tid, &local, 1, part, parts, 0)
		   : process_vm_writev(w->n.tid, &local, 1, part, parts, 0);
}

/* ---- what the engine sees ---- */

static struct iovec shown;
static struct msghdr shown_message = {.msg_iov = &shown, .msg_iovlen = 1};

/* The call with our buffer in place of the program's. */
static void describe(struct work *w, size_t n)
{
	struct call *c = &w->call;

	shown = (struct iovec){buffer, n};
	engine_subject.tid = (uint32_t)w->n.tid;
	switch ((enum call_shape)call_table[w->n.row].shape) {
	case SHAPE_FLAT:
		c->arg[1] = (uintptr_t)buffer;
		c->arg[2] = n;
		break;
	case SHAPE_IOV:
		c->arg[1] = (uintptr_t)&shown;
		c->arg[2] = 1;
		break;
	case SHAPE_MSG:
		c->arg[1] = (uintptr_t)&shown_message;
		c->arg[2] = (uint32_t)w->flags;
		break;
	case SHAPE_NONE:
	case SHAPE_MMSG:
		break;
	}
}

static void enter(struct work *w, size_t n)
{
	describe(w, n);
	if (!w->entered)
		(void)engine_enter(&w->call);
	w->entered = true;
}

static void leave(struct work *w, size_t n, int64_t ret)
{
	describe(w, n);
	w->call.ret = ret;
	engine_exit(&w->call);
	w->entered = false;
}

/* ---- moving ---- */

static void finish_message(const struct supervisor *s, const struct work *w)
{
	static const uint64_t none;
	uint64_t m = w->n.arg[1];

	poke(s, w, m + offsetof(struct msghdr, msg_namelen), &none, sizeof(socklen_t));
	poke(s, w, m + offsetof(struct msghdr, msg_controllen), &none, sizeof(size_t));
	poke(s, w, m + offsetof(struct msghdr, msg_flags), &none, sizeof(int));
}

static bool finish_read(struct supervisor *s, struct work *w, int64_t ret, size_t last)
{
	static const socklen_t none;

	if (ret >= 0 && w->n.row == CALL_recvmsg)
		finish_message(s, w);
	if (ret >= 0 && w->n.row == CALL_recvfrom && w->n.arg[4] && w->n.arg[5])
		poke(s, w, w->n.arg[5], &none, sizeof(none));
	if (!supervisor_answer(s, &w->n, ret) && ret > 0)
		keep((int)w->n.arg[0], buffer, last);
	return true;
}

static bool read_step(struct supervisor *s, struct work *w)
{
	int fd = (int)w->n.arg[0];
	int64_t got, put;

	for (;;) {
		size_t want = w->len - w->done < BUFFER ? w->len - w->done : BUFFER;
		size_t old = take_kept(fd, want);

		got = (int64_t)old;
		if (!old) {
			enter(w, want);
			got = recv(w->fd, buffer, want, MSG_DONTWAIT);
			got = got < 0 ? -errno : got;
			if (got == -EAGAIN && w->blocks && (!w->done || w->whole))
				return false;
			leave(w, want, got);
		}
		if (got <= 0)
			return finish_read(s, w, w->done ? (int64_t)w->done : got, 0);
		put = carry(s, w, (size_t)got, false);
		put = put < 0 ? 0 : put;
		if (put < got)
			keep(fd, buffer + put, (size_t)(got - put));
		w->done += (uint64_t)put;
		if (put < got)
			return finish_read(s, w, w->done ? (int64_t)w->done : -EFAULT, (size_t)put);
		if (w->done == w->len || (!w->whole && !old && (size_t)got < want) || !s->killable)
			return finish_read(s, w, (int64_t)w->done, (size_t)got);
	}
}

static bool finish_write(struct supervisor *s, struct work *w, int64_t ret)
{
	if (ret == -EPIPE && !w->silent && supervisor_is_valid(s, &w->n))
		(void)syscall(SYS_tgkill, s->pid, w->n.tid, SIGPIPE);
	if (w->source >= 0 && w->done && w->n.arg[2])
		poke(s, w, w->n.arg[2], &w->source_off, sizeof(w->source_off));
	else if (w->source >= 0 && w->done)
		(void)lseek(w->source, (off_t)w->source_off, SEEK_SET);
	if (!supervisor_answer(s, &w->n, ret) && ret > 0)
		work_owe(&w->n, ret);
	return true;
}

/* The next bytes to be sent: 0 when there are none. */
static int64_t fill(const struct supervisor *s, const struct work *w, size_t want)
{
	int64_t n;

	if (w->source >= 0) {
		n = pread(w->source, buffer, want, (off_t)w->source_off);
		return n < 0 ? -errno : n;
	}
	n = carry(s, w, want, true);
	return n <= 0 ? -EFAULT : n;
}

static bool write_step(struct supervisor *s, struct work *w)
{
	while (w->done < w->len) {
		size_t want = w->len - w->done < BUFFER ? w->len - w->done : BUFFER;
		int64_t have = fill(s, w, want), sent;

		if (have <= 0)
			return finish_write(s, w, w->done ? (int64_t)w->done : have);
		enter(w, (size_t)have);
		sent = send(w->fd, buffer, (size_t)have,
			    (w->flags & WRITE_FLAGS) | MSG_DONTWAIT | MSG_NOSIGNAL);
		sent = sent < 0 ? -errno : sent;
		if (sent == -EAGAIN && w->blocks)
			return false;
		leave(w, (size_t)have, sent);
		if (sent < 0)
			return finish_write(s, w, w->done ? (int64_t)w->done : sent);
		w->done += (uint64_t)sent;
		w->source_off += (uint64_t)sent;
	}
	return finish_write(s, w, (int64_t)w->done);
}

/* ---- understanding ---- */

static bool read_vectors(const struct supervisor *s, struct work *w, uint64_t from, uint64_t count)
{
	if (count > VECTORS || peek(s, w, from, w->vector, count * sizeof(w->vector[0])) !=
				       (int64_t)(count * sizeof(w->vector[0])))
		return false;
	w->vectors = (uint32_t)count;
	for (uint32_t i = 0; i < count; i++) {
		if (w->vector[i].iov_len > MOST - w->len)
			w->vector[i].iov_len = MOST - w->len;
		w->len += w->vector[i].iov_len;
	}
	return true;
}

static bool understand_message(const struct supervisor *s, struct work *w, bool out)
{
	struct msghdr m = {0};

	if (peek(s, w, w->n.arg[1], &m, sizeof(m)) != sizeof(m))
		return false;
	if (m.msg_control && m.msg_controllen) {
		int domain = AF_UNSPEC;
		socklen_t len = sizeof(domain);

		(void)getsockopt(w->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
		if (out || domain == AF_UNIX)
			return false;
	}
	w->flags = (int)w->n.arg[2];
	return read_vectors(s, w, (uintptr_t)m.msg_iov, m.msg_iovlen);
}

static bool understand_file(struct supervisor *s, struct work *w)
{
	struct stat st;
	off_t at = 0;

	w->source = supervisor_take(s->process, (int)w->n.arg[1]);
	if (w->source < 0 || fstat(w->source, &st) || !S_ISREG(st.st_mode))
		return false;
	if (w->n.arg[2] && peek(s, w, w->n.arg[2], &at, sizeof(at)) != sizeof(at))
		return false;
	if (!w->n.arg[2])
		at = lseek(w->source, 0, SEEK_CUR);
	w->source_off = (uint64_t)at;
	w->len = w->n.arg[3] < MOST ? w->n.arg[3] : MOST;
	return at >= 0;
}

/* False: not for us. */
static bool understand(struct supervisor *s, struct work *w)
{
	const struct call_row *row = &call_table[w->n.row];
	bool out = row->op == OP_WRITE;

	if (w->n.row == CALL_preadv2 || w->n.row == CALL_pwritev2)
		return false;
	if (row->op == OP_SENDFILE)
		return understand_file(s, w);
	switch ((enum call_shape)row->shape) {
	case SHAPE_FLAT:
		w->len = w->n.arg[2] < MOST ? w->n.arg[2] : MOST;
		w->vector[0] = (struct iovec){(void *)(uintptr_t)w->n.arg[1], w->len};
		w->vectors = 1;
		w->flags = row->flagged ? (int)w->n.arg[3] : 0;
		break;
	case SHAPE_IOV:
		if (!read_vectors(s, w, w->n.arg[1], w->n.arg[2]))
			return false;
		break;
	case SHAPE_MSG:
		if (!understand_message(s, w, out))
			return false;
		break;
	case SHAPE_NONE:
	case SHAPE_MMSG:
		return false;
	}
	return !(w->flags & ~(out ? WRITE_FLAGS : READ_FLAGS));
}

static void prepare(struct work *w, const struct notice *n)
{
	bool reads = call_table[n->row].op == OP_READ;

	memset(w, 0, offsetof(struct work, vector));
	w->n = *n;
	w->call.id = (uint16_t)n->row;
	memcpy(w->call.arg, n->arg, sizeof(n->arg));
	w->fd = (int)n->arg[0];
	w->own = w->source = -1;
	w->step = reads ? read_step : write_step;
	w->events = reads ? EPOLLIN : EPOLLOUT;
}

void bytes_start(struct supervisor *s, const struct notice *n)
{
	static struct work w;
	int fd = (int)n->arg[0], to = (int)n->arg[2];
	bool tracked = fd_means(s, n, fd) == MEANS_STREAM;

	if (n->row == CALL_splice && (tracked || fd_means(s, n, to) == MEANS_STREAM))
		return supervisor_missed(s, tracked ? fd : to, n);
	if (!tracked)
		return supervisor_pass(s, n);
	prepare(&w, n);
	if (!understand(s, &w)) {
		if (w.source >= 0)
			close(w.source);
		if (w.step == read_step && (w.flags & MSG_PEEK))
			return supervisor_pass(s, n); /* moves nothing */
		return supervisor_missed(s, fd, n);
	}
	if (!w.len)
		return supervisor_pass(s, n);
	w.silent = w.flags & MSG_NOSIGNAL;
	w.blocks = work_blocks(fd, w.flags);
	w.whole = w.blocks && (w.flags & MSG_WAITALL) && w.step == read_step;
	if (w.whole && !s->killable) /* what came before an interruption could not be given back */
		return supervisor_missed(s, fd, n);
	work_start(s, &w);
}
