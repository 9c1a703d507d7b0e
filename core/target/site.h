/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site: the system call sites of static programs that are not Go's (glibc, musl, Rust, Zig).
 *
 * (1) A site is reported only when its bytes have one of the closed list of shapes below, which a stub
 *     can do again from data, without copied code.
 * (2) The whole function around it was decoded, from a start to an end that .symtab or .eh_frame
 *     prove, and nothing in that function jumps into the replaced bytes, nor does any jump with a
 *     32-bit offset from anywhere in the text (the cold half of a split function).
 * (3) A function that jumps through a register or a table has no proven sites.
 * What cannot be proven is counted, not reported: better unseen than broken.
 *
 * Source: Intel SDM volume 2 (instruction formats); LSB core, .eh_frame; glibc's and musl's stubs
 * (musl: src/thread/x86_64/syscall_cp.s; glibc 2.41: unix/sysv/linux/x86_64/syscall_cancel.S).
 */
#ifndef CORE_TARGET_SITE_H
#define CORE_TARGET_SITE_H

#include "core/target/elf.h"

/* What is replaced.  No byte of it is reached but through its first. */
enum site_shape {
	SITE_NUMBER,	 /* mov eax,nr; syscall */
	SITE_ZERO,	 /* xor eax,eax; syscall; cmp rax,compare */
	SITE_COMPARE,	 /* syscall; cmp rax,compare */
	SITE_MOVE,	 /* mov to,from; syscall */
	SITE_MOVE_AFTER, /* syscall; mov to,from */
};

struct site {
	uint64_t vaddr;	  /* link-time address of the first byte that is replaced */
	uint16_t size;	  /* whole instructions, at least 5 bytes, the syscall among them */
	uint16_t before;  /* bytes of whole instructions that come before the syscall */
	uint32_t nr;	  /* the constant in eax, UINT32_MAX when it is not constant at this site */
	uint8_t shape;	  /* enum site_shape */
	uint8_t to, from; /* of 64-bit moves: registers as the CPU numbers them, rax 0 to r15 15 */
	int32_t compare;  /* what rax is compared with, sign-extended */
};

struct site_totals {
	uint32_t sites;	  /* found and proven */
	uint32_t refused; /* of wanted numbers, but not proven */
	/* Among the refused is the place at which a C library makes every call that may be cancelled:
	 * accept, connect, read, write and their kin.  Whoever cancels a thread asks whether it is right
	 * there, so the call cannot be made elsewhere. */
	bool cancelled;
};

/* Call found() for each proven site whose number wants() asks for (a site without a constant number
 * is asked for with UINT32_MAX: whoever patches it looks at eax at run time), in the order of their
 * addresses.  Stops when found returns false. */
struct site_totals sites_find(const struct elf *e, bool (*wants)(uint32_t nr),
			      bool (*found)(void *arg, const struct site *s), void *arg);

#endif
