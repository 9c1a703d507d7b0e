/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_bytes: see fault_bytes.h.
 *
 * Source: recv(2) (MSG_PEEK), tcp(7) (SIOCINQ), readv(2), sendmsg(2).
 */
#include "shim/engine/fault_bytes.h"
#include "shim/engine/peek.h"
#include "shim/engine/sys.h"

#include <sys/ioctl.h>

enum {
	LISTS = 4, /* buffers read at a time */
	LISTS_MOST = 1024,
};

static size_t from_lists(uint64_t iov, uint64_t count, uint64_t skip, uint8_t *to, size_t n)
{
	struct iovec part[LISTS];
	size_t got = 0;

	count = count < LISTS_MOST ? count : LISTS_MOST;
	for (uint64_t i = 0; i < count && got < n; i++) {
		const struct iovec *one = &part[i % LISTS];
		size_t left = count - i < LISTS ? count - i : LISTS, step, read;

		if (i % LISTS == 0 && peek_read(iov + i * sizeof(*one), part,
						left * sizeof(*one)) != left * sizeof(*one))
			break;
		if (skip >= one->iov_len) {
			skip -= one->iov_len;
			continue;
		}
		step = one->iov_len - skip < n - got ? one->iov_len - skip : n - got;
		read = peek_read((uint64_t)(uintptr_t)one->iov_base + skip, to + got, step);
		got += read;
		skip = 0;
		if (read < step)
			break;
	}
	return got;
}

size_t fault_bytes(const struct call *c, uint64_t skip, uint8_t *to, size_t n)
{
	struct msghdr m;

	switch ((enum call_shape)call_table[c->id].shape) {
	case SHAPE_FLAT:
		return peek_read(c->arg[1] + skip, to, n);
	case SHAPE_IOV:
		return from_lists(c->arg[1], c->arg[2], skip, to, n);
	case SHAPE_MSG:
	case SHAPE_MMSG: /* the first of several begins with a header like that of one */
		if (peek_read(c->arg[1], &m, sizeof(m)) != sizeof(m))
			return 0;
		return from_lists((uint64_t)(uintptr_t)m.msg_iov, (uint32_t)m.msg_iovlen, skip, to,
				  n);
	case SHAPE_NONE:
		break;
	}
	return 0;
}

int64_t fault_bytes_ahead(int fd, uint8_t *to, size_t n, uint64_t *ret_all)
{
	long got = sys_call(SYS_recvfrom, fd, (long)to, (long)n, MSG_PEEK | MSG_DONTWAIT, 0, 0);
	int all = 0;

	*ret_all = got > 0 ? (uint64_t)got : 0;
	if (got == (long)n && sys_ioctl(fd, FIONREAD, &all) >= 0 && all > got)
		*ret_all = (uint64_t)all;
	return got;
}

int64_t fault_bytes_wait(int fd)
{
	uint8_t one;

	return sys_call(SYS_recvfrom, fd, (long)&one, 1, MSG_PEEK, 0, 0);
}
