/* SPDX-License-Identifier: BSD-2-Clause
 *
 * witness: the entries of functions whose calls are noted.
 *
 * Replaced is the beginning of the prologue, which asks whether the goroutine's stack is large enough:
 *     cmp rsp, [r14+16]; jbe more                     small frames
 *     lea r12, [rsp-N]; cmp r12, [r14+16]; jbe more   larger ones: only the lea
 * It is done by the assembly's stub instead, with N, more, and where to go on as data.  What is not
 * replaced is passed over: Go asks a goroutine to make room for others by a limit that no stack keeps
 * to, and asked a second time, the answer may be another, and the function be entered once more.
 * A function that begins otherwise is refused.
 *
 * Source: cmd/internal/obj/x86/obj6.go (stacksplit) of Go's sources.
 */
#include "shim/engine/sys.h"
#include "shim/go/internal.h"
#include "shim/patch/patch.h"

#include "core/trace/layout.h"

enum {
	COMPARE = 4,   /* bytes of the comparison */
	PROLOGUE = 18, /* with the longest of everything */
};
_Static_assert((int)PROLOGUE >= (int)PATCH_SIZE, "all that may be replaced is read");

struct go_witness go_witnesses[GO_WITNESSES];

static const char *const functions[] = {
#define WITNESS(id, number, what, arguments, function) function,
#include "core/trace/witness.def"
#undef WITNESS
};
static const struct {
	uint16_t id;
	uint8_t arguments;
} rows[] = {
#define WITNESS(id, number, what, arguments, function) {number, arguments},
#include "core/trace/witness.def"
#undef WITNESS
};
_Static_assert(CORE_ARRAY_LEN(rows) <= GO_WITNESSES, "one stub each");

static int64_t number8(const uint8_t *p)
{
	int8_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int64_t number32(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* jbe.  Returns its size, 0: it is something else. */
static uint32_t read_jump(const uint8_t *p, uint64_t at, struct go_witness *w)
{
	if (p[0] == 0x76) {
		w->enter = at + 2;
		w->more = w->enter + (uint64_t)number8(p + 1);
		return 2;
	}
	if (p[0] == 0x0f && p[1] == 0x86) {
		w->enter = at + 6;
		w->more = w->enter + (uint64_t)number32(p + 2);
		return 6;
	}
	return 0;
}

/* cmp rsp, [r14+16]; jbe.  Returns the bytes to be replaced, 0: it is something else. */
static uint32_t read_small(const uint8_t *p, uint64_t at, struct go_witness *w)
{
	static const uint8_t compare[COMPARE] = {0x49, 0x3b, 0x66, 0x10};
	uint32_t jump;

	if (memcmp(p, compare, COMPARE))
		return 0;
	w->below = 0;
	jump = read_jump(p + COMPARE, at + COMPARE, w);
	return jump ? COMPARE + jump : 0;
}

/* lea r12, [rsp-N]; cmp r12, [r14+16]; jbe. */
static uint32_t read_large(const uint8_t *p, uint64_t at, struct go_witness *w)
{
	static const uint8_t near[] = {0x4c, 0x8d, 0x64, 0x24}, far[] = {0x4c, 0x8d, 0xa4, 0x24},
			     compare[COMPARE] = {0x4d, 0x3b, 0x66, 0x10};
	uint32_t n = 0;

	if (!memcmp(p, near, sizeof(near))) {
		w->below = number8(p + 4);
		n = 5;
	} else if (!memcmp(p, far, sizeof(far))) {
		w->below = number32(p + 4);
		n = 8;
	}
	if (!n || w->below >= 0 || memcmp(p + n, compare, COMPARE) ||
	    !read_jump(p + n + COMPARE, at + n + COMPARE, w))
		return 0;
	return n;
}

/* What the file has there decides; patch_add() compares it with what is there. */
static bool add(const struct go_table *t, unsigned i, uint64_t vaddr, uint64_t bias)
{
	struct go_witness *w = &go_witnesses[i];
	uint64_t at = vaddr + bias;
	struct patch_jump jump = {
		.at = at,
		.target = go_witness_stubs + i * go_witness_stub_size,
	};
	struct span file;

	if (!elf_at(&t->elf, vaddr, PROLOGUE, &file))
		return false;
	jump.size = read_small(file.p, at, w);
	if (!jump.size)
		jump.size = read_large(file.p, at, w);
	if (!jump.size)
		return false;
	w->at = at;
	memcpy(jump.expect, file.p, PATCH_SIZE);
	return patch_add(&jump) == PATCH_OK;
}

unsigned go_witnesses_add(const struct go_table *t, uint64_t bias)
{
	uint64_t at[CORE_ARRAY_LEN(rows)];
	unsigned refused = 0;

	go_functions_find(t, functions, CORE_ARRAY_LEN(rows), at);
	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		if (at[i] && !add(t, i, at[i], bias))
			refused++;
	}
	return refused;
}

void go_witnessed(const struct go_witness_registers *f)
{
	const uint64_t arg[2] = {
		rows[f->number].arguments > 0 ? f->arg[1] : 0,
		rows[f->number].arguments > 1 ? f->arg[2] : 0,
	};
	struct call_place place;

	go_place(&place, f->sp, f->bp, go_witnesses[f->number].at, f->task);
	engine_witness(rows[f->number].id, &place, arg);
}
