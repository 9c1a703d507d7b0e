/* SPDX-License-Identifier: BSD-2-Clause
 *
 * phase_script: plays what moved on a connection to the phase machine.
 *
 * A case is what moved, in order, and what must be told: the phases with the offset where each
 * begins, and everything else.  Every case is played for a server and, mirrored, for a client; whole,
 * byte by byte and with each move cut in two at every place; on a fresh copy of the state for each
 * piece; and must always end in the same state.
 */
#ifndef TESTS_UNIT_PHASE_SCRIPT_H
#define TESTS_UNIT_PHASE_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/exchange/phase.h"
#include "tests/unit/guard.h"

enum move_kind {
	MOVE_NONE,
	MOVE_BYTES,
	MOVE_UNSEEN,
	MOVE_END,
};

struct move { /* dir as a server sees it */
	enum move_kind kind;
	enum dir dir;
	const char *bytes;
	size_t n;
	enum phase_end how;
};

#define R(text)                                               \
	{                                                     \
		MOVE_BYTES, DIR_RX, text, sizeof(text) - 1, 0 \
	}
#define W(text)                                               \
	{                                                     \
		MOVE_BYTES, DIR_TX, text, sizeof(text) - 1, 0 \
	}
#define R_UNSEEN(n)                             \
	{                                       \
		MOVE_UNSEEN, DIR_RX, NULL, n, 0 \
	}
#define W_UNSEEN(n)                             \
	{                                       \
		MOVE_UNSEEN, DIR_TX, NULL, n, 0 \
	}
#define FIN                                              \
	{                                                \
		MOVE_END, DIR_RX, NULL, 0, PHASE_END_EOF \
	}
#define SHUTDOWN                                              \
	{                                                     \
		MOVE_END, DIR_TX, NULL, 0, PHASE_END_SHUTDOWN \
	}
#define CLOSE                                              \
	{                                                  \
		MOVE_END, DIR_TX, NULL, 0, PHASE_END_CLOSE \
	}
#define RESET                                              \
	{                                                  \
		MOVE_END, DIR_RX, NULL, 0, PHASE_END_RESET \
	}

enum {
	MOVES = 10,
};

struct script {
	struct move move[MOVES];
	const char *phases;
	const char *events;
};

struct player {
	struct phase_machine m;
	bool mirrored;
	char phases[2048], events[4096];
	size_t phases_n, events_n;
};

static const char *const what_name[] = {
	[PHASE_CHANGE] = "change",
	[PHASE_REQUEST_START] = "request",
	[PHASE_REQUEST_READY] = "request-ready",
	[PHASE_REQUEST_END] = "request-end",
	[PHASE_RESPONSE_START] = "answer",
	[PHASE_RESPONSE_READY] = "answer-ready",
	[PHASE_RESPONSE_END] = "answer-end",
	[PHASE_EARLY] = "early",
	[PHASE_SWITCHED] = "switched",
	[PHASE_FRAME] = "frame",
	[PHASE_FRAME_END] = "frame-end",
	[PHASE_STRAY] = "stray",
	[PHASE_UNASKED] = "unasked",
	[PHASE_BAD_REQUEST] = "bad-request",
	[PHASE_BAD_RESPONSE] = "bad-answer",
	[PHASE_SET_ASIDE] = "set-aside",
	[PHASE_PREFIX] = "prefix",
	[PHASE_BLIND] = "blind",
};

static void add(char *text, size_t *n, size_t room, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void add(char *text, size_t *n, size_t room, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	*n += (size_t)vsnprintf(text + *n, room - *n, format, ap);
	va_end(ap);
	assert_true(*n < room);
}

#define ADD(player, channel, ...) \
	add((player)->channel, &(player)->channel##_n, sizeof((player)->channel), __VA_ARGS__)

static void note_detail(struct player *p, const struct phase_event *e)
{
	static const char *const foreign[] = {"", "tls", "http2", "http09", "other", "switched"};

	switch (e->what) {
	case PHASE_REQUEST_READY:
		assert_int_equal(e->head->state, HTTP_DONE);
		assert_int_equal(e->head->kind, HTTP_REQUEST);
		break;
	case PHASE_RESPONSE_READY:
		assert_int_equal(e->head->state, HTTP_DONE);
		ADD(p, events, " %d", e->head->status);
		break;
	case PHASE_BAD_REQUEST:
	case PHASE_BAD_RESPONSE:
		assert_non_null(e->head);
		break;
	case PHASE_FRAME:
		ADD(p, events, " %s %llu", ws_opcode_name(ws_opcode(e->frame)),
		    (unsigned long long)e->frame->len);
		break;
	case PHASE_SET_ASIDE:
		ADD(p, events, " %s", foreign[e->foreign]);
		break;
	default:
		break;
	}
}

static void note(void *ctx, const struct phase_event *e)
{
	struct player *p = ctx;
	enum dir dir = p->mirrored ? 1 - e->dir : e->dir;

	assert_int_equal(e->phase, phase_now(&p->m));
	assert_true(e->off <= p->m.off[e->dir]);
	if (e->what == PHASE_CHANGE) {
		ADD(p, phases, "%s%s %c%llu", p->phases_n ? ", " : "", phase_name(e->phase),
		    dir == DIR_RX ? 'r' : 'w', (unsigned long long)e->off);
		return;
	}
	ADD(p, events, "%s%s %c%llu", p->events_n ? ", " : "", what_name[e->what],
	    dir == DIR_RX ? 'r' : 'w', (unsigned long long)e->off);
	note_detail(p, e);
	if (e->exchange)
		ADD(p, events, " #%u", e->exchange);
}

/* Mirror a move for a client: what a server reads a client writes. */
static struct move mirror(struct move v)
{
	v.dir = 1 - v.dir;
	if (v.how == PHASE_END_EOF)
		v.how = PHASE_END_SHUTDOWN;
	else if (v.how == PHASE_END_SHUTDOWN || v.how == PHASE_END_CLOSE)
		v.how = PHASE_END_EOF;
	return v;
}

static void play_piece(struct player *p, const struct move *v, size_t from, size_t n)
{
	struct phase_machine fresh = p->m;

	/* A copy must do: scribble over the original meanwhile. */
	memset(&p->m, 0xa5, sizeof(p->m));
	p->m = fresh;
	if (v->kind == MOVE_BYTES)
		phase_feed(&p->m, v->dir, guard_copy(v->bytes + from, n), n, note, p);
	else if (v->kind == MOVE_UNSEEN)
		phase_skip(&p->m, v->dir, n, note, p);
	else
		phase_end(&p->m, v->dir, v->how, note, p);
}

/* Play the moves; move number cut_move is cut at cut; step cuts every move into pieces. */
static void play(struct player *p, const struct script *s, bool mirrored, unsigned cut_move,
		 size_t cut, size_t step)
{
	memset(p, 0, sizeof(*p));
	p->mirrored = mirrored;
	phase_init(&p->m, mirrored ? ROLE_CLIENT : ROLE_SERVER);
	for (unsigned i = 0; i < MOVES && s->move[i].kind; i++) {
		struct move v = mirrored ? mirror(s->move[i]) : s->move[i];
		size_t at = 0;

		if (v.kind == MOVE_END)
			play_piece(p, &v, 0, 0);
		while (at < v.n) {
			size_t n = v.n - at;

			if (i == cut_move && at < cut)
				n = cut - at;
			else if (n > step)
				n = step;
			play_piece(p, &v, at, n);
			at += n;
		}
	}
}

static void expect(const struct player *p, const struct script *s, const struct phase_machine *end,
		   const char *how, unsigned move, size_t cut)
{
	if (strcmp(p->phases, s->phases) || strcmp(p->events, s->events))
		fail_msg("%s%s, move %u cut at %zu\n   got %s\n  want %s\n   got %s\n  want %s",
			 how, p->mirrored ? ", client" : "", move, cut, p->phases, s->phases,
			 p->events, s->events);
	if (end)
		assert_memory_equal(&p->m, end, sizeof(*end));
}

static void run(const struct script *s)
{
	for (int mirrored = 0; mirrored < 2; mirrored++) {
		struct player p;
		struct phase_machine end;

		play(&p, s, mirrored, MOVES, 0, SIZE_MAX);
		expect(&p, s, NULL, "whole", 0, 0);
		end = p.m;
		play(&p, s, mirrored, MOVES, 0, 1);
		expect(&p, s, &end, "byte by byte", 0, 0);
		for (unsigned i = 0; i < MOVES && s->move[i].kind; i++) {
			for (size_t cut = 1; cut < s->move[i].n; cut++) {
				play(&p, s, mirrored, i, cut, SIZE_MAX);
				expect(&p, s, &end, "cut", i, cut);
			}
		}
	}
}

#define RUN(...) run(&(const struct script){__VA_ARGS__})

#define GET		 "GET / HTTP/1.1\r\n\r\n"			  /* 18 bytes */
#define OK		 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" /* 38 + 2 */
#define ATTEMPT		 "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n" /* 60 */
#define SWITCH		 "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n" /* 38 */
#define REFUSE		 "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n" /* 38 */
#define PHASES_TO_SWITCH "request-head r0, before-response r60, response-head w0, upgraded w38"
#define EVENTS_TO_SWITCH                                                                    \
	"request r0, request-ready r60, request-end r60, answer w0, answer-ready w38 101, " \
	"switched w38"

#endif
