/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A server whose threads each accept and serve on their own, with calls that block: fault_server [-v]
 * THREADS PORT.  GET .../N is answered with a body of N bytes; a handshake with a 101, then every masked
 * frame comes back unmasked.  -v: reads and writes go through readv, writev and recvmsg.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	ROOM = 128 * 1024,
};

static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int vectors, listener;

static ssize_t get(int fd, char *to, size_t n)
{
	struct iovec v[2] = {{to, n / 2}, {to + n / 2, n - n / 2}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

	if (!vectors || n < 2)
		return read(fd, to, n);
	return n & 1 ? readv(fd, v, 2) : recvmsg(fd, &m, 0);
}

/* A call that blocks moves all of it, or fails: what it would be made of after a short one is seen. */
static int put(int fd, const char *from, size_t n)
{
	struct iovec v[2] = {{(char *)from, n / 2}, {(char *)from + n / 2, n - n / 2}};

	return vectors && n > 1 ? writev(fd, v, 2) == (ssize_t)n
				: send(fd, from, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static int answer(int fd, const char *head, char *room)
{
	const char *end = strchr(head, '\r'), *slash = head;
	int n, size = 0;

	for (const char *p = head; p < end; p++) {
		if (*p == '/' && strncmp(p, "/1.1", 4))
			slash = p;
	}
	size = atoi(slash + 1) % (ROOM - 200);
	n = sprintf(room, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size);
	for (int i = 0; i < size; i++)
		room[n + i] = (char)('a' + i % 26);
	return put(fd, room, (size_t)(n + size));
}

/* Frames of at most 125 bytes. */
static int echo(int fd, char *in, size_t have)
{
	char out[2 + 125];

	for (;;) {
		size_t at = 0;

		while (have - at >= 6 && have - at >= 6 + (size_t)(in[at + 1] & 0x7f)) {
			size_t n = in[at + 1] & 0x7f;

			out[0] = in[at];
			out[1] = (char)n;
			for (size_t i = 0; i < n; i++)
				out[2 + i] = in[at + 6 + i] ^ in[at + 2 + i % 4];
			if (!put(fd, out, 2 + n))
				return 0;
			at += 6 + n;
		}
		memmove(in, in + at, have - at);
		have -= at;
		ssize_t got = get(fd, in + have, 4096 - have);

		if (got <= 0)
			return 0;
		have += (size_t)got;
	}
}

static void serve(int fd, char *in, char *room)
{
	size_t have = 0;
	int on = 1;

	while (on) {
		char *end = NULL;

		in[have] = '\0';
		while (!(end = strstr(in, "\r\n\r\n"))) {
			ssize_t got = get(fd, in + have, 4095 - have);

			if (got <= 0)
				return;
			have += (size_t)got;
			in[have] = '\0';
		}
		have -= (size_t)(end + 4 - in);
		if (strstr(in, "Upgrade:"))
			on = put(fd, switched, sizeof(switched) - 1);
		else
			on = answer(fd, in, room);
		if (strstr(in, "Upgrade:") && on) {
			memmove(in, end + 4, have);
			echo(fd, in, have);
			return;
		}
		memmove(in, end + 4, have);
	}
}

static void *run(void *arg)
{
	char *in = malloc(4096), *room = malloc(ROOM);
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd, in, room);
		close(fd);
	}
	return arg;
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)atoi(argv[argc - 1])),
				   .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int on = 1, threads = atoi(argv[argc - 2]);
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	vectors = argc > 3;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)))
		return 1;
	while (--threads > 0)
		pthread_create(&thread, NULL, run, NULL);
	if (listen(listener, 64))
		return 1;
	run(NULL);
	return 0;
}
