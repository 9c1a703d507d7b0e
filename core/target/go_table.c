/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go_table: the function table every Go program carries, stripped or not.
 *
 *     0   magic, 4 bytes: which generation of the format
 *     4   0, 0, instruction quantum, pointer size
 *     8   functions, files
 *     24  generation 18 and later: start of text, which Go 1.26 leaves 0
 *     ..  offsets of names, compilation units, files, pc tables, functions
 *
 * The functions' table is sorted: (entry, offset of the record) pairs, and one entry more that says
 * where the last function ends.  What the header does not say stands in runtime.moduledata, a record
 * in the data whose first field is the address of this table.  In position-independent programs of the
 * external linker that record is zero in the file and to be read from its relocations.
 *
 * A table is taken only when its first record agrees with its first entry.
 */
#include "core/target/go_internal.h"

enum {
	HEADER_SIZE_16 = 64,
	HEADER_SIZE_18 = 72,
	TABLE_ALIGN = 8,
	FUNCTIONS_MAX = 1 << 24, /* far beyond the largest program; keeps products in 64 bits */

	/* Offsets in runtime.moduledata, of pointers after the address of the table. */
	MODULE_NAMES = 8,
	MODULE_TEXT = 176,
	MODULE_GOFUNC_18 = 304,
	MODULE_GOFUNC_20 = 320, /* the counters of coverage came before it */

	DT_RELA = 7,
	DT_RELASZ = 8,
	RELA_SIZE = 24,
	DYN_SIZE = 16,
};

static const char *const section_names[] = {".gopclntab", ".data.rel.ro.gopclntab"};

static unsigned entry_size(const struct go_table *t)
{
	return t->generation == GO_16 ? 8 : 4;
}

/* The address column of row i of the functions' table; row t->functions is the end. */
static uint64_t entry_at(const struct go_table *t, uint64_t i)
{
	uint64_t at = t->functab + i * 2 * entry_size(t);

	return t->generation == GO_16 ? elf_u64(t->elf.file, at) : elf_u32(t->elf.file, at);
}

/* File offset of what follows the entry field in the record of function i. */
static uint64_t record_at(const struct go_table *t, uint64_t i)
{
	uint64_t width = entry_size(t), at = t->functab + i * 2 * width + width;
	uint64_t off = width == 8 ? elf_u64(t->elf.file, at) : elf_u32(t->elf.file, at);

	return off > t->size ? t->elf.file.n : t->functab + off + width;
}

static uint8_t generation(uint32_t magic)
{
	switch (magic) {
	case 0xfffffffa:
		return GO_16;
	case 0xfffffff0:
		return GO_18;
	case 0xfffffff1:
		return GO_20;
	default:
		return 0;
	}
}

/* A header at off, with at most size bytes of table. */
static bool header_read(const struct elf *e, uint64_t off, uint64_t size, struct go_table *ret)
{
	struct go_table t = {.elf = *e, .off = off, .size = size};
	uint64_t *column[] = {&t.names, &t.cutab, &t.filetab, &t.pctab, &t.functab};
	struct span head, rows;
	uint64_t functions, at;

	if (!elf_bytes(e->file, off, HEADER_SIZE_18, &head) || size < HEADER_SIZE_18)
		return false;
	t.generation = generation(elf_u32(e->file, off));
	t.quantum = head.p[6];
	functions = elf_u64(e->file, off + 8);
	if (!t.generation || head.p[4] || head.p[5] || !t.quantum || t.quantum > 4 ||
	    head.p[7] != 8 || !functions || functions > FUNCTIONS_MAX)
		return false;
	t.functions = (uint32_t)functions;
	t.text = t.generation == GO_16 ? 0 : elf_u64(e->file, off + 24);
	at = off + (t.generation == GO_16 ? HEADER_SIZE_16 : HEADER_SIZE_18) - sizeof(column);
	for (unsigned i = 0; i < CORE_ARRAY_LEN(column); i++) {
		uint64_t from = elf_u64(e->file, at + i * 8);

		if (from >= size)
			return false;
		*column[i] = off + from;
	}
	if (!elf_bytes(e->file, t.functab, (functions * 2 + 1) * entry_size(&t), &rows) ||
	    (t.generation == GO_16 ? elf_u64(e->file, record_at(&t, 0) - 8)
				   : elf_u32(e->file, record_at(&t, 0) - 4)) != entry_at(&t, 0))
		return false;
	*ret = t;
	return true;
}

/* Without sections: every place of the data where a header can stand. */
static bool search_headers(const struct elf *e, struct go_table *ret)
{
	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);
		struct span area;

		if (s.type != ELF_PT_LOAD || s.flags & ELF_PF_X || s.off > e->file.n)
			continue;
		if (s.filesz > e->file.n - s.off)
			s.filesz = e->file.n - s.off;
		if (!elf_bytes(e->file, s.off, s.filesz, &area))
			continue;
		for (uint64_t at = 0; at + HEADER_SIZE_18 <= area.n; at += TABLE_ALIGN) {
			const uint8_t *p = area.p + at;

			if (p[3] == 0xff && p[2] == 0xff && p[1] == 0xff && p[7] == 8 &&
			    header_read(e, s.off + at, area.n - at, ret))
				return true;
		}
	}
	return false;
}

static bool find_header(const struct elf *e, struct go_table *ret)
{
	struct elf_section s;

	for (unsigned i = 0; i < CORE_ARRAY_LEN(section_names); i++) {
		if (elf_section_named(e, section_names[i], &s) && s.off <= e->file.n &&
		    s.size <= e->file.n - s.off && header_read(e, s.off, s.size, ret))
			return true;
	}
	return search_headers(e, ret);
}

static bool table_address(const struct go_table *t, uint64_t *ret)
{
	for (uint32_t i = 0; i < t->elf.phnum; i++) {
		struct elf_segment s = elf_segment(&t->elf, i);

		if (s.type == ELF_PT_LOAD && t->off >= s.off && t->off - s.off < s.filesz) {
			*ret = s.vaddr + (t->off - s.off);
			return true;
		}
	}
	return false;
}

static uint64_t gofunc_field(const struct go_table *t)
{
	return t->generation == GO_20 ? MODULE_GOFUNC_20 : MODULE_GOFUNC_18;
}

static bool executable(const struct elf *e, uint64_t vaddr)
{
	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);

		if (s.type == ELF_PT_LOAD && s.flags & ELF_PF_X && vaddr >= s.vaddr &&
		    vaddr - s.vaddr < s.filesz)
			return true;
	}
	return false;
}

/* What moduledata says, where it can be true. */
static bool module_take(struct go_table *t, uint64_t text, uint64_t gofunc)
{
	uint64_t off;

	if (!executable(&t->elf, text))
		return false;
	t->text = text;
	t->gofunc = elf_offset(&t->elf, gofunc, &off) ? gofunc : 0;
	return true;
}

/* moduledata as the linker wrote it: in writable data, starting with two addresses we know. */
static bool module_in_data(struct go_table *t, uint64_t vaddr)
{
	const struct elf *e = &t->elf;
	uint64_t names = vaddr + (t->names - t->off);

	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);
		struct span area;

		if (s.type != ELF_PT_LOAD || !(s.flags & ELF_PF_W) ||
		    !elf_bytes(e->file, s.off, s.filesz, &area))
			continue;
		for (uint64_t at = 0; at + MODULE_GOFUNC_20 + 8 <= area.n; at += 8) {
			uint64_t word;

			memcpy(&word, area.p + at, sizeof(word));
			if (word == vaddr && elf_u64(e->file, s.off + at + MODULE_NAMES) == names &&
			    module_take(t, elf_u64(e->file, s.off + at + MODULE_TEXT),
					elf_u64(e->file, s.off + at + gofunc_field(t))))
				return true;
		}
	}
	return false;
}

/* The relocations with addends, as the loader finds them. */
static bool relocations(const struct elf *e, struct span *ret)
{
	uint64_t vaddr = 0, size = 0, off;

	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);

		if (s.type != ELF_PT_DYNAMIC)
			continue;
		for (uint64_t at = 0; at + DYN_SIZE <= s.filesz; at += DYN_SIZE) {
			uint64_t tag = elf_u64(e->file, s.off + at);

			if (!tag)
				break;
			if (tag == DT_RELA)
				vaddr = elf_u64(e->file, s.off + at + 8);
			if (tag == DT_RELASZ)
				size = elf_u64(e->file, s.off + at + 8);
		}
	}
	return size && elf_offset(e, vaddr, &off) && elf_bytes(e->file, off, size, ret);
}

/* moduledata as the loader will write it. Two passes: the address of the record, then its fields. */
static bool module_in_relocations(struct go_table *t, uint64_t vaddr)
{
	uint64_t module = 0, text = 0, gofunc = 0;
	struct span rela;

	if (!relocations(&t->elf, &rela))
		return false;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint64_t at = 0; at + RELA_SIZE <= rela.n; at += RELA_SIZE) {
			uint64_t where = elf_u64(rela, at), addend = elf_u64(rela, at + 16);

			if (pass == 0 && addend == vaddr)
				module = where;
			if (pass == 1 && where == module + MODULE_TEXT)
				text = addend;
			if (pass == 1 && where == module + gofunc_field(t))
				gofunc = addend;
		}
	}
	return module && module_take(t, text, gofunc);
}

bool go_table_open(const struct elf *e, struct go_table *ret)
{
	struct go_table t;
	uint64_t vaddr;

	if (!find_header(e, &t))
		return false;
	if (t.generation != GO_16 && table_address(&t, &vaddr) && !module_in_data(&t, vaddr) &&
	    !module_in_relocations(&t, vaddr) && !executable(e, t.text))
		return false;
	*ret = t;
	return true;
}

bool go_function_at(const struct go_table *t, uint64_t pc, struct go_function *ret)
{
	uint64_t low = 0, high = t->functions, rel = pc - t->text;

	if (pc < t->text || rel < entry_at(t, 0) || rel >= entry_at(t, t->functions))
		return false;
	/* entry[low] <= rel < entry[high], as far as the table is sorted */
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;

		if (entry_at(t, middle) <= rel)
			low = middle;
		else
			high = middle;
	}
	*ret = (struct go_function){
		.entry = t->text + entry_at(t, low),
		.end = t->text + entry_at(t, high),
		.off = record_at(t, low),
	};
	return true;
}

uint64_t go_function_name(const struct go_table *t, const struct go_function *f)
{
	return t->names + elf_u32(t->elf.file, f->off);
}

bool go_name_is(struct span file, uint64_t off, const char *text)
{
	const uint8_t *p;
	size_t room, i = 0;

	if (off >= file.n)
		return false;
	p = file.p + off;
	room = file.n - off;
	while (i < room && text[i] && p[i] == (uint8_t)text[i])
		i++;
	return i < room && !text[i] && !p[i];
}

void go_functions_find(const struct go_table *t, const char *const name[], unsigned n,
		       uint64_t ret[])
{
	const uint64_t twice = UINT64_MAX;

	for (unsigned k = 0; k < n; k++)
		ret[k] = 0;
	for (uint64_t i = 0; i < t->functions; i++) {
		uint64_t text = t->names + elf_u32(t->elf.file, record_at(t, i));

		for (unsigned k = 0; k < n; k++) {
			if (go_name_is(t->elf.file, text, name[k]))
				ret[k] = ret[k] ? twice : t->text + entry_at(t, i);
		}
	}
	for (unsigned k = 0; k < n; k++) {
		if (ret[k] == twice)
			ret[k] = 0;
	}
}
