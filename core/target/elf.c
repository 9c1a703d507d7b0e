/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/elf: the checked readers.  Sizes are those of the 64-bit layout in the ELF gABI.
 */
#include "core/target/elf.h"

enum {
	EHDR_SIZE = 64,
	PHDR_SIZE = 56,
	SHDR_SIZE = 64,
	STRING_MAX = 4096,    /* no name is longer; keeps hostile tables from costing minutes */
	PN_EXTENDED = 0xffff, /* the real count would be in section 0; no program needs it */
};

bool elf_bytes(struct span file, uint64_t off, uint64_t n, struct span *ret)
{
	if (off > file.n || n > file.n - off)
		return false;
	ret->p = file.p + off;
	ret->n = n;
	return true;
}

static uint64_t number(struct span file, uint64_t off, unsigned width)
{
	struct span s;
	uint64_t v = 0;

	if (!elf_bytes(file, off, width, &s))
		return 0;
	for (unsigned i = width; i-- > 0;)
		v = v << 8 | s.p[i];
	return v;
}

uint16_t elf_u16(struct span file, uint64_t off)
{
	return (uint16_t)number(file, off, 2);
}

uint32_t elf_u32(struct span file, uint64_t off)
{
	return (uint32_t)number(file, off, 4);
}

uint64_t elf_u64(struct span file, uint64_t off)
{
	return number(file, off, 8);
}

/* A table of n rows of which the header says where and how wide. */
static bool table_fits(struct span file, uint64_t off, uint32_t n, uint16_t width,
		       uint16_t expected)
{
	struct span s;

	return n && width == expected && elf_bytes(file, off, (uint64_t)n * expected, &s);
}

bool elf_open(struct span file, struct elf *ret)
{
	struct span head;

	if (!elf_bytes(file, 0, EHDR_SIZE, &head))
		return false;
	*ret = (struct elf){
		.file = file,
		.type = elf_u16(file, 16),
		.machine = elf_u16(file, 18),
		.entry = elf_u64(file, 24),
		.phoff = elf_u64(file, 32),
		.shoff = elf_u64(file, 40),
		.phnum = elf_u16(file, 56),
		.shnum = elf_u16(file, 60),
		.shstrndx = elf_u16(file, 62),
	};
	if (ret->phnum == PN_EXTENDED ||
	    !table_fits(file, ret->phoff, ret->phnum, elf_u16(file, 54), PHDR_SIZE))
		return false;
	if (!table_fits(file, ret->shoff, ret->shnum, elf_u16(file, 58), SHDR_SIZE))
		ret->shnum = 0;
	return true;
}

struct elf_segment elf_segment(const struct elf *e, uint32_t i)
{
	uint64_t at = e->phoff + (uint64_t)i * PHDR_SIZE;

	return (struct elf_segment){
		.type = elf_u32(e->file, at),
		.flags = elf_u32(e->file, at + 4),
		.off = elf_u64(e->file, at + 8),
		.vaddr = elf_u64(e->file, at + 16),
		.filesz = elf_u64(e->file, at + 32),
		.memsz = elf_u64(e->file, at + 40),
	};
}

struct elf_section elf_section(const struct elf *e, uint32_t i)
{
	uint64_t at = e->shoff + (uint64_t)i * SHDR_SIZE;

	return (struct elf_section){
		.name = elf_u32(e->file, at),
		.type = elf_u32(e->file, at + 4),
		.addr = elf_u64(e->file, at + 16),
		.off = elf_u64(e->file, at + 24),
		.size = elf_u64(e->file, at + 32),
	};
}

bool elf_section_named(const struct elf *e, const char *name, struct elf_section *ret)
{
	struct elf_section strings;
	struct span table;

	if (e->shstrndx >= e->shnum)
		return false;
	strings = elf_section(e, e->shstrndx);
	if (!elf_bytes(e->file, strings.off, strings.size, &table))
		return false;
	for (uint32_t i = 0; i < e->shnum; i++) {
		struct elf_section s = elf_section(e, i);
		size_t n = 0;

		while (s.name + (uint64_t)n < table.n && name[n] &&
		       table.p[s.name + n] == (uint8_t)name[n])
			n++;
		if (!name[n] && s.name + (uint64_t)n < table.n && !table.p[s.name + n]) {
			*ret = s;
			return true;
		}
	}
	return false;
}

bool elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *ret_off)
{
	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);

		if (s.type != ELF_PT_LOAD || vaddr < s.vaddr || vaddr - s.vaddr >= s.filesz)
			continue;
		if (s.off > e->file.n || vaddr - s.vaddr >= e->file.n - s.off)
			return false;
		*ret_off = s.off + (vaddr - s.vaddr);
		return true;
	}
	return false;
}

bool elf_at(const struct elf *e, uint64_t vaddr, uint64_t n, struct span *ret)
{
	uint64_t off;

	return elf_offset(e, vaddr, &off) && elf_bytes(e->file, off, n, ret);
}

bool elf_string(struct span file, uint64_t off, char *ret, size_t size)
{
	size_t n = 0;

	if (off >= file.n)
		return false;
	while (off + n < file.n && n < STRING_MAX && file.p[off + n])
		n++;
	if (off + n == file.n || n == STRING_MAX)
		return false;
	if (n >= size)
		n = size - 1;
	memcpy(ret, file.p + off, n);
	ret[n] = '\0';
	return true;
}
