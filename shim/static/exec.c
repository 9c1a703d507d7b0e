/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/exec: see exec.h.
 *
 * What the kernel is to read must stay until it has read it, and nobody of ours runs between.  So it
 * lies in a room.  In a child of vfork that is its parent's memory, shared with every such child alive.
 *
 * (1) Whose a room is, the kernel tells and nobody's pid, which may be the same in two pid namespaces:
 *     the room is the place the kernel clears when a task lets go of its memory, that is when it has
 *     become another program, or is gone.  No task has two.
 * (2) A task that has such a place already is a thread of a C library, and this process's own: its id
 *     tells.
 *
 * Source: set_tid_address(2), prctl(2) (PR_GET_TID_ADDRESS), madvise(2) (MADV_WIPEONFORK).
 */
#include "shim/static/exec.h"
#include "core/trace/layout.h"
#include "shim/engine/carry.h"
#include "shim/engine/engine.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/libc/door.h"

#include <errno.h>
#include <sys/prctl.h>

enum {
	PAGE = 4096,
	TASK = UINT32_MAX, /* the kernel gives the room back */
};

struct room {
	uint32_t taken; /* 0 free, TASK, or the id of a thread of ours */
	size_t size;
	void *p;
};

enum {
	ROOMS = PAGE / sizeof(struct room),
};

static struct room *rooms; /* a page that a forked child finds empty */

static void *map(size_t size)
{
	void *p = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	return sys_mmap_failed(p) ? NULL : p;
}

static struct room *find_rooms(void)
{
	struct room *none = NULL, *page = __atomic_load_n(&rooms, __ATOMIC_ACQUIRE);

	if (page)
		return page;
	page = map(PAGE);
	if (!page)
		return NULL;
	(void)sys_madvise(page, PAGE, MADV_WIPEONFORK);
	if (__atomic_compare_exchange_n(&rooms, &none, page, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return page;
	(void)sys_munmap(page, PAGE);
	return none;
}

/* Is the thread that has the room no more? */
static bool is_left(uint32_t taken)
{
	return taken != TASK && sys_3(SYS_tgkill, (long)sys_getpid(), (long)taken, 0) == -ESRCH;
}

/* The room of who, or a free one made theirs. */
static struct room *claim(struct room *page, uint32_t who)
{
	for (unsigned i = 0; i < ROOMS; i++) {
		if (who != TASK && __atomic_load_n(&page[i].taken, __ATOMIC_ACQUIRE) == who)
			return &page[i];
	}
	for (unsigned i = 0; i < ROOMS; i++) {
		uint32_t was = __atomic_load_n(&page[i].taken, __ATOMIC_ACQUIRE);

		if ((!was || is_left(was)) &&
		    __atomic_compare_exchange_n(&page[i].taken, &was, who, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return &page[i];
	}
	return NULL;
}

/* The calling task's; NULL when there is none. */
static struct room *find_room(struct room *page)
{
	uintptr_t place = 0;
	struct room *r;
	long err = sys_2(SYS_prctl, PR_GET_TID_ADDRESS, (long)&place);

	if (!err && place - (uintptr_t)page < PAGE)
		return (struct room *)place;
	/* Where the kernel does not tell, a process of another id is none of our threads. */
	if (err ? !engine_is_stranger() : place != 0)
		return claim(page, sys_gettid());
	r = claim(page, TASK);
	if (r)
		(void)sys_1(SYS_set_tid_address, (long)&r->taken);
	return r;
}

static void *take_room(size_t size)
{
	struct room *page = find_rooms(), *r = page ? find_room(page) : NULL;

	if (!r) {
		engine_partial(-1, TRACE_REASON_LOST);
		return NULL;
	}
	if (r->size < size) {
		if (r->size)
			(void)sys_munmap(r->p, r->size);
		r->p = map(size);
		r->size = r->p ? size : 0;
	}
	return r->p;
}

void static_exec(long nr, uint64_t arg[6])
{
	const char *path = (const char *)arg[0];
	char *const *argv = (char *const *)arg[1], *const *envp = (char *const *)arg[2];
	struct carry c = {0};
	size_t words, lack;
	char **by;
	void *room;

	engine_exec((const char *)arg[nr == SYS_execveat]);
	if (nr != SYS_execve || !engine_active())
		return;
	words = carry_room(&c, path, argv, envp);
	lack = libc_environ_lack(envp);
	room = words + lack ? take_room(words + lack) : NULL;
	if (!room)
		return;
	if (lack)
		arg[2] = (uintptr_t)libc_environ_copy(envp, (char *)room + words);
	by = words ? carry_make(&c, path, argv, room) : NULL;
	if (by) {
		arg[0] = (uintptr_t)by[0];
		arg[1] = (uintptr_t)by;
	}
}
