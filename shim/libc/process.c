/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process: ends of a process, and the few descriptor calls whose prototypes fit no row.
 *
 * An orderly end is told to the engine where nothing of the application follows: in _exit before the
 * kernel, and for exit() after all destructors (start.c).  Where libc does not tell the status there
 * (musl), the one given to exit() is remembered, and what main returned is lost.
 */
#include "shim/libc/door.h"

static int process_status;

void exit(int status) __attribute__((noreturn));
void quick_exit(int status) __attribute__((noreturn));
void _exit(int status) __attribute__((noreturn));
void _Exit(int status) __attribute__((noreturn));
void closefrom(int first);
void *fdopen(int fd, const char *mode);
void *_IO_fdopen(int fd, const char *mode);

int libc_exit_status(void)
{
	return process_status;
}

LIBC_EXPORT void exit(int status)
{
	process_status = status;
	LIBC_NEXT(exit)(status);
	__builtin_unreachable();
}

/* Runs no destructors, hence the end is now: what at_quick_exit handlers do is not watched. */
LIBC_EXPORT void quick_exit(int status)
{
	engine_end(status);
	LIBC_NEXT(quick_exit)(status);
	__builtin_unreachable();
}

LIBC_EXPORT void _exit(int status)
{
	engine_end(status);
	LIBC_NEXT(_exit)(status);
	__builtin_unreachable();
}

LIBC_EXPORT void _Exit(int status)
{
	engine_end(status);
	LIBC_NEXT(_Exit)(status);
	__builtin_unreachable();
}

/* closefrom(3) never fails; to the engine it is close_range(first, ~0, 0). */
LIBC_EXPORT void closefrom(int first)
{
	uint64_t low = first > 0 ? (uint64_t)first : 0;
	struct call c = {.id = CALL_close_range, .arg = {low, UINT32_MAX, 0}};

	(void)engine_enter(&c);
	LIBC_NEXT(closefrom)(first);
	c.ret = 0;
	engine_exit(&c);
}

/* stdio's own reads and writes go around every door. */
static void *fdopen_seen(void *file, int fd, const char *mode)
{
	if (file && engine_tracks(fd)) {
		struct call c = {.id = CALL_fdopen, .arg = {(uint64_t)fd, (uintptr_t)mode}};

		(void)engine_enter(&c);
		engine_exit(&c);
	}
	return file;
}

LIBC_EXPORT void *fdopen(int fd, const char *mode)
{
	return fdopen_seen(LIBC_NEXT(fdopen)(fd, mode), fd, mode);
}

LIBC_EXPORT void *_IO_fdopen(int fd, const char *mode)
{
	return fdopen_seen(LIBC_NEXT(_IO_fdopen)(fd, mode), fd, mode);
}
