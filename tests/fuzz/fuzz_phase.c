/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the phase machine: both directions of a connection, in any order, seen or unseen, ended in any
 * way.
 *
 * Promises: no cut changes what is told or the state; every byte is counted; what is told lies in
 * what moved, is numbered by a request that began, and carries the phase the machine is in; a machine
 * that is blind stays so; nobody is told of an exchange's end before its start.
 * Input: one byte for the role; then moves of two bytes (what, length) and the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/exchange/phase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

struct play {
	struct phase_machine m;
	uint64_t sum; /* of everything told */
	uint32_t requests, ready, ended;
	enum phase phase;
};

static void mix(struct play *p, uint64_t x)
{
	p->sum = (p->sum ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	p->sum ^= p->sum >> 29;
}

static void count(struct play *p, const struct phase_event *e)
{
	switch (e->what) {
	case PHASE_CHANGE:
		must(e->phase != p->phase && e->phase < PHASE_COUNT);
		p->phase = e->phase;
		break;
	case PHASE_REQUEST_START:
		must(e->exchange == p->requests);
		p->requests++;
		break;
	case PHASE_REQUEST_READY:
		must(e->head && e->head->state == HTTP_DONE && e->head->kind == HTTP_REQUEST);
		must(++p->ready <= p->requests);
		break;
	case PHASE_REQUEST_END:
		must(++p->ended <= p->ready);
		break;
	case PHASE_RESPONSE_READY:
		must(e->head && e->head->state == HTTP_DONE && e->head->kind == HTTP_RESPONSE);
		mix(p, e->head->status);
		break;
	case PHASE_FRAME:
		must(e->frame && e->frame->complete && !(e->frame->faults & WS_NOT_A_FRAME));
		mix(p, e->frame->len);
		break;
	case PHASE_SWITCHED:
		must(phase_is_switched(&p->m));
		break;
	case PHASE_BLIND:
		must(phase_is_blind(&p->m));
		break;
	default:
		break;
	}
}

static void note(void *ctx, const struct phase_event *e)
{
	struct play *p = ctx;

	count(p, e);
	must(e->phase == phase_now(&p->m) && e->phase == p->phase);
	must(e->off <= p->m.off[e->dir]);
	/* The change to request-head comes before the start that causes it. */
	must(e->exchange == 0 || e->exchange < p->requests + (e->what == PHASE_CHANGE));
	must((e->what == PHASE_SET_ASIDE) == (e->foreign != PHASE_FOREIGN_NONE));
	mix(p, (uint64_t)e->what << 40 | (uint64_t)e->phase << 32 | (uint64_t)e->dir << 24 |
		       e->exchange << 8 | e->foreign);
	mix(p, e->off);
}

static void feed(struct play *p, enum dir dir, const uint8_t *bytes, size_t n, size_t step)
{
	for (size_t at = 0; at < n;) {
		size_t piece = step < n - at ? step : n - at;
		struct phase_machine copy = p->m;
		uint64_t before = p->m.off[dir];
		bool was_blind = phase_is_blind(&p->m);

		/* Trying on a copy changes nothing. */
		phase_feed(&copy, dir, bytes ? bytes + at : bytes, bytes ? piece : 0, NULL, NULL);
		if (bytes)
			phase_feed(&p->m, dir, bytes + at, piece, note, p);
		else
			phase_skip(&p->m, dir, piece, note, p);
		if (bytes)
			must(memcmp(&copy, &p->m, sizeof(copy)) == 0);
		must(p->m.off[dir] == before + piece);
		must(!was_blind || phase_is_blind(&p->m));
		at += piece;
	}
}

static void play(struct play *p, const uint8_t *data, size_t size, size_t step)
{
	memset(p, 0, sizeof(*p));
	phase_init(&p->m, data[0] & 1 ? ROLE_CLIENT : ROLE_SERVER);
	p->phase = phase_now(&p->m);
	for (size_t at = 1; at + 2 <= size;) {
		uint8_t what = data[at];
		size_t n = data[at + 1];
		enum dir dir = what & 1 ? DIR_TX : DIR_RX;

		at += 2;
		if (what >> 1 == 127) {
			phase_end(&p->m, dir, (enum phase_end)(n & 3), note, p);
			continue;
		}
		if (what >> 1 == 126) {
			feed(p, dir, NULL, n, step);
			continue;
		}
		n = n < size - at ? n : size - at;
		feed(p, dir, data + at, n, step);
		at += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play whole, cut;

	if (!size)
		return 0;
	play(&whole, data, size, SIZE_MAX);
	for (size_t step = 1; step < 4; step++) {
		play(&cut, data, size, step);
		must(cut.sum == whole.sum && memcmp(&cut.m, &whole.m, sizeof(cut.m)) == 0);
	}
	return 0;
}
