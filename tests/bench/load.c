/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load: a load generator whose load moves from one running server to another within microseconds.
 *
 *     load        commands on stdin, one line of answer to each on stdout
 *
 *     open NAME MODE PORT CONNECTIONS PATH   -> ok
 *     run NAME MS SKIP_MS                    -> requests N ns N all N
 *     shut NAME                              -> ok
 *
 * MODE is keep-alive, close (a connection per request; the server closes first, so TIME_WAIT is the
 * server's and takes none of our ports) or websocket (an upgrade, then a masked text frame and its
 * echo as one request).  Anything unexpected is answered "error TEXT" and is the end.
 *
 * 1. During a run every connection has exactly one request under way, outside of it none.  So a server
 *    that is not being run is idle, and all the processor time it uses belongs to what is counted.
 * 2. "requests" and "ns" are what was answered after the first SKIP_MS and how long that took, up to
 *    the last answer; "all" counts from the beginning.
 * 3. One thread, which never sleeps during a run: to wake a sleeping processor would be the dearest
 *    and least even part of the server's work.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS	16
#define MAX_CONNECTIONS 1024
#define BATCH		64
#define SILENCE_NS	10000000000LL /* no answer for so long: the server hangs */

enum mode {
	KEEP_ALIVE,
	CLOSE,
	WEBSOCKET,
	MODES
};
static const char *const mode_names[MODES] = {"keep-alive", "close", "websocket"};
static const char *const mode_fields[MODES] = {"", "Connection: close\r\n",
					       "Upgrade: websocket\r\n"
					       "Connection: Upgrade\r\n"
					       "Sec-WebSocket-Version: 13\r\n"
					       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"};

struct connection {
	int fd;		/* -1 while closed */
	bool in_body;	/* the head is complete */
	size_t have;	/* bytes in buf: of an incomplete head or frame */
	long body_left; /* bytes; meaningless in the head */
	char buf[8192];
};

struct target {
	char name[32];
	enum mode mode;
	struct sockaddr_in to;
	char request[512]; /* what asks once: a head, or a frame */
	size_t request_len;
	int epoll, n;
	struct connection *connections; /* NULL: this place is free */
};

static struct target targets[MAX_TARGETS];

static const char text[] = "sixteen bytes...";
#define TEXT_LEN (sizeof(text) - 1)

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const struct target *t,
								 const char *format, ...)
{
	va_list ap;

	printf("error %s: ", t ? t->name : "load");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- asking ------------------------------------------------------------------------------------ */

static void dial(struct target *t, struct connection *c)
{
	/* Of a connection that closes only the end matters: one event for the answer and the FIN.
	 * The answer waits in the receive buffer, which it must fit. */
	struct epoll_event e = {.events = t->mode == CLOSE ? EPOLLRDHUP : EPOLLIN, .data.ptr = c};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&t->to, sizeof(t->to)))
		fail(t, "connect: %s", strerror(errno));
	if (t->mode != CLOSE)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &e))
		fail(t, "epoll_ctl: %s", strerror(errno));
}

static void hang_up(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
}

static void ask(struct target *t, struct connection *c)
{
	if (t->mode == CLOSE)
		dial(t, c);
	c->in_body = false;
	c->have = 0;
	if (send(c->fd, t->request, t->request_len, MSG_NOSIGNAL) != (ssize_t)t->request_len)
		fail(t, "send: %s", strerror(errno));
}

/* ---- being answered ---------------------------------------------------------------------------- */

/* Bytes received behind those in buf, 0 at the end of the stream, -1 when nothing is there now. */
static ssize_t receive(const struct target *t, struct connection *c)
{
	ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		fail(t, "recv: %s", strerror(errno));
	return n;
}

/* The value of Content-Length in a head of `len` bytes that ends with an empty line; -1 without. */
static long content_length(const char *head, size_t len)
{
	static const char field[] = "content-length:";
	const char *end = head + len, *line = head;

	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end)
		if ((*line | 32) == 'c' && !strncasecmp(line, field, sizeof(field) - 1))
			return strtol(line + sizeof(field) - 1, NULL, 10);
	return -1;
}

/* Look for the end of the head in buf; what follows it is body. */
static void take_head(const struct target *t, struct connection *c)
{
	const char *end = memmem(c->buf, c->have, "\r\n\r\n", 4);
	size_t len;

	if (!end) {
		if (c->have == sizeof(c->buf))
			fail(t, "a head longer than %zu bytes", sizeof(c->buf));
		return;
	}
	len = (size_t)(end - c->buf) + 4;
	if (strncmp(c->buf, "HTTP/1.1 2", 10) != 0)
		fail(t, "answered %.12s", c->buf);
	c->body_left = content_length(c->buf, len);
	if (c->body_left < 0)
		fail(t, "an answer without Content-Length");
	c->body_left -= (long)(c->have - len);
	c->in_body = true;
	c->have = 0;
}

/* Account for n received bytes; is the answer complete? */
static bool take_http(const struct target *t, struct connection *c, ssize_t n)
{
	if (c->in_body) {
		c->body_left -= n;
	} else {
		c->have += (size_t)n;
		take_head(t, c);
	}
	if (c->in_body && c->body_left < 0)
		fail(t, "more bytes than Content-Length says");
	return c->in_body && c->body_left == 0;
}

static bool take_echo(const struct target *t, struct connection *c, ssize_t n)
{
	c->have += (size_t)n;
	if (c->have < 2 + TEXT_LEN)
		return false;
	if (c->have > 2 + TEXT_LEN || c->buf[0] != '\x81' || c->buf[1] != (char)TEXT_LEN ||
	    memcmp(c->buf + 2, text, TEXT_LEN) != 0)
		fail(t, "something else than the echo of our frame");
	return true;
}

/* Take what an event announced; is the answer complete? */
static bool take(const struct target *t, struct connection *c)
{
	bool complete = false;
	ssize_t n = receive(t, c);

	if (t->mode == CLOSE) {
		for (; n > 0; n = receive(t, c))
			complete = take_http(t, c, n);
		if (n == 0 && !complete)
			fail(t, "closed within an answer");
		return complete && n == 0;
	}
	if (n == 0)
		fail(t, "closed a connection that was to stay");
	if (n < 0)
		return false;
	return t->mode == WEBSOCKET ? take_echo(t, c, n) : take_http(t, c, n);
}

/* ---- commands ---------------------------------------------------------------------------------- */

static struct target *find(const char *name)
{
	for (int i = 0; i < MAX_TARGETS; i++)
		if (targets[i].connections && !strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

static void upgrade(struct target *t, struct connection *c)
{
	ask(t, c);
	while (!memmem(c->buf, c->have, "\r\n\r\n", 4)) {
		ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);

		if (n <= 0)
			fail(t, "no answer to the upgrade");
		c->have += (size_t)n;
	}
	if (strncmp(c->buf, "HTTP/1.1 101", 12) != 0)
		fail(t, "answered the upgrade %.12s", c->buf);
}

/* From now on a request is a masked text frame: RFC 6455 section 5.2. */
static void frame(struct target *t)
{
	static const char head[] = "\x81\x90\x9d\x3c\x51\xe6";

	t->request_len = sizeof(head) - 1 + TEXT_LEN;
	memcpy(t->request, head, sizeof(head) - 1);
	for (size_t i = 0; i < TEXT_LEN; i++)
		t->request[6 + i] = (char)(text[i] ^ head[2 + i % 4]);
}

static void open_connections(struct target *t)
{
	for (int i = 0; i < t->n; i++)
		t->connections[i].fd = -1;
	for (int i = 0; i < t->n && t->mode != CLOSE; i++)
		dial(t, &t->connections[i]);
	if (t->mode != WEBSOCKET)
		return;
	for (int i = 0; i < t->n; i++)
		upgrade(t, &t->connections[i]);
	frame(t);
}

static void command_open(const char *line)
{
	char mode[16], path[256], name[32];
	struct target *t = NULL;
	int port, n;

	if (sscanf(line, "open %31s %15s %d %d %255s", name, mode, &port, &n, path) != 5 || n < 1 ||
	    n > MAX_CONNECTIONS || port < 1 || port > 65535)
		fail(NULL, "usage: open NAME MODE PORT CONNECTIONS PATH");
	for (int i = 0; i < MAX_TARGETS && !t; i++)
		if (!targets[i].connections)
			t = &targets[i];
	if (!t || find(name))
		fail(NULL, "too many targets, or %s is open already", name);
	memset(t, 0, sizeof(*t));
	memcpy(t->name, name, sizeof(name));
	while (t->mode < MODES && strcmp(mode, mode_names[t->mode]) != 0)
		t->mode++;
	if (t->mode == MODES)
		fail(NULL, "no mode %s", mode);
	t->n = n;
	t->to = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	t->request_len = (size_t)snprintf(t->request, sizeof(t->request),
					  "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", path,
					  port, mode_fields[t->mode]);
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->connections = calloc((size_t)n, sizeof(*t->connections));
	if (t->epoll < 0 || !t->connections)
		fail(t, "%s", strerror(errno));
	open_connections(t);
	puts("ok");
}

static void command_shut(const char *line)
{
	char name[32];
	struct target *t = NULL;

	if (sscanf(line, "shut %31s", name) != 1 || !(t = find(name)))
		fail(NULL, "usage: shut NAME, of an open target");
	for (int i = 0; i < t->n; i++)
		if (t->connections[i].fd >= 0)
			hang_up(&t->connections[i]);
	close(t->epoll);
	free(t->connections);
	t->connections = NULL;
	puts("ok");
}

/* Take the answers that are there; ask again on their connections if `more`. Returns their number. */
static int serve(struct target *t, bool more)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(t->epoll, events, BATCH, 0), answers = 0;

	if (n < 0 && errno != EINTR)
		fail(t, "epoll_wait: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;

		if (!take(t, c))
			continue;
		answers++;
		if (t->mode == CLOSE)
			hang_up(c);
		if (more)
			ask(t, c);
	}
	return answers;
}

static void run(struct target *t, int64_t run_ns, int64_t skip_ns)
{
	int64_t start = now_ns(), now = start, heard = start, from = 0;
	long all = 0, skipped = 0;
	int under_way = t->n;

	for (int i = 0; i < t->n; i++)
		ask(t, &t->connections[i]);
	while (under_way) {
		bool more = now - start < run_ns;
		int answers = serve(t, more);

		now = now_ns();
		all += answers;
		if (!more)
			under_way -= answers;
		if (answers)
			heard = now;
		else if (now - heard > SILENCE_NS)
			fail(t, "answers no more");
		if (!from && now - start >= skip_ns) {
			from = now;
			skipped = all;
		}
	}
	printf("requests %ld ns %lld all %ld\n", all - skipped, (long long)(now - from), all);
}

static void command_run(const char *line)
{
	struct target *t = NULL;
	char name[32];
	int ms, skip_ms;

	if (sscanf(line, "run %31s %d %d", name, &ms, &skip_ms) != 3 || !(t = find(name)) ||
	    skip_ms < 0 || ms <= skip_ms)
		fail(NULL, "usage: run NAME MS SKIP_MS, of an open target");
	run(t, ms * 1000000LL, skip_ms * 1000000LL);
}

int main(void)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "open ", 5))
			command_open(line);
		else if (!strncmp(line, "run ", 4))
			command_run(line);
		else if (!strncmp(line, "shut ", 5))
			command_shut(line);
		else
			fail(NULL, "open, run or shut?");
		fflush(stdout);
	}
	return 0;
}
