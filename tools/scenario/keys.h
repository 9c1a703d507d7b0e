/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/keys: what may stand in a scenario file, and reading it.
 *
 * A mapping is checked against keys.def once, when the file is loaded; the functions that read a value
 * rely on that and cannot fail: they return what the file says, or the default.
 */
#ifndef TOOLS_SCENARIO_KEYS_H
#define TOOLS_SCENARIO_KEYS_H

#include <stdint.h>

#include "tools/scenario/yaml.h"

enum key_place {
#define PLACE(id, what, says) PLACE_##id,
#include "tools/scenario/keys.def"
	PLACE_COUNT,
};

enum key_type {
	KEY_TEXT,
	KEY_NAME,
	KEY_TIME,
	KEY_NUMBER,
	KEY_SWITCH,
	KEY_CHOICE,
	KEY_WORDS,
	KEY_LIST,
	KEY_MAP,
	KEY_TEXTS,
	KEY_EACH,
	KEY_SHORT,
	KEY_ANY,
};

/* Is y a mapping of this place, with keys and values as the table says, all the way down? */
bool keys_check(const struct yaml *y, enum key_place place, struct scenario_error *e);
/* Has it exactly one key?  For steps, actions and expectations. */
bool keys_check_one(const struct yaml *y, enum key_place place, struct scenario_error *e);

/* A list of words: name(of, i), NULL behind the last. */
struct words {
	const char *(*name)(const void *of, size_t i);
	const void *of;
};
/* "there is no WHAT 'WORD'", with the nearest, or with all the words there are. */
void keys_refuse_word(struct place at, const char *what, const char *word, const struct words *w,
		      struct scenario_error *e);
const char *keys_place_what(enum key_place place);

/* ---- reading what was checked ---- */

/* Text of a scalar; NULL when the key is not there. */
const char *keys_text(const struct yaml *map, const char *key);
uint64_t keys_time(const struct yaml *map, const char *key, uint64_t otherwise);
uint64_t keys_number(const struct yaml *map, const char *key, uint64_t otherwise);
bool keys_switch(const struct yaml *map, const char *key, bool otherwise);
/* The first word of WORDS, or the scalar; their siblings follow as ->next where it is a list. */
const struct yaml *keys_words(const struct yaml *map, const char *key);
/* The next word behind one of keys_words; NULL behind the last. */
const struct yaml *keys_word_next(const struct yaml *map, const char *key, const struct yaml *word);

/* "first", "first..last", "first..": false when it is none. */
bool keys_range(const char *text, uint64_t *ret_first, uint64_t *ret_last);

/* A comparison: ">=1", "<= 3", "==2", "!=0", "<5", ">0", "2" and "any". */
struct comparison {
	char op[3]; /* "" any */
	uint64_t than;
};
bool keys_comparison(const char *text, struct comparison *ret);
bool comparison_holds(const struct comparison *c, uint64_t n);

#endif
