/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/nearest: which real name did they mean?
 */
#ifndef TOOLS_VERB_NEAREST_H
#define TOOLS_VERB_NEAREST_H

#include <stddef.h>

/* Edits between two words: insert, delete, replace, swap of neighbours; ASCII case ignored. Words
 * longer than 63 bytes count as 64 edits away from everything but themselves. */
unsigned nearest_distance(const char *a, const char *b);

/* Collects candidates; best stays NULL when none is near enough to be worth suggesting. */
struct nearest {
	const char *word;
	const char *best;
	unsigned edits;
};
void nearest_init(struct nearest *n, const char *word);
void nearest_try(struct nearest *n, const char *candidate);

#endif
