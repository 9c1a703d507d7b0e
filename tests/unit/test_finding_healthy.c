/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Long healthy connections, made by chance: plain requests, refused attempts and ignored offers in any
 * order, pipelined or not, then perhaps an upgrade that ends as it should.  Nothing may be found but
 * the refusals themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/exchange/replay.h"

enum {
	CONNECTIONS = 1500,
	TEXT = 64 * 1024,
};

static struct finding_options options;
static uint64_t seed = 2463534242;

static unsigned chance(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

#define ATTEMPT                                                                            \
	"Upgrade: websocket\\r\\nConnection: keep-alive, Upgrade\\r\\nSec-WebSocket-Key: " \
	"$KEY\\r\\n"                                                                       \
	"Sec-WebSocket-Version: 13\\r\\n\\r\\n"

/* A request, its answer, and whether it is an attempt. */
static const struct pair {
	const char *request, *answer;
	bool attempt;
} pairs[] = {
	{"GET /a HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
	 "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello", false},
	{"GET /b HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
	 "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: "
	 "chunked\\r\\n\\r\\n5\\r\\nHTTP/\\r\\n0\\r\\n\\r\\n",
	 false},
	{"POST /c HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nGET / HTTP/1.1\\r\\n",
	 "HTTP/1.1 204 No Content\\r\\n\\r\\n", false},
	{"HEAD /d HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
	 "HTTP/1.1 200 OK\\r\\nContent-Length: 500\\r\\n\\r\\n", false},
	{"POST /e HTTP/1.1\\r\\nHost: a\\r\\nExpect: 100-continue\\r\\nContent-Length: "
	 "2\\r\\n\\r\\nok",
	 "HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 304 Not Modified\\r\\nContent-Length: "
	 "9\\r\\n\\r\\n",
	 false},
	{"GET /f HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade, HTTP2-Settings\\r\\nUpgrade: "
	 "h2c\\r\\n"
	 "HTTP2-Settings: AAMAAABk\\r\\n\\r\\n",
	 "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok", true},
	{"GET /g HTTP/1.1\\r\\nHost: a\\r\\n" ATTEMPT,
	 "HTTP/1.1 401 Unauthorized\\r\\nContent-Length: 0\\r\\n\\r\\n", true},
	{"GET /h HTTP/1.1\\r\\nHost: a\\r\\n" ATTEMPT,
	 "HTTP/1.1 403 Forbidden\\r\\nContent-Length: 18\\r\\n\\r\\nHTTP/1.1 101 not\\r\\n", true},
	{"GET /i HTTP/1.1\\r\\nHost: a\\r\\n" ATTEMPT,
	 "HTTP/1.1 103 Early Hints\\r\\n\\r\\nHTTP/1.1 404 Not Found\\r\\n"
	 "Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nno!\\r\\n0\\r\\n\\r\\n",
	 true},
};

struct writer {
	char *p;
	size_t n;
	unsigned ms;
};

static void line(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct writer *w, const char *format, ...)
{
	va_list ap;

	w->n += (size_t)snprintf(w->p + w->n, TEXT - w->n, "0 +%ums A ", w->ms);
	va_start(ap, format);
	w->n += (size_t)vsnprintf(w->p + w->n, TEXT - w->n, format, ap);
	va_end(ap);
	w->n += (size_t)snprintf(w->p + w->n, TEXT - w->n, "\n");
	assert_true(w->n < TEXT - 1024);
	w->ms += chance(50);
}

/* One to three requests sent together, then their answers. */
static unsigned write_batch(struct writer *w)
{
	const struct pair *batch[3];
	unsigned n = 1 + chance(3), attempts = 0;

	for (unsigned i = 0; i < n; i++) {
		batch[i] = &pairs[chance(CORE_ARRAY_LEN(pairs))];
		line(w, "rx \"%s\"", batch[i]->request);
		attempts += batch[i]->attempt;
	}
	for (unsigned i = 0; i < n; i++)
		line(w, "tx \"%s\"", batch[i]->answer);
	return attempts;
}

static void write_upgrade(struct writer *w)
{
	line(w, "rx $REQUEST");
	line(w, chance(2) ? "tx $SWITCH $SERVER_TEXT" : "tx $SWITCH");
	w->ms++;
	for (unsigned i = chance(6); i; i--) {
		line(w, "rx $CLIENT_TEXT");
		line(w, "tx $SERVER_TEXT");
	}
	line(w, "tx $SERVER_TEXT");
	if (chance(2)) {
		line(w, "rx $CLIENT_CLOSE");
		line(w, "tx $SERVER_CLOSE");
	} else {
		line(w, "tx $SERVER_CLOSE");
		line(w, "rx $CLIENT_CLOSE");
	}
}

/* Returns how many attempts were written. */
static unsigned write_connection(struct writer *w, bool *ret_upgraded)
{
	unsigned attempts = 0;

	w->n = (size_t)snprintf(w->p, TEXT, "0 conn A server\n");
	w->ms = 0;
	for (unsigned i = chance(8); i; i--)
		attempts += write_batch(w);
	*ret_upgraded = !attempts || chance(2);
	if (*ret_upgraded)
		write_upgrade(w);
	if (chance(2))
		line(w, "eof");
	line(w, "close");
	w->n += (size_t)snprintf(w->p + w->n, TEXT - w->n, "0 end +90s\n");
	return attempts + *ret_upgraded;
}

static void judge(const struct image *img, const char *text, unsigned attempts, bool upgraded)
{
	static struct finding f[FINDING_MAX];
	const struct connection *c = &img->process.connection[0];
	unsigned seen = 0;

	assert_int_equal(finding_detect_connection(&img->process, c, &options, f), 0);
	for (uint32_t j = 0; j < c->exchanges; j++) {
		const struct exchange *x = &c->exchange[j];
		uint32_t n = finding_detect(&img->process, x, &options, f);
		bool refused = x->attempt && x->outcome == OUTCOME_REFUSED;

		seen += x->attempt;
		if (n != refused || (n && f[0].id != FINDING_UPGRADE_REJECTED))
			fail_msg("exchange %u: %s: %s\n%s", j,
				 n ? finding_info(f[0].id)->id : "none", n ? f[0].message : "",
				 text);
	}
	assert_int_equal(seen, attempts);
	if (upgraded)
		assert_int_equal(c->exchange[c->exchanges - 1].outcome, OUTCOME_UPGRADED);
}

static void in_healthy_connections_nothing_is_found_but_the_refusals(void **state)
{
	static const unsigned cuts[] = {0, 1, 7, 100};
	struct writer w = {.p = malloc(TEXT)};

	(void)state;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct replay_case c = {.name = "chance", .conns = 1, .conn = {"A"}};
		struct image img;
		char *error = NULL;
		bool upgraded;
		unsigned attempts = write_connection(&w, &upgraded);

		c.text = w.p;
		if (!replay_build(&c, cuts[chance(4)], &options, &img, &error))
			fail_msg("%s", error);
		judge(&img, w.p, attempts, upgraded);
		replay_done(&img);
	}
	free(w.p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_healthy_connections_nothing_is_found_but_the_refusals),
	};

	finding_options_default(&options);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
