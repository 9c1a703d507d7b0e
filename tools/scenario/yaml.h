/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/yaml: a YAML document as a tree that knows where each of its words stands.
 *
 * libyaml finds the tokens; of YAML we take mappings, lists and scalars.  Refused, because nobody who
 * writes a test means them: duplicate keys, anchors and aliases (with them a small file grows without
 * bound), tags, keys that are no scalars, a second document.  The tree is at most YAML_DEPTH deep and
 * has at most YAML_NODES nodes; a file has at most YAML_SIZE bytes.
 */
#ifndef TOOLS_SCENARIO_YAML_H
#define TOOLS_SCENARIO_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/exchange/arena.h"

enum {
	YAML_DEPTH = 24,
	YAML_NODES = 100000,
	YAML_SIZE = 1024 * 1024,
};

/* A place in a file; line and column from 1, the column in characters.  line 0: the file as a whole. */
struct place {
	const char *file;
	unsigned line, column;
};

/* Why a scenario was refused: "FILE:LINE:COLUMN: sentence". */
struct scenario_error {
	struct place at;
	char what[800]; /* without a full stop */
};
void scenario_error_set(struct scenario_error *e, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The whole line, escaped for a terminal, into to; returns to. */
const char *scenario_error_text(const struct scenario_error *e, char *to, size_t room);

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
};

struct yaml {
	enum yaml_kind kind;
	bool quoted; /* the scalar was written in quotes or as a block */
	struct place at;
	struct place key_at; /* of the key, in a map */
	const char *key;     /* in a map, else NULL; NUL-terminated */
	const char *text;    /* of a scalar; holds no NUL but the one behind it */
	size_t len;
	size_t count; /* children */
	struct yaml *first, *next;
};

/* Parse n bytes.  file is kept as it is, not copied; what is returned lives in the arena.
 * NULL and *e when it is refused; an empty document is refused, too. */
struct yaml *yaml_parse(const char *file, const char *text, size_t n, struct arena *a,
			struct scenario_error *e);

/* The value of a key, NULL when it is not there or map is NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

#endif
