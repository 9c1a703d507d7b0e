/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What faults do to calls: what the application is told, and what its peer finds on the wire.
 *
 * The test is a door whose calls meet a fault at their first byte; it plays the peer, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shim/engine/clock.h"
#include "shim/engine/fault_act.h"
#include "shim/engine/fault_piece.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a door ---- */

static struct fault_rule rule;
static struct control_stat stat;

/* The fault of a rule, as it would be decided about at the first byte of a call. */
static struct fault_hit hit(const char *text, int fd)
{
	struct fault_error e;
	struct fault_hit h = {.rule = &rule, .act = &rule.act[0], .stat = &stat};

	if (!fault_parse_rule(text, strlen(text), &rule, &e))
		fail_msg("%s: %s", text, e.what);
	h.dir = rule.dirs == 1 << DIR_TX ? DIR_TX : DIR_RX;
	h.off = conn_of(fd) ? conn_of(fd)->machine.off[h.dir] : 0;
	h.unit.seed = 1;
	return h;
}

static bool act(struct call *c, const struct fault_hit *h)
{
	struct conn *conn = conn_of((int)c->arg[0]);

	if (rule.site != FAULT_SITE_BYTES)
		return fault_act_call(c, conn, h);
	switch (fault_kind_of((enum fault_id)h->act->fault)) {
	case FAULT_KIND_OUTCOME:
		return fault_act_outcome(c, conn, h);
	case FAULT_KIND_SHAPE:
		return fault_act_shape(c, conn, h);
	default:
		return fault_act_process(c, conn, h);
	}
}

/* Make a call; text NULL: no rule acts on it. */
static int64_t call(const char *text, unsigned id, uint64_t a, uint64_t b, uint64_t d, uint64_t e)
{
	struct call c = {.id = (uint16_t)id, .arg = {a, b, d, e}};
	enum dir dir = call_table[id].op == OP_READ ? DIR_RX : DIR_TX;
	struct fault_hit h;
	bool go_on = engine_enter(&c);

	if (go_on && conn_of((int)a))
		go_on = fault_act_goes_on(&c, conn_of((int)a), dir);
	if (go_on && text) {
		h = hit(text, (int)a);
		go_on = act(&c, &h);
	}
	if (go_on) {
		c.ret = syscall(call_table[id].nr, c.arg[0], c.arg[1], c.arg[2], c.arg[3], c.arg[4],
				c.arg[5]);
		if (c.ret < 0)
			c.ret = -errno;
	}
	if (!go_on && id == CALL_close)
		fault_act_closed(&c);
	engine_exit(&c);
	if (text && go_on && h.act->fault == FAULT_CORRUPT && h.dir == DIR_RX)
		fault_act_read(&c, conn_of((int)a), &h);
	return c.ret;
}

static int64_t put(const char *text, int fd, const char *s)
{
	return call(text, CALL_write, (uint64_t)fd, (uintptr_t)s, strlen(s), 0);
}

static char got[64 * 1024];

/* A read of the application's; what it brought is in got, as a string. */
static int64_t get(const char *text, int fd, size_t n)
{
	int64_t ret = call(text, CALL_read, (uint64_t)fd, (uintptr_t)got, n, 0);

	got[ret > 0 ? ret : 0] = 0;
	return ret;
}

/* ---- a connection and its peer ---- */

struct pair {
	int here, there;
};

static void track(int fd)
{
	engine_fds[fd] = conn_row(conn_new((uint32_t)fd, ROLE_SERVER, TRACE_ACCEPTED, 1));
	conn_unlock(conn_of(fd));
	memset(&stat, 0, sizeof(stat));
}

static int listen_here(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*at = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static struct pair open_tcp(bool blocks)
{
	struct sockaddr_in at;
	int listener = listen_here(&at);
	struct pair p = {-1, socket(AF_INET, SOCK_STREAM, 0)};

	assert_int_equal(connect(p.there, (struct sockaddr *)&at, sizeof(at)), 0);
	p.here = accept4(listener, NULL, NULL, blocks ? 0 : SOCK_NONBLOCK);
	assert_true(p.here >= 0);
	close(listener);
	track(p.here);
	return p;
}

static struct pair open_unix(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	track(fd[0]);
	return (struct pair){fd[0], fd[1]};
}

static void close_pair(struct pair p)
{
	call(NULL, CALL_close, (uint64_t)p.here, 0, 0, 0);
	close(p.there);
}

/* What the peer reads until nothing comes, or its end: then the last answer is told. */
static const char *peer_reads(struct pair p, ssize_t *ret_end)
{
	size_t n = 0;
	ssize_t r;

	while ((r = recv(p.there, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	got[n] = 0;
	if (ret_end)
		*ret_end = r < 0 ? -errno : r;
	return got;
}

static void peer_says(struct pair p, const char *s)
{
	assert_int_equal(write(p.there, s, strlen(s)), strlen(s));
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals++;
}

static int start(void **state)
{
	static char *none[] = {NULL};
	const char *problem;

	signal(SIGPIPE, on_signal);
	signal(SIGUSR1, on_signal);
	return engine_start(none, TRACE_DOOR_LIBC, &problem) ? 0 : -1;
}

/* ---- ends ---- */

static void a_reset_is_a_rst_for_the_peer_and_econnreset_then_epipe_for_the_server(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(put(NULL, p.here, "before"), 6);
	assert_int_equal(put("tx:reset", p.here, "lost"), -ECONNRESET);
	assert_string_equal(peer_reads(p, &end), "before");
	assert_int_equal(end, -ECONNRESET);
	signals = 0;
	assert_int_equal(put(NULL, p.here, "x"), -EPIPE);
	assert_int_equal(signals, 1);
	assert_int_equal(get(NULL, p.here, 10), 0);
	assert_int_equal(stat.hits, 1);
	close_pair(p);
}

static void a_reset_tells_who_waits_for_events(void **state)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	struct pair p = open_tcp(false);
	int ep = epoll_create1(0);

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.here, &e), 0);
	assert_int_equal(put("tx:reset", p.here, "x"), -ECONNRESET);
	assert_int_equal(epoll_wait(ep, &e, 1, 5000), 1);
	assert_int_equal(e.events & EPOLLHUP, EPOLLHUP);
	close(ep);
	close_pair(p);
	p = open_tcp(false);
	peer_says(p, "unread");
	assert_int_equal(get("rx:reset", p.here, 10), -ECONNRESET);
	close_pair(p);
}

static void a_reset_only_the_server_sees_sends_nothing(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(put("tx:reset,see=self", p.here, "x"), -ECONNRESET);
	assert_string_equal(peer_reads(p, &end), "");
	assert_int_equal(end, -EAGAIN);
	assert_int_equal(put(NULL, p.here, "x"), -EPIPE);
	assert_int_equal(get(NULL, p.here, 10), 0);
	close_pair(p);
}

static void a_reset_only_the_peer_sees_leaves_the_server_an_end_without_an_error(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(put("tx:reset,see=peer", p.here, "lost"), 4);
	assert_string_equal(peer_reads(p, &end), "");
	assert_int_equal(end, -ECONNRESET);
	assert_int_equal(get(NULL, p.here, 10), 0);
	close_pair(p);
}

static void a_reset_of_a_unix_socket_is_an_end_and_said_to_be_none(void **state)
{
	struct pair p = open_unix();
	ssize_t end;

	assert_int_equal(put("tx:reset", p.here, "lost"), -EPIPE);
	peer_reads(p, &end);
	assert_int_equal(end, 0);
	close_pair(p);
}

static void a_close_is_a_fin_even_when_bytes_were_not_read(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	peer_says(p, "never read");
	assert_int_equal(get("rx:close", p.here, 10), 0);
	assert_int_equal(put(NULL, p.here, "x"), -EPIPE);
	call(NULL, CALL_close, (uint64_t)p.here, 0, 0, 0);
	peer_reads(p, &end);
	assert_int_equal(end, 0);
	close(p.there);
}

static void half_a_close_leaves_the_other_direction(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(put("tx:half_close", p.here, "x"), -EPIPE);
	peer_reads(p, &end);
	assert_int_equal(end, 0);
	peer_says(p, "still heard");
	assert_int_equal(get(NULL, p.here, 64), 11);
	close_pair(p);
	p = open_tcp(false);
	peer_says(p, "unheard");
	assert_int_equal(get("rx:half_close", p.here, 64), 0);
	peer_says(p, "unheard");
	assert_int_equal(get(NULL, p.here, 64), 0);
	assert_int_equal(put(NULL, p.here, "still said"), 10);
	assert_string_equal(peer_reads(p, NULL), "still said");
	close_pair(p);
}

/* ---- errors ---- */

static void an_error_is_told_and_the_connection_lives_on(void **state)
{
	struct pair p = open_tcp(false);

	signals = 0;
	assert_int_equal(put("tx:error=EPIPE", p.here, "x"), -EPIPE);
	assert_int_equal(signals, 1);
	assert_int_equal(put("tx:error=ENOBUFS", p.here, "x"), -ENOBUFS);
	assert_string_equal(peer_reads(p, NULL), "");
	assert_int_equal(put("tx:error=EINTR,after=yes", p.here, "sent"), -EINTR);
	assert_string_equal(peer_reads(p, NULL), "sent");
	peer_says(p, "abc");
	assert_int_equal(get("rx:eagain=count=3", p.here, 8), -EAGAIN);
	assert_int_equal(get(NULL, p.here, 8), -EAGAIN);
	assert_int_equal(get(NULL, p.here, 8), -EAGAIN);
	assert_int_equal(get(NULL, p.here, 8), 3);
	close_pair(p);
}

static void what_a_call_cannot_say_is_refused_unless_it_may_be_illegal(void **state)
{
	struct pair p = open_tcp(true);

	peer_says(p, "abc");
	assert_int_equal(get("rx:eagain", p.here, 3), 3);
	assert_int_equal(stat.hits, 0);
	assert_int_equal(put("tx:error=ENOTDIR", p.here, "x"), 1);
	assert_int_equal(put("write:retval=5", p.here, "x"), 1);
	assert_int_equal(stat.hits, 0);
	peer_says(p, "abc");
	assert_int_equal(get("rx:eagain:illegal=yes", p.here, 3), -EAGAIN);
	assert_int_equal(put("write:retval=5:illegal=yes", p.here, "x"), 5);
	assert_int_equal(put("tx:error=EBADF:illegal=yes", p.here, "x"), -EBADF);
	assert_non_null(conn_of(p.here));
	assert_int_equal(stat.hits, 3);
	close_pair(p);
}

static void a_close_that_fails_closes(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(call("close:error=EIO", CALL_close, (uint64_t)p.here, 0, 0, 0), -EIO);
	assert_int_equal(fcntl(p.here, F_GETFD), -1);
	assert_null(conn_of(p.here));
	peer_reads(p, &end);
	assert_int_equal(end, 0);
	close(p.there);
}

static void accept_fails_with_the_connection_left_or_broken(void **state)
{
	struct sockaddr_in at;
	int listener = listen_here(&at), client = socket(AF_INET, SOCK_STREAM, 0), fd;
	char b;

	assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(call("accept:refuse=EMFILE", CALL_accept4, (uint64_t)listener, 0, 0, 0),
			 -EMFILE);
	assert_int_equal(call("accept:refuse", CALL_accept4, (uint64_t)listener, 0, 0, 0),
			 -ECONNABORTED);
	assert_int_equal(recv(client, &b, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	fd = (int)call("accept:refuse", CALL_accept4, (uint64_t)listener, 0, 0, 0);
	assert_int_equal(fd, -EAGAIN);
	close(client);
	close(listener);
}

/* ---- bytes that do not get through ---- */

static void dropped_bytes_are_said_to_be_sent(void **state)
{
	struct pair p = open_tcp(false);
	struct iovec v[] = {{"one", 3}, {"two", 3}};

	assert_int_equal(put("tx:drop", p.here, "gone"), 4);
	assert_int_equal(call(NULL, CALL_writev, (uint64_t)p.here, (uintptr_t)v, 2, 0), 6);
	assert_int_equal(put(NULL, p.here, "gone too"), 8);
	assert_string_equal(peer_reads(p, NULL), "");
	assert_int_equal(conn_of(p.here)->machine.off[DIR_TX], 18);
	assert_int_equal(stat.hits, 1);
	assert_int_equal(stat.bytes, 18);
	close_pair(p);
}

static void a_file_that_is_dropped_is_read_on(void **state)
{
	struct pair p = open_tcp(false);
	int file = memfd_create("f", 0);

	assert_int_equal(write(file, "0123456789", 10), 10);
	lseek(file, 0, SEEK_SET);
	assert_int_equal(call("tx:drop", CALL_sendfile, (uint64_t)p.here, (uint64_t)file, 0, 4), 4);
	assert_int_equal(lseek(file, 0, SEEK_CUR), 4);
	assert_string_equal(peer_reads(p, NULL), "");
	close(file);
	close_pair(p);
}

static void what_arrives_is_thrown_away_and_its_end_is_told(void **state)
{
	struct pair p = open_tcp(false);

	peer_says(p, "unheard");
	assert_int_equal(get("rx:drop", p.here, 64), -EAGAIN);
	peer_says(p, "unheard");
	assert_int_equal(get(NULL, p.here, 64), -EAGAIN);
	assert_int_equal(stat.bytes, 14);
	shutdown(p.there, SHUT_WR);
	assert_int_equal(get(NULL, p.here, 64), 0);
	close_pair(p);
}

static void *say_and_end(void *fd)
{
	const struct pair *p = fd;

	peer_says(*p, "more");
	shutdown(p->there, SHUT_WR);
	return NULL;
}

static void a_read_that_blocks_waits_over_what_is_dropped(void **state)
{
	struct pair p = open_tcp(true);
	pthread_t t;

	peer_says(p, "first");
	assert_int_equal(pthread_create(&t, NULL, say_and_end, &p), 0);
	assert_int_equal(get("rx:drop", p.here, 64), 0);
	pthread_join(t, NULL);
	assert_int_equal(stat.bytes, 9);
	close_pair(p);
}

static void drop_then_close_ends_at_once_when_no_time_is_given(void **state)
{
	struct pair p = open_tcp(false);
	ssize_t end;

	assert_int_equal(put("tx:drop,then=close", p.here, "gone"), 4);
	assert_string_equal(peer_reads(p, &end), "");
	assert_int_equal(end, 0);
	assert_int_equal(put(NULL, p.here, "x"), -EPIPE);
	close_pair(p);
}

static void a_limit_cuts_at_the_very_byte(void **state)
{
	struct iovec v[] = {{"ab", 2}, {"cdefgh", 6}};
	struct pair p;
	ssize_t end;

	for (unsigned blocks = 0; blocks < 2; blocks++) {
		p = open_tcp(blocks);
		assert_int_equal(put("tx:limit=6", p.here, "1234"), 4);
		assert_int_equal(call(NULL, CALL_writev, (uint64_t)p.here, (uintptr_t)v, 2, 0), 2);
		assert_string_equal(peer_reads(p, &end), "1234ab");
		assert_int_equal(end, 0);
		assert_int_equal(put(NULL, p.here, "x"), -EPIPE);
		assert_int_equal(stat.hits, 1);
		close_pair(p);
	}
	p = open_tcp(false);
	peer_says(p, "12345678");
	assert_int_equal(get("rx:limit=6,then=reset", p.here, 4), 4);
	assert_int_equal(get(NULL, p.here, 4), 2);
	assert_string_equal(got, "56");
	assert_int_equal(get(NULL, p.here, 4), -ECONNRESET);
	peer_reads(p, &end);
	assert_int_equal(end, -ECONNRESET);
	close_pair(p);
}

/* ---- other bytes ---- */

static void corrupted_bytes_differ_where_and_how_the_draw_says(void **state)
{
	struct pair p = open_tcp(false);
	char sent[] = "aaaaaaaa", first[9];

	assert_int_equal(put("tx:corrupt=3", p.here, sent), 8);
	strcpy(first, peer_reads(p, NULL));
	assert_string_equal(sent, "aaaaaaaa");
	assert_string_equal(first + 3, "aaaaa");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(__builtin_popcount((uint8_t)(first[i] ^ 'a')), 1);
	assert_int_equal(put("tx:corrupt=3", p.here, sent), 8);
	assert_string_equal(peer_reads(p, NULL), first);
	peer_says(p, sent);
	assert_int_equal(get("rx:corrupt=3", p.here, 64), 8);
	assert_string_equal(got, first);
	close_pair(p);
}

static void inserted_bytes_come_before_the_others_and_count_for_nobody(void **state)
{
	struct pair p = open_tcp(false);

	assert_int_equal(put("tx:insert=in%3Ased", p.here, "own"), 3);
	assert_string_equal(peer_reads(p, NULL), "in:sedown");
	assert_int_equal(conn_of(p.here)->machine.off[DIR_TX], 3);
	peer_says(p, "own");
	assert_int_equal(get("rx:insert=more", p.here, 3), 3);
	assert_string_equal(got, "mor");
	assert_int_equal(get(NULL, p.here, 64), 1);
	assert_string_equal(got, "e");
	assert_int_equal(conn_of(p.here)->machine.off[DIR_RX], 0);
	assert_int_equal(get(NULL, p.here, 64), 3);
	assert_string_equal(got, "own");
	assert_int_equal(conn_of(p.here)->machine.off[DIR_RX], 3);
	close_pair(p);
}

static void inserted_bytes_wait_for_room_in_the_socket(void **state)
{
	static char much[1 << 20];
	struct pair p = open_tcp(false);
	size_t all = 0;

	memset(much, 'x', sizeof(much) - 1);
	while (put(NULL, p.here, much) > 0)
		;
	assert_int_equal(put("tx:insert=<in>", p.here, "own"), -EAGAIN);
	while (put(NULL, p.here, "own") < 0) {
		size_t n = strlen(peer_reads(p, NULL));

		all += n;
	}
	for (;;) {
		struct pollfd f = {p.there, POLLIN, 0};

		assert_int_equal(poll(&f, 1, 5000), 1);
		peer_reads(p, NULL);
		if (strstr(got, "own"))
			break;
	}
	assert_non_null(strstr(got, "x<in>own"));
	assert_true(all > 0);
	close_pair(p);
}

static void a_frame_of_our_own_is_what_the_rule_asks_for(void **state)
{
	struct pair p = open_tcp(false);
	uint8_t *b = (uint8_t *)got;

	assert_int_equal(put("tx@frames:frame,op=9,len=3", p.here, "own"), 3);
	peer_reads(p, NULL);
	assert_string_equal(got, "\x89\x03"
				 "abcown");
	assert_int_equal(
		put("tx@frames:frame,op=8,code=1002,fin=0,rsv=5,mask=wrong", p.here, "own"), 3);
	peer_reads(p, NULL);
	assert_int_equal(b[0], 0x58);
	assert_int_equal(b[1], 0x82);
	assert_int_equal((b[6] ^ b[2]) << 8 | (b[7] ^ b[3]), 1002);
	assert_string_equal(got + 8, "own");
	peer_says(p, "own");
	assert_int_equal(get("rx@frames:frame,op=1,len=300", p.here, 64), 64);
	assert_int_equal(b[1], 0x80 | 126);
	assert_int_equal(b[2] << 8 | b[3], 300);
	assert_int_equal(b[8] ^ b[4], 'a');
	close_pair(p);
}

/* A frame's payload, unmasked; the header is taken off *at. */
static unsigned read_frame(const uint8_t **at, char *to)
{
	const uint8_t *p = *at, *key = p + 2;
	unsigned first = p[0], len = p[1] & 0x7f, masked = p[1] & 0x80;

	p += masked ? 6 : 2;
	for (unsigned i = 0; i < len; i++)
		to[i] = (char)(p[i] ^ (masked ? key[i % 4] : 0));
	to[len] = 0;
	*at = p + len;
	return first;
}

static void a_split_frame_says_the_same_in_pieces(void **state)
{
	static const uint8_t key[] = {1, 2, 3, 4};
	uint8_t frame[18] = {0x81, 0x80 | 12, 1, 2, 3, 4};
	struct pair p = open_tcp(false);
	const uint8_t *at = (uint8_t *)got;
	char text[128];

	assert_int_equal(put("tx@frames:frame,split=5", p.here, "\x81\x0cHello, world\x89"), 14);
	peer_reads(p, NULL);
	assert_int_equal(read_frame(&at, text), 0x01);
	assert_string_equal(text, "Hello");
	assert_int_equal(read_frame(&at, text), 0x00);
	assert_string_equal(text, ", wor");
	assert_int_equal(read_frame(&at, text), 0x80);
	assert_string_equal(text, "ld");
	for (unsigned i = 0; i < 12; i++)
		frame[6 + i] = (uint8_t)("Hello, world"[i] ^ key[i % 4]);
	assert_int_equal(write(p.there, frame, sizeof(frame)), sizeof(frame));
	{
		uint8_t all[64];
		size_t n = 0;
		int64_t r = get("rx@frames:frame,split=5", p.here, 64);

		for (; r > 0; r = get(NULL, p.here, 64)) {
			memcpy(all + n, got, (size_t)r);
			n += (size_t)r;
		}
		assert_int_equal(r, -EAGAIN);
		assert_int_equal(n, 3 * 6 + 12);
		at = all;
		assert_int_equal(read_frame(&at, text), 0x01);
		assert_string_equal(text, "Hello");
		assert_int_equal(read_frame(&at, text), 0x00);
		assert_string_equal(text, ", wor");
		assert_int_equal(read_frame(&at, text), 0x80);
		assert_string_equal(text, "ld");
	}
	close_pair(p);
}

/* ---- pieces ---- */

static void a_bad_pointer_is_efault_in_every_shape(void **state)
{
	struct iovec good = {(void *)8, 4}, *bad = (struct iovec *)8;
	struct msghdr m = {.msg_iov = &good, .msg_iovlen = 1};
	static const char *const rules[] = {"tx:drop", "tx:limit=2", "tx:corrupt"};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rules); i++) {
		struct pair p = open_tcp(false);
		uint64_t fd = (uint64_t)p.here;

		assert_int_equal(call(rules[i], CALL_write, fd, 8, 4, 0), -EFAULT);
		assert_int_equal(call(NULL, CALL_writev, fd, (uintptr_t)&good, 1, 0), -EFAULT);
		assert_int_equal(call(NULL, CALL_writev, fd, (uintptr_t)bad, 1, 0), -EFAULT);
		assert_int_equal(call(NULL, CALL_sendmsg, fd, (uintptr_t)&m, 0, 0), -EFAULT);
		assert_int_equal(call(NULL, CALL_sendmsg, fd, 8, 0, 0), -EFAULT);
		close_pair(p);
	}
	{
		struct pair p = open_tcp(false);

		peer_says(p, "x");
		assert_int_equal(call("rx:insert=abc", CALL_read, (uint64_t)p.here, 8, 4, 0),
				 -EFAULT);
		close_pair(p);
	}
}

static void part_of_any_shape_can_be_moved(void **state)
{
	struct iovec v[] = {{"ab", 2}, {"", 0},	 {"cde", 3}, {"f", 1},
			    {"g", 1},  {"h", 1}, {"ij", 2}};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = v, .msg_iovlen = 7}},
			       {.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}}};
	struct pair p = open_tcp(false);
	struct call c = {.id = CALL_sendmmsg, .arg = {(uint64_t)p.here, (uintptr_t)m, 2, 0}};

	assert_int_equal(fault_piece_total(&c), 10);
	assert_false(fault_piece_cap(&c, 4));
	assert_int_equal(c.ret, 1);
	assert_int_equal(m[0].msg_len, 4);
	assert_string_equal(peer_reads(p, NULL), "abcd");
	assert_true(fault_piece_move(&c, 4, 100, 0) >= 1); /* as many buffers as fit */
	assert_memory_equal(peer_reads(p, NULL), "e", 1);
	c = (struct call){.id = CALL_write, .arg = {(uint64_t)p.here, (uintptr_t) "long", 4}};
	assert_true(fault_piece_cap(&c, 2));
	assert_int_equal(c.arg[2], 2);
	assert_int_equal(c.changed, 3);
	assert_int_equal(c.ret, 4);
	close_pair(p);
}

/* Segments with bytes in them that came so far. */
static uint32_t segments(int fd)
{
	struct {
		uint8_t before[104];
		uint64_t more[4];
		uint32_t out, in, not_sent, min_rtt, data_in, data_out;
	} info = {0};
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.data_in;
}

static void segments_leave_one_by_one_and_options_are_as_before(void **state)
{
	for (unsigned blocks = 0; blocks < 2; blocks++) {
		struct pair p = open_tcp(blocks);
		struct call c = {.id = CALL_write,
				 .arg = {(uint64_t)p.here, (uintptr_t) "0123456789", 10}};
		struct fault_hit h = hit("tx:slice=3,as=segment", p.here);
		int on = 7;
		socklen_t len = sizeof(on);

		fault_piece_segments(&c, conn_of(p.here), &h, 0, 10);
		assert_int_equal(c.ret, 10);
		assert_string_equal(peer_reads(p, NULL), "0123456789");
		assert_int_equal(segments(p.there), 4);
		assert_int_equal(getsockopt(p.here, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		assert_int_equal(on, 0);
		close_pair(p);
	}
}

/* ---- the process ---- */

static void a_signal_reaches_the_thread_that_calls(void **state)
{
	struct pair p = open_tcp(false);

	signals = 0;
	assert_int_equal(put("tx:signal=USR1", p.here, "x"), 1);
	assert_int_equal(signals, 1);
	close_pair(p);
}

static void a_pause_stops_the_process_and_leaves_no_child(void **state)
{
	int status;
	pid_t child = fork();

	if (!child) {
		struct pair p = open_tcp(false);
		bool sent = put("tx:pause=50ms", p.here, "x") == 1;

		_exit(sent && waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD ? 7 : 1);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void a_kill_is_one(void **state)
{
	int status;
	pid_t child = fork();

	if (!child) {
		struct pair p = open_tcp(false);

		put("tx:kill", p.here, "x");
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_reset_is_a_rst_for_the_peer_and_econnreset_then_epipe_for_the_server),
		cmocka_unit_test(a_reset_tells_who_waits_for_events),
		cmocka_unit_test(a_reset_only_the_server_sees_sends_nothing),
		cmocka_unit_test(
			a_reset_only_the_peer_sees_leaves_the_server_an_end_without_an_error),
		cmocka_unit_test(a_reset_of_a_unix_socket_is_an_end_and_said_to_be_none),
		cmocka_unit_test(a_close_is_a_fin_even_when_bytes_were_not_read),
		cmocka_unit_test(half_a_close_leaves_the_other_direction),
		cmocka_unit_test(an_error_is_told_and_the_connection_lives_on),
		cmocka_unit_test(what_a_call_cannot_say_is_refused_unless_it_may_be_illegal),
		cmocka_unit_test(a_close_that_fails_closes),
		cmocka_unit_test(accept_fails_with_the_connection_left_or_broken),
		cmocka_unit_test(dropped_bytes_are_said_to_be_sent),
		cmocka_unit_test(a_file_that_is_dropped_is_read_on),
		cmocka_unit_test(what_arrives_is_thrown_away_and_its_end_is_told),
		cmocka_unit_test(a_read_that_blocks_waits_over_what_is_dropped),
		cmocka_unit_test(drop_then_close_ends_at_once_when_no_time_is_given),
		cmocka_unit_test(a_limit_cuts_at_the_very_byte),
		cmocka_unit_test(corrupted_bytes_differ_where_and_how_the_draw_says),
		cmocka_unit_test(inserted_bytes_come_before_the_others_and_count_for_nobody),
		cmocka_unit_test(inserted_bytes_wait_for_room_in_the_socket),
		cmocka_unit_test(a_frame_of_our_own_is_what_the_rule_asks_for),
		cmocka_unit_test(a_split_frame_says_the_same_in_pieces),
		cmocka_unit_test(a_bad_pointer_is_efault_in_every_shape),
		cmocka_unit_test(part_of_any_shape_can_be_moved),
		cmocka_unit_test(segments_leave_one_by_one_and_options_are_as_before),
		cmocka_unit_test(a_signal_reaches_the_thread_that_calls),
		cmocka_unit_test(a_pause_stops_the_process_and_leaves_no_child),
		cmocka_unit_test(a_kill_is_one),
	};

	return cmocka_run_group_tests_name("fault_act", tests, start, NULL);
}
