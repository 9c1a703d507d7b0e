/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/escape: what may reach a terminal or a JSON string.  Whatever arrives, only printable ASCII
 * (or, for JSON, well-formed UTF-8) leaves.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/format/format.h"

/* Writes 1 to 4 characters, returns how many. */
static size_t escape_byte(uint8_t c, char ret[4])
{
	static const char hex[] = "0123456789abcdef";
	static const char plain[] = "\r\n\t\\", letter[] = "rnt\\";
	const char *at = c ? strchr(plain, c) : NULL;

	if (at) {
		ret[0] = '\\';
		ret[1] = letter[at - plain];
		return 2;
	}
	if (c >= 0x20 && c < 0x7f) {
		ret[0] = (char)c;
		return 1;
	}
	ret[0] = '\\';
	ret[1] = 'x';
	ret[2] = hex[c >> 4];
	ret[3] = hex[c & 15];
	return 4;
}

void format_escaped(FILE *out, struct span bytes, size_t max)
{
	size_t n = bytes.n < max ? bytes.n : max, i;
	char e[4];

	for (i = 0; i < n; i++) {
		size_t len = escape_byte(bytes.p[i], e);

		fwrite(e, 1, len, out);
	}
	if (bytes.n > n)
		fputs("...", out);
}

size_t format_escape(char *ret, size_t size, struct span bytes, size_t *ret_used)
{
	size_t len = 0, i, n;
	char e[4];

	for (i = 0; i < bytes.n && size; i++) {
		n = escape_byte(bytes.p[i], e);
		if (len + n >= size)
			break;
		memcpy(ret + len, e, n);
		len += n;
	}
	if (size)
		ret[len] = 0;
	if (ret_used)
		*ret_used = i;
	return len;
}

/* Length of the well-formed UTF-8 sequence at p, 0 when there is none.  Source: RFC 3629 section 4. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf, c = p[0];
	size_t len = c < 0x80	? 1
		     : c < 0xc2 ? 0
		     : c < 0xe0 ? 2
		     : c < 0xf0 ? 3
		     : c < 0xf5 ? 4
				: 0,
	       i;

	if (len == 0 || len > n)
		return 0;
	if (c == 0xe0)
		lo = 0xa0; /* overlong */
	else if (c == 0xed)
		hi = 0x9f; /* surrogates */
	else if (c == 0xf0)
		lo = 0x90; /* overlong */
	else if (c == 0xf4)
		hi = 0x8f; /* beyond U+10FFFF */
	for (i = 1; i < len; i++) {
		if (p[i] < lo || p[i] > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return len;
}

char *format_utf8(struct span bytes, size_t *ret_len)
{
	char *ret = malloc(bytes.n * 4 + 1);
	size_t len = 0, i = 0, n;

	if (!ret)
		return NULL;
	while (i < bytes.n) {
		n = utf8_length(bytes.p + i, bytes.n - i);
		if (n) {
			memcpy(ret + len, bytes.p + i, n);
			len += n;
			i += n;
		} else {
			len += escape_byte(bytes.p[i++], ret + len);
		}
	}
	ret[len] = 0;
	if (ret_len)
		*ret_len = len;
	return ret;
}

/* Control characters, C1 included, and the marks that turn the direction of writing around. */
static bool is_harmful(const uint8_t *p, size_t len)
{
	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80)
		return (p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae);
	return len == 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0;
}

char *format_clean(const char *text)
{
	struct span s = {(const uint8_t *)text, strlen(text)};
	char *ret = malloc(s.n * 4 + 1);
	size_t len = 0, i = 0, j, n;

	if (!ret)
		return NULL;
	for (; i < s.n; i += n) {
		size_t good = utf8_length(s.p + i, s.n - i);

		n = good ? good : 1;
		for (j = 0; j < n; j++) {
			if (good && !is_harmful(s.p + i, good))
				ret[len++] = (char)s.p[i + j];
			else
				len += escape_byte(s.p[i + j], ret + len);
		}
	}
	ret[len] = 0;
	return ret;
}
