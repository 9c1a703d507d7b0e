/* SPDX-License-Identifier: BSD-2-Clause
 *
 * patch: writing jumps into the text of the program we live in, for the Go door and the injected one.
 *
 * (1) The library may lie anywhere; jumps reach 2 GiB.  So two pages are mapped near the program: one
 *     of our file's text, an array of `jmp *slot`, and one of addresses behind it, made read-only when
 *     it is complete.  No page is ever writable and executable at once, and no code is made up.
 * (2) Patches are made while the program has one thread and has not run (preload constructor, or the
 *     injected start), so nobody executes the bytes that change.
 * (3) All or nothing: patch_commit() writes only when every jump could be placed.
 *
 * Source: mmap(2), proc(5) on /proc/PID/mem.
 */
#ifndef SHIM_PATCH_PATCH_H
#define SHIM_PATCH_PATCH_H

#include "core/core.h"

enum {
	PATCH_JUMPS = 512, /* one page of slots */
	PATCH_SIZE = 16,   /* bytes replaced at one place, at most */
};

struct patch_jump {
	uint64_t at;		    /* first byte replaced */
	uint32_t size;		    /* 5..PATCH_SIZE; what the jump does not need becomes nops */
	const void *target;	    /* where it goes */
	uint8_t expect[PATCH_SIZE]; /* the bytes that must be there now */
};

enum patch_error {
	PATCH_OK,
	PATCH_NO_ROOM,	 /* no free pages within reach of the program */
	PATCH_FOREIGN,	 /* the bytes are not what they should be: a debugger, another tool */
	PATCH_FORBIDDEN, /* the kernel refuses to change the text: SELinux, MemoryDenyWriteExecute */
	PATCH_NO_FILE,	 /* our own file cannot be opened or mapped */
	PATCH_TOO_MANY,
};

/* A sentence without a period for header.note; never NULL. */
const char *patch_error_text(enum patch_error e);

/* Collect a jump.  jump->expect is taken from the program's file, never from its memory: PATCH_FOREIGN,
 * and nothing is collected, when memory has something else there. */
enum patch_error patch_add(const struct patch_jump *jump);

/* Forget what was collected. */
void patch_drop(void);

/* Map the near pages from the library's file (library: its path), write all jumps, forget them. */
enum patch_error patch_commit(const char *library, uint64_t near);

#endif
