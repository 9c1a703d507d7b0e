/* SPDX-License-Identifier: BSD-2-Clause
 *
 * peek: see peek.h.
 *
 * Source: process_vm_readv(2), proc(5) (/proc/PID/mem), rt_sigprocmask(2) (the set is read before the
 * first argument is looked at).
 */
#include "shim/engine/peek.h"
#include "shim/engine/filter.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>

enum {
	PAGE = 4096,
};

static size_t read_filtered(uint64_t from, void *to, size_t n)
{
	int fd = sys_open("/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
	long got;

	if (fd < 0)
		return 0;
	got = sys_pread(fd, to, n, (long)from);
	sys_close(fd);
	return got > 0 ? (size_t)got : 0;
}

static bool read_whole(uint64_t from, void *to, size_t n)
{
	struct iovec remote = {(void *)from, n}, local = {to, n};

	return sys_peek(engine.pid, &local, 1, &remote, 1) == (long)n;
}

size_t peek_read(uint64_t from, void *to, size_t n)
{
	size_t done = 0;

	if (filter_in_force())
		return read_filtered(from, to, n);
	if (read_whole(from, to, n))
		return n;
	/* A mapping may end anywhere, and what is before its end is still wanted. */
	while (done < n) {
		size_t step = PAGE - ((from + done) & (PAGE - 1));

		step = step < n - done ? step : n - done;
		if (!read_whole(from + done, (uint8_t *)to + done, step))
			break;
		done += step;
	}
	return done;
}

/* Asks the kernel to take the page's first bytes for a set of signals, to be used in no known way:
 * nothing changes.  Not the very first: at address 0 there would be no set. */
bool peek_has_page(uint64_t at)
{
	uint64_t page = at & ~(uint64_t)(PAGE - 1);

	return sys_4(SYS_rt_sigprocmask, -1, (long)page + 8, 0, 8) != -EFAULT;
}

size_t peek_reach(uint64_t from, size_t n)
{
	size_t done = 0;

	while (done < n && peek_has_page(from + done))
		done += PAGE - ((from + done) & (PAGE - 1));
	return done < n ? done : n;
}

size_t peek_length(uint64_t from, size_t max)
{
	size_t n = 0;

	for (; n < max; n++) {
		const char *p = (const char *)(uintptr_t)(from + n);

		if ((!n || (from + n) % PAGE == 0) && !peek_has_page(from + n))
			return n;
		if (!*p)
			return n;
	}
	return n;
}
