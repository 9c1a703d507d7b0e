/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site_range: where a function begins and ends.
 *
 * .eh_frame is a list of entries, each with its length in front: CIEs say how addresses are written,
 * FDEs name a CIE, an address and a size.  Two ways of writing are known, the ones assemblers use:
 * 8 bytes as they are, and 4 bytes from where they stand.
 */
#include "core/target/site_internal.h"

enum {
	ENCODED_PLAIN = 0x00,
	ENCODED_PC_RELATIVE = 0x1b, /* signed, 4 bytes */
	ENCODED_UNKNOWN = 0xff,
	SYMBOL_SIZE = 24,
	SYMBOL_FUNCTION = 2,
	CIE_TEXT_MAX = 8,
};

/* Four bytes that are there: these loops are what finding sites costs. */
static uint32_t word_at(struct span s, uint64_t at)
{
	uint32_t v;

	memcpy(&v, s.p + at, sizeof(v));
	return v;
}

static uint64_t long_at(struct span s, uint64_t at)
{
	uint64_t v;

	memcpy(&v, s.p + at, sizeof(v));
	return v;
}

/* A number in LEB128 of which nobody wants the value. */
static void skip_leb(struct span frame, uint64_t *at)
{
	while (*at < frame.n && frame.p[(*at)++] & 0x80)
		;
}

static uint8_t byte_at(struct span frame, uint64_t at)
{
	return at < frame.n ? frame.p[at] : 0;
}

/* How the FDEs of the CIE at this offset write addresses. */
static uint8_t encoding(struct span frame, uint64_t cie)
{
	uint64_t at = cie + 9, letters = at;
	uint8_t version = byte_at(frame, cie + 8);

	while (at - letters < CIE_TEXT_MAX && byte_at(frame, at))
		at++;
	if (byte_at(frame, at++) || elf_u32(frame, cie + 4))
		return ENCODED_UNKNOWN;
	if (byte_at(frame, letters) != 'z')
		return byte_at(frame, letters) ? ENCODED_UNKNOWN : ENCODED_PLAIN;
	skip_leb(frame, &at); /* code alignment */
	skip_leb(frame, &at); /* data alignment */
	if (version == 1)
		at++;
	else
		skip_leb(frame, &at); /* return address */
	skip_leb(frame, &at);	      /* length of what follows */
	for (uint64_t i = letters + 1; byte_at(frame, i); i++) {
		uint8_t how = byte_at(frame, at++);

		switch (byte_at(frame, i)) {
		case 'R':
			return how;
		case 'L':
			break;
		case 'P': /* a pointer of its own size */
			at += (how & 7) == 3 ? 4 : (how & 7) == 2 ? 2 : 8;
			break;
		case 'S':
		case 'B':
			at--;
			break;
		default:
			return ENCODED_UNKNOWN;
		}
	}
	return ENCODED_PLAIN;
}

/* The addresses of the FDE at this offset, of which body is behind its CIE pointer. */
static bool fde_range(struct span frame, uint64_t vaddr, uint64_t body, uint8_t how,
		      struct site_range *ret)
{
	uint64_t size;

	if (body + 16 > frame.n)
		return false;
	if (how == ENCODED_PLAIN) {
		ret->start = long_at(frame, body);
		size = long_at(frame, body + 8);
	} else if (how == ENCODED_PC_RELATIVE) {
		ret->start = vaddr + body + (uint64_t)(int64_t)(int32_t)word_at(frame, body);
		size = word_at(frame, body + 4);
	} else {
		return false;
	}
	ret->end = ret->start + size;
	return ret->end > ret->start;
}

static bool range_from_frames(const struct elf *e, uint64_t vaddr, struct site_range *ret)
{
	struct elf_section s;
	struct span frame;
	uint64_t length, known = UINT64_MAX;
	uint8_t how = ENCODED_UNKNOWN;

	if (!elf_section_named(e, ".eh_frame", &s) || !elf_bytes(e->file, s.off, s.size, &frame))
		return false;
	for (uint64_t at = 0; at + 8 <= frame.n; at += length + 4) {
		uint32_t back = word_at(frame, at + 4);

		length = word_at(frame, at);
		if (!length || length > frame.n - at - 4)
			return false; /* the end, or 64-bit lengths */
		if (!back || back > at + 4)
			continue;
		if (at + 4 - back != known) {
			known = at + 4 - back;
			how = encoding(frame, known);
		}
		if (fde_range(frame, s.addr, at + 8, how, ret) && vaddr >= ret->start &&
		    vaddr < ret->end)
			return true;
	}
	return false;
}

static bool range_from_symbols(const struct elf *e, uint64_t vaddr, struct site_range *ret)
{
	struct span table;

	for (uint32_t i = 0; i < e->shnum; i++) {
		struct elf_section s = elf_section(e, i);

		if (s.type != ELF_SHT_SYMTAB || !elf_bytes(e->file, s.off, s.size, &table))
			continue;
		for (uint64_t at = 0; at + SYMBOL_SIZE <= table.n; at += SYMBOL_SIZE) {
			uint64_t start, size;

			if ((table.p[at + 4] & 15) != SYMBOL_FUNCTION)
				continue;
			start = long_at(table, at + 8);
			size = long_at(table, at + 16);
			if (vaddr < start || vaddr - start >= size)
				continue;
			*ret = (struct site_range){start, start + size};
			return ret->end > start;
		}
	}
	return false;
}

bool site_range_find(const struct elf *e, uint64_t vaddr, struct site_range *ret)
{
	return range_from_frames(e, vaddr, ret) || range_from_symbols(e, vaddr, ret);
}
