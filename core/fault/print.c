/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/print: a rule in the one way of writing it that we use: with its name, the first parameter of a
 * fault without name and the others with, what has its usual value left out, keys in the order of key.def.
 */
#include "core/fault/out.h"

static void put_text(struct fault_out *o, const struct fault_rule *r, struct fault_text t)
{
	fault_put_text(o, r->text + t.off, t.len, true);
}

static void put_raw(struct fault_out *o, const struct fault_rule *r, struct fault_text t)
{
	for (unsigned i = 0; i < t.len; i++)
		fault_put_byte(o, r->text[t.off + i]);
}

static void put_site(struct fault_out *o, const struct fault_rule *r)
{
	static const char *const dirs[] = {"", "rx", "tx", "any"};
	static const char *const streams[] = {"", "upstream", "downstream"};
	static const char *const others[] = {
		[FAULT_SITE_ACCEPT] = "accept",
		[FAULT_SITE_CONNECT] = "connect",
		[FAULT_SITE_WAIT] = "wait",
	};

	if (r->site == FAULT_SITE_CALL)
		put_raw(o, r, r->call);
	else if (r->site != FAULT_SITE_BYTES)
		fault_put(o, others[r->site]);
	else
		fault_put(o, r->stream ? streams[r->stream] : dirs[r->dirs]);
	if (r->where == FAULT_WHERE_ALL)
		return;
	fault_put_byte(o, '@');
	fault_put(o, phase_name((enum phase)r->phase));
	if (r->where == FAULT_WHERE_RAND)
		fault_put(o, "+rand");
	if (r->where == FAULT_WHERE_END)
		fault_put(o, ".end");
	if (r->where == FAULT_WHERE_OFFSET) {
		fault_put_byte(o, '+');
		fault_put_number(o, r->at);
	}
}

static void put_until(struct fault_out *o, const struct fault_rule *r, uint64_t v)
{
	static const struct fault_row time = {.type = FAULT_TYPE_TIME};
	struct fault_text name = {(uint16_t)(v >> 16), (uint16_t)v};

	switch (v >> 32) {
	case FAULT_UNTIL_RELEASE:
		fault_put(o, "release.");
		put_raw(o, r, name);
		break;
	case FAULT_UNTIL_PHASE:
		fault_put(o, phase_name((enum phase)(uint32_t)v));
		break;
	default:
		fault_put_value(o, &time, (uint64_t)(uint32_t)v * 1000000);
	}
}

static void put_param(struct fault_out *o, const struct fault_rule *r, const struct fault_row *row,
		      uint64_t v)
{
	if (row->type == FAULT_TYPE_BYTES)
		fault_put_text(o, r->text + (v >> 16), v & 0xffff, false);
	else if (row->type == FAULT_TYPE_UNTIL)
		put_until(o, r, v);
	else
		fault_put_value(o, row, v);
}

static void put_act(struct fault_out *o, const struct fault_rule *r, const struct fault_act *act)
{
	const struct fault_row *row = fault_param_rows[act->fault];

	fault_put(o, fault_name((enum fault_id)act->fault));
	for (unsigned i = 0; i < FAULT_PARAMS && row[i].name; i++) {
		if (fault_is_usual(&row[i], act->param[i]))
			continue;
		fault_put_byte(o, i ? ',' : '=');
		if (i) {
			fault_put(o, row[i].name);
			fault_put_byte(o, '=');
		}
		put_param(o, r, &row[i], act->param[i]);
	}
}

static void put_range(struct fault_out *o, const struct fault_range *range)
{
	fault_put_number(o, range->first);
	if (range->last == UINT64_MAX) {
		fault_put_byte(o, '+');
	} else if (range->last != range->first) {
		fault_put(o, "..");
		fault_put_number(o, range->last);
		if (range->step > 1)
			fault_put_byte(o, '+');
	}
	if (range->step > 1)
		fault_put_number(o, range->step);
}

static unsigned group_of(const uint8_t ip[16], unsigned i)
{
	return (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]);
}

/* Where the longest run of two or more zero groups begins; 8: there is none. */
static unsigned longest_gap(const uint8_t ip[16], unsigned *ret_groups)
{
	unsigned best = 8, run = 0;

	*ret_groups = 1;
	for (unsigned i = 0; i < 8; i++) {
		run = group_of(ip, i) ? 0 : run + 1;
		if (run > *ret_groups) {
			*ret_groups = run;
			best = i + 1 - run;
		}
	}
	return best;
}

/* Source: RFC 5952 section 4. */
static void put_v6(struct fault_out *o, const uint8_t ip[16])
{
	static const char hex[] = "0123456789abcdef";
	unsigned groups, gap = longest_gap(ip, &groups), shift;

	for (unsigned i = 0; i < 8; i++) {
		if (i == gap) {
			fault_put(o, "::");
			i += groups - 1;
			continue;
		}
		if (i && i != gap + groups)
			fault_put_byte(o, ':');
		for (shift = 12; shift && !(group_of(ip, i) >> shift);)
			shift -= 4;
		for (; shift; shift -= 4)
			fault_put_byte(o, hex[group_of(ip, i) >> shift & 15]);
		fault_put_byte(o, hex[group_of(ip, i) & 15]);
	}
}

static void put_peer(struct fault_out *o, const struct fault_rule *r)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = memcmp(r->peer, mapped, sizeof(mapped)) == 0;

	fault_put(o, v4 ? "" : "[");
	for (unsigned i = 12; v4 && i < 16; i++) {
		fault_put(o, i > 12 ? "." : "");
		fault_put_number(o, r->peer[i]);
	}
	if (!v4) {
		put_v6(o, r->peer);
		fault_put_byte(o, ']');
	}
	if (r->peer_bits != (v4 ? 32 : 128)) {
		fault_put_byte(o, '/');
		fault_put_number(o, r->peer_bits);
	}
}

/* The fields of a rule that hold a range or a text are found through functions that also write. */
static struct fault_rule *readable(const struct fault_rule *r)
{
	return (struct fault_rule *)(uintptr_t)r;
}

static void put_key_value(struct fault_out *o, const struct fault_rule *r, enum fault_key key)
{
	const struct fault_row *row = &fault_key_rows[key];

	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_CIDR:
		put_peer(o, r);
		break;
	case FAULT_TYPE_RANGE:
		put_range(o, fault_key_range(readable(r), key));
		break;
	case FAULT_TYPE_FIELD:
		put_text(o, r, r->field_value);
		break;
	case FAULT_TYPE_GLOB:
		put_text(o, r, *fault_key_text(readable(r), key));
		break;
	case FAULT_TYPE_METHOD:
		fault_put(o, http_method_name((enum http_method)r->method));
		break;
	case FAULT_TYPE_CALL:
		put_raw(o, r, r->call);
		break;
	default:
		if (key == FAULT_KEY_CONN_KEY && r->conn_key == FAULT_BY_FIELD) {
			fault_put(o, "hdr.");
			put_raw(o, r, r->key_name);
		} else {
			fault_put_value(o, row, fault_key_get(r, key));
		}
	}
}

static void put_key(struct fault_out *o, const struct fault_rule *r, enum fault_key key)
{
	fault_put_byte(o, ':');
	fault_put(o, fault_key_rows[key].name);
	if (key == FAULT_KEY_HDR) {
		fault_put_byte(o, '.');
		put_raw(o, r, r->field_name);
	}
	fault_put_byte(o, '=');
}

size_t fault_rule_print(const struct fault_rule *r, char *to, size_t room)
{
	struct fault_out o = {to, room, 0};

	if (room)
		*to = '\0';
	fault_put(&o, r->name);
	fault_put_byte(&o, '=');
	put_site(&o, r);
	for (unsigned i = 0; i < r->acts; i++) {
		fault_put_byte(&o, i ? '+' : ':');
		put_act(&o, r, &r->act[i]);
	}
	for (unsigned key = 0; key < FAULT_KEY_COUNT; key++) {
		if (!fault_given(r, (enum fault_key)key))
			continue;
		if (key != FAULT_KEY_WHEN) {
			put_key(&o, r, (enum fault_key)key);
			put_key_value(&o, r, (enum fault_key)key);
			continue;
		}
		for (unsigned i = 0; i < r->whens; i++) {
			put_key(&o, r, FAULT_KEY_WHEN);
			put_range(&o, &r->when[i]);
		}
	}
	return o.n;
}
