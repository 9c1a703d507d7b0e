/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site: the system call sites of static programs that are not Go's (glibc, musl, Rust, Zig).
 *
 * A site is reported only when the instructions around it were decoded from the start of a function
 * that symbols or .eh_frame prove, and nothing in that function jumps into the bytes that would be
 * replaced.  What cannot be proven is counted, not reported: better unseen than broken.
 *
 * Source: Intel SDM volume 2 (instruction formats); LSB core, .eh_frame; glibc's and musl's stubs.
 */
#ifndef CORE_TARGET_SITE_H
#define CORE_TARGET_SITE_H

#include "core/target/elf.h"

struct site {
	uint64_t vaddr;	 /* link-time address of the first byte that is replaced */
	uint16_t size;	 /* whole instructions, at least 5 bytes, the syscall among them */
	uint16_t before; /* bytes of whole instructions that come before the syscall */
	uint32_t nr;	 /* the constant in eax, UINT32_MAX when it is not constant at this site */
};

struct site_totals {
	uint32_t sites;	  /* found and proven */
	uint32_t refused; /* of wanted numbers, but not proven */
};

/* Call found() for each proven site whose number wants() asks for (a site without a constant number
 * is asked for with UINT32_MAX). Stops when found returns false. */
struct site_totals sites_find(const struct elf *e, bool (*wants)(uint32_t nr),
			      bool (*found)(void *arg, const struct site *s), void *arg);

#endif
