/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/chunk: size line, data, size line ... 0, trailers, empty line.  Nothing is kept but where we
 * are; extensions and trailers are passed over.
 */
#include "core/http/chunk.h"

enum {
	CHUNK_SIZE,
	CHUNK_EXT, /* rest of the size line */
	CHUNK_SIZE_CR,
	CHUNK_DATA,
	CHUNK_DATA_END,
	CHUNK_DATA_CR,
	CHUNK_LINE, /* start of a trailer line */
	CHUNK_TRAILER,
	CHUNK_LAST_CR,
};

void http_chunk_init(struct http_chunk *c)
{
	memset(c, 0, sizeof(*c));
}

static void size_line_end(struct http_chunk *c)
{
	c->step = c->left ? CHUNK_DATA : CHUNK_LINE;
}

static int hex_digit(uint8_t b)
{
	uint8_t l = ascii_lower(b);

	if ((uint8_t)(b - '0') < 10)
		return b - '0';
	return (uint8_t)(l - 'a') < 6 ? l - 'a' + 10 : -1;
}

/* Before the first digit, among them, or behind the last; false when the byte may not be there. */
static bool size_byte(struct http_chunk *c, uint8_t b)
{
	int digit = hex_digit(b);

	if (digit >= 0) {
		if (c->left > (uint64_t)INT64_MAX >> 4)
			return false;
		c->left = c->left << 4 | (unsigned)digit;
		c->digits = 1;
		return true;
	}
	if (!c->digits)
		return false;
	if (b == '\n')
		size_line_end(c);
	else if (b == '\r')
		c->step = CHUNK_SIZE_CR;
	else if (b == ';' || b == ' ' || b == '\t')
		c->step = CHUNK_EXT;
	else
		return false;
	return true;
}

/* One byte outside the data; false when it may not be there. */
static bool chunk_byte(struct http_chunk *c, uint8_t b)
{
	switch (c->step) {
	case CHUNK_SIZE:
		return size_byte(c, b);
	case CHUNK_EXT:
		if (b == '\n')
			size_line_end(c);
		return b != '\0';
	case CHUNK_SIZE_CR:
		if (b != '\n')
			return false;
		size_line_end(c);
		return true;
	case CHUNK_DATA_END:
	case CHUNK_DATA_CR:
		if (b == '\r' && c->step == CHUNK_DATA_END) {
			c->step = CHUNK_DATA_CR;
			return true;
		}
		if (b != '\n')
			return false;
		c->digits = 0;
		c->step = CHUNK_SIZE;
		return true;
	case CHUNK_LINE:
		c->done = b == '\n';
		c->step = b == '\r' ? CHUNK_LAST_CR : CHUNK_TRAILER;
		return b != '\0';
	case CHUNK_TRAILER:
		if (b == '\n')
			c->step = CHUNK_LINE;
		return b != '\0';
	default: /* CHUNK_LAST_CR */
		c->done = 1;
		return b == '\n';
	}
}

size_t http_chunk_feed(struct http_chunk *c, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && !c->done && !c->bad) {
		if (c->step == CHUNK_DATA) {
			size_t take = n - i < c->left ? n - i : (size_t)c->left;

			http_chunk_skip(c, take);
			i += take;
		} else if (chunk_byte(c, p[i])) {
			i++;
		} else {
			c->bad = 1;
			c->done = 0;
		}
	}
	return i;
}

bool http_chunk_at_size(const struct http_chunk *c)
{
	return c->step == CHUNK_SIZE && !c->digits;
}

uint64_t http_chunk_skippable(const struct http_chunk *c)
{
	return c->step == CHUNK_DATA ? c->left : 0;
}

void http_chunk_skip(struct http_chunk *c, uint64_t n)
{
	c->left -= n;
	if (!c->left)
		c->step = CHUNK_DATA_END;
}
