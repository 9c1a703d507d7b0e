/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/key: which field of a rule a key means.
 */
#include "core/fault/table.h"

struct fault_range *fault_key_range(struct fault_rule *r, enum fault_key key)
{
	switch (key) {
	case FAULT_KEY_CONN:
		return &r->conn;
	case FAULT_KEY_STATUS:
		return &r->status;
	case FAULT_KEY_FRAME:
		return &r->frame;
	default:
		return &r->when[r->whens];
	}
}

struct fault_text *fault_key_text(struct fault_rule *r, enum fault_key key)
{
	switch (key) {
	case FAULT_KEY_PATH:
		return &r->path;
	case FAULT_KEY_HOST:
		return &r->host;
	case FAULT_KEY_UPGRADE:
		return &r->upgrade;
	default:
		return &r->proto;
	}
}

/* Offset and size of the field behind a key of one number. */
#define PLACE(key, field)                                        \
	[FAULT_KEY_##key] = {offsetof(struct fault_rule, field), \
			     sizeof(((struct fault_rule *)0)->field)}
static const struct {
	uint16_t off, size;
} places[FAULT_KEY_COUNT] = {
	PLACE(ROLE, role),
	PLACE(PORT, port),
	PLACE(UNIX, unix_socket),
	PLACE(METHOD, method),
	PLACE(OP, op),
	PLACE(PER, per),
	PLACE(TIMES, times),
	PLACE(SPACE, space),
	PLACE(INTERVAL, interval),
	PLACE(P, p),
	PLACE(CORR, corr),
	PLACE(ACTIVATE, activate),
	PLACE(AFTER, after_ns),
	PLACE(FOR, for_ns),
	PLACE(UNTIL, until_ns),
	PLACE(CONN_KEY, conn_key),
	PLACE(ILLEGAL, illegal),
};

void fault_key_set(struct fault_rule *r, enum fault_key key, uint64_t v)
{
	/* Little endian: the low bytes are those at the front. */
	memcpy((char *)r + places[key].off, &v, places[key].size);
}

uint64_t fault_key_get(const struct fault_rule *r, enum fault_key key)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)r + places[key].off, places[key].size);
	return v;
}
