/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/head: the scanner's fields and its machine.  A value ends only when the next line turns out not
 * to continue it (obs-fold).
 */
#include "core/http/scan.h"

static const char field_word[FIELD_COUNT][WORD_MAX] = {
#define ROW(id, name, flag) name,
	HTTP_FIELDS(ROW)
#undef ROW
};
static const uint8_t field_len[FIELD_COUNT] = {
#define ROW(id, name, flag) sizeof(name) - 1,
	HTTP_FIELDS(ROW)
#undef ROW
};
static const uint32_t field_flag[FIELD_COUNT] = {
#define ROW(id, name, flag) flag,
	HTTP_FIELDS(ROW)
#undef ROW
};

/* Where in field_word the names that start with a letter lie: [c & 31] = {first, end}. */
static const uint8_t letter_range[32][2] = {
	['c' & 31] = {FIELD_CONNECTION, FIELD_EXPECT},
	['e' & 31] = {FIELD_EXPECT, FIELD_WS_ACCEPT},
	['s' & 31] = {FIELD_WS_ACCEPT, FIELD_TRANSFER_ENCODING},
	['t' & 31] = {FIELD_TRANSFER_ENCODING, FIELD_UPGRADE},
	['u' & 31] = {FIELD_UPGRADE, FIELD_COUNT},
};

static void head_done(struct scan *s)
{
	struct http_head *h = s->h;

	if ((h->flags & HTTP_CONTENT_LENGTH) && (h->flags & HTTP_TRANSFER_ENCODING))
		h->flags |= HTTP_LENGTH_CONFLICT;
	h->state = HTTP_DONE;
}

static void value_begin(struct scan *s)
{
	struct http_head *h = s->h;

	h->part_start = h->part_end = offset(s, s->p);
	if (http_value_is_read(h->field)) {
		http_value_begin(h);
		h->step = STEP_VALUE;
	} else {
		h->step = STEP_VALUE_OTHER;
	}
}

/* The name is known up to part_end; p is behind the colon, or at the end of a line without one. */
static void name_end(struct scan *s, unsigned field)
{
	struct http_head *h = s->h;

	h->field = (uint8_t)field;
	if (field < FIELD_COUNT)
		h->flags |= field_flag[field];
	tell(s, HTTP_PART_NAME, h->part_start, h->part_end);
	value_begin(s);
}

/* A line of no interest: only a sink wants its name. */
static inline void name_unknown(struct scan *s)
{
	word_begin(s->h, 0, 0);
	s->h->step = s->sink ? STEP_NAME_OTHER : STEP_VALUE_OTHER;
}

/* Begin to match a name.  With room to look ahead there is at most one candidate: of the known names
 * of that letter the shortest that could end where it would have to, because a longer name has no
 * such end inside it. */
static inline bool name_match_begin(struct scan *s, uint8_t letter)
{
	unsigned lo = letter_range[letter & 31][0], hi = letter_range[letter & 31][1];
	unsigned best = FIELD_NONE, len = WORD_MAX;

	if (letter < 'a' || lo == hi)
		return false;
	if (s->end - s->p < WORD_MAX) {
		word_begin(s->h, lo, hi);
		return true;
	}
	for (; lo < hi; lo++) {
		uint8_t end = s->p[field_len[lo]];

		if ((end <= ' ' || end == ':') && field_len[lo] < len) {
			best = lo;
			len = field_len[lo];
		}
	}
	word_begin(s->h, best, best + 1);
	return best != FIELD_NONE;
}

/* The name is word up to ASCII case; 8-byte loads stay within WORD_MAX. */
static inline bool name_is(const uint8_t *p, const char *word, unsigned len)
{
	for (unsigned i = 0; i < len; i += 8) {
		uint64_t w = load_le64((const uint8_t *)word + i);
		uint64_t differ = (load_le64(p + i) | (w & ONES * 0x40) >> 1) ^ w;

		if (len - i < 8)
			differ <<= 8 * (8 - (len - i));
		if (differ)
			return false;
	}
	return true;
}

/* The one candidate and its colon are there: no need to go step by step. */
static inline bool name_at_once(struct scan *s)
{
	struct http_head *h = s->h;
	unsigned id = h->match_lo, len;

	if (id + 1u != h->match_hi || s->end - s->p <= WORD_MAX)
		return false;
	len = field_len[id];
	if (s->p[len] != ':' || !name_is(s->p, field_word[id], len))
		return false;
	h->match_pos = (uint8_t)len;
	h->part_end = offset(s, s->p + len);
	s->p += len + 1;
	name_end(s, id);
	return true;
}

/* First byte of a line that is neither empty nor a continuation. */
static __attribute__((noinline)) void name_begin(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == ':' || c == ' ' || c == '\t') {
		fail(s, HTTP_ERR_FIELD_NAME);
		return;
	}
	if (c < 0x20) {
		fail(s, HTTP_ERR_CONTROL);
		return;
	}
	if (h->fields < UINT8_MAX)
		h->fields++;
	h->part_start = offset(s, s->p);
	h->field = FIELD_NONE;
	if (!name_match_begin(s, ascii_lower(c)))
		name_unknown(s);
	else if (!name_at_once(s))
		h->step = STEP_NAME;
}

/* Could a name we act on begin here?  There is room to look ahead. */
static inline bool name_matters(const uint8_t *p)
{
	uint8_t letter = ascii_lower(*p);

	for (unsigned i = letter_range[letter & 31][0]; i < letter_range[letter & 31][1]; i++) {
		uint8_t end = p[field_len[i]];

		if (end <= ' ' || end == ':')
			return letter >= 'a';
	}
	return false;
}

/* Pass over whole lines of no interest.  False: there is none. */
static __attribute__((noinline)) bool lines_at_once(struct scan *s)
{
	struct http_head *h = s->h;
	const uint8_t *p = s->p, *line = NULL, *q;
	unsigned fields = h->fields;

	while (s->end - p >= WORD_MAX && *p > ' ' && *p != ':' && !name_matters(p)) {
		q = skip_text(p, s->end);
		if (s->end - q < 3 || q[0] != '\r' || q[1] != '\n' || q[2] == ' ' || q[2] == '\t')
			break;
		fields++;
		line = p;
		p = q + 2;
	}
	if (!line)
		return false;
	h->fields = (uint8_t)(fields < UINT8_MAX ? fields : UINT8_MAX);
	h->part_start = offset(s, line);
	h->field = FIELD_NONE;
	word_begin(h, 0, 0);
	h->step = STEP_LINE;
	s->p = p;
	return true;
}

static void scan_empty_cr(struct scan *s)
{
	if (*s->p == '\r') {
		s->p++;
	} else if (*s->p == '\n') {
		s->p++;
		head_done(s);
	} else {
		fail(s, HTTP_ERR_CONTROL);
	}
}

static void scan_name(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c;
	bool ends;

	s->p = word_match(field_word, true, h, s->p, s->end);
	if (s->p == s->end)
		return;
	c = *s->p;
	ends = c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
	if (ends && word_found(field_word, h, FIELD_NONE) != FIELD_NONE) {
		h->part_end = offset(s, s->p);
		h->step = STEP_NAME_BLANK;
		return;
	}
	if (s->sink)
		h->part_end = offset(s, s->p);
	name_unknown(s);
}

/* Behind a known name: blanks, then the colon or the end of the line; or it is another name after all. */
static void scan_name_blank(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == ' ' || c == '\t') {
		s->p++;
	} else if (c == ':' || c == '\r' || c == '\n') {
		if (c == ':')
			s->p++;
		name_end(s, word_found(field_word, h, FIELD_NONE));
	} else {
		name_unknown(s);
	}
}

/* A name of no interest, for the sink. */
static void scan_name_other(struct scan *s)
{
	struct http_head *h = s->h;

	for (; s->p < s->end; s->p++) {
		uint8_t c = *s->p;

		if (c == ':' || c == '\r' || c == '\n') {
			if (c == ':')
				s->p++;
			name_end(s, FIELD_NONE);
			return;
		}
		if (c == '\0') {
			fail(s, HTTP_ERR_CONTROL);
			return;
		}
		if (c != ' ' && c != '\t')
			h->part_end = offset(s, s->p) + 1;
	}
}

/* Widen the trimmed part by the bytes [from, to). */
static void value_extent(struct scan *s, const uint8_t *from, const uint8_t *to)
{
	struct http_head *h = s->h;

	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	if (from == to)
		return;
	while (to[-1] == ' ' || to[-1] == '\t')
		to--;
	if (h->part_end == h->part_start)
		h->part_start = offset(s, from);
	h->part_end = offset(s, to);
}

/* CR or LF at the end of a field line. */
static inline void value_eol(struct scan *s)
{
	struct http_head *h = s->h;

	if (*s->p == '\n') {
		s->p++;
		h->flags |= HTTP_BARE_LF;
		h->step = STEP_LINE;
	} else if (s->end - s->p >= 2 && s->p[1] == '\n') {
		s->p += 2;
		h->step = STEP_LINE;
	} else {
		s->p++;
		h->step = STEP_VALUE_CR;
	}
}

static void scan_value_other(struct scan *s)
{
	const uint8_t *from = s->p, *p = s->p;

	for (;;) {
		p = skip_text(p, s->end);
		if (p == s->end || *p == '\r' || *p == '\n' || *p == '\0')
			break;
		p++;
	}
	s->p = p;
	if (s->sink)
		value_extent(s, from, p);
	if (p == s->end)
		return;
	if (*p == '\0')
		fail(s, HTTP_ERR_CONTROL);
	else
		value_eol(s);
}

/* The first byte of a line. */
static void line_begin(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (h->step == STEP_LINE) {
		if (c == ' ' || c == '\t') {
			h->flags |= HTTP_FOLDED;
			h->step = http_value_is_read(h->field) ? STEP_VALUE : STEP_VALUE_OTHER;
			return;
		}
		if (http_value_is_read(h->field))
			http_value_end(h);
		tell(s, HTTP_PART_VALUE, h->part_start, h->part_end);
	}
	if (c == '\r' && s->end - s->p >= 2 && s->p[1] == '\n') {
		s->p += 2;
		h->step = STEP_EMPTY_CR;
		head_done(s);
	} else if (c == '\r') {
		s->p++;
		h->step = STEP_EMPTY_CR;
	} else if (c == '\n') {
		s->p++;
		h->flags |= HTTP_BARE_LF;
		head_done(s);
	} else if (s->sink || !lines_at_once(s)) {
		name_begin(s);
	}
}

static void scan_value(struct scan *s)
{
	const uint8_t *from = s->p;

	s->p = http_value_run(s->h, from, s->end);
	value_extent(s, from, s->p);
	if (s->p == s->end)
		return;
	if (*s->p == '\0')
		fail(s, HTTP_ERR_CONTROL);
	else
		value_eol(s);
}

/* Lines follow each other here without going back to the machine. */
static void scan_line(struct scan *s)
{
	struct http_head *h = s->h;

	do {
		line_begin(s);
		if (h->step == STEP_VALUE_OTHER && s->p < s->end && h->state == HTTP_MORE)
			scan_value_other(s);
		else if (h->step == STEP_VALUE && s->p < s->end)
			scan_value(s);
	} while (h->step == STEP_LINE && s->p < s->end && h->state == HTTP_MORE);
}

static void scan_value_cr(struct scan *s)
{
	if (*s->p == '\r') {
		s->p++;
	} else if (*s->p == '\n') {
		s->p++;
		s->h->step = STEP_LINE;
	} else {
		fail(s, HTTP_ERR_CONTROL);
	}
}

/* ---- the machine ---- */

static void scan_step(struct scan *s)
{
	switch ((enum step)s->h->step) {
	case STEP_FIRST_LINE:
	case STEP_LINE:
		scan_line(s);
		break;
	case STEP_EMPTY_CR:
		scan_empty_cr(s);
		break;
	case STEP_NAME:
		scan_name(s);
		break;
	case STEP_NAME_BLANK:
		scan_name_blank(s);
		break;
	case STEP_NAME_OTHER:
		scan_name_other(s);
		break;
	case STEP_VALUE:
		scan_value(s);
		break;
	case STEP_VALUE_OTHER:
		scan_value_other(s);
		break;
	case STEP_VALUE_CR:
		scan_value_cr(s);
		break;
	default:
		http_start_step(s);
		break;
	}
}

void http_head_init(struct http_head *h, enum http_kind kind)
{
	*h = (struct http_head){.kind = (uint8_t)kind, .field = FIELD_NONE};
}

size_t http_head_feed(struct http_head *h, const uint8_t *p, size_t n, http_sink *sink, void *ctx)
{
	size_t room = HTTP_HEAD_MAX - h->len, used;
	struct scan s = {
		.h = h,
		.start = p,
		.p = p,
		.end = p + (n < room ? n : room),
		.sink = sink,
		.ctx = ctx,
	};

	if (h->state != HTTP_MORE)
		return 0;
	if (!h->len)
		(void)http_start_at_once(&s);
	while (s.p < s.end && h->state == HTTP_MORE)
		scan_step(&s);
	used = (size_t)(s.p - p);
	h->len += (uint32_t)used;
	if (h->state == HTTP_MORE && used < n)
		fail(&s, HTTP_ERR_LIMIT);
	return used;
}
