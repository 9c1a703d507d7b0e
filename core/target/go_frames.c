/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go_frames: function, file and line of a program counter, inlined calls included.
 *
 * A function's record names tables of (value, pc) steps: file number, line, and index of the innermost
 * inlined call.  An inlined call names its function and a pc of its caller, where the same tables are
 * asked again, until no inlined call holds that pc.
 *
 *     record, behind the entry field        inlined call, 18 and older | 20 and newer
 *     0   name                              12  4   name
 *     16  table of files                    16  8   pc of the call, from the entry
 *     20  table of lines                    20  16  size
 *     24  number of pc tables
 *     28  first row of its compilation unit
 *     35 (generation 20: 39) number of funcdata, then the pc tables, then the funcdata
 */
#include "core/target/go_internal.h"

enum {
	RECORD_FILES = 16,
	RECORD_LINES = 20,
	RECORD_TABLES = 24,
	RECORD_UNIT = 28,
	RECORD_SIZE = 36,
	RECORD_SIZE_20 = 40,
	TABLE_INLINED = 2,    /* of the pc tables */
	FUNCDATA_INLINED = 3, /* of the funcdata */
	STEPS_MAX =
		1 << 20, /* no function has more lines; keeps hostile tables from costing minutes */
	NAME_MAX_BYTES = 4096,
	ABSENT = -1,
};

static bool varint(struct span file, uint64_t *at, uint32_t *ret)
{
	uint32_t v = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		if (*at >= file.n)
			return false;
		uint8_t c = file.p[(*at)++];

		v |= (uint32_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* The value of a table of steps at pc; ABSENT where it has none. */
static int32_t value_at(const struct go_table *t, const struct go_function *f, uint32_t table,
			uint64_t pc)
{
	uint64_t at = t->pctab + table, reached = f->entry;
	uint32_t value = (uint32_t)ABSENT, delta;

	if (!table)
		return ABSENT;
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		if (!varint(t->elf.file, &at, &delta) || (!delta && i))
			return ABSENT;
		value += delta & 1 ? ~(delta >> 1) : delta >> 1;
		if (!varint(t->elf.file, &at, &delta))
			return ABSENT;
		reached += (uint64_t)delta * t->quantum;
		if (pc < reached)
			return (int32_t)value;
	}
	return ABSENT;
}

/* As Go prints it: what stands between a generic function's outer brackets is left out. */
static void copy_name(struct span file, uint64_t off, char *ret, size_t size)
{
	static const char dots[] = "[...]";
	size_t n = 0, open = 0, close = 0, out = 0;

	if (off > file.n)
		off = file.n;
	while (off + n < file.n && n < NAME_MAX_BYTES && file.p[off + n]) {
		if (file.p[off + n] == '[' && !open)
			open = n + 1;
		if (file.p[off + n] == ']')
			close = n;
		n++;
	}
	for (size_t i = 0; i < n && out < size - 1; i++) {
		if (open && i + 1 == open && close > i) {
			for (size_t k = 0; dots[k] && out < size - 1; k++)
				ret[out++] = dots[k];
			i = close;
			continue;
		}
		ret[out++] = (char)file.p[off + i];
	}
	ret[out] = '\0';
}

static void copy_place(const struct go_table *t, const struct go_function *f, uint64_t pc,
		       struct go_frame *ret)
{
	struct span file = t->elf.file;
	int32_t number = value_at(t, f, elf_u32(file, f->off + RECORD_FILES), pc);
	int32_t line = value_at(t, f, elf_u32(file, f->off + RECORD_LINES), pc);
	uint64_t row = (uint64_t)elf_u32(file, f->off + RECORD_UNIT) + (uint32_t)number;
	uint32_t name = elf_u32(file, t->cutab + row * 4);

	ret->line = line > 0 ? (uint32_t)line : 0;
	if (number < 0 || name == UINT32_MAX ||
	    !elf_string(file, t->filetab + name, ret->file, sizeof(ret->file)))
		ret->file[0] = '\0';
}

/* Where a function's inlined calls stand; the table that says which one holds a pc. */
static bool inlined_calls(const struct go_table *t, const struct go_function *f, uint64_t *ret_off,
			  uint32_t *ret_table)
{
	struct span file = t->elf.file;
	uint64_t tables = f->off + (t->generation == GO_20 ? RECORD_SIZE_20 : RECORD_SIZE);
	uint64_t n = elf_u32(file, f->off + RECORD_TABLES), data = tables + n * 4, vaddr;
	struct span count;

	if (!elf_bytes(file, tables - 1, 1, &count) || n <= TABLE_INLINED ||
	    count.p[0] <= FUNCDATA_INLINED)
		return false;
	*ret_table = elf_u32(file, tables + TABLE_INLINED * 4);
	if (t->generation == GO_16) {
		vaddr = elf_u64(file, (data + 7) / 8 * 8 + FUNCDATA_INLINED * 8);
	} else {
		uint32_t rel = elf_u32(file, data + FUNCDATA_INLINED * 4);

		if (!t->gofunc || rel == UINT32_MAX)
			return false;
		vaddr = t->gofunc + rel;
	}
	return elf_offset(&t->elf, vaddr, ret_off);
}

unsigned go_frames_at(const struct go_table *t, uint64_t pc, struct go_frame ret[GO_INLINED])
{
	const uint64_t size = t->generation == GO_20 ? 16 : 20;
	const uint64_t name = t->generation == GO_20 ? 4 : 12;
	struct go_function f;
	uint64_t calls = 0;
	uint32_t table = 0;
	unsigned n = 0;

	if (!go_function_at(t, pc, &f))
		return 0;
	if (!inlined_calls(t, &f, &calls, &table))
		table = 0;
	for (;;) {
		int32_t index = value_at(t, &f, table, pc);
		uint64_t call = calls + (uint64_t)(uint32_t)index * size;
		struct go_frame *frame = &ret[n++];

		frame->entry = f.entry;
		frame->inlined = index >= 0 && n < GO_INLINED;
		copy_place(t, &f, pc, frame);
		copy_name(t->elf.file,
			  frame->inlined ? t->names + elf_u32(t->elf.file, call + name)
					 : go_function_name(t, &f),
			  frame->function, sizeof(frame->function));
		if (!frame->inlined)
			return n;
		pc = f.entry + elf_u32(t->elf.file, call + name + 4);
	}
}
