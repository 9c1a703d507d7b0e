/* SPDX-License-Identifier: BSD-2-Clause
 *
 * door: where the patched places of a Go program jump to.
 *
 * (1) No word of a goroutine's stack is written.  Free in Go at all these places: r12 and r13; at a
 *     call also r10 and r11 after, and what the kernel takes before.
 * (2) C runs on a private stack, which is given back before the jump back, after rsp is the
 *     goroutine's again.
 * (3) r12 is 0 in the kernel when the call is not ours, else GO_TAG and the number of its slot.
 *
 * Source: Go internal ABI specification (abi-internal.md), System V ABI, AMD64 supplement.
 */
#include "shim/go/internal.h"

	.text

#define HIDDEN(name) .globl name; .hidden name; .p2align 5; .type name, @function; name: .cfi_startproc
#define END(name) .cfi_endproc; .size name, . - name

/* Claim a private stack: r12 becomes the address of its state.  Starts at the one of the processor
 * we run on, whose number the kernel keeps in a register that newer processors can read, and in the
 * limit of a segment, which takes twenty times as long.  Clobbers r13.  r13's lower 16 bits say which,
 * the upper ones how often it was tried. */
	.macro	claim fail
	cmpb	$0, go_has_rdpid(%rip)
	je	14f
	rdpid	%r13
10:	andl	$0xff, %r13d
11:	movzbl	%r13b, %r12d
	shll	$GO_STACK_BITS, %r12d
	addq	go_stack_tops(%rip), %r12
	cmpl	$0, (%r12)
	jne	12f
	lock btsl $0, (%r12)
	jnc	13f
12:	addl	$0x10001, %r13d
	cmpl	$GO_STACKS << 16, %r13d
	jb	11b
	lock incq go_missed(%rip)
	jmp	\fail
14:	movl	$0x7b, %r12d
	xorl	%r13d, %r13d
	lsl	%r12d, %r13d
	jmp	10b
13:	movq	%rsp, %r13
	movq	%r12, %rsp
	.endm

/* Go back to the goroutine's stack, whose pointer is in r13, and give the private one back; its state
 * lies off bytes above rsp. */
	.macro	release off
	leaq	\off(%rsp), %r12
	movq	%r13, %rsp
	movl	$0, (%r12)
	.endm

/* ---- before the kernel ---- */

/* Is nr, in rax, to be seen?  fd: the register of its first argument.  Clobbers r11 to r13. */
	.macro	filter fd pass slow
	cmpq	$GO_NUMBERS, %rax
	jae	\pass
	leaq	go_watch(%rip), %r13
	movzbl	(%r13, %rax), %r13d
	cmpl	$GO_TRACKED, %r13d
	jb	\pass
	ja	\slow
	movl	\fd, %r13d
	cmpl	engine_fd_limit(%rip), %r13d
	jae	\pass
	movq	engine_fds(%rip), %r11
	cmpl	$0, (%r11, %r13, 4)
	jne	\slow
	.endm

/* struct go_registers, then C.  r13: the goroutine's stack pointer, kept.  On at done when the call was
 * answered: rax is the answer. */
	.macro	call_enter done site a0 a1 a2 a3 a4 a5
	subq	$8, %rsp
	pushq	$\site
	pushq	%r14
	pushq	%r13
	pushq	%rbp
	pushq	%rax
	pushq	\a5
	pushq	\a4
	pushq	\a3
	pushq	\a2
	pushq	\a1
	pushq	\a0
	movq	%rsp, %rdi
	call	go_enter
	movq	%rax, %r11
	popq	\a0
	popq	\a1
	popq	\a2
	popq	\a3
	popq	\a4
	popq	\a5
	popq	%rax
	release	40
	movq	%r11, %r12
	btrq	$63, %r12
	jc	\done
	.endm

/* Go 1.19 and later: the first two instructions of Syscall6, which move two arguments, were replaced. */
HIDDEN(go_pre_registers)
	filter	%ebx, 1f, 2f
1:	xorl	%r12d, %r12d
3:	movq	%rsi, %r10
	movq	%rdi, %rdx
	jmp	*go_back(%rip)
2:	claim	1b
	call_enter go_post_0, 0, %rbx, %rcx, %rdi, %rsi, %r8, %r9
	jmp	3b
END(go_pre_registers)

/* Go 1.17 and 1.18: what loads the number from the stack was replaced. */
	.macro	pre_stack site
HIDDEN(go_pre_stack_\site)
	movq	8(%rsp), %rax
	filter	%edi, 1f, 2f
1:	xorl	%r12d, %r12d
3:	jmp	*go_back + 16 * \site(%rip)
2:	claim	1b
	call_enter go_post_\site, \site, %rdi, %rsi, %rdx, %r10, %r8, %r9
	jmp	3b
END(go_pre_stack_\site)
	.endm

	pre_stack 0
	pre_stack 1
	pre_stack 2
	pre_stack 3

/* ---- after ---- */

/* The comparison of the result was replaced; its flags are what the next instruction asks for. */
	.macro	post site
HIDDEN(go_post_\site)
	testq	%r12, %r12
	jnz	2f
1:	cmpq	$-4095, %rax
	jmp	*go_back + 16 * \site + 8(%rip)
2:	movq	%r12, %r13
	movl	%r12d, %r10d
	shrq	$32, %r13
	cmpl	$GO_TAG, %r13d
	jne	1b
	claim	3f
	pushq	%rax
	pushq	%rdx
	movl	%r10d, %edi
	movq	%rax, %rsi
	call	go_exit
	popq	%rdx
	popq	%rax
	release	0
	jmp	1b
	/* No stack: let go of the slot at least. */
3:	shlq	$GO_SLOT_BITS, %r10
	addq	go_slots(%rip), %r10
	movl	$0, (%r10)
	jmp	1b
END(go_post_\site)
	.endm

	post 0
	post 1
	post 2
	post 3

/* ---- the end ---- */

/* In runtime.exit, what loads the number of the call was replaced; its status is in edi.  Nothing comes
 * back from there. */
HIDDEN(go_pre_exit)
	claim	1f
	pushq	%rdi
	subq	$8, %rsp
	call	go_ends
	addq	$8, %rsp
	popq	%rdi
	release	0
1:	movl	$GO_EXIT_GROUP, %eax
	jmp	*go_exit_back(%rip)
END(go_pre_exit)

/* ---- witnesses ---- */

/* The prologue's own comparison comes first: when the stack has to grow, the function is entered once
 * more afterwards, and noted then. */
	.p2align 5
	.globl	go_witness_stubs
	.hidden	go_witness_stubs
go_witness_stubs:
	.set	number, 0
	.rept	GO_WITNESSES
	.cfi_startproc
	.p2align 5
	movq	go_witnesses + 32 * number(%rip), %r12
	addq	%rsp, %r12
	cmpq	16(%r14), %r12
	jbe	2f
	cmpl	$0, engine_attempts(%rip)
	jne	3f
1:	jmp	*go_witnesses + 32 * number + 8(%rip)
2:	jmp	*go_witnesses + 32 * number + 16(%rip)
4:	movq	go_witnesses + 32 * number(%rip), %r12
	addq	%rsp, %r12
	jmp	1b
3:	claim	4b
	pushq	$number
	jmp	witness
	.p2align 5
	.cfi_endproc
	.set	number, number + 1
	.endr
stubs_end:

	.section .rodata
	.globl	go_witness_stub_size
	.hidden	go_witness_stub_size
	.p2align 3
go_witness_stub_size:
	.quad	(stubs_end - go_witness_stubs) / GO_WITNESSES
	.text

/* struct go_witness_registers, then C, then on with the function. */
	.p2align 5
	.type	witness, @function
witness:
	.cfi_startproc
	pushq	%r14
	pushq	%r13
	pushq	%rbp
	pushq	%rdx
	pushq	%r11
	pushq	%r10
	pushq	%r9
	pushq	%r8
	pushq	%rsi
	pushq	%rdi
	pushq	%rcx
	pushq	%rbx
	pushq	%rax
	movq	%rsp, %rdi
	call	go_witnessed
	popq	%rax
	popq	%rbx
	popq	%rcx
	popq	%rdi
	popq	%rsi
	popq	%r8
	popq	%r9
	popq	%r10
	popq	%r11
	popq	%rdx
	addq	$8, %rsp
	popq	%r13
	addq	$8, %rsp
	popq	%r12
	/* rsp is at the state now. */
	shll	$5, %r12d
	pushq	%r13
	leaq	go_witnesses(%rip), %r13
	addq	%r12, %r13
	movq	%rsp, %r12
	movq	(%rsp), %rsp
	movl	$0, 8(%r12)
	movq	(%r13), %r12
	addq	%rsp, %r12
	jmp	*8(%r13)
	.cfi_endproc
	.size	witness, . - witness

	.section .note.GNU-stack, "", @progbits
