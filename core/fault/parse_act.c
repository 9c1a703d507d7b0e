/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_act: the faults of a rule with their parameters, and the keys behind them.
 */
#include "core/fault/parse_internal.h"
#include "core/fault/site.h"

/* ---- words of faults ---- */

/* The i-th of words that are separated by blanks. */
static struct span nth_word(const char *list, unsigned i)
{
	size_t n = 0;

	for (; i && *list; list++)
		i -= *list == ' ';
	while (list[n] && list[n] != ' ')
		n++;
	return (struct span){(const uint8_t *)(n ? list : NULL), n};
}

static struct span alias_word(const void *list, unsigned i)
{
	return nth_word(list, i);
}

enum fault_id fault_of_word(struct span word)
{
	for (unsigned id = 0; id < FAULT_COUNT; id++) {
		if (fault_same(word, fault_span(fault_name((enum fault_id)id))) ||
		    (word.n &&
		     fault_find_word(word, alias_word, fault_aliases((enum fault_id)id)) >= 0))
			return (enum fault_id)id;
	}
	return FAULT_COUNT;
}

struct span fault_fault_word(const void *none, unsigned i)
{
	while (i < FAULT_COUNT && fault_kind_of((enum fault_id)i) == FAULT_KIND_REFUSED)
		i++; /* they stand last */
	return fault_span(i < FAULT_COUNT ? fault_name((enum fault_id)i) : NULL);
}

/* ---- parameters ---- */

static struct span param_word(const void *rows, unsigned i)
{
	const struct fault_row *row = rows;

	return fault_span(i < FAULT_PARAMS ? row[i].name : NULL);
}

static bool read_param(const struct fault_parse *p, const struct fault_row *row, struct span value,
		       uint64_t *ret)
{
	struct fault_text at;

	if (row->type == FAULT_TYPE_UNTIL)
		return fault_read_until(p, row, value, ret);
	if (row->type != FAULT_TYPE_BYTES)
		return fault_read_value(p, row, value, ret);
	if (!fault_read_text(p, value, &at))
		return false;
	*ret = (uint64_t)at.off << 16 | at.len;
	return true;
}

static bool looks_like_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)(s.p[i] - 'a') >= 26 && s.p[i] != '_')
			return false;
	}
	return s.n != 0;
}

/* Arguments under way. */
struct args {
	const struct fault_row *rows;
	uint64_t *param;
	struct span word; /* of the fault */
	uint32_t given;	  /* bit per parameter */
	int next;	  /* whose turn it is without a name */
	bool named;	  /* one had a name */
};

/* Which parameter an argument is for; *arg becomes its value.  -1: none. */
static int param_of(const struct fault_parse *p, struct args *a, struct span *arg)
{
	struct fault_out o;
	struct span name, value;
	int i;

	if (fault_split(*arg, &name, &value) && looks_like_name(name)) {
		a->named = true;
		*arg = value;
		i = fault_find_word(name, param_word, a->rows);
		if (i >= 0)
			return i;
		o = fault_blame(p, name, "");
		fault_put_quoted(&o, name);
		fault_put(&o, " is no parameter of ");
		fault_put_quoted(&o, a->word);
		fault_expect_words(p, name, param_word, a->rows);
		return -1;
	}
	if (a->named) {
		fault_blame(p, *arg, "behind a parameter with its name all others need theirs");
		fault_expect_words(p, (struct span){NULL, 0}, param_word, a->rows);
		return -1;
	}
	if (a->next < FAULT_PARAMS && a->rows[a->next].name)
		return a->next++;
	o = fault_blame(p, *arg, "");
	fault_put_quoted(&o, a->word);
	fault_put(&o, a->next ? " takes no further value" : " takes no value");
	return -1;
}

static bool read_arg(const struct fault_parse *p, struct args *a, struct span arg)
{
	struct fault_out o;
	int i = param_of(p, a, &arg);

	if (i < 0)
		return false;
	if (a->given >> i & 1) {
		o = fault_blame(p, arg, a->rows[i].name);
		fault_put(&o, " is given twice");
		return false;
	}
	a->given |= 1u << i;
	return read_param(p, &a->rows[i], arg, &a->param[i]);
}

static bool read_defaults(const struct fault_parse *p, const struct args *a)
{
	struct fault_out o;

	for (unsigned i = 0; i < FAULT_PARAMS && a->rows[i].name; i++) {
		if (a->given >> i & 1)
			continue;
		if (!*a->rows[i].usual) {
			o = fault_blame(p, a->word, "");
			fault_put_quoted(&o, a->word);
			fault_put(&o, " needs ");
			fault_put(&o, a->rows[i].name);
			fault_put(&o, " (");
			fault_put(&o, a->rows[i].says);
			fault_put(&o, ")");
			fault_expect_words(p, (struct span){NULL, 0}, param_word, a->rows);
			return false;
		}
		if (!read_param(p, &a->rows[i], fault_span(a->rows[i].usual), &a->param[i]))
			return false;
	}
	return true;
}

/* ---- faults ---- */

static bool read_word(const struct fault_parse *p, struct span word, enum fault_id *ret)
{
	*ret = fault_of_word(word);
	if (*ret == FAULT_COUNT) {
		fault_blame_word(p, word, "a fault", fault_fault_word, NULL);
		return false;
	}
	if (fault_kind_of(*ret) == FAULT_KIND_REFUSED) {
		fault_blame(p, word, fault_says(*ret));
		fault_expect(p, *ret == FAULT_DUPLICATE ? "insert, frame" : "delay");
		return false;
	}
	return true;
}

/* word[=arg][,arg ...] */
static bool read_act(struct fault_parse *p, struct span piece)
{
	const char *at = (const char *)piece.p, *end = at + piece.n;
	struct fault_act *act = &p->r->act[p->r->acts];
	struct args a = {.param = act->param};
	struct span head, arg;
	enum fault_id id;
	bool has_arg;

	if (!fault_next_piece(p, &at, end, ",", &head))
		return false;
	has_arg = fault_split(head, &a.word, &arg);
	if (!has_arg)
		a.word = head;
	if (!read_word(p, a.word, &id))
		return false;
	if (p->r->acts == FAULT_ACTS) {
		fault_blame(p, a.word, "a rule has at most four faults");
		return false;
	}
	act->fault = (uint8_t)id;
	a.rows = fault_param_rows[id];
	p->act[p->r->acts++] = a.word;
	if (has_arg && !read_arg(p, &a, arg))
		return false;
	while (at) {
		if (!fault_next_piece(p, &at, end, ",", &arg) || !read_arg(p, &a, arg))
			return false;
	}
	return read_defaults(p, &a);
}

bool fault_read_acts(struct fault_parse *p, struct span acts)
{
	const char *at = (const char *)acts.p, *end = at + acts.n;
	struct span piece;

	while (at) {
		if (!fault_next_piece(p, &at, end, "+", &piece) || !read_act(p, piece))
			return false;
	}
	return true;
}

/* ---- keys ---- */

static struct span key_word(const void *none, unsigned i)
{
	return i == FAULT_KEY_HDR ? fault_span("hdr.NAME")
				  : fault_span(i < FAULT_KEY_COUNT ? fault_key_rows[i].name : NULL);
}

static const struct {
	const char *word, *says;
} declined[] = {
#define KEY(...)
#define DECLINED(name, says) {name, says},
#include "core/fault/key.def"
};

/* Is it a word of those?  Then it is blamed. */
static bool is_declined(const struct fault_parse *p, struct span word)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(declined); i++) {
		if (!fault_same(word, fault_span(declined[i].word)))
			continue;
		fault_blame(p, word, declined[i].says);
		return true;
	}
	return false;
}

/* The key a word means; the field's name is cut off *word when it is hdr.NAME. */
static int key_of(const struct fault_parse *p, struct span *word, struct span *ret_field)
{
	struct fault_out o;
	int i;

	if (word->n >= 4 && memcmp(word->p, "hdr.", 4) == 0) {
		*ret_field = (struct span){word->p + 4, word->n - 4};
		return FAULT_KEY_HDR;
	}
	i = fault_find_word(*word, key_word, NULL);
	if (i >= 0 && i != FAULT_KEY_HDR)
		return i;
	if (fault_of_word(*word) != FAULT_COUNT) {
		o = fault_blame(p, *word, "faults are joined by +, as in delay=1ms+reset: ");
		fault_put_quoted(&o, *word);
		fault_put(&o, " is no key");
		return -1;
	}
	if (!is_declined(p, *word))
		fault_blame_word(p, *word, "a key", key_word, NULL);
	return -1;
}

static bool read_call(const struct fault_parse *p, struct span value)
{
	if (fault_find_word(value, fault_call_word, NULL) < 0) {
		fault_blame_word(p, value, "a call that can be named", fault_call_word, NULL);
		return false;
	}
	p->r->call = (struct fault_text){(uint16_t)(value.p - p->rule), (uint16_t)value.n};
	return true;
}

static bool read_conn_key(const struct fault_parse *p, const struct fault_row *row,
			  struct span value, uint64_t *ret)
{
	if (value.n >= 4 && memcmp(value.p, "hdr.", 4) == 0) {
		*ret = FAULT_BY_FIELD;
		value.p += 4;
		value.n -= 4;
		return fault_read_field(p, value, &p->r->key_name);
	}
	return fault_read_value(p, row, value, ret);
}

static bool read_key_value(struct fault_parse *p, enum fault_key key, struct span field,
			   struct span value)
{
	const struct fault_row *row = &fault_key_rows[key];
	struct fault_rule *r = p->r;
	uint64_t v = 0;

	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_CIDR:
		return fault_read_peer(p, value);
	case FAULT_TYPE_RANGE:
		return fault_read_range(p, row, value, fault_key_range(r, key));
	case FAULT_TYPE_FIELD:
		return fault_read_field(p, field, &r->field_name) &&
		       fault_read_text(p, value, &r->field_value);
	case FAULT_TYPE_GLOB:
		return fault_read_text(p, value, fault_key_text(r, key));
	case FAULT_TYPE_METHOD:
		return fault_read_method(p, value);
	case FAULT_TYPE_CALL:
		return read_call(p, value);
	case FAULT_TYPE_CONN_KEY:
		if (!read_conn_key(p, row, value, &v))
			return false;
		break;
	default:
		if (!fault_read_value(p, row, value, &v))
			return false;
	}
	fault_key_set(r, key, v);
	return true;
}

/* key=value */
bool fault_read_key(struct fault_parse *p, struct span piece)
{
	struct span word = piece, field = {NULL, 0}, value;
	bool has_value = fault_split(piece, &word, &value);
	struct fault_out o;
	int key;

	if (!has_value)
		word = piece;
	key = key_of(p, &word, &field);
	if (key < 0)
		return false;
	if (!has_value) {
		o = fault_blame(p, word, fault_key_rows[key].name);
		fault_put(&o, " needs = and a value");
		return false;
	}
	if (key == FAULT_KEY_WHEN && p->r->whens == FAULT_WHENS) {
		fault_blame(p, word, "when may be given at most four times");
		return false;
	}
	if (key != FAULT_KEY_WHEN && fault_given(p->r, (enum fault_key)key)) {
		o = fault_blame(p, word, fault_key_rows[key].name);
		fault_put(&o, " is given twice");
		return false;
	}
	p->key_off[key] = (uint16_t)(word.p - p->rule);
	if (!read_key_value(p, (enum fault_key)key, field, value))
		return false;
	p->r->given |= UINT64_C(1) << key;
	p->r->whens += key == FAULT_KEY_WHEN;
	return true;
}
