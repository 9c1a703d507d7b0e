/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/table: fault.def and key.def as the parser, the printer and the checks read them.  Private to
 * core/fault.
 */
#ifndef CORE_FAULT_TABLE_H
#define CORE_FAULT_TABLE_H

#include "core/fault/rule.h"

enum fault_type {
	FAULT_TYPE_NONE, /* no such parameter */
	FAULT_TYPE_TIME,
	FAULT_TYPE_SIZE,
	FAULT_TYPE_COUNT,
	FAULT_TYPE_PERCENT,
	FAULT_TYPE_RATE,
	FAULT_TYPE_ERRNO,
	FAULT_TYPE_SIGNAL,
	FAULT_TYPE_NUMBER,
	FAULT_TYPE_BYTES,
	FAULT_TYPE_WORD,
	FAULT_TYPE_UNTIL,
	FAULT_TYPE_CIDR,
	FAULT_TYPE_RANGE,
	FAULT_TYPE_GLOB,
	FAULT_TYPE_FIELD,
	FAULT_TYPE_METHOD,
	FAULT_TYPE_CALL,
	FAULT_TYPE_CONN_KEY,
};

/* A parameter or a key. */
struct fault_row {
	const char *name;
	const char *usual; /* its default as text; "": it must be given */
	const char *says;
	int64_t min, max;
	uint8_t type; /* enum fault_type */
};

extern const struct fault_row fault_param_rows[FAULT_COUNT][FAULT_PARAMS];
extern const struct fault_row fault_key_rows[FAULT_KEY_COUNT];

/* A unit and what one of it is worth in the unit of the compiled value; the largest first, the last one
 * has no name. */
struct fault_unit_word {
	const char *name;
	uint64_t worth;
};
extern const struct fault_unit_word fault_time_units[];
extern const struct fault_unit_word fault_rate_units[];
extern const struct fault_unit_word fault_size_units[];

/* Letters of the sites where a fault may stand, words that also mean it (separated by blanks). */
const char *fault_sites(enum fault_id id);
const char *fault_aliases(enum fault_id id);

/* Words that may stand somewhere, by number from 0; p is NULL behind the last one. */
typedef struct span fault_words(const void *of, unsigned i);

struct span fault_row_word(const struct fault_row *row, unsigned i); /* of WORD and CONN_KEY */
struct span fault_errno_word(const void *none, unsigned i);
struct span fault_signal_word(const void *none, unsigned i);
uint32_t fault_errno_number(unsigned i); /* of fault_errno_word i */
uint32_t fault_signal_number(unsigned i);

/* Is that the value a parameter has when it is not given? */
bool fault_is_usual(const struct fault_row *row, uint64_t v);

/* Where a rule keeps what a key says: by its type one of these.  fault_key_set and fault_key_get are for
 * those that are one number, peer aside; `when` is the one that is read next. */
struct fault_range *fault_key_range(struct fault_rule *r, enum fault_key key);
struct fault_text *fault_key_text(struct fault_rule *r, enum fault_key key);
void fault_key_set(struct fault_rule *r, enum fault_key key, uint64_t v);
uint64_t fault_key_get(const struct fault_rule *r, enum fault_key key);

static inline struct span fault_span(const char *text)
{
	size_t n = 0;

	while (text && text[n])
		n++;
	return (struct span){(const uint8_t *)text, n};
}

static inline bool fault_same(struct span a, struct span b)
{
	return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

#endif
