/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/rule: what the tables of faults say.
 */
#include "core/fault/rule.h"

static const char *const names[FAULT_COUNT] = {
#define FAULT(id, name, ...) name,
#include "core/fault/fault.def"
#undef FAULT
};

static const char *const says[FAULT_COUNT] = {
#define FAULT(id, name, aliases, kind, sites, text) text,
#include "core/fault/fault.def"
#undef FAULT
};

static const uint8_t kinds[FAULT_COUNT] = {
#define FAULT(id, name, aliases, kind, ...) FAULT_KIND_##kind,
#include "core/fault/fault.def"
#undef FAULT
};

static const char *const params[FAULT_COUNT][FAULT_PARAMS] = {
#define FAULT(...)
#define PARAM(fault, name, ...) [FAULT_##fault][FAULT_##fault##_##name] = #name,
#include "core/fault/fault.def"
#undef FAULT
};

const char *fault_name(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? names[id] : "unknown";
}

enum fault_kind fault_kind_of(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? (enum fault_kind)kinds[id] : FAULT_KIND_REFUSED;
}

const char *fault_says(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? says[id] : "";
}

const char *fault_param_name(enum fault_id id, unsigned i)
{
	return (unsigned)id < FAULT_COUNT && i < FAULT_PARAMS ? params[id][i] : NULL;
}

bool fault_in_range(const struct fault_range *r, uint64_t n)
{
	return !r->step || (n >= r->first && n <= r->last && (n - r->first) % r->step == 0);
}
