/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/value: digits, an optional fraction, a unit.  Nothing is rounded up, nothing wraps around.
 */
#include "tools/verb/value.h"

#include <string.h>
#include <strings.h>

#include "core/core.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const char too_large[] = "is too large";

/* Digits at *text, moved past; false when there is none or they overflow (then *ret_large). */
static bool digits(const char **text, uint64_t *ret, bool *ret_large)
{
	const char *p = *text;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
			*ret_large = true;
			return false;
		}
	}
	if (p == *text)
		return false;
	*text = p;
	*ret = v;
	return true;
}

/* ".5" of a unit, at most nine digits; false when it is no fraction. */
static bool fraction(const char **text, uint64_t factor, uint64_t *ret)
{
	const char *p = *text + 1;
	uint64_t v = 0, scale = 1;

	for (; *p >= '0' && *p <= '9' && scale < 1000000000; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		scale *= 10;
	}
	if (scale == 1)
		return false;
	*text = p;
	*ret = (uint64_t)((__uint128_t)factor * v / scale);
	return true;
}

/* Where the unit of a number starts: behind digits and a fraction. */
static const char *unit_of(const char *text)
{
	return text + strspn(text, "0123456789.");
}

static const char *scaled(const char *text, const struct unit *units, const char *wrong,
			  uint64_t *ret)
{
	uint64_t whole, part = 0;
	bool large = false;
	const char *name = unit_of(text);

	while (units->name && strcasecmp(name, units->name))
		units++;
	if (!units->name)
		return wrong;
	if (!digits(&text, &whole, &large))
		return large ? too_large : wrong;
	if (*text == '.' && !fraction(&text, units->factor, &part))
		return wrong;
	if (text != name)
		return wrong;
	if (__builtin_mul_overflow(whole, units->factor, &whole) ||
	    __builtin_add_overflow(whole, part, &whole))
		return too_large;
	*ret = whole;
	return NULL;
}

const char *value_time(const char *text, uint64_t *ret)
{
	static const struct unit units[] = {
		{"ns", 1},
		{"us", 1000},
		{"ms", 1000000},
		{"s", UINT64_C(1000000000)},
		{"m", UINT64_C(60000000000)},
		{"min", UINT64_C(60000000000)},
		{"h", UINT64_C(3600000000000)},
		{"d", UINT64_C(86400000000000)},
		{NULL, 0},
	};

	if (text[0] && !*unit_of(text)) {
		if (strcmp(text, "0"))
			return "has no unit: write it with ms, s, m or h, as in 5s or 300ms";
		*ret = 0;
		return NULL;
	}
	return scaled(text, units, "is no duration: write a number with ms, s, m or h, as in 5s",
		      ret);
}

const char *value_size(const char *text, uint64_t *ret)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"K", 1 << 10},
		{"KB", 1 << 10},
		{"KiB", 1 << 10},
		{"M", 1 << 20},
		{"MB", 1 << 20},
		{"MiB", 1 << 20},
		{"G", 1 << 30},
		{"GB", 1 << 30},
		{"GiB", 1 << 30},
		{"T", UINT64_C(1) << 40},
		{"TB", UINT64_C(1) << 40},
		{"TiB", UINT64_C(1) << 40},
		{NULL, 0},
	};

	return scaled(text, units, "is no size: write bytes or a number with K, M or G, as in 64M",
		      ret);
}

const char *value_number(const char *text, uint64_t *ret)
{
	bool large = false;
	uint64_t v;

	if (!digits(&text, &v, &large))
		return large ? too_large : "is no number";
	if (*text)
		return "is no number";
	*ret = v;
	return NULL;
}
