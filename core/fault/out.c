/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/out: see out.h.
 */
#include "core/fault/out.h"

void fault_put_byte(struct fault_out *o, char c)
{
	if (o->n + 1 < o->room) {
		o->to[o->n] = c;
		o->to[o->n + 1] = '\0';
	}
	o->n++;
}

void fault_put(struct fault_out *o, const char *text)
{
	while (*text)
		fault_put_byte(o, *text++);
}

void fault_put_number(struct fault_out *o, uint64_t v)
{
	uint64_t unit = 1;

	while (v / unit > 9)
		unit *= 10;
	for (; unit; unit /= 10)
		fault_put_byte(o, (char)('0' + v / unit % 10));
}

void fault_put_quoted(struct fault_out *o, struct span s)
{
	enum {
		MOST = 40,
	};

	fault_put_byte(o, '\'');
	for (size_t i = 0; i < s.n && i < MOST; i++)
		fault_put_byte(o, s.p[i] >= ' ' && s.p[i] < 0x7f ? (char)s.p[i] : '?');
	fault_put(o, s.n > MOST ? "...'" : "'");
}

/* v / unit with as many decimals as it takes; unit is a power of ten, far below the largest number. */
static void put_decimal(struct fault_out *o, uint64_t v, uint64_t unit)
{
	uint64_t whole = v / unit, part = v - whole * unit;

	fault_put_number(o, whole);
	if (part)
		fault_put_byte(o, '.');
	while (part) {
		fault_put_byte(o, (char)('0' + part * 10 / unit));
		part = part * 10 - part * 10 / unit * unit;
	}
}

/* With the largest unit that leaves no rest. */
static void put_in_units(struct fault_out *o, const struct fault_unit_word *units, uint64_t v)
{
	unsigned i = 0;

	while (units[i + 1].name && (v % units[i].worth || !v))
		i++;
	if (v % units[i].worth)
		put_decimal(o, v, units[i].worth);
	else
		fault_put_number(o, v / units[i].worth);
	fault_put(o, units[i].name);
}

void fault_put_value(struct fault_out *o, const struct fault_row *row, uint64_t v)
{
	struct span word;

	switch (row->type) {
	case FAULT_TYPE_TIME:
		put_in_units(o, fault_time_units, v);
		break;
	case FAULT_TYPE_RATE:
		put_in_units(o, fault_rate_units, v);
		break;
	case FAULT_TYPE_PERCENT:
		put_decimal(o, v, FAULT_PPM / 100);
		fault_put_byte(o, '%');
		break;
	case FAULT_TYPE_ERRNO:
		fault_put(o, fault_errno_name(v));
		break;
	case FAULT_TYPE_SIGNAL:
		fault_put(o, fault_signal_name(v));
		break;
	case FAULT_TYPE_WORD:
	case FAULT_TYPE_CONN_KEY:
		word = fault_row_word(row, (unsigned)v);
		while (word.n--)
			fault_put_byte(o, (char)*word.p++);
		break;
	default:
		if (row->min < 0 && (int64_t)v < 0) {
			fault_put_byte(o, '-');
			v = -v;
		}
		fault_put_number(o, v);
	}
}

static bool is_plain(uint8_t c, bool in_key)
{
	if (c == '+' || c == ',' || c == '=')
		return in_key;
	return c > ' ' && c < 0x7f && c != ';' && c != ':' && c != '#' && c != '%' && c != '[' &&
	       c != ']';
}

void fault_put_text(struct fault_out *o, const char *p, size_t n, bool in_key)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; n; n--, p++) {
		uint8_t c = (uint8_t)*p;

		if (is_plain(c, in_key)) {
			fault_put_byte(o, *p);
		} else {
			fault_put_byte(o, '%');
			fault_put_byte(o, hex[c >> 4]);
			fault_put_byte(o, hex[c & 15]);
		}
	}
}
