/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding: the catalogue as data, and names for its parts.  Everything comes from finding.def.
 */
#include "core/finding/finding.h"

static const struct finding_info table[FINDING_COUNT] = {
#define FINDING(i, n, sev, sc, x, t, w, f, e) \
	[FINDING_##i] = {                     \
		.id = n,                      \
		.severity = SEVERITY_##sev,   \
		.scope = SCOPE_##sc,          \
		.explained = x,               \
		.title = t,                   \
		.why = w,                     \
		.fix = f,                     \
		.evidence = e,                \
	},
#include "core/finding/finding.def"
#undef FINDING
};

static const char *const severities[] = {
	[SEVERITY_INFO] = "info",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_ERROR] = "error",
	[SEVERITY_CRITICAL] = "critical",
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const char *severity_name(enum severity s)
{
	return (unsigned)s < CORE_ARRAY_LEN(severities) ? severities[s] : "unknown";
}

bool severity_from_name(const char *name, enum severity *ret)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(severities); i++) {
		if (same(name, severities[i])) {
			*ret = (enum severity)i;
			return true;
		}
	}
	return false;
}

const struct finding_info *finding_info(enum finding_id id)
{
	return (unsigned)id < FINDING_COUNT ? &table[id] : NULL;
}

bool finding_from_name(const char *name, enum finding_id *ret)
{
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		if (same(name, table[i].id)) {
			*ret = (enum finding_id)i;
			return true;
		}
	}
	return false;
}

void finding_options_default(struct finding_options *o)
{
	const uint64_t second = UINT64_C(1000000000);

	*o = (struct finding_options){
		.never_answered_ns = 5 * second,
		.relay_ns = second,
		.closed_right_after_ns = second,
		.close_wait_ns = 30 * second,
		.silent_ns = 30 * second,
		.orphan_ns = 5 * second,
		.log_near_ns = second / 20,
		.timer_percent = 2,
	};
}
