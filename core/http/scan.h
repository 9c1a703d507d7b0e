/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/scan: what the parts of the head scanner share.  start.c reads the start line, head.c finds
 * field lines, names and ends, value.c reads the values that decide framing and switching.  Private
 * to core/http.
 *
 * A step is named by what the next byte may be; every function consumes as much as its step can take
 * and leaves the rest to the next one, so where a buffer ends never matters.
 *
 *     BLANK METHOD TARGET_GAP TARGET VERSION_GAP VERSION MINOR TAIL        request line
 *     BLANK VERSION MINOR STATUS_GAP STATUS STATUS_END REASON              status line
 *     START_CR                                                             its CR was seen
 *     FIRST_LINE | LINE  NAME NAME_BLANK NAME_OTHER  VALUE VALUE_OTHER VALUE_CR   fields
 *     EMPTY_CR                                                             CR of the empty line
 */
#ifndef CORE_HTTP_SCAN_H
#define CORE_HTTP_SCAN_H

#include "core/http/head.h"

/* Field names we act on, sorted: id, name, what its presence sets. */
#define HTTP_FIELDS(ROW)                                                    \
	ROW(CONNECTION, "connection", 0)                                    \
	ROW(CONTENT_ENCODING, "content-encoding", HTTP_CONTENT_ENCODING)    \
	ROW(CONTENT_LENGTH, "content-length", 0)                            \
	ROW(EXPECT, "expect", 0)                                            \
	ROW(WS_ACCEPT, "sec-websocket-accept", HTTP_WS_ACCEPT)              \
	ROW(WS_EXTENSIONS, "sec-websocket-extensions", HTTP_WS_EXTENSIONS)  \
	ROW(WS_KEY, "sec-websocket-key", HTTP_WS_KEY)                       \
	ROW(WS_PROTOCOL, "sec-websocket-protocol", HTTP_WS_PROTOCOL)        \
	ROW(WS_VERSION, "sec-websocket-version", HTTP_WS_VERSION)           \
	ROW(TRANSFER_ENCODING, "transfer-encoding", HTTP_TRANSFER_ENCODING) \
	ROW(UPGRADE, "upgrade", HTTP_UPGRADE)

enum http_field_id {
#define ROW(id, name, flag) FIELD_##id,
	HTTP_FIELDS(ROW)
#undef ROW
	FIELD_COUNT,
	FIELD_NONE = FIELD_COUNT,
};

enum {
	WORD_MAX = 26, /* longest known word and its NUL */
};

/* Where a word under way stands: its candidates [lo, hi) in a sorted table of NUL-terminated words,
 * all of which start with the pos bytes seen so far. */
static inline void word_begin(struct http_head *h, unsigned lo, unsigned hi)
{
	h->match_lo = (uint8_t)lo;
	h->match_hi = (uint8_t)hi;
	h->match_pos = 0;
}

/* Consume bytes as long as a candidate goes on with them; fold ignores ASCII case.  Stops at the end,
 * or at the first byte no candidate has there: the word may end before it, or be none of them. */
static inline const uint8_t *word_match(const char (*table)[WORD_MAX], bool fold,
					struct http_head *h, const uint8_t *p, const uint8_t *end)
{
	unsigned lo = h->match_lo, hi = h->match_hi, pos = h->match_pos;

	while (p < end && hi - lo > 1) {
		uint8_t c = fold ? ascii_lower(*p) : *p;
		unsigned first = lo, last = hi;

		while (first < last && (uint8_t)table[first][pos] < c)
			first++;
		while (last > first && (uint8_t)table[last - 1][pos] > c)
			last--;
		if (first == last || c == '\0')
			break;
		lo = first;
		hi = last;
		p++;
		pos++;
	}
	if (hi - lo == 1) { /* the usual case, and the quick one */
		const char *word = &table[lo][pos];

		while (p < end && *word && (fold ? ascii_lower(*p) : *p) == (uint8_t)*word) {
			p++;
			word++;
		}
		pos = (unsigned)(word - table[lo]);
	}
	h->match_lo = (uint8_t)lo;
	h->match_hi = (uint8_t)hi;
	h->match_pos = (uint8_t)pos;
	return p;
}

/* The candidate that ends here: its index, or none. */
static inline unsigned word_found(const char (*table)[WORD_MAX], const struct http_head *h,
				  unsigned none)
{
	return h->match_lo < h->match_hi && table[h->match_lo][h->match_pos] == '\0' ? h->match_lo
										     : none;
}

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

static inline void fail(struct scan *s, enum http_error error)
{
	s->h->state = HTTP_BAD;
	s->h->error = error;
}

static inline uint64_t load_le64(const uint8_t *p)
{
	uint64_t x;

	__builtin_memcpy(&x, p, sizeof(x)); /* one load, in the freestanding build, too */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

#define ONES (~UINT64_C(0) / 255)

/* The first byte below limit (at most 0x80), eight at a time.  A borrow can only spoil bytes above
 * the first hit. */
static inline const uint8_t *skip_from(const uint8_t *p, const uint8_t *end, uint8_t limit)
{
	while (end - p >= 8) {
		uint64_t x = load_le64(p);
		uint64_t low = (x - ONES * limit) & ~x & ONES * 0x80;

		if (low)
			return p + (__builtin_ctzll(low) >> 3);
		p += 8;
	}
	while (p < end && *p >= limit)
		p++;
	return p;
}

/* The next byte that is no text: a control byte, line ends and tab among them. */
static inline const uint8_t *skip_text(const uint8_t *p, const uint8_t *end)
{
	return skip_from(p, end, 0x20);
}

/* At the first byte of a head nobody wants the parts of: read a start line as everybody writes it.
 * False: nothing was done, take it step by step. */
bool http_start_at_once(struct scan *s);

/* Steps before STEP_FIRST_LINE. */
void http_start_step(struct scan *s);

/* The value of this field is read word by word, not skipped. */
static inline bool http_value_is_read(unsigned field)
{
	return field == FIELD_CONNECTION || field == FIELD_CONTENT_LENGTH ||
	       field == FIELD_EXPECT || field == FIELD_WS_EXTENSIONS ||
	       field == FIELD_TRANSFER_ENCODING || field == FIELD_UPGRADE;
}

/* Start the value of h->field; read it up to CR, LF or NUL; end it. */
void http_value_begin(struct http_head *h);
const uint8_t *http_value_run(struct http_head *h, const uint8_t *p, const uint8_t *end);
void http_value_end(struct http_head *h);

#endif
