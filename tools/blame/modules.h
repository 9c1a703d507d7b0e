/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/modules: the address space of a process image, rebuilt from the trace's module table and the
 * files it names.
 *
 * A file is used only when it is the one that was mapped: a build id that differs means no symbols,
 * with the reason, never wrong symbols.  Paths come from the trace and are treated as hostile: only
 * regular files are opened.
 */
#ifndef TOOLS_BLAME_MODULES_H
#define TOOLS_BLAME_MODULES_H

#include <elfutils/libdwfl.h>

#include "core/target/go.h"
#include "tools/exchange/load.h"

struct module {
	uint64_t start, end; /* of the executable mapping */
	uint64_t file_off;
	const char *path; /* inside the trace */
	const char *name; /* base name, inside path */
	Dwfl_Module *mod; /* NULL: why says why */
	uint64_t bias;	  /* address - link-time address; 0 without mod */
	const char *why;
	bool go; /* a Go program; then, with a table that can be read: */
	struct go_table *functions;
	bool alive; /* while loading */
};

/* The symbol found for an address.  libdwfl searches all symbols of a file each time, and the stacks
 * of an event loop repeat the same addresses; names live as long as dwfl. */
struct symbol_memo {
	uint64_t pc;	  /* 0: free row */
	const char *name; /* NULL: none */
};
enum {
	SYMBOL_MEMOS =
		4096, /* a power of two; a row is taken over by the next address that falls on it */
};

struct modules {
	Dwfl *dwfl;		  /* NULL when there is no usable file at all */
	struct symbol_memo *memo; /* SYMBOL_MEMOS of them, or NULL: every address is looked up */
	uint32_t count;
	struct module *row;
};

/* Open what the trace names. Never fails: a module that cannot be used says why. */
void modules_init(struct modules *m, const struct image *img);
void modules_done(struct modules *m);

/* The module whose executable mapping holds the address, or NULL. */
const struct module *modules_find(const struct modules *m, uint64_t address);

/* Eight bytes of a mapped file at an address of its executable mapping. */
bool modules_read(const struct modules *m, uint64_t address, uint64_t *ret);

/* The functions at an address, inlined ones included, innermost first, by the table Go programs carry
 * for themselves, stripped ones too.  Returns how many; 0 without such a table. */
unsigned modules_go_frames(const struct module *row, uint64_t address,
			   struct go_frame ret[GO_INLINED]);

/* The link-time address: what addr2line -e wants. The file offset when the file is not at hand. */
uint64_t module_offset(const struct module *row, uint64_t address);

#endif
