/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heads: see heads.h.
 */
#include "shim/engine/heads.h"
#include "shim/engine/reserve.h"

struct slot {
	uint32_t used; /* bytes of data */
	uint32_t spare;
	uint8_t data[HEADS_SIZE - 8];
};

static struct reserve pool;
static struct slot *slots; /* where it begins */
static uint8_t taken[HEADS_SLOTS];
static uint32_t hint; /* where the next free one is likely */

bool heads_start(void)
{
	if (!reserve_start(&pool, sizeof(struct slot) * HEADS_SLOTS))
		return false;
	slots = (struct slot *)pool.base;
	return true;
}

uint8_t heads_take(void)
{
	uint32_t from = __atomic_load_n(&hint, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < HEADS_SLOTS; i++) {
		uint32_t at = (from + i) % HEADS_SLOTS;

		if (!__atomic_load_n(&taken[at], __ATOMIC_RELAXED) &&
		    reserve_open(&pool, (at + 1) * sizeof(struct slot)) &&
		    !__atomic_exchange_n(&taken[at], 1, __ATOMIC_ACQUIRE)) {
			slots[at].used = 0;
			return (uint8_t)(at + 1);
		}
	}
	return 0;
}

void heads_give(uint8_t slot)
{
	__atomic_store_n(&taken[slot - 1], 0, __ATOMIC_RELEASE);
	__atomic_store_n(&hint, slot - 1u, __ATOMIC_RELAXED);
}

uint8_t *heads_add(uint8_t slot, const struct heads_piece *piece)
{
	struct slot *s = &slots[slot - 1];
	size_t need = sizeof(*piece) + CORE_ALIGN8((size_t)piece->len);
	uint8_t *p = s->data + s->used;

	if (need > sizeof(s->data) - s->used)
		return NULL;
	memcpy(p, piece, sizeof(*piece));
	s->used += (uint32_t)need;
	return p + sizeof(*piece);
}

const struct heads_piece *heads_next(uint8_t slot, uint32_t *at)
{
	const struct slot *s = &slots[slot - 1];
	const struct heads_piece *p = (const struct heads_piece *)(s->data + *at);

	if (*at >= s->used)
		return NULL;
	*at += (uint32_t)(sizeof(*p) + CORE_ALIGN8((size_t)p->len));
	return p;
}
