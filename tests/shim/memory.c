/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory: a few reads and writes over a pair of sockets, allocations and a thread: what a sanitizer
 * or a statically linked libc would notice us by.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *echo(void *fd)
{
	char *text = malloc(64);
	ssize_t n = read(*(int *)fd, text, 64);

	n = write(*(int *)fd, text, (size_t)n);
	free(text);
	return n > 0 ? fd : NULL;
}

int main(void)
{
	pthread_t thread;
	char text[64] = "";
	void *ok = NULL;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
	    pthread_create(&thread, NULL, echo, &pair[1]) != 0)
		return 1;
	if (send(pair[0], "echo", 5, 0) != 5 || recv(pair[0], text, sizeof(text), 0) != 5)
		return 1;
	pthread_join(thread, &ok);
	close(pair[0]);
	close(pair[1]);
	puts(ok ? text : "nothing");
	return 0;
}
