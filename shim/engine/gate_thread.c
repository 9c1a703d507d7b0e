/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_thread: who keeps the deadlines: the waits of a process that has one thread, which are cut into
 * slices; else, and where something is to be done at a deadline, a thread of our own.
 *
 * (1) That thread is made by the kernel alone: the C library does not know it, its own word of thread-local
 *     storage is a page of zeros, all signals are blocked, and it runs nothing but the engine.
 * (2) At most one; it ends when there was nothing to do for a while, and when it is told to.  Its stack is
 *     not used again before the kernel said that it is gone.
 * (3) Whether it runs is changed under the lock of gates, so that a deadline that comes just then is kept.
 *
 * Source: clone(2), futex(2), set_tid_address(2), proc(5) (/proc/PID/task has a link more per thread).
 */
#include "shim/engine/clock.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "core/trace/layout.h"

enum {
	STACKS = 2, /* one may belong to a thread that is about to end */
	STACK_SIZE = 64 * 1024,
	GUARD = 4096,
	STORAGE = 4096,	  /* above the stack */
	IDLE = 300000000, /* ns without gates after which it ends */
	STOP_SLICE = 10000000,
	STOP_SLICES = 200,
	SECOND = 1000000000,
};

long gate_thread_make(unsigned long flags, void *stack, uint32_t *tid, void *tls,
		      void (*run)(void));

static struct {
	uint8_t *stacks;
	uint32_t tid[STACKS]; /* 0: the stack is free */
	uint32_t runs;
	uint32_t stop;
	uint32_t bell;	 /* futex word: counts what it has to know */
	uint64_t asleep; /* until when */
	bool several;	 /* the process had more than one thread */
} thread;

static long wait_for(uint32_t *word, int op, uint32_t value, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};

	return sys_4(SYS_futex, (long)word, op, value, (long)&t);
}

static void ring(void)
{
	__atomic_fetch_add(&thread.bell, 1, __ATOMIC_SEQ_CST);
	(void)sys_3(SYS_futex, (long)&thread.bell, FUTEX_WAKE_PRIVATE, 1);
}

/* ---- the thread ---- */

/* Nothing is held back any more, or it was told to end: it does not run from here on. */
static bool ends(void)
{
	bool over = false;

	if (!gate_enter(clock_thread()))
		return false;
	if (!engine_gates || thread.stop) {
		__atomic_store_n(&thread.runs, 0, __ATOMIC_SEQ_CST);
		over = true;
	}
	gate_leave();
	return over;
}

static void keep_deadlines(void)
{
	uint64_t now, until, idle = 0;
	uint32_t bell;

	(void)sys_2(SYS_prctl, PR_SET_NAME, (long)"shakedown");
	for (;;) {
		bell = __atomic_load_n(&thread.bell, __ATOMIC_SEQ_CST);
		now = clock_now();
		gate_expire(now);
		idle = engine_gates ? 0 : idle ? idle : now;
		if ((__atomic_load_n(&thread.stop, __ATOMIC_ACQUIRE) ||
		     (idle && now - idle >= IDLE)) &&
		    ends())
			return;
		until = now + (idle ? IDLE : gate_slice(now, UINT64_MAX));
		__atomic_store_n(&thread.asleep, until, __ATOMIC_SEQ_CST);
		if (until > now)
			(void)wait_for(&thread.bell, FUTEX_WAIT_PRIVATE, bell, until - now);
	}
}

/* ---- who makes and ends it ---- */

/* Only there do the waits of all threads come to the engine. */
static bool is_needed(void)
{
	struct stat st = {0};

	if (thread.several || engine.door != TRACE_DOOR_LIBC)
		return true;
	thread.several =
		sys_4(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&st, 0) < 0 ||
		st.st_nlink > 3;
	return thread.several;
}

static bool map_stacks(void)
{
	uint8_t *p = thread.stacks ? NULL : gate_map(STACKS * (STACK_SIZE + STORAGE));

	for (unsigned i = 0; p && i < STACKS; i++)
		(void)sys_mprotect(p + i * (STACK_SIZE + STORAGE), GUARD, PROT_NONE);
	if (p)
		thread.stacks = p;
	return thread.stacks;
}

/* The lock is held. */
static void make(void)
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
				    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	unsigned i = __atomic_load_n(&thread.tid[0], __ATOMIC_ACQUIRE) ? 1 : 0;
	uint64_t all = ~UINT64_C(0), old = 0;
	uint8_t *top;
	long tid;

	if (__atomic_load_n(&thread.tid[i], __ATOMIC_ACQUIRE) || !map_stacks())
		return;
	top = thread.stacks + i * (STACK_SIZE + STORAGE) + STACK_SIZE;
	thread.stop = 0;
	thread.asleep = 0;
	thread.runs = 1;
	if (sys_4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, sizeof(all)) < 0)
		tid = -1;
	else
		tid = gate_thread_make(flags, top, &thread.tid[i], top, keep_deadlines);
	(void)sys_4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, sizeof(old));
	if (tid < 0)
		thread.runs = 0;
}

void gate_thread_want(uint64_t at, bool task)
{
	if (__atomic_load_n(&thread.runs, __ATOMIC_SEQ_CST)) {
		__atomic_fetch_add(&thread.bell, 1, __ATOMIC_SEQ_CST);
		if (at < __atomic_load_n(&thread.asleep, __ATOMIC_SEQ_CST))
			ring();
		return;
	}
	if (!(task || is_needed()) || !gate_enter(clock_thread()))
		return;
	if (!thread.runs)
		make();
	gate_leave();
}

bool gate_thread_runs(void)
{
	return __atomic_load_n(&thread.runs, __ATOMIC_ACQUIRE);
}

void gate_thread_stop(void)
{
	__atomic_store_n(&thread.stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < STACKS; i++) {
		for (unsigned n = 0; n < STOP_SLICES; n++) {
			uint32_t tid = __atomic_load_n(&thread.tid[i], __ATOMIC_ACQUIRE);

			if (!tid)
				break;
			ring();
			(void)wait_for(&thread.tid[i], FUTEX_WAIT, tid, STOP_SLICE);
		}
	}
}

void gate_thread_forked(void)
{
	thread.tid[0] = thread.tid[1] = 0;
	thread.runs = 0;
	thread.several = false;
}
