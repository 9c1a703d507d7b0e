/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect: calls the rules in the order of the catalogue, and what they share.
 */
#include "core/finding/detect.h"

typedef void rule(struct detect *d);

static rule *const rules[FINDING_COUNT] = {
#define FINDING(id, ...) [FINDING_##id] = rule_##id,
#include "core/finding/finding.def"
#undef FINDING
};

/* ---- setting the scene ---- */

static void see_ends(struct detect *d)
{
	const struct connection *c = d->c;

	d->ev_peer = c->ev_eof < c->ev_reset ? c->ev_eof : c->ev_reset;
	d->ev_own = c->ev_close < c->ev_shutdown ? c->ev_close : c->ev_shutdown;
	d->t_peer = d->ev_peer == MODEL_NONE ? UINT64_MAX : c->event[d->ev_peer].t_ns;
	d->t_own = d->ev_own == MODEL_NONE ? UINT64_MAX : c->event[d->ev_own].t_ns;
}

static bool any_answer_byte(const struct detect *d)
{
	const struct exchange *x = d->x;

	if (x->answers || x->final)
		return true;
	for (uint32_t i = x->mark_start; i < x->mark_end; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.exchange == x->ordinal && m->e.dir == d->answer &&
		    (m->e.what == PHASE_BAD_RESPONSE || m->e.what == PHASE_RESPONSE_START))
			return true;
	}
	return false;
}

static void detect_init(struct detect *d, const struct process *p, const struct connection *c,
			const struct exchange *x, const struct finding_options *o,
			struct finding *ret)
{
	*d = (struct detect){
		.p = p,
		.c = c,
		.x = x,
		.o = o,
		.server = c->role == ROLE_SERVER,
		.whole = !c->partial && !p->answers_unseen,
		.ret = ret,
	};
	d->ask = d->server ? DIR_RX : DIR_TX;
	d->answer = d->server ? DIR_TX : DIR_RX;
	see_ends(d);
	if (!x)
		return;
	d->switched = x->final && x->final->view->head.status == 101 &&
		      x->final->end != MODEL_NO_OFF && x->t_switched;
	d->framed = d->switched && x->websocket;
	d->silent = x->t_head && !any_answer_byte(d);
}

static uint32_t run(struct detect *d, enum finding_scope scope)
{
	for (unsigned i = 0; i < FINDING_COUNT && d->n < FINDING_MAX; i++) {
		if (finding_info((enum finding_id)i)->scope == scope)
			rules[i](d);
	}
	detect_explain(d);
	if (d->n)
		d->ret[0].primary = true;
	return d->n;
}

uint32_t finding_detect(const struct process *p, const struct exchange *x,
			const struct finding_options *o, struct finding *ret)
{
	struct detect d;

	detect_init(&d, p, x->conn, x, o, ret);
	if (!x->attempt && !d.switched)
		return 0;
	return run(&d, SCOPE_EXCHANGE);
}

uint32_t finding_detect_connection(const struct process *p, const struct connection *c,
				   const struct finding_options *o, struct finding *ret)
{
	struct detect d;

	detect_init(&d, p, c, NULL, o, ret);
	return run(&d, SCOPE_CONNECTION);
}

/* Whole-process findings are made where the trace's header is at hand: tools/exchange. */
void rule_OBSERVER_BLIND(struct detect *d)
{
	(void)d;
}

/* ---- making a finding ---- */

struct finding *detect_raise(struct detect *d, enum finding_id id)
{
	struct finding *f;

	if (d->n == FINDING_MAX)
		return NULL;
	f = &d->ret[d->n++];
	memset(f, 0, sizeof(*f));
	f->id = id;
	f->severity = finding_info(id)->severity;
	f->blame_event = MODEL_NONE;
	f->blame_reason = "nothing recorded tells who did it";
	say(f->fix, sizeof(f->fix), "%s", finding_info(id)->fix);
	return f;
}

const struct finding *detect_find(const struct detect *d, enum finding_id id)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (d->ret[i].id == id)
			return &d->ret[i];
	}
	return NULL;
}

bool detect_has(const struct detect *d, enum finding_id id)
{
	return detect_find(d, id) != NULL;
}

void finding_evidence(struct finding *f, uint32_t event, enum dir dir, uint64_t off, uint64_t len)
{
	if (!f || f->evidences == FINDING_EVIDENCE || event == MODEL_NONE)
		return;
	f->evidence[f->evidences++] = (struct evidence){
		.event = event,
		.dir = (uint8_t)dir,
		.off = off,
		.len = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len,
	};
}

void finding_blame(struct finding *f, uint32_t event)
{
	if (!f)
		return;
	f->blame_event = event;
	f->blame_reason = event == MODEL_NONE ? "the call that did it was not recorded" : NULL;
}

void finding_blame_nobody(struct finding *f, const char *reason)
{
	if (!f)
		return;
	f->blame_event = MODEL_NONE;
	f->blame_reason = reason;
}

void finding_severity(struct finding *f, enum severity s, const char *sub)
{
	if (!f)
		return;
	f->severity = s;
	f->sub = sub;
}

void finding_blame_answer(struct detect *d, struct finding *f, const struct answer *a)
{
	uint32_t author = d->server ? model_author(d->x, a) : MODEL_NONE;

	if (d->server)
		finding_blame(f, author == MODEL_NONE ? a->first_event : author);
	else
		finding_blame_nobody(f, "the answer was written by the other process");
}

void finding_answer(struct detect *d, struct finding *f, const struct answer *a)
{
	uint64_t end = a->end == MODEL_NO_OFF ? a->off + a->bytes.n : a->end;

	finding_evidence(f, a->first_event, d->answer, a->off, end - a->off);
	finding_blame_answer(d, f, a);
	if (f && f->blame_event != a->first_event)
		finding_evidence(f, f->blame_event, d->answer, a->off, 0);
}

/* ---- looking ---- */

uint32_t detect_switch_mark(const struct detect *d)
{
	for (uint32_t i = d->x->mark_start; i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.what == PHASE_SWITCHED && m->e.exchange == d->x->ordinal)
			return i + 1;
	}
	return 0;
}

unsigned bytes_status(const uint8_t *p, size_t n)
{
	if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ')
		return 0;
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
	}
	return (p[9] - '0') * 100u + (p[10] - '0') * 10u + (p[11] - '0');
}

static bool is_intrusion(enum phase_what what)
{
	return what == PHASE_STRAY || what == PHASE_UNASKED || what == PHASE_BAD_RESPONSE;
}

bool detect_intruder(const struct detect *d, struct intruder *ret)
{
	uint32_t from = d->framed && d->whole ? detect_switch_mark(d) : 0;

	if (!from)
		return false;
	for (uint32_t i = from; i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];

		if (m->e.dir != d->answer || !is_intrusion(m->e.what))
			continue;
		ret->mark = m;
		ret->n = model_bytes(d->c, d->answer, m->e.off, d->x->ev_switched, ret->bytes,
				     sizeof(ret->bytes));
		ret->status = bytes_status(ret->bytes, ret->n);
		return ret->n != 0;
	}
	return false;
}

bool request_is_correct(const struct exchange *x)
{
	const struct http_view *v = x->request;
	struct span key = field_value(v, "sec-websocket-key");

	return v->head.state == HTTP_DONE && v->head.method == HTTP_GET &&
	       v->head.version >= 0x11 && http_view_has_token(v, "upgrade", "websocket") &&
	       http_view_has_token(v, "connection", "upgrade") &&
	       http_view_count(v, "sec-websocket-key") == 1 && ws_base64_length(key) == 16 &&
	       http_view_count(v, "sec-websocket-version") == 1 &&
	       span_is(field_value(v, "sec-websocket-version"), "13");
}

bool detect_draining(const struct detect *d, uint32_t event)
{
	return event != MODEL_NONE && d->c->event[event].flags & EVENT_AFTER_SIGNAL;
}

const uint8_t *span_find(struct span s, const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	for (size_t i = 0; n && i + n <= s.n; i++) {
		size_t k = 0;

		while (k < n && ascii_lower(s.p[i + k]) == (uint8_t)text[k])
			k++;
		if (k == n)
			return s.p + i;
	}
	return NULL;
}

struct span field_value(const struct http_view *v, const char *name)
{
	const struct http_field *f = http_view_field(v, name, 0);

	return f ? f->value : (struct span){NULL, 0};
}

size_t answer_body(const struct detect *d, const struct answer *a, uint8_t *ret, size_t n)
{
	uint64_t end;

	if (a->end == MODEL_NO_OFF)
		return 0;
	end = a->body_end == MODEL_NO_OFF ? (d->answer == DIR_TX ? d->c->tx_end : d->c->rx_end)
					  : a->body_end;
	if (end <= a->end)
		return 0;
	if (end - a->end < n)
		n = (size_t)(end - a->end);
	return model_bytes(d->c, d->answer, a->end, a->first_event, ret, n);
}
