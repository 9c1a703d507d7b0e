/* SPDX-License-Identifier: BSD-2-Clause
 *
 * prototypes: every row of calls.def beside the declaration in libc's own headers.  Two declarations
 * of one name must agree, so a row that does not fails to compile.
 *
 * Left out by macro: names that libc declares variadic where the row has the arguments that count,
 * and those no header declares.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define DECLARE(name, type, params) extern type name params;
#define DECLARE_GEN(...)	    DECLARE(__VA_ARGS__)
#define DECLARE_LIB(...)	    DECLARE(__VA_ARGS__)
#define DECLARE_HAND(...)	    DECLARE(__VA_ARGS__)
#define DECLARE_NUM(...)
#define CALL(id, nr, op, shape, body, type, params, args) DECLARE_##body(id, type, params)
#define VARIANT(name, id, class, body, type, params, ...) DECLARE(name, type, params)

/* int name(..., ...) in libc */
#define fcntl	 row_fcntl
#define fcntl64	 row_fcntl64
#define open	 row_open
#define open64	 row_open64
#define openat	 row_openat
#define openat64 row_openat64
#define mq_open	 row_mq_open
#define prctl	 row_prctl
#define ioctl	 row_ioctl
/* FILE * in libc */
#define fdopen row_fdopen
#include "shim/engine/calls.def"
