/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static: the guest's half of the injected door: into programs that no dynamic loader prepares.
 *
 * The library itself is what is injected.  Whoever mapped its segments (the launcher through ptrace, or
 * the kernel because a copy of the program names the library as PT_INTERP) jumps to static_entry, the
 * library's ELF entry point, with the stack as the kernel made it.  From there: relocate ourselves,
 * start the engine with the environment found there, patch the program (shim/go, or the proven sites
 * of core/target/site.h), and jump to AT_ENTRY with the stack and registers as they were.
 *
 * (1) Whatever goes wrong, the program starts: at worst unwatched.
 * (2) Until the relocations are done no address of ours is used that needs one.
 *
 * Source: System V ABI, AMD64 supplement 3.4.1 (initial stack), getauxval(3), elf(5).
 */
#ifndef SHIM_STATIC_STATIC_H
#define SHIM_STATIC_STATIC_H

#include "core/core.h"

/* Called by static_entry on the initial stack: sp points at argc.  Returns where to go on. */
uint64_t static_start(uint64_t *sp);

#endif
