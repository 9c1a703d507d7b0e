/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_supervise: see seccomp.h: what the supervisor does with each call.
 *
 * Descriptors below supervisor_base belong to the mirrors: the socket that is N in the program is N here, so
 * that what the engine asks of a descriptor is answered by the program's socket.
 *
 * One process is followed at a time.  The engine serves one process in its life, so who follows the next is
 * another process (seccomp_guard.c), which takes the listener over between two calls.
 */
#include "shim/launch/seccomp.h"
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/trace/layout.h"

enum {
	LOOK_MS = 20, /* between two looks after those that wait */
};

int supervisor_base;

/* ---- answers ---- */

void supervisor_pass(struct supervisor *s, const struct notice *n)
{
	struct seccomp_notif_resp r = {.id = n->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	(void)ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

bool supervisor_is_valid(const struct supervisor *s, const struct notice *n)
{
	uint64_t id = n->id;

	return !ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
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
	(void)engine_enter(&c);
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

static bool is_accept(const struct notice *n)
{
	return n->row == CALL_accept || n->row == CALL_accept4;
}

/* A descriptor of whoever made this call: *ret_process is a pidfd of it; its pid, or 0.  What was found
 * under the number of a thread is the thread's only when its call waits for us still. */
static int32_t caller_open(const struct supervisor *s, const struct notice *n, int *ret_process)
{
	int32_t pid = process_of(n->tid);
	int process = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	*ret_process = fcntl(process, F_DUPFD_CLOEXEC, supervisor_base);
	if (process >= 0)
		close(process);
	if (*ret_process >= 0 && supervisor_is_valid(s, n))
		return pid;
	if (*ret_process >= 0)
		close(*ret_process);
	return 0;
}

static bool is_worth(int process, const struct notice *n)
{
	int own = supervisor_take(process, (int)n->arg[0]);
	bool worth =
		own >= 0 && (n->row == CALL_connect ? fd_is_network(own) : fd_is_listener(own));

	if (own >= 0)
		close(own);
	return worth;
}

static bool follow(struct supervisor *s, int32_t pid, int process, int32_t tid)
{
	const char *problem;

	engine_subject = (struct engine_subject){(uint32_t)pid, (uint32_t)tid};
	if (!engine_start(s->environ, TRACE_DOOR_SECCOMP, &problem))
		return false;
	s->pid = pid;
	s->process = process;
	__atomic_store_n(&s->shared->following, pid, __ATOMIC_RELEASE);
	return true;
}

/* Somebody accepts, or connects over a network. */
static void consider(struct supervisor *s, const struct notice *n)
{
	int process;
	int32_t pid = caller_open(s, n, &process);

	if (!pid)
		return;
	if (is_worth(process, n) && follow(s, pid, process, n->tid))
		s->accepts = is_accept(n);
	else
		close(process);
}

void supervisor_resume(struct supervisor *s, int32_t pid)
{
	const uint64_t arg[6] = {0};
	struct notice n = {.tid = pid};
	int low = (int)syscall(SYS_pidfd_open, pid, 0), process;

	if (low < 0)
		return;
	process = fcntl(low, F_DUPFD_CLOEXEC, supervisor_base);
	close(low);
	if (process < 0 || !follow(s, pid, process, pid))
		return;
	s->accepts = true;
	engine_partial(-1, TRACE_REASON_SUPERVISOR);
	supervisor_show(&n, CALL_listen, arg, 0); /* so that there is a trace which says it */
}

/* ---- others ---- */

static bool moves_bytes(const struct notice *n)
{
	switch ((enum call_op)call_table[n->row].op) {
	case OP_READ:
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SPLICE:
	case OP_SHUTDOWN:
		return true;
	default:
		return false;
	}
}

static bool is_socket(const struct notice *n)
{
	static const char socket[] = "socket:";
	char path[64], name[sizeof(socket) - 1];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", n->tid, (int)n->arg[0]);
	return readlink(path, name, sizeof(name)) == sizeof(name) &&
	       !memcmp(name, socket, sizeof(name));
}

/* Does somebody who is not followed serve a connection? */
static bool takes_part(struct supervisor *s, const struct notice *n)
{
	int process, own;
	bool part;

	if (is_accept(n))
		return true;
	if (!moves_bytes(n) || !is_socket(n) || !caller_open(s, n, &process))
		return false;
	own = supervisor_take(process, (int)n->arg[0]);
	part = own >= 0 && fd_is_network(own);
	if (own >= 0)
		close(own);
	close(process);
	return part;
}

static void others(struct supervisor *s, const struct notice *n)
{
	if (s->pid && !s->told && takes_part(s, n)) {
		engine_partial(-1, TRACE_REASON_OTHERS);
		s->told = true;
	}
	supervisor_pass(s, n);
}

/* The followed one has only connected, and here is one that accepts: true when that one is to be
 * followed instead.  Its call waits for the next supervisor. */
static bool hand_over(struct supervisor *s, const struct seccomp_notif *raw, const struct notice *n)
{
	int process;
	bool worth;

	if (s->pid <= 0 || s->accepts || !is_accept(n) || !guard_is_there(s) || !s->killable ||
	    bytes_kept() || !caller_open(s, n, &process))
		return false;
	worth = is_worth(process, n);
	close(process);
	if (!worth)
		return false;
	engine_partial(-1, TRACE_REASON_OTHERS);
	for (int fd = 0; fd < supervisor_base; fd++) {
		if (s->means[fd] == MEANS_STREAM)
			engine_partial(fd, TRACE_REASON_UNSEEN);
	}
	work_release(s);
	s->shared->handed = *raw;
	s->over = true;
	return true;
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

static void take(struct supervisor *s, const struct seccomp_notif *raw)
{
	struct notice n = {.id = raw->id, .tid = (int32_t)raw->pid, .nr = raw->data.nr};

	s->shared->current = raw->id;
	n.row = call_from_nr(n.nr);
	for (unsigned i = 0; i < 6; i++)
		n.arg[i] = raw->data.args[i];
	if (n.row == CALL_COUNT)
		return supervisor_pass(s, &n);
	if (!s->pid && (is_accept(&n) || n.row == CALL_connect))
		consider(s, &n);
	if (!is_followed(s, n.tid)) {
		if (!hand_over(s, raw, &n))
			others(s, &n);
		return;
	}
	s->accepts |= is_accept(&n);
	if (!work_owed(s, &n))
		dispatch(s, &n);
}

static void take_notice(struct supervisor *s)
{
	struct seccomp_notif raw;

	memset(&raw, 0, sizeof(raw));
	if (!ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &raw))
		take(s, &raw);
}

/* ---- the loop ---- */

static void process_ended(struct supervisor *s)
{
	close(s->process);
	s->process = -1;
	s->pid = -1;
	fd_drop_all(s);
	guard_tell_ended(s->shared);
	s->over = guard_is_there(s); /* else nobody would come after us */
}

static void sockets_ready(struct supervisor *s)
{
	struct epoll_event e;

	/* One at a time: what one does may end another that waits. */
	if (epoll_wait(s->ready, &e, 1, 0) > 0)
		work_ready(s, e.data.ptr);
}

bool supervisor_serve(struct supervisor *s)
{
	struct seccomp_notif handed = s->shared->handed;

	s->shared->handed.id = 0;
	if (handed.id)
		take(s, &handed);
	while (!s->over) {
		struct pollfd p[] = {
			{.fd = s->listener, .events = POLLIN},
			{.fd = s->waits ? s->ready : -1, .events = POLLIN},
			{.fd = s->process, .events = POLLIN},
		};

		if (poll(p, 3, s->waits ? LOOK_MS : -1) < 0 && errno != EINTR)
			return false;
		if (p[0].revents & POLLIN)
			take_notice(s);
		else if (p[0].revents)
			return false; /* nobody lives under the filter any more */
		if (p[1].revents)
			sockets_ready(s);
		if (p[2].revents)
			process_ended(s);
		work_look(s);
	}
	return true;
}
