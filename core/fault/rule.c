/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/rule: the texts of a compiled rule, and whether a rule that somebody else wrote can be read.
 *
 * A rule that checks can be printed, matched and decided without looking at a bound again.
 */
#include "core/fault/parse_internal.h"

bool fault_in_range(const struct fault_range *r, uint64_t n)
{
	return !r->step || (n >= r->first && n <= r->last && (n - r->first) % r->step == 0);
}

/* ---- texts ---- */

/* The texts outside of faults, in the order in which they are kept. */
#define TEXT(field, plain)                                \
	{                                                 \
		offsetof(struct fault_rule, field), plain \
	}
static const struct {
	uint16_t off;
	bool plain; /* a name: kept as it is written */
} texts[] = {
	TEXT(call, true),	  TEXT(path, false),	TEXT(host, false),  TEXT(field_name, true),
	TEXT(field_value, false), TEXT(upgrade, false), TEXT(proto, false), TEXT(key_name, true),
};

static struct fault_text *text_at(struct fault_rule *r, unsigned i)
{
	return (struct fault_text *)(void *)((char *)r + texts[i].off);
}

/* Copy one; *t becomes its place in the rule. */
static bool keep(const struct fault_parse *p, struct fault_text *t, bool plain)
{
	struct span raw = {p->rule + t->off, t->len};
	struct fault_rule *r = p->r;
	size_t room = (size_t)FAULT_TEXT - r->text_len, n = raw.n;
	char *to = r->text + r->text_len;

	if (!plain)
		n = fault_decode(raw, to, room);
	else if (n <= room)
		memcpy(to, raw.p, n);
	if (n > room) {
		fault_blame(p, raw, "the texts of a rule have at most 512 bytes together");
		return false;
	}
	*t = (struct fault_text){r->text_len, (uint16_t)n};
	r->text_len = (uint16_t)(r->text_len + n);
	return true;
}

bool fault_keep_texts(const struct fault_parse *p)
{
	struct fault_rule *r = p->r;

	for (unsigned i = 0; i < r->acts; i++) {
		const struct fault_row *row = fault_param_rows[r->act[i].fault];
		uint64_t *v = r->act[i].param;

		for (unsigned k = 0; k < FAULT_PARAMS; k++) {
			bool is_name = row[k].type == FAULT_TYPE_UNTIL &&
				       v[k] >> 32 == FAULT_UNTIL_RELEASE;
			struct fault_text t = {(uint16_t)(v[k] >> 16), (uint16_t)v[k]};

			if (!is_name && row[k].type != FAULT_TYPE_BYTES)
				continue;
			if (!keep(p, &t, is_name))
				return false;
			v[k] = (v[k] >> 32 << 32) | (uint32_t)t.off << 16 | t.len;
		}
	}
	for (unsigned i = 0; i < CORE_ARRAY_LEN(texts); i++) {
		struct fault_text *t = text_at(r, i);

		if (t->len && !keep(p, t, texts[i].plain))
			return false;
	}
	return true;
}

/* ---- checks ---- */

static bool text_fits(const struct fault_rule *r, uint64_t off, uint64_t len)
{
	return off + len <= r->text_len;
}

static bool is_name(const struct fault_rule *r, struct fault_text t)
{
	for (unsigned i = 0; i < t.len; i++) {
		if (!http_is_token((uint8_t)r->text[t.off + i]))
			return false;
	}
	return true;
}

static bool texts_check(const struct fault_rule *r)
{
	if (r->text_len > FAULT_TEXT)
		return false;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(texts); i++) {
		const void *at = (const char *)r + texts[i].off;
		const struct fault_text *t = at;

		if (!text_fits(r, t->off, t->len) || (texts[i].plain && !is_name(r, *t)))
			return false;
	}
	return (r->site != FAULT_SITE_CALL || r->call.len) &&
	       (r->conn_key != FAULT_BY_FIELD || r->key_name.len);
}

static bool until_checks(const struct fault_rule *r, uint64_t v)
{
	struct fault_text name = {(uint16_t)(v >> 16), (uint16_t)v};

	switch (v >> 32) {
	case FAULT_UNTIL_RELEASE:
		return name.len && name.len < FAULT_NAME && text_fits(r, name.off, name.len) &&
		       is_name(r, name);
	case FAULT_UNTIL_PHASE:
		return (uint32_t)v < PHASE_COUNT;
	default:
		return v >> 32 == FAULT_UNTIL_TIME && (uint32_t)v;
	}
}

static bool value_checks(const struct fault_rule *r, const struct fault_row *row, uint64_t v)
{
	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_NONE:
		return !v;
	case FAULT_TYPE_ERRNO:
		return fault_errno_name(v) != NULL;
	case FAULT_TYPE_SIGNAL:
		return fault_signal_name(v) != NULL;
	case FAULT_TYPE_WORD:
	case FAULT_TYPE_CONN_KEY:
		return v <= UINT8_MAX && fault_row_word(row, (unsigned)v).p;
	case FAULT_TYPE_BYTES:
		return v >> 32 == 0 && (uint16_t)v && text_fits(r, v >> 16, v & 0xffff);
	case FAULT_TYPE_UNTIL:
		return until_checks(r, v);
	case FAULT_TYPE_METHOD:
		return v < HTTP_METHOD_COUNT;
	default:
		return row->min < 0 || (v >= (uint64_t)row->min && v <= (uint64_t)row->max);
	}
}

static bool acts_check(const struct fault_rule *r)
{
	if (!r->acts || r->acts > FAULT_ACTS)
		return false;
	for (unsigned i = 0; i < r->acts; i++) {
		const struct fault_act *act = &r->act[i];

		if (act->fault >= FAULT_COUNT ||
		    fault_kind_of((enum fault_id)act->fault) == FAULT_KIND_REFUSED)
			return false;
		for (unsigned k = 0; k < FAULT_PARAMS; k++) {
			if (!value_checks(r, &fault_param_rows[act->fault][k], act->param[k]))
				return false;
		}
		if (act->fault == FAULT_SLICE &&
		    act->param[FAULT_SLICE_var] >= act->param[FAULT_SLICE_size])
			return false;
	}
	return true;
}

static bool range_checks(const struct fault_range *range)
{
	return range->step && range->first <= range->last;
}

static bool key_checks(const struct fault_rule *r, enum fault_key key)
{
	const struct fault_row *row = &fault_key_rows[key];

	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_CIDR:
		return r->peer_bits <= 128;
	case FAULT_TYPE_RANGE:
		return key == FAULT_KEY_WHEN	 ? r->whens != 0
		       : key == FAULT_KEY_CONN	 ? range_checks(&r->conn)
		       : key == FAULT_KEY_STATUS ? range_checks(&r->status)
						 : range_checks(&r->frame);
	case FAULT_TYPE_FIELD:
		return r->field_name.len != 0;
	case FAULT_TYPE_GLOB:
		return true;
	case FAULT_TYPE_CALL:
		return r->call.len != 0;
	default:
		return value_checks(r, row, fault_key_get(r, key));
	}
}

static bool keys_check(const struct fault_rule *r)
{
	if (r->given >> FAULT_KEY_COUNT || r->whens > FAULT_WHENS)
		return false;
	for (unsigned i = 0; i < r->whens; i++) {
		if (!range_checks(&r->when[i]))
			return false;
	}
	for (unsigned key = 0; key < FAULT_KEY_COUNT; key++) {
		if (fault_given(r, (enum fault_key)key) && !key_checks(r, (enum fault_key)key))
			return false;
	}
	return r->per <= FAULT_PER_PHASE && r->conn_key <= FAULT_BY_FIELD;
}

static bool name_checks(const struct fault_rule *r)
{
	unsigned n = 0;

	while (n < FAULT_NAME && http_is_token((uint8_t)r->name[n]))
		n++;
	return n && n < FAULT_NAME && !r->name[n];
}

bool fault_rule_check(const struct fault_rule *r)
{
	bool bytes = r->site == FAULT_SITE_BYTES;

	if (!name_checks(r) || r->site > FAULT_SITE_WAIT || r->stream > 2 || r->dirs > 3 ||
	    bytes != (r->dirs != 0) || (!bytes && r->stream))
		return false;
	if (r->phase > PHASE_COUNT || r->where > FAULT_WHERE_END ||
	    (r->phase == PHASE_COUNT) != (r->where == FAULT_WHERE_ALL))
		return false;
	return texts_check(r) && acts_check(r) && keys_check(r);
}
