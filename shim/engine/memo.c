/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memo: see memo.h.
 *
 * Each place is guarded by a turn, which is odd while somebody writes: who reads looks at it before and
 * after.  A writer that is not in this process any more (fork) leaves a place nobody uses.
 */
#include "shim/engine/memo.h"
#include "shim/engine/engine.h"

enum {
	PLACE_BITS = 4,
	PLACES = 1 << PLACE_BITS,
	WORDS = MEMO_MOST / 8,
	TRIAL = 15, /* others that are turned away for one that did not come again yet */
};

#define MIX UINT64_C(0x9e3779b97f4a7c15)

typedef uint64_t __attribute__((may_alias, aligned(1))) word64;
typedef uint64_t __attribute__((may_alias)) aligned64;

struct place {
	uint32_t turn;
	uint32_t age; /* of what is in it: older than memo_age is nothing */
	uint16_t len; /* bytes of the head */
	uint16_t route;
	uint8_t kind;
	uint8_t trial; /* counts down to 0, where it makes room for the next one */
	uint8_t spare[2];
	struct http_head head;
	uint64_t word[WORDS]; /* the bytes; behind len zeros up to the word's end */
} __attribute__((aligned(64)));

static struct place places[PLACES];
ENGINE_HOT static uint32_t memo_age = 1;

static inline uint64_t load(const uint8_t *p)
{
	return *(const word64 *)p;
}

/* Requests differ in their targets, answers in how long they are. */
static inline struct place *place_of(const uint8_t *p, uint64_t whole)
{
	uint64_t x = (load(p + 4) ^ load(p + 12) * MIX ^ whole << 32 ^ whole) * MIX;

	return &places[x >> (64 - PLACE_BITS)];
}

/* The last n & 7 bytes of p[0, n), zeros behind them. */
static inline uint64_t last_word(const uint8_t *p, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return load(p + n - 8) << 8 * (8 - (n & 7));
#else
	return load(p + n - 8) >> 8 * (8 - (n & 7));
#endif
}

static inline bool is_same(const struct place *at, const uint8_t *p, size_t n)
{
	const uint64_t *w = at->word;
	size_t i = 0, words = n / 8;
	uint64_t differ = 0;

	for (; i + 4 <= words; i += 4, p += 32) {
		differ |= __atomic_load_n(&w[i], __ATOMIC_RELAXED) ^ load(p);
		differ |= __atomic_load_n(&w[i + 1], __ATOMIC_RELAXED) ^ load(p + 8);
		differ |= __atomic_load_n(&w[i + 2], __ATOMIC_RELAXED) ^ load(p + 16);
		differ |= __atomic_load_n(&w[i + 3], __ATOMIC_RELAXED) ^ load(p + 24);
		if (differ)
			return false;
	}
	for (; i < words; i++, p += 8)
		differ |= __atomic_load_n(&w[i], __ATOMIC_RELAXED) ^ load(p);
	if (n & 7)
		differ |= __atomic_load_n(&w[i], __ATOMIC_RELAXED) ^ last_word(p, n & 7);
	return !differ;
}

/* What is in a place, word by word: somebody may be changing it. */
static inline void copy_head(struct http_head *to, const struct http_head *from)
{
	aligned64 *t = (aligned64 *)to;
	const aligned64 *f = (const aligned64 *)from;

	for (unsigned i = 0; i < sizeof(*to) / sizeof(*t); i++)
		__atomic_store_n(&t[i], __atomic_load_n(&f[i], __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

CORE_HOT bool memo_find(enum http_kind kind, const uint8_t *p, size_t n, uint64_t whole,
			struct memo *ret)
{
	struct place *at;
	uint32_t turn;
	size_t len;

	if (n < MEMO_LEAST)
		return false;
	at = place_of(p, whole);
	turn = __atomic_load_n(&at->turn, __ATOMIC_ACQUIRE);
	len = __atomic_load_n(&at->len, __ATOMIC_RELAXED);
	if ((turn & 1) || __atomic_load_n(&at->kind, __ATOMIC_RELAXED) != kind || len > n ||
	    len < MEMO_LEAST || (kind == HTTP_REQUEST && len != n) ||
	    __atomic_load_n(&at->age, __ATOMIC_RELAXED) !=
		    __atomic_load_n(&memo_age, __ATOMIC_RELAXED) ||
	    !is_same(at, p, len))
		return false;
	copy_head(&ret->head, &at->head);
	ret->route = __atomic_load_n(&at->route, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&at->turn, __ATOMIC_RELAXED) != turn)
		return false;
	if (__atomic_load_n(&at->trial, __ATOMIC_RELAXED))
		__atomic_store_n(&at->trial, 0, __ATOMIC_RELAXED);
	return true;
}

/* The bytes are read again where they were put: the application's may have changed meanwhile. */
static bool fill(struct place *at, enum http_kind kind, const uint8_t *p, size_t n)
{
	size_t i = 0;
	struct http_head h;

	for (; i < n / 8; i++)
		__atomic_store_n(&at->word[i], load(p + i * 8), __ATOMIC_RELAXED);
	if (n & 7)
		__atomic_store_n(&at->word[i], last_word(p + i * 8, n & 7), __ATOMIC_RELAXED);
	http_head_init(&h, kind);
	if (http_head_feed(&h, (const uint8_t *)at->word, n, NULL, NULL) != n ||
	    h.state != HTTP_DONE)
		return false;
	copy_head(&at->head, &h);
	return true;
}

void memo_keep(enum http_kind kind, const uint8_t *p, size_t n, uint64_t whole, uint16_t route)
{
	uint32_t age = __atomic_load_n(&memo_age, __ATOMIC_RELAXED), turn;
	struct place *at;
	uint8_t trial;

	if (n < MEMO_LEAST || n > MEMO_MOST)
		return;
	at = place_of(p, whole);
	trial = __atomic_load_n(&at->trial, __ATOMIC_RELAXED);
	if (trial) {
		__atomic_store_n(&at->trial, trial - 1, __ATOMIC_RELAXED);
		return;
	}
	turn = __atomic_load_n(&at->turn, __ATOMIC_RELAXED);
	if ((turn & 1) || !__atomic_compare_exchange_n(&at->turn, &turn, turn + 1, false,
						       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&at->len, fill(at, kind, p, n) ? (uint16_t)n : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&at->kind, (uint8_t)kind, __ATOMIC_RELAXED);
	__atomic_store_n(&at->route, route, __ATOMIC_RELAXED);
	__atomic_store_n(&at->age, age, __ATOMIC_RELAXED);
	__atomic_store_n(&at->trial, TRIAL, __ATOMIC_RELAXED);
	__atomic_store_n(&at->turn, turn + 2, __ATOMIC_RELEASE);
}

void memo_forget(void)
{
	__atomic_fetch_add(&memo_age, 1, __ATOMIC_RELAXED);
}
