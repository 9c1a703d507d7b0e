/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_timing: who ended the connection, when, and who waited in vain.
 *
 * An absence counts only when it was watched for as long as the limit.  What happens while the
 * process is being shut down is nobody's defect.
 */
#include "core/finding/detect.h"

enum {
	CLOCK_NS = 10000000, /* how old the time in a server's timer may be */
};

/* ---- no answer ---- */

/* The end of the watch over this exchange: the first end of the connection, or of the observation. */
static uint64_t watched_until(const struct detect *d)
{
	uint64_t t = d->p->t_end;

	if (d->t_own < t)
		t = d->t_own;
	return d->t_peer < t ? d->t_peer : t;
}

/* When the request was complete, body included; 0 when it never was. */
static uint64_t request_end_time(const struct detect *d)
{
	const struct mark *m;

	for (uint32_t i = d->x->mark_start; i < d->x->mark_end; i++) {
		m = &d->c->mark[i];
		if (m->e.what == PHASE_REQUEST_END && m->e.exchange == d->x->ordinal)
			return m->t_ns;
	}
	return 0;
}

/* An older request of the same connection still waits: the answers are due in order. */
static bool queued(const struct detect *d)
{
	const struct exchange *before = d->x->ordinal && d->x > d->c->exchange ? d->x - 1 : NULL;

	return before && !before->final;
}

static void say_upstream(struct detect *d, struct finding *f)
{
	const struct exchange *y = d->server ? model_other_leg(d->x) : NULL;

	if (!y)
		return;
	if (y->final) {
		finding_severity(f, SEVERITY_ERROR, "upstream-answered");
		FINDING_SAY(f, "; the backend %s answered %u", d->c->relay->peer,
			    (uint64_t)y->final->view->head.status);
		FINDING_FIX(f, "Pass the backend's answer on to the client and end the connection; "
			       "do not wait for its upgrade alone.");
	} else {
		finding_severity(f, SEVERITY_ERROR, "waiting-upstream");
		FINDING_SAY(f, "; the backend %s has not answered either", d->c->relay->peer);
	}
}

static bool server_ended_first(const struct detect *d)
{
	return d->server ? d->t_own < d->t_peer : d->t_peer < d->t_own;
}

static uint64_t last_byte_before(const struct connection *c, uint32_t event)
{
	for (uint32_t i = event; i-- > 0;) {
		if (c->event[i].kind == EVENT_DATA)
			return c->event[i].t_ns;
	}
	return 0;
}

/* The head declares a body that did not come whole: something may be waiting for it. */
static bool awaits_body(const struct detect *d)
{
	uint64_t len;

	return http_request_body(&d->x->request->head, &len) && d->x->req_end == MODEL_NO_OFF;
}

void rule_NEVER_ANSWERED(struct detect *d)
{
	bool body = d->silent && awaits_body(d);
	uint64_t from = body ? d->x->t_head : d->silent ? request_end_time(d) : 0, waited;
	const struct finding *asked = detect_find(d, FINDING_PREMATURE_BODY_READ);
	struct finding *f;

	if (!from || !d->whole || d->c->shared || server_ended_first(d) || queued(d))
		return;
	if (body)
		from = last_byte_before(d->c, d->c->events);
	waited = since(from, watched_until(d));
	if (waited < d->o->never_answered_ns)
		return;
	f = detect_raise(d, FINDING_NEVER_ANSWERED);
	finding_evidence(f, d->x->ev_head, d->ask, d->x->req_off, d->x->request_bytes.n);
	if (d->server)
		finding_blame(f, asked ? asked->blame_event : d->x->ev_head);
	else
		finding_blame_nobody(f, "the other process did not answer");
	FINDING_SAY(f, "%b %s and got no byte of an answer for %t", &d->x->request->target,
		    body ? "had its whole head" : "was complete", waited);
	if (watched_until(d) == d->p->t_end)
		FINDING_SAY(f, "; the connection is still open");
	else
		FINDING_SAY(f, "; then the client left");
	if (body) {
		finding_severity(f, SEVERITY_ERROR, "body-awaited");
		FINDING_SAY(f, "; its head declares a body that did not come");
		FINDING_FIX(f, "Decide an upgrade by its head: exclude it from what reads bodies "
			       "first, or refuse an upgrade that declares one.");
		return;
	}
	say_upstream(d, f);
}

static const char *how_closed(const struct event *e)
{
	if (e->kind == EVENT_SHUTDOWN)
		return "shut down";
	if (e->close_how == CLOSE_EXIT)
		return "closed by the end of the process";
	return e->flags & EVENT_UNREAD ? "closed with a reset (input was unread)" : "closed";
}

static bool close_is_certain(const struct event *e)
{
	return e->kind == EVENT_SHUTDOWN || e->close_how == CLOSE_CALL ||
	       e->close_how == CLOSE_EXIT;
}

/* A second, or five: whoever waits that long has a timer. */
static bool is_round(uint64_t ns)
{
	static const uint16_t seconds[] = {1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(seconds); i++) {
		uint64_t t = seconds[i] * UINT64_C(1000000000);

		if (ns >= t && ns - t <= t / 50)
			return true;
	}
	return false;
}

static void closed_by_us(struct detect *d)
{
	const struct event *e = &d->c->event[d->ev_own];
	uint64_t after = since(d->x->t_head, e->t_ns);
	struct finding *f;

	if (!close_is_certain(e) || detect_draining(d, d->ev_own) || d->c->shared)
		return;
	/* An end of the process that was ordered or orderly is no defect of the upgrade. */
	if (e->close_how == CLOSE_EXIT && e->kind == EVENT_CLOSE &&
	    (!d->p->status_known || d->p->exit_status == 0))
		return;
	f = detect_raise(d, FINDING_CLOSED_WITHOUT_RESPONSE);
	finding_evidence(f, d->x->ev_head, DIR_RX, d->x->req_off, d->x->request_bytes.n);
	finding_evidence(f, d->ev_own, DIR_TX, d->c->tx_end, 0);
	finding_blame(f, d->ev_own);
	if (e->kind == EVENT_CLOSE && e->close_how == CLOSE_EXIT) {
		finding_severity(f, SEVERITY_ERROR, "process-exit");
		finding_blame_nobody(f, "the whole process ended");
	} else if (is_round(after)) {
		finding_severity(f, SEVERITY_ERROR, "timer");
	}
	FINDING_SAY(
		f, "the connection was %s %t after the request for %b, without a byte of an answer",
		how_closed(e), after, &d->x->request->target);
	if (f && f->sub && f->sub[0] == 't')
		FINDING_SAY(f, "; so round a time looks like a timer");
}

void rule_CLOSED_WITHOUT_RESPONSE(struct detect *d)
{
	struct finding *f;

	if (!d->silent || !d->whole || !server_ended_first(d) || queued(d))
		return;
	if (d->server) {
		closed_by_us(d);
		return;
	}
	f = detect_raise(d, FINDING_CLOSED_WITHOUT_RESPONSE);
	finding_evidence(f, d->ev_peer, DIR_RX, d->c->rx_end, 0);
	finding_blame_nobody(f, "the other process closed");
	FINDING_SAY(f, "%s ended the connection %t after the request for %b, without an answer",
		    d->c->peer[0] ? d->c->peer : "the server", since(d->x->t_head, d->t_peer),
		    &d->x->request->target);
}

void rule_CLIENT_GAVE_UP(struct detect *d)
{
	uint64_t left = d->server ? d->t_peer : d->t_own;
	uint32_t event = d->server ? d->ev_peer : d->ev_own;
	struct finding *f;

	if (!d->silent || !d->whole || event == MODEL_NONE || server_ended_first(d) ||
	    detect_has(d, FINDING_NEVER_ANSWERED) || detect_has(d, FINDING_PREMATURE_BODY_READ))
		return;
	f = detect_raise(d, FINDING_CLIENT_GAVE_UP);
	finding_evidence(f, event, d->ask, d->ask == DIR_RX ? d->c->rx_end : d->c->tx_end, 0);
	finding_blame_nobody(f, "the client left");
	FINDING_SAY(f, "the client left %t after its request for %b, before any answer",
		    since(d->x->t_head, left), &d->x->request->target);
}

/* ---- ended too early ---- */

static const struct mark *close_frame(const struct detect *d, enum dir dir)
{
	uint32_t from = d->framed ? detect_switch_mark(d) : 0;

	for (uint32_t i = from; from && i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.what == PHASE_FRAME && m->e.dir == dir && ws_opcode(&m->frame) == WS_CLOSE)
			return m;
	}
	return NULL;
}

/* The code of a Close frame of the server's (those are not masked); 0 when there is none. */
static unsigned close_code(const struct detect *d, const struct mark *m)
{
	uint8_t b[4];

	if (m->frame.len < 2 || ws_masked(&m->frame) ||
	    model_bytes(d->c, m->e.dir, m->e.off, d->x->ev_start, b, 4) < 4)
		return 0;
	return b[2] * 256u + b[3];
}

/* Behind stray bytes a close is only what follows from them. */
static bool spoiled(const struct detect *d)
{
	return detect_has(d, FINDING_HTTP_AFTER_101) || detect_has(d, FINDING_DOUBLE_101) ||
	       detect_has(d, FINDING_HTTP_PARSE_AFTER_101) ||
	       detect_has(d, FINDING_STRAY_BYTES_AFTER_101);
}

/* A relay that passes on the end of the other side did not end anything itself. */
static bool follows_other_leg(const struct detect *d)
{
	const struct connection *other = d->c->relay;
	uint32_t end;

	if (!other)
		return false;
	end = other->ev_eof < other->ev_reset ? other->ev_eof : other->ev_reset;
	return end != MODEL_NONE && other->event[end].t_ns <= d->t_own;
}

static void accepted_then_refused(struct detect *d, const struct mark *m)
{
	const struct mark *theirs = close_frame(d, d->ask);
	unsigned code = close_code(d, m);
	struct finding *f;

	if (theirs && (theirs->t_ns <= m->t_ns))
		return;
	/* A request over a WebSocket that was answered by a normal end is a short session. */
	if (d->x->frames[d->ask] && (code == 1000 || code == 0))
		return;
	if (detect_draining(d, m->event) || detect_has(d, FINDING_FRAME_ERROR))
		return;
	f = detect_raise(d, FINDING_CLOSED_RIGHT_AFTER_101);
	finding_evidence(f, m->event, d->answer, m->e.off, m->frame.len + 2);
	finding_severity(f, SEVERITY_ERROR, "close-frame");
	if (d->server)
		finding_blame(f, m->event);
	else
		finding_blame_nobody(f, "the server closed");
	FINDING_SAY(
		f,
		"%b was accepted and refused: the server's first frame, %t after the 101, is Close",
		&d->x->request->target, since(d->x->t_switched, m->t_ns));
	if (code)
		FINDING_SAY(f, " %u", (uint64_t)code);
}

void rule_CLOSED_RIGHT_AFTER_101(struct detect *d)
{
	const struct mark *m = close_frame(d, d->answer);
	uint64_t ended = d->server ? d->t_own : d->t_peer;
	uint32_t event = d->server ? d->ev_own : d->ev_peer;
	bool asked;
	struct finding *f;

	if (!d->framed || !d->whole || d->c->shared)
		return;
	if (m && d->x->frames[d->answer] == 1 &&
	    since(d->x->t_switched, m->t_ns) <= d->o->closed_right_after_ns) {
		accepted_then_refused(d, m);
		return;
	}
	if (!server_ended_first(d) || event == MODEL_NONE || d->x->frames[d->answer] ||
	    close_frame(d, d->ask) || detect_draining(d, event) ||
	    since(d->x->t_switched, ended) > d->o->closed_right_after_ns ||
	    (d->server && (!close_is_certain(&d->c->event[event]) ||
			   d->c->event[event].close_how == CLOSE_EXIT)))
		return;
	if (spoiled(d) || follows_other_leg(d))
		return;
	asked = d->x->request->head.flags & HTTP_CONN_CLOSE;
	f = detect_raise(d, FINDING_CLOSED_RIGHT_AFTER_101);
	finding_evidence(f, event, d->answer, d->answer == DIR_TX ? d->c->tx_end : d->c->rx_end, 0);
	finding_severity(f, SEVERITY_ERROR, asked ? "connection-close" : NULL);
	if (d->server)
		finding_blame(f, event);
	else
		finding_blame_nobody(f, "the server closed");
	FINDING_SAY(
		f, "the connection was %s %t after the 101 for %b, without a frame from the server",
		d->server ? how_closed(&d->c->event[event]) : "ended by the server",
		since(d->x->t_switched, ended), &d->x->request->target);
	if (asked) {
		FINDING_SAY(f,
			    "; the request's Connection lists close, which ends with the switch");
		FINDING_FIX(f, "After a 101 the close option of HTTP no longer applies: keep the "
			       "socket.");
	}
}

/* ---- cut off ---- */

/* Closed by this process, on its own account, without a Close frame in either direction. */
static bool cut_off(const struct detect *d)
{
	const struct event *e = d->ev_own == MODEL_NONE ? NULL : &d->c->event[d->ev_own];

	return e && d->framed && d->whole && !d->c->shared && d->t_peer > d->t_own &&
	       !detect_draining(d, d->ev_own) && !close_frame(d, DIR_RX) &&
	       !close_frame(d, DIR_TX) && (e->kind != EVENT_CLOSE || e->close_how == CLOSE_CALL) &&
	       !follows_other_leg(d);
}

/* Timers do not fire early, but servers look at the clock now and then only; and late by little. */
static bool at_timeout(uint64_t ns, unsigned percent)
{
	static const uint16_t seconds[] = {5, 10, 15, 30, 55, 60, 75, 100, 120, 300, 350, 600};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(seconds); i++) {
		uint64_t t = seconds[i] * UINT64_C(1000000000);

		if (ns + t / 1000 + CLOCK_NS >= t && ns <= t + t / 100 * percent)
			return true;
	}
	return false;
}

static bool close_to(uint64_t a, uint64_t b, unsigned percent)
{
	uint64_t apart = a > b ? a - b : b - a;

	return apart <= (a > b ? b : a) / 100 * percent;
}

struct lapse {
	uint64_t silence, age; /* before the close; since the head */
};

static bool lapse_of(const struct connection *c, struct lapse *ret)
{
	const struct exchange *x = c->exchanges ? &c->exchange[c->exchanges - 1] : NULL;
	uint32_t own = c->ev_close < c->ev_shutdown ? c->ev_close : c->ev_shutdown;
	uint64_t t;

	if (!x || !x->t_switched || own == MODEL_NONE || own > c->ev_eof)
		return false;
	t = c->event[own].t_ns;
	ret->silence = since(last_byte_before(c, own), t);
	ret->age = since(x->t_head, t);
	return true;
}

/* How many neighbours, itself not counted, ended after the same lapse, and how many ended at all. */
static unsigned peers_alike(const struct detect *d, bool by_age, uint64_t ns, unsigned *ret_all)
{
	uint32_t at = (uint32_t)(d->c - d->p->connection), lo = at > 32 ? at - 32 : 0;
	unsigned alike = 0;

	*ret_all = 0;
	for (uint32_t i = lo; i < d->p->connections && i < lo + 64; i++) {
		struct lapse l;

		if (i == at || &d->p->connection[i] == d->c->relay ||
		    !lapse_of(&d->p->connection[i], &l))
			continue;
		(*ret_all)++;
		alike += close_to(by_age ? l.age : l.silence, ns, d->o->timer_percent);
	}
	return alike;
}

static bool timed(const struct detect *d, bool by_age, uint64_t ns)
{
	const uint64_t least = UINT64_C(900000000);
	unsigned all, alike;

	if (ns < least)
		return false;
	if (at_timeout(ns, d->o->timer_percent))
		return true;
	alike = peers_alike(d, by_age, ns, &all);
	return alike >= 1 && 2 * alike >= all;
}

static void say_cut(struct detect *d, enum finding_id id, uint64_t silence, uint64_t age)
{
	struct finding *f = detect_raise(d, id);
	bool idle = id == FINDING_IDLE_TIMEOUT_CLOSE;

	finding_evidence(f, d->ev_own, DIR_TX, d->c->tx_end, 0);
	finding_blame(f, d->ev_own);
	if (idle)
		FINDING_SAY(
			f,
			"no byte moved for %t, then this process closed %b without a Close frame",
			silence, &d->x->request->target);
	else
		FINDING_SAY(
			f,
			"%b was closed without a Close frame %t after its request, although the "
			"last byte moved only %t before",
			&d->x->request->target, age, silence);
}

void rule_HTTP_TIMER_ON_UPGRADED(struct detect *d)
{
	struct lapse l;
	bool traffic;

	if (!cut_off(d) || !lapse_of(d->c, &l))
		return;
	traffic = d->x->frames[DIR_RX] + d->x->frames[DIR_TX] > 0;
	if (!traffic || l.silence > l.age / 2 || !timed(d, true, l.age))
		return;
	say_cut(d, FINDING_HTTP_TIMER_ON_UPGRADED, l.silence, l.age);
}

void rule_IDLE_TIMEOUT_CLOSE(struct detect *d)
{
	struct lapse l;

	if (!cut_off(d) || !lapse_of(d->c, &l) || detect_has(d, FINDING_HTTP_TIMER_ON_UPGRADED) ||
	    detect_has(d, FINDING_CLOSED_RIGHT_AFTER_101) || !timed(d, false, l.silence))
		return;
	say_cut(d, FINDING_IDLE_TIMEOUT_CLOSE, l.silence, l.age);
}

/* The process died with the connection open, and nobody had asked it to. */
static bool died_with_it(const struct detect *d)
{
	const struct event *e = d->ev_own == MODEL_NONE ? NULL : &d->c->event[d->ev_own];

	return e && d->framed && d->whole && e->kind == EVENT_CLOSE && e->close_how == CLOSE_EXIT &&
	       d->t_own < d->t_peer && d->p->status_known && d->p->exit_status != 0 &&
	       !d->p->t_signal && !close_frame(d, DIR_RX) && !close_frame(d, DIR_TX);
}

void rule_ABRUPT_CLOSE(struct detect *d)
{
	bool died = died_with_it(d);
	int signal = d->p->exit_status & 0x7f;
	struct finding *f;

	if (!died && (!cut_off(d) || spoiled(d) || detect_has(d, FINDING_HTTP_TIMER_ON_UPGRADED) ||
		      detect_has(d, FINDING_IDLE_TIMEOUT_CLOSE) ||
		      detect_has(d, FINDING_CLOSED_RIGHT_AFTER_101)))
		return;
	f = detect_raise(d, FINDING_ABRUPT_CLOSE);
	finding_evidence(f, d->ev_own, DIR_TX, d->c->tx_end, 0);
	if (died) {
		finding_severity(f, SEVERITY_WARNING, "process-exit");
		finding_blame_nobody(f, "the whole process ended");
		FINDING_SAY(
			f,
			"the process ended %t after the 101 for %b (%s %u), its WebSocket with it",
			since(d->x->t_switched, d->t_own), &d->x->request->target,
			signal ? "signal" : "exit status",
			(uint64_t)(signal ? signal : d->p->exit_status >> 8 & 0xff));
		FINDING_FIX(f, "Find out why the process ended: look at its last log lines.");
		return;
	}
	finding_blame(f, d->ev_own);
	FINDING_SAY(f, "%b was %s %t after the 101 without a Close frame in either direction",
		    &d->x->request->target, how_closed(&d->c->event[d->ev_own]),
		    since(d->x->t_switched, d->t_own));
}

/* ---- left open ---- */

/* Something was still written after the peer had gone: a half-closed connection in use. */
static uint64_t last_written(const struct connection *c)
{
	for (uint32_t i = c->events; i-- > 0;) {
		if (c->event[i].kind == EVENT_DATA && c->event[i].dir == DIR_TX)
			return c->event[i].t_ns;
	}
	return 0;
}

/* Did anybody do anything with the connection behind that event?  What the kernel tells of the peer's
 * end is no call, and the end of the process none of the program's. */
static bool touched_behind(const struct connection *c, uint32_t i)
{
	while (++i < c->events) {
		const struct event *e = &c->event[i];

		if (e->kind == EVENT_TEXT || e->kind == EVENT_WITNESS || e->kind == EVENT_FAULT ||
		    (e->kind == EVENT_EOF && !e->tid) ||
		    (e->kind == EVENT_CLOSE && e->close_how == CLOSE_EXIT))
			continue;
		return true;
	}
	return false;
}

void rule_HANDLER_LEFT_OPEN(struct detect *d)
{
	const struct connection *c = d->c;
	uint32_t taken = model_witness_next(d->x, WITNESS_HIJACK, 0);
	uint32_t left =
		taken == MODEL_NONE ? MODEL_NONE : model_witness_next(d->x, WITNESS_RETURN, taken);
	uint64_t until = d->p->t_end;
	struct finding *f;

	if (left == MODEL_NONE || !d->server || !d->switched || !d->whole || c->shared ||
	    d->p->closes_unseen || c->event[left].moved || touched_behind(c, left))
		return;
	for (uint32_t i = taken; i < left; i++) {
		if (c->event[i].kind == EVENT_DUP) /* in other hands, maybe */
			return;
	}
	if (c->ev_close != MODEL_NONE && c->event[c->ev_close].t_ns < until)
		until = c->event[c->ev_close].t_ns;
	if (since(c->event[left].t_ns, until) < d->o->close_wait_ns)
		return;
	f = detect_raise(d, FINDING_HANDLER_LEFT_OPEN);
	finding_evidence(f, left, DIR_TX, 0, 0);
	finding_evidence(f, taken, DIR_TX, 0, 0);
	finding_blame(f, taken);
	FINDING_SAY(f,
		    "the handler of %b returned %t after the 101; for %t nobody has read from "
		    "descriptor %u, which is still open",
		    &d->x->request->target, since(d->x->t_switched, c->event[left].t_ns),
		    since(c->event[left].t_ns, until), (uint64_t)c->fd);
}

void rule_CLOSE_WAIT_HELD(struct detect *d)
{
	const struct connection *c = d->c;
	const struct exchange *x = c->exchanges ? &c->exchange[c->exchanges - 1] : NULL;
	/* Who took the connection over has to close it. */
	uint32_t taken = x ? model_witness_next(x, WITNESS_HIJACK, 0) : MODEL_NONE;
	bool closed = c->ev_close != MODEL_NONE;
	uint64_t from, until = d->p->t_end;
	struct finding *f;

	if (d->ev_peer == MODEL_NONE || d->p->closes_unseen || (!d->whole && !c->held) ||
	    (closed && c->event[c->ev_close].close_how != CLOSE_EXIT))
		return;
	from = d->t_peer > last_written(c) ? d->t_peer : last_written(c);
	if (closed && c->event[c->ev_close].t_ns < until)
		until = c->event[c->ev_close].t_ns;
	if (since(from, until) < d->o->close_wait_ns)
		return;
	f = detect_raise(d, FINDING_CLOSE_WAIT_HELD);
	finding_evidence(f, d->ev_peer, DIR_RX, c->rx_end, 0);
	finding_blame(f, c->event[d->ev_peer].stack ? d->ev_peer : taken);
	if (!c->event[d->ev_peer].stack && taken == MODEL_NONE)
		finding_blame_nobody(f, "closing is what did not happen");
	if (x && x->attempt && x->t_head)
		finding_severity(f, SEVERITY_ERROR,
				 x->t_switched ? "after-upgrade" : "after-reject");
	FINDING_SAY(f, "%s left %t ago and descriptor %u is still open",
		    c->peer[0] ? c->peer : "the peer", since(d->t_peer, until), (uint64_t)c->fd);
	if (x && x->attempt)
		FINDING_SAY(f, " (%b, %s)", &x->request->target, outcome_name(x->outcome));
}
