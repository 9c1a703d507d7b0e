/* SPDX-License-Identifier: BSD-2-Clause
 *
 * through: a preloaded library as others write them: its wrappers make the call with syscall(), which
 * comes back to whoever is preloaded before it.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

int dup(int fd)
{
	return (int)syscall(SYS_dup, fd);
}

int close(int fd)
{
	return (int)syscall(SYS_close, fd);
}
