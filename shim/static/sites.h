/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/sites: the proven system call sites of a program that is not Go's become jumps to stubs, which
 * bring the call to the engine and make it in the site's place.
 *
 * (1) Every register but rax, rcx and r11, which a system call changes anyway, is as it would be; so are
 *     the flags, also behind a comparison that was replaced with the call.
 * (2) The stubs run on the application's stack, below its red zone.
 * (3) A call that may return twice, elsewhere or never is made on the stack as it was: nothing of ours
 *     lies there then.
 */
#ifndef SHIM_STATIC_SITES_H
#define SHIM_STATIC_SITES_H

#define STATIC_SITES	    256 /* of one program, at most; each has a stub */
#define STATIC_STUB_SIZE    48	/* bytes; in it, at these offsets: */
#define STATIC_STUB_PLAIN   16	/* the call, and back */
#define STATIC_STUB_COMPARE 24	/* the call, a comparison, and back */
#define STATIC_RED_ZONE	    128
#define STATIC_ROOM	    112 /* sizeof(struct static_room), a multiple of 16 */

#ifndef __ASSEMBLER__
#include "shim/engine/engine.h"

/* What the assembly pushes; registers as the CPU numbers them.  reg[4], the stack pointer's place,
 * holds the address behind the site, for unwinding. */
struct static_frame {
	uint64_t reg[16];
	uint64_t flags;
	uint64_t site;
};

/* Where a site goes on, and what rax is compared with there. */
struct static_back {
	uint64_t at;
	int64_t compare;
};
extern struct static_back static_backs[STATIC_SITES];

/* Below a frame: the call, and a word by which its caller is told from others. */
struct static_room {
	struct call call;
	uint64_t caller;
};

/* Patch the program. library: path of our own file. */
void static_sites_start(const char *library, uint64_t entry);

#define STATIC_ANSWERED ((const void *)1)

/* From the assembly.  Returns what follows: NULL, the call; STATIC_ANSWERED, nothing, rax is the answer; or an address of code that makes the call in
 * our place, with the stack as it was. */
const void *static_enter(struct static_frame *f, struct static_room *room);
/* Returns what rax is to be compared with, NULL nothing. */
const int64_t *static_exit(struct static_frame *f, struct static_room *room);

extern const char static_stubs[] __attribute__((visibility("hidden")));
#endif
#endif
