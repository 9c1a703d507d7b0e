/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_answer: attempts that were answered with something other than a 101.
 * Source: RFC 9110 sections 7.8 and 15, RFC 9112 section 6.3, RFC 6455 section 4.2.2.
 */
#include "core/finding/detect.h"

enum {
	BODY_SHOWN = 60,
	BODY_READ = 512,
};

/* The final answer when its head is complete and its status lies in [lo, hi). */
static const struct answer *answered(const struct detect *d, unsigned lo, unsigned hi)
{
	const struct answer *a = d->x->final;

	if (!a || a->end == MODEL_NO_OFF)
		return NULL;
	return a->view->head.status >= lo && a->view->head.status < hi ? a : NULL;
}

/* Protocols whose refusal matters to somebody: a client may offer h2c or TLS and do without. */
static bool insists(const struct exchange *x)
{
	return x->websocket ||
	       x->request->head.flags & (HTTP_UP_WEBSOCKET | HTTP_UP_TCP | HTTP_UP_SPDY);
}

/* A finding about the request explains the answer; the answer itself is then only a note. */
static bool explained(const struct detect *d)
{
	return detect_has(d, FINDING_REQ_UPGRADE_STRIPPED) ||
	       detect_has(d, FINDING_REQ_MALFORMED) || detect_has(d, FINDING_HEAD_NEVER_COMPLETE) ||
	       detect_has(d, FINDING_FIELD_LOST_IN_PROCESS) ||
	       detect_has(d, FINDING_VERSION_NEGOTIATION);
}

static bool version_was_refused_well(const struct detect *d, const struct answer *a)
{
	struct span asked = field_value(d->x->request, "sec-websocket-version");

	return asked.n && !span_is(asked, "13") &&
	       http_view_count(a->view, "sec-websocket-version");
}

/* "the client asked for version 12, the server speaks 13" */
static void say_versions(struct finding *f, const struct detect *d, const struct answer *a)
{
	struct span asked = field_value(d->x->request, "sec-websocket-version");
	struct span spoken = field_value(a->view, "sec-websocket-version");

	FINDING_SAY(f, "; the client asked for version %b, the server speaks %b", &asked, &spoken);
	FINDING_FIX(f, "The refusal names what the server speaks: let the client ask for that "
		       "version.");
}

static void say_status(struct finding *f, const struct detect *d, const struct answer *a)
{
	struct span line = {a->view->status.p, a->view->status.n};
	struct span path = d->x->request->target;

	if (line.p && a->view->reason.n)
		line.n = (size_t)(a->view->reason.p + a->view->reason.n - line.p);
	FINDING_SAY(f, "%b was answered %b", &path, &line);
	if (d->x->t_head && a->t_ns > d->x->t_head)
		FINDING_SAY(f, " after %t", a->t_ns - d->x->t_head);
}

/* The words of the answer, as far as they are text. */
static void say_body(struct finding *f, const struct detect *d, const struct answer *a)
{
	uint8_t bytes[BODY_SHOWN];
	struct span s = {bytes, answer_body(d, a, bytes, sizeof(bytes))};

	if (s.n && !http_view_count(a->view, "content-encoding"))
		FINDING_SAY(f, "; it says %q", &s);
}

/* A line of the thread that handles the request says more than any other; then nearness counts. */
static bool says_more(const struct event *e, const struct event *than, uint64_t t_ns)
{
	bool mine = e->flags & EVENT_OWNER, its = than->flags & EVENT_OWNER;

	if (mine != its)
		return mine;
	return since(e->t_ns, t_ns) + since(t_ns, e->t_ns) <=
	       since(than->t_ns, t_ns) + since(t_ns, than->t_ns);
}

/* The log line nearest to the answer, from the thread that owns it or from close by in time. */
static uint32_t text_near(const struct detect *d, const struct answer *a)
{
	uint32_t found = MODEL_NONE;

	for (uint32_t i = d->x->ev_start; i < d->x->ev_end; i++) {
		const struct event *e = &d->c->event[i];
		bool before, after;

		if (e->kind != EVENT_TEXT)
			continue;
		before = since(e->t_ns, a->t_ns) <= d->o->log_near_ns || e->flags & EVENT_OWNER;
		after = since(a->t_ns, e->t_ns) <= d->o->log_near_ns;
		if (e->t_ns >= d->x->t_start && before && after &&
		    (found == MODEL_NONE || says_more(e, &d->c->event[found], a->t_ns)))
			found = i;
	}
	return found;
}

/* The length of a colour at the end of s ("\x1b[0m"), 0 when there is none. */
static size_t colour_behind(struct span s)
{
	size_t n = 1;

	if (!s.n || s.p[s.n - 1] != 'm')
		return 0;
	while (n < s.n &&
	       ((s.p[s.n - n - 1] >= '0' && s.p[s.n - n - 1] <= '9') || s.p[s.n - n - 1] == ';'))
		n++;
	return n + 2 <= s.n && s.p[s.n - n - 1] == '[' && s.p[s.n - n - 2] == 0x1b ? n + 2 : 0;
}

/* Log lines come in tracebacks; the last line that says something names the error. */
static struct span last_line(struct span s)
{
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' ' ||
		       colour_behind(s)))
		s.n -= colour_behind(s) ? colour_behind(s) : 1;
	for (size_t i = s.n; i-- > 0;) {
		if (s.p[i] == '\n')
			return (struct span){s.p + i + 1, s.n - i - 1};
	}
	return s;
}

static void say_text(struct finding *f, const struct detect *d, const struct answer *a)
{
	uint32_t i = text_near(d, a);
	const struct event *e;
	struct span line;

	if (i == MODEL_NONE || !d->c->event[i].segments)
		return;
	e = &d->c->event[i];
	line = last_line((struct span){e->segment->bytes, e->segment->len});
	FINDING_SAY(f, "; %s: %q", e->flags & EVENT_OWNER ? "the log says" : "nearby in the log",
		    &line);
	finding_evidence(f, i, DIR_TX, 0, e->segment->len);
}

/* ---- 2xx and 3xx ---- */

static bool ends_with(struct span s, const char *text, size_t n)
{
	return s.n >= n && memcmp(s.p + s.n - n, text, n) == 0;
}

void rule_UPGRADE_IGNORED_2XX(struct detect *d)
{
	const struct answer *a = answered(d, 200, 300);
	bool tcp = d->x->request->head.flags & HTTP_UP_TCP;
	struct finding *f;

	if (!a || !insists(d->x) || ends_with(d->x->request->target, "/info", 5))
		return;
	f = detect_raise(d, FINDING_UPGRADE_IGNORED_2XX);
	finding_answer(d, f, a);
	finding_severity(f, SEVERITY_ERROR, tcp ? "raw-stream" : NULL);
	say_status(f, d, a);
	if (tcp) {
		FINDING_SAY(f, " although the request asks to switch to a raw stream");
		FINDING_FIX(f, "Answer 101 with Upgrade: tcp and Connection: Upgrade before using "
			       "the connection as a raw stream.");
		return;
	}
	FINDING_SAY(f, ": the upgrade was ignored");
	say_body(f, d, a);
}

static void say_difference(struct finding *f, struct span path, struct span to)
{
	const uint8_t *scheme = span_find(to, "://");
	struct span rest = to;

	if (scheme) {
		size_t skip = (size_t)(scheme + 3 - to.p);

		while (skip < to.n && to.p[skip] != '/')
			skip++;
		rest = (struct span){to.p + skip, to.n - skip};
	}
	if (rest.n == path.n + 1 && rest.p[rest.n - 1] == '/' &&
	    memcmp(rest.p, path.p, path.n) == 0) {
		finding_severity(f, SEVERITY_ERROR, "slash");
		FINDING_SAY(f, "; only the slash at the end differs");
	} else if (scheme && rest.n == path.n && path.n && memcmp(rest.p, path.p, path.n) == 0) {
		finding_severity(f, SEVERITY_ERROR, "scheme-or-host");
		FINDING_SAY(f, "; only scheme or host differ");
	}
}

void rule_UPGRADE_REDIRECTED(struct detect *d)
{
	const struct answer *a = answered(d, 300, 400);
	struct span to;
	struct finding *f;

	if (!a || !insists(d->x))
		return;
	to = field_value(a->view, "location");
	f = detect_raise(d, FINDING_UPGRADE_REDIRECTED);
	finding_answer(d, f, a);
	say_status(f, d, a);
	if (to.p) {
		FINDING_SAY(f, ", Location %q", &to);
		say_difference(f, d->x->request->target, to);
	}
}

/* ---- 4xx and 5xx ---- */

static const char *reject_sub(unsigned status)
{
	switch (status) {
	case 401:
	case 407:
		return "auth";
	case 403:
		return "forbidden";
	case 404:
		return "route";
	case 405:
		return "method";
	case 400:
		return "handshake";
	case 413:
	case 431:
		return "size";
	case 429:
		return "rate";
	case 426:
		return "version";
	default:
		return NULL;
	}
}

/* An offer of h2c must not be punished; other refusals of such a request are its own business. */
static bool h2c_was_punished(const struct detect *d, unsigned status)
{
	return d->x->request->head.flags & HTTP_UP_H2C &&
	       (status == 400 || status == 413 || status == 426);
}

void rule_UPGRADE_REJECTED(struct detect *d)
{
	const struct answer *a = answered(d, 400, 500);
	bool h2c, quiet;
	struct finding *f;

	if (!a)
		return;
	h2c = !insists(d->x) && h2c_was_punished(d, a->view->head.status);
	if (!insists(d->x) && !h2c)
		return;
	quiet = explained(d) || version_was_refused_well(d, a) ||
		(a->view->head.status == 408 && d->x->req_head_end == MODEL_NO_OFF) ||
		detect_draining(d, a->first_event);
	f = detect_raise(d, FINDING_UPGRADE_REJECTED);
	finding_answer(d, f, a);
	finding_severity(f, quiet ? SEVERITY_INFO : SEVERITY_WARNING,
			 h2c ? "h2c" : reject_sub(a->view->head.status));
	say_status(f, d, a);
	if (version_was_refused_well(d, a))
		say_versions(f, d, a);
	say_body(f, d, a);
	say_text(f, d, a);
	if (h2c)
		FINDING_FIX(f, "An offer of h2c may be ignored, not punished: answer the request "
			       "over HTTP/1.1.");
}

void rule_UPGRADE_FAILED_5XX(struct detect *d)
{
	const struct answer *a = answered(d, 500, 600);
	struct finding *f;

	if (!a || !insists(d->x))
		return;
	f = detect_raise(d, FINDING_UPGRADE_FAILED_5XX);
	finding_answer(d, f, a);
	if (detect_draining(d, a->first_event))
		finding_severity(f, SEVERITY_INFO, "draining");
	else if (explained(d))
		finding_severity(f, SEVERITY_INFO, NULL);
	say_status(f, d, a);
	say_body(f, d, a);
	say_text(f, d, a);
}

/* ---- the refusal's own bytes ---- */

static uint64_t answered_bytes(const struct detect *d, const struct answer *a)
{
	return since(a->end, d->answer == DIR_TX ? d->c->tx_end : d->c->rx_end);
}

static void raise_framing(struct detect *d, const struct answer *a, const char *sub)
{
	struct finding *f = detect_raise(d, FINDING_REJECT_FRAMING);

	finding_answer(d, f, a);
	finding_severity(f, SEVERITY_ERROR, sub);
	FINDING_SAY(f, "the %u answer ", (uint64_t)a->view->head.status);
}

static const struct mark *own_mark(const struct detect *d, enum phase_what what)
{
	for (uint32_t i = d->x->mark_start; i < d->x->mark_end; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.what == what && m->e.dir == d->answer && m->e.exchange == d->x->ordinal)
			return m;
	}
	return NULL;
}

/* Bytes behind the refusal that belong to no further request. */
static bool surplus(const struct detect *d, const struct answer *a)
{
	const struct mark *m = own_mark(d, PHASE_UNASKED);

	return m && a->body_end != MODEL_NO_OFF && m->e.off == a->body_end;
}

static bool broken_chunk(const struct detect *d, const struct answer *a)
{
	const struct mark *m = own_mark(d, PHASE_BAD_RESPONSE);

	return m && m->e.off >= a->end;
}

void rule_REJECT_FRAMING(struct detect *d)
{
	const struct answer *a = answered(d, 300, 600);
	uint64_t len = 0, have, quiet;
	enum http_body body;
	bool ended;

	if (!a || !d->whole || d->c->shared || detect_has(d, FINDING_RESPONSE_BEFORE_101))
		return;
	body = http_response_body(&a->view->head, (enum http_method)d->x->request->head.method,
				  &len);
	have = answered_bytes(d, a);
	ended = d->server ? d->t_own < d->t_peer : d->t_peer < d->t_own;
	quiet = since(d->c->event[a->last_event].t_ns, d->p->t_end);
	if (body != HTTP_BODY_TO_CLOSE && surplus(d, a)) {
		raise_framing(d, a, "surplus");
		FINDING_SAY(&d->ret[d->n - 1], "is followed by bytes its head does not declare");
	} else if (body == HTTP_BODY_LENGTH && ended && have < len) {
		raise_framing(d, a, "short");
		FINDING_SAY(&d->ret[d->n - 1],
			    "declares Content-Length %u, but %u bytes came before the end", len,
			    have);
	} else if (body == HTTP_BODY_CHUNKED && broken_chunk(d, a)) {
		raise_framing(d, a, "chunked");
		FINDING_SAY(&d->ret[d->n - 1], "declares a chunked body that is not chunked");
	} else if (body == HTTP_BODY_CHUNKED && ended && a->body_end == MODEL_NO_OFF) {
		raise_framing(d, a, "short");
		FINDING_SAY(&d->ret[d->n - 1], "ended before the last chunk");
	} else if (body == HTTP_BODY_TO_CLOSE && d->server && d->t_own == UINT64_MAX &&
		   d->t_peer == UINT64_MAX && quiet >= d->o->never_answered_ns) {
		raise_framing(d, a, "open");
		FINDING_SAY(&d->ret[d->n - 1],
			    "declares no length and the connection is still open after %t: the "
			    "client waits for the end of the body",
			    quiet);
	}
}

/* An answer that began with HTTP/ and ended inside its head. */
static const struct answer *cut_head(const struct detect *d)
{
	const struct exchange *x = d->x;
	const struct answer *a = x->answers ? &x->answer[x->answers - 1] : NULL;
	size_t n = 5;

	if (!a || a->end != MODEL_NO_OFF || !a->bytes.n)
		return NULL;
	if (a->bytes.n < n)
		n = a->bytes.n;
	return memcmp(a->bytes.p, "HTTP/", n) == 0 ? a : NULL;
}

/* A close with unread input right behind the refusal: the reset can overtake it. */
static bool reset_behind(const struct detect *d, const struct answer *a)
{
	const struct event *e;

	if (!d->server || d->c->ev_close == MODEL_NONE || d->t_peer < d->t_own)
		return false;
	e = &d->c->event[d->c->ev_close];
	return e->flags & EVENT_UNREAD && e->close_how == CLOSE_CALL &&
	       since(d->c->event[a->last_event].t_ns, e->t_ns) <= d->o->closed_right_after_ns &&
	       d->c->ev_shutdown == MODEL_NONE;
}

void rule_REJECT_TRUNCATED(struct detect *d)
{
	const struct answer *a = d->whole && !d->c->shared ? cut_head(d) : NULL;
	bool ended = d->server ? d->t_own < d->t_peer : d->t_peer < d->t_own;
	struct finding *f;

	if (a && ended) {
		f = detect_raise(d, FINDING_REJECT_TRUNCATED);
		finding_answer(d, f, a);
		finding_severity(f, SEVERITY_ERROR, "head");
		if (d->server)
			finding_blame(f, d->ev_own);
		FINDING_SAY(f, "only %u bytes of the answer's head were written before the end: %q",
			    (uint64_t)a->bytes.n, &a->bytes);
		return;
	}
	a = d->whole && !d->c->shared ? answered(d, 300, 600) : NULL;
	if (!a || !reset_behind(d, a))
		return;
	f = detect_raise(d, FINDING_REJECT_TRUNCATED);
	finding_evidence(f, d->c->ev_close, DIR_TX, d->c->tx_end, 0);
	finding_blame(f, d->c->ev_close);
	finding_severity(f, SEVERITY_ERROR, "reset");
	FINDING_SAY(f,
		    "the socket was closed %t after the %u answer with input still unread, so the "
		    "kernel sends a reset that can overtake the answer",
		    since(d->c->event[a->last_event].t_ns, d->c->event[d->c->ev_close].t_ns),
		    (uint64_t)a->view->head.status);
}

/* ---- answers out of order ---- */

static bool looks_like_tls(const uint8_t *p, size_t n)
{
	return n >= 2 && (p[0] == 0x15 || p[0] == 0x16) && p[1] == 0x03;
}

static const char *what_it_is(const uint8_t *p, size_t n)
{
	if (n >= 2 && (p[0] & 0x70) == 0 && (p[0] & 0x8f) >= 0x80 && !(p[1] & 0x80) &&
	    ((p[0] & 0x0f) <= 2 || ((p[0] & 0x0f) >= 8 && (p[0] & 0x0f) <= 10)))
		return "a WebSocket frame";
	return "bytes that are no HTTP";
}

/* Where the answer direction began with something else than HTTP, for this exchange: also before the
 * first request was read at all. */
static const struct mark *not_http(const struct detect *d)
{
	for (uint32_t i = d->x->ordinal ? d->x->mark_start : 0; i < d->x->mark_end; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.dir == d->answer && m->e.what == PHASE_BAD_RESPONSE &&
		    m->e.exchange == d->x->ordinal)
			return m;
	}
	return NULL;
}

/* A head that broke later than at its first byte began at RESPONSE_START. */
static uint64_t bad_start(const struct detect *d, const struct mark *m)
{
	uint64_t off = m->e.off;

	for (uint32_t i = 0; i < d->x->answers; i++) {
		const struct answer *a = &d->x->answer[i];

		if (a->off <= m->e.off && a->end == MODEL_NO_OFF)
			off = a->off;
	}
	return off;
}

static void spoke_first(struct detect *d)
{
	struct finding *f = detect_raise(d, FINDING_FRAME_BEFORE_101);

	finding_evidence(f, d->x->ev_start, d->ask, d->x->req_off, d->x->request_bytes.n);
	finding_severity(f, SEVERITY_CRITICAL, "spoke-first");
	finding_blame_nobody(f, "the write came before anything of the connection was recorded");
	FINDING_SAY(f, "%u bytes were written to the connection before the request for %b was read",
		    d->c->spoke_first, &d->x->request->target);
}

void rule_FRAME_BEFORE_101(struct detect *d)
{
	const struct mark *m = d->whole ? not_http(d) : NULL;
	uint64_t off;
	uint8_t bytes[32];
	struct span s = {bytes, 0};
	struct finding *f;

	if (!m && d->whole && d->server && d->c->spoke_first && d->x->ordinal == 0)
		spoke_first(d);
	if (!m || (d->x->final && m->e.off >= d->x->final->off))
		return;
	off = bad_start(d, m);
	s.n = model_bytes(d->c, d->answer, off, 0, bytes, sizeof(bytes));
	if (!s.n || memcmp(bytes, "HTTP/", s.n < 5 ? s.n : 5) == 0 || looks_like_tls(bytes, s.n))
		return;
	f = detect_raise(d, FINDING_FRAME_BEFORE_101);
	finding_evidence(f, m->event, d->answer, off, s.n);
	if (d->server)
		finding_blame(f, m->event);
	else
		finding_blame_nobody(f, "the bytes were written by the other process");
	FINDING_SAY(f, "the answer to %b begins with %s: %q", &d->x->request->target,
		    what_it_is(bytes, s.n), &s);
}

/* The place behind the final answer where a 101 stands; MODEL_NO_OFF.  A body without a length hides
 * it; otherwise it is an answer nobody asked for, unless a next request came before. */
static uint64_t late_101(const struct detect *d, const struct answer *a)
{
	uint8_t bytes[16];
	uint64_t len;
	bool hidden =
		http_response_body(&a->view->head, (enum http_method)d->x->request->head.method,
				   &len) == HTTP_BODY_TO_CLOSE;

	if (hidden && bytes_status(bytes, model_bytes(d->c, d->answer, a->end, a->first_event,
						      bytes, sizeof(bytes))) == 101)
		return a->end;
	for (uint32_t i = d->x->mark_start; i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];
		bool suspect = m->e.what == PHASE_UNASKED || m->e.what == PHASE_BAD_RESPONSE ||
			       m->e.what == PHASE_STRAY;

		if (m->e.what == PHASE_REQUEST_START && m->e.exchange > d->x->ordinal)
			break;
		if (suspect && m->e.dir == d->answer && m->e.off >= a->end &&
		    bytes_status(bytes, model_bytes(d->c, d->answer, m->e.off, a->first_event,
						    bytes, sizeof(bytes))) == 101)
			return m->e.off;
	}
	return MODEL_NO_OFF;
}

void rule_RESPONSE_BEFORE_101(struct detect *d)
{
	const struct answer *a = d->whole ? answered(d, 200, 600) : NULL;
	uint64_t off = a ? late_101(d, a) : MODEL_NO_OFF;
	uint32_t event;
	struct finding *f;

	if (off == MODEL_NO_OFF)
		return;
	event = model_event_at(d->c, d->answer, off, a->first_event);
	f = detect_raise(d, FINDING_RESPONSE_BEFORE_101);
	finding_answer(d, f, a);
	finding_evidence(f, event, d->answer, off, 16);
	FINDING_SAY(f, "%b was answered %u, and %t later a 101 followed for the same request",
		    &d->x->request->target, (uint64_t)a->view->head.status,
		    event == MODEL_NONE ? 0 : since(a->t_ns, d->c->event[event].t_ns));
}
