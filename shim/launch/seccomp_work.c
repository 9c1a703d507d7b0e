/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/seccomp_work: see seccomp.h: calls that have to wait for their socket, and answers nobody took.
 *
 * (1) A call that waits holds a duplicate of its socket, as the kernel would hold the file.
 * (2) A signal the program handles ends the waiting as it would in the kernel.  The kernel does not tell
 *     a supervisor about it, so those who wait are looked at in turn.
 *
 * Source: seccomp_unotify(2), signal(7) (restarting calls), proc(5) (SigPnd, ShdPnd, SigBlk, SigCgt).
 */
#include "shim/launch/seccomp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_MS = 20,
	LOOKS = 64, /* at a time */
	RESTART =
		512, /* ERESTARTSYS: the kernel restarts the call or makes it EINTR, as sigaction says */
	OWED = 64,
};

/* ---- answers nobody took ---- */

static struct owed {
	struct notice n;
	int64_t ret;
} owed[OWED];
static uint32_t owed_count, owed_next;

void work_owe(const struct notice *n, int64_t ret)
{
	owed[owed_next++ % OWED] = (struct owed){*n, ret};
	owed_count = owed_next < OWED ? owed_next : OWED;
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool work_blocks(int fd, int flags)
{
	return !(flags & MSG_DONTWAIT) && !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static uint64_t deadline_of(const struct work *w)
{
	struct timeval t = {0};
	socklen_t len = sizeof(t);

	if (getsockopt(w->fd, SOL_SOCKET, w->events == EPOLLOUT ? SO_SNDTIMEO : SO_RCVTIMEO, &t,
		       &len) ||
	    (!t.tv_sec && !t.tv_usec))
		return 0;
	return now_ms() + (uint64_t)t.tv_sec * 1000 + ((uint64_t)t.tv_usec + 999) / 1000;
}

static bool make_room(struct supervisor *s)
{
	uint32_t room = s->room ? s->room * 2 : 64;
	struct work **more;

	if (s->waits < s->room)
		return true;
	more = realloc(s->wait, room * sizeof(struct work *));
	if (!more)
		return false;
	s->wait = more;
	s->room = room;
	return true;
}

/* Row i has changed, or the number of rows. */
static void show_waiting(struct supervisor *s, uint32_t i)
{
	if (i < MIRRORS && i < s->waits)
		s->shared->waiting[i] = s->wait[i]->n.id;
	s->shared->waits = s->waits;
}

static void end(struct supervisor *s, struct work *w)
{
	for (uint32_t i = 0; i < s->waits; i++) {
		if (s->wait[i] == w) {
			s->wait[i] = s->wait[--s->waits];
			show_waiting(s, i);
			break;
		}
	}
	/* The file lives on in the program: closing ours would not take it out of the set. */
	(void)epoll_ctl(s->ready, EPOLL_CTL_DEL, w->own, NULL);
	close(w->own);
	if (w->source >= 0)
		close(w->source);
	free(w);
}

static bool begin(struct supervisor *s, const struct work *now)
{
	size_t size = offsetof(struct work, vector) + now->vectors * sizeof(now->vector[0]);
	struct work *w = make_room(s) ? malloc(size) : NULL;
	struct epoll_event e = {.events = now->events | EPOLLET, .data.ptr = w};

	if (!w)
		return false;
	memcpy(w, now, size);
	w->deadline = deadline_of(w);
	w->own = fcntl(w->fd, F_DUPFD_CLOEXEC, supervisor_base);
	w->fd = w->own;
	if (w->own < 0 || epoll_ctl(s->ready, EPOLL_CTL_ADD, w->own, &e)) {
		close(w->own);
		free(w);
		return false;
	}
	s->wait[s->waits++] = w;
	show_waiting(s, s->waits - 1);
	return true;
}

/* It was interrupted, or its thread is gone.  Bytes it sent are not to be sent again. */
static void drop(struct supervisor *s, struct work *w)
{
	if (w->events == EPOLLOUT && w->done)
		work_owe(&w->n, (int64_t)w->done);
	end(s, w);
}

/* A thread makes one call at a time. */
static void drop_earlier(struct supervisor *s, int32_t tid)
{
	for (uint32_t i = s->waits; i-- > 0;) {
		if (s->wait[i]->n.tid == tid)
			drop(s, s->wait[i]);
	}
}

bool work_owed(struct supervisor *s, const struct notice *n)
{
	if (!s->killable)
		drop_earlier(s, n->tid);
	for (uint32_t i = 0; i < owed_count; i++) {
		struct owed *o = &owed[i];

		if (o->n.tid != n->tid)
			continue;
		o->n.tid = 0;
		if (o->n.nr != n->nr || memcmp(o->n.arg, n->arg, sizeof(n->arg)))
			return false;
		if (!supervisor_answer(s, n, o->ret))
			o->n.tid = n->tid;
		return true;
	}
	return false;
}

void work_start(struct supervisor *s, struct work *w)
{
	if (w->step(s, w)) {
		if (w->source >= 0)
			close(w->source);
	} else if (!begin(s, w)) {
		(void)supervisor_answer(s, &w->n, w->done ? (int64_t)w->done : -ENOMEM);
	}
}

void work_ready(struct supervisor *s, struct work *w)
{
	if (w->step(s, w))
		end(s, w);
}

/* ---- looking after them ---- */

static uint64_t status_mask(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* 0, or how a handled signal ends a call of this thread.  A signal for the whole process may be taken by
 * any thread; the first one is asked first, and where there are others it is told EINTR, which is
 * true for it or, at worst, for its neighbour. */
static int interruption(const struct supervisor *s, const struct work *w)
{
	char path[64], text[4096];
	uint64_t mine, any, may;
	const char *threads;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", s->pid, w->n.tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	may = status_mask(text, "\nSigCgt:") & ~status_mask(text, "\nSigBlk:");
	mine = status_mask(text, "\nSigPnd:") & may;
	any = status_mask(text, "\nShdPnd:") & may;
	threads = strstr(text, "\nThreads:\t1\n");
	if (!mine && !(any && (threads || w->n.tid == s->pid)))
		return 0;
	return (mine || threads) && !w->deadline ? RESTART : EINTR;
}

static void give_up(struct supervisor *s, struct work *w, int e)
{
	if (w->entered) {
		w->call.ret = e == EAGAIN ? -EAGAIN : -EINTR;
		engine_subject.tid = (uint32_t)w->n.tid;
		engine_exit(&w->call);
	}
	(void)supervisor_answer(s, &w->n, w->done ? (int64_t)w->done : -e);
	end(s, w);
}

void work_release(struct supervisor *s)
{
	while (s->waits) {
		struct work *w = s->wait[s->waits - 1];

		if (w->done)
			(void)supervisor_answer(s, &w->n, (int64_t)w->done);
		else
			supervisor_pass(s, &w->n);
		end(s, w);
	}
}

void work_look(struct supervisor *s)
{
	static uint64_t last;
	uint64_t now;

	if (!s->waits)
		return;
	now = now_ms();
	if (now - last < LOOK_MS)
		return;
	last = now;
	for (uint32_t i = 0; i < LOOKS && i < s->waits; i++) {
		struct work *w = s->wait[s->next++ % s->waits];
		int e;

		if (!supervisor_is_valid(s, &w->n)) {
			drop(s, w);
			continue;
		}
		e = w->deadline && now >= w->deadline ? EAGAIN : interruption(s, w);
		if (e)
			give_up(s, w, e);
	}
}
