/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack: see stack.h.
 *
 * The id is a hash in which addresses of the stack itself count by their distance from the stack
 * pointer: the same way through the program has the same id in every thread.
 *
 * Source: DWARF register numbers: System V ABI, AMD64 supplement, figure 3.36.
 */
#include "shim/engine/stack.h"
#include "shim/engine/modules.h"
#include "shim/engine/peek.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

enum {
	WINDOW = 16 * 1024, /* bytes above the stack pointer that are looked at */
	WORDS = WINDOW / 8,
	SCRATCHES =
		8,    /* threads that take a stack at once; the pages of unused ones cost nothing */
	KNOWN = 1024, /* ids remembered, a power of two */
	WAYS = 8,
	CACHE = 32,	  /* places of stack_take_cached, a power of two */
	MISSES = 512,	  /* ... after which it gives up: not so few places after all */
	FRAMES = 256,	  /* of a chain */
	SAVED_WORDS = 10, /* between a door's struct call and its return address, at most */
};

static struct scratch {
	uint32_t taken; /* try-lock */
	uint32_t words;
	uint32_t kept;
	bool chain; /* frame pointers are proven */
	uint64_t reg[18];
	uint64_t bitmap[WORDS / 64];
	uint64_t word[WORDS];
} scratches[SCRATCHES];

/* Ids the current half of the file holds, each in one of the WAYS rows from its own on. */
static struct known {
	uint64_t id;
	uint64_t epoch;
} known[KNOWN];

static struct place {
	const void *frame;
	uint64_t caller; /* word[at] behind the frame, or what a place says */
	uint64_t id;
	uint64_t epoch;
	uint32_t at;
} cache[CACHE];
static uint32_t misses;

static struct scratch *take_scratch(void)
{
	for (unsigned i = 0; i < SCRATCHES; i++) {
		if (!__atomic_exchange_n(&scratches[i].taken, 1, __ATOMIC_ACQUIRE))
			return &scratches[i];
	}
	return NULL;
}

static void give_scratch(struct scratch *s)
{
	__atomic_store_n(&s->taken, 0, __ATOMIC_RELEASE);
}

/* Copy what there is above the stack pointer. */
static bool read_window(struct scratch *s)
{
	s->words = (uint32_t)(peek_read(s->reg[SYS_REG_SP], s->word, WINDOW) / 8);
	return s->words != 0;
}

static uint64_t mix(uint64_t hash, uint64_t v)
{
	hash = (hash ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

/* Is v an address of the window or of code? */
static bool keeps(const struct scratch *s, uint64_t v)
{
	return v - s->reg[SYS_REG_SP] < s->words * UINT64_C(8) || modules_holds(v);
}

/* Blot out every word that is neither a code address nor an address inside the window; what remains
 * goes into the bitmap and the hash. */
static uint64_t filter(struct scratch *s)
{
	uint64_t from = s->reg[SYS_REG_SP], size = s->words * UINT64_C(8);
	uint64_t hash = s->reg[SYS_REG_IP];
	uint32_t last = 0;

	s->kept = 0;
	memset(s->bitmap, 0, sizeof(s->bitmap));
	for (uint32_t i = 0; i < s->words; i++) {
		uint64_t v = s->word[i];
		bool inside = v - from < size;

		if (!inside && !modules_holds(v))
			continue;
		s->bitmap[i / 64] |= UINT64_C(1) << i % 64;
		s->kept++;
		hash = mix(hash, i);
		hash = mix(hash, inside ? v - from : v);
		last = i + 1;
	}
	for (unsigned r = 0; r < SYS_REGS; r++) {
		uint64_t v = s->reg[r];

		if (r != SYS_REG_SP && keeps(s, v))
			hash = mix(hash, v - from < size ? v - from : v);
	}
	s->words = last;
	return hash ? hash : 1;
}

/* Follow the frame pointers from place on: what is kept of the window are the return addresses alone,
 * moved to its beginning.  A chain that leaves the window or goes down ends. */
static uint64_t follow(struct scratch *s)
{
	uint64_t sp = s->reg[SYS_REG_SP], bp = s->reg[SYS_REG_BP], size = s->words * UINT64_C(8);
	uint64_t hash = mix(1, s->reg[SYS_REG_IP]), pc = s->word[0], least = 8, off;
	uint32_t n = 0;

	while (n < FRAMES && modules_holds(pc)) {
		hash = mix(hash, pc);
		off = bp - sp;
		if (off < least || off >= size - 8 || off % 8) {
			s->word[n++] = pc;
			break;
		}
		bp = s->word[off / 8];
		s->word[n++] = pc;
		pc = s->word[off / 8 + 1];
		least = off + 16;
	}
	s->words = s->kept = n;
	memset(s->bitmap, 0, sizeof(s->bitmap));
	for (uint32_t i = 0; i < n; i++)
		s->bitmap[i / 64] |= UINT64_C(1) << i % 64;
	return hash ? hash : 1;
}

static uint64_t reduce(struct scratch *s)
{
	return s->chain ? follow(s) : filter(s);
}

static void store(const struct scratch *s, uint64_t id)
{
	uint32_t maps = (s->words + 63) / 64;
	struct trace_stack *r;
	uint64_t *out;

	r = recorder_begin(TRACE_STACK, sizeof(*r) + (maps + s->kept) * sizeof(uint64_t));
	if (!r)
		return;
	r->rec.flags = s->chain ? TRACE_STACK_CHAIN : 0;
	r->id = id;
	for (unsigned i = 0; i < SYS_REGS; i++)
		r->reg[i] = s->chain || keeps(s, s->reg[i]) ? s->reg[i] : 0;
	r->words = s->words;
	r->kept = s->kept;
	out = (uint64_t *)(r + 1);
	memcpy(out, s->bitmap, maps * sizeof(uint64_t));
	out += maps;
	for (uint32_t i = 0; i < s->words; i++) {
		if (s->bitmap[i / 64] >> i % 64 & 1)
			*out++ = s->word[i];
	}
	trace_publish(&r->rec);
}

static bool holds(const struct known *k, uint64_t id, uint64_t epoch)
{
	return k->id == id && k->epoch == epoch;
}

/* The row that holds id; else one for it: free, or of the half before, or its own. */
static struct known *row_of(uint64_t id, uint64_t epoch)
{
	struct known *free = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		struct known *k = &known[(id + i) % KNOWN];

		if (holds(k, id, epoch))
			return k;
		if (!free && (k->epoch != epoch || !k->id))
			free = k;
	}
	return free ? free : &known[id % KNOWN];
}

/* s->reg is set. */
static __attribute__((noinline)) uint64_t take(struct scratch *s, uint64_t now)
{
	struct known *k;
	uint64_t id, epoch;

	if (!read_window(s))
		return 0;
	id = reduce(s);
	epoch = recorder_epoch();
	k = row_of(id, epoch);
	if (holds(k, id, epoch))
		return id;
	/* A new one: is it new because code was loaded? Then words are missing. */
	if (modules_refresh(now)) {
		if (!read_window(s))
			return 0;
		id = reduce(s);
		k = row_of(id, epoch);
		if (holds(k, id, epoch))
			return id;
	}
	k->id = 0;
	k->epoch = epoch;
	store(s, id);
	k->id = id;
	return id;
}

__attribute__((noinline)) uint64_t stack_take(const struct call_place *place, uint64_t now)
{
	struct scratch *s;
	uint64_t id;

	if (engine.quiet || engine_subject.pid || recorder_is_off())
		return 0;
	s = take_scratch();
	if (!s) {
		recorder_lost(TRACE_LOST_STACKS, 0);
		return 0;
	}
	memset(s->reg, 0, sizeof(s->reg));
	s->chain = place != NULL;
	if (place) {
		s->reg[SYS_REG_SP] = place->sp;
		s->reg[SYS_REG_BP] = place->bp;
		s->reg[SYS_REG_IP] = place->ip;
	} else {
		sys_registers(s->reg);
	}
	id = take(s, now);
	give_scratch(s);
	return id;
}

/* The return address of the door: the first code address behind its struct call, which is followed by
 * saved registers only.  Whatever it is, it tells one caller from another.  SAVED_WORDS: none. */
static unsigned find_caller(const uint64_t *word)
{
	unsigned i = 0;

	while (i < SAVED_WORDS && !modules_holds(word[i]))
		i++;
	return i;
}

/* Where the call comes from, in a word; false: that cannot be told. */
static bool tell_caller(const struct call *call, struct place *p)
{
	const uint64_t *word = (const uint64_t *)(call + 1);

	if (call->place) {
		p->at = 0;
		p->frame = (const void *)call->place->bp;
		p->caller = mix(call->place->sp, call->place->task);
		return true;
	}
	p->frame = call;
	p->at = find_caller(word);
	p->caller = p->at < SAVED_WORDS ? word[p->at] : 0;
	return p->at < SAVED_WORDS;
}

static bool is_cached(const struct place *p, const struct call *call)
{
	const uint64_t *word = (const uint64_t *)(call + 1);

	if (call->place)
		return p->frame == (const void *)call->place->bp &&
		       p->caller == mix(call->place->sp, call->place->task);
	return p->frame == call && word[p->at] == p->caller;
}

uint64_t stack_take_cached(const struct call *call, uint64_t now)
{
	uintptr_t where = call->place ? call->place->bp : (uintptr_t)call;
	struct place *p = &cache[mix(1, where) % CACHE], new;
	uint64_t epoch = recorder_epoch(), id;

	if (engine_subject.pid)
		return 0;
	if (p->epoch == epoch && is_cached(p, call))
		return p->id;
	if (misses > MISSES)
		return 0;
	misses++;
	id = stack_take(call->place, now);
	if (!tell_caller(call, &new))
		return id;
	p->frame = NULL;
	p->at = new.at;
	p->caller = new.caller;
	p->id = id;
	p->epoch = epoch;
	p->frame = new.frame;
	return id;
}

void stack_forked(void)
{
	for (unsigned i = 0; i < SCRATCHES; i++)
		scratches[i].taken = 0;
	memset(known, 0, sizeof(known));
	memset(cache, 0, sizeof(cache));
	misses = 0;
}
