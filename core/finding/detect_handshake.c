/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/detect_handshake: is the 101 one a client can accept?
 * Source: RFC 6455 sections 4.1 and 4.2.2, RFC 7692 section 7.1, RFC 9110 section 7.8.
 */
#include "core/finding/detect.h"

static const struct http_view *the_101(const struct detect *d)
{
	const struct answer *a = d->x->final;

	if (!a || a->view->head.status != 101 || a->view->head.state != HTTP_DONE ||
	    a->view->dropped)
		return NULL;
	return a->view;
}

/* A 101 to WebSocket whose request is at hand, too. */
static const struct http_view *the_websocket_101(const struct detect *d)
{
	if (!d->x->websocket || d->x->request->head.state != HTTP_DONE || d->x->request->dropped)
		return NULL;
	return the_101(d);
}

/* ---- Accept ---- */

enum {
	KEYS_TRIED = 64, /* other connections whose key is tried */
};

/* Was the Accept computed from the key of a neighbour? Its connection, NULL when not. */
static const struct connection *key_of_another(const struct detect *d, struct span accept)
{
	uint32_t at = (uint32_t)(d->c - d->p->connection);
	uint32_t from = at > KEYS_TRIED / 2 ? at - KEYS_TRIED / 2 : 0;

	for (uint32_t i = from; i < d->p->connections && i < from + KEYS_TRIED; i++) {
		const struct connection *c = &d->p->connection[i];

		for (uint32_t j = 0; j < c->exchanges && j < 4 && c != d->c; j++) {
			struct span key = field_value(c->exchange[j].request, "sec-websocket-key");
			char expected[WS_ACCEPT_LEN];

			if (!key.n)
				continue;
			ws_accept(key, expected);
			if (accept.n == sizeof(expected) &&
			    memcmp(accept.p, expected, sizeof(expected)) == 0)
				return c;
		}
	}
	return NULL;
}

static const char *accept_sub(enum ws_accept_mistake m)
{
	static const char *const sub[] = {
		[WS_ACCEPT_DECODED_KEY] = "decoded-key",
		[WS_ACCEPT_KEY_WITH_CR] = "key-with-cr",
		[WS_ACCEPT_LEADING_SPACE] = "leading-space",
		[WS_ACCEPT_HEX_DIGEST] = "hex-digest",
		[WS_ACCEPT_EMPTY_KEY] = "empty-key",
		[WS_ACCEPT_TRUNCATED_KEY] = "truncated-key",
		[WS_ACCEPT_NO_GUID] = "no-guid",
		[WS_ACCEPT_ECHOED_KEY] = "echoed-key",
	};

	return (unsigned)m < CORE_ARRAY_LEN(sub) ? sub[m] : NULL;
}

void rule_BAD_ACCEPT(struct detect *d)
{
	const struct http_view *v = the_websocket_101(d);
	struct span key, accept, right;
	enum ws_accept_mistake m;
	const struct connection *other;
	char expected[WS_ACCEPT_LEN];
	struct finding *f;

	if (!v || http_view_count(d->x->request, "sec-websocket-key") != 1 ||
	    http_view_count(v, "sec-websocket-accept") == 0)
		return;
	key = field_value(d->x->request, "sec-websocket-key");
	accept = field_value(v, "sec-websocket-accept");
	ws_accept(key, expected);
	if (accept.n == sizeof(expected) && memcmp(accept.p, expected, sizeof(expected)) == 0)
		return;
	m = ws_accept_diagnose(key, accept);
	right = (struct span){(const uint8_t *)expected, sizeof(expected)};
	f = detect_raise(d, FINDING_BAD_ACCEPT);
	finding_answer(d, f, d->x->final);
	FINDING_SAY(f, "Sec-WebSocket-Accept is %q, the key %q needs %q", &accept, &key, &right);
	finding_severity(f, SEVERITY_ERROR, accept_sub(m));
	other = m == WS_ACCEPT_UNKNOWN ? key_of_another(d, accept) : NULL;
	if (other) {
		finding_severity(f, SEVERITY_ERROR, "another-key");
		FINDING_SAY(f, "; it answers the key of connection %u", (uint64_t)other->id);
	} else if (m != WS_ACCEPT_UNKNOWN) {
		FINDING_SAY(f, "; %s", ws_accept_mistake_text(m));
	}
}

/* ---- fields missing, repeated, out of place ---- */

void rule_HANDSHAKE_HEADER_MISSING(struct detect *d)
{
	const struct http_view *v = the_101(d);
	bool no_upgrade, no_connection, no_accept;
	struct finding *f;

	if (!v)
		return;
	no_upgrade = !(v->head.flags & HTTP_UPGRADE);
	no_connection = !(v->head.flags & HTTP_CONN_UPGRADE);
	no_accept = d->x->websocket && !(v->head.flags & HTTP_WS_ACCEPT);
	if (!no_upgrade && !no_connection && !no_accept)
		return;
	f = detect_raise(d, FINDING_HANDSHAKE_HEADER_MISSING);
	finding_answer(d, f, d->x->final);
	FINDING_SAY(f, "the 101 has no%s%s%s", no_upgrade ? " Upgrade" : "",
		    no_connection
			    ? (no_upgrade ? ", no Connection: Upgrade" : " Connection: Upgrade")
			    : "",
		    no_accept ? (no_upgrade || no_connection ? ", no Sec-WebSocket-Accept"
							     : " Sec-WebSocket-Accept")
			      : "");
}

void rule_HANDSHAKE_HEADER_DUPLICATE(struct detect *d)
{
	static const struct {
		const char *name, *shown;
		enum severity severity;
	} once[] = {
		{"sec-websocket-accept", "Sec-WebSocket-Accept", SEVERITY_ERROR},
		{"sec-websocket-protocol", "Sec-WebSocket-Protocol", SEVERITY_ERROR},
		{"upgrade", "Upgrade", SEVERITY_ERROR},
		/* RFC 6455 contradicts itself here (11.3.2 against 4.2.2 item 6). */
		{"sec-websocket-extensions", "Sec-WebSocket-Extensions", SEVERITY_WARNING},
	};
	const struct http_view *v = the_websocket_101(d);

	for (unsigned i = 0; v && i < CORE_ARRAY_LEN(once); i++) {
		unsigned n = http_view_count(v, once[i].name);
		struct span a, b;
		struct finding *f;

		if (n < 2)
			continue;
		a = field_value(v, once[i].name);
		b = http_view_field(v, once[i].name, 1)->value;
		f = detect_raise(d, FINDING_HANDSHAKE_HEADER_DUPLICATE);
		finding_answer(d, f, d->x->final);
		finding_severity(f, once[i].severity, NULL);
		FINDING_SAY(f, "the 101 carries %s %u times: %q and %q", once[i].shown, (uint64_t)n,
			    &a, &b);
		FINDING_FIX(f, "Two layers set %s; let only one of them write it.", once[i].shown);
		return;
	}
}

/* The peer left in the second after the 101 without a word: the field probably was too much. */
static bool peer_hung_up(const struct detect *d)
{
	return d->switched && d->t_peer != UINT64_MAX && d->t_peer <= d->t_own &&
	       since(d->x->t_switched, d->t_peer) <= d->o->closed_right_after_ns &&
	       d->x->frames[d->ask] == 0;
}

void rule_BODY_HEADER_ON_101(struct detect *d)
{
	static const struct {
		const char *name, *shown;
	} body[] = {
		{"content-length", "Content-Length"},
		{"transfer-encoding", "Transfer-Encoding"},
		{"content-encoding", "Content-Encoding"},
	};
	const struct http_view *v = the_101(d);

	if (!v || !(v->head.flags &
		    (HTTP_CONTENT_LENGTH | HTTP_TRANSFER_ENCODING | HTTP_CONTENT_ENCODING)))
		return;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(body); i++) {
		struct span value = field_value(v, body[i].name);
		struct finding *f;
		bool left;

		if (!value.p)
			continue;
		left = d->server && peer_hung_up(d);
		f = detect_raise(d, FINDING_BODY_HEADER_ON_101);
		finding_answer(d, f, d->x->final);
		FINDING_SAY(f, "the 101 carries %s: %b", body[i].shown, &value);
		if (left) {
			finding_severity(f, SEVERITY_ERROR, "peer-left");
			FINDING_SAY(f, "; the client hung up %t later without a frame",
				    since(d->x->t_switched, d->t_peer));
		} else if (d->c->relay) {
			finding_severity(f, SEVERITY_ERROR, "relayed");
		}
		return;
	}
}

/* ---- subprotocol ---- */

/* Tokens as the wire had them, as far as the masker left them readable: it keeps lengths. */
static bool may_be_same(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i] && a.p[i] != '*' && b.p[i] != '*')
			return false;
	return true;
}

static bool list_has(const struct http_view *v, const char *name, struct span token)
{
	unsigned n = http_view_count(v, name);

	for (unsigned i = 0; i < n; i++) {
		struct span list = http_view_field(v, name, i)->value, item;
		size_t at = 0;

		while (http_list_next(list, &at, &item)) {
			if (may_be_same(item, token))
				return true;
		}
	}
	return false;
}

void rule_SUBPROTOCOL_NOT_OFFERED(struct detect *d)
{
	const struct http_view *v = the_websocket_101(d);
	struct span value, offered, item = {NULL, 0};
	const char *sub = NULL;
	unsigned items = 0;
	size_t at = 0;
	struct finding *f;

	if (!v || !(v->head.flags & HTTP_WS_PROTOCOL))
		return;
	value = field_value(v, "sec-websocket-protocol");
	while (http_list_next(value, &at, &item))
		items++;
	if (items == 0)
		sub = "empty";
	else if (items > 1)
		sub = "list";
	else if (!list_has(d->x->request, "sec-websocket-protocol", item))
		sub = "other";
	if (!sub)
		return;
	offered = field_value(d->x->request, "sec-websocket-protocol");
	f = detect_raise(d, FINDING_SUBPROTOCOL_NOT_OFFERED);
	finding_answer(d, f, d->x->final);
	finding_severity(f, SEVERITY_ERROR, sub);
	if (items == 0)
		FINDING_SAY(f, "the 101 has an empty Sec-WebSocket-Protocol");
	else
		FINDING_SAY(f, "the 101 chose subprotocol %q", &value);
	if (offered.p)
		FINDING_SAY(f, "; the client offered %q", &offered);
	else
		FINDING_SAY(f, "; the client offered none");
	if (items == 0)
		FINDING_FIX(f, "Leave Sec-WebSocket-Protocol out when no subprotocol was chosen.");
}

void rule_SUBPROTOCOL_OMITTED(struct detect *d)
{
	const struct http_view *v = the_websocket_101(d);
	struct span offered;
	bool browser;
	struct finding *f;

	if (!v || v->head.flags & HTTP_WS_PROTOCOL ||
	    !(d->x->request->head.flags & HTTP_WS_PROTOCOL))
		return;
	offered = field_value(d->x->request, "sec-websocket-protocol");
	if (!offered.n)
		return;
	browser = http_view_count(d->x->request, "origin") != 0;
	f = detect_raise(d, FINDING_SUBPROTOCOL_OMITTED);
	finding_answer(d, f, d->x->final);
	finding_severity(f, browser ? SEVERITY_WARNING : SEVERITY_INFO, NULL);
	FINDING_SAY(f, "the client offered %q and the 101 chose none; %s", &offered,
		    browser ? "the request comes from a browser, which will end the connection"
			    : "browsers would end the connection, this client may not");
}

/* ---- extensions ---- */

/* The token before the parameters. */
static struct span extension_name(struct span item)
{
	size_t n = 0;

	while (n < item.n && item.p[n] != ';' && item.p[n] != ' ' && item.p[n] != '\t')
		n++;
	return (struct span){item.p, n};
}

static bool extension_offered(const struct http_view *request, struct span name)
{
	unsigned n = http_view_count(request, "sec-websocket-extensions");

	for (unsigned i = 0; i < n; i++) {
		struct span list = http_view_field(request, "sec-websocket-extensions", i)->value;
		struct span item;
		size_t at = 0;

		while (http_list_next(list, &at, &item)) {
			struct span other = extension_name(item);

			if (other.n == name.n && memcmp(other.p, name.p, name.n) == 0)
				return true;
		}
	}
	return false;
}

static void say_extension(struct detect *d, struct span what, const char *kind)
{
	struct span offered = field_value(d->x->request, "sec-websocket-extensions");
	struct finding *f = detect_raise(d, FINDING_EXTENSION_NOT_OFFERED);

	finding_answer(d, f, d->x->final);
	finding_severity(f, SEVERITY_ERROR, kind);
	FINDING_SAY(f, "the 101 agrees to %q", &what);
	if (offered.p)
		FINDING_SAY(f, "; the client offered %q", &offered);
	else
		FINDING_SAY(f, "; the client offered no extension");
}

/* Is the 101 itself at fault? */
static void extension_in_answer(struct detect *d, const struct http_view *v)
{
	unsigned n = http_view_count(v, "sec-websocket-extensions");

	for (unsigned i = 0; i < n; i++) {
		struct span list = http_view_field(v, "sec-websocket-extensions", i)->value, item;
		size_t at = 0;

		while (http_list_next(list, &at, &item)) {
			struct span offer = field_value(d->x->request, "sec-websocket-extensions");

			if (!extension_offered(d->x->request, extension_name(item))) {
				say_extension(d, extension_name(item), "extension");
				return;
			}
			/* The one parameter a server may not bring up itself. */
			if (span_find(item, "client_max_window_bits") &&
			    !span_find(offer, "client_max_window_bits")) {
				say_extension(d, item, "parameter");
				return;
			}
		}
	}
}

void rule_EXTENSION_NOT_OFFERED(struct detect *d)
{
	const struct http_view *v = the_websocket_101(d);
	uint32_t from = v && d->framed && d->whole ? detect_switch_mark(d) : 0;

	if (!v)
		return;
	if (v->head.flags & HTTP_WS_EXTENSIONS) {
		extension_in_answer(d, v);
		return;
	}
	for (uint32_t i = from; from && i < d->c->marks; i++) {
		const struct mark *m = &d->c->mark[i];
		struct finding *f;

		if (m->e.what == PHASE_STRAY || m->e.what == PHASE_UNASKED)
			return;
		if (m->e.what != PHASE_FRAME || m->e.dir != d->answer || !ws_rsv1(&m->frame) ||
		    m->frame.faults & WS_NOT_A_FRAME)
			continue;
		f = detect_raise(d, FINDING_EXTENSION_NOT_OFFERED);
		finding_evidence(f, m->event, d->answer, m->e.off, 2);
		finding_severity(f, SEVERITY_ERROR, "rsv1");
		if (d->server)
			finding_blame(f, m->event);
		else
			finding_blame_nobody(f, "the frame was sent by the other process");
		FINDING_SAY(f,
			    "a %s frame from the server (first byte 0x%x) has the compression bit "
			    "set, but the 101 agreed on no extension",
			    ws_opcode_name(ws_opcode(&m->frame)), (uint64_t)m->frame.first);
		return;
	}
}

/* ---- the protocol ---- */

/* Token without its version: "spdy/3.1" and "spdy/3" are the same protocol here. */
static bool upgrade_asked(const struct http_view *request, struct span token)
{
	unsigned n = http_view_count(request, "upgrade");

	for (unsigned i = 0; i < n; i++) {
		struct span list = http_view_field(request, "upgrade", i)->value, item;
		size_t at = 0;

		while (http_list_next(list, &at, &item)) {
			size_t k = 0;

			while (k < item.n && k < token.n && item.p[k] != '/' &&
			       ascii_lower(item.p[k]) == ascii_lower(token.p[k]))
				k++;
			if ((k == item.n || item.p[k] == '/') &&
			    (k == token.n || token.p[k] == '/'))
				return true;
		}
	}
	return false;
}

/* The usual case, told by flags: WebSocket asked for, WebSocket given. */
static bool plain_websocket(const struct http_view *v, const struct http_view *r)
{
	const uint32_t protocols = HTTP_UP_WEBSOCKET | HTTP_UP_H2C | HTTP_UP_TCP | HTTP_UP_SPDY |
				   HTTP_UP_TLS | HTTP_UP_OTHER;

	return (v->head.flags & protocols) == HTTP_UP_WEBSOCKET &&
	       r->head.flags & HTTP_UP_WEBSOCKET && r->head.version >= 0x11;
}

void rule_PROTOCOL_NOT_OFFERED(struct detect *d)
{
	const struct http_view *v = the_101(d), *r = d->x->request;
	struct span value, asked, item;
	bool old, wrong = false;
	size_t at = 0;
	struct finding *f;

	if (!v || r->head.state != HTTP_DONE || r->dropped || !(v->head.flags & HTTP_UPGRADE) ||
	    plain_websocket(v, r))
		return;
	value = field_value(v, "upgrade");
	asked = field_value(r, "upgrade");
	old = r->head.version < 0x11;
	while (http_list_next(value, &at, &item))
		wrong |= !upgrade_asked(r, item);
	if (!old && !wrong)
		return;
	f = detect_raise(d, FINDING_PROTOCOL_NOT_OFFERED);
	finding_answer(d, f, d->x->final);
	finding_severity(f, SEVERITY_ERROR, old ? "http10" : NULL);
	FINDING_SAY(f, "the 101 switches to %q", &value);
	if (!wrong)
		FINDING_SAY(f, " although the request is HTTP/1.0");
	else if (asked.p)
		FINDING_SAY(f, "; the request's Upgrade is %q", &asked);
	else
		FINDING_SAY(f, "; the request has no Upgrade field");
}
