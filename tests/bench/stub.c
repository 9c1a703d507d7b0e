/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stub: stands where libc would, behind the shim, so that what is timed is the shim and not the
 * kernel.  Off by default (calls go to the kernel); with stub_on set, read hands out stub_bytes and
 * write swallows everything.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int stub_on;
char stub_bytes[4096];
size_t stub_len;

ssize_t read(int fd, void *buf, size_t len)
{
	if (!stub_on)
		return syscall(SYS_read, fd, buf, len);
	if (len > stub_len)
		len = stub_len;
	memcpy(buf, stub_bytes, len);
	return (ssize_t)len;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	(void)buf;
	if (!stub_on)
		return syscall(SYS_write, fd, buf, len);
	return (ssize_t)len;
}
