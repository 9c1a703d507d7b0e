/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread that is cancelled while it waits: in a read of a descriptor that blocks ("read"), or in a poll
 * ("poll").  Prints "cancelled" when it was, "held" before it waits.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];
static const char *how;

static void *wait_for_bytes(void *unused)
{
	struct pollfd p = {.fd = pair[0], .events = POLLIN};
	char byte;

	(void)unused;

	if (strcmp(how, "read") == 0)
		return (void *)read(pair[0], &byte, 1);
	if (recv(pair[0], &byte, 1, MSG_DONTWAIT) == 1)
		puts("not held");
	return (void *)(long)poll(&p, 1, -1);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *end;
	int listener = socket(AF_INET, SOCK_STREAM,
			      0); /* so that there is a trace, and pairs are followed */

	how = argc > 1 ? argv[1] : "";
	listen(listener, 1);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	if (write(pair[1], "x", 1) != 1)
		return 1;
	pthread_create(&thread, NULL, wait_for_bytes, NULL);
	usleep(100000);
	pthread_cancel(thread);
	pthread_join(thread, &end);
	puts(end == PTHREAD_CANCELED ? "cancelled" : "ended");
	return 0;
}
