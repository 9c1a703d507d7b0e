/* SPDX-License-Identifier: BSD-2-Clause
 *
 * allocator: a malloc that opens and reads files when it is first used, by every road there is, the
 * way jemalloc and others do.  A shim that allocates or looks names up with a lock held while it is
 * entered from here would recurse or hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *arena;
static size_t used;
static int starting;

static void start(void)
{
	char text[64];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY, 0);

	starting = 1;
	if (syscall(SYS_read, fd, text, sizeof(text)) <= 0 || syscall(SYS_close, fd) != 0)
		_exit(71);
	fd = open("/proc/self/stat", O_RDONLY);
	if (read(fd, text, sizeof(text)) <= 0 || close(fd) != 0)
		_exit(72);
	if (syscall(SYS_close, -1) != -1 || errno != EBADF)
		_exit(73);
	if (close(-1) != -1 || errno != EBADF)
		_exit(74);
	arena = mmap(NULL, 1 << 26, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void *malloc(size_t n)
{
	char *p;

	if (!arena) {
		if (starting)
			_exit(75);
		start();
	}
	p = arena + __atomic_fetch_add(&used, (n + 31) & ~(size_t)15, __ATOMIC_RELAXED);
	*(size_t *)p = n;
	return p + 16;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	return malloc(n * size); /* fresh pages are zero */
}

void *realloc(void *p, size_t n)
{
	void *bigger = malloc(n);
	size_t old = p ? *(size_t *)((char *)p - 16) : 0;

	return p ? memcpy(bigger, p, old < n ? old : n) : bigger;
}
