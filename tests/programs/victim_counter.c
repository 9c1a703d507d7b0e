/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A server that answers upgrades as fast as it can and nothing else: what tests kill at random
 * moments, and what they let run out of disk.
 *
 *     victim_counter
 *
 * Prints the loopback port it listens on, then serves one connection after the other: one head, 101
 * for the sample key of RFC 6455 section 1.3 with the last subprotocol that was offered (200 without an
 * Upgrade field), close.  One thread: the
 * next exchange begins only after the calls of the one before have returned.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	HEAD_MAX = 8192,
	PATIENCE = 10, /* seconds after which a silent client is let go */
};

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\n"
				"Upgrade: websocket\r\n"
				"Connection: Upgrade\r\n"
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/* The field that accepts the last of the offered subprotocols, nothing when none is offered. */
static const char *choose(const char *head)
{
	static const char name[] = "Sec-WebSocket-Protocol: ";
	static char field[HEAD_MAX + sizeof(name)];
	const char *offer = strcasestr(head, name), *comma, *end;

	if (!offer)
		return "";
	offer += strlen(name);
	end = offer + strcspn(offer, "\r\n");
	comma = memrchr(offer, ' ', (size_t)(end - offer));
	offer = comma ? comma + 1 : offer;
	snprintf(field, sizeof(field), "%s%.*s\r\n", name, (int)(end - offer), offer);
	return field;
}

static void serve(int fd)
{
	char head[HEAD_MAX + 1], answer[2 * HEAD_MAX];
	size_t have = 0;

	do {
		ssize_t n = recv(fd, head + have, HEAD_MAX - have, 0);

		if (n <= 0)
			return;
		have += (size_t)n;
		head[have] = 0;
	} while (!strstr(head, "\r\n\r\n") && have < HEAD_MAX);
	if (strcasestr(head, "\nupgrade:"))
		snprintf(answer, sizeof(answer), "%s%s\r\n", switching, choose(head));
	else
		snprintf(answer, sizeof(answer), "%s", plain);
	(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct timeval patience = {.tv_sec = PATIENCE};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(listener, 64) || getsockname(listener, (struct sockaddr *)&a, &len)) {
		perror("victim_counter");
		return 1;
	}
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		serve(fd);
		close(fd);
	}
}
