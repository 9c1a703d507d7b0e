/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/client: the built-in client: one connection, and the actions of a `client` step in turn.
 *
 * (1) Bytes leave exactly as the scenario says and in the pieces it says; nothing is buffered by anybody but
 *     the kernel (TCP_NODELAY).
 * (2) Every wait has a deadline.
 * (3) What the server sends is hostile: lengths are bounded, messages are escaped.
 */
#ifndef TOOLS_SCENARIO_CLIENT_H
#define TOOLS_SCENARIO_CLIENT_H

#include "core/http/view.h"
#include "core/websocket/frame.h"
#include "tools/scenario/proc.h"
#include "tools/scenario/scenario.h"

struct client_result {
	bool ok;
	struct place at; /* of the action that failed; file is not set */
	char what[700];	 /* a sentence */
};

/* Run the client of a step: connect to `to` unless it says otherwise.  Blocks until it is done or its
 * timeout has passed. */
void client_run(const struct yaml *client, const struct listening *to, const struct variables *v,
		struct client_result *ret);

/* ---- the rest is shared by the files of the client only ---- */

enum {
	CLIENT_HELD = 64 * 1024 * 1024, /* bytes that may wait to be looked at */
	CLIENT_KEY = 24,		/* letters of Sec-WebSocket-Key */
};

struct bytes {
	uint8_t *p;
	size_t n, cap;
};
void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_text(struct bytes *b, const char *text);
void bytes_done(struct bytes *b);

struct client {
	const struct yaml *action; /* under way: its value */
	const struct variables *v;
	struct arena *arena;
	struct client_result *result;
	int fd;
	uint64_t deadline, began; /* of the whole client; of the action */
	uint64_t within;	  /* deadline of the action */
	struct bytes in;	  /* read and not yet consumed */
	bool eof;
	int error;     /* errno that ended the connection, 0 */
	unsigned keys; /* asked for so far: each is another one */
	char key[CLIENT_KEY + 1];
	const char *method; /* of the request that is to be answered */
	uint64_t draw;	    /* state of the masks */
};

/* What the wait for bytes came to. */
enum client_wait {
	CLIENT_MORE,
	CLIENT_END, /* eof or error is set */
	CLIENT_LATE,
};

/* The action has failed: one sentence.  Returns false. */
bool client_fail(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with what has arrived instead. */
bool client_fail_late(struct client *c, const char *awaited);

/* Wait for further bytes until the action's deadline. */
enum client_wait client_fill(struct client *c);
void client_consume(struct client *c, size_t n);
/* Send bytes in the pieces that y's split, every and pause ask for.  y may be a scalar.  A connection that
 * has ended takes them without a word: the next expectation tells. */
bool client_send(struct client *c, const struct yaml *y, const struct bytes *b);
/* Let time pass, but not beyond the client's deadline. */
bool client_pause(struct client *c, uint64_t ns);
/* Text and hex of a mapping, repeated; or the scalar. */
bool client_payload(struct client *c, const struct yaml *y, struct bytes *ret);
/* Was the action done too early? */
bool client_not_before(struct client *c, uint64_t at_least);

/* ---- client_http.c ---- */
bool client_upgrade(struct client *c, const struct yaml *y);
bool client_request(struct client *c, const struct yaml *y);
bool client_expect_answer(struct client *c, const struct yaml *y);

/* ---- client_frame.c ---- */
bool client_frame(struct client *c, const struct yaml *y);
void client_frame_bytes(struct client *c, const struct yaml *y, struct bytes *ret);
bool client_expect_frame(struct client *c, const struct yaml *want);
bool client_close(struct client *c, const struct yaml *y);
bool client_expect_end(struct client *c, const char *how);

#endif
