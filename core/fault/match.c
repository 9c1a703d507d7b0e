/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/match: the matchers of a rule.
 *
 * Every matcher that was given must hold; a head is read by the scanner all others use, so a rule means
 * by "path" and "field" what the report means by them.
 */
#include "core/fault/decide.h"
#include "core/fault/match.h"
#include "core/fault/site.h"
#include "core/fault/table.h"
#include "core/http/view.h"

/* ---- patterns ---- */

static bool same(uint8_t a, uint8_t b, bool fold)
{
	return fold ? ascii_lower(a) == ascii_lower(b) : a == b;
}

/* Only the last * is ever taken up again: an earlier one that took more could not match more. */
bool fault_glob(const char *pattern, size_t m, const char *text, size_t n, bool fold)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < n) {
		if (p < m && pattern[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < m && (pattern[p] == '?' ||
				     same((uint8_t)pattern[p], (uint8_t)text[t], fold))) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < m && pattern[p] == '*')
		p++;
	return p == m;
}

static bool glob(const struct fault_rule *r, struct fault_text pattern, struct span text, bool fold)
{
	return fault_glob(r->text + pattern.off, pattern.len, (const char *)text.p, text.n, fold);
}

/* ---- connections ---- */

static bool peer_matches(const struct fault_rule *r, const uint8_t *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned bits = r->peer_bits + (memcmp(r->peer, mapped, sizeof(mapped)) ? 0 : 96);
	unsigned bytes = bits / 8;

	if (bytes > 16 || memcmp(r->peer, ip, bytes) != 0)
		return false;
	return bits % 8 == 0 || bytes == 16 || (r->peer[bytes] ^ ip[bytes]) >> (8 - bits % 8) == 0;
}

bool fault_match_conn(const struct fault_rule *r, const struct fault_conn_facts *c)
{
	if (fault_given(r, FAULT_KEY_ROLE) && r->role != c->role)
		return false;
	if (fault_given(r, FAULT_KEY_UNIX) && r->unix_socket != c->unix_socket)
		return false;
	if (fault_given(r, FAULT_KEY_PORT) && (c->unix_socket || r->port != c->port))
		return false;
	if (fault_given(r, FAULT_KEY_PEER) && (c->unix_socket || !peer_matches(r, c->ip)))
		return false;
	return !fault_given(r, FAULT_KEY_CONN) || fault_in_range(&r->conn, c->ordinal);
}

bool fault_match_dir(const struct fault_rule *r, enum role role, enum dir dir)
{
	bool turn = r->stream && role == ROLE_CLIENT;

	return r->dirs >> (turn ? !dir : dir) & 1;
}

bool fault_match_frame(const struct fault_rule *r, uint64_t n, uint8_t op)
{
	return (!fault_given(r, FAULT_KEY_OP) || r->op == op) &&
	       (!fault_given(r, FAULT_KEY_FRAME) || fault_in_range(&r->frame, n));
}

bool fault_match_call(const struct fault_rule *r, const char *call)
{
	struct span name = {(const uint8_t *)r->text + r->call.off, r->call.len};

	if (!name.n)
		return true;
	if (*name.p == '%')
		return fault_call_about(fault_span(call)) == FAULT_ABOUT_BYTES;
	return fault_same(name, fault_span(call));
}

/* ---- heads ---- */

static const uint8_t asks_head[] = {
	FAULT_KEY_METHOD, FAULT_KEY_PATH,    FAULT_KEY_HOST,
	FAULT_KEY_HDR,	  FAULT_KEY_UPGRADE, FAULT_KEY_PROTO,
};

/* A head while it is read. */
struct reading {
	const struct fault_rule *rule;
	const uint8_t *p;
	struct http_head head;
	uint64_t held; /* bit per enum fault_key that holds */
	struct span name;
	uint64_t key; /* of fault_key_of_head */
};

static bool is_name(struct span s, const char *name)
{
	size_t i = 0;

	while (i < s.n && name[i] && ascii_lower(s.p[i]) == (uint8_t)name[i])
		i++;
	return i == s.n && !name[i];
}

static void hold(struct reading *g, enum fault_key key, bool holds)
{
	g->held |= (uint64_t)holds << key;
}

/* The path alone: without query, and without scheme and authority of an absolute target. */
static struct span path_of(struct span target)
{
	size_t i = 0;

	if (target.n && target.p[0] != '/') {
		while (i + 2 < target.n && memcmp(target.p + i, "://", 3) != 0)
			i++;
		if (i + 2 < target.n) {
			for (i += 3; i < target.n && target.p[i] != '/' && target.p[i] != '?';)
				i++;
			target.p += i;
			target.n -= i;
		}
	}
	for (i = 0; i < target.n && target.p[i] != '?';)
		i++;
	return (struct span){target.p, i};
}

/* A host is met with its port and without. */
static bool host_matches(const struct fault_rule *r, struct span host)
{
	struct span bare = host;

	while (bare.n && (uint8_t)(bare.p[bare.n - 1] - '0') <= 9)
		bare.n--;
	if (bare.n && bare.n < host.n && bare.p[bare.n - 1] == ':')
		bare.n--;
	else
		bare = host;
	return glob(r, r->host, host, true) || glob(r, r->host, bare, true);
}

static bool list_matches(const struct fault_rule *r, struct fault_text pattern, struct span list,
			 bool fold)
{
	struct span item;
	size_t at = 0;

	while (http_list_next(list, &at, &item)) {
		if (glob(r, pattern, item, fold))
			return true;
	}
	return false;
}

static bool name_is(const struct fault_rule *r, struct fault_text name, struct span s)
{
	if (name.len != s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_lower(s.p[i]) != ascii_lower((uint8_t)r->text[name.off + i]))
			return false;
	}
	return true;
}

/* 0 means that there is no key. */
static uint64_t key_of(struct span s)
{
	uint64_t key = fault_hash(0, s.p, s.n);

	return key ? key : 1;
}

static void read_value(struct reading *g, struct span value)
{
	const struct fault_rule *r = g->rule;

	if (is_name(g->name, "host"))
		hold(g, FAULT_KEY_HOST, host_matches(r, value));
	else if (is_name(g->name, "upgrade"))
		hold(g, FAULT_KEY_UPGRADE, list_matches(r, r->upgrade, value, true));
	else if (is_name(g->name, "sec-websocket-protocol"))
		hold(g, FAULT_KEY_PROTO, list_matches(r, r->proto, value, false));
	if (name_is(r, r->field_name, g->name))
		hold(g, FAULT_KEY_HDR, glob(r, r->field_value, value, false));
	if (r->conn_key == FAULT_BY_FIELD && !g->key && name_is(r, r->key_name, g->name))
		g->key = key_of(value);
}

static void read_part(void *ctx, enum http_part part, uint32_t start, uint32_t end)
{
	struct reading *g = ctx;
	const struct fault_rule *r = g->rule;
	struct span s = {g->p + start, end - start};

	switch (part) {
	case HTTP_PART_TARGET:
		s = path_of(s);
		hold(g, FAULT_KEY_PATH, glob(r, r->path, s, false));
		if (r->conn_key == FAULT_BY_PATH)
			g->key = key_of(s);
		break;
	case HTTP_PART_NAME:
		g->name = s;
		break;
	case HTTP_PART_VALUE:
		read_value(g, s);
		break;
	default:
		break;
	}
}

/* False: the start line is not whole. */
static bool read_head(struct reading *g, const struct fault_rule *r, const uint8_t *p, size_t n)
{
	memset(g, 0, sizeof(*g));
	g->rule = r;
	g->p = p;
	http_head_init(&g->head, HTTP_REQUEST);
	http_head_feed(&g->head, p, n, read_part, g);
	return g->head.version != 0;
}

bool fault_asks_head(const struct fault_rule *r)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(asks_head); i++) {
		if (fault_given(r, (enum fault_key)asks_head[i]))
			return true;
	}
	return false;
}

bool fault_match_head(const struct fault_rule *r, const uint8_t *p, size_t n)
{
	struct reading g;

	if (!fault_asks_head(r))
		return true;
	if (!read_head(&g, r, p, n))
		return false;
	hold(&g, FAULT_KEY_METHOD, r->method == g.head.method);
	/* A proxy may have stripped Upgrade and left the rest: `*` means such an attempt, too. */
	if (r->upgrade.len == 1 && r->text[r->upgrade.off] == '*')
		hold(&g, FAULT_KEY_UPGRADE, http_head_is_attempt(&g.head));
	for (unsigned i = 0; i < CORE_ARRAY_LEN(asks_head); i++) {
		if (r->given >> asks_head[i] & ~(g.held >> asks_head[i]) & 1)
			return false;
	}
	return true;
}

uint64_t fault_key_of_head(const struct fault_rule *r, const uint8_t *p, size_t n)
{
	struct reading g;

	if (r->conn_key != FAULT_BY_PATH && r->conn_key != FAULT_BY_FIELD)
		return 0;
	return read_head(&g, r, p, n) ? g.key : 0;
}
