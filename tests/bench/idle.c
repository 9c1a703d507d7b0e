/* SPDX-License-Identifier: BSD-2-Clause
 *
 * idle: what an idle upgraded connection costs in memory.
 *
 *     idle N
 *
 * Upgrades N loopback connections, leaves them idle, and prints what the server process grew by, in
 * bytes: first its own memory, then pages of files (those of the trace, which is mapped).  The client
 * is a child process.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct memory {
	long own, files; /* KiB */
};

static struct memory now(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	struct memory m = {0, 0};
	char line[256];
	long kib;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss_Anon: %ld", &kib) == 1)
			m.own = kib;
		else if (sscanf(line, "Pss_File: %ld", &kib) == 1 ||
			 sscanf(line, "Pss_Shmem: %ld", &kib) == 1)
			m.files += kib;
	}
	if (f)
		fclose(f);
	return m;
}

static void client(struct sockaddr_in a, long n, int done)
{
	char buf[1024];

	for (long i = 0; i < n; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);

		if (c < 0 || connect(c, (struct sockaddr *)&a, sizeof(a)) ||
		    write(c, upgrade, sizeof(upgrade) - 1) < 0 || read(c, buf, sizeof(buf)) <= 0)
			_exit(1);
	}
	/* The connections stay open until the server is done measuring. */
	_exit(read(done, buf, 1) == 0 ? 0 : 1);
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 10000;
	struct memory before, after;
	struct rlimit files = {(rlim_t)n + 100, (rlim_t)n + 100};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), done[2];
	char buf[1024];

	if (setrlimit(RLIMIT_NOFILE, &files) || pipe(done) || bind(l, (struct sockaddr *)&a, len) ||
	    listen(l, 128) || getsockname(l, (struct sockaddr *)&a, &len)) {
		perror("idle");
		return 1;
	}
	if (fork() == 0) {
		close(done[1]);
		client(a, n, done[0]);
	}
	close(done[0]);
	before = now();
	for (long i = 0; i < n; i++) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0 || read(fd, buf, sizeof(buf)) <= 0 ||
		    write(fd, switched, sizeof(switched) - 1) < 0) {
			perror("idle");
			return 1;
		}
	}
	after = now();
	printf("%ld %ld\n", (after.own - before.own) * 1024, (after.files - before.files) * 1024);
	close(done[1]);
	wait(NULL);
	return 0;
}
