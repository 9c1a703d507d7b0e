/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario_keys: prints what tools/scenario/keys.def says.
 *
 *     cc -I. docs/gen/scenario_keys.c -o /tmp/scenario_keys
 *     /tmp/scenario_keys md       the tables behind the last heading of docs/scenarios.md
 *     /tmp/scenario_keys schema   docs/scenario.schema.json
 *
 * tests/scenarios/test_scenario_docs.py fails when either is out of date.
 */
#include <stdio.h>
#include <string.h>

enum place {
#define PLACE(id, what, says) P_##id,
#include "tools/scenario/keys.def"
	PLACES,
};

static const struct {
	const char *id, *what, *says;
} place[] = {
#define PLACE(id, what, says) {#id, what, says},
#include "tools/scenario/keys.def"
};

static const struct key {
	enum place place;
	const char *name, *type, *more, *says;
} key[] = {
#define KEY(place, name, type, more, says) {P_##place, name, #type, more, says},
#include "tools/scenario/keys.def"
};

enum {
	KEYS = sizeof(key) / sizeof(key[0]),
};

/* ---- Markdown ---- */

/* A bar would end the cell. */
static void put_cell(const char *text)
{
	for (; *text; text++)
		printf(*text == '|' ? "\\|" : "%c", *text);
}

static const char *what_of(const char *id)
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (!strcmp(place[i].id, id))
			return place[i].what;
	}
	return id;
}

static void put_type(const struct key *k)
{
	static const struct {
		const char *type, *words;
	} known[] = {{"TEXT", "text"},
		     {"NAME", "name"},
		     {"TIME", "time"},
		     {"NUMBER", "number"},
		     {"SWITCH", "yes or no"},
		     {"WORDS", "word, or list of words"},
		     {"LIST", "list"},
		     {"TEXTS", "mapping of names to texts"},
		     {"ANY", ""}};

	if (!strcmp(k->type, "CHOICE"))
		put_cell(k->more);
	else if (!strcmp(k->type, "MAP"))
		printf("*%s*", what_of(k->more));
	else if (!strcmp(k->type, "SHORT"))
		printf("text, or *%s*", what_of(k->more));
	else if (!strcmp(k->type, "EACH"))
		printf("mapping of names to *%s*", what_of(k->more));
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(k->type, known[i].type))
			printf("%s", known[i].words);
	}
}

static void write_tables(void)
{
	for (unsigned p = 0; p < PLACES; p++) {
		printf("\n### %s\n\n%s%s| key | value | meaning |\n|---|---|---|\n", place[p].what,
		       place[p].says, *place[p].says ? "\n\n" : "");
		for (unsigned i = 0; i < KEYS; i++) {
			if (key[i].place != p)
				continue;
			printf("| `%s` | ", key[i].name);
			put_type(&key[i]);
			printf(" | ");
			put_cell(key[i].says);
			printf(" |\n");
		}
	}
}

/* ---- JSON Schema ---- */

static void put_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void put_choices(const char *more)
{
	printf("{\"enum\": [");
	while (*more) {
		size_t n = strcspn(more, "|");

		printf("\"%.*s\"", (int)n, more);
		more += n + (more[n] == '|');
		printf("%s", *more ? ", " : "");
	}
	printf("]}");
}

static void put_schema(const struct key *k)
{
	static const char scalar[] = "{\"type\": [\"string\", \"number\", \"boolean\"]}";
	static const struct {
		const char *type, *schema;
	} known[] = {{"TEXT", scalar},
		     {"NAME", "{\"type\": [\"string\", \"number\"], \"pattern\": "
			      "\"^[A-Za-z0-9_-][A-Za-z0-9._-]*$\"}"},
		     {"TIME", "{\"type\": [\"string\", \"number\"], \"pattern\": "
			      "\"^[0-9]+([.][0-9]+)?(ns|us|ms|s|m|h|d)?$\"}"},
		     {"NUMBER", "{\"type\": \"integer\", \"minimum\": 0}"},
		     {"SWITCH", "{\"enum\": [true, false, \"yes\", \"no\", \"on\", \"off\"]}"},
		     {"LIST", "{\"type\": \"array\"}"},
		     {"ANY", "true"}};

	if (!strcmp(k->type, "CHOICE"))
		put_choices(k->more);
	else if (!strcmp(k->type, "MAP"))
		printf("{\"$ref\": \"#/$defs/%s\"}", k->more);
	else if (!strcmp(k->type, "SHORT"))
		printf("{\"anyOf\": [%s, {\"$ref\": \"#/$defs/%s\"}]}", scalar, k->more);
	else if (!strcmp(k->type, "EACH"))
		printf("{\"type\": \"object\", \"additionalProperties\": {\"$ref\": "
		       "\"#/$defs/%s\"}}",
		       k->more);
	else if (!strcmp(k->type, "WORDS"))
		printf("{\"anyOf\": [%s, {\"type\": \"array\", \"minItems\": 1, \"items\": %s}]}",
		       scalar, scalar);
	else if (!strcmp(k->type, "TEXTS"))
		printf("{\"type\": \"object\", \"additionalProperties\": %s}", scalar);
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(k->type, known[i].type))
			printf("%s", known[i].schema);
	}
}

/* Lists whose items are mappings with one key. */
static const char *item_of(const struct key *k)
{
	if (!strcmp(k->name, "steps"))
		return "STEP";
	if (!strcmp(k->name, "expect") && k->place == P_TOP)
		return "EXPECT";
	return !strcmp(k->name, "do") ? "ACTION" : NULL;
}

static void write_place(unsigned p)
{
	int one = !strcmp(place[p].id, "STEP") || !strcmp(place[p].id, "EXPECT") ||
		  !strcmp(place[p].id, "ACTION");
	const char *between = "";

	printf("    \"%s\": {\n      \"type\": \"object\",\n      \"additionalProperties\": "
	       "false,\n%s"
	       "      \"properties\": {",
	       place[p].id,
	       one ? "      \"minProperties\": 1,\n      \"maxProperties\": 1,\n" : "");
	for (unsigned i = 0; i < KEYS; i++) {
		if (key[i].place != p)
			continue;
		printf("%s\n        \"%s\": {\"description\": ", between, key[i].name);
		put_string(key[i].says);
		printf(", \"allOf\": [");
		if (item_of(&key[i]))
			printf("{\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/%s\"}}",
			       item_of(&key[i]));
		else
			put_schema(&key[i]);
		printf("]}");
		between = ",";
	}
	printf("\n      }\n    }%s\n", p + 1 < PLACES ? "," : "");
}

static void write_schema(void)
{
	printf("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
	       "  \"title\": \"A scenario of shakedown test\",\n  \"$ref\": \"#/$defs/TOP\",\n"
	       "  \"$defs\": {\n");
	for (unsigned p = 0; p < PLACES; p++)
		write_place(p);
	printf("  }\n}\n");
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "md"))
		write_tables();
	else if (argc == 2 && !strcmp(argv[1], "schema"))
		write_schema();
	else
		return 2;
	return 0;
}
