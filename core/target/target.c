/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target: the verdict on a program's file.  What it decides: is there an interpreter (then ld.so reads
 * LD_PRELOAD), is it for this machine, is it Go (whose runtime makes its own system calls).
 */
#include "core/target/target.h"

#include "core/target/elf.h"
#include "core/target/go.h"

enum {
	IDENT_SIZE = 20, /* e_ident, e_type and e_machine: the same place in both classes */
	CLASS_64 = 2,
	DATA_LITTLE = 1,
	DATA_BIG = 2,
	ET_EXECUTABLE = 2,
	ET_SHARED = 3,
	DYNAMIC_SIZE = 16,
	DT_END = 0,
	DT_NEEDED_TAG = 1,
	DT_STRTAB_TAG = 5,
	DT_SONAME_TAG = 14,
	DT_ROWS_MAX = 65536,
};

uint16_t target_machine_own(void)
{
#if defined(__aarch64__)
	return 183;
#else
	return 62;
#endif
}

const char *target_machine_name(uint16_t machine)
{
	static const struct {
		uint16_t number;
		const char *name;
	} table[] = {
#define MACHINE(number, name) {number, name},
#include "core/target/machine.def"
#undef MACHINE
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(table); i++) {
		if (table[i].number == machine)
			return table[i].name;
	}
	return "an unknown machine";
}

const char *target_kind_name(enum target_kind kind)
{
	switch (kind) {
	case TARGET_NOT_ELF:
		return "not-elf";
	case TARGET_DYNAMIC:
		return "dynamic";
	case TARGET_STATIC:
		return "static";
	case TARGET_STATIC_PIE:
		return "static-pie";
	case TARGET_OTHER_ARCH:
		return "other-architecture";
	case TARGET_BROKEN:
		break;
	}
	return "broken";
}

/* Does text contain part?  Both are NUL-terminated and short. */
static bool contains(const char *text, const char *part)
{
	for (; *text; text++) {
		size_t n = 0;

		while (part[n] && text[n] == part[n])
			n++;
		if (!part[n])
			return true;
	}
	return false;
}

static bool is_sanitizer(const char *soname)
{
	static const char *const names[] = {"libasan.", "libtsan.", "libhwasan.",
					    "libclang_rt.asan", "libclang_rt.tsan"};

	for (size_t i = 0; i < CORE_ARRAY_LEN(names); i++) {
		if (contains(soname, names[i]))
			return true;
	}
	return false;
}

/* One row of the dynamic section; false at its end. */
static bool dynamic_row(const struct elf *e, const struct elf_segment *dynamic, uint32_t i,
			uint64_t *ret_tag, uint64_t *ret_value)
{
	uint64_t at = (uint64_t)i * DYNAMIC_SIZE;
	struct span row;

	if (i >= DT_ROWS_MAX || at + DYNAMIC_SIZE > dynamic->filesz ||
	    !elf_bytes(e->file, dynamic->off + at, DYNAMIC_SIZE, &row))
		return false;
	*ret_tag = elf_u64(e->file, dynamic->off + at);
	*ret_value = elf_u64(e->file, dynamic->off + at + 8);
	return *ret_tag != DT_END;
}

/* A string the dynamic section names by its offset in DT_STRTAB. */
static bool dynamic_string(const struct elf *e, uint64_t strings, uint64_t name, char *ret,
			   size_t size)
{
	return name <= e->file.n && elf_string(e->file, strings + name, ret, size);
}

static void examine_dynamic(const struct elf *e, const struct elf_segment *dynamic,
			    struct target *ret)
{
	uint64_t tag, value, strings = UINT64_MAX;
	char name[64];

	for (uint32_t i = 0; dynamic_row(e, dynamic, i, &tag, &value); i++) {
		if (tag == DT_STRTAB_TAG && !elf_offset(e, value, &strings))
			strings = UINT64_MAX;
		ret->has_needed |= tag == DT_NEEDED_TAG;
	}
	if (strings == UINT64_MAX)
		return;
	for (uint32_t i = 0; dynamic_row(e, dynamic, i, &tag, &value); i++) {
		if (tag != DT_NEEDED_TAG && tag != DT_SONAME_TAG)
			continue;
		if (!dynamic_string(e, strings, value, name, sizeof(name)))
			continue;
		if (tag == DT_SONAME_TAG)
			ret->loader = contains(name, "ld-linux") || contains(name, "ld-musl");
		else if (!ret->sanitizer[0] && is_sanitizer(name))
			memcpy(ret->sanitizer, name, sizeof(name));
	}
}

/* The interpreter's name; false when the header contradicts the file. */
static bool examine_interp(const struct elf *e, const struct elf_segment *s, struct target *ret)
{
	struct span name;

	if (s->filesz < 2 || !elf_bytes(e->file, s->off, s->filesz, &name))
		return false;
	return elf_string(name, 0, ret->interp, sizeof(ret->interp)) && ret->interp[0];
}

static bool has_symbols(const struct elf *e)
{
	for (uint32_t i = 0; i < e->shnum; i++) {
		if (elf_section(e, i).type == ELF_SHT_SYMTAB)
			return true;
	}
	return false;
}

/* A 64-bit file for this machine. */
static enum target_kind examine_own(struct span file, struct target *ret)
{
	struct elf e;
	bool loads = false, interp = false;

	if (!elf_open(file, &e) || (e.type != ET_EXECUTABLE && e.type != ET_SHARED))
		return TARGET_BROKEN;
	for (uint32_t i = 0; i < e.phnum; i++) {
		struct elf_segment s = elf_segment(&e, i);

		if (s.type == ELF_PT_LOAD) {
			struct span bytes;

			if (!elf_bytes(file, s.off, s.filesz, &bytes))
				return TARGET_BROKEN;
			loads = true;
		} else if (s.type == ELF_PT_INTERP && !interp) {
			if (!examine_interp(&e, &s, ret))
				return TARGET_BROKEN;
			interp = true;
		} else if (s.type == ELF_PT_DYNAMIC) {
			examine_dynamic(&e, &s, ret);
		}
	}
	if (!loads)
		return TARGET_BROKEN;
	ret->pie = e.type == ET_SHARED;
	ret->stripped = !has_symbols(&e);
	ret->musl = contains(ret->interp, "ld-musl-");
	ret->go = go_build_info(&e, ret->go_version, sizeof(ret->go_version));
	if (interp)
		return TARGET_DYNAMIC;
	return ret->pie ? TARGET_STATIC_PIE : TARGET_STATIC;
}

bool target_needs_injection(const struct target *t)
{
	if (t->kind == TARGET_DYNAMIC)
		return t->go && t->musl && !t->has_needed;
	return (t->kind == TARGET_STATIC || t->kind == TARGET_STATIC_PIE) && !t->loader;
}

bool target_examine(struct span file, struct target *ret)
{
	static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
	uint8_t order;

	memset(ret, 0, sizeof(*ret));
	ret->kind = TARGET_NOT_ELF;
	if (file.n < sizeof(magic) || memcmp(file.p, magic, sizeof(magic)))
		return false;
	ret->kind = TARGET_BROKEN;
	if (file.n < IDENT_SIZE)
		return true;
	ret->elf_class = file.p[4];
	order = file.p[5];
	if (ret->elf_class < 1 || ret->elf_class > CLASS_64 ||
	    (order != DATA_LITTLE && order != DATA_BIG))
		return true;
	ret->machine = elf_u16(file, 18);
	if (order == DATA_BIG)
		ret->machine = (uint16_t)(ret->machine << 8 | ret->machine >> 8);
	if (ret->machine != target_machine_own() || ret->elf_class != CLASS_64 ||
	    order != DATA_LITTLE)
		ret->kind = TARGET_OTHER_ARCH;
	else
		ret->kind = examine_own(file, ret);
	return true;
}
