/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A server that is process 1 of a pid namespace: between request and answer a child, process 1 of
 * another namespace that borrows its memory, closes what it inherited and executes "true".
 */
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char request[] = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			     "Connection: Upgrade\r\n"
			     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static char stack[65536] __attribute__((aligned(16)));
static int peer;

static int child(void *unused)
{
	char *const argv[] = {(char *)"true", NULL};

	(void)unused;
	close(peer);
	execv("/bin/true", argv);
	return 1;
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), status = 0;
	char text[1024];
	pid_t pid;

	if (bind(l, (void *)&a, n) || listen(l, 1) || getsockname(l, (void *)&a, &n) ||
	    connect(c, (void *)&a, n))
		return 2;
	peer = accept(l, NULL, NULL);
	if (getpid() != 1 || write(c, request, strlen(request)) < 0 ||
	    read(peer, text, sizeof(text)) <= 0)
		return 3;
	pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_NEWPID | SIGCHLD,
		    NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 4;
	if (write(peer, answer, strlen(answer)) < 0 || read(c, text, sizeof(text)) <= 0)
		return 5;
	return 0;
}
