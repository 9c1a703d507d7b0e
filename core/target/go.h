/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go: is this a Go program, which Go built it, and where are its functions?
 *
 * Everything is read from the file and checked against its end: a file that lies yields "not found".
 * Nothing is kept between calls but struct go_table, which points into the file.
 *
 * Source: debug/buildinfo, debug/gosym and cmd/link/internal/ld/pcln.go of Go's sources, 1.17 to 1.26.
 */
#ifndef CORE_TARGET_GO_H
#define CORE_TARGET_GO_H

#include "core/target/elf.h"

/* Returns false when there is no build info. ret_version becomes "" when it cannot be read. */
bool go_build_info(const struct elf *e, char *ret_version, size_t size);

/* "go1.22.5" -> 22; 0 when the text is no release of Go 1. */
unsigned go_minor(const char *version);

/* Offsets of what the door asks a goroutine; all 0 when that is not known for a version. */
struct go_layout {
	uint32_t goid; /* its number, in runtime.g */
	uint32_t m;    /* the address of what runs it, in runtime.g */
	uint32_t
		procid; /* the kernel's id of that thread, in runtime.m; 0 until the thread set it */
};

/* A row of go_layout.def, each verified against the DWARF of that version's toolchain. */
struct go_layout go_layout(unsigned minor);

/* ---- where it makes system calls ---- */

enum {
	GO_SITES = 4, /* of one program at most */
};

enum go_site_kind {
	GO_SITE_SYSCALL6, /* 1.19 and later: arguments in Go's registers; patched at its entry */
	GO_SITE_STACK,	  /* 1.17, 1.18: mov rax,[rsp+8]; syscall; cmp; three or four of them */
};

struct go_site {
	uint64_t vaddr; /* link-time address of the first byte of the pattern */
	uint8_t kind;	/* enum go_site_kind */
};

enum go_sites_result {
	GO_SITES_FOUND,
	GO_SITES_NONE, /* no match, too few, or no function: a Go we do not know, or none */
	GO_SITES_MANY, /* more matches than there can be: some are not code */
};

/* The sites that net and os go through, by byte pattern in executable segments; when the pattern
 * fails, through the function table.  *ret_count of ret_site are filled with GO_SITES_FOUND. */
enum go_sites_result go_sites(const struct elf *e, unsigned minor,
			      struct go_site ret_site[GO_SITES], unsigned *ret_count);

/* ---- its functions ---- */

/* .gopclntab, found by section or, without sections, by its header. */
struct go_table {
	struct elf elf;
	uint64_t off, size; /* of the table in the file */
	uint64_t text;	    /* link-time address function offsets count from */
	uint32_t functions;
	uint8_t quantum;    /* pc deltas count in this many bytes */
	uint8_t generation; /* of the format: 16, 18, 20 as in Go's version numbers */
	uint64_t names, cutab, filetab, pctab, functab; /* file offsets */
	/* Link-time address funcdata counts from, for inlined functions; 0 when it was not found.
	 * Generation 16 has addresses there and needs none. */
	uint64_t gofunc;
};

/* False when there is none that can be read, or nobody says where its text starts. */
bool go_table_open(const struct elf *e, struct go_table *ret);

/* Link-time addresses of the functions with exactly these names, all in one pass over the table;
 * ret[i] becomes 0 when there is no name[i], or more than one (an assembly function and its
 * wrapper share their name). */
void go_functions_find(const struct go_table *t, const char *const name[], unsigned n,
		       uint64_t ret[]);

/* One frame at a program counter: the function itself, or one inlined into it. */
struct go_frame {
	char function[256]; /* cut to fit, NUL-terminated */
	char file[512];	    /* "" unknown */
	uint32_t line;	    /* 0 unknown */
	uint64_t entry;	    /* link-time address of the real function */
	bool inlined;
};

enum {
	GO_INLINED = 16, /* frames at one program counter at most */
};

/* The frames at a link-time address, innermost first.  pc is of the call, not of the return.
 * Returns how many; 0 when no function holds it. */
unsigned go_frames_at(const struct go_table *t, uint64_t pc, struct go_frame ret[GO_INLINED]);

#endif
