/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_error: where a text went wrong, and which words would have been right.
 */
#include "core/fault/parse_internal.h"

enum {
	WORD_LONGEST = 32,
	FAR = 64, /* further than any two words are apart */
};

struct fault_out fault_blame(const struct fault_parse *p, struct span at, const char *what)
{
	struct fault_error *e = p->e;
	struct fault_out o = {e->what, sizeof(e->what), 0};

	e->at = (uint32_t)((const char *)at.p - p->text);
	e->len = (uint32_t)at.n;
	e->what[0] = e->expected[0] = '\0';
	fault_put(&o, what);
	return o;
}

void fault_expect(const struct fault_parse *p, const char *words)
{
	struct fault_out o = {p->e->expected, sizeof(p->e->expected), 0};

	fault_put(&o, words);
}

/* How many bytes have to be put, taken or changed to make one word of the other (Levenshtein). */
static unsigned distance(struct span a, struct span b)
{
	uint8_t row[WORD_LONGEST + 1];

	if (a.n > WORD_LONGEST || b.n > WORD_LONGEST)
		return FAR - 1;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = (uint8_t)j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned corner = row[0];

		row[0] = (uint8_t)i;
		for (unsigned j = 1; j <= b.n; j++) {
			bool same = ascii_lower(a.p[i - 1]) == ascii_lower(b.p[j - 1]);
			unsigned best = same ? corner : corner + 1;

			corner = row[j];
			if (row[j] + 1u < best)
				best = row[j] + 1u;
			if (row[j - 1] + 1u < best)
				best = row[j - 1] + 1u;
			row[j] = (uint8_t)best;
		}
	}
	return row[b.n];
}

/* False: there is no room for it and what says that there were more. */
static bool list_word(struct fault_out *o, struct span word)
{
	static const char more[] = ", ...";

	if (o->n + 2 + word.n + sizeof(more) > o->room) {
		fault_put(o, more);
		return false;
	}
	if (o->n)
		fault_put(o, ", ");
	for (size_t i = 0; i < word.n; i++)
		fault_put_byte(o, (char)word.p[i]);
	return true;
}

void fault_expect_words(const struct fault_parse *p, struct span near, fault_words *words,
			const void *of)
{
	struct fault_out o = {p->e->expected, sizeof(p->e->expected), 0};
	struct span word;

	for (unsigned d = 0; d < FAR; d++) {
		for (unsigned i = 0; (word = words(of, i)).p; i++) {
			if ((near.n ? distance(near, word) : 0) == d && !list_word(&o, word))
				return;
		}
		if (!near.n)
			return;
	}
}

void fault_blame_word(const struct fault_parse *p, struct span at, const char *what,
		      fault_words *words, const void *of)
{
	struct fault_out o = fault_blame(p, at, "");

	if (at.n) {
		fault_put_quoted(&o, at);
		fault_put(&o, " is not ");
	}
	fault_put(&o, what);
	if (!at.n)
		fault_put(&o, " is missing here");
	fault_expect_words(p, at, words, of);
}

int fault_find_word(struct span word, fault_words *words, const void *of)
{
	struct span other;

	for (unsigned i = 0; (other = words(of, i)).p; i++) {
		if (fault_same(word, other))
			return (int)i;
	}
	return -1;
}
