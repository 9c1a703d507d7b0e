/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target: what an ELF file is, judged from its bytes.  Every offset is checked: the file may be
 * hostile.  Source: the ELF gABI (program headers, notes), ld.so(8), Go's debug/buildinfo format.
 */
#ifndef CORE_TARGET_TARGET_H
#define CORE_TARGET_TARGET_H

#include "core/core.h"

enum target_kind {
	TARGET_NOT_ELF,
	TARGET_DYNAMIC, /* has PT_INTERP: a preload is loaded */
	TARGET_STATIC,	/* no PT_INTERP */
	TARGET_STATIC_PIE,
	TARGET_OTHER_ARCH,
	TARGET_BROKEN, /* ELF whose headers contradict the file */
};

struct target {
	enum target_kind kind;
	bool go;   /* Go build info present */
	bool musl; /* interpreter is musl's */
	bool pie;
	bool has_needed;     /* at least one DT_NEEDED */
	bool stripped;	     /* no .symtab */
	bool loader;	     /* no program but a dynamic loader */
	uint16_t machine;    /* e_machine */
	uint8_t elf_class;   /* 1: 32-bit, 2: 64-bit */
	char interp[256];    /* "" when none */
	char go_version[32]; /* "go1.19.8", "" unknown */
	char sanitizer[64];  /* DT_NEEDED runtime that insists on coming first, "" none */
};

/* Look at the file's bytes (the whole file, mapped). Returns false when it is no ELF at all.
 * Kinds OTHER_ARCH and BROKEN leave everything behind machine and elf_class unset. */
bool target_examine(struct span file, struct target *ret);

/* "#! interpreter [argument]": fills both (NUL-terminated, "" when absent).
 * As the kernel does: one line, at most 256 bytes of it, everything behind the interpreter is one
 * argument.  False when it is no script or names no interpreter.  Source: execve(2). */
bool target_script(struct span file, char interp[256], char arg[256]);

/* Does no loader run a library's constructor in it?  True of static programs, and of Go programs without
 * C behind musl's loader, which leaves constructors to the C library's start. */
bool target_needs_injection(const struct target *t);

/* "x86-64"; never NULL. */
const char *target_machine_name(uint16_t machine);
/* "dynamic", "static", ... ; never NULL. */
const char *target_kind_name(enum target_kind kind);

/* The machine this was built for. */
uint16_t target_machine_own(void);

#endif
