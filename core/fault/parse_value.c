/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_value: values that are compiled into one number.  Nothing is rounded: what cannot be kept
 * exactly is refused.
 */
#include "core/fault/parse_internal.h"

bool fault_read_digits(struct span *value, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < value->n && (uint8_t)(value->p[n] - '0') <= 9; n++) {
		if (v > (UINT64_MAX - 9) / 10) {
			*ret = UINT64_MAX;
			return false;
		}
		v = v * 10 + (uint8_t)(value->p[n] - '0');
	}
	value->p += n;
	value->n -= n;
	*ret = v;
	return n != 0;
}

/* A number with decimals: whole + frac / scale. */
struct decimal {
	uint64_t whole, frac, scale;
};

/* False: there is none, or one with more decimals than anything here can use. */
static bool read_decimal(struct span *value, struct decimal *ret)
{
	size_t before;

	ret->frac = 0;
	ret->scale = 1;
	if (!fault_read_digits(value, &ret->whole) && ret->whole != UINT64_MAX)
		return false;
	while (ret->whole == UINT64_MAX && value->n && (uint8_t)(*value->p - '0') <= 9) {
		value->p++; /* too large: the bounds will tell */
		value->n--;
	}
	if (!value->n || *value->p != '.')
		return true;
	value->p++;
	before = --value->n;
	if (!fault_read_digits(value, &ret->frac) || before - value->n > 9)
		return false;
	for (before -= value->n; before; before--)
		ret->scale *= 10;
	return true;
}

/* In whole units; false: that is not possible without a rest.  Too large is UINT64_MAX. */
static bool scale_decimal(const struct decimal *d, uint64_t worth, uint64_t *ret)
{
	uint64_t part = d->frac * worth;

	if (part % d->scale)
		return false;
	if (__builtin_mul_overflow(d->whole, worth, ret) ||
	    __builtin_add_overflow(*ret, part / d->scale, ret))
		*ret = UINT64_MAX;
	return true;
}

void fault_blame_bounds(const struct fault_parse *p, const struct fault_row *row, struct span value)
{
	struct fault_out o = fault_blame(p, value, "");

	fault_put(&o, row->name);
	fault_put(&o, " has to lie between ");
	fault_put_value(&o, row, (uint64_t)row->min);
	fault_put(&o, " and ");
	fault_put_value(&o, row, (uint64_t)row->max);
}

static bool in_bounds(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t v)
{
	if (v >= (uint64_t)row->min && v <= (uint64_t)row->max)
		return true;
	fault_blame_bounds(p, row, value);
	return false;
}

static struct span unit_word(const void *of, unsigned i)
{
	return fault_span(((const struct fault_unit_word *)of)[i].name);
}

static bool equals_folded(struct span s, const char *lower)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_lower(s.p[i]) != (uint8_t)lower[i])
			return false;
	}
	return !lower[s.n];
}

/* Why a unit is none: bps means bits to most people and bytes to tc, k is 1000 or 1024. */
static void blame_unit(const struct fault_parse *p, const struct fault_row *row, struct span value,
		       struct span unit, const struct fault_unit_word *units)
{
	struct fault_out o;

	if (row->type == FAULT_TYPE_RATE &&
	    (equals_folded(unit, "bps") || equals_folded(unit, "kbps") ||
	     equals_folded(unit, "mbps") || equals_folded(unit, "gbps"))) {
		fault_blame(p, unit,
			    "bps is bits to some and bytes to tc: write kbit for bits, KBps for "
			    "bytes");
	} else if (row->type == FAULT_TYPE_SIZE && unit.n == 1) {
		fault_blame(p, unit, "1000 or 1024?  Write KB or KiB");
	} else if (!unit.n) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " needs a unit");
	} else {
		o = fault_blame(p, unit, "");
		fault_put_quoted(&o, unit);
		fault_put(&o, " is no unit of ");
		fault_put(&o, row->name);
	}
	fault_expect_words(p, unit, unit_word, units);
}

static bool read_in_units(const struct fault_parse *p, const struct fault_row *row,
			  struct span value, const struct fault_unit_word *units, uint64_t *ret)
{
	struct span rest = value;
	struct fault_out o;
	struct decimal d;
	int unit;

	if (!read_decimal(&rest, &d)) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " has to be a number with at most nine decimals");
		if (units != fault_size_units) {
			fault_put(&o, " and a unit");
			fault_expect_words(p, (struct span){0}, unit_word, units);
		}
		return false;
	}
	if (row->type == FAULT_TYPE_TIME && !rest.n && !d.whole && !d.frac) {
		*ret = 0; /* nothing is nothing in every unit */
		return in_bounds(p, row, value, 0);
	}
	unit = fault_find_word(rest, unit_word, units);
	if (unit < 0) {
		blame_unit(p, row, value, rest, units);
		return false;
	}
	if (!scale_decimal(&d, units[unit].worth, ret)) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, row->type == FAULT_TYPE_TIME ? " is finer than a nanosecond"
							   : " is not a whole number of bytes");
		return false;
	}
	return in_bounds(p, row, value, *ret);
}

static bool read_percent(const struct fault_parse *p, const struct fault_row *row,
			 struct span value, uint64_t *ret)
{
	struct span rest = value;
	bool is_percent, ok;
	struct fault_out o;
	struct decimal d;

	ok = read_decimal(&rest, &d);
	is_percent = ok && rest.n == 1 && *rest.p == '%';
	if (!ok || (rest.n && !is_percent)) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " has to be a percentage like 2.5%, or a number from 0 to 1");
		return false;
	}
	if (!is_percent && (d.whole > 1 || (d.whole == 1 && d.frac))) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " without % is a number from 0 to 1: did you mean ");
		fault_put_quoted(&o, value);
		fault_put(&o, " followed by %?");
		return false;
	}
	if (!scale_decimal(&d, is_percent ? FAULT_PPM / 100 : FAULT_PPM, ret)) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " is finer than a millionth");
		return false;
	}
	return in_bounds(p, row, value, *ret);
}

static bool read_number(const struct fault_parse *p, const struct fault_row *row, struct span value,
			uint64_t *ret)
{
	bool negative = value.n && *value.p == '-' && row->min < 0;
	struct span rest = value;
	struct fault_out o;
	bool any;

	rest.p += negative;
	rest.n -= negative;
	any = fault_read_digits(&rest, ret);
	if (!any && *ret != UINT64_MAX) {
		o = fault_blame(p, value, row->name);
		fault_put(&o, " has to be a number");
		return false;
	}
	if (any && rest.n) {
		o = fault_blame(p, rest, row->name);
		fault_put(&o, " is a plain number: nothing may follow it");
		return false;
	}
	if (row->min >= 0)
		return in_bounds(p, row, value, *ret);
	if (*ret > (uint64_t)INT64_MAX + negative) {
		fault_blame_bounds(p, row, value);
		return false;
	}
	if (negative)
		*ret = -*ret;
	return true;
}

static bool read_named(const struct fault_parse *p, struct span value, bool is_errno, uint64_t *ret)
{
	fault_words *words = is_errno ? fault_errno_word : fault_signal_word;
	struct span name = value;
	int i;

	if (!is_errno && name.n > 3 && memcmp(name.p, "SIG", 3) == 0) {
		name.p += 3;
		name.n -= 3;
	}
	i = fault_find_word(name, words, NULL);
	if (i < 0) {
		fault_blame_word(p, name,
				 is_errno ? "the name of an error, as in errno(3)"
					  : "the name of a signal",
				 words, NULL);
		return false;
	}
	*ret = is_errno ? fault_errno_number((unsigned)i) : fault_signal_number((unsigned)i);
	return true;
}

static struct span row_word(const void *of, unsigned i)
{
	return fault_row_word(of, i);
}

static bool read_word(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t *ret)
{
	int i = fault_find_word(value, row_word, row);
	struct fault_out o;

	if (i < 0) {
		o = fault_blame(p, value, "");
		if (value.n) {
			fault_put_quoted(&o, value);
			fault_put(&o, " is no value of ");
		} else {
			fault_put(&o, "the value of ");
		}
		fault_put(&o, row->name);
		if (!value.n)
			fault_put(&o, " is missing here");
		fault_expect_words(p, value, row_word, row);
		return false;
	}
	*ret = (uint64_t)i;
	return true;
}

bool fault_read_value(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t *ret)
{
	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_TIME:
		return read_in_units(p, row, value, fault_time_units, ret);
	case FAULT_TYPE_SIZE:
		return read_in_units(p, row, value, fault_size_units, ret);
	case FAULT_TYPE_RATE:
		return read_in_units(p, row, value, fault_rate_units, ret);
	case FAULT_TYPE_PERCENT:
		return read_percent(p, row, value, ret);
	case FAULT_TYPE_ERRNO:
	case FAULT_TYPE_SIGNAL:
		return read_named(p, value, row->type == FAULT_TYPE_ERRNO, ret);
	case FAULT_TYPE_WORD:
	case FAULT_TYPE_CONN_KEY:
		return read_word(p, row, value, ret);
	default:
		return read_number(p, row, value, ret);
	}
}

bool fault_is_usual(const struct fault_row *row, uint64_t v)
{
	uint64_t usual;

	/* Nobody is blamed: what the table says can be read. */
	return *row->usual && fault_read_value(NULL, row, fault_span(row->usual), &usual) &&
	       usual == v;
}
