/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/nearest: optimal string alignment distance over three rows, words of at most 63 bytes.
 */
#include "tools/verb/nearest.h"

#include <string.h>
#include <strings.h>

#include "core/core.h"

enum {
	WORD_MAX = 63,
	TOO_FAR = 64,
};

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned nearest_distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned rows[3][WORD_MAX + 1], *older = rows[0], *old = rows[1], *now = rows[2];

	if (na > WORD_MAX || nb > WORD_MAX)
		return strcasecmp(a, b) ? TOO_FAR : 0;
	for (size_t j = 0; j <= nb; j++)
		old[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		uint8_t ca = ascii_lower((uint8_t)a[i - 1]);
		unsigned *spare = older;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			uint8_t cb = ascii_lower((uint8_t)b[j - 1]);

			now[j] = least(least(old[j], now[j - 1]) + 1, old[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == ascii_lower((uint8_t)b[j - 2]) &&
			    cb == ascii_lower((uint8_t)a[i - 2]))
				now[j] = least(now[j], older[j - 2] + 1);
		}
		older = old;
		old = now;
		now = spare;
	}
	return old[nb];
}

void nearest_init(struct nearest *n, const char *word)
{
	/* A third of the letters may be wrong, one in a short word: beyond that it is a guess. */
	*n = (struct nearest){.word = word, .edits = (unsigned)strlen(word) / 3 + 2};
}

void nearest_try(struct nearest *n, const char *candidate)
{
	size_t len = strlen(n->word);
	unsigned edits = nearest_distance(n->word, candidate);

	/* The start of a longer name is a sign, too: --max for --max-trace. */
	if (len >= 3 && !strncasecmp(n->word, candidate, len))
		edits = least(edits, 1);
	if (edits < n->edits) {
		n->edits = edits;
		n->best = candidate;
	}
}
