/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_head: what the head scanner promises.  Every case is a line: bytes, and what must be told.  It
 * is fed whole, byte by byte and cut in two at every place, always ending at an inaccessible page,
 * with a sink and without, and must come out the same to the last bit of the state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/http/head.h"
#include "tests/unit/guard.h"

struct told {
	const uint8_t *bytes;
	char text[8192];
	size_t n;
};

static void write_out(struct told *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void write_out(struct told *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t->n += (size_t)vsnprintf(t->text + t->n, sizeof(t->text) - t->n, format, ap);
	va_end(ap);
	assert_true(t->n < sizeof(t->text));
}

static void note_part(void *ctx, enum http_part part, uint32_t start, uint32_t end)
{
	static const char *const opening[] = {
		[HTTP_PART_METHOD] = "",  [HTTP_PART_TARGET] = " ", [HTTP_PART_VERSION] = " ",
		[HTTP_PART_STATUS] = " ", [HTTP_PART_REASON] = " ", [HTTP_PART_NAME] = "|",
		[HTTP_PART_VALUE] = "=",
	};
	struct told *t = ctx;

	assert_true(start <= end);
	write_out(t, "%s%.*s", t->n ? opening[part] : "", (int)(end - start),
		  (const char *)t->bytes + start);
}

static void write_flags(struct told *t, uint32_t flags)
{
	static const char *const name[] = {
		"upgrade", "websocket", "h2c",	  "tcp",     "spdy",	 "tls",
		"other",   "c-up",	"close",  "keep",    "length",	 "chunked",
		"te",	   "expect",	"key",	  "version", "accept",	 "protocol",
		"ext",	   "deflate",	"folded", "lf",	     "conflict", "encoding",
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(name); i++) {
		if (flags & (1u << i))
			write_out(t, " +%s", name[i]);
	}
}

static void write_result(struct told *t, const struct http_head *h, size_t used, size_t n)
{
	static const char *const state[] = {"more", "done", "bad"};

	write_out(t, " ; %s", state[h->state]);
	if (h->state == HTTP_BAD)
		write_out(t, " %zu error %d", used, h->error);
	else if (used < n)
		write_out(t, " rest %zu", n - used);
	if ((h->flags & HTTP_CONTENT_LENGTH) && !(h->flags & HTTP_LENGTH_CONFLICT))
		write_out(t, " #%llu", (unsigned long long)h->content_length);
	write_flags(t, h->flags);
}

/* Feed bytes in pieces: up to cut, then steps of step. Returns the bytes consumed. */
static size_t feed(struct http_head *h, enum http_kind kind, const uint8_t *p, size_t n, size_t cut,
		   size_t step, http_sink *sink, void *ctx)
{
	size_t at = 0;

	http_head_init(h, kind);
	while (at < n) {
		size_t piece = at < cut ? cut - at : step, used;

		piece = piece < n - at ? piece : n - at;
		used = http_head_feed(h, p + at, piece, sink, ctx);
		assert_true(used <= piece);
		at += used;
		if (h->state != HTTP_MORE)
			assert_int_equal(http_head_feed(h, p + at, n - at, sink, ctx), 0);
		if (used < piece || h->state != HTTP_MORE)
			break;
	}
	return at;
}

static void check_cut(enum http_kind kind, const uint8_t *p, size_t n, size_t cut, size_t step,
		      const char *wanted, const struct http_head *whole)
{
	struct told t = {.bytes = p};
	struct http_head h, quiet;
	size_t used = feed(&h, kind, p, n, cut, step, note_part, &t);

	assert_int_equal(used, h.len);
	write_result(&t, &h, used, n);
	if (strcmp(t.text, wanted))
		fail_msg("cut %zu step %zu\n got: %s\nwant: %s", cut, step, t.text, wanted);
	if (whole)
		assert_memory_equal(&h, whole, sizeof(h));
	/* Without a sink the result is the same; only the scanner's own fields may differ. */
	assert_int_equal(feed(&quiet, kind, p, n, cut, step, NULL, NULL), used);
	assert_memory_equal(&quiet, &h, offsetof(struct http_head, part_start));
}

static void check(enum http_kind kind, const void *bytes, size_t n, const char *wanted)
{
	const uint8_t *p = guard_copy(bytes, n);
	struct told t = {.bytes = p};
	struct http_head whole;

	feed(&whole, kind, p, n, n, n, note_part, &t);
	check_cut(kind, p, n, n, n, wanted, &whole);
	check_cut(kind, p, n, 0, 1, wanted, &whole);
	for (size_t cut = 1; cut < n; cut++)
		check_cut(kind, p, n, cut, n, wanted, &whole);
}

#define REQ(bytes, wanted)  check(HTTP_REQUEST, bytes, sizeof(bytes) - 1, wanted)
#define RESP(bytes, wanted) check(HTTP_RESPONSE, bytes, sizeof(bytes) - 1, wanted)

static void a_request_is_taken_apart_and_nothing_behind_it_is_touched(void **state)
{
	REQ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET ", "GET / HTTP/1.1|Host=a ; done rest 4");
	REQ("GET /a?b=c%20d HTTP/1.0\r\n\r\n\x81\x80", "GET /a?b=c%20d HTTP/1.0 ; done rest 2");
	REQ("OPTIONS * HTTP/1.1\r\nA:b\r\nC: d\r\n\r\n", "OPTIONS * HTTP/1.1|A=b|C=d ; done");
	REQ("GET /\xc3\xa9 HTTP/1.1\r\n\r\n", "GET /\xc3\xa9 HTTP/1.1 ; done");
	REQ("GET  /two   HTTP/1.1 \t\r\n\r\n", "GET /two HTTP/1.1 ; done");
	REQ("GET /x HTTP/1.7\r\n\r\n", "GET /x HTTP/1.7 ; done");
}

static void an_answer_is_taken_apart(void **state)
{
	RESP("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", "HTTP/1.1 200 OK|A=b ; done rest 4");
	RESP("HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101 Switching Protocols ; done");
	RESP("HTTP/1.0 204\r\n\r\n", "HTTP/1.0 204  ; done");
	RESP("HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200  ; done");
	RESP("HTTP/1.1  404 Not \t Found\r\n\r\n", "HTTP/1.1 404 Not \t Found ; done");
	RESP("HTTP/1.1 500 \xe9\r\n\r\n", "HTTP/1.1 500 \xe9 ; done");
}

static void an_unfinished_head_tells_what_is_complete(void **state)
{
	REQ("", " ; more");
	REQ("GE", " ; more");
	REQ("GET /chat HTTP/1.1", "GET /chat HTTP/1.1 ; more");
	REQ("GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1|Host ; more");
	REQ("GET / HTTP/1.1\r\nHost: a\r\n\r", "GET / HTTP/1.1|Host=a ; more");
	RESP("HTTP/1.1 20", "HTTP/1.1 ; more");
}

static void what_servers_tolerate_is_tolerated(void **state)
{
	REQ("\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 ; done");
	REQ("GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1|Host=a ; done +lf");
	REQ("GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1|Host=a ; done +lf");
	REQ("GET / HTTP/1.1\r\nA: b\r\r\n\r\r\n", "GET / HTTP/1.1|A=b ; done");
	REQ("GET / HTTP/1.1\r\nA:  \t b c \t \r\n\r\n", "GET / HTTP/1.1|A=b c ; done");
	REQ("GET / HTTP/1.1\r\nA:\r\nB: \t\r\n\r\n", "GET / HTTP/1.1|A=|B= ; done");
	REQ("GET / HTTP/1.1\r\nUpgrade : tcp\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade=tcp ; done +upgrade +tcp");
	REQ("GET / HTTP/1.1\r\nno colon\r\nX\r\nUpgrade\r\n\r\n",
	    "GET / HTTP/1.1|no colon=|X=|Upgrade= ; done +upgrade");
	REQ("GET / HTTP/1.1\r\nb(a)d: x\r\n\xff: y\r\nUp grade: z\r\n\r\n",
	    "GET / HTTP/1.1|b(a)d=x|\xff=y|Up grade=z ; done");
	REQ("GET / HTTP/1.1\r\nA: b\x01\x7f\xff\r\n\r\n", "GET / HTTP/1.1|A=b\x01\x7f\xff ; done");
}

static void a_folded_value_spans_its_fold(void **state)
{
	REQ("GET / HTTP/1.1\r\nA: b\r\n c\r\nD: e\r\n\r\n",
	    "GET / HTTP/1.1|A=b\r\n c|D=e ; done +folded");
	REQ("GET / HTTP/1.1\r\nA:\r\n \tb\r\n\r\n", "GET / HTTP/1.1|A=b ; done +folded");
	REQ("GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n", "GET / HTTP/1.1|A=b ; done +folded");
	REQ("GET / HTTP/1.1\r\nConnection: keep-alive,\r\n "
	    "upgrade\r\nUpgrade:\n\twebsocket\r\n\r\n",
	    "GET / HTTP/1.1|Connection=keep-alive,\r\n upgrade|Upgrade=websocket ; done"
	    " +upgrade +websocket +c-up +keep +folded +lf");
	REQ("GET / HTTP/1.1\r\n a: b\r\n\r\n", "GET / HTTP/1.1 ; bad 16 error 4");
}

static void what_is_no_head_is_bad_at_the_offending_byte(void **state)
{
	REQ("\x16\x03\x01", " ; bad 0 error 1");
	REQ(" GET / HTTP/1.1\r\n", " ; bad 0 error 1");
	REQ("GET\r\n", " ; bad 3 error 1");
	REQ("GET \r\n", "GET ; bad 4 error 1");
	REQ("G\tT / HTTP/1.1\r\n", " ; bad 1 error 1");
	REQ("GET /\0 HTTP/1.1\r\n", "GET ; bad 5 error 5");
	REQ("GET /\x1f HTTP/1.1\r\n", "GET ; bad 5 error 5");
	REQ("GET / HTTP/2.0\r\n", "GET / ; bad 11 error 2");
	REQ("GET / http/1.1\r\n", "GET / ; bad 6 error 2");
	REQ("GET / HTTP/1.x\r\n", "GET / ; bad 13 error 2");
	REQ("GET / HTTP/1.10\r\n", "GET / HTTP/1.1 ; bad 14 error 2");
	REQ("GET /a b HTTP/1.1\r\n", "GET /a ; bad 7 error 2");
	REQ("GET / HTTP/1.1\rX", "GET / HTTP/1.1 ; bad 15 error 5");
	REQ("GET / HTTP/1.1\r\nA: b\rc\r\n", "GET / HTTP/1.1|A ; bad 21 error 5");
	REQ("GET / HTTP/1.1\r\nA: b\0c\r\n", "GET / HTTP/1.1|A ; bad 20 error 5");
	REQ("GET / HTTP/1.1\r\nUpgrade: b\0c\r\n",
	    "GET / HTTP/1.1|Upgrade ; bad 26 error 5 +upgrade");
	REQ("GET / HTTP/1.1\r\nX-A\0: b\r\n", "GET / HTTP/1.1 ; bad 19 error 5");
	REQ("GET / HTTP/1.1\r\n: b\r\n", "GET / HTTP/1.1 ; bad 16 error 4");
	REQ("GET / HTTP/1.1\r\n\x01: b\r\n", "GET / HTTP/1.1 ; bad 16 error 5");
	REQ("GET / HTTP/1.1\r\n\rA: b\r\n", "GET / HTTP/1.1 ; bad 17 error 5");
	RESP("\x81\x05hello", " ; bad 0 error 1");
	RESP("<html>", " ; bad 0 error 1");
	RESP("HTTP/2 200\r\n", " ; bad 5 error 2");
	RESP("HTTP/1.1\r\n", "HTTP/1.1 ; bad 8 error 3");
	RESP("HTTP/1.1 20 OK\r\n", "HTTP/1.1 ; bad 11 error 3");
	RESP("HTTP/1.1 099 X\r\n", "HTTP/1.1 ; bad 9 error 3");
	RESP("HTTP/1.1 2000 X\r\n", "HTTP/1.1 200 ; bad 12 error 3");
	RESP("HTTP/1.1200 X\r\n", "HTTP/1.1 ; bad 8 error 3");
	RESP("HTTP/1.1 200 O\0K\r\n", "HTTP/1.1 200 ; bad 14 error 5");
}

static void a_line_without_a_version_is_the_whole_of_an_old_request(void **state)
{
	REQ("GET /old\r\nHost: a\r\n", "GET /old ; done rest 9");
	REQ("GET /old \n", "GET /old ; done +lf");
}

static void the_tokens_of_an_upgrade_are_recognised(void **state)
{
	REQ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade=websocket ; done +upgrade +websocket");
	REQ("GET / HTTP/1.1\r\nuPGRADE: WebSocket/13\r\n\r\n",
	    "GET / HTTP/1.1|uPGRADE=WebSocket/13 ; done +upgrade +websocket");
	REQ("GET / HTTP/1.1\r\nUpgrade: h2c, websocket\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade=h2c, websocket ; done +upgrade +websocket +h2c");
	REQ("GET / HTTP/1.1\r\nUpgrade: SPDY/3.1 , ,tcp\r\nUpgrade: TLS/1.0\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade=SPDY/3.1 , ,tcp|Upgrade=TLS/1.0 ; done"
	    " +upgrade +tcp +spdy +tls");
	REQ("GET / HTTP/1.1\r\nUpgrade: websockets, web, websocket x, h2c x; y\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade=websockets, web, websocket x, h2c x; y ; done"
	    " +upgrade +other");
	REQ("GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\nUpgrad: websocket\r\n\r\n",
	    "GET / HTTP/1.1|Upgrade-Insecure-Requests=1|Upgrad=websocket ; done");
}

static void the_options_of_a_connection_are_a_list(void **state)
{
	REQ("GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\n\r\n",
	    "GET / HTTP/1.1|Connection=keep-alive, Upgrade ; done +c-up +keep");
	REQ("GET / HTTP/1.1\r\nConnection: close\r\nConnection: upgrade\r\n\r\n",
	    "GET / HTTP/1.1|Connection=close|Connection=upgrade ; done +c-up +close");
	REQ("GET / HTTP/1.1\r\nConnection: upgraded, closed, keep\r\n\r\n",
	    "GET / HTTP/1.1|Connection=upgraded, closed, keep ; done");
	REQ("GET / HTTP/1.1\r\nConnection: ,\tUPGRADE\t,\r\n\r\n",
	    "GET / HTTP/1.1|Connection=,\tUPGRADE\t, ; done +c-up");
}

/* The scanner looks ahead for the end of a name where it has the bytes; it may not make a difference. */
static void names_that_almost_are_known_ones_are_not(void **state)
{
#define FAR "Z: 0123456789012345678901234567890123456789\r\n\r\n"
	REQ("GET / HTTP/1.1\r\nConte\nUpgrad\r\nUpgrade  :tcp\r\n" FAR,
	    "GET / HTTP/1.1|Conte=|Upgrad=|Upgrade=tcp"
	    "|Z=0123456789012345678901234567890123456789 ; done +upgrade +tcp +lf");
	REQ("GET / HTTP/1.1\r\nConnection x: close\r\nContent-Le:3:5:\r\nSec-WebSocket: "
	    "a:b:c:d:e\r\n" FAR,
	    "GET / HTTP/1.1|Connection x=close|Content-Le=3:5:|Sec-WebSocket=a:b:c:d:e"
	    "|Z=0123456789012345678901234567890123456789 ; done");
	REQ("GET / HTTP/1.1\r\nExpect     :100-continue\r\nc:::::::::::::::::::::\r\n" FAR,
	    "GET / HTTP/1.1|Expect=100-continue|c=::::::::::::::::::::"
	    "|Z=0123456789012345678901234567890123456789 ; done +expect");
	REQ("GET / HTTP/1.1\r\nC\0" FAR, "GET / HTTP/1.1 ; bad 17 error 5");
	REQ("GET / HTTP/1.1\r\nContent-Encoding\r\nContent-Length:4\r\nTransfer-Encoding \r\n" FAR,
	    "GET / HTTP/1.1|Content-Encoding=|Content-Length=4|Transfer-Encoding="
	    "|Z=0123456789012345678901234567890123456789 ; done +length +te +conflict "
	    "+encoding");
#undef FAR
}

static void the_fields_of_a_websocket_handshake_are_noticed(void **state)
{
	REQ("GET / HTTP/1.1\r\nSec-WebSocket-Key: k\r\nsec-websocket-version: 13\r\n\r\n",
	    "GET / HTTP/1.1|Sec-WebSocket-Key=k|sec-websocket-version=13 ; done +key +version");
	REQ("GET / HTTP/1.1\r\nSec-WebSocket-Protocol: p\r\nSec-WebSocket-Keys: k\r\n\r\n",
	    "GET / HTTP/1.1|Sec-WebSocket-Protocol=p|Sec-WebSocket-Keys=k ; done +protocol");
	RESP("HTTP/1.1 101 S\r\nSec-WebSocket-Accept: a\r\n"
	     "Sec-WebSocket-Extensions: permessage-deflate; a=1, x\r\n\r\n",
	     "HTTP/1.1 101 S|Sec-WebSocket-Accept=a|Sec-WebSocket-Extensions=permessage-deflate; "
	     "a=1, x ; done +accept +ext +deflate");
	REQ("GET / HTTP/1.1\r\nSec-WebSocket-Extensions: x, x-permessage-deflate\r\n\r\n",
	    "GET / HTTP/1.1|Sec-WebSocket-Extensions=x, x-permessage-deflate ; done +ext");
	REQ("GET / HTTP/1.1\r\nContent-Encoding: gzip\r\nExpect: 100-Continue\r\n\r\n",
	    "GET / HTTP/1.1|Content-Encoding=gzip|Expect=100-Continue ; done +expect +encoding");
}

static void lengths_that_agree_are_one_and_others_are_a_conflict(void **state)
{
	REQ("P / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=5 ; done #5 +length");
	REQ("P / HTTP/1.1\r\nContent-Length: 5, 005\r\nContent-Length:5\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=5, 005|Content-Length=5 ; done #5 +length");
	REQ("P / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=5, 6 ; done +length +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=5|Content-Length=6 ; done +length +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=-1 ; done +length +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=1 1 ; done +length +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length:\r\n\r\n",
	    "P / HTTP/1.1|Content-Length= ; done +length +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=9223372036854775807 ; done #9223372036854775807 "
	    "+length");
	REQ("P / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=9223372036854775808 ; done +length"
	    " +conflict");
	REQ("P / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "P / HTTP/1.1|Content-Length=5|Transfer-Encoding=chunked ; done +length +chunked"
	    " +te +conflict");
}

static void only_the_last_transfer_coding_makes_a_body_chunked(void **state)
{
	REQ("P / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n",
	    "P / HTTP/1.1|Transfer-Encoding=gzip, Chunked ; done +chunked +te");
	REQ("P / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
	    "P / HTTP/1.1|Transfer-Encoding=chunked, gzip ; done +te");
	REQ("P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
	    "P / HTTP/1.1|Transfer-Encoding=chunked|Transfer-Encoding=identity ; done +te");
	REQ("P / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
	    "P / HTTP/1.1|Transfer-Encoding=xchunked ; done +te");
}

static void methods_are_known_by_their_exact_name(void **state)
{
	static const struct {
		const char *line;
		enum http_method method;
	} row[] = {
		{"GET / HTTP/1.1\r\n\r\n", HTTP_GET},
		{"HEAD / HTTP/1.1\r\n\r\n", HTTP_HEAD},
		{"POST / HTTP/1.1\r\n\r\n", HTTP_POST},
		{"PUT / HTTP/1.1\r\n\r\n", HTTP_PUT},
		{"DELETE / HTTP/1.1\r\n\r\n", HTTP_DELETE},
		{"CONNECT a:1 HTTP/1.1\r\n\r\n", HTTP_CONNECT},
		{"OPTIONS / HTTP/1.1\r\n\r\n", HTTP_OPTIONS},
		{"PATCH / HTTP/1.1\r\n\r\n", HTTP_PATCH},
		{"get / HTTP/1.1\r\n\r\n", HTTP_METHOD_OTHER},
		{"GETS / HTTP/1.1\r\n\r\n", HTTP_METHOD_OTHER},
		{"GE / HTTP/1.1\r\n\r\n", HTTP_METHOD_OTHER},
		{"P / HTTP/1.1\r\n\r\n", HTTP_METHOD_OTHER},
		{"PURGE / HTTP/1.1\r\n\r\n", HTTP_METHOD_OTHER},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(row); i++) {
		struct http_head h;
		size_t n = strlen(row[i].line);

		for (size_t cut = 0; cut < n; cut++) {
			feed(&h, HTTP_REQUEST, (const uint8_t *)row[i].line, n, cut, 1, NULL, NULL);
			assert_int_equal(h.state, HTTP_DONE);
			assert_int_equal(h.method, row[i].method);
		}
		if (row[i].method)
			assert_memory_equal(http_method_name(row[i].method), row[i].line,
					    strlen(http_method_name(row[i].method)));
	}
	assert_string_equal(http_method_name(HTTP_METHOD_OTHER), "(other)");
}

static void a_head_longer_than_the_limit_is_bad_however_it_comes(void **state)
{
	static const char start[] = "GET / HTTP/1.1\r\nX: ";
	static char bytes[HTTP_HEAD_MAX + 2];
	struct http_head h;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, start, sizeof(start) - 1);
	for (size_t cut = HTTP_HEAD_MAX - 1; cut <= HTTP_HEAD_MAX + 1; cut++) {
		const uint8_t *p = guard_copy(bytes, sizeof(bytes));

		assert_int_equal(feed(&h, HTTP_REQUEST, p, sizeof(bytes), cut, 1, NULL, NULL),
				 HTTP_HEAD_MAX);
		assert_int_equal(h.state, HTTP_BAD);
		assert_int_equal(h.error, HTTP_ERR_LIMIT);
	}
	memcpy(bytes + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(
		feed(&h, HTTP_REQUEST, (uint8_t *)bytes, sizeof(bytes), 7, 4096, NULL, NULL),
		HTTP_HEAD_MAX);
	assert_int_equal(h.state, HTTP_DONE);
}

static void fields_are_counted_and_the_count_saturates(void **state)
{
	static char bytes[16384] = "GET / HTTP/1.1\r\n";
	struct http_head h;

	for (unsigned i = 0; i < 300; i++)
		strcat(bytes, i % 2 ? "Connection: x\r\n" : "A: b\r\n");
	strcat(bytes, "\r\n");
	feed(&h, HTTP_REQUEST, (uint8_t *)bytes, strlen(bytes), 0, 5, NULL, NULL);
	assert_int_equal(h.state, HTTP_DONE);
	assert_int_equal(h.fields, 255);
}

static struct http_head head_of(enum http_kind kind, const char *bytes)
{
	struct http_head h;

	feed(&h, kind, (const uint8_t *)bytes, strlen(bytes), 0, 4096, NULL, NULL);
	assert_int_equal(h.state, HTTP_DONE);
	return h;
}

static bool is_attempt(const char *fields)
{
	char bytes[512];
	struct http_head h;

	snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n%s\r\n", fields);
	h = head_of(HTTP_REQUEST, bytes);
	return http_head_is_attempt(&h);
}

static void an_attempt_is_an_upgrade_or_what_a_stripping_proxy_left_of_it(void **state)
{
	struct http_head h = head_of(HTTP_RESPONSE, "HTTP/1.1 426 U\r\nUpgrade: websocket\r\n\r\n");

	assert_true(is_attempt("Upgrade: h2c\r\n"));
	assert_true(is_attempt("Upgrade:\r\n"));
	assert_true(is_attempt("Sec-WebSocket-Key: x\r\n"));
	assert_true(is_attempt("Sec-WebSocket-Version: 13\r\n"));
	assert_false(is_attempt(""));
	assert_false(is_attempt("Connection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n"));
	assert_false(http_head_is_attempt(&h));
}

static void the_version_is_known(void **state)
{
	assert_int_equal(head_of(HTTP_REQUEST, "GET / HTTP/1.0\r\n\r\n").version, 0x10);
	assert_int_equal(head_of(HTTP_REQUEST, "GET / HTTP/1.1\r\n\r\n").version, 0x11);
	assert_int_equal(head_of(HTTP_REQUEST, "GET / HTTP/1.3\r\n\r\n").version, 0x11);
	assert_int_equal(head_of(HTTP_REQUEST, "GET /\r\n").version, 0x09);
	assert_int_equal(head_of(HTTP_RESPONSE, "HTTP/1.0 200 OK\r\n\r\n").version, 0x10);
}

static uint64_t request_body(const char *fields)
{
	char bytes[512];
	struct http_head h;
	uint64_t len = 0;

	snprintf(bytes, sizeof(bytes), "POST / HTTP/1.1\r\n%s\r\n", fields);
	h = head_of(HTTP_REQUEST, bytes);
	return http_request_body(&h, &len) ? len : 0;
}

static void the_body_of_a_request_follows_from_its_head(void **state)
{
	assert_int_equal(request_body(""), 0);
	assert_int_equal(request_body("Content-Length: 0\r\n"), 0);
	assert_int_equal(request_body("Content-Length: 7\r\n"), 7);
	assert_int_equal(request_body("Transfer-Encoding: chunked\r\n"), HTTP_LEN_CHUNKED);
	assert_int_equal(request_body("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"),
			 HTTP_LEN_CHUNKED);
	assert_int_equal(request_body("Transfer-Encoding: gzip\r\n"), HTTP_LEN_TO_CLOSE);
	assert_int_equal(request_body("Content-Length: 7, 8\r\n"), HTTP_LEN_TO_CLOSE);
}

static enum http_body response_body(const char *line, enum http_method of, const char *fields,
				    uint64_t *len)
{
	char bytes[512];
	struct http_head h;

	snprintf(bytes, sizeof(bytes), "HTTP/1.1 %s X\r\n%s\r\n", line, fields);
	h = head_of(HTTP_RESPONSE, bytes);
	return http_response_body(&h, of, len);
}

static void the_body_of_an_answer_follows_from_its_head_and_the_request(void **state)
{
	static const char length[] = "Content-Length: 9\r\n",
			  chunked[] = "Transfer-Encoding: chunked\r\n";
	uint64_t len = 0;

	assert_int_equal(response_body("200", HTTP_GET, length, &len), HTTP_BODY_LENGTH);
	assert_int_equal(len, 9);
	assert_int_equal(response_body("200", HTTP_GET, chunked, &len), HTTP_BODY_CHUNKED);
	assert_int_equal(response_body("200", HTTP_GET, "", &len), HTTP_BODY_TO_CLOSE);
	assert_int_equal(response_body("200", HTTP_GET, "Content-Length: x\r\n", &len),
			 HTTP_BODY_TO_CLOSE);
	assert_int_equal(response_body("200", HTTP_GET, "Transfer-Encoding: gzip\r\n", &len),
			 HTTP_BODY_TO_CLOSE);
	assert_int_equal(response_body("200", HTTP_HEAD, length, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("101", HTTP_GET, length, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("100", HTTP_POST, chunked, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("204", HTTP_GET, length, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("304", HTTP_GET, length, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("200", HTTP_CONNECT, length, &len), HTTP_BODY_NONE);
	assert_int_equal(response_body("403", HTTP_CONNECT, length, &len), HTTP_BODY_LENGTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart_and_nothing_behind_it_is_touched),
		cmocka_unit_test(an_answer_is_taken_apart),
		cmocka_unit_test(an_unfinished_head_tells_what_is_complete),
		cmocka_unit_test(what_servers_tolerate_is_tolerated),
		cmocka_unit_test(a_folded_value_spans_its_fold),
		cmocka_unit_test(what_is_no_head_is_bad_at_the_offending_byte),
		cmocka_unit_test(a_line_without_a_version_is_the_whole_of_an_old_request),
		cmocka_unit_test(the_tokens_of_an_upgrade_are_recognised),
		cmocka_unit_test(the_options_of_a_connection_are_a_list),
		cmocka_unit_test(names_that_almost_are_known_ones_are_not),
		cmocka_unit_test(the_fields_of_a_websocket_handshake_are_noticed),
		cmocka_unit_test(lengths_that_agree_are_one_and_others_are_a_conflict),
		cmocka_unit_test(only_the_last_transfer_coding_makes_a_body_chunked),
		cmocka_unit_test(methods_are_known_by_their_exact_name),
		cmocka_unit_test(a_head_longer_than_the_limit_is_bad_however_it_comes),
		cmocka_unit_test(fields_are_counted_and_the_count_saturates),
		cmocka_unit_test(the_version_is_known),
		cmocka_unit_test(an_attempt_is_an_upgrade_or_what_a_stripping_proxy_left_of_it),
		cmocka_unit_test(the_body_of_a_request_follows_from_its_head),
		cmocka_unit_test(the_body_of_an_answer_follows_from_its_head_and_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
