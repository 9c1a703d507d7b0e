/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/say: the smallest formatter the messages need.
 */
#include <stdarg.h>

#include "core/finding/say.h"

enum {
	SHOWN = 80, /* bytes of a span */
};

struct out {
	char *p;
	size_t n, size;
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->p[o->n++] = c;
	else if (o->size > 4)
		memcpy(o->p + o->size - 4, "...", 3);
}

static void put_text(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

static void put_number(struct out *o, uint64_t v, unsigned width)
{
	char digit[20];
	unsigned n = 0;

	do
		digit[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (unsigned i = n; i < width; i++)
		put(o, '0');
	while (n)
		put(o, digit[--n]);
}

static void put_hex(struct out *o, uint8_t v)
{
	put(o, "0123456789abcdef"[v >> 4]);
	put(o, "0123456789abcdef"[v & 15]);
}

static void put_time(struct out *o, uint64_t ns)
{
	const uint64_t ms = 1000000, s = 1000 * ms;

	if (ns < ms) {
		put_number(o, ns / 1000, 0);
		put_text(o, " us");
	} else if (ns < 995 * ms) {
		put_number(o, ns / ms, 0);
		put_text(o, " ms");
	} else {
		ns += 5 * ms; /* to the nearest hundredth */
		put_number(o, ns / s, 0);
		put(o, '.');
		put_number(o, ns % s / (10 * ms), 2);
		put_text(o, " s");
	}
}

static void put_byte(struct out *o, uint8_t c)
{
	if (c == '\r' || c == '\n') {
		put(o, '\\');
		put(o, c == '\r' ? 'r' : 'n');
	} else if (c >= ' ' && c < 0x7f) {
		put(o, (char)c);
	} else {
		put_text(o, "\\x");
		put_hex(o, c);
	}
}

static void put_span(struct out *o, const struct span *s)
{
	for (size_t i = 0; i < s->n && i < SHOWN; i++)
		put_byte(o, s->p[i]);
	if (s->n > SHOWN)
		put_text(o, "...");
}

void say(char *ret, size_t size, const char *format, ...)
{
	struct out o = {.p = ret, .size = size};
	va_list ap;

	while (o.n + 1 < size && ret[o.n])
		o.n++;
	va_start(ap, format);
	for (; *format; format++) {
		if (*format != '%') {
			put(&o, *format);
			continue;
		}
		switch (*++format) {
		case 's':
			put_text(&o, va_arg(ap, const char *));
			break;
		case 'u':
			put_number(&o, va_arg(ap, uint64_t), 0);
			break;
		case 't':
			put_time(&o, va_arg(ap, uint64_t));
			break;
		case 'x':
			put_hex(&o, (uint8_t)va_arg(ap, uint64_t));
			break;
		case 'b':
			put_span(&o, va_arg(ap, const struct span *));
			break;
		case 'q':
			put(&o, '"');
			put_span(&o, va_arg(ap, const struct span *));
			put(&o, '"');
			break;
		default:
			put(&o, *format);
			break;
		}
	}
	va_end(ap);
	ret[o.n] = '\0';
}
