/* SPDX-License-Identifier: BSD-2-Clause
 *
 * report/since: points in time, the way logs and people write them.
 */
#include <string.h>
#include <time.h>

#include "tools/verb/report.h"
#include "tools/verb/value.h"

static const uint64_t second = UINT64_C(1000000000);

/* A whole text in one of the formats, on top of the date in *tm. */
static bool parse_format(const char *text, const char *format, struct tm *tm)
{
	const char *end = strptime(text, format, tm);

	return end && !*end;
}

static bool parse_local(const char *text, const struct tm *today, bool *ret_dated, struct tm *ret)
{
	static const char *const dated[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	static const char *const timed[] = {"%H:%M:%S", "%H:%M"};
	size_t i;

	for (i = 0; i < CORE_ARRAY_LEN(dated); i++) {
		*ret = (struct tm){.tm_isdst = -1};
		*ret_dated = true;
		if (parse_format(text, dated[i], ret))
			return true;
	}
	for (i = 0; i < CORE_ARRAY_LEN(timed); i++) {
		*ret = *today;
		ret->tm_sec = 0;
		ret->tm_isdst = -1;
		*ret_dated = false;
		if (parse_format(text, timed[i], ret))
			return true;
	}
	return false;
}

bool report_since_parse(const char *text, uint64_t now_real_ns, uint64_t *ret_real_ns)
{
	time_t now = (time_t)(now_real_ns / second), then;
	uint64_t ago, seconds;
	struct tm today, tm;
	bool is_dated;

	if (text[0] == '@') {
		if (value_number(text + 1, &seconds) || seconds > UINT64_MAX / second)
			return false;
		*ret_real_ns = seconds * second;
		return true;
	}
	if (!value_time(text, &ago)) {
		*ret_real_ns = ago < now_real_ns ? now_real_ns - ago : 0;
		return true;
	}
	if (!localtime_r(&now, &today) || !parse_local(text, &today, &is_dated, &tm))
		return false;
	then = mktime(&tm);
	if (!is_dated && then > now) {
		tm.tm_mday--;
		tm.tm_isdst = -1;
		then = mktime(&tm);
	}
	if (then < 0)
		return false;
	*ret_real_ns = (uint64_t)then * second;
	return true;
}
