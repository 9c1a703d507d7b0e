/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/scan: what the two halves of the head scanner share.  head.c finds lines, names and ends;
 * value.c reads the values that decide framing and switching.  Private to core/http.
 */
#ifndef CORE_HTTP_SCAN_H
#define CORE_HTTP_SCAN_H

#include "core/http/head.h"

/* Field names we act on, sorted, and what the presence of each one sets. Column "value" says how the
 * value is read. */
enum http_field_id {
	FIELD_CONNECTION,
	FIELD_CONTENT_ENCODING,
	FIELD_CONTENT_LENGTH,
	FIELD_EXPECT,
	FIELD_WS_ACCEPT,
	FIELD_WS_EXTENSIONS,
	FIELD_WS_KEY,
	FIELD_WS_PROTOCOL,
	FIELD_WS_VERSION,
	FIELD_TRANSFER_ENCODING,
	FIELD_UPGRADE,
	FIELD_COUNT,
	FIELD_NONE = FIELD_COUNT,
};

enum {
	WORD_MAX = 26, /* longest known word and its NUL */
};

/* Narrow the candidates [lo, hi) of a sorted table of NUL-terminated words by their next byte. */
static inline void word_narrow(const char (*table)[WORD_MAX], unsigned pos, uint8_t c, uint8_t *lo,
			       uint8_t *hi)
{
	while (*lo < *hi && (uint8_t)table[*lo][pos] < c)
		(*lo)++;
	while (*hi > *lo && (uint8_t)table[*hi - 1][pos] > c)
		(*hi)--;
}

/* The word that ends after pos bytes: its index, or none. */
static inline unsigned word_found(const char (*table)[WORD_MAX], unsigned pos, uint8_t lo,
				  uint8_t hi, unsigned none)
{
	return lo < hi && table[lo][pos] == '\0' ? lo : none;
}

/* The value of h->field is read byte by byte, not skipped. */
bool http_value_is_read(unsigned field);

/* Start the value of h->field; c, one byte of it (not CR, LF or NUL); its end. */
void http_value_begin(struct http_head *h);
void http_value_byte(struct http_head *h, uint8_t c);
void http_value_end(struct http_head *h);

#endif
