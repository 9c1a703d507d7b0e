/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/arena: blocks from mmap, handed out from the front.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/exchange/arena.h"

enum {
	FIRST_BLOCK = 256 << 10, /* a folder may hold hundreds of small traces */
	BLOCK = 32 << 20,
	ALIGN = 16,
};

struct block {
	struct block *next;
	size_t size; /* of the mapping */
	size_t used;
	size_t spare;
};

struct arena {
	struct block *block;
};

static void out_of_memory(void)
{
	fputs("shakedown: out of memory while reading the trace; use --since or --conn on a "
	      "smaller copy\n",
	      stderr);
	exit(3);
}

static struct block *block_new(size_t size)
{
	struct block *b =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		out_of_memory();
	b->size = size;
	b->used = sizeof(*b);
	return b;
}

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		out_of_memory();
	return a;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->block;
	void *p;

	if (n > SIZE_MAX / 2)
		out_of_memory();
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!b || b->size - b->used < n) {
		bool big = n > BLOCK / 8;
		bool first = !a->block && n <= FIRST_BLOCK / 2;

		b = block_new(big ? sizeof(*b) + n : first ? FIRST_BLOCK : BLOCK);
		/* A big piece gets a block of its own; what is left of the current one stays in use. */
		if (a->block && big) {
			b->next = a->block->next;
			a->block->next = b;
		} else {
			b->next = a->block;
			a->block = b;
		}
	}
	p = (char *)b + b->used;
	b->used += n;
	return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
	void *to = arena_alloc(a, n);

	if (n)
		memcpy(to, p, n);
	return to;
}

void arena_free(struct arena *a)
{
	struct block *b = a ? a->block : NULL;

	while (b) {
		struct block *next = b->next;

		munmap(b, b->size);
		b = next;
	}
	free(a);
}

void arena_join(struct arena *a, struct arena *other)
{
	struct block **end = &a->block;

	while (*end)
		end = &(*end)->next;
	*end = other->block;
	free(other);
}

void *array_grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	array = reallocarray(array, *cap, size);
	if (!array)
		out_of_memory();
	return array;
}

void *array_new(size_t n, size_t size)
{
	void *array = calloc(n ? n : 1, size);

	if (!array)
		out_of_memory();
	return array;
}
