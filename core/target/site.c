/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site: from every `0f 05` in the text to the few that may be replaced.
 *
 * The bytes around it choose among the shapes; the decoded function proves one or none; and a look at
 * all jumps of the text, once for every few sites, takes back what somebody else jumps into.
 */
#include "core/target/site_internal.h"

enum {
	MOVE_SIZE = 3, /* REX.W 89 ModRM */
	COMPARE_SIZE = 6,
	SYSCALL_SIZE = 2,
	NUMBER_SIZE = 5,	  /* b8 imm32 */
	ZERO_SIZE = 2,		  /* 31 c0 */
	STORE_SIZE = 5,		  /* 4c 89 5c 24 08 */
	BATCH = 6,		  /* sites per look at the text; they lie on the stack */
	FUNCTION_MAX = 256 << 10, /* bytes; a longer one is not decoded */
};

struct search {
	const struct elf *elf;
	bool (*wants)(uint32_t nr);
	bool (*found)(void *arg, const struct site *s);
	void *arg;
	struct site_totals totals;
	struct span text; /* of the segment under search */
	uint64_t vaddr;	  /* where it goes */
	struct site batch[BATCH];
	unsigned n;
	bool stop;
};

/* ---- shapes ---- */

static bool bytes_at(struct span text, uint64_t at, const void *bytes, size_t n)
{
	return at <= text.n && n <= text.n - at && !memcmp(text.p + at, bytes, n);
}

/* mov r64,r64 that leaves the stack pointer alone, and eax: the number. */
static bool move_at(struct span text, uint64_t at, struct site *s)
{
	uint8_t rex, modrm;

	if (at > text.n || text.n - at < MOVE_SIZE || text.p[at + 1] != 0x89)
		return false;
	rex = text.p[at];
	modrm = text.p[at + 2];
	s->to = (uint8_t)((modrm & 7) | (rex & 1) << 3);
	s->from = (uint8_t)((modrm >> 3 & 7) | (rex & 4) << 1);
	return (rex & 0xfa) == 0x48 && modrm >> 6 == 3 && s->to != 4 && s->from != 4;
}

static bool compare_at(struct span text, uint64_t at, struct site *s)
{
	if (!bytes_at(text, at, "\x48\x3d", 2) || text.n - at < COMPARE_SIZE)
		return false;
	s->compare = (int32_t)elf_u32(text, at + 2);
	return true;
}

/* Does the text around the syscall at this offset have that shape? */
static bool shape_at(struct span text, uint64_t at, unsigned shape, struct site *ret)
{
	const uint64_t after = at + SYSCALL_SIZE;
	struct site s = {.shape = (uint8_t)shape, .nr = UINT32_MAX, .size = SYSCALL_SIZE};
	bool fits = false;

	switch (shape) {
	case SITE_NUMBER:
		s.before = NUMBER_SIZE;
		fits = at >= NUMBER_SIZE && text.p[at - NUMBER_SIZE] == 0xb8;
		s.nr = fits ? elf_u32(text, at - 4) : UINT32_MAX;
		break;
	case SITE_ZERO:
		s.before = ZERO_SIZE;
		s.size += COMPARE_SIZE;
		s.nr = 0;
		fits = at >= ZERO_SIZE && bytes_at(text, at - ZERO_SIZE, "\x31\xc0", 2) &&
		       compare_at(text, after, &s);
		break;
	case SITE_COMPARE:
		s.size += COMPARE_SIZE;
		fits = compare_at(text, after, &s);
		break;
	case SITE_MOVE:
		s.before = MOVE_SIZE;
		fits = at >= MOVE_SIZE && move_at(text, at - MOVE_SIZE, &s);
		break;
	case SITE_MOVE_AFTER:
		s.size += MOVE_SIZE;
		fits = move_at(text, after, &s);
		break;
	}
	s.size = (uint16_t)(s.size + s.before);
	*ret = s;
	return fits;
}

/* ---- the proof ---- */

/* What a whole function says about the bytes [from, to) in it, of which the syscall is at `call`. */
struct proof {
	bool is_syscall; /* an instruction starts at call */
	bool starts;	 /* and one at from */
	bool entered;	 /* something jumps behind from and before to */
	bool indirect;	 /* something jumps who knows where */
	uint32_t nr;	 /* last constant in eax before the call, UINT32_MAX: none */
	uint64_t loaded; /* by the instruction at this offset */
};

/* False when the function cannot be decoded to its end. */
static bool function_read(struct span code, uint64_t from, uint64_t call, uint64_t to,
			  struct proof *ret)
{
	struct proof p = {.nr = UINT32_MAX};
	uint32_t eax = UINT32_MAX;
	uint64_t loaded = 0;

	for (uint64_t at = 0; at < code.n;) {
		struct site_insn insn;
		uint64_t target;

		if (!site_decode((struct span){code.p + at, code.n - at}, &insn))
			return false;
		p.starts |= at == from;
		if (at == call) {
			p.is_syscall = true;
			p.nr = eax;
			p.loaded = loaded;
		}
		if (insn.writes_eax) {
			eax = UINT32_MAX;
			loaded = at;
			if (code.p[at] == 0xb8 && insn.size == 5)
				eax = elf_u32(code, at + 1);
			else if (bytes_at(code, at, "\x31\xc0", 2))
				eax = 0;
		}
		at += insn.size;
		target = at + (uint64_t)(int64_t)insn.relative;
		p.entered |= insn.flow == FLOW_JUMP && target > from && target < to;
		p.indirect |= insn.flow == FLOW_INDIRECT;
	}
	*ret = p;
	return true;
}

/* The constant in eax at the call, if nothing jumps in between it and the call. */
static uint32_t number_at(struct span code, uint64_t call, const struct proof *seen)
{
	struct proof p;

	if (seen->nr == UINT32_MAX || seen->indirect ||
	    !function_read(code, seen->loaded, call, call + SYSCALL_SIZE, &p) || p.entered)
		return UINT32_MAX;
	return seen->nr;
}

/* The first shape that the call has and that can be proven. */
static bool prove(struct span code, uint64_t call, struct site *ret)
{
	for (unsigned shape = SITE_NUMBER; shape <= SITE_MOVE_AFTER; shape++) {
		uint64_t from;
		struct proof p;

		if (!shape_at(code, call, shape, ret))
			continue;
		from = call - ret->before;
		if (from + ret->size <= code.n &&
		    function_read(code, from, call, from + ret->size, &p) && p.starts &&
		    !p.entered && !p.indirect)
			return true;
	}
	return false;
}

/* ---- the search ---- */

/* Take back every site of the batch that a jump anywhere in the text goes into; report the rest. */
static __attribute__((noinline)) void flush(struct search *f)
{
	const uint8_t *p = f->text.p;
	uint64_t low, high;

	if (!f->n)
		return;
	low = f->batch[0].vaddr;
	high = f->batch[f->n - 1].vaddr + f->batch[f->n - 1].size;
	for (uint64_t at = 0; at + 6 <= f->text.n; at++) {
		uint64_t to;

		if (p[at] == 0xe9)
			to = f->vaddr + at + 5 +
			     (uint64_t)(int64_t)(int32_t)elf_u32(f->text, at + 1);
		else if (p[at] == 0x0f && (p[at + 1] & 0xf0) == 0x80)
			to = f->vaddr + at + 6 +
			     (uint64_t)(int64_t)(int32_t)elf_u32(f->text, at + 2);
		else
			continue;
		if (to <= low || to >= high)
			continue;
		for (unsigned i = 0; i < f->n; i++) {
			struct site *s = &f->batch[i];

			if (to > s->vaddr && to < s->vaddr + s->size)
				s->size = 0;
		}
	}
	for (unsigned i = 0; i < f->n && !f->stop; i++) {
		if (!f->batch[i].size) {
			f->totals.refused++;
			continue;
		}
		f->totals.sites++;
		f->stop = !f->found(f->arg, &f->batch[i]);
	}
	f->n = 0;
}

/* What the bytes in front say the number is. */
static uint32_t number_before(struct span text, uint64_t at)
{
	struct site s;

	if (shape_at(text, at, SITE_NUMBER, &s) || shape_at(text, at, SITE_ZERO, &s))
		return s.nr;
	return UINT32_MAX;
}

/* The bytes of the function around an offset of the text. */
static bool function_around(const struct search *f, uint64_t at, struct span *ret,
			    uint64_t *ret_off)
{
	struct site_range range;

	if (!site_range_find(f->elf, f->vaddr + at, &range) || range.start < f->vaddr ||
	    range.end - range.start > FUNCTION_MAX)
		return false;
	*ret_off = at - (range.start - f->vaddr);
	return elf_bytes(f->text, range.start - f->vaddr, range.end - range.start, ret);
}

/* mov [rsp+8],r11; syscall; ret: nobody else keeps anything above its return address. */
static bool is_cancelled(struct span text, uint64_t at)
{
	return at >= STORE_SIZE &&
	       bytes_at(text, at - STORE_SIZE, "\x4c\x89\x5c\x24\x08\x0f\x05\xc3", 8);
}

/* One `0f 05` of the text, which may be the middle of something else. */
static void consider(struct search *f, uint64_t at)
{
	uint32_t nr = number_before(f->text, at);
	struct span code;
	struct proof p;
	struct site s;
	uint64_t call;

	if (is_cancelled(f->text, at) && f->wants(UINT32_MAX)) {
		f->totals.refused++;
		f->totals.cancelled = true;
		return;
	}
	if (nr != UINT32_MAX && !f->wants(nr))
		return;
	if (!function_around(f, at, &code, &call) ||
	    !function_read(code, call, call, call + SYSCALL_SIZE, &p)) {
		f->totals.refused += nr != UINT32_MAX;
		return;
	}
	nr = number_at(code, call, &p);
	if (!p.is_syscall || !f->wants(nr))
		return;
	if (!prove(code, call, &s) ||
	    /* two calls in a row: what is behind one is not before the other, too */
	    (f->n &&
	     f->batch[f->n - 1].vaddr + f->batch[f->n - 1].size > f->vaddr + at - s.before)) {
		f->totals.refused++;
		return;
	}
	s.nr = nr;
	s.vaddr = f->vaddr + at - s.before;
	f->batch[f->n++] = s;
	if (f->n == BATCH)
		flush(f);
}

struct site_totals sites_find(const struct elf *e, bool (*wants)(uint32_t nr),
			      bool (*found)(void *arg, const struct site *s), void *arg)
{
	struct search f = {.elf = e, .wants = wants, .found = found, .arg = arg};

	for (uint32_t i = 0; i < e->phnum && !f.stop; i++) {
		struct elf_segment s = elf_segment(e, i);

		if (s.type != ELF_PT_LOAD || !(s.flags & ELF_PF_X) ||
		    !elf_bytes(e->file, s.off, s.filesz, &f.text))
			continue;
		f.vaddr = s.vaddr;
		for (uint64_t at = 0; at + SYSCALL_SIZE <= f.text.n && !f.stop; at++) {
			if (f.text.p[at] == 0x0f && f.text.p[at + 1] == 0x05)
				consider(&f, at);
		}
		flush(&f);
	}
	return f.totals;
}
