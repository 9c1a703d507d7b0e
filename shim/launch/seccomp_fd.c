/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_fd: see seccomp.h: what the descriptors of the followed process mean, and their mirrors.
 *
 * (1) A mirror must not outlive its original by more than one call: it would keep the connection open.
 *     So closing is seen before the kernel does it, and the mirror goes first.
 * (2) What is not known is looked at once; what was looked at is believed until the number is closed.
 */
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "core/trace/layout.h"

/* ---- sockets ---- */

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

static bool is_stream(int fd)
{
	int domain;

	if (option(fd, SO_TYPE) != SOCK_STREAM)
		return false;
	domain = option(fd, SO_DOMAIN);
	return domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
}

bool fd_is_network(int own)
{
	int domain = option(own, SO_DOMAIN);

	return is_stream(own) && (domain == AF_INET || domain == AF_INET6);
}

bool fd_is_listener(int own)
{
	return is_stream(own) && option(own, SO_ACCEPTCONN) == 1;
}

static bool has_peer(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	return !getpeername(fd, (struct sockaddr *)&a, &len);
}

/* ---- mirrors ---- */

static bool in_range(int fd)
{
	return fd >= 0 && fd < supervisor_base;
}

bool fd_mirror(struct supervisor *s, int own, int fd, enum meaning m)
{
	bool good = in_range(fd) && (own == fd || dup3(own, fd, O_CLOEXEC) == fd);

	if (own != fd)
		close(own);
	if (good)
		s->means[fd] = (uint8_t)m;
	else
		engine_partial(-1, TRACE_REASON_HIGH_FD);
	return good;
}

void fd_drop(struct supervisor *s, int fd)
{
	if (!in_range(fd))
		return;
	if (s->means[fd] >= MEANS_LISTENER)
		close(fd);
	if (s->means[fd] == MEANS_STREAM)
		bytes_dropped(fd);
	s->means[fd] = MEANS_UNKNOWN;
}

void fd_drop_all(struct supervisor *s)
{
	for (int fd = 0; fd < supervisor_base; fd++) {
		if (s->means[fd])
			fd_drop(s, fd);
	}
}

/* It has a peer, and nobody told us how it came: tell the engine as of one that was received, which
 * finds duplicates by their cookie. */
static void show_received(const struct notice *n, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct msghdr m = {.msg_control = &control, .msg_controllen = sizeof(control)};
	const uint64_t arg[6] = {(uint64_t)-1, (uintptr_t)&m};

	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	supervisor_show(n, CALL_recvmsg, arg, 0);
}

static enum meaning look(struct supervisor *s, const struct notice *n, int fd)
{
	bool connecting = s->means[fd] == MEANS_CONNECTING;
	int own = supervisor_take(s->process, fd);

	if (own < 0)
		return MEANS_UNKNOWN;
	if (!has_peer(own) || (!connecting && !fd_is_network(own))) {
		if (!connecting)
			s->means[fd] = MEANS_OTHER;
		close(own);
		return (enum meaning)s->means[fd];
	}
	if (!fd_mirror(s, own, fd, MEANS_STREAM))
		return MEANS_OTHER;
	if (connecting) {
		const uint64_t arg[6] = {(uint64_t)fd};

		supervisor_show(n, CALL_connect, arg, 0);
	} else {
		show_received(n, fd);
	}
	return MEANS_STREAM;
}

enum meaning fd_means(struct supervisor *s, const struct notice *n, int fd)
{
	if (!in_range(fd))
		return MEANS_OTHER;
	if (s->means[fd] == MEANS_UNKNOWN || s->means[fd] == MEANS_CONNECTING)
		return look(s, n, fd);
	return (enum meaning)s->means[fd];
}

/* ---- calls ---- */

void fd_connecting(struct supervisor *s, const struct notice *n)
{
	int fd = (int)n->arg[0], own;

	if (in_range(fd) && s->means[fd] < MEANS_CONNECTING) {
		own = supervisor_take(s->process, fd);
		s->means[fd] = own >= 0 && is_stream(own) ? MEANS_CONNECTING : MEANS_OTHER;
		if (own >= 0)
			close(own);
	}
	supervisor_pass(s, n);
}

void fd_closing(struct supervisor *s, const struct notice *n)
{
	int fd = (int)n->arg[0];
	struct call c = {.id = CALL_close};

	if (in_range(fd)) {
		if (s->means[fd] == MEANS_STREAM) {
			memcpy(c.arg, n->arg, sizeof(c.arg));
			engine_subject.tid = (uint32_t)n->tid;
			(void)engine_enter(&c);
		}
		fd_drop(s, fd);
	}
	supervisor_pass(s, n);
}

void fd_closing_range(struct supervisor *s, const struct notice *n)
{
	uint64_t last = (uint32_t)n->arg[1] < (uint32_t)supervisor_base
				? (uint32_t)n->arg[1]
				: (uint32_t)supervisor_base - 1;

	supervisor_show(n, CALL_close_range, n->arg, 0);
	for (uint64_t fd = (uint32_t)n->arg[0]; fd <= last && !(n->arg[2] & 4); fd++)
		fd_drop(s, (int)fd);
	supervisor_pass(s, n);
}

void fd_shutting(struct supervisor *s, const struct notice *n)
{
	int fd = (int)n->arg[0];
	int64_t ret;

	if (fd_means(s, n, fd) != MEANS_STREAM)
		return supervisor_pass(s, n);
	ret = shutdown(fd, (int)n->arg[1]) ? -errno : 0;
	supervisor_show(n, CALL_shutdown, n->arg, ret);
	(void)supervisor_answer(s, n, ret);
}

/* A duplicate of a connection: given by us, so that its number is known. */
static void duplicate(struct supervisor *s, const struct notice *n, int from, int to, bool cloexec)
{
	const uint64_t arg[6] = {(uint64_t)from, (uint64_t)to};
	int own = fcntl(from, F_DUPFD_CLOEXEC, supervisor_base);
	int64_t fd;

	if (own < 0)
		return supervisor_missed(s, from, n);
	fd = supervisor_answer_fd(s, n, own, to, cloexec);
	if (fd < 0) {
		close(own);
		if (fd != -ENOENT)
			(void)supervisor_answer(s, n, fd);
		return;
	}
	if (in_range((int)fd))
		bytes_dropped((int)fd);
	if (fd_mirror(s, own, (int)fd, MEANS_STREAM))
		supervisor_show(n, to < 0 ? CALL_dup : CALL_dup2, arg, fd);
}

void fd_duping(struct supervisor *s, const struct notice *n)
{
	int from = (int)n->arg[0], to = -1;
	bool cloexec = n->row == CALL_dup3 && ((int)n->arg[2] & O_CLOEXEC), lowest = true;

	if (n->row == CALL_dup2 || n->row == CALL_dup3)
		to = (int)n->arg[1];
	if (n->row == CALL_fcntl) {
		cloexec = (int)n->arg[1] == F_DUPFD_CLOEXEC;
		lowest = n->arg[2] == 0; /* else the new number shows when it is used */
	}
	if (from != to && lowest && (to < 0 || in_range(to)) && (to >= 0 || n->row != CALL_dup2) &&
	    fd_means(s, n, from) == MEANS_STREAM)
		return duplicate(s, n, from, to, cloexec);
	if (from != to && in_range(to) && s->means[to]) {
		if (s->means[to] == MEANS_STREAM)
			supervisor_show(n, CALL_dup2, n->arg, to);
		fd_drop(s, to);
	}
	supervisor_pass(s, n);
}
