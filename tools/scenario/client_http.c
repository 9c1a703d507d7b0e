/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/client_http: requests as the scenario writes them, and answers compared.
 * Source: RFC 9112; RFC 6455 sections 4.1 and 4.2.2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/websocket/handshake.h"
#include "tools/format/format.h"
#include "tools/scenario/client.h"

enum {
	BODY = 4 * 1024 * 1024,
};

#define SECOND UINT64_C(1000000000)

/* ---- requests ---- */

/* Does the scenario give that field, be it empty? */
static const struct yaml *given_field(const struct yaml *headers, const char *name)
{
	for (const struct yaml *h = headers ? headers->first : NULL; h; h = h->next) {
		if (!strcasecmp(h->key, name))
			return h;
	}
	return NULL;
}

static void put_field(struct bytes *b, const char *name, const char *value)
{
	bytes_text(b, name);
	bytes_text(b, ": ");
	bytes_text(b, value);
	bytes_text(b, "\r\n");
}

/* A field that is there unless the scenario gives it. */
static void put_default(struct bytes *b, const struct yaml *headers, const char *name,
			const char *value)
{
	if (!given_field(headers, name))
		put_field(b, name, value);
}

static void put_given(struct client *c, struct bytes *b, const struct yaml *headers)
{
	for (const struct yaml *h = headers ? headers->first : NULL; h; h = h->next) {
		if (h->len)
			put_field(b, h->key, expand(c->v, h->text, false, c->arena));
	}
}

static const char *text_or(struct client *c, const struct yaml *y, const char *key,
			   const char *otherwise)
{
	const char *text = y->kind == YAML_MAP ? keys_text(y, key) : NULL;

	return text ? expand(c->v, text, false, c->arena) : otherwise;
}

static void put_padding(struct bytes *b, uint64_t n)
{
	if (!n)
		return;
	bytes_text(b, "X-Padding: ");
	for (uint64_t i = 0; i < n; i++)
		bytes_put(b, "x", 1);
	bytes_text(b, "\r\n");
}

/* Request line, Host and padding. */
static void put_start(struct client *c, struct bytes *b, const struct yaml *y, const char *method,
		      const char *version)
{
	const char *path = y->kind == YAML_SCALAR && y->len ? expand(c->v, y->text, false, c->arena)
							    : text_or(c, y, "path", c->v->path);
	char host[128];

	bytes_text(b, method);
	bytes_text(b, " ");
	bytes_text(b, path);
	bytes_text(b, " ");
	bytes_text(b, version);
	bytes_text(b, "\r\n");
	snprintf(host, sizeof(host), strchr(c->v->host, ':') ? "[%s]:%" PRIu64 : "%s:%" PRIu64,
		 c->v->host[0] ? c->v->host : "localhost", c->v->port);
	put_default(b, yaml_get(y, "headers"), "Host", host);
	put_padding(b, keys_number(y, "pad", 0));
}

bool client_request(struct client *c, const struct yaml *y)
{
	const struct yaml *headers = yaml_get(y, "headers");
	const char *body = text_or(c, y, "body", NULL);
	struct bytes b = {.n = 0};
	char length[24];
	bool ok;

	c->method = text_or(c, y, "method", "GET");
	put_start(c, &b, y, c->method, text_or(c, y, "version", "HTTP/1.1"));
	if (body) {
		snprintf(length, sizeof(length), "%zu", strlen(body));
		put_default(&b, headers, "Content-Length", length);
	}
	put_given(c, &b, headers);
	bytes_text(&b, "\r\n");
	if (body)
		bytes_text(&b, body);
	ok = client_send(c, y, &b);
	bytes_done(&b);
	return ok;
}

/* Another key for each attempt: 16 bytes that tell who asked. */
static void make_key(struct client *c)
{
	uint8_t raw[16] = "shakedown";
	uint64_t n = ++c->keys + (c->v->seed << 16);

	for (int i = 0; i < 7; i++)
		raw[9 + i] = (uint8_t)(n >> 8 * i);
	ws_base64((struct span){raw, sizeof(raw)}, c->key);
	c->key[CLIENT_KEY] = '\0';
}

static void put_upgrade(struct client *c, struct bytes *b, const struct yaml *y)
{
	const struct yaml *headers = yaml_get(y, "headers"),
			  *key = given_field(headers, "Sec-WebSocket-Key");
	const char *protocol = text_or(c, y, "protocol", NULL);

	make_key(c);
	put_start(c, b, y, "GET", "HTTP/1.1");
	put_default(b, headers, "Upgrade", "websocket");
	put_default(b, headers, "Connection", "Upgrade");
	put_default(b, headers, "Sec-WebSocket-Key", c->key);
	put_default(b, headers, "Sec-WebSocket-Version", "13");
	if (protocol)
		put_default(b, headers, "Sec-WebSocket-Protocol", protocol);
	put_given(c, b, headers);
	bytes_text(b, "\r\n");
	if (key)
		snprintf(c->key, sizeof(c->key), "%s", key->text);
}

/* ---- answers ---- */

/* A whole head at the start of what was read.  Waits for it. */
static bool read_head(struct client *c, struct http_view *v)
{
	for (;;) {
		size_t n =
			c->in.n ? http_view_parse(v, HTTP_RESPONSE, (struct span){c->in.p, c->in.n})
				: 0;

		if (n)
			return true;
		if (c->in.n && v->head.state == HTTP_BAD)
			return client_fail_late(c, "an HTTP answer");
		if (client_fill(c) != CLIENT_MORE)
			return client_fail_late(c, c->in.n ? "the rest of the answer's head"
							   : "an answer");
	}
}

static bool fail_status(struct client *c, const struct http_view *v, const char *wanted)
{
	char line[200];
	size_t n = 0;

	while (n < c->in.n && c->in.p[n] != '\r' && c->in.p[n] != '\n')
		n++;
	format_escape(line, sizeof(line), (struct span){c->in.p, n}, NULL);
	return client_fail(c, "expected status %s, got '%s'", wanted, line);
}

/* Interim answers are passed over unless they are wanted. */
static bool read_wanted_head(struct client *c, struct http_view *v, const char *wanted)
{
	unsigned first = 100, last = 999;

	status_range(wanted, &first, &last);
	for (;;) {
		unsigned status;

		if (!read_head(c, v))
			return false;
		status = v->head.status;
		if (status >= 200 || status == 101 || (first >= 100 && last < 200))
			return (status >= first && status <= last) || fail_status(c, v, wanted);
		client_consume(c, v->head.len);
	}
}

static bool check_fields(struct client *c, const struct yaml *y, const struct http_view *v)
{
	const struct yaml *headers = yaml_get(y, "headers");

	for (const struct yaml *h = headers ? headers->first : NULL; h; h = h->next) {
		const char *pattern = expand(c->v, h->text, false, c->arena);
		const struct http_field *f = NULL;
		char shown[160] = "";
		bool found = false;

		for (unsigned i = 0; !found && (f = http_view_field(v, h->key, i)); i++) {
			found = pattern_matches(pattern, (const char *)f->value.p, f->value.n);
			format_escape(shown, sizeof(shown), f->value, NULL);
		}
		if (!found && !http_view_count(v, h->key))
			return client_fail(c, "the answer has no field %.60s", h->key);
		if (!found)
			return client_fail(c, "the field %.60s is '%s', not '%.100s'", h->key,
					   shown, pattern);
	}
	for (const struct yaml *w = keys_words(y, "absent"); w;
	     w = keys_word_next(y, "absent", w)) {
		if (http_view_count(v, w->text))
			return client_fail(c, "the answer has a field %.60s", w->text);
	}
	return true;
}

/* ---- bodies ---- */

/* Move n bytes from what was read to the body; waits for them. */
static bool take_body(struct client *c, uint64_t n, struct bytes *body)
{
	if (n > BODY - body->n)
		return client_fail(c, "the body is larger than 4 MiB");
	while (c->in.n < n) {
		if (client_fill(c) != CLIENT_MORE)
			return client_fail_late(c, "the rest of the body");
	}
	bytes_put(body, c->in.p, n);
	client_consume(c, n);
	return true;
}

/* A line without its end. */
static bool take_line(struct client *c, char *ret, size_t size)
{
	for (;;) {
		uint8_t *end = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
		size_t n = end ? (size_t)(end - c->in.p) : 0;

		if (end && n < size) {
			memcpy(ret, c->in.p, n);
			ret[n && ret[n - 1] == '\r' ? n - 1 : n] = '\0';
			client_consume(c, n + 1);
			return true;
		}
		if (end || c->in.n > size)
			return client_fail_late(c, "a line of the chunked body");
		if (client_fill(c) != CLIENT_MORE)
			return client_fail_late(c, "the rest of the body");
	}
}

static bool take_chunks(struct client *c, struct bytes *body)
{
	char line[1024] = "";

	for (;;) {
		uint64_t n = 0;

		if (!take_line(c, line, sizeof(line)))
			return false;
		if (sscanf(line, "%" SCNx64, &n) != 1)
			return client_fail(c, "a chunk of the body has no length");
		if (n == 0)
			break;
		if (!take_body(c, n, body) || !take_line(c, line, sizeof(line)))
			return false;
	}
	while (take_line(c, line, sizeof(line))) {
		if (!line[0])
			return true;
	}
	return false;
}

static bool take_rest(struct client *c, struct bytes *body)
{
	enum client_wait w = CLIENT_MORE;

	while (w == CLIENT_MORE && c->in.n < BODY)
		w = client_fill(c);
	if (w == CLIENT_LATE)
		return client_fail_late(c, "the end of the body");
	return take_body(c, c->in.n, body);
}

static bool read_body(struct client *c, const struct http_head *h, struct bytes *body)
{
	enum http_method of = strcasecmp(c->method, "HEAD") ? HTTP_GET : HTTP_HEAD;
	uint64_t n = 0;

	switch (http_response_body(h, of, &n)) {
	case HTTP_BODY_LENGTH:
		return take_body(c, n, body);
	case HTTP_BODY_CHUNKED:
		return take_chunks(c, body);
	case HTTP_BODY_TO_CLOSE:
		return take_rest(c, body);
	default:
		return true;
	}
}

bool client_expect_answer(struct client *c, const struct yaml *y)
{
	const char *wanted = keys_text(y, "status"), *pattern = keys_text(y, "body");
	struct bytes body = {.n = 0};
	struct http_head head;
	struct http_view *v = arena_alloc(c->arena, sizeof(*v));
	char shown[200];
	bool ok;

	if (!read_wanted_head(c, v, wanted ? wanted : "any") || !check_fields(c, y, v))
		return false;
	head = v->head;
	client_consume(c, head.len);
	ok = read_body(c, &head, &body);
	if (ok && pattern) {
		pattern = expand(c->v, pattern, false, c->arena);
		format_escape(shown, sizeof(shown), (struct span){body.p, body.n}, NULL);
		ok = pattern_matches(pattern, (const char *)body.p, body.n) ||
		     client_fail(c, "the body is '%s', not '%.100s'", shown, pattern);
	}
	bytes_done(&body);
	return ok;
}

/* ---- the handshake ---- */

/* Is the protocol that was chosen one of those asked for? */
static bool check_protocol(struct client *c, const struct http_view *v, const char *asked)
{
	const struct http_field *f = http_view_field(v, "Sec-WebSocket-Protocol", 0);
	struct span list = {(const uint8_t *)asked, asked ? strlen(asked) : 0}, item;
	char shown[120];
	size_t at = 0;

	if (!f)
		return !asked || client_fail(c, "the answer chooses no subprotocol");
	while (http_list_next(list, &at, &item)) {
		if (item.n == f->value.n && !memcmp(item.p, f->value.p, item.n))
			return true;
	}
	format_escape(shown, sizeof(shown), f->value, NULL);
	return client_fail(c, "the answer chooses the subprotocol '%s', which was not asked for",
			   shown);
}

static bool check_switch(struct client *c, const struct yaml *y, const struct http_view *v)
{
	const struct http_field *accept = http_view_field(v, "Sec-WebSocket-Accept", 0);
	char right[WS_ACCEPT_LEN];

	ws_accept((struct span){(const uint8_t *)c->key, strlen(c->key)}, right);
	if (!http_view_has_token(v, "Upgrade", "websocket"))
		return client_fail(c, "the 101 has no 'Upgrade: websocket'");
	if (!http_view_has_token(v, "Connection", "upgrade"))
		return client_fail(c, "the 101 has no 'Connection: Upgrade'");
	if (!accept)
		return client_fail(c, "the 101 has no Sec-WebSocket-Accept");
	if (accept->value.n != WS_ACCEPT_LEN || memcmp(accept->value.p, right, WS_ACCEPT_LEN))
		return client_fail(c, "Sec-WebSocket-Accept is not that of our key");
	if (http_view_count(v, "Sec-WebSocket-Extensions") &&
	    !given_field(yaml_get(y, "headers"), "Sec-WebSocket-Extensions"))
		return client_fail(c, "the 101 names an extension that was not asked for");
	return check_protocol(c, v, text_or(c, y, "protocol", NULL));
}

bool client_upgrade(struct client *c, const struct yaml *y)
{
	const struct yaml *early = yaml_get(y, "early");
	const char *wanted = y->kind == YAML_MAP ? keys_text(y, "status") : NULL;
	struct http_view *v = arena_alloc(c->arena, sizeof(*v));
	struct bytes b = {.n = 0};
	bool ok;

	c->within = c->began + keys_time(y, "within", 10 * SECOND);
	put_upgrade(c, &b, y);
	if (early)
		client_frame_bytes(c, early, &b);
	ok = client_send(c, y, &b);
	bytes_done(&b);
	if (ok && wanted && !strcmp(wanted, "none"))
		return true;
	if (!ok || !read_wanted_head(c, v, wanted ? wanted : "101") ||
	    !client_not_before(c, keys_time(y, "at_least", 0)))
		return false;
	if (v->head.status == 101) {
		ok = check_switch(c, y, v);
		client_consume(c, v->head.len);
		return ok;
	}
	struct http_head head = v->head;

	client_consume(c, head.len);
	ok = read_body(c, &head, &b);
	bytes_done(&b);
	return ok;
}
