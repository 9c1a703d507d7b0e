/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/yaml: libyaml's events -> our tree.
 */
#include "tools/scenario/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "tools/format/format.h"

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct arena *arena;
	struct scenario_error *error;
	unsigned nodes;
};

void scenario_error_set(struct scenario_error *e, struct place at, const char *format, ...)
{
	va_list args;

	e->at = at;
	va_start(args, format);
	vsnprintf(e->what, sizeof(e->what), format, args);
	va_end(args);
}

const char *scenario_error_text(const struct scenario_error *e, char *to, size_t room)
{
	char raw[1200], *clean;

	if (e->at.line)
		snprintf(raw, sizeof(raw), "%.300s:%u:%u: %s", e->at.file, e->at.line, e->at.column,
			 e->what);
	else
		snprintf(raw, sizeof(raw), "%.300s: %s", e->at.file ? e->at.file : "?", e->what);
	clean = format_clean(raw);
	snprintf(to, room, "%s", clean ? clean : "no memory");
	free(clean);
	return to;
}

static struct place place_of(const struct reader *r, const yaml_mark_t *m)
{
	return (struct place){r->file, (unsigned)m->line + 1, (unsigned)m->column + 1};
}

static bool refuse(struct reader *r, const yaml_event_t *ev, const char *what)
{
	scenario_error_set(r->error, place_of(r, &ev->start_mark), "%s", what);
	return false;
}

/* The next event; false: the text is no YAML. */
static bool next(struct reader *r, yaml_event_t *ev)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, ev))
		return true;
	scenario_error_set(r->error, place_of(r, &p->problem_mark), "%s%s%s",
			   p->problem ? p->problem : "this is no YAML", p->context ? ", " : "",
			   p->context ? p->context : "");
	if (p->error == YAML_READER_ERROR) {
		scenario_error_set(r->error, (struct place){r->file, 0, 0},
				   "byte %zu is no UTF-8 text", p->problem_offset);
	}
	return false;
}

static struct yaml *node_new(struct reader *r, enum yaml_kind kind, const yaml_event_t *ev)
{
	struct yaml *y;

	if (++r->nodes > YAML_NODES) {
		refuse(r, ev, "the file has too many values; 100,000 are allowed");
		return NULL;
	}
	y = arena_alloc(r->arena, sizeof(*y));
	y->kind = kind;
	y->at = place_of(r, &ev->start_mark);
	return y;
}

static struct yaml *read_scalar(struct reader *r, const yaml_event_t *ev)
{
	const char *text = (const char *)ev->data.scalar.value;
	struct yaml *y;
	char *copy;

	if (memchr(text, 0, ev->data.scalar.length)) {
		refuse(r, ev, "a text may not hold a NUL byte");
		return NULL;
	}
	y = node_new(r, YAML_SCALAR, ev);
	if (!y)
		return NULL;
	copy = arena_alloc(r->arena, ev->data.scalar.length + 1);
	memcpy(copy, text, ev->data.scalar.length);
	y->text = copy;
	y->len = ev->data.scalar.length;
	y->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return y;
}

static struct yaml *read_node(struct reader *r, yaml_event_t *ev, unsigned depth);

/* A key was read: it must be a word of its own. */
static bool check_key(struct reader *r, const struct yaml *map, const yaml_event_t *ev)
{
	const char *key = (const char *)ev->data.scalar.value;

	for (const struct yaml *c = map->first; c; c = c->next) {
		if (strcmp(c->key, key))
			continue;
		scenario_error_set(r->error, place_of(r, &ev->start_mark),
				   "the key '%.80s' is there already, in line %u", key,
				   c->key_at.line);
		return false;
	}
	return true;
}

/* The children of a map: keys are scalars, and each is followed by its value. */
static bool read_map(struct reader *r, struct yaml *map, unsigned depth)
{
	struct yaml **end = &map->first;
	yaml_event_t ev;

	for (;;) {
		struct yaml *key, *value;
		bool ok;

		if (!next(r, &ev))
			return false;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			return true;
		}
		ok = ev.type == YAML_SCALAR_EVENT
			     ? check_key(r, map, &ev)
			     : refuse(r, &ev,
				      "a key must be a word; quote it if it begins with * & [ "
				      "or {");
		key = ok ? read_node(r, &ev, depth) : NULL;
		yaml_event_delete(&ev);
		if (!key || !next(r, &ev))
			return false;
		value = read_node(r, &ev, depth);
		yaml_event_delete(&ev);
		if (!value)
			return false;
		value->key = key->text;
		value->key_at = key->at;
		*end = value;
		end = &value->next;
		map->count++;
	}
}

static bool read_list(struct reader *r, struct yaml *list, unsigned depth)
{
	struct yaml **end = &list->first;
	yaml_event_t ev;

	for (;;) {
		bool last;

		if (!next(r, &ev))
			return false;
		last = ev.type == YAML_SEQUENCE_END_EVENT;
		*end = last ? NULL : read_node(r, &ev, depth);
		yaml_event_delete(&ev);
		if (last)
			return true;
		if (!*end)
			return false;
		end = &(*end)->next;
		list->count++;
	}
}

static bool has_extras(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return ev->data.scalar.anchor || ev->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return ev->data.sequence_start.anchor || ev->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return ev->data.mapping_start.anchor || ev->data.mapping_start.tag;
	default:
		return false;
	}
}

/* The value that begins with ev, which stays the caller's. */
static struct yaml *read_node(struct reader *r, yaml_event_t *ev, unsigned depth)
{
	struct yaml *y;
	bool map = ev->type == YAML_MAPPING_START_EVENT;

	if (ev->type == YAML_ALIAS_EVENT || has_extras(ev)) {
		refuse(r, ev,
		       "anchors (&), aliases (*) and tags (!) are not allowed here; write the "
		       "value out, or quote it");
		return NULL;
	}
	if (ev->type == YAML_SCALAR_EVENT)
		return read_scalar(r, ev);
	if (depth >= YAML_DEPTH) {
		refuse(r, ev, "nested too deeply; 24 levels are allowed");
		return NULL;
	}
	y = node_new(r, map ? YAML_MAP : YAML_LIST, ev);
	if (!y || !(map ? read_map(r, y, depth + 1) : read_list(r, y, depth + 1)))
		return NULL;
	return y;
}

/* From the start of the document to the end of the stream. */
static struct yaml *read_document(struct reader *r)
{
	struct yaml *root = NULL;
	yaml_event_t ev;

	for (;;) {
		bool end, ok = true;

		if (!next(r, &ev))
			return NULL;
		end = ev.type == YAML_STREAM_END_EVENT;
		if (ev.type == YAML_DOCUMENT_START_EVENT && root)
			ok = refuse(r, &ev,
				    "a second document begins here; one file is one scenario");
		else if (ev.type == YAML_SCALAR_EVENT || ev.type == YAML_ALIAS_EVENT ||
			 ev.type == YAML_SEQUENCE_START_EVENT ||
			 ev.type == YAML_MAPPING_START_EVENT)
			ok = (root = read_node(r, &ev, 0)) != NULL;
		yaml_event_delete(&ev);
		if (!ok)
			return NULL;
		if (end)
			break;
	}
	if (!root)
		scenario_error_set(
			r->error, (struct place){r->file, 0, 0},
			"the file is empty; 'shakedown test --init' writes one to start from");
	return root;
}

struct yaml *yaml_parse(const char *file, const char *text, size_t n, struct arena *a,
			struct scenario_error *e)
{
	struct reader r = {.file = file, .arena = a, .error = e};
	struct yaml *root;

	if (n > YAML_SIZE) {
		scenario_error_set(e, (struct place){file, 0, 0},
				   "the file is too large for a scenario; 1 MiB is allowed");
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		scenario_error_set(e, (struct place){file, 0, 0}, "no memory to read it");
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	root = read_document(&r);
	yaml_parser_delete(&r.parser);
	return root;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	for (const struct yaml *c = map && map->kind == YAML_MAP ? map->first : NULL; c;
	     c = c->next) {
		if (!strcmp(c->key, key))
			return c;
	}
	return NULL;
}
