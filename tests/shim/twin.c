/* SPDX-License-Identifier: BSD-2-Clause
 *
 * twin: calls every exported name of calls.def and prints what came back.
 *
 * (1) What is printed must not depend on the shim: descriptors, counts, bytes, errno (which a success
 *     must leave alone: it is 77 before each call).
 * (2) Names are looked up as any program's would be, so this needs no header for the odd ones.
 * (3) Built with -DEARLY -shared, everything happens in a constructor that runs before the shim's.
 * (4) The name of every call made is printed; the test compares that list with calls.def.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SENTINEL = 77, /* errno before each call */
};

/* A pointer per exported name, typed as its row says. */
#define POINTER(name, type, params) static type(*p_##name) params;
#define POINTER_GEN(...)	    POINTER(__VA_ARGS__)
#define POINTER_LIB(...)	    POINTER(__VA_ARGS__)
#define POINTER_HAND(...)	    POINTER(__VA_ARGS__)
#define POINTER_NUM(...)
#define CALL(id, nr, op, shape, body, type, params, args) POINTER_##body(id, type, params)
#define VARIANT(name, id, class, body, type, params, ...) POINTER(name, type, params)
#include "shim/engine/calls.def"
#undef CALL

#define FIND_OR_NOTHING(name) *(void **)&p_##name = dlsym(RTLD_DEFAULT, #name);
#define FIND_GEN(name)	      FIND_OR_NOTHING(name)
#define FIND_LIB(name)	      FIND_OR_NOTHING(name)
#define FIND_HAND(name)	      FIND_OR_NOTHING(name)
#define FIND_NUM(name)

static void find_all(void)
{
#define CALL(id, nr, op, shape, body, ...) FIND_##body(id)
#define VARIANT(name, ...)		   FIND_OR_NOTHING(name)
#include "shim/engine/calls.def"
#undef CALL
	if (!p_uv__accept4) /* only the shim has it here */
		p_uv__accept4 = p_accept4;
}

/* ---- what is printed ---- */

static char *out; /* shared with children, so that they can print too */
static size_t *out_len;

static void print(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	*out_len += (size_t)vsnprintf(out + *out_len, 65536 - *out_len, format, list);
	va_end(list);
}

static void print_result(const char *name, long ret, int err)
{
	print("%s %ld %d\n", name, ret, err);
}

/* Call p_name with the arguments in parentheses, print the result. */
#define TRY(name, args)                           \
	({                                        \
		errno = SENTINEL;                 \
		long ret_ = (long)p_##name args;  \
		print_result(#name, ret_, errno); \
		ret_;                             \
	})
/* A new descriptor, closed at once. */
#define OPENS(name, args)                       \
	do {                                    \
		int fd_ = (int)TRY(name, args); \
		if (fd_ >= 0)                   \
			p_close(fd_);           \
	} while (0)

/* ---- children ---- */

static void print_end(const char *name, pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		print("%s killed by %d\n", name, WTERMSIG(status));
	else
		print("%s exited %d\n", name, WEXITSTATUS(status));
}

#define CHILD(name, body)                \
	do {                             \
		pid_t child_ = p_fork(); \
		if (child_ == 0) {       \
			body;            \
			p__exit(99);     \
		}                        \
		print_end(name, child_); \
	} while (0)

/* ---- bytes ---- */

static int
	pair[2]; /* an accepted and a connected end, so that both are watched; [0] does not block */
static char buf[64];

static struct iovec *two(char *b)
{
	static struct iovec iov[2];

	iov[0] = (struct iovec){b, 2};
	iov[1] = (struct iovec){b + 2, 3};
	return iov;
}

static struct msghdr *message(char *b)
{
	static struct msghdr msg;

	msg = (struct msghdr){.msg_iov = two(b), .msg_iovlen = 2};
	return &msg;
}

static struct mmsghdr *messages(char *b)
{
	static struct mmsghdr list[1];

	list[0] = (struct mmsghdr){.msg_hdr = *message(b)};
	return list;
}

static void feed(void)
{
	memset(buf, '.', sizeof(buf));
	p_write(pair[1], "hello", 5);
}

/* Five bytes arrive; then none; then on a descriptor that is none; then to an address that is none. */
#define READS(name, good, bad_fd, bad_address)                \
	do {                                                  \
		feed();                                       \
		TRY(name, good);                              \
		print("  %.8s\n", buf);                       \
		TRY(name, good);                              \
		TRY(name, bad_fd);                            \
		feed();                                       \
		TRY(name, bad_address);                       \
		while (p_read(pair[0], buf, sizeof(buf)) > 0) \
			continue;                             \
	} while (0)

static void reads(void)
{
	char *bad = (char *)1;
	socklen_t none = 0;

	READS(read, (pair[0], buf, 5), (-1, buf, 5), (pair[0], bad, 5));
	READS(__read, (pair[0], buf, 5), (-1, buf, 5), (pair[0], bad, 5));
	READS(__read_nocancel, (pair[0], buf, 5), (-1, buf, 5), (pair[0], bad, 5));
	READS(__read_chk, (pair[0], buf, 5, 64), (-1, buf, 5, 64), (pair[0], bad, 5, 64));
	READS(readv, (pair[0], two(buf), 2), (-1, two(buf), 2), (pair[0], two(bad), 2));
	READS(preadv2, (pair[0], two(buf), 2, -1, 0), (-1, two(buf), 2, -1, 0),
	      (pair[0], two(bad), 2, -1, 0));
	READS(preadv64v2, (pair[0], two(buf), 2, -1, 0), (-1, two(buf), 2, -1, 0),
	      (pair[0], two(bad), 2, -1, 0));
	READS(recv, (pair[0], buf, 5, 0), (-1, buf, 5, 0), (pair[0], bad, 5, 0));
	READS(recv, (pair[0], buf, 5, MSG_PEEK), (-1, buf, 5, 0), (pair[0], bad, 5, 0));
	READS(__recv, (pair[0], buf, 5, 0), (-1, buf, 5, 0), (pair[0], bad, 5, 0));
	READS(__recv_chk, (pair[0], buf, 5, 64, 0), (-1, buf, 5, 64, 0), (pair[0], bad, 5, 64, 0));
	READS(recvfrom, (pair[0], buf, 5, 0, NULL, NULL), (-1, buf, 5, 0, NULL, NULL),
	      (pair[0], bad, 5, 0, (struct sockaddr *)buf, &none));
	READS(__recvfrom_chk, (pair[0], buf, 5, 64, 0, NULL, NULL), (-1, buf, 5, 64, 0, NULL, NULL),
	      (pair[0], bad, 5, 64, 0, NULL, NULL));
	READS(recvmsg, (pair[0], message(buf), 0), (-1, message(buf), 0),
	      (pair[0], message(bad), 0));
	READS(recvmsg, (pair[0], message(buf), 0), (-1, message(buf), 0),
	      (pair[0], (struct msghdr *)bad, 0));
	READS(recvmmsg, (pair[0], messages(buf), 1, 0, NULL), (-1, messages(buf), 1, 0, NULL),
	      (pair[0], (struct mmsghdr *)bad, 1, 0, NULL));
	CHILD("__read_chk of too much", p___read_chk(pair[0], buf, 5, 4));
	CHILD("__recv_chk of too much", p___recv_chk(pair[0], buf, 5, 4, 0));
	CHILD("__recvfrom_chk of too much", p___recvfrom_chk(pair[0], buf, 5, 4, 0, NULL, NULL));
}

#define WRITES(name, good, bad_fd, bad_address)                                      \
	do {                                                                         \
		TRY(name, good);                                                     \
		memset(buf, '.', sizeof(buf));                                       \
		print("  %ld %.8s\n", (long)p_read(pair[0], buf, sizeof(buf)), buf); \
		TRY(name, bad_fd);                                                   \
		TRY(name, bad_address);                                              \
	} while (0)

static void writes(void)
{
	char word[] = "world", *bad = (char *)1;
	int out_fd = pair[1];

	WRITES(write, (out_fd, word, 5), (-1, word, 5), (out_fd, bad, 5));
	WRITES(__write, (out_fd, word, 5), (-1, word, 5), (out_fd, bad, 5));
	WRITES(__write_nocancel, (out_fd, word, 5), (-1, word, 5), (out_fd, bad, 5));
	WRITES(writev, (out_fd, two(word), 2), (-1, two(word), 2), (out_fd, two(bad), 2));
	WRITES(pwritev2, (out_fd, two(word), 2, -1, 0), (-1, two(word), 2, -1, 0),
	       (out_fd, two(bad), 2, -1, 0));
	WRITES(pwritev64v2, (out_fd, two(word), 2, -1, 0), (-1, two(word), 2, -1, 0),
	       (out_fd, two(bad), 2, -1, 0));
	WRITES(send, (out_fd, word, 5, 0), (-1, word, 5, 0), (out_fd, bad, 5, 0));
	WRITES(__send, (out_fd, word, 5, 0), (-1, word, 5, 0), (out_fd, bad, 5, 0));
	WRITES(sendto, (out_fd, word, 5, 0, NULL, 0), (-1, word, 5, 0, NULL, 0),
	       (out_fd, bad, 5, 0, NULL, 0));
	WRITES(sendmsg, (out_fd, message(word), 0), (-1, message(word), 0),
	       (out_fd, message(bad), 0));
	WRITES(sendmmsg, (out_fd, messages(word), 1, 0), (-1, messages(word), 1, 0),
	       (out_fd, (struct mmsghdr *)bad, 1, 0));
	WRITES(__sendmmsg, (out_fd, messages(word), 1, 0), (-1, messages(word), 1, 0),
	       (out_fd, (struct mmsghdr *)bad, 1, 0));
}

static void moves(void)
{
	off_t at = 1;
	off64_t at64 = 2;
	int pipes[2], file = (int)TRY(open, ("file", O_RDWR | O_CREAT | O_TRUNC, 0600));

	p_write(file, "abcdef", 6);
	TRY(sendfile, (pair[1], file, &at, 3));
	TRY(sendfile64, (pair[1], file, &at64, 3));
	TRY(sendfile, (-1, file, &at, 3));
	print("  %ld %.8s at %ld %ld\n", (long)p_read(pair[0], buf, sizeof(buf)), buf, at, at64);
	TRY(pipe, (pipes));
	p_write(pipes[1], "through", 7);
	TRY(splice, (pipes[0], NULL, pair[1], NULL, 7, 0));
	TRY(splice, (pair[0], NULL, pipes[1], NULL, 7, SPLICE_F_MOVE));
	TRY(splice, (-1, NULL, pipes[1], NULL, 7, 0));
	print("  %ld %.8s\n", (long)p_read(pipes[0], buf, sizeof(buf)), buf);
	p_close(pipes[0]);
	p_close(pipes[1]);
	p_close(file);
}

/* ---- connections ---- */

static int listener(struct sockaddr_in *ret_addr)
{
	socklen_t len = sizeof(*ret_addr);
	int fd = (int)TRY(socket, (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(fd, (struct sockaddr *)ret_addr, len);
	TRY(listen, (fd, 5));
	getsockname(fd, (struct sockaddr *)ret_addr, &len);
	return fd;
}

#define ACCEPTS(name, args)                                                      \
	do {                                                                     \
		int client_ = (int)TRY(__socket, (AF_INET, SOCK_STREAM, 0));     \
		TRY(connect, (client_, (struct sockaddr *)&addr, sizeof(addr))); \
		len = sizeof(peer);                                              \
		int server_ = (int)TRY(name, args);                              \
		print("  peer of family %d, %u bytes\n", peer.sin_family, len);  \
		TRY(shutdown, (client_, SHUT_WR));                               \
		TRY(read, (server_, buf, 5));                                    \
		TRY(close, (server_));                                           \
		TRY(__close, (client_));                                         \
		TRY(name, args);                                                 \
	} while (0)

static void connections(void)
{
	struct sockaddr_in addr, peer;
	socklen_t len = 0;
	int fd = listener(&addr), fds[2], client;

	ACCEPTS(accept, (fd, (struct sockaddr *)&peer, &len));
	ACCEPTS(accept4, (fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC));
	ACCEPTS(uv__accept4, (fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK));
	TRY(accept, (-1, NULL, NULL));
	TRY(accept4, (fd, NULL, NULL, -1));
	TRY(listen, (-1, 0));
	TRY(__close_nocancel, (fd));
	TRY(close, (fd));
	client = p_socket(AF_INET, SOCK_STREAM, 0);
	TRY(__connect, (client, (struct sockaddr *)&addr, sizeof(addr)));
	TRY(connect, (-1, (struct sockaddr *)&addr, sizeof(addr)));
	TRY(shutdown, (client, SHUT_RDWR));
	p_close(client);
	TRY(socket, (-1, 0, 0));
	TRY(socketpair, (AF_UNIX, SOCK_SEQPACKET, 0, fds));
	print("  %d %d\n", fds[0], fds[1]);
	p_close(fds[0]);
	p_close(fds[1]);
	TRY(socketpair, (AF_UNIX, 99, 0, fds));
}

/* ---- descriptors ---- */

static void descriptors(void)
{
	int unread;

	OPENS(dup, (pair[0]));
	TRY(dup, (-1));
	OPENS(dup2, (pair[0], 40));
	OPENS(__dup2, (pair[0], 41));
	OPENS(dup3, (pair[0], 42, O_CLOEXEC));
	TRY(dup3, (pair[0], pair[0], 0));
	OPENS(fcntl, (pair[0], F_DUPFD, 43));
	OPENS(fcntl64, (pair[0], F_DUPFD_CLOEXEC, 44));
	OPENS(__fcntl, (pair[1], F_DUPFD, 45));
	TRY(__libc_fcntl64, (pair[1], F_GETFL, 0));
	TRY(fcntl, (-1, F_GETFL, 0));
	TRY(ioctl, (pair[0], FIONREAD, &unread));
	TRY(ioctl, (-1, FIONREAD, &unread));
	CHILD("close_range", TRY(close_range, (3, ~0u, 0)); TRY(fcntl, (pair[0], F_GETFD, 0));
	      TRY(close_range, (9, 3, 0)); p__exit(4));
	CHILD("closefrom", p_closefrom(3); print("closefrom\n"); TRY(write, (pair[0], "x", 1));
	      p__exit(5));
	FILE *file = p_fdopen(p_dup(pair[1]), "w");
	print("fdopen %d\n", file != NULL && fputs("stdio", file) >= 0 && fclose(file) == 0);
	print("  %ld %.5s\n", (long)p_read(pair[0], buf, sizeof(buf)), buf);
	file = p__IO_fdopen(p_dup(pair[1]), "w");
	print("_IO_fdopen %d\n", file != NULL && fclose(file) == 0);
	errno = SENTINEL;
	print("fdopen %d %d\n", p_fdopen(-1, "r") != NULL, errno);
}

static void waits(void)
{
	struct timespec soon = {0, 1};
	struct timeval soon_too = {0, 1};
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd fds = {.fd = pair[0], .events = POLLIN};
	int ep = (int)TRY(epoll_create, (1));
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	TRY(epoll_ctl, (ep, EPOLL_CTL_ADD, pair[0], &event));
	TRY(epoll_ctl, (ep, EPOLL_CTL_ADD, pair[0], &event));
	TRY(epoll_wait, (ep, &event, 1, 0));
	feed();
	TRY(epoll_wait, (ep, &event, 1, -1));
	TRY(epoll_pwait, (ep, &event, 1, 0, NULL));
	TRY(epoll_pwait2, (ep, &event, 1, &soon, NULL));
	TRY(poll, (&fds, 1, 0));
	TRY(__poll, (&fds, 1, 0));
	TRY(__poll_chk, (&fds, 1, 0, sizeof(fds)));
	TRY(ppoll, (&fds, 1, &soon, NULL));
	TRY(__ppoll_chk, (&fds, 1, &soon, NULL, sizeof(fds)));
	TRY(select, (pair[0] + 1, &set, NULL, NULL, &soon_too));
	TRY(__select, (pair[0] + 1, &set, NULL, NULL, &soon_too));
	TRY(pselect, (pair[0] + 1, &set, NULL, NULL, &soon, NULL));
	TRY(epoll_wait, (-1, &event, 1, 0));
	TRY(select, (-1, NULL, NULL, NULL, NULL));
	p_read(pair[0], buf, sizeof(buf));
	p_close(ep);
}

/* ---- new descriptors ---- */

static void temporary(void)
{
	char a[] = "aXXXXXX", b[] = "bXXXXXX", c[] = "cXXXXXX.x", d[] = "dXXXXXX.x";
	char e[] = "eXXXXXX", f[] = "fXXXXXX", g[] = "gXXXXXX.x", h[] = "hXXXXXX.x";

	OPENS(mkstemp, (a));
	OPENS(mkostemp, (b, O_CLOEXEC));
	OPENS(mkstemps, (c, 2));
	OPENS(mkostemps, (d, 2, 0));
	OPENS(mkstemp64, (e));
	OPENS(mkostemp64, (f, 0));
	OPENS(mkstemps64, (g, 2));
	OPENS(mkostemps64, (h, 2, 0));
	OPENS(mkstemp, ((char[]){"short"}));
	for (char *const *name = (char *const[]){a, b, c, d, e, f, g, h, NULL}; *name; name++)
		unlink(*name);
}

static void files(void)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle = {.h.handle_bytes = 0};
	int pipes[2];

	OPENS(open, ("file", O_RDWR, 0));
	OPENS(open64, ("file", O_RDWR, 0));
	OPENS(__open, ("file", O_RDWR, 0));
	OPENS(__open64, ("file", O_RDWR, 0));
	OPENS(__open_nocancel, ("file", O_RDWR, 0));
	OPENS(__open64_nocancel, ("file", O_RDWR, 0));
	OPENS(__open_2, ("file", O_RDWR));
	OPENS(__open64_2, ("file", O_RDWR));
	OPENS(openat, (AT_FDCWD, "file", O_RDWR, 0));
	OPENS(openat64, (AT_FDCWD, "file", O_RDWR, 0));
	OPENS(__openat_2, (AT_FDCWD, "file", O_RDWR));
	OPENS(__openat64_2, (AT_FDCWD, "file", O_RDWR));
	OPENS(creat, ("file", 0600));
	OPENS(creat64, ("file", 0600));
	OPENS(open, ("no such file", O_RDWR, 0));
	OPENS(__open_2, ("no such file", O_RDWR));
	OPENS(open_by_handle_at, (AT_FDCWD, &handle.h, O_RDONLY));
	OPENS(open_tree, (AT_FDCWD, ".", 0));
	TRY(__pipe, (pipes));
	print("  %d %d\n", pipes[0], pipes[1]);
	p_close(pipes[0]);
	p_close(pipes[1]);
	TRY(pipe2, (pipes, O_CLOEXEC));
	p_close(pipes[0]);
	p_close(pipes[1]);
	TRY(pipe2, (pipes, -1));
	temporary();
}

static void kernels(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	OPENS(eventfd, (1, EFD_CLOEXEC));
	OPENS(signalfd, (-1, &mask, 0));
	OPENS(timerfd_create, (CLOCK_MONOTONIC, 0));
	OPENS(timerfd_create, (-1, 0));
	OPENS(epoll_create1, (EPOLL_CLOEXEC));
	OPENS(memfd_create, ("twin", 0));
	OPENS(inotify_init, ());
	OPENS(inotify_init1, (0));
	OPENS(fanotify_init, (0, 0));
	OPENS(pidfd_open, (getpid(), 0));
	OPENS(pidfd_getfd, (-1, 0, 0));
	OPENS(mq_open, ("/shakedown-twin-no-such-queue", O_RDONLY, 0, NULL));
	OPENS(__mq_open_2, ("/shakedown-twin-no-such-queue", O_RDONLY));
	OPENS(shm_open, ("/shakedown-twin-no-such-memory", O_RDONLY, 0));
	OPENS(posix_openpt, (O_RDWR | O_NOCTTY));
}

/* ---- processes ---- */

static int clone_child(void *arg)
{
	p__exit(*(int *)arg);
	return 0;
}

static void forks(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int eleven = 11, line, fds[2];
	pid_t child;

#define FORKS(name, args, status)        \
	do {                             \
		child = p_##name args;   \
		if (child == 0)          \
			p__exit(status); \
		print_end(#name, child); \
	} while (0)
	FORKS(fork, (), 2);
	FORKS(__fork, (), 3);
	FORKS(__libc_fork, (), 4);
	FORKS(_Fork, (), 5);
	FORKS(vfork, (), 6);
	FORKS(__vfork, (), 7);
	print_end("clone", p_clone(clone_child, stack + sizeof(stack),
				   CLONE_VM | CLONE_VFORK | SIGCHLD, &eleven));
	print_end("__clone", p___clone(clone_child, stack + sizeof(stack), SIGCHLD, &eleven));
	TRY(clone, (NULL, NULL, 0, NULL));
	child = p_forkpty(&line, NULL, NULL, NULL);
	if (child == 0)
		p__exit(8);
	print_end("forkpty", child);
	if (child > 0)
		p_close(line);
	/* The daemon answers through a pipe. */
	p_pipe(fds);
	child = p_fork();
	if (child == 0) {
		int ret = p_daemon(1, 1);
		p_write(fds[1], ret == 0 ? "daemon" : "failed", 6);
		p__exit(0);
	}
	p_close(fds[1]);
	print("daemon %ld\n", (long)p_read(fds[0], buf, 6));
	p_close(fds[0]);
	print_end("daemon's parent", child);
}

/* An environment that ends at the end of a page, with or without the NULL that should end it. */
static char **long_list(bool ends)
{
	enum {
		PAGE = 4096,
		WORDS = PAGE / sizeof(char *)
	};
	char **list =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap((char *)list + PAGE, PAGE);
	for (int i = 0; i < WORDS; i++)
		list[i] = ends && i == WORDS - 1 ? NULL : "NAME=value";
	return list;
}

static void execs(void)
{
	char *argv[] = {"sh", "-c", "exit ${CODE:-9}", NULL};
	char *envp[] = {"CODE=21", "PATH=/usr/bin:/bin", NULL};
	posix_spawn_file_actions_t actions;
	pid_t child;

	CHILD("execve", p_execve("/bin/sh", argv, envp));
	CHILD("execveat", p_execveat(AT_FDCWD, "/bin/sh", argv, envp, 0));
	CHILD("fexecve", p_fexecve(p_open("/bin/sh", O_RDONLY, 0), argv, envp));
	CHILD("execv", p_execv("/bin/sh", argv));
	CHILD("execvp", p_execvp("sh", argv));
	CHILD("execvpe", p_execvpe("sh", argv, envp));
	CHILD("execl", p_execl("/bin/sh", "sh", "-c", "exit 22", NULL));
	CHILD("execlp", p_execlp("sh", "sh", "-c", "exit 23", NULL));
	CHILD("execle", p_execle("/bin/sh", "sh", "-c", argv[2], NULL, envp));
	CHILD("execve without arguments", p_execve("/bin/true", (char *[]){NULL}, NULL));
	TRY(execve, ("/no such file", argv, envp));
	TRY(execveat, (-1, "no such file", argv, envp, 0));
	TRY(fexecve, (-1, argv, envp));
	TRY(execv, ("/no such file", argv));
	TRY(execvp, ("no such file", argv));
	TRY(execvpe, ("no such file", argv, envp));
	TRY(execl, ("/no such file", "a", "b", NULL));
	TRY(execlp, ("no such file", "a", NULL));
	TRY(execle, ("/no such file", NULL, envp));
	TRY(execve, ("/bin/true", argv, (char **)1));
	TRY(execve, ("/bin/true", argv, ((char *[]){"A=1", (char *)1, NULL})));
	TRY(execve, ("/bin/true", argv, long_list(false)));
	CHILD("execve with many variables", p_execve("/bin/true", argv, long_list(true)));
	posix_spawn_file_actions_init(&actions);
	TRY(posix_spawn, (&child, "/bin/sh", &actions, NULL, argv, envp));
	print_end("posix_spawn", child);
	TRY(posix_spawnp, (&child, "sh", NULL, NULL, argv, envp));
	print_end("posix_spawnp", child);
	TRY(posix_spawn, (&child, "/no such file", NULL, NULL, argv, envp));
	posix_spawn_file_actions_destroy(&actions);
	print("system %d\n", WEXITSTATUS(system("exit 24")));
	FILE *file = popen("echo popen", "r");
	print("popen %.5s", file && fgets(buf, 10, file) ? buf : "none");
	print(" %d\n", pclose(file));
}

static void ends(void)
{
	CHILD("_exit", p__exit(31));
	CHILD("_Exit", p__Exit(32));
	CHILD("exit", p_exit(33));
	CHILD("quick_exit", p_quick_exit(34));
}

static void rights(void)
{
	uid_t u = getuid(), none = (uid_t)-1;
	gid_t g = getgid();

	TRY(setuid, (u));
	TRY(setgid, (g));
	TRY(seteuid, (u));
	TRY(setegid, (g));
	TRY(setreuid, (none, u));
	TRY(setregid, (none, g));
	TRY(setresuid, (u, u, u));
	TRY(setresgid, (g, g, g));
	TRY(setfsuid, (u));
	TRY(setfsgid, (g));
	TRY(seteuid, (none));
	TRY(capset, (NULL, NULL));
	TRY(unshare, (0));
	TRY(unshare, (-1));
	TRY(setns, (-1, 0));
	TRY(mlockall, (MCL_FUTURE | MCL_ONFAULT));
	TRY(mlockall, (-1));
	munlockall();
	TRY(prctl, (PR_GET_DUMPABLE, 0, 0, 0, 0));
	TRY(prctl, (PR_SET_SECCOMP, 99, 0, 0, 0));
	TRY(prctl, (-1, 0, 0, 0, 0));
}

/* ---- syscall() ---- */

#define NUMBER(name, ...)                                         \
	({                                                        \
		errno = SENTINEL;                                 \
		long ret_ = p_syscall(SYS_##name, ##__VA_ARGS__); \
		print_result("syscall " #name, ret_, errno);      \
		ret_;                                             \
	})

static void numbers(void)
{
	char *argv[] = {"sh", "-c", "exit ${CODE:-9}", NULL}, *envp[] = {"CODE=25", NULL};
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);
	char *page;

	NUMBER(write, pair[1], "number", 6);
	NUMBER(recvfrom, pair[0], buf, 64L, 0L, &peer, &len);
	print("  %.6s, peer %u bytes\n", buf, len);
	NUMBER(read, -1, buf, 1);
	NUMBER(close, -1);
	NUMBER(openat2, AT_FDCWD, "file", NULL, 0);
	NUMBER(userfaultfd, -1);
	NUMBER(perf_event_open, NULL, 0, 0, -1, 0);
	NUMBER(clone3, NULL, 0);
	NUMBER(seccomp, 99, 0, NULL);
	NUMBER(io_uring_setup, 0, NULL);
	NUMBER(preadv2, pair[0], two(buf), 2L, -1L, 0L, 0L);
	NUMBER(close_range, 9, 3, 0);
	p_close((int)NUMBER(socket, AF_INET, SOCK_STREAM, 0));
	p_close((int)NUMBER(epoll_create1, 0));
	/* Seven words, all of which count: the second page of a file. */
	int file = p_open("pages", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ftruncate(file, 8192);
	pwrite(file, "second", 6, 4096);
	page = (char *)p_syscall(SYS_mmap, NULL, 4096L, (long)PROT_READ, (long)MAP_PRIVATE,
				 (long)file, 4096L);
	print("syscall mmap %.6s\n", page);
	munmap(page, 4096);
	p_close(file);
	CHILD("syscall execve", p_syscall(SYS_execve, "/bin/sh", argv, envp));
	CHILD("syscall execveat", p_syscall(SYS_execveat, AT_FDCWD, "/bin/sh", argv, envp, 0));
	CHILD("syscall exit_group", p_syscall(SYS_exit_group, 26));
	pid_t child = (pid_t)p_syscall(SYS_fork);
	if (child == 0)
		p_syscall(SYS_exit_group, 27);
	print_end("syscall fork", child);
	print("syscall getpid %d\n", p_syscall(SYS_getpid) == getpid());
}

static void libraries(void)
{
	void *self = p_dlopen(NULL, RTLD_NOW), *math = p_dlopen("libm.so.6", RTLD_NOW);

	print("dlopen %d %d %d\n", self != NULL, math != NULL && dlsym(math, "cos") != NULL,
	      p_dlopen("/no such library", RTLD_NOW) != NULL);
	print("dlmopen %d\n", p_dlmopen(LM_ID_BASE, "libm.so.6", RTLD_NOW) == math);
}

static void connect_pair(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = (int)TRY(socket, (AF_UNIX, SOCK_STREAM, 0));

	unlink(addr.sun_path);
	print("bind %d\n", bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	TRY(listen, (fd, 1));
	pair[1] = (int)TRY(socket, (AF_UNIX, SOCK_STREAM, 0));
	TRY(connect, (pair[1], (struct sockaddr *)&addr, sizeof(addr)));
	pair[0] = (int)TRY(accept4, (fd, NULL, NULL, SOCK_CLOEXEC));
	TRY(close, (fd));
}

static void run(void)
{
	out = mmap(NULL, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	out_len = (size_t *)(out + 65536);
	find_all();
	unsetenv("LD_PRELOAD"); /* what is executed below shall not be a twin again */
	connect_pair();
	p_fcntl(pair[0], F_SETFL, O_NONBLOCK);
	reads();
	writes();
	moves();
	connections();
	descriptors();
	waits();
	files();
	kernels();
	forks();
	execs();
	ends();
	rights();
	numbers();
	libraries();
	for (size_t at = 0; at < *out_len;)
		at += (size_t)p_write(1, out + at, *out_len - at);
}

#ifdef EARLY
__attribute__((constructor)) static void early(void)
{
	run();
}
#else
int main(void)
{
	run();
	return 0;
}
#endif
