/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_internal: what the parts of the supervisor share.
 */
#ifndef SHIM_LAUNCH_SECCOMP_INTERNAL_H
#define SHIM_LAUNCH_SECCOMP_INTERNAL_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "shim/engine/engine.h"

enum {
	MIRRORS = 100000, /* most descriptors of the program that are mirrored */
	VECTORS = 1024,	  /* most of one call (UIO_MAXIOV) */
	BUFFER = 1 << 20, /* bytes moved at once */
};

/* Shared by the supervisor, its guard, who started them, and the program's process before it executes. */
struct seccomp_shared {
	uint32_t state;	  /* futex: enum seccomp_state */
	int32_t listener; /* descriptor in the child */
	int32_t child;
	int32_t error;
	uint32_t killable; /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is in force */
	uint64_t call_ns;
	char why[512];
	int32_t supervisor;	     /* its pid now */
	int32_t following;	     /* futex: whom; 0: nobody, and the traces are whole */
	uint32_t lost;		     /* supervisors that died before their time */
	struct seccomp_notif handed; /* id 0: none; received by one supervisor, for the next */
	/* Numbers of the calls a supervisor has in hand, should it die. */
	uint64_t current;
	uint32_t waits;
	uint64_t waiting[MIRRORS];
};
enum seccomp_state {
	SECCOMP_WAITS,	 /* for the child */
	SECCOMP_OFFERED, /* the child has a filter and a listener */
	SECCOMP_SERVED,	 /* the supervisor has the listener */
	SECCOMP_CANNOT,	 /* it could not have it */
};
void seccomp_say(struct seccomp_shared *s, enum seccomp_state state);
/* Until state is not `from` any more; false after ten seconds. */
bool seccomp_await(struct seccomp_shared *s, enum seccomp_state from);

/* What a descriptor of the followed process is. */
enum meaning {
	MEANS_UNKNOWN,
	MEANS_OTHER,	  /* nothing of ours: its calls go on at once */
	MEANS_CONNECTING, /* connect was called; whether it succeeded shows at the next call */
	MEANS_LISTENER,	  /* mirrored */
	MEANS_STREAM,	  /* a connection the engine knows; mirrored */
};

/* One call that waits for our answer. */
struct notice {
	uint64_t id;
	uint64_t arg[6];
	int32_t tid;
	int32_t nr;
	uint32_t row; /* enum call_id */
};

struct work;
struct supervisor {
	int listener; /* of notices */
	int ready;    /* epoll: sockets somebody waits for */
	int process;  /* pidfd of the followed one, -1 none */
	int32_t pid;  /* the followed one, 0 not yet, -1 not any more */
	bool accepts; /* it did; one that only connected makes room for one that does */
	bool told;    /* that others take part */
	bool over;    /* the next supervisor is to go on */
	pid_t guard;
	struct seccomp_shared *shared;
	bool killable; /* signals do not interrupt what we received */
	struct work **wait;
	uint32_t waits, room, next;
	char *const *environ;
	uint8_t means[MIRRORS];
};

/* ---- seccomp_supervise.c ---- */

/* The supervisor's own descriptors begin here; below lie the mirrors. */
extern int supervisor_base;

/* Let the kernel perform it. */
void supervisor_pass(struct supervisor *s, const struct notice *n);
/* False: nobody waits for it any more. */
bool supervisor_answer(struct supervisor *s, const struct notice *n, int64_t ret);
/* The same with a descriptor: the caller gets a duplicate of fd.  to -1: the lowest number that is free.
 * Returns its number in the caller, or -errno: -ENOENT when nobody waits, otherwise unanswered. */
int64_t supervisor_answer_fd(struct supervisor *s, const struct notice *n, int fd, int to,
			     bool cloexec);
/* Does the caller wait still?  Asked before its memory is touched: when it does not, its number may be
 * somebody else's by now. */
bool supervisor_is_valid(const struct supervisor *s, const struct notice *n);
/* The call went past the engine. */
void supervisor_missed(struct supervisor *s, int fd, const struct notice *n);
/* Show the engine a call that happened. */
void supervisor_show(const struct notice *n, unsigned row, const uint64_t arg[6], int64_t ret);
/* A descriptor of a process, above supervisor_base; -1. */
int supervisor_take(int process, int fd);

/* Go on following that process, whose supervisor died. */
void supervisor_resume(struct supervisor *s, int32_t pid);
/* Until the followed process has ended, or another is to be followed (true), or the last user of the
 * filter has ended (false). */
bool supervisor_serve(struct supervisor *s);

/* ---- seccomp_guard.c ---- */

/* Is there somebody who would start our successor? */
bool guard_is_there(const struct supervisor *s);
/* The followed process has ended, and its trace is whole. */
void guard_tell_ended(struct seccomp_shared *shared);

/* ---- seccomp_fd.c ---- */

enum meaning fd_means(struct supervisor *s, const struct notice *n, int fd);
void fd_drop(struct supervisor *s, int fd);
void fd_drop_all(struct supervisor *s);
/* own becomes the mirror of fd and is closed. */
bool fd_mirror(struct supervisor *s, int own, int fd, enum meaning m);
bool fd_is_listener(int own);
/* A stream over a network, so that who opens it is worth following? */
bool fd_is_network(int own);

void fd_closing(struct supervisor *s, const struct notice *n);
void fd_closing_range(struct supervisor *s, const struct notice *n);
void fd_duping(struct supervisor *s, const struct notice *n);
void fd_shutting(struct supervisor *s, const struct notice *n);
void fd_connecting(struct supervisor *s, const struct notice *n);

/* ---- seccomp_work.c ---- */

/* A call being performed. */
struct work {
	struct notice n;
	struct call call; /* as the engine sees it, entered when `entered` */
	bool (*step)(struct supervisor *s, struct work *w); /* false: it has to wait */
	uint32_t events;				    /* for what */
	int fd;	    /* the socket: mirror, or own while it waits */
	int own;    /* -1 until it waits */
	int source; /* of sendfile, -1 */
	int flags;
	bool entered, blocks, silent;
	bool whole; /* MSG_WAITALL, and it blocks */
	uint64_t len, done;
	uint64_t source_off;
	uint64_t deadline; /* CLOCK_MONOTONIC ms, 0 none */
	uint32_t vectors;
	struct iovec vector[VECTORS]; /* in the program; as many are kept as there are */
};

/* Perform it now, or as soon as its socket is ready. w may be gone afterwards. */
void work_start(struct supervisor *s, struct work *w);
void work_ready(struct supervisor *s, struct work *w);
/* Look after those that wait: the dead, the late, the interrupted. */
void work_look(struct supervisor *s);
/* Answered before, undelivered, and asked again?  Then answered now. */
bool work_owed(struct supervisor *s, const struct notice *n);
/* Nobody took this answer: keep it for the same call. */
void work_owe(const struct notice *n, int64_t ret);
/* Let those that wait go on in the kernel: they are not ours any more. */
void work_release(struct supervisor *s);
bool work_blocks(int fd, int flags);

/* ---- seccomp_bytes.c, seccomp_accept.c ---- */

void bytes_start(struct supervisor *s, const struct notice *n);
void bytes_dropped(int fd); /* what was kept for it is nobody's */
bool bytes_kept(void);	    /* does anybody's next read depend on us? */
void accept_start(struct supervisor *s, const struct notice *n);

#endif
