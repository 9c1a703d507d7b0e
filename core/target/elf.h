/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/elf: reading the tables of a 64-bit little-endian ELF file without trusting one number in it.
 * A read outside the file yields false or zero; nothing here ever forms a pointer it did not check.
 */
#ifndef CORE_TARGET_ELF_H
#define CORE_TARGET_ELF_H

#include "core/core.h"

enum {
	ELF_PT_LOAD = 1,
	ELF_PT_DYNAMIC = 2,
	ELF_PT_INTERP = 3,
	ELF_PF_X = 1,
	ELF_PF_W = 2,
	ELF_PF_R = 4,
	ELF_SHT_SYMTAB = 2,
};

struct elf {
	struct span file;
	uint16_t type, machine;
	uint64_t entry;
	uint64_t phoff, shoff;
	uint32_t phnum, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t off, vaddr, filesz, memsz;
};

struct elf_section {
	uint32_t name, type;
	uint64_t addr, off, size;
};

/* Bytes [off, off + n) of the file; false when they are not all there. */
bool elf_bytes(struct span file, uint64_t off, uint64_t n, struct span *ret);

/* Little-endian numbers at off; 0 when they are not there. */
uint16_t elf_u16(struct span file, uint64_t off);
uint32_t elf_u32(struct span file, uint64_t off);
uint64_t elf_u64(struct span file, uint64_t off);

/* Read the header of a 64-bit little-endian file.  False when the program headers do not lie inside
 * it; section headers that do not are treated as absent, as the kernel does. */
bool elf_open(struct span file, struct elf *ret);

/* Program and section header i; i is below phnum / shnum. */
struct elf_segment elf_segment(const struct elf *e, uint32_t i);
struct elf_section elf_section(const struct elf *e, uint32_t i);
bool elf_section_named(const struct elf *e, const char *name, struct elf_section *ret);

/* File offset of a virtual address; false when no segment's file bytes cover it. */
bool elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *ret_off);

/* The n bytes the file has for a virtual address; false when they are not all there. */
bool elf_at(const struct elf *e, uint64_t vaddr, uint64_t n, struct span *ret);

/* A NUL-terminated string at off, copied and cut to size. False when it does not end in the file. */
bool elf_string(struct span file, uint64_t off, char *ret, size_t size);

#endif
