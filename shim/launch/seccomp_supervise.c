/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_supervise: see seccomp.h: the supervisor, from its start to the end of the filter.
 *
 * Descriptors below supervisor_base belong to the mirrors: the socket that is N in the program is N here, so
 * that what the engine asks of a descriptor is answered by the program's socket.
 */
#include "shim/launch/seccomp.h"
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/trace/layout.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

enum {
	SYNC_WAKE_UP = 1,
	LOOK_MS = 20, /* between two looks after those that wait */
};

int supervisor_base;

/* ---- answers ---- */

void supervisor_pass(struct supervisor *s, const struct notice *n)
{
	struct seccomp_notif_resp r = {.id = n->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	(void)ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

bool supervisor_answer(struct supervisor *s, const struct notice *n, int64_t ret)
{
	struct seccomp_notif_resp r = {.id = n->id};

	if (ret < 0)
		r.error = (int32_t)ret;
	else
		r.val = ret;
	return !ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

int64_t supervisor_answer_fd(struct supervisor *s, const struct notice *n, int fd, int to,
			     bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = n->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND | (to >= 0 ? SECCOMP_ADDFD_FLAG_SETFD : 0u),
		.srcfd = (uint32_t)fd,
		.newfd = to >= 0 ? (uint32_t)to : 0,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int ret = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	return ret < 0 ? -errno : ret;
}

void supervisor_show(const struct notice *n, unsigned row, const uint64_t arg[6], int64_t ret)
{
	struct call c = {.id = (uint16_t)row, .ret = ret};

	memcpy(c.arg, arg, sizeof(c.arg));
	engine_subject.tid = (uint32_t)n->tid;
	engine_enter(&c);
	engine_exit(&c);
}

void supervisor_missed(struct supervisor *s, int fd, const struct notice *n)
{
	engine_subject.tid = (uint32_t)n->tid;
	engine_partial(fd, TRACE_REASON_UNSEEN);
	engine_partial(-1, TRACE_REASON_UNSEEN);
	supervisor_pass(s, n);
}

int supervisor_take(int process, int fd)
{
	int low = (int)syscall(SYS_pidfd_getfd, process, fd, 0), own;

	if (low < 0)
		return -1;
	own = fcntl(low, F_DUPFD_CLOEXEC, supervisor_base);
	close(low);
	return own;
}

/* ---- whom to follow ---- */

static int32_t process_of(int32_t tid)
{
	char path[64], line[256];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && !pid && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Tgid: %d", &pid);
	if (f)
		fclose(f);
	return pid;
}

static bool is_followed(const struct supervisor *s, int32_t tid)
{
	return s->pid > 0 && !syscall(SYS_tgkill, s->pid, tid, 0);
}

/* The first to accept, or to connect over a network. */
static void consider(struct supervisor *s, const struct notice *n)
{
	int32_t pid = process_of(n->tid);
	int process = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, own, high;
	const char *problem;
	bool worth;

	if (process < 0)
		return;
	high = fcntl(process, F_DUPFD_CLOEXEC, supervisor_base);
	close(process);
	own = supervisor_take(high, (int)n->arg[0]);
	worth = own >= 0 && (n->row == CALL_connect ? fd_is_network(own) : fd_is_listener(own));
	if (own >= 0)
		close(own);
	engine_subject = (struct engine_subject){(uint32_t)pid, (uint32_t)n->tid};
	if (!worth || !engine_start(s->environ, TRACE_DOOR_SECCOMP, &problem)) {
		close(high);
		return;
	}
	s->pid = pid;
	s->process = high;
}

/* ---- one call ---- */

static void forking(struct supervisor *s, const struct notice *n)
{
	supervisor_show(n, CALL_fork, n->arg, 0);
	engine_partial(-1, TRACE_REASON_OTHERS); /* the child has our connections, too */
	supervisor_pass(s, n);
}

static void executing(struct supervisor *s, const struct notice *n)
{
	engine_subject.tid = (uint32_t)n->tid;
	engine_exec(NULL);
	fd_drop_all(s); /* what the new program has still is found again */
	supervisor_pass(s, n);
}

static void dispatch(struct supervisor *s, const struct notice *n)
{
	switch ((enum call_op)call_table[n->row].op) {
	case OP_READ:
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SPLICE:
		return bytes_start(s, n);
	case OP_ACCEPT:
		return accept_start(s, n);
	case OP_CONNECT:
		return fd_connecting(s, n);
	case OP_SHUTDOWN:
		return fd_shutting(s, n);
	case OP_CLOSE:
		return fd_closing(s, n);
	case OP_CLOSE_RANGE:
		return fd_closing_range(s, n);
	case OP_DUP:
	case OP_DUP2:
	case OP_FCNTL:
		return fd_duping(s, n);
	case OP_FORK:
	case OP_VFORK:
		return forking(s, n);
	case OP_EXEC:
		return executing(s, n);
	case OP_IO_URING:
		supervisor_show(n, n->row, n->arg, 0);
		break;
	default:
		break;
	}
	supervisor_pass(s, n);
}

static void others(struct supervisor *s, const struct notice *n)
{
	bool opens = n->row == CALL_accept || n->row == CALL_accept4 || n->row == CALL_connect;

	if (s->pid > 0 && opens && n->row != CALL_connect)
		engine_partial(-1, TRACE_REASON_OTHERS);
	supervisor_pass(s, n);
}

static void take_notice(struct supervisor *s)
{
	struct seccomp_notif raw;
	struct notice n;

	memset(&raw, 0, sizeof(raw));
	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &raw))
		return;
	n = (struct notice){.id = raw.id, .tid = (int32_t)raw.pid, .nr = raw.data.nr};
	n.row = call_from_nr(n.nr);
	for (unsigned i = 0; i < 6; i++)
		n.arg[i] = raw.data.args[i];
	if (n.row == CALL_COUNT)
		return supervisor_pass(s, &n);
	if (!s->pid && (n.row == CALL_accept || n.row == CALL_accept4 || n.row == CALL_connect))
		consider(s, &n);
	if (!is_followed(s, n.tid))
		return others(s, &n);
	if (!work_owed(s, &n))
		dispatch(s, &n);
}

/* ---- the loop ---- */

static void process_ended(struct supervisor *s)
{
	close(s->process);
	s->process = -1;
	s->pid = -1;
	fd_drop_all(s);
	close(s->done);
}

static void sockets_ready(struct supervisor *s)
{
	struct epoll_event e;

	/* One at a time: what one does may end another that waits. */
	if (epoll_wait(s->ready, &e, 1, 0) > 0)
		work_ready(s, e.data.ptr);
}

static void serve(struct supervisor *s)
{
	for (;;) {
		struct pollfd p[] = {
			{.fd = s->listener, .events = POLLIN},
			{.fd = s->waits ? s->ready : -1, .events = POLLIN},
			{.fd = s->process, .events = POLLIN},
		};

		if (poll(p, 3, s->waits ? LOOK_MS : -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents & POLLIN)
			take_notice(s);
		else if (p[0].revents)
			return; /* nobody lives under the filter any more */
		if (p[1].revents)
			sockets_ready(s);
		if (p[2].revents)
			process_ended(s);
		work_look(s);
	}
}

/* ---- the process ---- */

static void on_alarm(int number)
{
}

/* As many descriptors as may be had; half of them for mirrors. */
static int raise_limit(void)
{
	struct rlimit all = {2 * MIRRORS, 2 * MIRRORS}, r = {0};

	if (!setrlimit(RLIMIT_NOFILE, &all))
		return MIRRORS;
	(void)getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur / 2 < MIRRORS ? (int)(r.rlim_cur / 2) : MIRRORS;
}

/* Nobody's terminal, nobody's descriptors, no signal but SIGKILL. */
static bool leave(int *done)
{
	struct sigaction act = {.sa_handler = on_alarm};
	sigset_t all;

	setsid();
	prctl(PR_SET_PDEATHSIG, 0);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigaction(SIGALRM, &act, NULL);
	supervisor_base = raise_limit();
	*done = fcntl(*done, F_DUPFD_CLOEXEC, supervisor_base);
	(void)close_range(0, (unsigned)supervisor_base - 1, 0);
	return *done >= 0;
}

/* Become the one who gets the calls. */
static bool take_listener(struct supervisor *s, struct seccomp_shared *shared)
{
	uint64_t sync = SYNC_WAKE_UP;
	int child, ready;

	child = (int)syscall(SYS_pidfd_open, shared->child, 0);
	s->listener = child < 0 ? -1 : supervisor_take(child, shared->listener);
	if (s->listener < 0) {
		shared->error = errno;
		snprintf(
			shared->why, sizeof(shared->why),
			"the supervisor may not take a descriptor of the program (pidfd_getfd: "
			"%s): "
			"tracing is forbidden here, by Yama, by a container or by the kernel's age",
			strerror(errno));
		return false;
	}
	close(child);
	(void)ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, sync);
	ready = epoll_create1(EPOLL_CLOEXEC);
	s->ready = fcntl(ready, F_DUPFD_CLOEXEC, supervisor_base);
	close(ready);
	return s->ready >= 0;
}

static _Noreturn void supervise(struct seccomp_shared *shared, int done, char *const *environ_)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s || !leave(&done)) {
		shared->error = EMFILE;
		seccomp_say(shared, SECCOMP_CANNOT);
		_exit(1);
	}
	s->done = done;
	s->process = -1;
	s->environ = environ_;
	if (!seccomp_await(shared, SECCOMP_WAITS) || shared->state != SECCOMP_OFFERED)
		_exit(0);
	if (!take_listener(s, shared)) {
		seccomp_say(shared, SECCOMP_CANNOT);
		_exit(1);
	}
	s->killable = shared->killable;
	seccomp_say(shared, SECCOMP_SERVED);
	munmap(shared, sizeof(*shared));
	serve(s);
	_exit(0);
}

int seccomp_start(struct seccomp_door *door, char *const *environ_, char *why, size_t size)
{
	int end[2], e;

	*door = (struct seccomp_door){.done = -1};
	door->shared = mmap(NULL, sizeof(*door->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (door->shared == MAP_FAILED || pipe2(end, O_CLOEXEC))
		goto failed;
	door->done = end[0];
	door->supervisor = fork();
	if (door->supervisor == 0) {
		close(end[0]);
		supervise(door->shared, end[1], environ_);
	}
	e = errno;
	close(end[1]);
	errno = e;
	if (door->supervisor > 0)
		return 0;
failed:
	e = errno;
	door->supervisor = 0;
	snprintf(why, size, "the supervisor cannot be started: %s", strerror(e));
	return e;
}
