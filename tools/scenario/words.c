/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/words: names of signals, errors and opcodes; hexadecimal; ranges of status codes.
 */
#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "core/fault/match.h"
#include "core/websocket/frame.h"
#include "tools/scenario/scenario.h"
#include "tools/verb/value.h"

int signal_by_name(const char *name)
{
	uint64_t n;

	if (!value_number(name, &n))
		return n > 0 && n < 65 ? (int)n : 0;
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int s = 1; s < 32; s++) {
		const char *abbrev = sigabbrev_np(s);

		if (abbrev && !strcmp(abbrev, name))
			return s;
	}
	return 0;
}

int error_by_name(const char *name)
{
	for (int e = 1; e < 134; e++) {
		const char *n = strerrorname_np(e);

		if (n && !strcmp(n, name))
			return e;
	}
	return 0;
}

int opcode_by_name(const char *name)
{
	static const struct {
		const char *name;
		int op;
	} known[] = {{"text", WS_TEXT}, {"binary", WS_BINARY}, {"continuation", WS_CONTINUATION},
		     {"ping", WS_PING}, {"pong", WS_PONG},     {"close", WS_CLOSE}};
	uint64_t n;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(known[i].name, name))
			return known[i].op;
	}
	return !value_number(name, &n) && n < 16 ? (int)n : -1;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long hex_bytes(const char *text, uint8_t *to)
{
	long n = 0;

	while (*text) {
		int hi, lo;

		if (isspace((unsigned char)*text)) {
			text++;
			continue;
		}
		hi = digit(text[0]);
		lo = hi < 0 ? -1 : digit(text[1]);
		if (lo < 0)
			return -1;
		if (to)
			to[n] = (uint8_t)(hi << 4 | lo);
		n++;
		text += 2;
	}
	return n;
}

bool status_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
	uint64_t a, b;

	if (!strcmp(text, "any")) {
		*ret_first = 100;
		*ret_last = 999;
		return true;
	}
	if (!keys_range(text, &a, &b) || a < 100 || a > 999)
		return false;
	*ret_first = (unsigned)a;
	*ret_last = b > 999 ? 999 : (unsigned)b;
	return true;
}

bool pattern_matches(const char *pattern, const char *text, size_t n)
{
	return fault_glob(pattern, strlen(pattern), text, n, false);
}
