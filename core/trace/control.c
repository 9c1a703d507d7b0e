/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/control: see control.h.  Every number of the page may be anything at any moment: it is loaded
 * once, checked, and only then used; the bound is CONTROL_SIZE, not what the page says of itself.
 */
#include "core/trace/control.h"

#define STATS_OFF  ((uint64_t)CONTROL_HEADER_SIZE)
#define BLOCKS_OFF (STATS_OFF + CONTROL_STATS * sizeof(struct control_stat))

static void *at(const struct control_header *h, uint64_t off)
{
	return (uint8_t *)(uintptr_t)h + off;
}

/* Do size bytes of a block lie at off? */
static bool holds(uint64_t off, uint64_t size)
{
	return off >= BLOCKS_OFF && off <= CONTROL_SIZE && !(off & 7) && size <= CONTROL_SIZE - off;
}

bool control_check(const struct control_header *h, uint64_t size)
{
	return size == CONTROL_SIZE &&
	       __atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) == CONTROL_MAGIC &&
	       h->version == CONTROL_VERSION && h->size_of_rule == sizeof(struct fault_rule) &&
	       h->file_size == CONTROL_SIZE && h->stats_off == STATS_OFF;
}

static const struct control_state *state_at(const struct control_header *h, uint64_t off)
{
	return holds(off, sizeof(struct control_state)) ? at(h, off) : NULL;
}

const struct control_state *control_state(const struct control_header *h)
{
	return state_at(h, __atomic_load_n(&h->state, __ATOMIC_ACQUIRE));
}

static uint64_t rules_size(uint64_t count)
{
	return CORE_ALIGN8(sizeof(struct control_rules) + count * sizeof(struct fault_rule));
}

const struct control_rules *control_rules(const struct control_header *h,
					  const struct control_state *s)
{
	uint64_t off = s ? __atomic_load_n(&s->rules, __ATOMIC_RELAXED) : 0;
	const struct control_rules *r;
	uint32_t count;

	if (!holds(off, sizeof(*r)))
		return NULL;
	r = at(h, off);
	count = __atomic_load_n(&r->count, __ATOMIC_RELAXED);
	return count <= FAULT_RULES && holds(off, rules_size(count)) ? r : NULL;
}

struct control_stat *control_stat(struct control_header *h, const struct control_rules *rules,
				  uint32_t i)
{
	uint64_t row = (uint64_t)__atomic_load_n(&rules->stat, __ATOMIC_RELAXED) + i;

	if (i >= FAULT_RULES || row >= CONTROL_STATS)
		return NULL;
	return (struct control_stat *)at(h, STATS_OFF) + row;
}

void control_init(struct control_header *h, uint64_t seed)
{
	h->version = CONTROL_VERSION;
	h->size_of_rule = sizeof(struct fault_rule);
	h->file_size = CONTROL_SIZE;
	h->stats_off = STATS_OFF;
	h->blocks_off = BLOCKS_OFF;
	h->cursor = BLOCKS_OFF;
	h->seed = seed;
	__atomic_store_n(&h->magic, CONTROL_MAGIC, __ATOMIC_RELEASE);
}

struct control_decision *control_replay(struct control_header *h, uint64_t count)
{
	if (count > CONTROL_REPLAY || h->cursor != BLOCKS_OFF)
		return NULL;
	h->replay_off = BLOCKS_OFF;
	h->replay_count = count;
	h->blocks_off = h->cursor = BLOCKS_OFF + count * sizeof(struct control_decision);
	return at(h, BLOCKS_OFF);
}

/* ---- appending ---- */

/* size bytes that nobody else has; 0: the page is full. */
static uint64_t take(struct control_header *h, uint64_t size)
{
	uint64_t off = __atomic_load_n(&h->cursor, __ATOMIC_RELAXED);

	do {
		if (!holds(off, size))
			return 0;
	} while (!__atomic_compare_exchange_n(&h->cursor, &off, off + size, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return off;
}

static bool take_stats(struct control_header *h, uint32_t count, uint32_t *ret_row)
{
	uint32_t row = __atomic_load_n(&h->stats, __ATOMIC_RELAXED);

	do {
		if (row > CONTROL_STATS || count > CONTROL_STATS - row)
			return false;
	} while (!__atomic_compare_exchange_n(&h->stats, &row, row + count, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*ret_row = row;
	return true;
}

/* Put a new state with these rules in force.  only: nothing else but this list may have been before. */
static bool enforce(struct control_header *h, uint64_t rules, bool only, uint64_t on, uint64_t t_ns)
{
	uint64_t off = take(h, sizeof(struct control_state)), before;
	struct control_state *s = off ? at(h, off) : NULL;

	if (!s)
		return false;
	s->rules = rules;
	s->on = on;
	s->t_ns = t_ns;
	before = __atomic_load_n(&h->state, __ATOMIC_ACQUIRE);
	do {
		const struct control_state *b = state_at(h, before);

		if (only && (!b || b->rules != rules))
			return false;
		s->generation = b ? b->generation + 1 : 1;
	} while (!__atomic_compare_exchange_n(&h->state, &before, off, false, __ATOMIC_RELEASE,
					      __ATOMIC_ACQUIRE));
	(void)__atomic_fetch_add(&h->changes, 1, __ATOMIC_RELEASE);
	return true;
}

uint64_t control_need(uint32_t count)
{
	return rules_size(count) + sizeof(struct control_state);
}

bool control_set(struct control_header *h, const struct fault_rule *rules, uint32_t count,
		 uint64_t on, uint64_t t_ns)
{
	struct control_rules *r;
	uint32_t row;
	uint64_t off;

	if (count > FAULT_RULES)
		return false;
	off = take(h, rules_size(count));
	if (!off || !take_stats(h, count, &row))
		return false;
	r = at(h, off);
	r->count = count;
	r->stat = row;
	r->generation = (uint32_t)(off / 8);
	if (count)
		memcpy(r->rule, rules, count * sizeof(*rules));
	return enforce(h, off, false, on, t_ns);
}

bool control_switch(struct control_header *h, uint64_t on, uint64_t t_ns)
{
	const struct control_state *s = control_state(h);

	return control_rules(h, s) && enforce(h, s->rules, true, on, t_ns);
}

/* ---- releases ---- */

/* Length of a name that can be one; else 0. */
static size_t name_length(const char *name)
{
	size_t n = 0;

	while (n < FAULT_NAME && name[n])
		n++;
	return n < FAULT_NAME ? n : 0;
}

static bool is_named(const struct control_release *r, const char *name, size_t n)
{
	return n < FAULT_NAME &&
	       __atomic_load_n(&r->state, __ATOMIC_ACQUIRE) == CONTROL_RELEASE_NAMED &&
	       !memcmp(r->name, name, n) && !r->name[n];
}

bool control_release(struct control_header *h, const char *name)
{
	size_t n = name_length(name);

	for (unsigned i = 0; n && i < CONTROL_NAMES; i++) {
		struct control_release *r = &h->release[i];
		uint32_t is = CONTROL_RELEASE_FREE;

		if (__atomic_compare_exchange_n(&r->state, &is, CONTROL_RELEASE_TAKEN, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			memcpy(r->name, name, n);
			r->name[n] = '\0';
			__atomic_store_n(&r->state, CONTROL_RELEASE_NAMED, __ATOMIC_RELEASE);
		} else if (!is_named(r, name, n)) {
			continue;
		}
		(void)__atomic_fetch_add(&r->count, 1, __ATOMIC_RELEASE);
		(void)__atomic_fetch_add(&h->changes, 1, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

uint32_t control_released(const struct control_header *h, const char *name, size_t n)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < CONTROL_NAMES; i++) {
		if (is_named(&h->release[i], name, n))
			count += __atomic_load_n(&h->release[i].count, __ATOMIC_ACQUIRE);
	}
	return count;
}

/* ---- decisions of the run that is repeated ---- */

bool control_replayed(const struct control_header *h, uint64_t key, uint64_t *ret_drawn)
{
	uint64_t off = h->replay_off, low = 0, high = h->replay_count;
	const struct control_decision *d;

	if (high > CONTROL_REPLAY || !holds(off, high * sizeof(*d)))
		return false;
	d = at(h, off);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (d[middle].key == key) {
			*ret_drawn = d[middle].drawn;
			return true;
		}
		if (d[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
