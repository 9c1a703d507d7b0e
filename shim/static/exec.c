/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/exec: see exec.h.
 *
 * What the kernel is to read must stay until it has read it, and nobody of ours runs between.  So the
 * memory belongs to the process that executes; in a child of vfork that is its parent's memory, which
 * may be used again when the child has become another program, or is gone.
 */
#include "shim/static/exec.h"
#include "shim/engine/carry.h"
#include "shim/engine/engine.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"
#include "shim/libc/door.h"

#include <sys/stat.h>

enum {
	ROOMS = 64,
};

static struct room {
	uint32_t pid; /* for whom, 0 nobody yet */
	size_t size;
	void *p;
} rooms[ROOMS];

/* Which file a process executes; false when that cannot be told. */
static __attribute__((noinline)) bool find_exe(uint32_t pid, uint64_t ret[2])
{
	char path[32];
	struct stat st = {0};
	struct line l;

	line_init(&l, path, sizeof(path));
	line_add(&l, "/proc/");
	line_add_number(&l, pid);
	line_add(&l, "/exe");
	if (sys_4(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0) < 0)
		return false;
	ret[0] = st.st_dev;
	ret[1] = st.st_ino;
	return true;
}

/* Does pid run another program than we do by now, or none? */
static bool went_on(uint32_t pid)
{
	uint64_t theirs[2], ours[2];

	return !find_exe(pid, theirs) ||
	       (find_exe(sys_getpid(), ours) && memcmp(theirs, ours, sizeof(ours)));
}

/* NULL when there is none. */
static void *take_room(size_t size)
{
	uint32_t pid = sys_getpid();

	for (unsigned i = 0; i < ROOMS; i++) {
		struct room *r = &rooms[i];
		uint32_t was = __atomic_load_n(&r->pid, __ATOMIC_ACQUIRE);

		if ((was && was != pid && !went_on(was)) ||
		    !__atomic_compare_exchange_n(&r->pid, &was, pid, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			continue;
		if (r->size < size) {
			if (r->size)
				sys_munmap(r->p, r->size);
			r->p = sys_mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1);
			r->size = sys_mmap_failed(r->p) ? 0 : size;
		}
		return r->size ? r->p : NULL;
	}
	return NULL;
}

void static_exec(long nr, uint64_t arg[6])
{
	const char *path = (const char *)arg[0];
	char *const *argv = (char *const *)arg[1], *const *envp = (char *const *)arg[2];
	size_t words, lack;
	char **by;
	void *room;

	engine_exec((const char *)arg[nr == SYS_execveat]);
	if (nr != SYS_execve || !engine_active())
		return;
	words = carry_room(path, argv);
	lack = libc_environ_lack(envp);
	room = words + lack ? take_room(words + lack) : NULL;
	if (!room)
		return;
	if (lack)
		arg[2] = (uintptr_t)libc_environ_copy(envp, (char *)room + words);
	by = words ? carry_make(path, argv, room, words) : NULL;
	if (by) {
		arg[0] = (uintptr_t)by[0];
		arg[1] = (uintptr_t)by;
	}
}
