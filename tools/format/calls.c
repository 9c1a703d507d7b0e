/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/calls: names for the calls that records refer to by number.  The trace brings them along,
 * because the numbers are those of the library that wrote it.
 */
#include <string.h>

#include "tools/format/format.h"

struct span format_call_name(const struct trace_header *h, unsigned call)
{
	static const char unknown[] = "?";
	const char *at = h->call_names, *end = at + strnlen(at, sizeof(h->call_names)), *stop;

	for (; at < end; at = stop + 1, call--) {
		stop = memchr(at, '\n', (size_t)(end - at));
		if (!stop)
			break;
		if (!call)
			return (struct span){(const uint8_t *)at, (size_t)(stop - at)};
	}
	return (struct span){(const uint8_t *)unknown, 1};
}
