/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_relay: a process that passes an upgrade on.  A is the accepted leg, B the one to the
 * backend; everything is reported beside A.
 */
#include "core/finding/detect.h"

/* The backend's side of this exchange, when both legs were seen whole and begin in order. */
static const struct exchange *backend(const struct detect *d)
{
	const struct exchange *y = d->server && d->whole ? model_other_leg(d->x) : NULL;

	return y && !y->conn->partial && y->t_start >= d->x->t_head ? y : NULL;
}

/* Proven by the key, so that this is one handshake and not two. */
static bool same_handshake(const struct exchange *x, const struct exchange *y)
{
	struct span a = field_value(x->request, "sec-websocket-key");
	struct span b = field_value(y->request, "sec-websocket-key");

	return a.n && a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static bool is_101(const struct exchange *x)
{
	return x->final && x->final->end != MODEL_NO_OFF && x->final->view->head.status == 101;
}

static uint64_t head_time(const struct exchange *x)
{
	return x->conn->event[x->final->last_event].t_ns;
}

/* ---- refused, and yet a tunnel ---- */

/* First bytes behind the request on A that went to B unchanged after the backend's refusal. */
static uint32_t passed_on(const struct detect *d, const struct exchange *y)
{
	uint64_t from = d->x->req_end, to = y->req_end;
	uint8_t in[64], out[64];
	uint32_t event;
	size_t n;

	if (from == MODEL_NO_OFF || to == MODEL_NO_OFF)
		return MODEL_NONE;
	event = model_event_at(y->conn, DIR_TX, to, y->ev_start);
	n = model_bytes(d->c, DIR_RX, from, d->x->ev_start, in, sizeof(in));
	if (event == MODEL_NONE || n < 2 || y->conn->event[event].t_ns <= head_time(y) ||
	    model_bytes(y->conn, DIR_TX, to, event, out, n) != n || memcmp(in, out, n) != 0)
		return MODEL_NONE;
	return event;
}

void rule_TUNNEL_AFTER_REFUSAL(struct detect *d)
{
	const struct exchange *y = backend(d);
	bool rewrites;
	uint32_t event;
	struct finding *f;

	if (!y || !y->final || y->final->end == MODEL_NO_OFF || is_101(y))
		return;
	event = passed_on(d, y);
	/* A proxy that changes requests would have changed this one, too; unless it claimed a 101. */
	rewrites = d->x->request_bytes.n != y->request_bytes.n;
	if (event == MODEL_NONE || (!is_101(d->x) && !rewrites))
		return;
	f = detect_raise(d, FINDING_TUNNEL_AFTER_REFUSAL);
	finding_evidence(f, model_event_at(d->c, DIR_RX, d->x->req_end, d->x->ev_start), DIR_RX,
			 d->x->req_end, 64);
	if (d->x->final)
		finding_evidence(f, d->x->final->first_event, DIR_TX, d->x->final->off, 12);
	finding_blame_nobody(f, "the write lies on the other connection");
	FINDING_SAY(f,
		    "the backend %s answered %u, yet what the client of %b sent next was passed on "
		    "to it unchanged",
		    y->conn->peer, (uint64_t)y->final->view->head.status, &d->x->request->target);
}

/* ---- the 101 that came late, early, or thinner ---- */

void rule_RELAY_101_NOT_FORWARDED(struct detect *d)
{
	const struct exchange *y = backend(d);
	uint64_t read, until, written = UINT64_MAX;
	struct finding *f;

	if (!y || !is_101(y))
		return;
	read = head_time(y);
	if (d->x->answers) {
		const struct answer *last = &d->x->answer[d->x->answers - 1];

		written = last->t_ns;
		if (last->view->head.status >= 200)
			return;
	}
	until = d->t_peer < d->t_own ? d->t_peer : d->t_own;
	if (d->p->t_end < until)
		until = d->p->t_end;
	if (written < until)
		until = written;
	if (since(read, until) < d->o->relay_ns)
		return;
	f = detect_raise(d, FINDING_RELAY_101_NOT_FORWARDED);
	finding_evidence(f, d->x->ev_head, DIR_RX, d->x->req_off, d->x->request_bytes.n);
	finding_blame_nobody(f, "the 101 was read, and nothing was done with it");
	if (written != UINT64_MAX) {
		finding_severity(f, SEVERITY_ERROR, "buffered");
		finding_evidence(f, d->x->answer[d->x->answers - 1].first_event, DIR_TX,
				 d->x->answer[d->x->answers - 1].off, 12);
		FINDING_SAY(f, "the 101 of %s for %b was passed on only %t after it was read",
			    y->conn->peer, &d->x->request->target, since(read, written));
		return;
	}
	FINDING_SAY(f, "%s answered 101 for %b, and %t later the client had not got it",
		    y->conn->peer, &d->x->request->target, since(read, until));
}

void rule_RELAY_101_TOO_EARLY(struct detect *d)
{
	const struct exchange *y = backend(d);
	struct finding *f;

	if (!y || !is_101(d->x) || !same_handshake(d->x, y) || !y->final ||
	    y->final->end == MODEL_NO_OFF || d->x->final->t_ns >= head_time(y))
		return;
	f = detect_raise(d, FINDING_RELAY_101_TOO_EARLY);
	finding_answer(d, f, d->x->final);
	FINDING_SAY(f, "the client of %b got its 101 %t before %s answered %u",
		    &d->x->request->target, since(d->x->final->t_ns, head_time(y)), y->conn->peer,
		    (uint64_t)y->final->view->head.status);
}

void rule_RELAY_HEADER_DROPPED(struct detect *d)
{
	static const struct {
		const char *name, *shown;
	} kept[] = {
		{"sec-websocket-protocol", "Sec-WebSocket-Protocol"},
		{"sec-websocket-extensions", "Sec-WebSocket-Extensions"},
		{"set-cookie", "Set-Cookie"},
	};
	const struct exchange *y = backend(d);

	if (!y || !is_101(d->x) || !is_101(y) || !same_handshake(d->x, y) ||
	    d->x->final->view->dropped || y->final->view->dropped)
		return;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(kept); i++) {
		struct span value = field_value(y->final->view, kept[i].name);
		struct finding *f;

		if (!value.n || http_view_count(d->x->final->view, kept[i].name))
			continue;
		f = detect_raise(d, FINDING_RELAY_HEADER_DROPPED);
		finding_answer(d, f, d->x->final);
		FINDING_SAY(f, "%s answered %s: %q; the 101 to the client of %b lacks it",
			    y->conn->peer, kept[i].shown, &value, &d->x->request->target);
		return;
	}
}

/* ---- bytes in transit ---- */

/* The last byte of one direction; 0 when there is none. */
static uint64_t last_byte(const struct connection *c, enum dir dir)
{
	for (uint32_t i = c->events; i-- > 0;) {
		if (c->event[i].kind == EVENT_DATA && c->event[i].dir == dir)
			return c->event[i].t_ns;
	}
	return 0;
}

static uint64_t first_end(const struct connection *c, uint64_t otherwise)
{
	uint32_t own = c->ev_close < c->ev_shutdown ? c->ev_close : c->ev_shutdown;
	uint32_t peer = c->ev_eof < c->ev_reset ? c->ev_eof : c->ev_reset;
	uint32_t end = own < peer ? own : peer;

	return end == MODEL_NONE || c->event[end].t_ns > otherwise ? otherwise : c->event[end].t_ns;
}

/* Bytes of the client's that were read before its 101 was written. */
static uint64_t read_early(const struct detect *d)
{
	uint64_t end = d->x->req_end;

	for (uint32_t i = d->x->ev_start; i < d->c->events; i++) {
		const struct event *e = &d->c->event[i];

		if (e->kind == EVENT_DATA && e->dir == DIR_RX && e->t_ns < d->x->final->t_ns)
			end = e->off + e->moved;
	}
	return since(d->x->req_end, end);
}

/* Bytes of the backend's that came in the same read as its 101. */
static uint64_t read_with_101(const struct exchange *y)
{
	const struct event *e = &y->conn->event[y->final->last_event];

	return since(y->final->end, e->off + e->moved);
}

static void raise_lost(struct detect *d, const struct exchange *y, uint64_t in, uint64_t out,
		       bool upward)
{
	struct finding *f = detect_raise(d, FINDING_EARLY_DATA_LOST);

	finding_evidence(f, upward ? d->x->ev_head : d->x->ev_switched, upward ? DIR_RX : DIR_TX,
			 upward ? d->x->req_end : d->x->final->end, in - out);
	finding_severity(f, SEVERITY_ERROR, upward ? "from-client" : "from-backend");
	finding_blame_nobody(f, "the bytes were read and never written");
	FINDING_SAY(f,
		    "%u byte%s from the %s of %b behind the handshake, but only %u went on to %s",
		    in, in == 1 ? "" : "s", upward ? "client" : "backend", &d->x->request->target,
		    out, upward ? y->conn->peer : "the client");
}

void rule_EARLY_DATA_LOST(struct detect *d)
{
	const struct exchange *y = backend(d);
	uint64_t in, out, early, end;

	if (!y || !d->switched || !is_101(y) || d->x->req_end == MODEL_NO_OFF ||
	    y->req_end == MODEL_NO_OFF)
		return;
	end = first_end(d->c, first_end(y->conn, d->p->t_end));
	in = since(d->x->req_end, d->c->rx_end);
	out = since(y->req_end, y->conn->tx_end);
	early = read_early(d);
	if (in > out && early && (in - out == early || out == 0) &&
	    since(last_byte(d->c, DIR_RX), end) >= d->o->relay_ns) {
		raise_lost(d, y, in, out, true);
		return;
	}
	in = since(y->final->end, y->conn->rx_end);
	out = since(d->x->final->end, d->c->tx_end);
	early = read_with_101(y);
	if (in > out && early && (in - out == early || out == 0) &&
	    since(last_byte(y->conn, DIR_RX), end) >= d->o->relay_ns)
		raise_lost(d, y, in, out, false);
}

/* ---- one side left over ---- */

void rule_RELAY_ORPHAN(struct detect *d)
{
	const struct connection *other = d->c->relay;
	const struct exchange *x = d->c->exchanges ? &d->c->exchange[d->c->exchanges - 1] : NULL;
	const struct event *close;
	struct finding *f;

	if (!other || !x || !is_101(x) || !d->whole || other->partial ||
	    d->c->ev_close != MODEL_NONE || other->ev_close == MODEL_NONE || d->p->closes_unseen ||
	    d->c->shared || other->shared)
		return;
	close = &other->event[other->ev_close];
	if (close->close_how != CLOSE_CALL || since(close->t_ns, d->p->t_end) < d->o->orphan_ns)
		return;
	f = detect_raise(d, FINDING_RELAY_ORPHAN);
	finding_evidence(f, x->ev_switched, d->answer, x->final->off, 12);
	finding_blame_nobody(f, "closing is what did not happen");
	FINDING_SAY(f, "connection %u to %s was closed %t ago, this leg of the relay is still open",
		    (uint64_t)other->id, other->peer, since(close->t_ns, d->p->t_end));
}
