/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_stream: what the bytes after the switch say.
 *
 * All of it rests on knowing where frames begin; a connection with a hole is left alone.
 * Source: RFC 6455 sections 5.1 to 5.5.
 */
#include "core/finding/detect.h"

/* ---- HTTP and other strangers ---- */

static struct finding *raise_intruder(struct detect *d, enum finding_id id, struct intruder *i)
{
	struct finding *f = detect_raise(d, id);

	finding_evidence(f, i->mark->event, d->answer, i->mark->e.off, i->n);
	finding_answer(d, f, d->x->final);
	if (d->server)
		finding_blame(f, i->mark->event);
	else
		finding_blame_nobody(f, "the bytes were written by the other process");
	return f;
}

static void say_when(struct finding *f, const struct detect *d, const struct intruder *i)
{
	struct span s = {i->bytes, i->n > 40 ? 40 : i->n};

	FINDING_SAY(f, "%t after the 101 for %b, byte %u behind it: %q",
		    since(d->x->t_switched, i->mark->t_ns), &d->x->request->target,
		    since(d->x->final->end, i->mark->e.off), &s);
}

/* The server still parses HTTP: the last thing before its error was a frame from the client, and it
 * never wrote a frame itself. */
static bool parses_http(const struct detect *d, const struct intruder *i)
{
	static const uint16_t status[] = {400, 405, 413, 414, 431, 501, 505};
	const struct event *before = NULL;
	bool error = false;

	for (unsigned k = 0; k < CORE_ARRAY_LEN(status); k++)
		error |= i->status == status[k];
	for (uint32_t k = 0; k < i->mark->event; k++) {
		if (d->c->event[k].kind == EVENT_DATA)
			before = &d->c->event[k];
	}
	return error && before && before->dir == d->ask && before->t_ns > d->x->t_switched &&
	       d->x->frames[d->answer] == 0 && d->x->frames[d->ask] > 0;
}

void rule_HTTP_PARSE_AFTER_101(struct detect *d)
{
	struct intruder i;
	struct finding *f;

	if (!detect_intruder(d, &i) || !i.status || !parses_http(d, &i))
		return;
	f = raise_intruder(d, FINDING_HTTP_PARSE_AFTER_101, &i);
	FINDING_SAY(f, "the client's first frame was answered with HTTP %u; ", (uint64_t)i.status);
	say_when(f, d, &i);
}

void rule_DOUBLE_101(struct detect *d)
{
	struct intruder i;
	struct finding *f;

	if (!detect_intruder(d, &i) || i.status != 101)
		return;
	f = raise_intruder(d, FINDING_DOUBLE_101, &i);
	FINDING_SAY(f, "a second 101 was written ");
	say_when(f, d, &i);
}

void rule_HTTP_AFTER_101(struct detect *d)
{
	struct intruder i;
	struct finding *f;

	if (!detect_intruder(d, &i) || i.n < 7 || memcmp(i.bytes, "HTTP/1.", 7) != 0 ||
	    detect_has(d, FINDING_HTTP_PARSE_AFTER_101) || detect_has(d, FINDING_DOUBLE_101))
		return;
	f = raise_intruder(d, FINDING_HTTP_AFTER_101, &i);
	if (i.status)
		FINDING_SAY(f, "an HTTP %u answer was written into the WebSocket ",
			    (uint64_t)i.status);
	else
		FINDING_SAY(f, "HTTP was written into the WebSocket ");
	say_when(f, d, &i);
}

static const char *stranger(const struct intruder *i)
{
	static const struct {
		const char *start, *name;
	} known[] = {
		{"0\r\n\r\n", "the last chunk of a chunked body"},
		{"<html", "HTML"},
		{"<!doc", "HTML"},
		{"{\"", "JSON"},
		{"[{", "JSON"},
		{"\x1f\x8b", "gzip data"},
	};
	size_t digits = 0;

	for (unsigned k = 0; k < CORE_ARRAY_LEN(known); k++) {
		size_t n = 0;

		while (n < i->n && known[k].start[n] &&
		       ascii_lower(i->bytes[n]) == (uint8_t)known[k].start[n])
			n++;
		if (!known[k].start[n])
			return known[k].name;
	}
	while (digits < i->n &&
	       ((i->bytes[digits] >= '0' && i->bytes[digits] <= '9') ||
		(ascii_lower(i->bytes[digits]) >= 'a' && ascii_lower(i->bytes[digits]) <= 'f')))
		digits++;
	if (digits && digits + 1 < i->n && i->bytes[digits] == '\r' && i->bytes[digits + 1] == '\n')
		return "a chunk of a chunked body";
	return "bytes that are no frame";
}

void rule_STRAY_BYTES_AFTER_101(struct detect *d)
{
	struct intruder i;
	struct finding *f;

	if (!detect_intruder(d, &i) || (i.n >= 7 && memcmp(i.bytes, "HTTP/1.", 7) == 0))
		return;
	f = raise_intruder(d, FINDING_STRAY_BYTES_AFTER_101, &i);
	FINDING_SAY(f, "%s came ", stranger(&i));
	say_when(f, d, &i);
}

/* ---- frames ---- */

static const char *frame_fault(const struct detect *d, const struct mark *m)
{
	const struct ws_frame *f = &m->frame;

	if (m->e.dir == d->ask && !ws_masked(f))
		return "unmasked";
	if (m->e.dir == d->answer && ws_masked(f))
		return "masked";
	if (f->faults & WS_LENGTH_NOT_MINIMAL)
		return "length";
	return NULL;
}

/* What is wrong with bytes of the client's that are no frame at all. */
static const char *no_frame(const uint8_t b[2])
{
	uint8_t op = b[0] & 0x0f;

	if (b[0] & 0x30)
		return "reserved-bits";
	if ((op > WS_BINARY && op < WS_CLOSE) || op > WS_PONG)
		return "reserved-opcode";
	if (op >= WS_CLOSE && !(b[0] & 0x80))
		return "fragmented-control";
	return "control-length";
}

static const char *fault_text(const char *sub)
{
	switch (sub[0]) {
	case 'u':
		return "is not masked";
	case 'm':
		return "is masked";
	case 'l':
		return "does not use the shortest form of its length";
	case 'f':
		return "is a fragmented control frame";
	case 'c':
		return "is a control frame of more than 125 bytes";
	default:
		return sub[9] == 'b' ? "has reserved bits set" : "has a reserved opcode";
	}
}

static void raise_frame(struct detect *d, const struct mark *m, const char *sub)
{
	struct finding *f = detect_raise(d, FINDING_FRAME_ERROR);
	bool ours = m->e.dir == DIR_TX;

	finding_evidence(f, m->event, m->e.dir, m->e.off, 2);
	finding_severity(f, SEVERITY_ERROR, sub);
	if (ours)
		finding_blame(f, m->event);
	else
		finding_blame_nobody(f, "the frame was sent by the other side");
	FINDING_SAY(f, "a frame from the %s, at byte %u behind the handshake, %s",
		    m->e.dir == d->ask ? "client" : "server",
		    since(d->x->off_switched[m->e.dir], m->e.off), fault_text(sub));
}

void rule_FRAME_ERROR(struct detect *d)
{
	uint32_t from = d->framed && d->whole ? detect_switch_mark(d) : 0;

	if (!from || detect_has(d, FINDING_BODY_AS_FRAMES))
		return;
	for (uint32_t i = from; i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];
		const char *sub = NULL;
		uint8_t b[2];

		if (m->e.what == PHASE_FRAME)
			sub = frame_fault(d, m);
		else if (m->e.what == PHASE_STRAY && m->e.dir == d->ask &&
			 model_bytes(d->c, d->ask, m->e.off, d->x->ev_start, b, 2) == 2)
			sub = no_frame(b);
		if (sub) {
			raise_frame(d, m, sub);
			return;
		}
	}
}

/* ---- readers ---- */

void rule_CONCURRENT_READERS(struct detect *d)
{
	const struct event *torn = NULL;
	uint32_t first = MODEL_NONE, second = MODEL_NONE;
	struct finding *f;

	if (!d->switched || !d->c->overlapped)
		return;
	for (uint32_t i = d->x->ev_switched; i < d->c->events; i++) {
		const struct event *e = &d->c->event[i];

		if (e->kind != EVENT_DATA || e->dir != DIR_RX || e->t_ns <= d->x->t_switched)
			continue;
		if (first == MODEL_NONE)
			first = i;
		else if (second == MODEL_NONE && e->tid != d->c->event[first].tid)
			second = i;
		if (e->flags & EVENT_OVERLAP)
			torn = e;
	}
	if (!torn || second == MODEL_NONE)
		return;
	f = detect_raise(d, FINDING_CONCURRENT_READERS);
	finding_evidence(f, first, DIR_RX, d->c->event[first].off, d->c->event[first].moved);
	finding_evidence(f, second, DIR_RX, d->c->event[second].off, d->c->event[second].moved);
	finding_blame(f, d->c->event[first].moved <= d->c->event[second].moved ? first : second);
	FINDING_SAY(
		f,
		"after the 101 for %b, threads %u and %u were inside reads of the connection at "
		"the same time and took %u and %u bytes",
		&d->x->request->target, (uint64_t)d->c->event[first].tid,
		(uint64_t)d->c->event[second].tid, (uint64_t)d->c->event[first].moved,
		(uint64_t)d->c->event[second].moved);
}

/* ---- silence ---- */

/* Nothing moved after this switch; *ret_since is when it happened. */
static bool switched_and_silent(const struct connection *c, const struct finding_options *o,
				uint64_t t_end)
{
	const struct exchange *x = c->exchanges ? &c->exchange[c->exchanges - 1] : NULL;
	enum dir answer = c->role == ROLE_SERVER ? DIR_TX : DIR_RX;
	uint64_t end = t_end;

	if (!x || c->partial || !x->websocket || !x->t_switched || !x->final ||
	    x->final->view->head.status != 101)
		return false;
	if (c->ev_close != MODEL_NONE && c->event[c->ev_close].t_ns < end)
		end = c->event[c->ev_close].t_ns;
	if (c->ev_eof != MODEL_NONE && c->event[c->ev_eof].t_ns < end)
		end = c->event[c->ev_eof].t_ns;
	return (answer == DIR_TX ? c->tx_end : c->rx_end) == x->final->end &&
	       (answer == DIR_TX ? c->rx_end : c->tx_end) == x->req_end &&
	       since(x->t_switched, end) >= o->silent_ns;
}

void rule_SILENT_AFTER_101(struct detect *d)
{
	uint32_t at = (uint32_t)(d->c - d->p->connection), lo = at > 32 ? at - 32 : 0, same = 0;
	bool left;
	struct finding *f;

	if (!d->framed || d->x->ordinal + 1 != d->c->exchanges ||
	    !switched_and_silent(d->c, d->o, d->p->t_end))
		return;
	for (uint32_t i = lo; i < d->p->connections && i < lo + 64; i++) {
		const struct connection *c = &d->p->connection[i];

		same += c->ev_eof != MODEL_NONE && switched_and_silent(c, d->o, d->p->t_end);
	}
	left = d->c->ev_eof != MODEL_NONE && same >= 3;
	f = detect_raise(d, FINDING_SILENT_AFTER_101);
	finding_answer(d, f, d->x->final);
	finding_blame_nobody(f, "nobody did anything");
	if (left)
		finding_severity(f, SEVERITY_WARNING, "repeated");
	FINDING_SAY(f, "no byte moved in either direction for %t after the 101 for %b",
		    since(d->x->t_switched, d->t_peer < d->p->t_end ? d->t_peer : d->p->t_end),
		    &d->x->request->target);
	if (left)
		FINDING_SAY(f, "; %u connections nearby ended like this: did the 101 arrive?",
			    (uint64_t)same);
}

/* ---- complaints of the application ---- */

static bool names_misuse(struct span s)
{
	static const char *const words[] = {
		"hijacked connection",
		"on hijacked",
		"has been hijacked",
		"superfluous response.writeheader",
		"write() before start_response",
		"start_response() was already called",
		"cannot set headers after they are sent",
		"err_http_headers_sent",
		"headers already sent",
		"statuscode cannot be set",
		"response has already started",
		"response already started",
		"unexpected asgi message 'http.response",
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(words); i++) {
		if (span_find(s, words[i]))
			return true;
	}
	return false;
}

static bool any_critical(const struct detect *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (d->ret[i].severity == SEVERITY_CRITICAL)
			return true;
	}
	return false;
}

/* The runtime told that somebody still answered through it after the connection was taken over. */
static void answered_after(struct detect *d, uint32_t i)
{
	const struct event *e = &d->c->event[i];
	struct finding *f = detect_raise(d, FINDING_APP_LOG_ONLY);

	finding_evidence(f, i, DIR_TX, 0, 0);
	finding_severity(f, SEVERITY_INFO, "after-hijack");
	finding_blame(f, i);
	FINDING_SAY(f,
		    "%s was called %t after the connection was taken over; the server ignored it",
		    model_witness_function(e), since(d->x->t_switched, e->t_ns));
}

void rule_APP_LOG_ONLY(struct detect *d)
{
	uint32_t taken = model_witness_next(d->x, WITNESS_HIJACK, 0), i = MODEL_NONE;

	if (!d->switched || any_critical(d))
		return;
	if (taken != MODEL_NONE)
		i = model_witness_next(d->x, WITNESS_ANSWER, taken);
	if (i != MODEL_NONE) {
		answered_after(d, i);
		return;
	}
	if (!d->c->texts)
		return;
	for (i = d->x->ev_start; i < d->x->ev_end; i++) {
		const struct event *e = &d->c->event[i];
		struct span s;
		struct finding *f;

		if (e->kind != EVENT_TEXT || !e->segments)
			continue;
		s = (struct span){e->segment->bytes, e->segment->len};
		if (!names_misuse(s))
			continue;
		f = detect_raise(d, FINDING_APP_LOG_ONLY);
		finding_evidence(f, i, DIR_TX, 0, s.n);
		finding_blame_nobody(f, "the log line names the caller");
		FINDING_SAY(f, "%s: %q", e->flags & EVENT_OWNER ? "it logged" : "nearby in the log",
			    &s);
		return;
	}
}
