/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_text: values that are no single number: ranges, names, patterns, and what [ ] and %XX in
 * them mean.
 */
#include "core/exchange/phase.h"
#include "core/fault/parse_internal.h"

/* ---- ranges ---- */

static bool skip(struct span *s, const char *text)
{
	size_t n = fault_span(text).n;

	if (s->n < n || memcmp(s->p, text, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* first[..last][+[step]] */
bool fault_read_range(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      struct fault_range *ret)
{
	uint64_t first = 0, last = 0, step = 1;
	struct span rest = value;
	bool ok = fault_read_digits(&rest, &first), has_last = false, goes_on;
	struct fault_out o;

	if (ok && skip(&rest, "..")) {
		has_last = true;
		ok = fault_read_digits(&rest, &last);
	}
	goes_on = ok && skip(&rest, "+");
	if (goes_on && rest.n)
		ok = fault_read_digits(&rest, &step);
	if (!ok && (first == UINT64_MAX || last == UINT64_MAX || step == UINT64_MAX)) {
		fault_blame_bounds(p, row, value);
		return false;
	}
	if (!ok || rest.n) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " has to be written like 3, 3..5, 3+ (from then on) or 3+2 (every "
			      "second)");
		return false;
	}
	if (!has_last)
		last = goes_on ? UINT64_MAX : first;
	if (first < (uint64_t)row->min || first > (uint64_t)row->max ||
	    (last != UINT64_MAX && last > (uint64_t)row->max)) {
		fault_blame_bounds(p, row, value);
		return false;
	}
	if (last < first || !step || step > UINT32_MAX) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, last < first ? " ends before it begins" : " needs a step from 1 on");
		return false;
	}
	if (last == first)
		step = 1;
	*ret = (struct fault_range){.first = first, .last = last, .step = (uint32_t)step};
	return true;
}

/* ---- text ---- */

static int hex_digit(uint8_t c)
{
	if ((uint8_t)(c - '0') <= 9)
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at i stands for; -1: it is none. */
static int escaped(struct span s, size_t i)
{
	int high, low;

	if (s.n - i < 3)
		return -1;
	high = hex_digit(s.p[i + 1]);
	low = hex_digit(s.p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t fault_decode(struct span value, char *to, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		int c = value.p[i];

		if (c == '[' || c == ']')
			continue;
		if (c == '%') {
			c = escaped(value, i);
			i += 2;
		}
		if (n < room)
			to[n] = (char)c;
		n++;
	}
	return n;
}

static struct fault_text where(const struct fault_parse *p, struct span value)
{
	return (struct fault_text){(uint16_t)(value.p - p->rule), (uint16_t)value.n};
}

bool fault_read_text(const struct fault_parse *p, struct span value, struct fault_text *ret)
{
	bool inside = false;

	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		struct span at = {value.p + i, 1};

		inside = c == '[' || (inside && c != ']');
		if (c == '%' && escaped(value, i) < 0) {
			fault_blame(p, at,
				    "% begins a byte written as two hex digits; % itself is "
				    "%25");
			return false;
		}
		if (c < ' ' || c == 0x7f || (c == ' ' && !inside)) {
			fault_blame(p, at,
				    c == ' ' ? "a blank has to be written as %20 or inside "
					       "[ ]"
					     : "a control byte has to be written as %XX");
			return false;
		}
	}
	if (!fault_decode(value, NULL, 0)) {
		fault_blame(p, value, "a text is missing here");
		return false;
	}
	*ret = where(p, value);
	return true;
}

static bool in_name(uint8_t c)
{
	return (uint8_t)(ascii_lower(c) - 'a') < 26 || (uint8_t)(c - '0') <= 9 || c == '-' ||
	       c == '_' || c == '.';
}

bool fault_read_name(const struct fault_parse *p, struct span value, struct fault_text *ret)
{
	for (size_t i = 0; i < value.n; i++) {
		if (!in_name(value.p[i])) {
			fault_blame(p, (struct span){value.p + i, 1},
				    "a name is made of letters, digits, '-', '_' and '.'");
			return false;
		}
	}
	if (!value.n || value.n >= FAULT_NAME) {
		fault_blame(p, value,
			    value.n ? "a name has at most 31 bytes" : "a name is missing here");
		return false;
	}
	*ret = where(p, value);
	return true;
}

bool fault_read_field(const struct fault_parse *p, struct span value, struct fault_text *ret)
{
	for (size_t i = 0; i < value.n; i++) {
		if (!http_is_token(value.p[i])) {
			fault_blame(p, (struct span){value.p + i, 1},
				    "no field name may hold that");
			return false;
		}
	}
	if (!value.n) {
		fault_blame(p, value, "the name of a field is missing here, as in hdr.Origin");
		return false;
	}
	*ret = where(p, value);
	return true;
}

/* ---- words with a table elsewhere ---- */

static struct span method_word(const void *none, unsigned i)
{
	return fault_span(i + 1 < HTTP_METHOD_COUNT ? http_method_name((enum http_method)(i + 1))
						    : NULL);
}

bool fault_read_method(const struct fault_parse *p, struct span value)
{
	int i = fault_find_word(value, method_word, NULL);

	if (i < 0) {
		fault_blame_word(p, value, "a method that is known here", method_word, NULL);
		return false;
	}
	p->r->method = (uint8_t)(i + 1);
	return true;
}

struct span fault_phase_word(const void *none, unsigned i)
{
	return fault_span(i < PHASE_COUNT ? phase_name((enum phase)i) : NULL);
}

/* A time, the name of a phase, or release.NAME. */
bool fault_read_until(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t *ret)
{
	static const struct fault_row time = {
		"until", "", "", 1000000, FAULT_TIME_MAX, FAULT_TYPE_TIME,
	};
	struct span name = value;
	struct fault_text at;
	int phase;

	if (skip(&name, "release.")) {
		*ret = (uint64_t)FAULT_UNTIL_RELEASE << 32;
		if (!fault_read_name(p, name, &at))
			return false;
		*ret |= (uint32_t)at.off << 16 | at.len;
		return true;
	}
	if (value.n && (uint8_t)(*value.p - '0') <= 9) {
		if (!fault_read_value(p, &time, value, ret))
			return false;
		if (*ret % 1000000) {
			fault_blame(p, value, "until is counted in whole milliseconds");
			return false;
		}
		*ret = (uint64_t)FAULT_UNTIL_TIME << 32 | *ret / 1000000;
		return true;
	}
	phase = fault_find_word(value, fault_phase_word, NULL);
	if (phase < 0) {
		fault_blame_word(p, value, "release.NAME, a time, or a phase", fault_phase_word,
				 NULL);
		return false;
	}
	*ret = (uint64_t)FAULT_UNTIL_PHASE << 32 | (unsigned)phase;
	return true;
}
