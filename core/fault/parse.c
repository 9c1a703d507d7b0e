/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse: a list of rules is taken apart, a rule, its site.
 */
#include "core/fault/parse_internal.h"
#include "core/fault/site.h"

/* ---- pieces ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_one_of(char c, const char *set)
{
	while (*set && *set != c)
		set++;
	return *set != '\0';
}

static struct span trimmed(const char *from, const char *to)
{
	while (from < to && is_blank(*from))
		from++;
	while (to > from && is_blank(to[-1]))
		to--;
	return (struct span){(const uint8_t *)from, (size_t)(to - from)};
}

bool fault_next_piece(const struct fault_parse *p, const char **at, const char *end,
		      const char *separators, struct span *ret_piece)
{
	const char *from = *at, *to = from, *open = NULL;

	for (; to < end && *to != '\n' && (open || !is_one_of(*to, separators)); to++) {
		if (*to == '[' && !open)
			open = to;
		else if (*to == '[' || (*to == ']' && !open)) {
			fault_blame(p, (struct span){(const uint8_t *)to, 1},
				    *to == '[' ? "a [ inside [ ] has to be written as %5B"
					       : "a ] without a [ has to be written as %5D");
			return false;
		} else if (*to == ']')
			open = NULL;
	}
	if (open) {
		fault_blame(p, (struct span){(const uint8_t *)open, 1},
			    "this [ is not closed by a ] on its line");
		return false;
	}
	*ret_piece = trimmed(from, to);
	*at = to < end ? to + 1 : NULL;
	return true;
}

bool fault_split(struct span piece, struct span *ret_name, struct span *ret_value)
{
	size_t i = 0;

	while (i < piece.n && piece.p[i] != '=' && piece.p[i] != '[')
		i++;
	if (i == piece.n || piece.p[i] == '[')
		return false;
	*ret_name = trimmed((const char *)piece.p, (const char *)piece.p + i);
	*ret_value = trimmed((const char *)piece.p + i + 1, (const char *)piece.p + piece.n);
	return true;
}

/* ---- sites ---- */

static const struct {
	const char *word;
	uint8_t site, dirs, stream;
} sites[] = {
	{"rx", FAULT_SITE_BYTES, 1 << DIR_RX, 0},
	{"tx", FAULT_SITE_BYTES, 1 << DIR_TX, 0},
	{"any", FAULT_SITE_BYTES, 1 << DIR_RX | 1 << DIR_TX, 0},
	{"upstream", FAULT_SITE_BYTES, 1 << DIR_RX, 1},
	{"downstream", FAULT_SITE_BYTES, 1 << DIR_TX, 2},
	{"accept", FAULT_SITE_ACCEPT, 0, 0},
	{"connect", FAULT_SITE_CONNECT, 0, 0},
	{"wait", FAULT_SITE_WAIT, 0, 0},
};

struct span fault_call_word(const void *none, unsigned i)
{
	return i ? fault_span(fault_call_name(i - 1)) : fault_span("%net");
}

static struct span site_word(const void *none, unsigned i)
{
	return i < CORE_ARRAY_LEN(sites) ? fault_span(sites[i].word)
					 : fault_call_word(NULL, i - CORE_ARRAY_LEN(sites));
}

/* phase, phase+N, phase+rand, phase.end */
static bool read_phase(struct fault_parse *p, struct span phase)
{
	static const struct fault_row offset = {
		"the offset", "", "", 0, FAULT_SIZE_MAX, FAULT_TYPE_NUMBER,
	};
	struct fault_rule *r = p->r;
	struct span rest;
	size_t n = 0;
	int i;

	while (n < phase.n && phase.p[n] != '+' && phase.p[n] != '.')
		n++;
	p->phase = phase;
	rest = (struct span){phase.p + n, phase.n - n};
	phase.n = n;
	i = fault_find_word(phase, fault_phase_word, NULL);
	if (i < 0) {
		fault_blame_word(p, phase, "a phase", fault_phase_word, NULL);
		return false;
	}
	r->phase = (uint8_t)i;
	r->where = FAULT_WHERE_START;
	if (!rest.n)
		return true;
	if (fault_same(rest, fault_span(".end"))) {
		r->where = FAULT_WHERE_END;
	} else if (fault_same(rest, fault_span("+rand"))) {
		r->where = FAULT_WHERE_RAND;
	} else if (rest.n > 1 && *rest.p == '+' && (uint8_t)(rest.p[1] - '0') <= 9) {
		rest.p++;
		rest.n--;
		if (!fault_read_value(p, &offset, rest, &r->at))
			return false;
		r->where = r->at ? FAULT_WHERE_OFFSET : FAULT_WHERE_START;
	} else {
		fault_blame(p, rest,
			    "behind a phase may stand its place: a number of bytes, rand, "
			    "or the end");
		fault_expect(p, "+N, +rand, .end");
		return false;
	}
	return true;
}

/* What precedes the first colon, without the name. */
bool fault_read_site(struct fault_parse *p, struct span site)
{
	const char *at = (const char *)site.p, *end = at + site.n;
	struct span word = site, phase = {NULL, 0};
	struct fault_out o;
	int i;

	for (size_t n = 0; n < site.n && !phase.p; n++) {
		if (site.p[n] == '@') {
			word = trimmed(at, at + n);
			phase = trimmed(at + n + 1, end);
		}
	}
	p->site = word;
	i = fault_find_word(word, site_word, NULL);
	if (i < 0 && fault_of_word(word) != FAULT_COUNT) {
		o = fault_blame(p, word, "a rule begins with where it acts: tx:");
		for (size_t n = 0; n < word.n && n < FAULT_NAME; n++)
			fault_put_byte(&o, (char)word.p[n]);
		fault_expect_words(p, (struct span){NULL, 0}, site_word, NULL);
		return false;
	}
	if (i < 0) {
		fault_blame_word(p, word, "where a rule can act", site_word, NULL);
		return false;
	}
	if ((unsigned)i < CORE_ARRAY_LEN(sites)) {
		p->r->site = sites[i].site;
		p->r->dirs = sites[i].dirs;
		p->r->stream = sites[i].stream;
	} else {
		p->r->site = FAULT_SITE_CALL;
		p->r->call = (struct fault_text){(uint16_t)(word.p - p->rule), (uint16_t)word.n};
	}
	if (phase.p && p->r->site != FAULT_SITE_BYTES) {
		fault_blame(p, phase,
			    "only bytes that move have a phase; a call in a phase is "
			    "rx@PHASE or tx@PHASE with the key call");
		fault_expect(p, "rx, tx, any, upstream, downstream");
		return false;
	}
	return !phase.p || read_phase(p, phase);
}

/* ---- rules ---- */

/* Does it begin with a direction or a call? */
static bool begins_site(struct span site)
{
	const char *at = (const char *)site.p;
	size_t n = 0;

	while (n < site.n && site.p[n] != '@')
		n++;
	return fault_find_word(trimmed(at, at + n), site_word, NULL) >= 0;
}

/* [name=]site.  A rule may be called as a fault is ("mtu=rx:slice=1460"); a fault's word with anything else
 * behind it is a rule that lacks its site. */
static bool read_start(struct fault_parse *p, struct span start)
{
	struct fault_text at;
	struct span site;

	if (!fault_split(start, &p->name, &site))
		return fault_read_site(p, start);
	if (fault_of_word(p->name) != FAULT_COUNT && !begins_site(site))
		return fault_read_site(p, p->name); /* which says that a site is missing */
	if (!fault_read_name(p, p->name, &at))
		return false;
	if (fault_same(p->name, fault_span("all"))) {
		fault_blame(p, p->name, "'all' means every rule: take another name");
		return false;
	}
	memcpy(p->r->name, p->name.p, p->name.n);
	return fault_read_site(p, site);
}

static bool read_rule(struct fault_parse *p, struct span rule)
{
	const char *at = (const char *)rule.p, *end = at + rule.n;
	struct span piece;

	memset(p->r, 0, sizeof(*p->r));
	p->rule = rule.p;
	p->r->phase = PHASE_COUNT;
	p->r->on = 1;
	if (rule.n > FAULT_RULE_TEXT) {
		fault_blame(p, rule, "a rule has at most 4096 bytes");
		return false;
	}
	if (!fault_next_piece(p, &at, end, ":", &piece) || !read_start(p, piece))
		return false;
	if (!at) {
		fault_blame(p, (struct span){(const uint8_t *)end, 0},
			    "behind the site has to stand a colon and what happens there");
		fault_expect_words(p, (struct span){NULL, 0}, fault_fault_word, NULL);
		return false;
	}
	if (!fault_next_piece(p, &at, end, ":", &piece) || !fault_read_acts(p, piece))
		return false;
	while (at) {
		if (!fault_next_piece(p, &at, end, ":", &piece) || !fault_read_key(p, piece))
			return false;
	}
	return fault_make_sense(p) && fault_keep_texts(p);
}

/* The next rule's text, without comments and empty ones; n 0: there is none. */
static bool next_rule(const struct fault_parse *p, const char **at, const char *end,
		      struct span *ret)
{
	ret->n = 0;
	while (*at && *at < end && !ret->n) {
		if (**at == '#') {
			while (*at < end && **at != '\n')
				++*at;
		} else if (**at == '\n' || **at == ';' || is_blank(**at)) {
			++*at;
		} else {
			if (!fault_next_piece(p, at, end, ";#", ret))
				return false;
			if (*at && (*at)[-1] == '#')
				--*at;
		}
	}
	return true;
}

static void blame_number(const struct fault_parse *p, struct span rule, uint32_t max)
{
	struct fault_out o = fault_blame(p, rule, "there is room for ");

	fault_put_number(&o, max);
	fault_put(&o, max == 1 ? " rule only" : " rules only");
}

/* Give the n-th rule (from 0) its name if it has none; false: the name is taken. */
static bool name_rule(const struct fault_parse *p, const struct fault_rule *rules, uint32_t n,
		      struct span rule)
{
	struct fault_out o = {p->r->name, sizeof(p->r->name), 0};
	struct span name;

	if (!p->r->name[0]) {
		fault_put_byte(&o, 'r');
		fault_put_number(&o, n + 1);
	}
	name = fault_span(p->r->name);
	for (uint32_t i = 0; i < n; i++) {
		if (!fault_same(name, fault_span(rules[i].name)))
			continue;
		o = fault_blame(p, p->name.n ? p->name : rule, "");
		fault_put(&o, p->name.n ? "the name " : "this rule would be called ");
		fault_put_quoted(&o, name);
		fault_put(&o, p->name.n ? " is already that of rule " : ", as is already rule ");
		fault_put_number(&o, i + 1);
		fault_put(&o, ": give it a name of its own");
		return false;
	}
	return true;
}

static bool read_rules(const char *text, size_t n, struct fault_rule *rules, uint32_t max,
		       uint32_t least, uint32_t *ret_count, struct fault_error *e)
{
	struct fault_parse p = {.text = text, .e = e};
	const char *at = text, *end = text + n;
	struct span rule = {NULL, 0};
	uint32_t count = 0;

	while (next_rule(&p, &at, end, &rule) && rule.n) {
		if (count == max) {
			blame_number(&p, rule, max);
			return false;
		}
		memset(&p, 0, sizeof(p));
		p.text = text;
		p.e = e;
		p.r = &rules[count];
		if (!read_rule(&p, rule) || !name_rule(&p, rules, count, rule))
			return false;
		count++;
		rule.n = 0;
	}
	if (at && at < end)
		return false; /* next_rule blamed something */
	if (count < least) {
		fault_blame(&p, (struct span){(const uint8_t *)end, 0},
			    "a rule is missing here, like tx:delay=100ms");
		return false;
	}
	*ret_count = count;
	return true;
}

bool fault_parse_rules(const char *text, size_t n, struct fault_rule *rules, uint32_t max,
		       uint32_t *ret_count, struct fault_error *e)
{
	return read_rules(text, n, rules, max, 0, ret_count, e);
}

bool fault_parse_rule(const char *text, size_t n, struct fault_rule *ret, struct fault_error *e)
{
	uint32_t count;

	return read_rules(text, n, ret, 1, 1, &count, e);
}
