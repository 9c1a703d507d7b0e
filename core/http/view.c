/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/view: spans over a head, collected from what the scanner reports.
 */
#include "core/http/view.h"

struct collect {
	struct http_view *v;
	const uint8_t *bytes;
	struct span name; /* of the field whose value has not ended yet */
	uint32_t name_off;
};

static void collect_field(struct collect *c, struct span value)
{
	struct http_view *v = c->v;
	struct http_field *f;

	if (v->field_count == HTTP_VIEW_FIELDS) {
		v->dropped++;
		return;
	}
	f = &v->field[v->field_count++];
	f->name = c->name;
	f->value = value;
	f->off = c->name_off;
}

static void collect_part(void *ctx, enum http_part part, uint32_t start, uint32_t end)
{
	struct collect *c = ctx;
	struct span s = {c->bytes + start, end - start};

	switch (part) {
	case HTTP_PART_METHOD:
		c->v->method = s;
		break;
	case HTTP_PART_TARGET:
		c->v->target = s;
		break;
	case HTTP_PART_VERSION:
		c->v->version = s;
		break;
	case HTTP_PART_STATUS:
		c->v->status = s;
		break;
	case HTTP_PART_REASON:
		c->v->reason = s;
		break;
	case HTTP_PART_NAME:
		c->name = s;
		c->name_off = start;
		break;
	case HTTP_PART_VALUE:
		collect_field(c, s);
		break;
	}
}

size_t http_view_parse(struct http_view *v, enum http_kind kind, struct span bytes)
{
	struct collect c = {.v = v, .bytes = bytes.p};
	size_t used;

	memset(v, 0, sizeof(*v));
	http_head_init(&v->head, kind);
	used = http_head_feed(&v->head, bytes.p, bytes.n, collect_part, &c);
	return v->head.state == HTTP_DONE ? used : 0;
}

static size_t text_length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

/* Most names of a head differ in length already. */
static bool is_name(const struct http_field *f, const char *name, size_t n)
{
	return f->name.n == n && span_is_nocase(f->name, name);
}

const struct http_field *http_view_field(const struct http_view *v, const char *name, unsigned nth)
{
	const size_t n = text_length(name);

	for (uint32_t i = 0; i < v->field_count; i++) {
		if (is_name(&v->field[i], name, n) && nth-- == 0)
			return &v->field[i];
	}
	return NULL;
}

unsigned http_view_count(const struct http_view *v, const char *name)
{
	const size_t n = text_length(name);
	unsigned count = 0;

	for (uint32_t i = 0; i < v->field_count; i++)
		count += is_name(&v->field[i], name, n);
	return count;
}

bool http_view_has_token(const struct http_view *v, const char *name, const char *token)
{
	const size_t n = text_length(name);

	for (uint32_t i = 0; i < v->field_count; i++) {
		struct span item;
		size_t at = 0;

		if (!is_name(&v->field[i], name, n))
			continue;
		while (http_list_next(v->field[i].value, &at, &item)) {
			if (span_is_nocase(item, token))
				return true;
		}
	}
	return false;
}

/* Whitespace inside a value: a folded one holds its line ends, too. */
static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool http_list_next(struct span list, size_t *at, struct span *ret_item)
{
	while (*at < list.n) {
		size_t start = *at, end = start;

		while (end < list.n && list.p[end] != ',')
			end++;
		*at = end < list.n ? end + 1 : end;
		while (start < end && is_blank(list.p[start]))
			start++;
		while (end > start && is_blank(list.p[end - 1]))
			end--;
		if (start < end) {
			*ret_item = (struct span){list.p + start, end - start};
			return true;
		}
	}
	return false;
}

bool span_is(struct span s, const char *text)
{
	size_t i = 0;

	while (i < s.n && text[i] && s.p[i] == (uint8_t)text[i])
		i++;
	return i == s.n && !text[i];
}

bool span_is_nocase(struct span s, const char *text)
{
	size_t i = 0;

	while (i < s.n && text[i] && ascii_lower(s.p[i]) == ascii_lower((uint8_t)text[i]))
		i++;
	return i == s.n && !text[i];
}
