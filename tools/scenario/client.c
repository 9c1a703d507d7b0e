/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/client: the connection, and the list of actions.
 */
#include "tools/scenario/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tools/format/format.h"
#include "tools/scenario/server.h"
#include "tools/verb/value.h"

enum {
	PIECE = 65536,
	SHOWN = 80, /* bytes of what arrived that a message shows */
	SPLITS = 4096,
};

#define SECOND UINT64_C(1000000000)

/* ---- bytes ---- */

void bytes_put(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		size_t cap = b->cap ? b->cap : 256;

		while (cap < b->n + n)
			cap *= 2;
		b->p = realloc(b->p, cap);
		if (!b->p)
			abort();
		b->cap = cap;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

void bytes_text(struct bytes *b, const char *text)
{
	bytes_put(b, text, strlen(text));
}

void bytes_done(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){.n = 0};
}

/* ---- failures ---- */

bool client_fail(struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->result->what, sizeof(c->result->what), format, args);
	va_end(args);
	c->result->at = c->action->key ? c->action->key_at : c->action->at;
	c->result->ok = false;
	return false;
}

bool client_fail_late(struct client *c, const char *awaited)
{
	char shown[4 * SHOWN + 1], came[4 * SHOWN + 64] = "nothing came";
	const char *why = "the time was up";

	format_escape(shown, sizeof(shown),
		      (struct span){c->in.p, c->in.n < SHOWN ? c->in.n : SHOWN}, NULL);
	if (c->in.n)
		snprintf(came, sizeof(came), "%zu bytes came: '%s'", c->in.n, shown);
	if (c->error == ECONNRESET || c->error == EPIPE)
		why = "the connection was reset";
	else if (c->error)
		why = strerror(c->error);
	else if (c->eof)
		why = "the server ended the connection";
	return client_fail(c, "%s did not come: %s after %.3g s; %s", awaited, why,
			   (double)(scenario_now_ns() - c->began) / 1e9, came);
}

bool client_not_before(struct client *c, uint64_t at_least)
{
	uint64_t took = scenario_now_ns() - c->began;

	return took >= at_least ||
	       client_fail(c, "it took %.4g ms, and %.4g ms at least were expected",
			   (double)took / 1e6, (double)at_least / 1e6);
}

/* ---- connection ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Poll until the deadline; 0: late. */
static int wait_for(const struct client *c, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {c->fd, events, 0};
		uint64_t now = scenario_now_ns();
		struct timespec t;
		int n;

		deadline = earlier(deadline, c->deadline);
		t.tv_sec = now < deadline ? (time_t)((deadline - now) / SECOND) : 0;
		t.tv_nsec = now < deadline ? (long)((deadline - now) % SECOND) : 0;
		n = ppoll(&p, 1, &t, NULL);
		if (n > 0)
			return p.revents;
		if (n == 0 || errno != EINTR)
			return 0;
	}
}

static bool read_some(struct client *c)
{
	static _Thread_local uint8_t room[PIECE];
	ssize_t n = recv(c->fd, room, sizeof(room), MSG_DONTWAIT);

	if (n > 0 && c->in.n + (size_t)n <= CLIENT_HELD)
		bytes_put(&c->in, room, (size_t)n);
	else if (n > 0)
		c->error = EMSGSIZE;
	else if (n == 0)
		c->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		c->error = errno;
	return n > 0;
}

enum client_wait client_fill(struct client *c)
{
	if (c->eof || c->error)
		return CLIENT_END;
	while (wait_for(c, POLLIN, c->within)) {
		if (read_some(c))
			return CLIENT_MORE;
		if (c->eof || c->error)
			return CLIENT_END;
	}
	return CLIENT_LATE;
}

void client_consume(struct client *c, size_t n)
{
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
}

bool client_pause(struct client *c, uint64_t ns)
{
	uint64_t now = scenario_now_ns(), left = c->deadline > now ? c->deadline - now : 0;
	struct timespec t;

	ns = earlier(ns, left);
	t.tv_sec = (time_t)(ns / SECOND);
	t.tv_nsec = (long)(ns % SECOND);
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		continue;
	return ns < left || client_fail(c, "the client's timeout passed");
}

/* All n bytes; reads what comes meanwhile, lest both sides wait for each other. */
static bool send_piece(struct client *c, const uint8_t *p, size_t n)
{
	while (n && !c->error) {
		ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		int ready;

		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR) {
			c->error = errno;
			return true;
		}
		ready = wait_for(c, c->eof ? POLLOUT : POLLOUT | POLLIN, c->deadline);
		if (!ready)
			return client_fail(c, "the server takes no more bytes; %zu are left", n);
		if (ready & POLLIN)
			read_some(c);
	}
	return true;
}

/* Offsets at which a piece begins, ascending. */
static size_t split_at(const struct yaml *y, size_t n, size_t *at)
{
	uint64_t every = keys_number(y, "every", 0);
	size_t k = 0;

	for (size_t o = every; every && o < n && k < SPLITS; o += every)
		at[k++] = o;
	for (const struct yaml *w = keys_words(y, "split"); w && k < SPLITS;
	     w = keys_word_next(y, "split", w)) {
		long o = atol(w->text);
		size_t from_end = o < 0 ? (size_t)-o : 0, offset = o < 0 ? n - from_end : (size_t)o;

		if (from_end > n || offset == 0 || offset >= n)
			continue;
		size_t i = k;

		while (i && at[i - 1] > offset) {
			at[i] = at[i - 1];
			i--;
		}
		at[i] = offset;
		k++;
	}
	return k;
}

bool client_send(struct client *c, const struct yaml *y, const struct bytes *b)
{
	static _Thread_local size_t at[SPLITS];
	size_t n = split_at(y, b->n, at), from = 0;
	uint64_t pause = keys_time(y, "pause", 0);

	for (size_t i = 0; i < n; i++) {
		if (at[i] == from)
			continue;
		if (!send_piece(c, b->p + from, at[i] - from) || (pause && !client_pause(c, pause)))
			return false;
		from = at[i];
	}
	return send_piece(c, b->p + from, b->n - from);
}

bool client_payload(struct client *c, const struct yaml *y, struct bytes *ret)
{
	const char *text = y->kind == YAML_SCALAR ? y->text : keys_text(y, "text");
	const char *hex = keys_text(y, "hex");
	uint64_t repeat = keys_number(y, "repeat", 1);
	struct bytes one = {.n = 0};

	if (text)
		bytes_text(&one, expand(c->v, text, false, c->arena));
	if (hex) {
		uint8_t *bytes = arena_alloc(c->arena, strlen(hex) / 2 + 1);

		bytes_put(&one, bytes, (size_t)hex_bytes(hex, bytes));
	}
	if (one.n * repeat > CLIENT_HELD) {
		bytes_done(&one);
		return client_fail(c, "these are more than 64 MiB");
	}
	for (uint64_t i = 0; i < repeat; i++)
		bytes_put(ret, one.p, one.n);
	bytes_done(&one);
	return true;
}

/* ---- connect ---- */

/* Returns the length of the address, 0 when it is none. */
static socklen_t address_of(struct client *c, const struct yaml *y, const struct listening *to,
			    struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_un *un = (struct sockaddr_un *)ret;
	const char *host = keys_text(y, "host"), *port = keys_text(y, "port"),
		   *path = keys_text(y, "unix");
	uint64_t number = to->port;

	memset(ret, 0, sizeof(*ret));
	host = host ? expand(c->v, host, false, c->arena) : to->host;
	if (port && (value_number(expand(c->v, port, false, c->arena), &number) || number > 65535))
		return 0;
	path = path ? expand(c->v, path, false, c->arena)
		    : (!port && to->path[0] ? to->path : NULL);
	if (path) {
		un->sun_family = AF_UNIX;
		if (strlen(path) >= sizeof(un->sun_path))
			return 0;
		memcpy(un->sun_path, path, strlen(path));
		return sizeof(*un);
	}
	v4->sin_port = htons((uint16_t)number);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return sizeof(*v4);
	}
	v6->sin6_port = htons((uint16_t)number);
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	return sizeof(*v6);
}

static bool finish_connect(struct client *c)
{
	int e = 0;
	socklen_t n = sizeof(e);

	if (!wait_for(c, POLLOUT, c->within))
		return client_fail(c, "the connection was not made in time");
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n);
	/* Refused is another error: this one was made, and reset before we looked. */
	if (e == ECONNRESET) {
		c->error = e;
		return true;
	}
	return !e || client_fail(c, "cannot connect: %s", strerror(e));
}

static bool connect_to(struct client *c, const struct yaml *client, const struct listening *to)
{
	const struct yaml *y = yaml_get(client, "connect");
	int buffer = (int)earlier(keys_number(y, "buffer", 0), 1 << 30), one = 1;
	struct sockaddr_storage address;
	socklen_t n;

	c->action = y ? y : client;
	c->within = c->began + keys_time(y, "within", 5 * SECOND);
	n = address_of(c, y, to, &address);
	if (!n)
		return client_fail(c, "there is no such address");
	c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return client_fail(c, "cannot make a socket: %s", strerror(errno));
	if (buffer)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(c->fd, (struct sockaddr *)&address, n))
		return true;
	if (errno != EINPROGRESS && errno != EAGAIN)
		return client_fail(c, "cannot connect: %s", strerror(errno));
	return finish_connect(c);
}

/* ---- actions ---- */

static bool send_action(struct client *c, const struct yaml *y)
{
	struct bytes b = {.n = 0};
	bool ok = client_payload(c, y, &b) && client_send(c, y, &b);

	bytes_done(&b);
	return ok;
}

static bool end_action(struct client *c, const char *how)
{
	struct linger at_once = {1, 0};

	if (!strcmp(how, "fin")) {
		shutdown(c->fd, SHUT_WR);
		return true;
	}
	if (!strcmp(how, "reset"))
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(c->fd);
	c->fd = -1;
	c->error = EBADF;
	return true;
}

static bool expect_nothing(struct client *c, uint64_t ns)
{
	char shown[4 * SHOWN + 1];

	c->within = c->began + ns;
	if (!c->in.n && client_fill(c) == CLIENT_LATE)
		return true;
	if (!c->in.n)
		return client_fail(c, "expected silence, but the connection ended");
	format_escape(shown, sizeof(shown),
		      (struct span){c->in.p, c->in.n < SHOWN ? c->in.n : SHOWN}, NULL);
	return client_fail(c, "expected silence, but %zu bytes came: '%s'", c->in.n, shown);
}

static bool expect_action(struct client *c, const struct yaml *y)
{
	const struct yaml *frame = yaml_get(y, "frame");
	const char *end = keys_text(y, "end");
	bool ok;

	c->within = c->began + keys_time(y, "within", 10 * SECOND);
	if (yaml_get(y, "nothing"))
		return expect_nothing(c, keys_time(y, "nothing", 0));
	if (frame)
		ok = client_expect_frame(c, frame);
	else if (end)
		ok = client_expect_end(c, end);
	else
		ok = client_expect_answer(c, y);
	return ok && client_not_before(c, keys_time(y, "at_least", 0));
}

static bool act(struct client *c, const struct yaml *y)
{
	c->action = y;
	c->began = scenario_now_ns();
	c->within = c->deadline;
	if (!strcmp(y->key, "upgrade"))
		return client_upgrade(c, y);
	if (!strcmp(y->key, "request"))
		return client_request(c, y);
	if (!strcmp(y->key, "send"))
		return send_action(c, y);
	if (!strcmp(y->key, "frame"))
		return client_frame(c, y);
	if (!strcmp(y->key, "expect"))
		return expect_action(c, y);
	if (!strcmp(y->key, "close"))
		return client_close(c, y);
	if (!strcmp(y->key, "end"))
		return end_action(c, y->text);
	return client_pause(
		c, keys_time(&(struct yaml){.kind = YAML_MAP, .first = (struct yaml *)(uintptr_t)y},
			     y->key, 0));
}

void client_run(const struct yaml *client, const struct listening *to, const struct variables *v,
		struct client_result *ret)
{
	struct client c = {.v = v, .result = ret, .fd = -1, .method = "GET"};
	bool ok;

	ret->ok = false;
	c.arena = arena_new();
	c.draw = v->seed;
	c.began = scenario_now_ns();
	c.deadline = c.began + keys_time(client, "timeout", 30 * SECOND);
	ok = connect_to(&c, client, to);
	for (const struct yaml *a = ok ? yaml_get(client, "do")->first : NULL; a && ok; a = a->next)
		ok = act(&c, a->first);
	if (c.fd >= 0)
		close(c.fd);
	ret->ok = ok;
	bytes_done(&c.in);
	arena_free(c.arena);
}
