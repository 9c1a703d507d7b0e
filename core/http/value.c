/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/value: the field values that decide framing and switching, read one byte at a time.
 *
 * Lists (Connection, Upgrade, Transfer-Encoding, Expect, Sec-WebSocket-Extensions) are matched
 * element by element against the few words that mean something; Content-Length is a list of numbers
 * that must all be equal.  A repeated field continues its list.  Source: RFC 9110 sections 5.6.1 and
 * 7.8, RFC 9112 sections 6.1 to 6.3.
 */
#include "core/http/scan.h"

/* The words of each list, sorted within it: Connection, Expect, Sec-WebSocket-Extensions,
 * Transfer-Encoding, Upgrade. */
static const char word[][WORD_MAX] = {
	"close", "keep-alive", "upgrade", "100-continue", "permessage-deflate", "chunked",
	"h2c",	 "spdy",       "tcp",	  "tls",	  "websocket",
};

static const uint32_t word_flag[CORE_ARRAY_LEN(word)] = {
	HTTP_CONN_CLOSE, HTTP_CONN_KEEP_ALIVE, HTTP_CONN_UPGRADE, HTTP_EXPECT_100,
	HTTP_WS_DEFLATE, HTTP_CHUNKED,	       HTTP_UP_H2C,	  HTTP_UP_SPDY,
	HTTP_UP_TCP,	 HTTP_UP_TLS,	       HTTP_UP_WEBSOCKET,
};

/* [first, end) of each field's words; an empty one for fields that are no list. */
static const uint8_t word_range[FIELD_COUNT][2] = {
	[FIELD_CONNECTION] = {0, 3},	[FIELD_EXPECT] = {3, 4},
	[FIELD_WS_EXTENSIONS] = {4, 5}, [FIELD_TRANSFER_ENCODING] = {5, 6},
	[FIELD_UPGRADE] = {6, 11},
};

enum {		    /* http_head.token of a list */
	LIST_GAP,   /* between elements */
	LIST_WORD,  /* inside a word */
	LIST_TAIL,  /* blanks after a word */
	LIST_PARAM, /* parameters or a version: they do not change what the word is */
	LIST_JUNK,  /* an element of more than one word */
};

enum { /* http_head.token of Content-Length */
	LENGTH_GAP,
	LENGTH_DIGITS,
	LENGTH_TAIL,
};

#define LENGTH_LIMIT ((uint64_t)INT64_MAX)

static __attribute__((noinline)) void list_element_end(struct http_head *h)
{
	unsigned found = CORE_ARRAY_LEN(word);

	if (h->token == LIST_GAP)
		return;
	if (h->token != LIST_JUNK)
		found = word_found(word, h, found);
	if (h->field == FIELD_TRANSFER_ENCODING)
		h->flags &= ~(uint32_t)HTTP_CHUNKED; /* only the last coding counts */
	if (found < CORE_ARRAY_LEN(word))
		h->flags |= word_flag[found];
	else if (h->field == FIELD_UPGRADE)
		h->flags |= HTTP_UP_OTHER;
	h->token = LIST_GAP;
}

/* A byte no known word goes on with. */
static void list_byte(struct http_head *h, uint8_t c)
{
	if (c == ',')
		list_element_end(h);
	else if (c == ' ' || c == '\t')
		h->token = h->token == LIST_WORD ? LIST_TAIL : h->token;
	else if (h->token == LIST_PARAM || h->token == LIST_JUNK)
		return;
	else if (c == ';' || (c == '/' && h->field == FIELD_UPGRADE && h->token == LIST_WORD))
		h->token = LIST_PARAM;
	else
		h->token = LIST_JUNK;
}

static bool is_gap(uint8_t c)
{
	return c == ',' || c == ' ' || c == '\t';
}

static bool is_end(uint8_t c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

static const uint8_t *list_run(struct http_head *h, const uint8_t *p, const uint8_t *end)
{
	while (p < end && !is_end(*p)) {
		if (h->token == LIST_GAP && !is_gap(*p)) {
			word_begin(h, word_range[h->field][0], word_range[h->field][1]);
			h->token = LIST_WORD;
		}
		if (h->token == LIST_WORD) {
			p = word_match(word, true, h, p, end);
			if (p == end || is_end(*p))
				break;
		}
		list_byte(h, *p++);
	}
	return p;
}

static void length_element_end(struct http_head *h)
{
	if (h->token == LENGTH_GAP)
		h->flags |= HTTP_LENGTH_CONFLICT; /* an empty element is no number */
	else if (!(h->flags & HTTP_CONTENT_LENGTH))
		h->content_length = h->number;
	else if (h->content_length != h->number)
		h->flags |= HTTP_LENGTH_CONFLICT;
	h->flags |= HTTP_CONTENT_LENGTH;
	h->token = LENGTH_GAP;
	h->number = 0;
}

static void length_byte(struct http_head *h, uint8_t c)
{
	uint8_t digit = (uint8_t)(c - '0');

	if (c == ',') {
		length_element_end(h);
	} else if (c == ' ' || c == '\t') {
		if (h->token == LENGTH_DIGITS)
			h->token = LENGTH_TAIL;
	} else if (digit > 9 || h->token == LENGTH_TAIL ||
		   h->number > (LENGTH_LIMIT - digit) / 10) {
		h->flags |= HTTP_LENGTH_CONFLICT;
		h->token = LENGTH_TAIL;
	} else {
		h->number = h->number * 10 + digit;
		h->token = LENGTH_DIGITS;
	}
}

void http_value_begin(struct http_head *h)
{
	h->token = LIST_GAP;
	h->number = 0;
}

const uint8_t *http_value_run(struct http_head *h, const uint8_t *p, const uint8_t *end)
{
	if (h->field != FIELD_CONTENT_LENGTH)
		return list_run(h, p, end);
	while (p < end && !is_end(*p))
		length_byte(h, *p++);
	return p;
}

void http_value_end(struct http_head *h)
{
	if (h->field == FIELD_CONTENT_LENGTH)
		length_element_end(h);
	else
		list_element_end(h);
}
