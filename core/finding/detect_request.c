/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_request: what is wrong with the request, and what was lost on its way.
 * Source: RFC 6455 sections 4.1 and 4.4, RFC 9110 sections 7.8 and 15.5.22.
 */
#include "core/finding/detect.h"

static bool request_complete(const struct detect *d)
{
	return d->x->request->head.state == HTTP_DONE && !d->x->request->dropped;
}

static void request_evidence(struct detect *d, struct finding *f)
{
	finding_evidence(f, d->x->ev_start, d->ask, d->x->req_off, d->x->request_bytes.n);
	if (d->server)
		finding_blame_nobody(f, "the request was made by the client or a proxy before us");
	else
		finding_blame(f, d->x->ev_start);
}

/* ---- fields removed before they came here ---- */

void rule_REQ_UPGRADE_STRIPPED(struct detect *d)
{
	const struct http_view *v = d->x->request;
	bool token = v->head.flags & HTTP_CONN_UPGRADE;
	bool websocket = v->head.flags & HTTP_UP_WEBSOCKET;
	struct span connection, upgrade;
	const char *sub = "upgrade-mangled";
	struct finding *f;

	if (!d->server || !request_complete(d) || !(v->head.flags & HTTP_WS_KEY) ||
	    (token && websocket && v->head.version >= 0x11))
		return;
	if (v->head.version < 0x11)
		sub = "http10";
	else if (v->head.flags & HTTP_CONN_CLOSE && !token)
		sub = "connection-close";
	else if (!token)
		sub = "connection-keepalive";
	connection = field_value(v, "connection");
	upgrade = field_value(v, "upgrade");
	f = detect_raise(d, FINDING_REQ_UPGRADE_STRIPPED);
	request_evidence(d, f);
	finding_severity(f, SEVERITY_ERROR, sub);
	FINDING_SAY(f, "%b has a Sec-WebSocket-Key but", &v->target);
	if (v->head.version < 0x11)
		FINDING_SAY(f, " came as HTTP/1.0,");
	if (!upgrade.p)
		FINDING_SAY(f, " has no Upgrade field");
	else
		FINDING_SAY(f, " its Upgrade is %q", &upgrade);
	if (connection.p)
		FINDING_SAY(f, " and its Connection is %q", &connection);
	else
		FINDING_SAY(f, " and it has no Connection field");
	if (d->x->final && d->x->final->view->head.status)
		FINDING_SAY(f, "; answered %u", (uint64_t)d->x->final->view->head.status);
}

/* ---- a handshake that is none ---- */

static bool is_probe(const struct http_view *v)
{
	static const char *const name[] = {"curl/",	   "wget/",    "kube-probe", "healthcheck",
					   "health-check", "googlehc", "bot",	     "prometheus",
					   "zgrab",	   "nmap",     "monitoring", "uptime"};
	struct span agent = field_value(v, "user-agent");

	for (unsigned i = 0; i < CORE_ARRAY_LEN(name); i++) {
		if (span_find(agent, name[i]))
			return true;
	}
	return false;
}

/* Returns the sub-diagnosis, NULL for a correct request. A version other than 13 is negotiation. */
static const char *malformed(const struct detect *d)
{
	const struct http_view *v = d->x->request;
	unsigned keys = http_view_count(v, "sec-websocket-key");

	if (v->head.method != HTTP_GET)
		return "method";
	if (keys == 0)
		return "no-key";
	if (keys > 1)
		return "repeated-key";
	if (ws_base64_length(field_value(v, "sec-websocket-key")) != 16)
		return "bad-key";
	if (!(v->head.flags & HTTP_WS_VERSION))
		return "no-version";
	if (!d->server &&
	    (!(v->head.flags & HTTP_UP_WEBSOCKET) || !(v->head.flags & HTTP_CONN_UPGRADE)))
		return "no-upgrade";
	return NULL;
}

void rule_REQ_MALFORMED(struct detect *d)
{
	const struct http_view *v = d->x->request;
	struct span key, agent;
	const char *sub;
	struct finding *f;

	if (!d->x->websocket || !request_complete(d) || detect_has(d, FINDING_REQ_UPGRADE_STRIPPED))
		return;
	sub = malformed(d);
	if (!sub)
		return;
	key = field_value(v, "sec-websocket-key");
	f = detect_raise(d, FINDING_REQ_MALFORMED);
	request_evidence(d, f);
	finding_severity(f, is_probe(v) ? SEVERITY_INFO : SEVERITY_ERROR, sub);
	FINDING_SAY(f, "the handshake for %b ", &v->target);
	if (sub[0] == 'm')
		FINDING_SAY(f, "uses method %b instead of GET", &v->method);
	else if (!key.p)
		FINDING_SAY(f, "has no Sec-WebSocket-Key");
	else if (sub[0] == 'r')
		FINDING_SAY(f, "carries Sec-WebSocket-Key %u times",
			    (uint64_t)http_view_count(v, "sec-websocket-key"));
	else if (sub[0] == 'b')
		FINDING_SAY(f, "has the key %q, which is not 16 bytes in base64", &key);
	else if (!d->server && sub[3] == 'u')
		FINDING_SAY(f, "lacks Upgrade: websocket or Connection: Upgrade");
	else
		FINDING_SAY(f, "has no Sec-WebSocket-Version");
	agent = field_value(v, "user-agent");
	if (agent.n)
		FINDING_SAY(f, " (User-Agent %q)", &agent);
}

/* ---- version ---- */

void rule_VERSION_NEGOTIATION(struct detect *d)
{
	const struct answer *a = d->x->final;
	bool other, no_version, no_upgrade;
	struct span asked;
	struct finding *f;

	if (!d->x->websocket || !request_complete(d) || !a || a->end == MODEL_NO_OFF ||
	    a->view->head.status < 400 || a->view->head.status >= 500 || a->view->dropped)
		return;
	asked = field_value(d->x->request, "sec-websocket-version");
	other = asked.n && !span_is(asked, "13");
	no_version = other && !http_view_count(a->view, "sec-websocket-version");
	no_upgrade = a->view->head.status == 426 && !http_view_count(a->view, "upgrade");
	if ((!no_version && !no_upgrade) || detect_has(d, FINDING_FIELD_LOST_IN_PROCESS))
		return;
	f = detect_raise(d, FINDING_VERSION_NEGOTIATION);
	finding_answer(d, f, a);
	finding_severity(f, SEVERITY_WARNING, no_version ? "no-version" : "no-upgrade");
	if (no_version)
		FINDING_SAY(f,
			    "version %q was refused with %u, without Sec-WebSocket-Version to say "
			    "which ones are supported",
			    &asked, (uint64_t)a->view->head.status);
	else
		FINDING_SAY(f, "the 426 does not name the protocol in an Upgrade field");
}

/* ---- the request arrived whole, but was judged without a field ---- */

enum {
	TEXT_READ = 1024,
};

/* Does s say that a handshake field is not there?  Conservative: the field's name, and within a few
 * words a word of absence or of wrongness; or a CGI-like dump with the field empty. */
static bool says_missing(struct span s)
{
	static const char *const field[] = {"upgrade", "sec-websocket-key", "sec-websocket-version",
					    "'connection'", "connection header"};
	static const char *const absent[] = {"missing", "not found", "invalid",	       "required",
					     "must be", "expected",  "no upgrade",     "lacks",
					     "absent",	"only to",   "not a websocket"};
	enum {
		REACH = 60,
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(field); i++) {
		const uint8_t *at = span_find(s, field[i]);
		struct span near;

		if (!at)
			continue;
		near.p = at - s.p > REACH ? at - REACH : s.p;
		near.n = (size_t)(s.p + s.n - near.p);
		if (near.n > 2 * REACH + 20)
			near.n = 2 * REACH + 20;
		for (unsigned k = 0; k < CORE_ARRAY_LEN(absent); k++) {
			if (span_find(near, absent[k]))
				return true;
		}
	}
	return false;
}

/* "HTTP_UPGRADE: )", "HTTP_UPGRADE=" at the end of a line: a dump of the request, the field empty. */
static bool says_empty(struct span s)
{
	const uint8_t *at = span_find(s, "http_upgrade"), *end = s.p + s.n;

	if (!at)
		return false;
	at += 12;
	while (at < end && (*at == '"' || *at == '\'' || *at == ' '))
		at++;
	if (at == end || (*at != ':' && *at != '='))
		return false;
	at++;
	while (at < end && *at == ' ')
		at++;
	return at == end || *at == ')' || *at == ',' || *at == '\n' || *at == '\r' || *at == '}';
}

/* The words that prove it: of the answer, or of a log line beside it. */
static bool refusal_names_field(const struct detect *d, const struct answer *a, uint8_t *ret,
				struct span *ret_words, uint32_t *ret_event)
{
	struct span s = {ret, answer_body(d, a, ret, TEXT_READ)};

	*ret_event = a->first_event;
	*ret_words = s;
	if (s.n && !http_view_count(a->view, "content-encoding") && says_missing(s))
		return true;
	*ret_words = a->view->reason;
	if (a->view->reason.n && says_missing(a->view->reason) &&
	    !span_is_nocase(a->view->reason, "upgrade required"))
		return true;
	for (uint32_t i = d->x->ev_start; i < d->x->ev_end; i++) {
		const struct event *e = &d->c->event[i];

		if (e->kind != EVENT_TEXT || !e->segments || e->t_ns < d->x->t_start ||
		    since(a->t_ns, e->t_ns) > d->o->log_near_ns)
			continue;
		if (!(e->flags & EVENT_OWNER) && since(e->t_ns, a->t_ns) > d->o->log_near_ns)
			continue;
		s = (struct span){e->segment->bytes, e->segment->len};
		if (!says_empty(s) && !(says_missing(s) && e->flags & EVENT_OWNER))
			continue;
		*ret_words = s;
		*ret_event = i;
		return true;
	}
	return false;
}

static bool refused_for_a_field(const struct answer *a)
{
	unsigned status = a->view->head.status;

	return status == 400 || status == 403 || status == 404 || status == 405 || status == 426 ||
	       status == 500 || status == 501;
}

/* The leg to the backend lacks what came in on this one. */
static const char *lost_on_the_way(const struct detect *d)
{
	const struct exchange *y = d->server ? model_other_leg(d->x) : NULL;

	if (!y || y->request->head.state != HTTP_DONE || y->request->dropped)
		return NULL;
	if (!http_view_has_token(y->request, "upgrade", "websocket"))
		return "Upgrade";
	if (!http_view_has_token(y->request, "connection", "upgrade"))
		return "Connection: Upgrade";
	if (!http_view_count(y->request, "sec-websocket-key"))
		return "Sec-WebSocket-Key";
	if (!http_view_count(y->request, "sec-websocket-version"))
		return "Sec-WebSocket-Version";
	return NULL;
}

void rule_FIELD_LOST_IN_PROCESS(struct detect *d)
{
	const struct answer *a = d->x->final;
	const char *lost;
	uint8_t bytes[TEXT_READ];
	struct span words, method;
	uint32_t event;
	struct finding *f;

	if (!d->server || d->switched || !d->x->websocket || !request_complete(d) ||
	    !request_is_correct(d->x))
		return;
	lost = lost_on_the_way(d);
	if (lost) {
		f = detect_raise(d, FINDING_FIELD_LOST_IN_PROCESS);
		request_evidence(d, f);
		finding_severity(f, SEVERITY_ERROR, "relay");
		finding_blame_nobody(f,
				     "the request to the backend was made from the changed fields");
		FINDING_SAY(f, "%b arrived complete, but the request to %s lacks %s",
			    &d->x->request->target, d->c->relay->peer, lost);
		return;
	}
	if (!a || a->end == MODEL_NO_OFF || !refused_for_a_field(a))
		return;
	method = field_value(a->view, "upgrade");
	event = a->first_event;
	words = a->view->reason;
	if (!refusal_names_field(d, a, bytes, &words, &event)) {
		/* A 426 says that the request asked for no upgrade to this protocol; and who names
		 * the version beside a plain 400 is a WebSocket library that judged the handshake. */
		bool judged = a->view->head.status == 400 &&
			      span_is(field_value(a->view, "sec-websocket-version"), "13");

		if (!judged &&
		    (a->view->head.status != 426 || (method.p && !span_find(method, "websocket"))))
			return;
		words = a->view->reason;
	}
	f = detect_raise(d, FINDING_FIELD_LOST_IN_PROCESS);
	finding_answer(d, f, a);
	request_evidence(d, f);
	finding_blame_answer(d, f, a);
	if (event != a->first_event)
		finding_evidence(f, event, DIR_TX, 0, words.n);
	finding_severity(f, SEVERITY_ERROR, NULL);
	FINDING_SAY(f,
		    "%b arrived with Upgrade, Connection, key and version, yet it was refused with "
		    "%u: %q",
		    &d->x->request->target, (uint64_t)a->view->head.status, &words);
}

/* ---- the head came in pieces ---- */

static bool round_buffer(uint32_t n)
{
	return n == 512 || n == 1024 || n == 2048 || n == 4096 || n == 8192 || n == 16384;
}

/* The one read that filled a round buffer inside the head, as the last of the connection. */
static uint32_t filled_read(const struct detect *d)
{
	uint32_t found = MODEL_NONE;

	for (uint32_t i = d->x->ev_start; i < d->x->ev_end; i++) {
		const struct event *e = &d->c->event[i];

		if (e->dir == d->ask &&
		    (e->kind == EVENT_WAIT || e->kind == EVENT_EOF || e->kind == EVENT_FAILED))
			found = MODEL_NONE; /* it did read on */
		if (e->kind == EVENT_DATA && e->dir == d->ask)
			found = round_buffer(e->moved) ? i : MODEL_NONE;
	}
	return found;
}

/* Answer bytes written while the head was incomplete: the first status, 0 when there is none. */
static unsigned hasty_answer(const struct detect *d, uint32_t *ret_event, uint64_t *ret_off)
{
	for (uint32_t i = d->x->ev_start; i < d->c->events; i++) {
		const struct event *e = &d->c->event[i];
		uint8_t bytes[16];

		if (e->kind != EVENT_DATA || e->dir != d->answer)
			continue;
		*ret_event = i;
		*ret_off = e->off;
		return bytes_status(bytes,
				    model_bytes(d->c, d->answer, e->off, i, bytes, sizeof(bytes)));
	}
	return 0;
}

enum {
	HEAD_PATIENCE = 500 * 1000 * 1000, /* ns; who closes earlier has no limit for heads */
};

/* The server did not want to wait for the rest of the head. */
static void head_timed_out(struct detect *d, uint64_t have)
{
	uint64_t waited = since(d->x->t_start, d->t_own);
	struct finding *f;

	if (d->t_own >= d->t_peer || d->ev_own == MODEL_NONE || detect_draining(d, d->ev_own) ||
	    waited < HEAD_PATIENCE || d->c->event[d->ev_own].close_how == CLOSE_EXIT)
		return;
	f = detect_raise(d, FINDING_HEAD_NEVER_COMPLETE);
	finding_evidence(f, d->x->ev_start, d->ask, d->x->req_off, have);
	finding_evidence(f, d->ev_own, d->answer, d->c->tx_end, 0);
	finding_severity(f, SEVERITY_WARNING, "timeout");
	finding_blame_nobody(f, "the rest of the head did not come in the time the server gives");
	FINDING_SAY(
		f,
		"%u bytes of the head had come, without its blank line, when this process closed "
		"the connection %t after the first of them",
		have, waited);
	FINDING_FIX(f, "Find out what makes the head slow (the client, the network, a proxy that "
		       "sends it in parts), or raise the limit for heads (Go: "
		       "http.Server.ReadHeaderTimeout).");
}

void rule_HEAD_NEVER_COMPLETE(struct detect *d)
{
	const struct connection *c = d->c;
	uint64_t off = 0, have, quiet;
	uint32_t event = MODEL_NONE, read;
	unsigned status;
	struct finding *f;

	if (!d->server || !d->whole || c->shared || d->x->req_head_end != MODEL_NO_OFF ||
	    d->x->ev_start >= c->events)
		return;
	have = since(d->x->req_off, c->rx_end);
	status = hasty_answer(d, &event, &off);
	read = filled_read(d);
	quiet = since(read == MODEL_NONE ? 0 : c->event[read].t_ns,
		      d->t_own < d->p->t_end ? d->t_own : d->p->t_end);
	if ((status == 400 || status == 413 || status == 431) && have < 8192) {
		f = detect_raise(d, FINDING_HEAD_NEVER_COMPLETE);
		finding_evidence(f, event, d->answer, off, 12);
		finding_blame(f, event);
		finding_severity(f, SEVERITY_ERROR, "judged-early");
		FINDING_SAY(f,
			    "the first %u bytes of the head, without its blank line, were "
			    "answered with %u",
			    have, (uint64_t)status);
	} else if (!status && event == MODEL_NONE && read != MODEL_NONE &&
		   d->t_peer > c->event[read].t_ns + d->o->never_answered_ns &&
		   quiet >= d->o->never_answered_ns) {
		f = detect_raise(d, FINDING_HEAD_NEVER_COMPLETE);
		finding_evidence(f, read, d->ask, c->event[read].off, c->event[read].moved);
		finding_blame(f, read);
		finding_severity(f, SEVERITY_ERROR, "one-read");
		FINDING_SAY(f,
			    "a read filled its buffer of %u bytes inside the head, and nothing was "
			    "read or written for %t after it",
			    (uint64_t)c->event[read].moved, quiet);
	} else if (!status && event == MODEL_NONE) {
		head_timed_out(d, have);
	}
}

/* ---- bytes before the answer ---- */

static bool is_frame_start(uint8_t b)
{
	uint8_t op = b & 0x0f;

	return (b & 0x70) == 0 && (op <= WS_BINARY || (op >= WS_CLOSE && op <= WS_PONG));
}

/* Could the byte begin a next request? */
static bool is_request_start(uint8_t b)
{
	return (b >= 'A' && b <= 'Z') || b == '\r' || b == '\n';
}

static uint64_t early_bytes(const struct detect *d)
{
	uint64_t before = d->x->ev_answer == MODEL_NONE ? UINT64_MAX : d->x->t_answer, end = 0;

	for (uint32_t i = d->x->ev_start; i < d->c->events; i++) {
		const struct event *e = &d->c->event[i];

		if (e->t_ns >= before)
			break;
		if (e->kind == EVENT_DATA && e->dir == d->ask)
			end = e->off + e->moved;
	}
	return since(d->x->early_off, end);
}

void rule_EARLY_CLIENT_DATA(struct detect *d)
{
	uint8_t first = 0;
	uint64_t n;
	uint32_t event;
	struct finding *f;

	if (d->x->early_off == MODEL_NO_OFF || !d->x->websocket || !d->whole ||
	    !model_bytes(d->c, d->ask, d->x->early_off, d->x->ev_start, &first, 1))
		return;
	if (!d->switched && !is_frame_start(first) && is_request_start(first))
		return;
	n = early_bytes(d);
	/* One byte before a 101 is how Go's net/http watches for the end of a connection. */
	if (n == 0 || (n == 1 && d->switched))
		return;
	event = model_event_at(d->c, d->ask, d->x->early_off, d->x->ev_start);
	f = detect_raise(d, FINDING_EARLY_CLIENT_DATA);
	finding_evidence(f, event, d->ask, d->x->early_off, n);
	if (d->server)
		finding_blame_nobody(f, "the client sent the bytes");
	else
		finding_blame(f, event);
	FINDING_SAY(
		f,
		"%u byte%s of the client's came behind the request for %b before it was answered",
		n, n == 1 ? "" : "s", &d->x->request->target);
	if (d->silent && d->t_own < d->t_peer)
		FINDING_SAY(f, "; the connection was then closed without an answer");
}

static bool declares_body(const struct detect *d, uint64_t *ret_len)
{
	return request_complete(d) && http_request_body(&d->x->request->head, ret_len) && *ret_len;
}

void rule_BODY_AS_FRAMES(struct detect *d)
{
	uint64_t len = 0, end;
	const struct event *e = NULL;
	uint32_t i;
	struct finding *f;

	if (!d->whole || !d->switched || !declares_body(d, &len))
		return;
	end = len == UINT64_MAX ? MODEL_NO_OFF : d->x->req_head_end + len;
	for (i = d->x->ev_switched; i < d->c->events; i++) {
		e = &d->c->event[i];
		if (e->kind == EVENT_DATA && e->dir == d->ask && e->t_ns > d->x->t_switched)
			break;
	}
	if (i == d->c->events || !e || e->off >= end || len == UINT64_MAX)
		return;
	f = detect_raise(d, FINDING_BODY_AS_FRAMES);
	finding_evidence(f, d->x->final->first_event, d->answer, d->x->final->off, 12);
	finding_evidence(f, i, d->ask, e->off, since(e->off, end));
	finding_blame(f, d->server ? d->x->final->first_event : d->x->ev_start);
	FINDING_SAY(f,
		    "the request declares a body of %u bytes; the 101 was written when %u of them "
		    "had come, the next bytes are still the body",
		    len, since(d->x->req_head_end, e->off));
}

/* A read by the thread that took the request, entered before any answer and not ended since. */
static uint32_t pending_read(const struct detect *d)
{
	uint32_t tid = d->c->event[d->x->ev_head].tid, found = MODEL_NONE;

	for (uint32_t i = d->x->ev_head + 1; i < d->x->ev_end; i++) {
		const struct event *e = &d->c->event[i];

		if (e->kind == EVENT_TEXT || e->tid != tid)
			continue;
		found = e->kind == EVENT_WAIT && e->dir == d->ask && e->stack ? i : MODEL_NONE;
	}
	return found;
}

/* Bytes of the declared body that had come when the event happened. */
static uint64_t body_before(const struct detect *d, uint32_t event)
{
	uint64_t end = d->x->req_head_end;

	for (uint32_t i = d->x->ev_head; i < event; i++) {
		const struct event *e = &d->c->event[i];

		if (e->kind == EVENT_DATA && e->dir == d->ask)
			end = e->off + e->moved;
	}
	return since(d->x->req_head_end, end < d->x->req_end ? end : d->x->req_end);
}

/* Where the runtime told that the program asked for the body before there was any answer. */
static uint32_t body_asked(const struct detect *d)
{
	uint32_t i = model_witness_next(d->x, WITNESS_BODY, d->x->ev_head);

	return i < d->x->ev_answer && i < model_witness_next(d->x, WITNESS_HIJACK, 0) ? i
										      : MODEL_NONE;
}

/* When the last byte of the body came; 0 when it never did. */
static uint64_t body_end_time(const struct detect *d)
{
	uint32_t i = d->x->req_end == MODEL_NO_OFF || d->x->req_end == d->x->req_head_end
			     ? MODEL_NONE
			     : model_event_at(d->c, d->ask, d->x->req_end - 1, d->x->ev_head);

	return i == MODEL_NONE ? 0 : d->c->event[i].t_ns;
}

static void say_asked(struct detect *d, struct finding *f, uint32_t i, uint64_t len)
{
	uint64_t have = body_before(d, i), t = d->c->event[i].t_ns, came = body_end_time(d);

	FINDING_SAY(f, "the body of the request for %b was asked for before there was an answer; ",
		    &d->x->request->target);
	if (came && came <= t) {
		finding_severity(f, SEVERITY_INFO, "taken");
		FINDING_SAY(f, "all of its %u bytes had come", have);
		return;
	}
	if (len == UINT64_MAX)
		FINDING_SAY(f, "%u bytes of it had come", have);
	else
		FINDING_SAY(f, "%u of its %u bytes had come", have, len);
	if (came)
		FINDING_SAY(f, ", the last one %t later", since(t, came));
	else
		FINDING_SAY(f, " and its end did not");
	finding_severity(f, SEVERITY_ERROR, came ? "late" : "awaited");
}

static void asked_for_body(struct detect *d, uint32_t i, uint64_t len)
{
	uint64_t until = d->t_peer < d->p->t_end ? d->t_peer : d->p->t_end;
	bool settled = !d->silent || body_end_time(d) || d->t_own < d->t_peer;
	struct finding *f;

	if (!settled && since(d->c->event[i].t_ns, until) < d->o->never_answered_ns)
		return;
	f = detect_raise(d, FINDING_PREMATURE_BODY_READ);
	finding_evidence(f, i, d->ask, d->x->req_head_end, body_before(d, i));
	finding_blame(f, i);
	say_asked(d, f, i, len);
}

void rule_PREMATURE_BODY_READ(struct detect *d)
{
	uint64_t len = 0, waited;
	uint32_t i;
	struct finding *f;

	if (d->server && d->whole && !d->c->shared && d->x->websocket && declares_body(d, &len)) {
		i = body_asked(d);
		if (i != MODEL_NONE)
			asked_for_body(d, i, len);
		return;
	}
	if (!d->server || !d->whole || !d->silent || d->c->shared || declares_body(d, &len))
		return;
	i = pending_read(d);
	if (i == MODEL_NONE)
		return;
	waited = since(d->c->event[i].t_ns, d->t_peer < d->p->t_end ? d->t_peer : d->p->t_end);
	if (waited < d->o->never_answered_ns || d->t_own < d->t_peer)
		return;
	f = detect_raise(d, FINDING_PREMATURE_BODY_READ);
	finding_evidence(f, i, d->ask, d->x->req_head_end, 0);
	finding_blame(f, i);
	FINDING_SAY(f,
		    "the thread that took the request for %b has been waiting %t in a read for "
		    "more of it; no body is declared and no answer was written",
		    &d->x->request->target, waited);
}
