/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_filter: see seccomp.h: the filter, put in by the process that becomes the program.
 *
 * The child cannot write to anybody once the filter is in: its call would wait for a supervisor that has
 * no listener yet.  So the two meet in shared memory.
 *
 * Source: seccomp(2), futex(2), linux/audit.h.
 */
#include "shim/launch/seccomp.h"
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

enum {
	PATIENCE = 10, /* seconds */
	WARM = 200,    /* calls before it is measured */
	ROUNDS = 21,
	CALLS = 20,
};

/* ---- meeting ---- */

void seccomp_say(struct seccomp_shared *s, enum seccomp_state state)
{
	__atomic_store_n(&s->state, (uint32_t)state, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, &s->state, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

bool seccomp_await(struct seccomp_shared *s, enum seccomp_state from)
{
	struct timespec limit = {.tv_sec = PATIENCE};

	while (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == (uint32_t)from) {
		if (syscall(SYS_futex, &s->state, FUTEX_WAIT, from, &limit, NULL, 0) < 0 &&
		    errno == ETIMEDOUT)
			return false;
	}
	return true;
}

/* ---- the filter ---- */

static const uint16_t wanted[] = {
	SYS_read,     SYS_readv,       SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_preadv2,
	SYS_write,    SYS_writev,      SYS_sendto,   SYS_sendmsg, SYS_sendmmsg, SYS_pwritev2,
	SYS_sendfile, SYS_splice,      SYS_accept,   SYS_accept4, SYS_connect,	SYS_shutdown,
	SYS_close,    SYS_close_range, SYS_dup,	     SYS_dup2,	  SYS_dup3,	SYS_io_uring_setup,
	SYS_fork,     SYS_execve,      SYS_execveat,
};

#define LOAD(field)	      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define RETURN(verdict)	      BPF_STMT(BPF_RET | BPF_K, verdict)

static size_t build(struct sock_filter *f)
{
	const struct sock_filter head[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		LOAD(nr),
		/* a duplicate made by fcntl */
		SKIP_UNLESS(SYS_fcntl, 5),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD, 1, 0),
		SKIP_UNLESS(F_DUPFD_CLOEXEC, 1),
		RETURN(SECCOMP_RET_USER_NOTIF),
		RETURN(SECCOMP_RET_ALLOW),
		/* a new process that is a copy */
		SKIP_UNLESS(SYS_clone, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD | CLONE_VM, 1, 0),
		RETURN(SECCOMP_RET_USER_NOTIF),
		RETURN(SECCOMP_RET_ALLOW),
	};
	size_t n = sizeof(head) / sizeof(head[0]), rows = sizeof(wanted) / sizeof(wanted[0]);

	memcpy(f, head, sizeof(head));
	for (size_t i = 0; i < rows; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted[i],
						      (uint8_t)(rows - i), 0);
	f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_USER_NOTIF);
	return n;
}

static int install(bool killable)
{
	struct sock_filter code[64];
	struct sock_fprog prog = {.len = (unsigned short)build(code), .filter = code};
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (killable)
		flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* With rights to it no promise is made, which would take setuid programs their meaning. */
static int install_anyhow(bool *ret_killable)
{
	int fd = install(true);

	*ret_killable = true;
	if (fd < 0 && errno == EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd = install(true);
	if (fd < 0 && errno == EINVAL) {
		*ret_killable = false;
		fd = install(false);
	}
	return fd;
}

static void explain(struct seccomp_shared *s, int e)
{
	const char *what;

	switch (e) {
	case EBUSY:
		what = "another supervisor listens to the calls of this process already, and the "
		       "kernel "
		       "allows one";
		break;
	case EINVAL:
	case ENOSYS:
		what = "this kernel is too old, or built without CONFIG_SECCOMP_FILTER; the door "
		       "needs "
		       "Linux 5.14";
		break;
	case EPERM:
	case EACCES:
		what = "seccomp(2) is forbidden here, by the filter of a container or of systemd";
		break;
	default:
		what = strerror(e);
		break;
	}
	s->error = e;
	snprintf(s->why, sizeof(s->why), "%s", what);
}

/* What does a call cost that is only passed on?  The median of some rounds: others need the processor,
 * too. */
static uint64_t measure(void)
{
	uint64_t round[ROUNDS] = {0};
	struct timespec from, to;

	for (unsigned i = 0; i < WARM; i++)
		(void)syscall(SYS_close, -1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t ns;
		unsigned at = i;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (unsigned call = 0; call < CALLS; call++)
			(void)syscall(SYS_close, -1);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec);
		for (; at && round[at - 1] > ns; at--)
			round[at] = round[at - 1];
		round[at] = ns;
	}
	return round[ROUNDS / 2] / CALLS;
}

int seccomp_install(struct seccomp_door *door)
{
	struct seccomp_shared *s = door->shared;
	bool killable;
	int fd;

	/* Where Yama restricts tracing, this lets the supervisor take our descriptors. */
	(void)prctl(PR_SET_PTRACER, door->supervisor, 0, 0, 0);
	fd = install_anyhow(&killable);
	if (fd < 0) {
		int e = errno;

		explain(s, e);
		seccomp_say(s, SECCOMP_CANNOT);
		return e;
	}
	s->killable = killable;
	s->listener = fd;
	s->child = getpid();
	seccomp_say(s, SECCOMP_OFFERED);
	if (!seccomp_await(s, SECCOMP_OFFERED) || s->state != SECCOMP_SERVED)
		return s->error ? s->error : EPERM;
	s->call_ns = measure();
	return 0;
}

const char *seccomp_why(const struct seccomp_door *door, uint64_t *ret_ns)
{
	*ret_ns = door->shared->call_ns;
	if (door->shared->state == SECCOMP_SERVED)
		return NULL;
	return door->shared->why[0] ? door->shared->why : "the supervisor did not answer";
}
