/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/base64: both ways.  Source: RFC 4648 section 4.
 */
#include "core/websocket/digest.h"
#include "core/websocket/handshake.h"

static char letter(unsigned v)
{
	if (v < 26)
		return (char)('A' + v);
	if (v < 52)
		return (char)('a' + v - 26);
	if (v < 62)
		return (char)('0' + v - 52);
	return v == 62 ? '+' : '/';
}

static int value(uint8_t c)
{
	if ((uint8_t)(c - 'A') < 26)
		return c - 'A';
	if ((uint8_t)(c - 'a') < 26)
		return c - 'a' + 26;
	if ((uint8_t)(c - '0') < 10)
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t ws_base64(struct span in, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (left > 2)
			v |= in.p[i + 2];
		ret[n++] = letter(v >> 18);
		ret[n++] = letter(v >> 12 & 63);
		ret[n++] = left > 1 ? letter(v >> 6 & 63) : '=';
		ret[n++] = left > 2 ? letter(v & 63) : '=';
	}
	return n;
}

int base64_decode(struct span text, uint8_t *ret, size_t max)
{
	size_t letters = text.n, n = 0;
	uint32_t v = 0;

	if (text.n % 4 || text.n > INT32_MAX)
		return -1;
	if (letters && text.p[letters - 1] == '=')
		letters--;
	if (letters && text.p[letters - 1] == '=')
		letters--;
	for (size_t i = 0; i < letters; i++) {
		int six = value(text.p[i]);

		if (six < 0)
			return -1;
		v = v << 6 | (unsigned)six;
		if (i % 4 == 0)
			continue; /* six bits make no byte yet */
		if (ret && n < max)
			ret[n] = (uint8_t)(v >> (6 - 2 * (i % 4)));
		n++;
	}
	return (int)n;
}

int ws_base64_length(struct span text)
{
	return base64_decode(text, NULL, 0);
}
