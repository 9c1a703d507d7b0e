/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sys: the kernel, directly.  Results are the kernel's own (-errno); errno is never touched, so these
 * work before libc is initialised, in signal handlers and in vfork children.
 */
#ifndef SHIM_ENGINE_SYS_H
#define SHIM_ENGINE_SYS_H

#include "core/core.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#if defined(__x86_64__)
#include "shim/engine/sys_x86_64.h"
#else
#error "no sys_*.h for this machine"
#endif

/* Newer than the headers of the oldest distribution we build on. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

static inline long sys_1(long nr, long a)
{
	return sys_call(nr, a, 0, 0, 0, 0, 0);
}

static inline long sys_2(long nr, long a, long b)
{
	return sys_call(nr, a, b, 0, 0, 0, 0);
}

static inline long sys_3(long nr, long a, long b, long c)
{
	return sys_call(nr, a, b, c, 0, 0, 0);
}

static inline long sys_4(long nr, long a, long b, long c, long d)
{
	return sys_call(nr, a, b, c, d, 0, 0);
}

static inline int sys_open(const char *path, int flags, unsigned mode)
{
	return (int)sys_4(SYS_openat, AT_FDCWD, (long)path, flags, (long)mode);
}

static inline int sys_close(int fd)
{
	return (int)sys_1(SYS_close, fd);
}

static inline long sys_pread(int fd, void *buf, size_t len, long off)
{
	return sys_call(SYS_pread64, fd, (long)buf, (long)len, off, 0, 0);
}

static inline long sys_read(int fd, void *buf, size_t len)
{
	return sys_3(SYS_read, fd, (long)buf, (long)len);
}

static inline long sys_readlink(const char *path, char *buf, size_t len)
{
	return sys_4(SYS_readlinkat, AT_FDCWD, (long)path, (long)buf, (long)len);
}

static inline int sys_mkdir(const char *path, unsigned mode)
{
	return (int)sys_3(SYS_mkdirat, AT_FDCWD, (long)path, (long)mode);
}

static inline int sys_ftruncate(int fd, uint64_t len)
{
	return (int)sys_2(SYS_ftruncate, fd, (long)len);
}

static inline int sys_fallocate(int fd, uint64_t off, uint64_t len)
{
	return (int)sys_4(SYS_fallocate, fd, 0, (long)off, (long)len);
}

static inline void *sys_mmap(void *at, size_t len, int prot, int flags, int fd)
{
	return (void *)sys_call(SYS_mmap, (long)at, (long)len, prot, flags, fd, 0);
}

static inline bool sys_mmap_failed(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)-4095;
}

static inline int sys_munmap(void *p, size_t len)
{
	return (int)sys_2(SYS_munmap, (long)p, (long)len);
}

static inline int sys_mprotect(void *p, size_t len, int prot)
{
	return (int)sys_3(SYS_mprotect, (long)p, (long)len, prot);
}

static inline int sys_munlock(void *p, size_t len)
{
	return (int)sys_2(SYS_munlock, (long)p, (long)len);
}

static inline int sys_madvise(void *p, size_t len, int advice)
{
	return (int)sys_3(SYS_madvise, (long)p, (long)len, advice);
}

static inline uint32_t sys_getpid(void)
{
	return (uint32_t)sys_1(SYS_getpid, 0);
}

static inline uint32_t sys_getppid(void)
{
	return (uint32_t)sys_1(SYS_getppid, 0);
}

static inline uint32_t sys_gettid(void)
{
	return (uint32_t)sys_1(SYS_gettid, 0);
}

static inline int sys_clock_gettime(int clock, struct timespec *ts)
{
	return (int)sys_2(SYS_clock_gettime, clock, (long)ts);
}

static inline int sys_getsockopt(int fd, int level, int name, void *value, uint32_t *len)
{
	return (int)sys_call(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)sys_3(SYS_ioctl, fd, (long)request, (long)arg);
}

/* Read memory of our own that may not be there.  Returns bytes read or -errno. */
static inline long sys_peek(uint32_t pid, const struct iovec *to, unsigned to_count,
			    const struct iovec *from, unsigned from_count)
{
	return sys_call(SYS_process_vm_readv, (long)pid, (long)to, to_count, (long)from, from_count,
			0);
}

#endif
