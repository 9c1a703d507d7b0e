/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/mask: a byte in, a byte out, decided from what came before it and nothing else.
 *
 * That is what makes every split of the input give the same output, and it has a price, paid on the
 * side of caution: what only the bytes behind it could clear ("user" or "host" before an '@' that may
 * come, a token that is still short) is judged by its looks.
 *
 * (1) Control bytes, SP and the separators of fields, cookies, list entries and query parameters are
 *     never masked, so masked bytes parse like the real ones.
 * (2) A head is lines; the value of a field starts in the state its name asks for (name_rules).  All
 *     values that have no rule, the request line, log lines and bodies go through one scanner, which
 *     looks for secret-like keys, URLs, bearer words and JSON web tokens.
 */
#include "core/trace/mask_state.h"

enum {
	TARGET_WORD_MAX = 16,
};

/* ---- known names ---- */

struct rule {
	char name[26];
	uint8_t step;
};

/* Sorted. Fields without a row are judged by what their name contains, see field_step. */
static const struct rule name_rules[] = {
	{"authorization", STEP_SCHEME},
	{"connection", STEP_PASS},
	{"content-encoding", STEP_PASS},
	{"content-length", STEP_PASS},
	{"content-location", STEP_URL},
	{"content-type", STEP_TYPE},
	{"cookie", STEP_COOKIE},
	{"dpop", STEP_LINE},
	{"expect", STEP_PASS},
	{"host", STEP_PASS},
	{"location", STEP_URL},
	{"origin", STEP_PASS},
	{"proxy-authenticate", STEP_PASS},
	{"proxy-authorization", STEP_SCHEME},
	{"referer", STEP_URL},
	{"sec-websocket-accept", STEP_PASS},
	{"sec-websocket-extensions", STEP_PASS},
	{"sec-websocket-key", STEP_PASS},
	{"sec-websocket-protocol", STEP_PROTOCOL},
	{"sec-websocket-version", STEP_PASS},
	{"set-cookie", STEP_COOKIE},
	{"set-cookie2", STEP_COOKIE},
	{"transfer-encoding", STEP_PASS},
	{"upgrade", STEP_PASS},
	{"www-authenticate", STEP_PASS},
	{"x-forwarded-client-cert", STEP_LINE},
	{"x-forwarded-uri", STEP_URL},
	{"x-original-uri", STEP_URL},
	{"x-original-url", STEP_URL},
	{"x-rewrite-url", STEP_URL},
};

/* Sorted. Only a known scheme is kept: a bare token often stands in its place. */
static const struct rule scheme_rules[] = {
	{"apikey", 0}, {"basic", 0},	 {"bearer", 0}, {"digest", 0},
	{"hoba", 0},   {"negotiate", 0}, {"ntlm", 0},	{"token", 0},
};

static void match_start(struct mask_state *m, size_t rules)
{
	m->lo = 0;
	m->hi = (uint8_t)rules;
	m->pos = 0;
}

/* Narrow the candidates by one more letter. False when none is left. */
static bool match_feed(struct mask_state *m, const struct rule *rules, uint8_t c)
{
	if (m->pos >= sizeof(rules->name) || !c)
		m->hi = m->lo;
	while (m->lo < m->hi && (uint8_t)rules[m->lo].name[m->pos] != c)
		m->lo++;
	while (m->hi > m->lo && (uint8_t)rules[m->hi - 1].name[m->pos] != c)
		m->hi--;
	m->pos++;
	return m->lo < m->hi;
}

/* The row that was matched from end to end, NULL if none. */
static const struct rule *match_end(const struct mask_state *m, const struct rule *rules)
{
	if (m->lo < m->hi && m->pos < sizeof(rules->name) && !rules[m->lo].name[m->pos])
		return &rules[m->lo];
	return NULL;
}

void mask_field_in_text(struct mask_state *m)
{
	match_start(m, CORE_ARRAY_LEN(scheme_rules));
	m->len = 0;
}

/* ---- values of fields ---- */

static uint8_t step_line(uint8_t c)
{
	return is_space(c) ? c : '*';
}

static uint8_t step_scheme(struct mask_state *m, uint8_t c)
{
	if (is_space(c) && !m->pos)
		return c;
	if (c == m->quote && m->quote) {
		m->step = STEP_WORD;
		return mask_scan(m, c);
	}
	m->bits &= (uint8_t) ~(BIT_ESCAPED | BIT_BACKSLASH);
	if (is_space(c)) {
		m->step = m->quote ? STEP_QUOTED : STEP_LINE;
		if (match_end(m, scheme_rules))
			return c;
	} else if (match_feed(m, scheme_rules, ascii_lower(c))) {
		return c;
	}
	m->step = m->quote ? STEP_QUOTED : STEP_LINE;
	return is_space(c) ? c : '*';
}

static uint8_t step_cookie(struct mask_state *m, uint8_t c)
{
	bool text = m->quote && c == m->quote;

	if (text) {
		m->step = STEP_WORD;
		return mask_scan(m, c);
	}
	switch (m->step) {
	case STEP_COOKIE:
		if (c == '=')
			m->step = STEP_COOKIE_VALUE;
		if (c == '=' || c == ';')
			m->len = 0;
		else if (!is_space(c) && m->len <= COOKIE_NAME_KEPT)
			m->len++;
		/* Without a = it is no name but a value, and no byte of it tells. */
		return m->len > COOKIE_NAME_KEPT && !is_space(c) ? '*' : c;
	case STEP_COOKIE_VALUE:
		if (c == ';') {
			m->step = STEP_COOKIE;
			m->len = 0;
			return c;
		}
		if (c == '"' && !m->len)
			m->step = STEP_COOKIE_QUOTED;
		m->len = 1;
		return is_space(c) ? c : '*';
	default:
		if (c == '"')
			m->step = STEP_COOKIE_VALUE;
		return is_space(c) ? c : '*';
	}
}

static bool names_secret(uint64_t hist)
{
	return ends_with(hist, "bearer") || ends_with(hist, "token") || ends_with(hist, "jwt") ||
	       ends_with(hist, "rization") || ends_with(hist, "secret");
}

static uint8_t step_protocol(struct mask_state *m, uint8_t c)
{
	uint8_t shown = '*';
	bool joint = c == '.' || c == '-' || c == '_' || c == '=' || c == ':' || c == '/';

	if (c == ',') {
		mask_word_reset(m);
		m->shape = (struct shape){0};
		m->quote = 0;
		return c;
	}
	if (is_space(c)) {
		m->quote |= m->len && names_secret(m->hist);
		return c;
	}
	if (!m->len) { /* quote: this entry is a secret from here on */
		m->quote = m->wary || m->bits & BIT_NEXT_SECRET;
		m->told |= m->quote;
	}
	if (!m->quote) {
		bool named = joint && names_secret(m->hist);

		mask_word_add(m, c);
		shown = mask_shape(&m->shape, SHAPE_ENTRY, c);
		if (named) {
			m->quote = 1;
			return c;
		}
		m->quote = c == 'J' && m->len == 3 && ends_with(m->hist, "eyj");
	} else {
		m->len = 255;
	}
	/* Also across lines: a list may be split into several fields. */
	if (m->found & FOUND_STRONG && !m->quote)
		m->bits |= BIT_NEXT_SECRET;
	else
		m->bits &= (uint8_t)~BIT_NEXT_SECRET;
	return m->quote ? '*' : shown;
}

/* Content-Type: what will the body be? */
static uint8_t step_type(struct mask_state *m, uint8_t c)
{
	m->hist = m->hist << 8 | ascii_lower(c);
	if (ends_with(m->hist, "lencoded")) /* application/x-www-form-urlencoded */
		m->form = FORM_NAMES;
	else if (ends_with(m->hist, "orm-data"))
		m->form = FORM_PARTS;
	return c;
}

static uint8_t step_form(struct mask_state *m, uint8_t c)
{
	if (m->form == FORM_NAMES && (c == '&' || (c == '=' && !m->form_value))) {
		m->form_value = c == '=';
		m->shape = (struct shape){0};
		return c;
	}
	if (is_space(c))
		return c;
	return m->form == FORM_PARTS || m->form_value ? '*'
						      : mask_shape(&m->shape, SHAPE_SEGMENT, c);
}

static uint8_t step(struct mask_state *m, uint8_t c)
{
	switch (m->step) {
	case STEP_LINE:
		return step_line(c);
	case STEP_SCHEME:
		return step_scheme(m, c);
	case STEP_COOKIE:
	case STEP_COOKIE_VALUE:
	case STEP_COOKIE_QUOTED:
		return step_cookie(m, c);
	case STEP_PROTOCOL:
		return step_protocol(m, c);
	case STEP_TYPE:
		return step_type(m, c);
	case STEP_PASS:
		return c;
	default:
		return mask_scan(m, c);
	}
}

/* ---- lines of a head ---- */

/* The name of a field is complete: how is its value read? */
static uint8_t field_step(const struct mask_state *m)
{
	const struct rule *r = match_end(m, name_rules);

	if (r)
		return r->step;
	if (ends_with(m->hist, "rization"))
		return STEP_SCHEME;
	if (ends_with(m->hist, "cookie"))
		return STEP_COOKIE;
	if (ends_with(m->hist, "cert") || mask_name_secret(m, false))
		return STEP_LINE;
	return m->found & (FOUND_STRONG | FOUND_WEAK) ? STEP_LINE : STEP_WORD;
}

static void field_ended(struct mask_state *m)
{
	uint8_t next = field_step(m);

	mask_scan_reset(m);
	m->quote = m->digits = 0;
	m->step = next == STEP_URL ? STEP_WORD : next;
	m->url = next == STEP_URL;
	m->line = LINE_VALUE;
	if (next == STEP_SCHEME)
		match_start(m, CORE_ARRAY_LEN(scheme_rules));
}

static void field_feed(struct mask_state *m, uint8_t c)
{
	if (c == ':') {
		field_ended(m);
	} else if (!is_space(c)) {
		match_feed(m, name_rules, ascii_lower(c));
		mask_word_add(m, c);
	}
}

/* The first byte behind a line. */
static uint8_t line_next(struct mask_state *m, uint8_t c)
{
	if ((c == ' ' || c == '\t') && m->line == LINE_NEXT) { /* folded */
		m->line = m->resume;
		return c;
	}
	if (c == '\r' && m->line == LINE_NEXT) {
		m->line = LINE_NEXT_CR;
		return c;
	}
	mask_scan_reset(m);
	if (c == '\n') { /* the head is over */
		m->line = LINE_TEXT;
		return c;
	}
	m->line = LINE_FIELD;
	match_start(m, CORE_ARRAY_LEN(name_rules));
	field_feed(m, c);
	return c;
}

static uint8_t line_start(struct mask_state *m, uint8_t c)
{
	static const char prefix[] = "HTTP/";

	if (m->line == LINE_START && (c == '\r' || c == '\n'))
		return c;
	m->line = LINE_PREFIX;
	if (c == (uint8_t)prefix[m->pos]) {
		if (!prefix[++m->pos])
			m->line = LINE_STATUS;
		return c;
	}
	m->line = LINE_REQUEST;
	m->url = 1;
	return step(m, c);
}

static uint8_t mask_byte(struct mask_state *m, uint8_t c)
{
	switch (m->line) {
	case LINE_TEXT:
		if (m->form)
			return step_form(m, c);
		if (c == '\n') {
			mask_scan_reset(m);
			return c;
		}
		return step(m, c);
	case LINE_START:
	case LINE_PREFIX:
		if (c == '\n' && m->line == LINE_PREFIX)
			break;
		return line_start(m, c);
	case LINE_NEXT:
	case LINE_NEXT_CR:
		return line_next(m, c);
	}
	if (c == '\n') {
		m->resume = m->line;
		m->line = LINE_NEXT;
		return c;
	}
	if (c == '\r')
		return c;
	if (m->line == LINE_FIELD) {
		field_feed(m, c);
		return c;
	}
	return m->line == LINE_STATUS ? c : step(m, c);
}

void mask_init(struct masker *m, enum mask_kind kind)
{
	struct mask_state s = {.line = kind == MASK_HEAD ? LINE_START : LINE_TEXT};

	memcpy(m->state, &s, sizeof(s));
}

void mask_restart(struct masker *m, enum mask_kind kind, const struct masker *other)
{
	struct mask_state was, theirs;

	memcpy(&was, m->state, sizeof(was));
	memcpy(&theirs, other->state, sizeof(theirs));
	mask_init(m, kind);
	if (kind == MASK_TEXT)
		memcpy(&m->state[offsetof(struct mask_state, form)], &was.form, 1);
	memcpy(&m->state[offsetof(struct mask_state, told)], &was.told, 1);
	memcpy(&m->state[offsetof(struct mask_state, wary)], &theirs.told, 1);
}

void mask_copy(struct masker *m, uint8_t *dst, const uint8_t *src, size_t n)
{
	struct mask_state s;

	memcpy(&s, m->state, sizeof(s));
	for (size_t i = 0; i < n; i++) {
		uint8_t c = mask_byte(&s, src[i]);

		/* A control byte is no secret, and where it stands a head does not parse. */
		dst[i] = src[i] < ' ' || src[i] == 0x7f ? src[i] : c;
	}
	memcpy(m->state, &s, sizeof(s));
}

/* Can there be a secret?  Most paths are short words, and every plain exchange has a path. */
static bool may_hold_secret(const uint8_t *p, size_t n)
{
	size_t word = 0;

	for (size_t i = 0; i < n; i++) {
		word = p[i] == '/' ? 0 : word + 1;
		if (word > TARGET_WORD_MAX || !(is_lower(p[i]) || p[i] == '/' || p[i] == '-'))
			return true;
	}
	return false;
}

void mask_target(uint8_t *dst, const uint8_t *src, size_t n)
{
	struct mask_state s = {.line = LINE_REQUEST, .url = 1};
	struct masker m;

	if (!may_hold_secret(src, n)) {
		memcpy(dst, src, n);
		return;
	}
	memcpy(m.state, &s, sizeof(s));
	mask_copy(&m, dst, src, n);
}
