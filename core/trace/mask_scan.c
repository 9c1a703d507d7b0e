/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mask_scan: find secrets in bytes without a structure of their own: request lines, URLs, log lines,
 * bodies, values of fields nobody has a rule for.
 *
 * A word is judged letter by letter while it passes (found); an = or : behind it decides whether what
 * follows is masked, and what ends it.
 */
#include "core/trace/mask_state.h"

/* ---- words ---- */

/* What the word says now that c, its youngest letter, is there. */
static void word_judge(struct mask_state *m, uint8_t c)
{
	const uint64_t h = m->hist;

	switch (c) {
	case 'd':
		m->found |= ends_with(h, "pwd") ? FOUND_STRONG : 0;
		break;
	case 'e':
		m->found |= ends_with(h, "code") ? FOUND_CODE : 0;
		m->found |= ends_with(h, "cookie") ? FOUND_STRONG : 0;
		break;
	case 'g':
		m->found |= ends_with(h, "sig") ? FOUND_WEAK : 0;
		break;
	case 'h':
		if (ends_with(h, "auth")) {
			m->found |= FOUND_STRONG;
			m->bits |= BIT_AUTH;
		}
		break;
	case 'l':
		m->found |= ends_with(h, "edential") ? FOUND_STRONG : 0;
		break;
	case 'n':
		m->found |= ends_with(h, "token") || ends_with(h, "session") ? FOUND_STRONG : 0;
		break;
	case 'r':
		m->found |= ends_with(h, "bearer") ? FOUND_STRONG : 0;
		break;
	case 's':
		m->found |= ends_with(h, "pass") ? FOUND_STRONG : 0;
		break;
	case 't':
		m->found |= ends_with(h, "secret") || ends_with(h, "jwt") ? FOUND_STRONG : 0;
		break;
	case 'y':
		if (ends_with(h, "apikey") || ends_with(h, "api-key") || ends_with(h, "api_key"))
			m->found |= FOUND_STRONG;
		else if (ends_with(h, "key") && !ends_with(h, "cket-key"))
			m->found |= FOUND_WEAK;
		break;
	}
}

/* How many letters s has if the word ends in them, 0 if it does not.  s has at most seven. */
static unsigned letters_matched(const struct mask_state *m, const char *s)
{
	uint64_t want = 0;
	unsigned n = 0;

	for (; s[n]; n++)
		want = want << 8 | (uint8_t)s[n];
	return (m->hist & ((1ull << (8 * n)) - 1)) == want ? n : 0;
}

/* Is the word this name, or does it end in it behind a joint, as user_pin? */
static bool is_name(const struct mask_state *m, const char *s)
{
	unsigned n = letters_matched(m, s);
	uint8_t before = (uint8_t)(m->hist >> (8 * n));

	return n &&
	       (m->len == n || before == '_' || before == '-' || before == '.' || before == '[');
}

bool mask_name_secret(const struct mask_state *m, bool query)
{
	static const char anywhere[][8] = {"ticket", "sid", "pw",   "pin",  "otp",  "totp",
					   "card",   "cvv", "cvc",  "csrf", "xsrf", "hmac",
					   "nonce",  "ssn", "cred", "creds"};
	static const char in_query[][8] = {"t", "k", "s", "hash", "state", "sso", "proof"};

	for (size_t i = 0; i < CORE_ARRAY_LEN(anywhere); i++)
		if (is_name(m, anywhere[i]))
			return true;
	for (size_t i = 0; query && i < CORE_ARRAY_LEN(in_query); i++)
		if (is_name(m, in_query[i]))
			return true;
	return ends_with(m->hist, "ssertion"); /* assertion, client_assertion */
}

/* Query values that nobody has to hide, and that tell what was asked for. */
static bool is_plain_name(const struct mask_state *m)
{
	static const char names[][8] = {"eio", "v",	 "version", "room", "channel", "path",
					"b64", "format", "lang",    "page", "limit"};

	for (size_t i = 0; i < CORE_ARRAY_LEN(names); i++)
		if (m->len == letters_matched(m, names[i]) && m->len)
			return true;
	return m->len == 9 && ends_with(m->hist, "ransport");
}

void mask_word_reset(struct mask_state *m)
{
	m->hist = 0;
	m->found = 0;
	m->len = 0;
	m->before = 0;
	m->bits &= (uint8_t) ~(BIT_ENDED | BIT_QUOTED_KEY);
}

void mask_word_add(struct mask_state *m, uint8_t c)
{
	uint8_t lower = ascii_lower(c);

	m->hist = m->hist << 8 | lower;
	m->len += m->len < 255;
	word_judge(m, lower);
}

void mask_scan_reset(struct mask_state *m)
{
	mask_word_reset(m);
	m->step = STEP_WORD;
	m->bits &= BIT_NEXT_SECRET;
	m->slashes = m->escape = m->url = m->plain = 0;
	m->shape = (struct shape){0};
}

static bool is_quote(uint8_t c)
{
	return c == '"' || c == '\'' || c == '`';
}

static bool is_word(const struct mask_state *m, uint8_t c)
{
	if (is_digit(c) || is_lower(c) || is_upper(c) || c == '_' || c == '-' || c == '.')
		return true;
	return (c == '[' || c == ']') && m->bits & BIT_QUERY;
}

/* ---- the scanner ---- */

/* Does c end a secret that stands without quotes? */
static bool ends_bare(const struct mask_state *m, uint8_t c)
{
	if (is_space(c) || c == '&' || c == ';' || c == '#')
		return true;
	if (m->url) /* everything else may be part of it */
		return c == '?' && !(m->bits & BIT_QUERY);
	if (is_quote(c) || c == '<' || c == '>')
		return true;
	return !(m->bits & BIT_QUERY) && (c == ',' || c == ')' || c == '}' || c == ']');
}

/* A = follows the name of a query value. */
static void query_name_ended(struct mask_state *m)
{
	if (m->found || mask_name_secret(m, true)) {
		m->step = STEP_VALUE;
		m->quote = 0;
		m->bits &= (uint8_t) ~(BIT_ESCAPED | BIT_BACKSLASH);
	} else if (is_plain_name(m)) {
		m->plain = 1;
	} else {
		m->step = STEP_PARAM;
	}
	m->shape = (struct shape){0};
	mask_word_reset(m);
}

/* A = or : follows the word: where does the byte after it belong? */
static void key_ended(struct mask_state *m, uint8_t c)
{
	bool prose = c == ':' && !(m->bits & BIT_QUOTED_KEY);
	bool line = prose && !m->url &&
		    (ends_with(m->hist, "rization") || ends_with(m->hist, "cookie"));
	bool error = prose && (ends_with(m->hist, "error") || ends_with(m->hist, "ception"));
	uint8_t found = m->found;

	if (c == '=' && m->bits & BIT_QUERY) {
		query_name_ended(m);
		return;
	}
	if (!prose && mask_name_secret(m, false))
		found |= FOUND_STRONG;
	if (c == ':' && m->len)
		m->slashes = 1;
	if (line) {
		/* A field of a head, printed: to the end of the line, or of its quotes. */
		m->quote = m->before;
		m->step = ends_with(m->hist, "cookie") ? STEP_COOKIE : STEP_SCHEME;
		mask_field_in_text(m);
		return;
	}
	if (error || (prose && found == FOUND_WEAK))
		found = 0;
	if (found) {
		m->step = c == ':' && found == FOUND_CODE ? STEP_CODE : STEP_VALUE;
		m->quote = 0;
		m->digits = 0;
		m->bits &= (uint8_t) ~(BIT_ESCAPED | BIT_BACKSLASH);
	}
	mask_word_reset(m);
}

/* A byte that may stand between a word and its = or : */
static void word_pause(struct mask_state *m, uint8_t c)
{
	bool bearer = m->len == 6 && ends_with(m->hist, "bearer");
	bool basic = m->len == 5 && ends_with(m->hist, "basic") && m->bits & BIT_AUTH;

	if ((bearer || basic) && (c == ' ' || c == '\t') && !(m->bits & BIT_ENDED) && !m->url) {
		mask_word_reset(m);
		m->quote = 0;
		m->step = STEP_VALUE;
		m->bits &= (uint8_t) ~(BIT_ESCAPED | BIT_BACKSLASH);
		return;
	}
	if (is_quote(c)) {
		if (m->len && (!(m->bits & BIT_ENDED) || m->bits & BIT_BACKSLASH))
			m->bits |= BIT_QUOTED_KEY;
		else
			mask_word_reset(m);
		m->before = m->len ? 0 : c;
	}
	if (m->len)
		m->bits |= BIT_ENDED;
	m->bits &= (uint8_t)~BIT_BACKSLASH;
	if (c == '\\')
		m->bits |= BIT_BACKSLASH; /* as in {\"token\": */
	else if (!m->url || is_space(c))
		m->bits &= (uint8_t)~BIT_QUERY;
}

static void word_feed(struct mask_state *m, uint8_t c)
{
	if (is_word(m, c)) {
		if (m->bits & BIT_ENDED)
			mask_word_reset(m);
		m->bits &= (uint8_t)~BIT_BACKSLASH;
		if (c != ']') /* user[pin] is a pin */
			mask_word_add(m, c);
		m->slashes = 0;
		/* {" in base64: a JSON web token starts. */
		if (c == 'J' && m->len == 3 && ends_with(m->hist, "eyj"))
			m->step = STEP_BARE;
		return;
	}
	if (c == '/' && m->slashes) {
		mask_word_reset(m);
		if (++m->slashes == 3) {
			m->slashes = 0;
			m->digits = 0;
			m->step = STEP_NAME;
			m->bits &= (uint8_t)~BIT_DOT;
		}
		return;
	}
	m->slashes = 0;
	if (c == '=' || c == ':') {
		key_ended(m, c);
	} else if (is_space(c) || is_quote(c) || c == '\\') {
		word_pause(m, c);
	} else {
		mask_word_reset(m);
		if (c == '?' || (c == '#' && m->url))
			m->bits |= BIT_QUERY;
		else if ((c == '<' || c == '>') && !m->url)
			m->bits &= (uint8_t)~BIT_QUERY;
	}
}

static int hex_value(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

/* Keys and separators count in their percent-encoded form too. */
static uint8_t scan_word(struct mask_state *m, uint8_t c)
{
	if (c == '%') {
		m->escape = 1;
		m->escaped = 0;
		return c;
	}
	if (m->escape) {
		int v = hex_value(c);

		if (v >= 0) {
			m->escaped = (uint8_t)(m->escaped << 4 | v);
			if (++m->escape == 3) {
				m->escape = 0;
				word_feed(m, m->escaped);
			}
			return c;
		}
		if (m->escape == 2) /* it was none: "5%code=" */
			word_feed(m, (uint8_t) "0123456789abcdef"[m->escaped]);
		m->escape = 0;
	}
	word_feed(m, c);
	return m->step == STEP_BARE ? '*' : c;
}

/* Path segments and query names are judged by their looks. */
static uint8_t step_word(struct mask_state *m, uint8_t c)
{
	bool escape = m->escape || c == '%';
	bool query = m->bits & BIT_QUERY;
	uint8_t shown = scan_word(m, c);

	if (!(m->url || query) || m->step == STEP_BARE)
		return shown;
	if (is_space(c) || c == '?' || c == '#' || (query ? c == '&' || c == ';' : c == '/')) {
		m->shape = (struct shape){0};
		m->plain = 0;
		return shown;
	}
	if (m->plain || c == '=' || m->step != STEP_WORD)
		return shown;
	/* An escape is one separator or one letter that somebody could have written as it is. */
	return mask_shape(&m->shape, SHAPE_SEGMENT, escape ? '-' : c) == '*' ? '*' : shown;
}

static uint8_t step_param(struct mask_state *m, uint8_t c)
{
	if (!ends_bare(m, c))
		return mask_shape(&m->shape, SHAPE_VALUE, c);
	mask_word_reset(m);
	m->step = STEP_WORD;
	return step_word(m, c);
}

static uint8_t step_bare(struct mask_state *m, uint8_t c)
{
	if (!ends_bare(m, c))
		return '*';
	mask_word_reset(m);
	m->step = STEP_WORD;
	return step_word(m, c);
}

static uint8_t step_quoted(struct mask_state *m, uint8_t c)
{
	bool after = m->bits & BIT_BACKSLASH;

	m->bits &= (uint8_t)~BIT_BACKSLASH;
	if (c == m->quote && after == !!(m->bits & BIT_ESCAPED)) {
		m->step = STEP_WORD;
		mask_word_reset(m);
		return c;
	}
	if (c == '\\' && !after)
		m->bits |= BIT_BACKSLASH;
	return is_space(c) ? c : '*';
}

static uint8_t step_value(struct mask_state *m, uint8_t c)
{
	if (ends_bare(m, c) && !is_quote(c)) {
		if (is_space(c) && !(m->bits & BIT_QUERY) && !m->url)
			return c;
		m->step = STEP_WORD;
		return step_word(m, c);
	}
	if (m->url || (m->bits & BIT_QUERY && !is_quote(c))) {
		m->step = STEP_BARE;
		return '*';
	}
	if (c == '\\') {
		m->bits |= BIT_ESCAPED;
		return c;
	}
	if (is_quote(c)) {
		m->quote = c;
		m->step = STEP_QUOTED;
		return c;
	}
	m->bits &= (uint8_t)~BIT_ESCAPED;
	if (c == '[' || c == '{') {
		m->quote = c == '[' ? ']' : '}';
		m->step = STEP_LIST;
		return c;
	}
	m->step = STEP_BARE;
	return '*';
}

static uint8_t step_list(struct mask_state *m, uint8_t c)
{
	if (c == m->quote)
		m->step = STEP_WORD;
	return c == m->quote || c == ',' || is_quote(c) || is_space(c) ? c : '*';
}

/* "code": 400 and "code": "ECONNRESET" are evidence; "code": "4/0AX" is a secret. */
static uint8_t step_code(struct mask_state *m, uint8_t c)
{
	if (!m->digits && !m->len) {
		if ((is_space(c) && !m->url) || c == '-')
			return c;
		if (c == '\\' && !m->quote) {
			m->bits |= BIT_ESCAPED;
			return c;
		}
		if (is_quote(c) && !m->quote && !m->url) {
			m->quote = c;
			return c;
		}
	}
	if (is_digit(c) && !m->len && ++m->digits <= CODE_DIGITS_MAX)
		return c;
	if ((is_upper(c) || c == '_') && !m->digits && ++m->len <= CODE_LETTERS_MAX)
		return c;
	m->step = m->quote ? STEP_QUOTED : STEP_BARE;
	return m->quote ? step_quoted(m, c) : step_bare(m, c);
}

/* ---- behind :// ---- */

static bool ends_authority(uint8_t c)
{
	return is_space(c) || is_quote(c) || c == '/' || c == '?' || c == '#' || c == '<' ||
	       c == '>' || c == '&' || c == ',' || c == ';' || c == ')' || c == '\\';
}

static uint8_t authority_ended(struct mask_state *m, uint8_t c)
{
	m->step = STEP_WORD;
	mask_word_reset(m);
	return step_word(m, c);
}

/* A host, or a user whose @ has not come yet.  What looks like a host is shown. */
static uint8_t step_name(struct mask_state *m, uint8_t c)
{
	if (ends_authority(c))
		return authority_ended(m, c);
	if (c == '@') {
		m->step = STEP_HOST;
		return c;
	}
	if (c == '[' && !m->len) {
		m->step = STEP_HOST6;
		return c;
	}
	if (c == ':') {
		/* localhost, a dot or a bracket: surely a host, so this is its port. */
		bool port = m->bits & BIT_DOT || ends_with(m->hist, "ocalhost");

		m->step = port && m->len < 255 ? STEP_PORT : STEP_PASSWORD;
		m->digits = 0;
		return c;
	}
	if (c == '.' || c == '-') {
		m->bits |= c == '.' && m->len ? BIT_DOT : 0;
		m->digits = 0;
		if (m->len < 255)
			m->len = 1;
	} else if (m->len == 255 || ++m->len > HOST_LABEL_MAX || !(is_lower(c) || is_digit(c)) ||
		   (is_digit(c) && ++m->digits > HOST_DIGITS_MAX)) {
		m->len = 255;
	}
	m->hist = m->hist << 8 | c;
	return m->len == 255 ? '*' : c;
}

static uint8_t step_password(struct mask_state *m, uint8_t c)
{
	if (ends_authority(c))
		return authority_ended(m, c);
	if (c == '@') {
		m->step = STEP_HOST;
		return c;
	}
	if (m->step == STEP_PORT && is_digit(c) && ++m->digits <= 5)
		return c;
	m->step = STEP_PASSWORD;
	return '*';
}

static uint8_t step_host(struct mask_state *m, uint8_t c)
{
	return ends_authority(c) ? authority_ended(m, c) : c;
}

static uint8_t step_host6(struct mask_state *m, uint8_t c)
{
	if (c == ']') {
		m->step = STEP_NAME;
		m->bits |= BIT_DOT;
		m->len = 1;
		return c;
	}
	if (c != ':' && c != '.' && hex_value(c) < 0)
		return step_password(m, c);
	return c;
}

uint8_t mask_scan(struct mask_state *m, uint8_t c)
{
	switch (m->step) {
	case STEP_WORD:
		return step_word(m, c);
	case STEP_VALUE:
		return step_value(m, c);
	case STEP_BARE:
		return step_bare(m, c);
	case STEP_PARAM:
		return step_param(m, c);
	case STEP_QUOTED:
		return step_quoted(m, c);
	case STEP_LIST:
		return step_list(m, c);
	case STEP_CODE:
		return step_code(m, c);
	case STEP_NAME:
		return step_name(m, c);
	case STEP_PORT:
	case STEP_PASSWORD:
		return step_password(m, c);
	case STEP_HOST:
		return step_host(m, c);
	case STEP_HOST6:
		return step_host6(m, c);
	}
	return c;
}
