/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reserve: see reserve.h.
 */
#include "shim/engine/reserve.h"
#include "shim/engine/recorder.h"
#include "shim/engine/sys.h"

enum {
	STEP = 256 * 1024,
	TABLES = 12,
};

static struct reserve *tables[TABLES];
static bool locks_all;

bool reserve_start(struct reserve *r, size_t size)
{
	void *p = sys_mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	if (sys_mmap_failed(p))
		return false;
	*r = (struct reserve){.base = p, .size = size};
	for (unsigned i = 0; i < TABLES; i++) {
		if (!tables[i]) {
			tables[i] = r;
			break;
		}
	}
	return reserve_open(r, 1);
}

bool reserve_open(struct reserve *r, size_t end)
{
	size_t open = __atomic_load_n(&r->open, __ATOMIC_ACQUIRE);

	if (end <= open)
		return true;
	if (end > r->size)
		return false;
	end = (end + STEP - 1) / STEP * STEP;
	end = end < r->size ? end : r->size;
	/* Two threads may do the same: that harms nothing, and open only grows. */
	if (sys_mprotect(r->base, end, PROT_READ | PROT_WRITE) < 0)
		return false;
	while (open < end && !__atomic_compare_exchange_n(&r->open, &open, end, false,
							  __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		;
	return true;
}

void reserve_locked(int flags)
{
	struct trace_header *h = recorder_header;

	locks_all = flags & MCL_FUTURE;
	for (unsigned i = 0; i < TABLES && tables[i]; i++)
		(void)sys_munlock(tables[i]->base, tables[i]->size);
	if (h)
		(void)sys_munlock(h, h->file_size);
}

bool reserve_locks_all(void)
{
	return locks_all;
}

void reserve_forked(void)
{
	locks_all = false;
}
