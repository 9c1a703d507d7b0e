/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A server that says what it sees: fault_acts_server et|lt|poll|block PORT.  Bytes up to an empty line are a
 * head; an Upgrade field is answered with a 101, everything else with the body "hello".  Behind a 101 every
 * masked frame of at most 125 bytes is logged and echoed without its mask.  What ends or fails is logged.
 *
 * et: events come once, and a read or write that moved less than it could has found the end, as nginx and
 * tokio think.  lt and poll: events come as long as there is something.  block: a thread per connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROOM = 4096,
	CONNS = 256,
};

static struct conn {
	bool open, upgraded, readable, writable;
	size_t have, queued;
	char in[ROOM], out[ROOM];
} conns[CONNS];

static bool blocks, edge, polls;
static int set;

static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (write(2, line, (size_t)n) != n)
		_exit(1);
}

static void end(int fd, const char *how, int err)
{
	say("%s %s", how, err ? strerrorname_np(err) : "end");
	conns[fd].open = false;
	close(fd);
}

static void reply(struct conn *c, const void *p, size_t n)
{
	if (c->queued + n <= ROOM)
		memcpy(c->out + c->queued, p, n);
	c->queued += n;
}

/* The first thing that is complete.  0: nothing. */
static size_t take(int fd, struct conn *c)
{
	const char *end_of_head;
	size_t n;

	if (c->upgraded) {
		n = c->have > 1 ? (size_t)(c->in[1] & 0x7f) : ROOM;
		if (c->have < 6 || c->have < 6 + n)
			return 0;
		for (size_t i = 0; i < n; i++)
			c->in[6 + i] ^= c->in[2 + i % 4];
		say("frame %02x %.*s", (uint8_t)c->in[0], (int)n, c->in + 6);
		reply(c, (char[]){c->in[0], (char)n}, 2);
		reply(c, c->in + 6, n);
		return 6 + n;
	}
	c->in[c->have] = 0;
	end_of_head = strstr(c->in, "\r\n\r\n");
	if (!end_of_head)
		return 0;
	n = (size_t)(end_of_head - c->in) + 4;
	c->upgraded = strcasestr(c->in, "\nUpgrade:") != NULL;
	say("head %.*s", (int)strcspn(c->in, "\r"), c->in);
	if (c->upgraded)
		reply(c,
		      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
		      "Upgrade\r\n"
		      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
		      129);
	else
		reply(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 43);
	return n;
}

/* False: the connection is over. */
static bool flush(int fd, struct conn *c)
{
	while (c->queued && c->writable) {
		ssize_t n = write(fd, c->out, c->queued);

		if (n < 0 && errno == EINTR) {
			say("write EINTR");
			continue;
		}
		if (n < 0 && errno != EAGAIN)
			return end(fd, "write", errno), false;
		c->writable = blocks || n == (ssize_t)c->queued;
		n = n < 0 ? 0 : n;
		memmove(c->out, c->out + n, c->queued - (size_t)n);
		c->queued -= (size_t)n;
	}
	return true;
}

static void serve(int fd, struct conn *c)
{
	while (c->open && c->readable) {
		size_t room = sizeof(c->in) - 1 - c->have, taken;
		ssize_t n = read(fd, c->in + c->have, room);

		if (n < 0 && errno == EINTR) {
			say("read EINTR");
			continue;
		}
		if (n < 0 && errno != EAGAIN)
			return end(fd, "read", errno);
		if (n == 0)
			return end(fd, "read", 0);
		if (n < 0)
			say("read EAGAIN");
		c->readable = blocks || (edge && n == (ssize_t)room);
		c->have += n > 0 ? (size_t)n : 0;
		while ((taken = take(fd, c))) {
			memmove(c->in, c->in + taken, c->have - taken);
			c->have -= taken;
		}
		if (!flush(fd, c))
			return;
	}
	if (c->open && flush(fd, c) && !edge && !polls && !blocks)
		epoll_ctl(set, EPOLL_CTL_MOD, fd,
			  &(struct epoll_event){.events = EPOLLIN | (c->queued ? EPOLLOUT : 0),
						.data.fd = fd});
}

static void *serve_alone(void *c)
{
	serve((int)((struct conn *)c - conns), c);
	return NULL;
}

static void take_conn(int listener)
{
	int fd = accept4(listener, NULL, NULL, blocks ? 0 : SOCK_NONBLOCK);
	pthread_t thread;

	if (fd < 0)
		return say("accept %s", strerrorname_np(errno));
	conns[fd] = (struct conn){.open = true, .readable = blocks, .writable = true};
	if (blocks)
		pthread_create(&thread, NULL, serve_alone, &conns[fd]);
	else if (!polls)
		epoll_ctl(set, EPOLL_CTL_ADD, fd,
			  &(struct epoll_event){.events = EPOLLIN | (edge ? EPOLLOUT | EPOLLET : 0),
						.data.fd = fd});
}

static void wake(int fd, uint32_t events)
{
	conns[fd].readable |= (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
	conns[fd].writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
	serve(fd, &conns[fd]);
}

static void wait_by_poll(int listener)
{
	struct pollfd p[CONNS] = {{listener, POLLIN, 0}};
	nfds_t n = 1;

	for (int fd = 0; fd < CONNS; fd++) {
		if (conns[fd].open)
			p[n++] = (struct pollfd){
				fd, (short)(POLLIN | (conns[fd].queued ? POLLOUT : 0)), 0};
	}
	if (poll(p, n, -1) < 0)
		return;
	for (nfds_t i = 1; i < n; i++) {
		if (p[i].revents)
			wake(p[i].fd, (uint32_t)p[i].revents);
	}
	if (p[0].revents)
		take_conn(listener);
}

static void wait_by_epoll(int listener)
{
	struct epoll_event e[16];
	int n = epoll_wait(set, e, 16, -1);

	for (int i = 0; i < n; i++) {
		if (e[i].data.fd == listener)
			take_conn(listener);
		else
			wake(e[i].data.fd, e[i].events);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)atoi(argv[argc - 1]))};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	blocks = !strcmp(argv[1], "block");
	edge = !strcmp(argv[1], "et");
	polls = !strcmp(argv[1], "poll");
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	set = epoll_create1(0);
	epoll_ctl(set, EPOLL_CTL_ADD, listener,
		  &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 64))
		return 1;
	for (;;) {
		if (blocks)
			take_conn(listener);
		else if (polls)
			wait_by_poll(listener);
		else
			wait_by_epoll(listener);
	}
}
