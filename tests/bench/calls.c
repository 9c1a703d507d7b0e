/* SPDX-License-Identifier: BSD-2-Clause
 *
 * calls: nanoseconds per call, with the kernel stubbed out (libstub.so behind the shim).
 *
 *     calls untracked | exchange | upgraded  [rounds]
 *
 * Prints one number: ns per call (per exchange for "exchange": one read and one write).  The handshake
 * goes over a real loopback connection; only the timed loop is stubbed.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char get[] = "GET /ping HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
static const char ok[] = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
			 "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
			 "Content-Length: 4\r\nConnection: keep-alive\r\n\r\npong";

/* Of our own processor time: what else the machine does is not the shim's. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The accepted end of a loopback connection whose peer has sent `bytes` and then waits for EOF. */
static int accepted(const char *bytes)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd;

	if (bind(l, (struct sockaddr *)&a, len) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &len)) {
		perror("listen");
		exit(1);
	}
	if (fork() == 0) {
		char buf[4096];
		int c = socket(AF_INET, SOCK_STREAM, 0);

		close(l);
		if (connect(c, (struct sockaddr *)&a, len))
			_exit(1);
		if (send(c, bytes, strlen(bytes), MSG_NOSIGNAL) < 0)
			_exit(1);
		while (recv(c, buf, sizeof(buf), 0) > 0)
			;
		_exit(0);
	}
	fd = accept(l, NULL, NULL);
	close(l);
	return fd;
}

static void set_stub(const char *bytes, size_t len)
{
	int *on = dlsym(RTLD_DEFAULT, "stub_on");
	char *to = dlsym(RTLD_DEFAULT, "stub_bytes");
	size_t *n = dlsym(RTLD_DEFAULT, "stub_len");

	if (!on || !to || !n) {
		fprintf(stderr, "calls: preload libstub.so behind the shim\n");
		exit(1);
	}
	memcpy(to, bytes, len);
	*n = len;
	*on = 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "untracked";
	long rounds = argc > 2 ? atol(argv[2]) : 5000000, i;
	/* A masked text frame of four bytes: what a client sends. */
	static const char frame[] = "\x81\x84\x01\x02\x03\x04\x71\x6d\x6d\x63";
	char buf[4096];
	ssize_t n = 0;
	double t;
	int fd;

	if (!strcmp(what, "exchange")) {
		fd = accepted(get);
		n += read(fd, buf, sizeof(buf));
		n += write(fd, ok, sizeof(ok) - 1);
		set_stub(get, sizeof(get) - 1);
		t = now_ns();
		for (i = 0; i < rounds; i++) {
			n += read(fd, buf, sizeof(buf));
			n += write(fd, ok, sizeof(ok) - 1);
		}
	} else {
		if (!strcmp(what, "upgraded")) {
			fd = accepted(upgrade);
			n += read(fd, buf, sizeof(buf));
			n += write(fd, switched, sizeof(switched) - 1);
		} else {
			fd = open("/dev/null", O_RDWR);
		}
		set_stub(frame, sizeof(frame) - 1);
		t = now_ns();
		for (i = 0; i < rounds; i++)
			n += read(fd, buf, sizeof(buf));
	}
	t = (now_ns() - t) / (double)rounds;
	*(int *)dlsym(RTLD_DEFAULT, "stub_on") = 0;
	printf("%.2f\n", t);
	close(fd);
	while (wait(NULL) > 0)
		;
	return n > 0 ? 0 : 1;
}
