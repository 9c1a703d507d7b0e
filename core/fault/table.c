/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/table: the tables, as constants.
 */
#include "core/fault/table.h"

/* ---- faults ---- */

static const struct {
	const char *name, *aliases, *sites, *says;
	uint8_t kind;
} faults[FAULT_COUNT] = {
#define FAULT(id, name, aliases, kind, sites, says) {name, aliases, sites, says, FAULT_KIND_##kind},
#include "core/fault/fault.def"
#undef FAULT
};

const struct fault_row fault_param_rows[FAULT_COUNT][FAULT_PARAMS] = {
#define FAULT(...)
#define PARAM(fault, name, type, usual, min, max, says) \
	[FAULT_##fault][FAULT_##fault##_##name] = {#name, usual, says, min, max, FAULT_TYPE_##type},
#include "core/fault/fault.def"
#undef FAULT
};

const struct fault_row fault_key_rows[FAULT_KEY_COUNT] = {
#define KEY(id, name, type, min, max, says) {name, "", says, min, max, FAULT_TYPE_##type},
#include "core/fault/key.def"
};

const char *fault_name(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? faults[id].name : "unknown";
}

enum fault_kind fault_kind_of(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? (enum fault_kind)faults[id].kind : FAULT_KIND_REFUSED;
}

bool fault_acts_behind(enum fault_id id)
{
	switch (id) {
	case FAULT_CLOSE:
	case FAULT_HALF_CLOSE:
	case FAULT_RESET:
	case FAULT_DROP:
	case FAULT_LIMIT:
	case FAULT_PAUSE:
	case FAULT_KILL:
	case FAULT_SIGNAL:
		return true;
	default:
		return false;
	}
}

const char *fault_says(enum fault_id id)
{
	return (unsigned)id < FAULT_COUNT ? faults[id].says : "";
}

const char *fault_sites(enum fault_id id)
{
	return faults[id].sites;
}

const char *fault_aliases(enum fault_id id)
{
	return faults[id].aliases;
}

const char *fault_param_name(enum fault_id id, unsigned i)
{
	return (unsigned)id < FAULT_COUNT && i < FAULT_PARAMS ? fault_param_rows[id][i].name : NULL;
}

/* ---- units ---- */

const struct fault_unit_word fault_time_units[] = {
	{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}, {NULL, 0},
};
const struct fault_unit_word fault_rate_units[] = {
	{"gbit", 125000000}, {"GBps", 1000000000}, {"mbit", 125000}, {"MBps", 1000000},
	{"kbit", 125},	     {"KBps", 1000},	   {NULL, 0},
};
const struct fault_unit_word fault_size_units[] = {
	{"GiB", 1 << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000}, {"KiB", 1 << 10},
	{"KB", 1000},	  {"B", 1},	      {"", 1},		{NULL, 0},
};

/* ---- words ---- */

/* `says` starts with the words: a|b|c, a blank follows. */
struct span fault_row_word(const struct fault_row *row, unsigned i)
{
	const char *p = row->says;
	size_t n = 0;

	for (; i; i--) {
		while (*p && *p != ' ' && *p != '|')
			p++;
		if (*p != '|')
			return (struct span){NULL, 0};
		p++;
	}
	while (p[n] && p[n] != ' ' && p[n] != '|')
		n++;
	return (struct span){(const uint8_t *)p, n};
}

struct named {
	const char *name;
	uint32_t number;
};

static const struct named errnos[] = {
#define NAMED_ERRNO(name, number) {#name, number},
#include "core/fault/named.def"
};

static const struct named signals[] = {
#define NAMED_SIGNAL(name, number) {#name, number},
#include "core/fault/named.def"
};

struct span fault_errno_word(const void *none, unsigned i)
{
	return fault_span(i < CORE_ARRAY_LEN(errnos) ? errnos[i].name : NULL);
}

struct span fault_signal_word(const void *none, unsigned i)
{
	return fault_span(i < CORE_ARRAY_LEN(signals) ? signals[i].name : NULL);
}

uint32_t fault_errno_number(unsigned i)
{
	return errnos[i].number;
}

uint32_t fault_signal_number(unsigned i)
{
	return signals[i].number;
}

const char *fault_errno_name(uint64_t number)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(errnos); i++) {
		if (errnos[i].number == number)
			return errnos[i].name;
	}
	return NULL;
}

const char *fault_signal_name(uint64_t number)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(signals); i++) {
		if (signals[i].number == number)
			return signals[i].name;
	}
	return NULL;
}
