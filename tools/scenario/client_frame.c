/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/client_frame: frames as the scenario writes them, right or wrong, and messages compared.
 * Source: RFC 6455 sections 5.2 to 5.5 and 7.1.
 */
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/fault/decide.h"
#include "tools/format/format.h"
#include "tools/scenario/client.h"

enum {
	MESSAGE = 16 * 1024 * 1024,
};

#define SECOND UINT64_C(1000000000)

/* ---- sending ---- */

struct head {
	unsigned op, rsv;
	bool fin, mask;
	uint64_t length;
};

static void put_frame(struct client *c, const struct head *h, const uint8_t *payload, size_t n,
		      struct bytes *ret)
{
	uint8_t head[14];
	uint32_t mask;
	size_t len = 2;

	head[0] = (uint8_t)(h->fin << 7 | h->rsv << 4 | h->op);
	head[1] = (uint8_t)(h->mask << 7 | (h->length < 126	? h->length
					    : h->length < 65536 ? 126
								: 127));
	for (int i = h->length < 126 ? 0 : h->length < 65536 ? 2 : 8; i > 0; i--)
		head[len++] = (uint8_t)(h->length >> 8 * (i - 1));
	if (!h->mask) {
		bytes_put(ret, head, len);
		bytes_put(ret, payload, n);
		return;
	}
	mask = (uint32_t)fault_hash(c->draw++, "mask", 4);
	memcpy(head + len, &mask, 4);
	bytes_put(ret, head, len + 4);
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = payload[i] ^ head[len + (i & 3)];

		bytes_put(ret, &byte, 1);
	}
}

void client_frame_bytes(struct client *c, const struct yaml *y, struct bytes *ret)
{
	const char *op = y->kind == YAML_MAP ? keys_text(y, "op") : NULL;
	uint64_t code = keys_number(y, "code", UINT64_MAX);
	struct head h = {.op = op		    ? (unsigned)opcode_by_name(op)
			       : code != UINT64_MAX ? WS_CLOSE
						    : WS_TEXT,
			 .rsv = (unsigned)keys_number(y, "rsv", 0),
			 .fin = keys_switch(y, "fin", true),
			 .mask = keys_switch(y, "mask", true)};
	struct bytes payload = {.n = 0};

	if (code != UINT64_MAX)
		bytes_put(&payload, (uint8_t[2]){(uint8_t)(code >> 8), (uint8_t)code}, 2);
	client_payload(c, y, &payload);
	h.length = keys_number(y, "length", payload.n);
	put_frame(c, &h, payload.p, payload.n, ret);
	bytes_done(&payload);
}

bool client_frame(struct client *c, const struct yaml *y)
{
	struct bytes b = {.n = 0};
	bool ok;

	client_frame_bytes(c, y, &b);
	ok = client_send(c, y, &b);
	bytes_done(&b);
	return ok;
}

static bool send_frame(struct client *c, unsigned op, const uint8_t *payload, size_t n)
{
	static const struct yaml plain = {.kind = YAML_MAP};
	struct head h = {.op = op, .fin = true, .mask = true, .length = n};
	struct bytes b = {.n = 0};
	bool ok;

	put_frame(c, &h, payload, n, &b);
	ok = client_send(c, &plain, &b);
	bytes_done(&b);
	return ok;
}

/* ---- receiving ---- */

struct message {
	uint8_t op;
	struct bytes payload;
};

/* The next whole frame. */
static bool read_frame(struct client *c, struct ws_frame *ret, struct bytes *payload)
{
	for (;;) {
		size_t n;

		ws_frame_init(ret);
		n = ws_frame_feed(ret, c->in.p, c->in.n);
		if (ret->complete && (ret->faults & WS_NOT_A_FRAME))
			return client_fail_late(c, "a frame that can be read");
		if (ret->complete && ws_masked(ret))
			return client_fail(c, "the server sent a masked frame");
		if (ret->complete && ret->len > MESSAGE - payload->n)
			return client_fail(c, "a message of more than 16 MiB");
		if (ret->complete && c->in.n - n >= ret->len) {
			bytes_put(payload, c->in.p + n, ret->len);
			client_consume(c, n + ret->len);
			return true;
		}
		if (client_fill(c) != CLIENT_MORE)
			return client_fail_late(c, c->in.n ? "the rest of a frame" : "a frame");
	}
}

/* The next message, put together; pings are answered and passed over unless keep_pings. A control frame may
 * come between two pieces: then it is the message, and the pieces before it are kept in *begun. */
static bool read_message(struct client *c, bool keep_pings, struct message *ret,
			 struct message *begun)
{
	for (;;) {
		struct bytes payload = {.n = 0};
		struct ws_frame f;
		bool ok = read_frame(c, &f, &payload);
		uint8_t op = ws_opcode(&f);

		if (!ok || op >= 8) {
			if (ok && op == WS_PING && !keep_pings) {
				ok = send_frame(c, WS_PONG, payload.p, payload.n);
				bytes_done(&payload);
				if (ok)
					continue;
			}
			*ret = (struct message){op, payload};
			return ok;
		}
		if (op != WS_CONTINUATION)
			begun->op = op;
		bytes_put(&begun->payload, payload.p, payload.n);
		bytes_done(&payload);
		if (begun->payload.n > MESSAGE)
			return client_fail(c, "a message of more than 16 MiB");
		if (ws_fin(&f)) {
			*ret = *begun;
			*begun = (struct message){.op = 0};
			return true;
		}
	}
}

static unsigned close_code(const struct message *m)
{
	return m->payload.n >= 2 ? (unsigned)(m->payload.p[0] << 8 | m->payload.p[1]) : 1005;
}

static bool fail_message(struct client *c, const struct message *m, const char *wanted)
{
	size_t skip = m->op == WS_CLOSE && m->payload.n >= 2 ? 2 : 0;
	char shown[200], code[40] = "";

	format_escape(shown, sizeof(shown), (struct span){m->payload.p + skip, m->payload.n - skip},
		      NULL);
	if (m->op == WS_CLOSE)
		snprintf(code, sizeof(code), " with code %u", close_code(m));
	return client_fail(c, "expected %s, got %s%s: '%s'", wanted, ws_opcode_name(m->op), code,
			   shown);
}

static bool check_message(struct client *c, const struct yaml *want, const struct message *m)
{
	const char *op = want->kind == YAML_MAP ? keys_text(want, "op") : NULL;
	const char *text = want->kind == YAML_MAP ? keys_text(want, "text") : want->text;
	uint64_t code = keys_number(want, "code", UINT64_MAX);
	size_t skip = m->op == WS_CLOSE && m->payload.n >= 2 ? 2 : 0;
	char wanted[200];

	if (code != UINT64_MAX && (m->op != WS_CLOSE || close_code(m) != code)) {
		snprintf(wanted, sizeof(wanted), "a Close with code %" PRIu64, code);
		return fail_message(c, m, wanted);
	}
	if (op && opcode_by_name(op) != m->op) {
		snprintf(wanted, sizeof(wanted), "a frame %.40s", op);
		return fail_message(c, m, wanted);
	}
	if (!text)
		return true;
	text = expand(c->v, text, false, c->arena);
	if (pattern_matches(text, (const char *)m->payload.p + skip, m->payload.n - skip))
		return true;
	snprintf(wanted, sizeof(wanted), "'%.150s'", text);
	return fail_message(c, m, wanted);
}

bool client_expect_frame(struct client *c, const struct yaml *want)
{
	const char *op = want->kind == YAML_MAP ? keys_text(want, "op") : NULL;
	bool control = (op && opcode_by_name(op) >= 8) || yaml_get(want, "code"), ok, passed;
	struct message m = {.op = 0}, begun = {.op = 0};

	do {
		bytes_done(&m.payload);
		ok = read_message(c, op && opcode_by_name(op) == WS_PING, &m, &begun);
		passed = ok && control && m.op < 8;
	} while (passed);
	ok = ok && check_message(c, want, &m);
	bytes_done(&m.payload);
	bytes_done(&begun.payload);
	return ok;
}

/* ---- the end ---- */

bool client_expect_end(struct client *c, const char *how)
{
	bool reset;

	while (!c->eof && !c->error) {
		c->in.n = 0;
		if (client_fill(c) == CLIENT_LATE)
			return client_fail_late(c, "the end of the connection");
	}
	reset = c->error == ECONNRESET || c->error == EPIPE;
	if (!reset && !c->eof)
		return client_fail(c, "the connection failed: %s", strerror(c->error));
	if (!strcmp(how, "eof") && reset)
		return client_fail(c, "the connection was reset; an orderly end was expected");
	return strcmp(how, "reset") || reset ||
	       client_fail(c, "the connection ended in an orderly way; a reset was expected");
}

bool client_close(struct client *c, const struct yaml *y)
{
	uint64_t code = keys_number(y, "code", 1000);
	const char *reason = keys_text(y, "reason");
	uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t n = reason ? strlen(reason) : 0;
	struct message begun = {.op = 0};
	bool ok, closed = false;

	c->within = c->began + keys_time(y, "within", 5 * SECOND);
	n = n > sizeof(payload) - 2 ? sizeof(payload) - 2 : n;
	memcpy(payload + 2, reason ? reason : "", n);
	ok = send_frame(c, WS_CLOSE, payload, n + 2);
	/* Messages that were under way come first. */
	while (ok && !closed) {
		struct message m = {.op = 0};

		ok = read_message(c, false, &m, &begun);
		closed = ok && m.op == WS_CLOSE;
		bytes_done(&m.payload);
	}
	bytes_done(&begun.payload);
	return ok && client_expect_end(c, "any");
}
