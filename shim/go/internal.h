/* SPDX-License-Identifier: BSD-2-Clause
 *
 * go/internal: what the assembly and the C files of the Go door share.
 *
 * The C half runs on private stacks.  Each has its state in a word at its top; what an application's
 * registers were lies below it, as struct go_registers says.
 */
#ifndef SHIM_GO_INTERNAL_H
#define SHIM_GO_INTERNAL_H

/* For the assembly file. */
#define GO_STACKS     256
#define GO_STACK_BITS 14 /* 16 KiB each */
#define GO_STACK_TOP  64 /* the state lies so far below the end */
#define GO_NUMBERS    512
#define GO_TAG	      0x73686b64 /* upper half of r12 between entry and exit; the lower is a slot */
#define GO_SLOT_BITS  8
#define GO_WITNESSES  16
#define GO_EXIT_GROUP 231

#define GO_PASS	   0 /* go_watch: nothing to see */
#define GO_TRACKED 1 /* when the first argument is a descriptor we track */
#define GO_ALWAYS  2

#ifndef __ASSEMBLER__

#include "core/target/go.h"
#include "shim/engine/engine.h"

/* What is in the registers at one of the two halves of a call, as the assembly pushed it. */
struct go_registers {
	uint64_t arg[6];
	uint64_t nr;
	uint64_t bp, sp, task;
	uint64_t site;
};

/* The same at the entry of a witness. */
struct go_witness_registers {
	uint64_t arg[9]; /* ax bx cx di si r8 r9 r10 r11 */
	uint64_t dx;
	uint64_t bp, sp, task;
	uint64_t number; /* of the row of go_witnesses */
};

/* Between entry and exit: where the call lives while no stack is held. */
struct go_slot {
	uint32_t taken;
	uint32_t spare;
	struct call call;
	struct call_place place;
} __attribute__((aligned(1 << GO_SLOT_BITS)));
_Static_assert(sizeof(struct go_slot) == 1 << GO_SLOT_BITS, "the assembly computes addresses");

enum {
	GO_SLOTS = 2048,
};

/* Where the assembly goes back to; one row per site. */
struct go_back {
	uint64_t entry; /* behind the first jump */
	uint64_t exit;	/* behind the comparison */
};
extern struct go_back go_back[GO_SITES];
extern uint64_t go_exit_back; /* the system call of runtime.exit */

/* One patched witness. */
struct go_witness {
	int64_t below;	/* what its prologue compares with the end of the stack: sp + below */
	uint64_t enter; /* where its body goes on */
	uint64_t more;	/* where it goes when its stack is too small */
	uint64_t at;	/* its entry */
};
extern struct go_witness go_witnesses[GO_WITNESSES];

extern uint8_t go_watch[GO_NUMBERS];
extern bool go_has_rdpid;
extern uint64_t go_stack_tops; /* address of the state of the first stack */
extern struct go_slot *go_slots;
extern uint64_t go_missed; /* calls and witnesses that found no stack or slot */

/* The assembly's targets for jumps. */
extern const char go_pre_registers[], go_pre_stack_0[], go_pre_stack_1[], go_pre_stack_2[],
	go_pre_stack_3[];
extern const char go_pre_exit[];
extern const char go_post_0[], go_post_1[], go_post_2[], go_post_3[];
extern const char go_witness_stubs[]; /* GO_WITNESSES of go_witness_stub_size bytes */
extern const uint64_t go_witness_stub_size;

/* Called by the assembly on a private stack. */
/* What r12 shall be; arguments may change.  The highest bit: nr is the answer, make no call. */
uint64_t go_enter(struct go_registers *f);
void go_exit(uint64_t token, int64_t ret);
void go_witnessed(const struct go_witness_registers *f);
void go_ends(int status);

/* call.c: fill go_watch, map stacks and slots. */
bool go_calls_start(struct go_layout layout);
/* Where each site's system call instruction is. */
void go_calls_site(unsigned site, uint64_t at, enum go_site_kind kind);

/* witness.c: collect the jumps of all witnesses that this program has.
 *   bias  from link-time addresses to ours
 * Returns how many cannot be placed. */
unsigned go_witnesses_add(const struct go_table *t, uint64_t bias);

/* call.c: fill place from registers. */
void go_place(struct call_place *to, uint64_t sp, uint64_t bp, uint64_t ip, uint64_t task);

#endif
#endif
