/* SPDX-License-Identifier: BSD-2-Clause
 *
 * state: see state.h and engine.h: the life of the engine.
 */
#include "shim/engine/state.h"
#include "shim/engine/clock.h"
#include "shim/engine/conn.h"
#include "shim/engine/control.h"
#include "shim/engine/fd.h"
#include "shim/engine/gate.h"
#include "shim/engine/filter.h"
#include "shim/engine/heads.h"
#include "shim/engine/modules.h"
#include "shim/engine/record.h"
#include "shim/engine/recorder.h"
#include "shim/engine/reserve.h"
#include "shim/engine/stack.h"
#include "shim/engine/sys.h"
#include "shim/engine/text.h"

#include <errno.h>
#include <signal.h>

enum {
	PAGE = 4096,
};

static uint32_t no_fds[1];
ENGINE_HOT uint32_t *engine_fds = no_fds;
ENGINE_HOT uint32_t engine_fd_limit;
static struct reserve fds; /* where engine_fds points; open up to engine_fd_limit */

static uint32_t one = 1; /* where alive points before the page exists */
ENGINE_HOT struct engine_state engine __attribute__((aligned(64))) = {.alive = &one};
struct engine_subject engine_subject;
ENGINE_HOT uint8_t engine_shares;

bool engine_takes(int fd)
{
	uint32_t limit = engine_fd_limit, open;

	if ((uint32_t)fd < limit)
		return true;
	if (!limit || !reserve_open(&fds, ((uint32_t)fd + UINT64_C(1)) * sizeof(uint32_t)))
		return false;
	open = (uint32_t)(__atomic_load_n(&fds.open, __ATOMIC_ACQUIRE) / sizeof(uint32_t));
	while (limit && limit < open &&
	       !__atomic_compare_exchange_n(&engine_fd_limit, &limit, open, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	return limit != 0;
}

bool engine_active(void)
{
	return engine.active;
}

/* Process 1 of a pid namespace is not told from a child of its own in a new one by the pid.  A timer
 * that is never set tells: a process's timers are its own, whoever shares the memory. */
static void mark_process(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	int32_t timer = 0;

	engine.marked = !engine.quiet && !engine_subject.pid && engine.pid == 1 &&
			sys_3(SYS_timer_create, CLOCK_MONOTONIC, (long)&none, (long)&timer) == 0;
	engine.mark = timer;
}

bool engine_is_stranger(void)
{
	struct itimerspec left;

	if (engine_subject.pid)
		return false;
	return sys_getpid() != engine.pid ||
	       (engine.marked && !engine.quiet &&
		sys_2(SYS_timer_gettime, engine.mark, (long)&left) == -EINVAL);
}

void engine_stop(uint64_t reason)
{
	recorder_cover(0, TRACE_BLIND, reason);
	engine.active = false;
	engine_fd_limit = 0;
}

static void *map(size_t size)
{
	void *p = sys_mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	return sys_mmap_failed(p) ? NULL : p;
}

/* A page that reads as zero in a forked child.  Kernels before 4.14 cannot; there the door tells. */
static bool map_alive(void)
{
	uint32_t *p = map(PAGE);

	if (!p)
		return false;
	*p = 1;
	(void)sys_madvise(p, PAGE, MADV_WIPEONFORK);
	engine.alive = p;
	return true;
}

bool engine_start(char *const *variables, uint32_t door, const char **ret_problem)
{
	*ret_problem = NULL;
	if (engine.active)
		return true;
	if (!filter_start(variables))
		return false;
	*ret_problem = config_read(&engine.config, variables);
	if (*ret_problem || !engine.config.enabled) {
		if (engine.config.quiet)
			*ret_problem = NULL;
		return false;
	}
	if (!reserve_start(&fds, sizeof(uint32_t) * ENGINE_FDS) || !conn_start() ||
	    !heads_start() || !map_alive()) {
		*ret_problem = "shakedown: no memory for the tables; not watching";
		return false;
	}
	engine.door = door;
	engine_shares |= door != TRACE_DOOR_LIBC;
	engine.pid = engine_subject.pid ? engine_subject.pid : sys_getpid();
	mark_process();
	clock_start(door == TRACE_DOOR_LIBC);
	engine.t_load = clock_now();
	*ret_problem = control_start(&engine.config);
	if (*ret_problem) {
		if (engine.config.quiet)
			*ret_problem = NULL;
		return false;
	}
	engine_fds = (uint32_t *)fds.base;
	engine_fds[1] = engine_fds[2] = CONN_TEXT;
	engine.active = true;
	__atomic_store_n(&engine_fd_limit, (uint32_t)(fds.open / sizeof(uint32_t)),
			 __ATOMIC_RELEASE);
	return true;
}

void engine_forked(void)
{
	uint32_t parent = engine.pid;

	if (!engine.active)
		return;
	if (engine.quiet) { /* nothing may be asked or created, and the parent's file is not ours */
		recorder_header = NULL;
		engine.active = false;
		engine_fd_limit = 0;
		return;
	}
	/* A wiped page is proof.  The pid alone is not: in a new pid namespace it may be the same. */
	if (*engine.alive && engine.pid == sys_getpid())
		return;
	engine.pid = sys_getpid();
	engine.parent = parent;
	mark_process();
	engine.forks = 0;
	*(uint32_t *)(uintptr_t)engine.alive = 1;
	clock_forked();
	gate_forked();
	engine.t_load = clock_now();
	stack_forked();
	modules_forked();
	text_forked();
	reserve_forked();
	recorder_forked();
	if (!engine.active)
		return;
	fd_forked();
}

void engine_end(int status)
{
	struct trace_header *h = recorder_header;

	if (!engine.active || !h || h->ended || (!engine.quiet && engine_is_stranger()))
		return;
	if (!engine.quiet) {
		gate_end();
		if (recorder_discard())
			return;
		recorder_process(TRACE_EXITED, status, NULL);
	}
	h->exit_code = status;
	h->t_end = engine.quiet ? engine.t_quiet : clock_now();
	__atomic_store_n(&h->ended, 1, __ATOMIC_RELEASE);
}

void engine_modules_changed(void)
{
	modules_changed();
}

void engine_partial(int fd, uint64_t reason)
{
	struct conn *c;

	if (!engine.active)
		return;
	if (fd < 0)
		return recorder_cover(0, TRACE_PARTIAL, reason);
	c = conn_of(fd);
	if (c && conn_lock(c)) {
		record_cover(c, fd, reason);
		conn_show(c, 0);
		conn_unlock(c);
	}
}

void engine_exec(const char *path)
{
	if (!engine.active || engine_is_stranger())
		return;
	if (engine_gates && !engine.quiet)
		gate_end();
	if (!recorder_discard())
		recorder_process(TRACE_EXECED, 0, path);
}
