/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small WebSocket echo server with a chain of middlewares, some of which can be told to spoil the
 * upgrade.  It is what `make demo` watches, and what the tests of blame accuse.
 *
 *     victim_early_answer PORT [fork]
 *
 *     /ws                  healthy: 101, echo, Close
 *     /ws?spoil=reject     auth refuses the upgrade with 401
 *     /ws?spoil=early      auth answers 200 and then lets the upgrade go on
 *     /ws?spoil=body       logger waits for a body of the request before anything is answered
 *     /ws?spoil=after      metrics writes an HTTP answer behind the 101
 *     /ws?spoil=json       metrics writes it through a second helper, respond_json()
 *     /ws?spoil=silent     auth drops the connection without a word
 *     /ws?spoil=wrong      the handshake itself sends a wrong Sec-WebSocket-Accept
 *     anything else        200 with a short text
 *
 * One thread, one connection at a time: the accept loop is on every stack.  With fork each connection is
 * served by a child of its own.  Built at -O2 without
 * frame pointers.  It serves loopback clients of tests: errors end the connection, nothing more.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	HEAD_MAX = 8192,
	PATIENCE = 10, /* seconds after which a silent client is let go */
};

struct request {
	int fd;
	char head[HEAD_MAX + 1];
	size_t have;	 /* bytes in head, body bytes that came along included */
	size_t head_len; /* up to and including the blank line */
	const char *spoil;
	bool switched;
};

/* A middleware does its work and calls next() for the rest of the chain, or does not. */
typedef void middleware(struct request *r, unsigned next);
static void next(struct request *r, unsigned at);

/* ---- moving bytes ---- */

/* Everybody's helper: whoever answers comes through here. */
__attribute__((noinline)) static bool send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static ssize_t read_some(int fd, void *to, size_t room)
{
	return read(fd, to, room);
}

static bool send_text(int fd, const char *text)
{
	/* The empty statement behind the call keeps this frame on the stack. */
	bool sent = send_all(fd, text, strlen(text));

	__asm__ volatile("");
	return sent;
}

/* A second helper, stacked on the first. */
__attribute__((noinline)) static bool respond_json(int fd, const char *json)
{
	char head[160];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 strlen(json));
	bool sent = send_all(fd, head, (size_t)n) && send_all(fd, json, strlen(json));

	__asm__ volatile("");
	return sent;
}

/* ---- the request ---- */

static bool read_head(struct request *r)
{
	while (r->have < HEAD_MAX) {
		ssize_t n = read_some(r->fd, r->head + r->have, HEAD_MAX - r->have);
		char *end;

		if (n <= 0)
			return false;
		r->have += (size_t)n;
		r->head[r->have] = 0;
		end = strstr(r->head, "\r\n\r\n");
		if (end) {
			r->head_len = (size_t)(end + 4 - r->head);
			return true;
		}
	}
	return false;
}

/* Copy the value of a field; empty when there is none. */
static void find_field(const struct request *r, const char *name, char *to, size_t room)
{
	const char *line = strstr(r->head, "\r\n");
	size_t len = strlen(name);

	to[0] = 0;
	while (line && line < r->head + r->head_len - 4) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			const char *value = line + len + 1 + strspn(line + len + 1, " \t");
			size_t n = strcspn(value, "\r");

			if (n < room) {
				memcpy(to, value, n);
				to[n] = 0;
			}
			return;
		}
		line = strstr(line, "\r\n");
	}
}

static bool is_spoilt(const struct request *r, const char *how)
{
	size_t n = strlen(how);

	return strncmp(r->spoil, how, n) == 0 && (r->spoil[n] == ' ' || r->spoil[n] == '&');
}

/* ---- SHA-1 (RFC 3174) and base64 (RFC 4648), for the handshake ---- */

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *block)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f, k, t;
	int i;

	for (i = 0; i < 16; i++)
		w[i] = (uint32_t)block[i * 4] << 24 | block[i * 4 + 1] << 16 |
		       block[i * 4 + 2] << 8 | block[i * 4 + 3];
	for (; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (i = 0; i < 80; i++) {
		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		t = rotate(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotate(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* n is below 112: two blocks at most. */
static void sha1(const char *text, size_t n, uint8_t ret[20])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t block[128] = {0};
	size_t len = n < 56 ? 64 : 128, i;

	memcpy(block, text, n);
	block[n] = 0x80;
	block[len - 2] = (uint8_t)(n >> 5);
	block[len - 1] = (uint8_t)(n << 3);
	for (i = 0; i < len; i += 64)
		sha1_block(h, block + i);
	for (i = 0; i < 20; i++)
		ret[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

static void base64(const uint8_t *in, size_t n, char *ret)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? in[i + 1] : 0) << 8 |
			     (i + 2 < n ? in[i + 2] : 0);

		*ret++ = digit[v >> 18];
		*ret++ = digit[v >> 12 & 63];
		*ret++ = i + 1 < n ? digit[v >> 6 & 63] : '=';
		*ret++ = i + 2 < n ? digit[v & 63] : '=';
	}
	*ret = 0;
}

/* ---- the upgrade: the end of the chain ---- */

/* Echo frames until the client sends Close or leaves. Payloads of up to 125 bytes. */
static void echo_frames(struct request *r)
{
	uint8_t in[2 + 4 + 125], out[2 + 125];
	size_t have = 0, i, n;

	for (;;) {
		ssize_t got;

		while (have < 6 || have < 6 + (size_t)(in[1] & 127)) {
			if (have >= 2 && (in[1] & 127) > 125)
				return;
			got = read_some(r->fd, in + have, sizeof(in) - have);
			if (got <= 0)
				return;
			have += (size_t)got;
		}
		n = in[1] & 127;
		out[0] = in[0];
		out[1] = (uint8_t)n;
		for (i = 0; i < n; i++)
			out[2 + i] = in[6 + i] ^ in[2 + i % 4];
		if (!send_all(r->fd, out, 2 + n) || (in[0] & 15) == 8)
			return;
		have -= 6 + n;
		memmove(in, in + 6 + n, have);
	}
}

static void upgrade(struct request *r, unsigned at)
{
	char key[64], text[128], answer[512], accept[32];
	uint8_t digest[20];
	int n;

	(void)at;
	find_field(r, "Sec-WebSocket-Key", key, sizeof(key));
	if (!key[0] || strncmp(r->head, "GET /ws", 7) != 0) {
		send_text(r->fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
		return;
	}
	n = snprintf(text, sizeof(text), "%s%s", is_spoilt(r, "wrong") ? "" : key,
		     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	sha1(text, (size_t)n, digest);
	base64(digest, sizeof(digest), accept);
	n = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		     accept);
	r->switched = send_all(r->fd, answer, (size_t)n);
	if (!is_spoilt(r, "after") && !is_spoilt(r, "json"))
		echo_frames(r);
}

/* ---- the chain ---- */

/* Straight to the descriptor: what stdio writes itself cannot be seen from outside. */
static void write_log(const char *line)
{
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

static void metrics(struct request *r, unsigned at)
{
	next(r, at);
	if (r->switched && is_spoilt(r, "after")) {
		send_text(r->fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		echo_frames(r);
	}
	if (r->switched && is_spoilt(r, "json")) {
		respond_json(r->fd, "{\"took_ms\":1}");
		echo_frames(r);
	}
}

static void logger(struct request *r, unsigned at)
{
	char body[256];

	/* Wants to log the body; an upgrade has none, so nothing will ever come. */
	if (is_spoilt(r, "body") && read_some(r->fd, body, sizeof(body)) <= 0)
		return;
	next(r, at);
}

static void auth(struct request *r, unsigned at)
{
	if (is_spoilt(r, "silent"))
		return;
	if (is_spoilt(r, "reject")) {
		write_log("refused: nobody is logged in\n");
		send_text(r->fd, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n"
				 "Content-Length: 0\r\n\r\n");
		return;
	}
	if (is_spoilt(r, "early"))
		send_text(r->fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	next(r, at);
}

static middleware *const chain[] = {metrics, logger, auth, upgrade};

__attribute__((noinline)) static void next(struct request *r, unsigned at)
{
	if (at < sizeof(chain) / sizeof(chain[0]))
		chain[at](r, at + 1);
	__asm__ volatile("");
}

/* ---- the server ---- */

static void serve(int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE};
	static struct request r;
	const char *query;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	memset(&r, 0, sizeof(r));
	r.fd = fd;
	if (read_head(&r)) {
		query = strstr(r.head, "spoil=");
		r.spoil = query && query < strstr(r.head, "\r\n") ? query + 6 : " ";
		next(&r, 0);
	}
	close(fd);
}

/* In the child of a forking server, or in the one process there is. */
static void serve_somewhere(int fd, bool forks)
{
	pid_t child = forks ? fork() : 0;

	if (child != 0) {
		close(fd);
		return;
	}
	serve(fd);
	if (forks)
		exit(0);
}

__attribute__((noinline)) static void accept_loop(int listener, bool forks)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			serve_somewhere(fd, forks);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s PORT [fork]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* children are reaped by the kernel */
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 16) < 0) {
		perror(argv[0]);
		return 1;
	}
	accept_loop(listener, argc == 3 && strcmp(argv[2], "fork") == 0);
	return 0;
}
