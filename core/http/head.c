/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/head: the scanner.  A step is named by what the next byte may be; every function consumes as
 * much as its step can take and leaves the rest to the next one, so where a buffer ends never
 * matters.
 *
 *     BLANK METHOD TARGET_GAP TARGET VERSION_GAP VERSION MINOR TAIL        request line
 *     BLANK VERSION MINOR STATUS_GAP STATUS STATUS_END REASON              status line
 *     START_CR                                                             its CR was seen
 *     FIRST_LINE | LINE  NAME NAME_BLANK NAME_OTHER  VALUE VALUE_OTHER VALUE_CR   fields
 *     EMPTY_CR                                                             CR of the empty line
 *
 * A value ends only when the next line turns out not to continue it (obs-fold).
 */
#include "core/http/scan.h"

enum step {
	STEP_BLANK,
	STEP_METHOD,
	STEP_TARGET_GAP,
	STEP_TARGET,
	STEP_VERSION_GAP,
	STEP_VERSION,
	STEP_MINOR,
	STEP_TAIL,
	STEP_STATUS_GAP,
	STEP_STATUS,
	STEP_STATUS_END,
	STEP_REASON,
	STEP_START_CR,
	STEP_FIRST_LINE,
	STEP_LINE,
	STEP_EMPTY_CR,
	STEP_NAME,
	STEP_NAME_BLANK,
	STEP_NAME_OTHER,
	STEP_VALUE,
	STEP_VALUE_OTHER,
	STEP_VALUE_CR,
};

static const char method_word[][WORD_MAX] = {
	"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT",
};
static const uint8_t method_of_word[CORE_ARRAY_LEN(method_word) + 1] = {
	HTTP_CONNECT, HTTP_DELETE, HTTP_GET, HTTP_HEAD,		HTTP_OPTIONS,
	HTTP_PATCH,   HTTP_POST,   HTTP_PUT, HTTP_METHOD_OTHER,
};

static const char field_word[FIELD_COUNT][WORD_MAX] = {
	"connection",
	"content-encoding",
	"content-length",
	"expect",
	"sec-websocket-accept",
	"sec-websocket-extensions",
	"sec-websocket-key",
	"sec-websocket-protocol",
	"sec-websocket-version",
	"transfer-encoding",
	"upgrade",
};
static const uint32_t field_flag[FIELD_COUNT] = {
	[FIELD_CONTENT_ENCODING] = HTTP_CONTENT_ENCODING,
	[FIELD_WS_ACCEPT] = HTTP_WS_ACCEPT,
	[FIELD_WS_EXTENSIONS] = HTTP_WS_EXTENSIONS,
	[FIELD_WS_KEY] = HTTP_WS_KEY,
	[FIELD_WS_PROTOCOL] = HTTP_WS_PROTOCOL,
	[FIELD_WS_VERSION] = HTTP_WS_VERSION,
	[FIELD_TRANSFER_ENCODING] = HTTP_TRANSFER_ENCODING,
	[FIELD_UPGRADE] = HTTP_UPGRADE,
};

/* Bit c & 31 is set when a known field name starts with the letter c: c, e, s, t, u. */
#define FIRST_LETTERS ((1u << 3) | (1u << 5) | (1u << 19) | (1u << 20) | (1u << 21))

/* One feed: where we are in the caller's bytes. */
struct scan {
	struct http_head *h;
	const uint8_t *start, *p, *end;
	http_sink *sink;
	void *ctx;
};

/* Offset of p from the first byte of the head; h->len moves on only when the feed returns. */
static inline uint32_t offset(const struct scan *s, const uint8_t *p)
{
	return s->h->len + (uint32_t)(p - s->start);
}

static inline void tell(const struct scan *s, enum http_part part, uint32_t start, uint32_t end)
{
	if (s->sink)
		s->sink(s->ctx, part, start, end);
}

static void fail(struct scan *s, enum http_error error)
{
	s->h->state = HTTP_BAD;
	s->h->error = error;
}

static inline uint64_t load_le64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

#define ONES (~UINT64_C(0) / 255)

/* The first byte below 0x20, eight at a time.  A borrow can only spoil bytes above the first hit. */
static inline const uint8_t *skip_text(const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 8) {
		uint64_t x = load_le64(p);
		uint64_t low = (x - ONES * 0x20) & ~x & ONES * 0x80;

		if (low)
			return p + (__builtin_ctzll(low) >> 3);
		p += 8;
	}
	while (p < end && *p >= 0x20)
		p++;
	return p;
}

/* ---- start line ---- */

static void start_line_end(struct scan *s)
{
	struct http_head *h = s->h;

	h->step = STEP_FIRST_LINE;
	if (h->version == 0x09)
		h->state = HTTP_DONE; /* HTTP/0.9 is one line */
}

/* CR or LF at the end of the start line. */
static void start_line_eol(struct scan *s, uint8_t c)
{
	s->p++;
	if (c == '\r') {
		s->h->step = STEP_START_CR;
		return;
	}
	s->h->flags |= HTTP_BARE_LF;
	start_line_end(s);
}

static void scan_blank(struct scan *s)
{
	struct http_head *h = s->h;

	while (s->p < s->end && (*s->p == '\r' || *s->p == '\n'))
		s->p++;
	if (s->p == s->end)
		return;
	h->part_start = offset(s, s->p);
	h->match_lo = 0;
	h->match_hi = CORE_ARRAY_LEN(method_word);
	h->match_pos = 0;
	h->step = h->kind == HTTP_REQUEST ? STEP_METHOD : STEP_VERSION;
}

static void scan_method(struct scan *s)
{
	struct http_head *h = s->h;

	for (; s->p < s->end; s->p++) {
		uint8_t c = *s->p;

		if (!http_is_token(c))
			break;
		if (h->match_lo < h->match_hi) {
			word_narrow(method_word, h->match_pos, c, &h->match_lo, &h->match_hi);
			h->match_pos++;
		}
	}
	if (s->p == s->end)
		return;
	if (*s->p != ' ' || offset(s, s->p) == h->part_start) {
		fail(s, HTTP_ERR_START_LINE);
		return;
	}
	h->method = method_of_word[word_found(method_word, h->match_pos, h->match_lo, h->match_hi,
					      CORE_ARRAY_LEN(method_word))];
	tell(s, HTTP_PART_METHOD, h->part_start, offset(s, s->p));
	s->p++;
	h->step = STEP_TARGET_GAP;
}

static void scan_target(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c;

	while (s->p<s->end && * s->p> ' ' && *s->p != 0x7f)
		s->p++;
	if (s->p == s->end)
		return;
	c = *s->p;
	if (c != ' ' && c != '\r' && c != '\n') {
		fail(s, HTTP_ERR_CONTROL);
		return;
	}
	tell(s, HTTP_PART_TARGET, h->part_start, offset(s, s->p));
	h->step = STEP_VERSION_GAP;
}

/* Blanks before the target or the version. */
static void scan_gap(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == ' ') {
		s->p++;
	} else if (h->step == STEP_TARGET_GAP) {
		if (c == '\r' || c == '\n') {
			fail(s, HTTP_ERR_START_LINE);
			return;
		}
		h->part_start = offset(s, s->p);
		h->step = STEP_TARGET;
	} else if (c == '\r' || c == '\n') {
		h->version = 0x09;
		start_line_eol(s, c);
	} else {
		h->part_start = offset(s, s->p);
		h->match_pos = 0;
		h->step = STEP_VERSION;
	}
}

static void scan_version(struct scan *s)
{
	static const char prefix[] = "HTTP/1.";
	struct http_head *h = s->h;

	while (s->p < s->end && h->match_pos < sizeof(prefix) - 1) {
		if (*s->p != (uint8_t)prefix[h->match_pos]) {
			fail(s, h->kind == HTTP_RESPONSE && h->match_pos < 5 ? HTTP_ERR_START_LINE
									     : HTTP_ERR_VERSION);
			return;
		}
		s->p++;
		h->match_pos++;
	}
	if (h->match_pos == sizeof(prefix) - 1)
		h->step = STEP_MINOR;
}

static void scan_minor(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t digit = (uint8_t)(*s->p - '0');

	if (digit > 9) {
		fail(s, HTTP_ERR_VERSION);
		return;
	}
	s->p++;
	h->version = digit ? 0x11 : 0x10;
	tell(s, HTTP_PART_VERSION, h->part_start, offset(s, s->p));
	h->match_pos = 0;
	h->step = h->kind == HTTP_REQUEST ? STEP_TAIL : STEP_STATUS_GAP;
}

/* What may follow the version of a request, or the digits of a status. */
static void scan_tail(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == '\r' || c == '\n') {
		if (h->step == STEP_STATUS_END)
			tell(s, HTTP_PART_REASON, offset(s, s->p), offset(s, s->p));
		start_line_eol(s, c);
	} else if (c == ' ' && h->step == STEP_STATUS_END) {
		s->p++;
		h->part_start = h->part_end = offset(s, s->p);
		h->step = STEP_REASON;
	} else if (c == ' ' || (c == '\t' && h->step == STEP_TAIL)) {
		s->p++;
	} else {
		fail(s, h->step == STEP_TAIL ? HTTP_ERR_VERSION : HTTP_ERR_STATUS);
	}
}

/* The blanks before a status, and its three digits. */
static void scan_status(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p, digit = (uint8_t)(c - '0');

	if (h->step == STEP_STATUS_GAP) {
		if (c == ' ') {
			s->p++;
			h->match_pos = 1;
			return;
		}
		if (!h->match_pos || digit > 9 || digit == 0) {
			fail(s, HTTP_ERR_STATUS);
			return;
		}
		h->part_start = offset(s, s->p);
		h->match_pos = 0;
		h->number = 0;
		h->step = STEP_STATUS;
	}
	if (digit > 9) {
		fail(s, HTTP_ERR_STATUS);
		return;
	}
	s->p++;
	h->number = h->number * 10 + digit;
	if (++h->match_pos == 3) {
		h->status = (uint16_t)h->number;
		tell(s, HTTP_PART_STATUS, h->part_start, offset(s, s->p));
		h->step = STEP_STATUS_END;
	}
}

static void scan_reason(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c;

	s->p = skip_text(s->p, s->end);
	if (s->p == s->end)
		return;
	c = *s->p;
	if (c == '\r' || c == '\n') {
		tell(s, HTTP_PART_REASON, h->part_start, offset(s, s->p));
		start_line_eol(s, c);
	} else if (c == '\0') {
		fail(s, HTTP_ERR_CONTROL);
	} else {
		s->p++;
	}
}

static void scan_start_cr(struct scan *s)
{
	if (*s->p == '\r') {
		s->p++;
	} else if (*s->p == '\n') {
		s->p++;
		start_line_end(s);
	} else {
		fail(s, HTTP_ERR_CONTROL);
	}
}

/* ---- fields ---- */

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

/* First byte of a line that is neither empty nor a continuation. */
static void name_begin(struct scan *s)
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
	if ((c & 0x40) && (FIRST_LETTERS >> (c & 31) & 1)) {
		h->match_lo = 0;
		h->match_hi = FIELD_COUNT;
		h->match_pos = 0;
		h->step = STEP_NAME;
	} else {
		h->step = s->sink ? STEP_NAME_OTHER : STEP_VALUE_OTHER;
	}
}

static void scan_line(struct scan *s)
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
	if (c == '\r') {
		s->p++;
		h->step = STEP_EMPTY_CR;
	} else if (c == '\n') {
		s->p++;
		h->flags |= HTTP_BARE_LF;
		head_done(s);
	} else {
		name_begin(s);
	}
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
	uint8_t lo = h->match_lo, hi = h->match_hi, pos = h->match_pos;

	for (; s->p < s->end; s->p++, pos++) {
		uint8_t c = *s->p;

		if (c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			h->part_end = offset(s, s->p);
			h->step = STEP_NAME_BLANK;
			break;
		}
		word_narrow(field_word, pos, ascii_lower(c), &lo, &hi);
		if (lo == hi) {
			h->step = s->sink ? STEP_NAME_OTHER : STEP_VALUE_OTHER;
			break;
		}
	}
	h->match_lo = lo;
	h->match_hi = hi;
	h->match_pos = pos;
}

/* Behind a name that may be a known one: blanks, then the colon or the end of the line. */
static void scan_name_blank(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == ' ' || c == '\t') {
		s->p++;
		return;
	}
	if (c == ':' || c == '\r' || c == '\n') {
		if (c == ':')
			s->p++;
		name_end(s, word_found(field_word, h->match_pos, h->match_lo, h->match_hi,
				       FIELD_NONE));
		return;
	}
	h->step = s->sink ? STEP_NAME_OTHER : STEP_VALUE_OTHER;
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

static void scan_value(struct scan *s)
{
	const uint8_t *from = s->p;
	uint8_t c = 0;

	for (; s->p < s->end; s->p++) {
		c = *s->p;
		if (c == '\r' || c == '\n' || c == '\0')
			break;
		http_value_byte(s->h, c);
	}
	value_extent(s, from, s->p);
	if (s->p == s->end)
		return;
	if (c == '\0')
		fail(s, HTTP_ERR_CONTROL);
	else
		value_eol(s);
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
	case STEP_BLANK:
		scan_blank(s);
		break;
	case STEP_METHOD:
		scan_method(s);
		break;
	case STEP_TARGET_GAP:
	case STEP_VERSION_GAP:
		scan_gap(s);
		break;
	case STEP_TARGET:
		scan_target(s);
		break;
	case STEP_VERSION:
		scan_version(s);
		break;
	case STEP_MINOR:
		scan_minor(s);
		break;
	case STEP_TAIL:
	case STEP_STATUS_END:
		scan_tail(s);
		break;
	case STEP_STATUS_GAP:
	case STEP_STATUS:
		scan_status(s);
		break;
	case STEP_REASON:
		scan_reason(s);
		break;
	case STEP_START_CR:
		scan_start_cr(s);
		break;
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
	}
}

void http_head_init(struct http_head *h, enum http_kind kind)
{
	memset(h, 0, sizeof(*h));
	h->kind = (uint8_t)kind;
	h->field = FIELD_NONE;
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
	while (s.p < s.end && h->state == HTTP_MORE)
		scan_step(&s);
	used = (size_t)(s.p - p);
	h->len += (uint32_t)used;
	if (h->state == HTTP_MORE && used < n)
		fail(&s, HTTP_ERR_LIMIT);
	return used;
}
