/* SPDX-License-Identifier: BSD-2-Clause
 *
 * types: the C types that the prototypes of calls.def mention, without a libc header.
 *
 * The door defines names libc's headers declare, some of them variadic there; on LP64 Linux the sizes
 * below are the ABI of glibc and musl alike.  tests/shim/test_calls.py compares every prototype with
 * the one in libc's own headers.
 */
#ifndef SHIM_LIBC_TYPES_H
#define SHIM_LIBC_TYPES_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(long) == 8, "the types below are those of LP64 Linux");

typedef long ssize_t;
typedef long off_t;
typedef long off64_t;
typedef unsigned int mode_t;
typedef unsigned int socklen_t;
typedef unsigned long nfds_t;
typedef int pid_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef int clockid_t;

/* Only ever passed on by pointer. */
typedef struct libc_sigset sigset_t;
typedef struct libc_fd_set fd_set;
typedef struct libc_file_actions posix_spawn_file_actions_t;
typedef struct libc_spawnattr posix_spawnattr_t;
struct iovec;
struct sockaddr;
struct msghdr;
struct mmsghdr;
struct timespec;
struct timeval;
struct pollfd;
struct epoll_event;
struct file_handle;
struct termios;
struct winsize;

#endif
