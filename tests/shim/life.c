/* SPDX-License-Identifier: BSD-2-Clause
 *
 * life: one server that answers one upgrade in the middle of something a process does with its life.
 *
 *     life SCENARIO [ARGUMENT...]
 *
 * (1) Its own client enters the kernel directly, so that only the server's side goes through libc.
 * (2) The path of the upgrade is "/" and the scenario's name; the test looks for it in the report.
 * (3) Prints what must be the same with and without the shim; exit status 0 when all went well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#ifndef __GLIBC__ /* musl leaves these to the program */
#define close_range(first, last, flags)	       syscall(SYS_close_range, first, last, flags)
#define closefrom(first)		       syscall(SYS_close_range, first, ~0u, 0)
#define execveat(dir, path, argv, envp, flags) syscall(SYS_execveat, dir, path, argv, envp, flags)
#endif

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

/* ---- the client: nothing of this is seen ---- */

static long direct(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static int client_connect(int listener)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = (int)direct(SYS_socket, AF_INET, SOCK_STREAM, 0);

	must(getsockname(listener, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	/* Out of the way, so that the server's numbers are those of a server. */
	int high = (int)direct(SYS_dup2, fd, 300, 0);
	direct(SYS_close, fd, 0, 0);
	must(direct(SYS_connect, high, (long)&addr, len) == 0, "connect");
	return high;
}

static void client_ask(int fd, const char *path)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
			 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			 path);

	must(direct(SYS_write, fd, (long)text, n) == n, "client's write");
}

static void client_check(int fd)
{
	char text[512] = "";
	long n = direct(SYS_read, fd, (long)text, sizeof(text) - 1);

	must(n > 12 && memcmp(text, "HTTP/1.1 101", 12) == 0, "client's read");
	must(direct(SYS_write, fd, (long)"\x88\x82\0\0\0\0\x03\xe8", 8) == 8, "client's close");
	direct(SYS_close, fd, 0, 0);
}

/* ---- the server ---- */

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			     "Connection: Upgrade\r\n"
			     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char close_frame[] = "\x88\x02\x03\xe8";

static int listener, client, conn;

static void serve(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
	must(listen(listener, 5) == 0, "listen");
}

/* A client comes and asks; the server has accepted, but not yet read. */
static void arrive(const char *path)
{
	client = client_connect(listener);
	conn = accept(listener, NULL, NULL);
	must(conn >= 0, "accept");
	client_ask(client, path);
}

static void take(void)
{
	char text[1024];

	must(read(conn, text, sizeof(text)) > 0, "read");
}

static void reply(void)
{
	must(write(conn, answer, sizeof(answer) - 1) == sizeof(answer) - 1, "write");
	must(write(conn, close_frame, 4) == 4, "write");
}

static void leave(void)
{
	client_check(client);
	take();
	must(close(conn) == 0, "close");
}

static void whole(const char *path)
{
	arrive(path);
	take();
	reply();
	leave();
}

static int status_of(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- scenarios ---- */

static void plain(char **argv)
{
	serve();
	whole(argv[2] ? argv[2] : argv[1]);
}

/* The child shares our memory but not our descriptors: what it closes is still open here. */
static void in_vfork(char **argv)
{
	serve();
	arrive(argv[1]);
	take();
	pid_t child = vfork();
	if (child == 0) {
		close(conn);
		close_range(5, 200, 0);
		dup2(0, conn + 1);
		dup2(conn + 1, conn);
		execl("/no such file", "x", NULL);
		_exit(41);
	}
	printf("child %d\n", status_of(child));
	child = vfork();
	if (child == 0) {
		char *nothing[] = {NULL};
		execle("/bin/sh", "sh", "-c", "exit 42", NULL, nothing);
		_exit(43);
	}
	printf("child %d\n", status_of(child));
	reply();
	leave();
}

static int clone_child(void *arg)
{
	close(conn);
	dup2(*(int *)arg, conn);
	_exit(44);
}

static void in_clone(char **argv)
{
	static char stack[65536] __attribute__((aligned(16)));
	int zero = 0;

	serve();
	arrive(argv[1]);
	take();
	printf("child %d\n", status_of(clone(clone_child, stack + sizeof(stack),
					     CLONE_VM | CLONE_VFORK | SIGCHLD, &zero)));
	reply();
	leave();
}

/* Where a child that syscall() makes on a stack of its own returns to. */
static void numbered_child(void)
{
	int zero = 0;

	clone_child(&zero);
	_exit(46);
}

static void in_numbered_clone(char **argv)
{
	static void *stack[8192] __attribute__((aligned(16)));
	void **top = &stack[8192 - 4];

	*top = (void *)numbered_child;
	serve();
	arrive(argv[1]);
	take();
	printf("child %d\n", status_of((pid_t)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD,
						      top, NULL, NULL, NULL)));
	reply();
	leave();
}

static void in_spawn(char **argv)
{
	posix_spawn_file_actions_t actions;
	char *args[] = {"sh", "-c", "exit 45", NULL};
	pid_t child;

	serve();
	arrive(argv[1]);
	take();
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, conn);
	posix_spawn_file_actions_adddup2(&actions, 0, conn + 1);
	must(posix_spawn(&child, "/bin/sh", &actions, NULL, args, environ) == 0, "posix_spawn");
	printf("child %d\n", status_of(child));
	must(posix_spawnp(&child, "sh", NULL, NULL, args, NULL) == 0, "posix_spawnp");
	printf("child %d\n", status_of(child));
	reply();
	leave();
}

static void in_popen(char **argv)
{
	char line[16] = "";

	serve();
	arrive(argv[1]);
	take();
	FILE *file = popen("echo hello; exit 46", "r");
	must(file && fgets(line, sizeof(line), file), "popen");
	printf("%s%d\n", line, WEXITSTATUS(pclose(file)));
	reply();
	leave();
}

static void in_system(char **argv)
{
	serve();
	arrive(argv[1]);
	take();
	printf("child %d\n", WEXITSTATUS(system("exit 47")));
	reply();
	leave();
}

/* The classic: fork, setsid, fork, descriptors away; the listener was made before. */
static void in_daemon(char **argv)
{
	int done[2], null;
	char ok = 0;

	serve();
	must(pipe(done) == 0, "pipe");
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			null = open("/dev/null", O_RDWR);
			for (int fd = 0; fd < 3; fd++)
				dup2(null, fd);
			close(null);
			whole(argv[1]);
			must(write(done[1], "k", 1) == 1, "write");
			exit(0);
		}
		_exit(0);
	}
	close(done[1]);
	must(read(done[0], &ok, 1) == 1 && ok == 'k', "the daemon's word");
	printf("daemon served\n");
}

static void in_fork(char **argv)
{
	serve();
	arrive(argv[1]);
	pid_t child = fork();
	if (child == 0) {
		take();
		reply();
		leave();
		exit(48);
	}
	close(conn);
	printf("child %d\n", status_of(child));
}

/* A message with one descriptor in it. */
static struct msghdr *parcel(int fd)
{
	static union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	static char byte = 'p';
	static struct iovec iov = {&byte, 1};
	static struct msghdr msg;

	msg = (struct msghdr){.msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control)};
	control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
					.cmsg_level = SOL_SOCKET,
					.cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	return &msg;
}

/* One process accepts, another one serves what it was handed, over a socket nobody watches. */
static void handed_over(char **argv)
{
	int way[2];

	serve();
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, way) == 0, "socketpair");
	pid_t child = fork();
	if (child == 0) {
		conn = accept(listener, NULL, NULL);
		must(sendmsg(way[1], parcel(conn), 0) == 1, "sendmsg");
		_exit(52);
	}
	client = client_connect(listener);
	struct msghdr *msg = parcel(-1);
	must(recvmsg(way[0], msg, 0) == 1, "recvmsg");
	memcpy(&conn, CMSG_DATA(CMSG_FIRSTHDR(msg)), sizeof(int));
	printf("child %d\n", status_of(child));
	client_ask(client, argv[1]);
	take();
	reply();
	leave();
}

/* ---- threads and signals ---- */

enum {
	READ,
	RECV,
	READV,
	RECVMSG,
	ACCEPT,
	WAYS
};
static int cleaned;

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *block(void *way)
{
	char text[16];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	pthread_cleanup_push(clean, NULL);
	switch (*(int *)way) {
	case READ:
		read(conn, text, sizeof(text));
		break;
	case RECV:
		recv(conn, text, sizeof(text), 0);
		break;
	case READV:
		readv(conn, &iov, 1);
		break;
	case RECVMSG:
		recvmsg(conn, &msg, 0);
		break;
	case ACCEPT:
		accept(listener, NULL, NULL);
		break;
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* True when some thread of ours other than the first sleeps in the kernel. */
static int is_blocked(void)
{
	char path[64], text[256];
	int tid, asleep = 0;
	FILE *tasks = popen("ls /proc/$PPID/task", "r");

	while (fscanf(tasks, "%d", &tid) == 1) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
		FILE *stat = tid == getpid() ? NULL : fopen(path, "r");
		if (stat && fgets(text, sizeof(text), stat))
			asleep = strstr(text, ") S ") != NULL;
		if (stat)
			fclose(stat);
	}
	pclose(tasks);
	return asleep;
}

static void cancelled(char **argv)
{
	serve();
	client = client_connect(listener);
	conn = accept(listener, NULL, NULL);
	for (int way = 0; way < WAYS; way++) {
		pthread_t thread;
		void *result;

		must(pthread_create(&thread, NULL, block, &way) == 0, "pthread_create");
		while (!is_blocked())
			sched_yield();
		pthread_cancel(thread);
		pthread_join(thread, &result);
		printf("%d %s %d\n", way, result == PTHREAD_CANCELED ? "cancelled" : "returned",
		       cleaned);
	}
	client_ask(client, argv[1]);
	take();
	reply();
	leave();
}

static void on_signal(int number)
{
	int kept = errno;

	(void)number;
	reply();
	errno = kept;
}

static void *poke(void *thread)
{
	while (!is_blocked())
		sched_yield();
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	client_check(client);
	return NULL;
}

static void *wait_for_peer(void *arg)
{
	char text[16];

	(void)arg;
	printf("close frame %zd\n", read(conn, text, sizeof(text)));
	return NULL;
}

/* The handler writes to the connection that the interrupted thread is reading. */
static void signalled(char **argv)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pthread_t reader;

	sigaction(SIGUSR1, &action, NULL);
	serve();
	arrive(argv[1]);
	take();
	pthread_create(&reader, NULL, wait_for_peer, NULL);
	poke(&reader);
	pthread_join(reader, NULL);
	close(conn);
}

/* ---- rights, many closes ---- */

static void without_rights(char **argv)
{
	uid_t uid = getuid() == 0 ? 65534 : getuid();

	serve();
	must(setgid(getuid() == 0 ? 65534 : getgid()) == 0, "setgid");
	must(setuid(uid) == 0, "setuid");
	printf("rights changed %d\n", getuid() == uid);
	whole(argv[1]);
}

static void forked_without_rights(char **argv)
{
	serve();
	pid_t child = fork();
	if (child == 0) {
		must(setuid(getuid() == 0 ? 65534 : getuid()) == 0, "setuid");
		whole(argv[1]);
		exit(49);
	}
	printf("child %d\n", status_of(child));
}

/* The rights go in a way nobody sees, before the child makes any other call. */
static void forked_without_a_word(char **argv)
{
	serve();
	pid_t child = fork();
	if (child == 0) {
		must(direct(SYS_setuid, getuid() == 0 ? 65534 : getuid(), 0, 0) == 0, "setuid");
		whole(argv[1]);
		exit(51);
	}
	printf("child %d\n", status_of(child));
}

/* The connection goes with a range; the next one gets its number. */
static void ranged(char **argv)
{
	int first;

	serve();
	for (int way = 0; way < 4; way++) {
		char path[64];

		snprintf(path, sizeof(path), "%s-%d", argv[1], way);
		arrive(path);
		first = way ? first : conn;
		must(conn == first, "the same number again");
		take();
		reply();
		client_check(client);
		take();
		if (way == 0)
			must(close_range((unsigned)conn, (unsigned)conn + 20, 0) == 0,
			     "close_range");
		else if (way == 2)
			closefrom(conn); /* the client's end too, which is closed already */
		else if (way == 1)
			must(syscall(SYS_close_range, conn, conn + 20, 0) == 0, "close_range");
	}
	must(conn > listener && close(conn) == 0, "close");
	printf("closed %d\n", fcntl(conn, F_GETFD) < 0);
}

/* ---- exec ---- */

static void show(char **argv)
{
	char line[4096];
	int mapped = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), maps))
		mapped |= strstr(line, "/libshakedown.so") != NULL;
	fclose(maps);
	printf("%s mapped %d\n", argv[2] ? argv[2] : "", mapped);
	for (char **e = environ; *e; e++)
		printf("%s\n", *e);
}

/* exec HOW: replace ourselves by `life plain HOW`, handing on an empty environment. */
static void by_exec(char **argv)
{
	char *how = argv[2], *self = "/proc/self/exe", *envp[] = {"KEPT=1", NULL};
	char *args[] = {"life", argv[3], how, NULL};
	pid_t child;

	setenv("PATH", "/proc/self", 1);
	if (strcmp(how, "execve") == 0)
		execve(self, args, envp);
	else if (strcmp(how, "execveat") == 0)
		execveat(AT_FDCWD, self, args, envp, 0);
	else if (strcmp(how, "fexecve") == 0)
		fexecve(open(self, O_RDONLY | O_CLOEXEC), args, envp);
	else if (strcmp(how, "execvpe") == 0)
		execvpe("exe", args, envp);
	else if (strcmp(how, "execle") == 0)
		execle(self, "life", argv[3], how, NULL, envp);
	else if (strcmp(how, "number") == 0)
		syscall(SYS_execve, self, args, envp);
	else if (strcmp(how, "number-at") == 0)
		syscall(SYS_execveat, AT_FDCWD, self, args, envp, 0);
	else if (strcmp(how, "posix_spawn") == 0 &&
		 posix_spawn(&child, self, NULL, NULL, args, envp) == 0)
		exit(status_of(child));
	else if (strcmp(how, "posix_spawnp") == 0 &&
		 posix_spawnp(&child, "exe", NULL, NULL, args, envp) == 0)
		exit(status_of(child));
	else if (strcmp(how, "vfork") == 0 && (child = vfork()) >= 0) {
		if (child == 0) {
			execve(self, args, envp);
			_exit(50);
		}
		exit(status_of(child));
	}
	environ = envp; /* for those that take none */
	if (strcmp(how, "execv") == 0)
		execv(self, args);
	setenv("PATH", "/proc/self", 1);
	if (strcmp(how, "execvp") == 0)
		execvp("exe", args);
	else if (strcmp(how, "execl") == 0)
		execl(self, "life", argv[3], how, NULL);
	else if (strcmp(how, "execlp") == 0)
		execlp("exe", "life", argv[3], how, NULL);
	must(0, how);
}

/* exec of `life show` with this LD_PRELOAD instead of ours. */
static void with_preload(char **argv)
{
	char entry[4096];
	char *envp[] = {entry, NULL}, *args[] = {"life", "show", NULL};

	snprintf(entry, sizeof(entry), "LD_PRELOAD=%s", argv[2]);
	execve("/proc/self/exe", args, envp);
	must(0, "execve");
}

/* exec of any command with an empty environment. */
static void any(char **argv)
{
	char *envp[] = {NULL};

	execve(argv[2], argv + 2, envp);
	must(0, argv[2]);
}

/* Listens, so that there is a trace, and ends with status 61 in one of the possible ways. */
static void by_end(char **argv)
{
	serve();
	if (strcmp(argv[2], "exit") == 0)
		exit(61);
	if (strcmp(argv[2], "_exit") == 0)
		_exit(61);
	if (strcmp(argv[2], "_Exit") == 0)
		_Exit(61);
	if (strcmp(argv[2], "quick_exit") == 0)
		quick_exit(61);
	if (strcmp(argv[2], "number") == 0)
		syscall(SYS_exit_group, 61);
	if (strcmp(argv[2], "kill") == 0)
		kill(getpid(), SIGKILL);
}

static void from_elsewhere(char **argv)
{
	must(chdir("/") == 0, "chdir");
	plain(argv);
}

static const struct {
	const char *name;
	void (*run)(char **argv);
} scenarios[] = {
	{"plain", plain},
	{"vfork", in_vfork},
	{"clone", in_clone},
	{"numbered-clone", in_numbered_clone},
	{"spawn", in_spawn},
	{"popen", in_popen},
	{"system", in_system},
	{"daemon", in_daemon},
	{"fork", in_fork},
	{"cancel", cancelled},
	{"signal", signalled},
	{"setuid", without_rights},
	{"worker", forked_without_rights},
	{"silent", forked_without_a_word},
	{"range", ranged},
	{"exec", by_exec},
	{"show", show},
	{"preload", with_preload},
	{"elsewhere", from_elsewhere},
	{"run", any},
	{"end", by_end},
	{"received", handed_over},
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run(argv);
			return strcmp(argv[1], "end") == 0 ? 61 : 0;
		}
	}
	return 2;
}
