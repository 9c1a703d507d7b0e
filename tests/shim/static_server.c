/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small server to be linked statically: one connection after the other, or with THREADS each in its
 * own.  /bad is answered as if it asked for no upgrade.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad";

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (strstr(text, "/bad"))
		(void)!send(fd, plain, sizeof(plain) - 1, MSG_NOSIGNAL);
	else
		(void)!write(fd, switched, sizeof(switched) - 1);
	while (read(fd, text, sizeof(text)) > 0)
		continue;
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)atoi(argv[argc - 1])),
				   .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd, listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 16))
		return 1;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
#ifdef THREADS
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, (void *)(long)fd))
			return 2;
		pthread_detach(thread);
#else
		serve((void *)(long)fd);
#endif
	}
	return 3;
}
