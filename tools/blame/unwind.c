/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/unwind: elfutils does the walking (.eh_frame, .debug_frame); we answer its questions about
 * registers and memory from the record.
 */
#include "tools/blame/unwind.h"

#include <stdlib.h>
#include <string.h>

enum {
	REG_RSP = 7,
	REG_RIP = 16,
	REGS = 17, /* DWARF numbers 0..16 on x86-64 */
};

struct unwinder {
	struct modules *m;
	bool attached;
	const struct trace_stack *s; /* the stack being walked */
	uint64_t *word;		     /* its window, elided words zero */
	size_t words, room;
	struct unwound *ret;
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	*thread_arg = arg;
	return true;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	struct unwinder *u = arg;
	uint64_t base = u->s->reg[REG_RSP], off = addr - base;
	uint8_t *window = (uint8_t *)u->word;
	uint64_t value;

	if (addr >= base && off + 8 <= u->words * 8) {
		memcpy(&value, window + off, 8);
		*result = value;
		return true;
	}
	if (!modules_read(u->m, addr, &value))
		return false;
	*result = value;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct unwinder *u = arg;
	Dwarf_Word reg[REGS];
	int i;

	for (i = 0; i < REGS; i++)
		reg[i] = u->s->reg[i];
	dwfl_thread_state_register_pc(thread, reg[REG_RIP]);
	return dwfl_thread_state_registers(thread, 0, REGS, reg);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static int take_frame(Dwfl_Frame *state, void *arg)
{
	struct unwinder *u = arg;
	struct unwound *ret = u->ret;
	bool activation;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(state, &pc, &activation))
		return DWARF_CB_ABORT;
	/* A return address points behind the call, maybe already into the next line or function. */
	if (ret->count && !activation)
		pc--;
	if (!modules_find(u->m, pc))
		return DWARF_CB_ABORT;
	ret->pc[ret->count++] = pc;
	return ret->count < UNWIND_MAX ? DWARF_CB_OK : DWARF_CB_ABORT;
}

struct unwinder *unwinder_new(struct modules *m)
{
	struct unwinder *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->m = m;
	u->attached = m->dwfl && dwfl_attach_state(m->dwfl, NULL, 1, &thread_callbacks, u);
	return u;
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	free(u->word);
	free(u);
}

/* Spread the kept words over the window they were taken from. */
static bool expand(struct unwinder *u, const struct trace_stack *s)
{
	const uint64_t *bitmap = (const uint64_t *)(s + 1);
	size_t maps = ((size_t)s->words + 63) / 64, i, kept = 0;
	const uint64_t *word = bitmap + maps;

	if (s->words > u->room) {
		uint64_t *more = realloc(u->word, (size_t)s->words * 8);

		if (!more)
			return false;
		u->word = more;
		u->room = s->words;
	}
	for (i = 0; i < s->words; i++) {
		bool there = bitmap[i / 64] >> (i % 64) & 1;

		u->word[i] = there && kept < s->kept ? word[kept++] : 0;
	}
	u->words = s->words;
	u->s = s;
	return true;
}

/* A chain was walked already, along frame pointers: the first counter is the place itself, the others
 * are return addresses. */
static void walk_chain(const struct unwinder *u, const struct trace_stack *s, struct unwound *ret)
{
	const uint64_t *word = (const uint64_t *)(s + 1) + ((size_t)s->words + 63) / 64;
	uint32_t i;

	ret->pc[ret->count++] = s->reg[REG_RIP];
	for (i = 0; i < s->kept && ret->count < UNWIND_MAX; i++) {
		if (!modules_find(u->m, word[i] - 1))
			return;
		ret->pc[ret->count++] = word[i] - 1;
	}
}

void unwinder_walk(struct unwinder *u, const struct trace_stack *s, struct unwound *ret)
{
	ret->count = 0;
	ret->chain = s->rec.flags & TRACE_STACK_CHAIN;
	if (ret->chain) {
		walk_chain(u, s, ret);
		return;
	}
	if (u->attached && expand(u, s)) {
		u->ret = ret;
		(void)dwfl_getthread_frames(u->m->dwfl, 1, take_frame, u);
	}
	if (!ret->count)
		ret->pc[ret->count++] = s->reg[REG_RIP];
}
