/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/arena: memory that is freed all at once.  Zeroed, 16-byte aligned.  When the system has no
 * more, arena_alloc ends the program with one sentence: a half-built model would lie.
 */
#ifndef TOOLS_EXCHANGE_ARENA_H
#define TOOLS_EXCHANGE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct arena *arena_new(void);
void *arena_alloc(struct arena *a, size_t n);
void *arena_copy(struct arena *a, const void *p, size_t n);
void arena_free(struct arena *a); /* NULL is fine */

/* What came from other lives as long as a from now on; other itself is gone. */
void arena_join(struct arena *a, struct arena *other);

/* realloc for arrays that grow: makes room for one more than n items. Ends the program like
 * arena_alloc. *cap is in items. */
void *array_grow(void *array, size_t n, size_t *cap, size_t size);

/* n zeroed items for free(); ends the program like arena_alloc. */
void *array_new(size_t n, size_t size);

#endif
