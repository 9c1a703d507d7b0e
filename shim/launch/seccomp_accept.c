/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_accept: see seccomp.h: accept, performed here; the program is given the connection.
 *
 * (1) A connection is taken out of the backlog only when both the program and we have room for it: what
 *     waits in the backlog shows in poll, what we hold does not.
 * (2) One the program could not be given all the same (another thread took its last number, or it was
 *     interrupted) waits for its next accept on the same listener.
 *
 * Source: accept(2), seccomp_unotify(2) (SECCOMP_ADDFD_FLAG_SEND).
 */
#include "shim/launch/seccomp_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/trace/layout.h"

enum {
	WAITING = 64,
	GUARD_US = 50000,
};

static struct {
	int fd;	      /* -1: free row */
	int listener; /* number in the program */
} waiting[WAITING];
static uint32_t waiting_count;

/* ---- connections nobody could be given ---- */

static void put_aside(int fd, int listener)
{
	if (waiting_count == WAITING) {
		close(fd);
		return;
	}
	waiting[waiting_count].fd = fd;
	waiting[waiting_count++].listener = listener;
}

static int take_aside(int listener)
{
	for (uint32_t i = 0; i < waiting_count; i++) {
		int fd = waiting[i].fd;

		if (waiting[i].listener != listener)
			continue;
		waiting[i] = waiting[--waiting_count];
		return fd;
	}
	return -1;
}

/* ---- room ---- */

/* How many numbers below the limit are taken? */
static uint64_t count_taken(const struct supervisor *s, uint64_t limit)
{
	uint64_t n = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", s->pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.' && strtoull(e->d_name, NULL, 10) < limit;
	if (d)
		closedir(d);
	return n;
}

/* As the kernel, which takes the number before the connection.  Where the last number is free there is one;
 * only else they are counted. */
static bool program_has_room(const struct supervisor *s)
{
	struct rlimit r;
	int last;

	if (prlimit(s->pid, RLIMIT_NOFILE, NULL, &r))
		return true;
	if (!r.rlim_cur)
		return false;
	if (r.rlim_cur > INT32_MAX)
		return true;
	last = (int)syscall(SYS_pidfd_getfd, s->process, (int)r.rlim_cur - 1, 0);
	if (last < 0)
		return errno == EBADF || count_taken(s, r.rlim_cur) < r.rlim_cur;
	close(last);
	return count_taken(s, r.rlim_cur) < r.rlim_cur;
}

/* ---- accept ---- */

/* Another process may take the connection between the question and the answer, and then a listener that
 * blocks would block us: an alarm ends that. */
static int accept_guarded(const struct work *w, struct sockaddr_storage *a, socklen_t *len)
{
	struct itimerval guard = {.it_value = {.tv_usec = GUARD_US}}, off = {0};
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	int fd, e;

	if (poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	setitimer(ITIMER_REAL, &guard, NULL);
	fd = accept4(w->fd, (struct sockaddr *)a, len, w->flags | SOCK_CLOEXEC);
	e = errno;
	setitimer(ITIMER_REAL, &off, NULL);
	return fd >= 0 ? fd : e == EINTR ? -EAGAIN : -e;
}

static int accept_one(const struct work *w, struct sockaddr_storage *a, socklen_t *len)
{
	int fd = take_aside((int)w->n.arg[0]);

	if (fd >= 0) {
		if (getpeername(fd, (struct sockaddr *)a, len))
			*len = 0;
		return fd;
	}
	if (w->blocks)
		return accept_guarded(w, a, len);
	fd = accept4(w->fd, (struct sockaddr *)a, len, w->flags | SOCK_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* As accept(2): the address is cut to the room there is, its length is told in full. */
static void tell_address(const struct supervisor *s, const struct notice *n,
			 const struct sockaddr_storage *a, socklen_t len)
{
	socklen_t room = 0, part;
	struct iovec local = {&room, sizeof(room)};
	struct iovec remote = {(void *)(uintptr_t)n->arg[2], sizeof(room)};

	if (!n->arg[1] || !n->arg[2] || !supervisor_is_valid(s, n) ||
	    process_vm_readv(n->tid, &local, 1, &remote, 1, 0) < 0)
		return;
	part = room < len ? room : len;
	if (!supervisor_is_valid(s, n))
		return;
	local = (struct iovec){&len, sizeof(len)};
	(void)process_vm_writev(n->tid, &local, 1, &remote, 1, 0);
	local = (struct iovec){(void *)(uintptr_t)a, part};
	remote = (struct iovec){(void *)(uintptr_t)n->arg[1], part};
	(void)process_vm_writev(n->tid, &local, 1, &remote, 1, 0);
}

/* The program's, from the descriptor of ours that holds it. */
static void give(struct supervisor *s, const struct work *w, int own)
{
	bool cloexec = w->n.row == CALL_accept4 && ((int)w->n.arg[3] & SOCK_CLOEXEC);
	int64_t fd = supervisor_answer_fd(s, &w->n, own, -1, cloexec);

	if (fd < 0) {
		put_aside(own, (int)w->n.arg[0]);
		if (fd != -ENOENT)
			(void)supervisor_answer(s, &w->n, fd);
		return;
	}
	if (fd < supervisor_base)
		bytes_dropped((int)fd);
	if (fd_mirror(s, own, (int)fd, MEANS_STREAM))
		supervisor_show(&w->n, w->n.row, w->n.arg, fd);
}

/* We have no room: the connection goes past the engine. */
static void let_kernel(struct supervisor *s, const struct work *w)
{
	engine_partial(-1, TRACE_REASON_HIGH_FD);
	supervisor_pass(s, &w->n);
}

static bool accept_step(struct supervisor *s, struct work *w)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	int own, low;

	if (!program_has_room(s)) {
		(void)supervisor_answer(s, &w->n, -EMFILE);
		return true;
	}
	own = fcntl(s->listener, F_DUPFD_CLOEXEC, supervisor_base);
	low = own < 0 ? -EMFILE : accept_one(w, &a, &len);
	if (low >= 0 && supervisor_is_valid(s, &w->n)) {
		(void)dup3(low, own, O_CLOEXEC);
		close(low);
		tell_address(s, &w->n, &a, len);
		give(s, w, own);
		return true;
	}
	if (low >= 0)
		put_aside(low, (int)w->n.arg[0]);
	if (own >= 0)
		close(own);
	if (low == -EAGAIN && w->blocks)
		return false;
	if (low == -EMFILE || low == -ENFILE)
		let_kernel(s, w);
	else if (low < 0)
		(void)supervisor_answer(s, &w->n, low);
	return true;
}

/* Is it a listener?  Mirrored when it was not yet. */
static bool is_listener(struct supervisor *s, int fd)
{
	int own;

	if (fd < 0 || fd >= supervisor_base)
		return false;
	if (s->means[fd] == MEANS_LISTENER)
		return true;
	own = supervisor_take(s->process, fd);
	if (own >= 0 && fd_is_listener(own))
		return fd_mirror(s, own, fd, MEANS_LISTENER);
	if (own >= 0)
		close(own);
	return false;
}

void accept_start(struct supervisor *s, const struct notice *n)
{
	static struct work w;
	int flags = n->row == CALL_accept4 ? (int)n->arg[3] : 0;

	if (!is_listener(s, (int)n->arg[0]) || (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)))
		return supervisor_pass(s, n);
	memset(&w, 0, offsetof(struct work, vector));
	w.n = *n;
	w.fd = (int)n->arg[0];
	w.own = w.source = -1;
	w.step = accept_step;
	w.events = EPOLLIN;
	w.flags = flags & SOCK_NONBLOCK;
	w.blocks = work_blocks(w.fd, 0);
	work_start(s, &w);
}
