/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site_internal: what the files of target/site share.
 *
 *     site.c        candidates, shapes, the proof
 *     site_x86.c    how long an instruction is, and where it jumps
 *     site_range.c  where a function begins and ends: .eh_frame, .symtab
 */
#ifndef CORE_TARGET_SITE_INTERNAL_H
#define CORE_TARGET_SITE_INTERNAL_H

#include "core/target/site.h"

enum site_flow {
	FLOW_ON,       /* goes on with the next instruction */
	FLOW_JUMP,     /* may go to the target: jmp, jcc, loop, call */
	FLOW_INDIRECT, /* jmp through a register or memory */
};

struct site_insn {
	uint8_t size;
	uint8_t flow;	  /* enum site_flow */
	bool writes_eax;  /* or may: whatever is not known to leave it */
	int32_t relative; /* of FLOW_JUMP: from the end of the instruction */
};

/* Decode the first instruction of text. False when it is none that compilers make for plain code, or
 * does not end in the text.  VEX and EVEX encodings are among those not known. */
bool site_decode(struct span text, struct site_insn *ret);

/* Addresses [start, end) of a function. */
struct site_range {
	uint64_t start, end;
};

/* The function around vaddr: the FDE that covers it, else the symbol. False when there is neither. */
bool site_range_find(const struct elf *e, uint64_t vaddr, struct site_range *ret);

#endif
