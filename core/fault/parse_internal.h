/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_internal: what the parts of the parser share.  parse.c takes rules apart, parse_act.c
 * faults and keys, parse_value.c and parse_text.c read values, parse_sense.c looks for what contradicts
 * itself, parse_error.c says so.  Private to core/fault.
 *
 * (1) While a rule is parsed its texts lie in the user's text: off counts from the rule's first byte,
 *     nothing is decoded.  Last of all they are copied into the rule, in the order in which a rule is
 *     printed, so equal rules are equal byte for byte.
 * (2) Every function that returns bool returns false behind exactly one fault_blame.
 */
#ifndef CORE_FAULT_PARSE_INTERNAL_H
#define CORE_FAULT_PARSE_INTERNAL_H

#include "core/fault/out.h"
#include "core/fault/table.h"

enum {
	FAULT_RULE_TEXT = 4096, /* bytes of one rule as it is written */
};

/* One rule under way. */
struct fault_parse {
	const char *text; /* of all rules: errors count from here */
	const uint8_t *rule;
	struct fault_rule *r;
	struct fault_error *e;
	struct span name, site, phase; /* as written; phase with its + or . */
	struct span act[FAULT_ACTS];   /* the words */
	uint16_t key_off[FAULT_KEY_COUNT];
};

/* ---- errors ---- */

/* Blame a piece of the text; further words are put into `what` through the result. */
struct fault_out fault_blame(const struct fault_parse *p, struct span at, const char *what);
/* The same for a word that is none of those that may stand there: they are listed, nearest first. */
void fault_blame_word(const struct fault_parse *p, struct span at, const char *what,
		      fault_words *words, const void *of);
/* List words after fault_blame. */
void fault_expect(const struct fault_parse *p, const char *words);
void fault_expect_words(const struct fault_parse *p, struct span near, fault_words *words,
			const void *of);

/* ---- pieces ---- */

/* The text up to the next of the separators outside [ ], without blanks around it.  *at moves behind
 * the separator, to NULL behind the last piece; so what ends in a separator has an empty last piece.
 * False: a bracket is not closed. */
bool fault_next_piece(const struct fault_parse *p, const char **at, const char *end,
		      const char *separators, struct span *ret_piece);
/* Split at the first = outside [ ]; false: there is none. */
bool fault_split(struct span piece, struct span *ret_name, struct span *ret_value);

/* Which of the words; -1: none. */
int fault_find_word(struct span word, fault_words *words, const void *of);

/* ---- values ---- */

/* A value of any type whose compiled form is one number (all but those of the next paragraph). */
bool fault_read_value(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t *ret);
/* Whole number without sign at *value's start, which moves behind it; false: no digit, or too large
 * (then *ret is UINT64_MAX).  Blames nobody. */
bool fault_read_digits(struct span *value, uint64_t *ret);
/* Blame a value for not lying in [min, max]. */
void fault_blame_bounds(const struct fault_parse *p, const struct fault_row *row,
			struct span value);

bool fault_read_range(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      struct fault_range *ret);
bool fault_read_peer(const struct fault_parse *p, struct span value);
bool fault_read_method(const struct fault_parse *p, struct span value);
bool fault_read_until(const struct fault_parse *p, const struct fault_row *row, struct span value,
		      uint64_t *ret);

/* Text that stays text: checked, and left where it is. */
bool fault_read_text(const struct fault_parse *p, struct span value, struct fault_text *ret);
/* A name that a rule, a release or a field may have. */
bool fault_read_name(const struct fault_parse *p, struct span value, struct fault_text *ret);
bool fault_read_field(const struct fault_parse *p, struct span value, struct fault_text *ret);
/* Decode up to room bytes; the length it has. */
size_t fault_decode(struct span value, char *to, size_t room);

/* ---- parts of a rule ---- */

bool fault_read_site(struct fault_parse *p, struct span site);
bool fault_read_acts(struct fault_parse *p, struct span acts);
bool fault_read_key(struct fault_parse *p, struct span piece);
bool fault_make_sense(const struct fault_parse *p);
/* Copy the texts into the rule. */
bool fault_keep_texts(const struct fault_parse *p);

struct span fault_call_word(const void *none, unsigned i);
struct span fault_phase_word(const void *none, unsigned i);
struct span fault_fault_word(const void *none, unsigned i);
/* The fault a word means, aliases too; FAULT_COUNT: none. */
enum fault_id fault_of_word(struct span word);

#endif
