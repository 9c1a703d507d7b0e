/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sites: the stubs, and the way of one call.
 *
 * (1) A stub knows its number; everything else about the site is data.  rcx and r11 are free as soon as
 *     the moves before the call are made: the call itself changes them.
 * (2) Unwinders see the frame of the site: its stack pointer, the registers a callee keeps, and the
 *     address behind the site.
 */
#include "shim/static/sites.h"

	.text
	.p2align 6
	.globl	static_stubs
	.hidden	static_stubs
	.type	static_stubs, @function
static_stubs:
	.cfi_startproc
	.cfi_undefined rip
	.set	number, 0
	.rept	STATIC_SITES
	leaq	-STATIC_RED_ZONE(%rsp), %rsp
	pushq	$number
	jmp	site
	.p2align 4, 0xcc /* STATIC_STUB_PLAIN */
	syscall
	jmp	*static_backs + number * 16(%rip)
	.p2align 3, 0xcc /* STATIC_STUB_COMPARE */
	syscall
	cmpq	static_backs + number * 16 + 8(%rip), %rax
	jmp	*static_backs + number * 16(%rip)
	.p2align 4, 0xcc
	.set	number, number + 1
	.endr
	.cfi_endproc
	.org	static_stubs + STATIC_SITES * STATIC_STUB_SIZE
	.size	static_stubs, . - static_stubs

#define FRAME 144
#define REG(n) (8 * n - FRAME - STATIC_RED_ZONE)

	.p2align 4
	.type	site, @function
site:
	.cfi_startproc
	.cfi_def_cfa rsp, 8 + STATIC_RED_ZONE
	.cfi_undefined rip
	pushfq
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r11
	.cfi_adjust_cfa_offset 8
	pushq	%r10
	.cfi_adjust_cfa_offset 8
	pushq	%r9
	.cfi_adjust_cfa_offset 8
	pushq	%r8
	.cfi_adjust_cfa_offset 8
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%rsp
	.cfi_adjust_cfa_offset 8
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	movq	%rsp, %rbx
	.cfi_def_cfa rbx, FRAME + STATIC_RED_ZONE
	.cfi_offset rip, REG(4)
	.cfi_offset rbx, REG(3)
	.cfi_offset rbp, REG(5)
	.cfi_offset r12, REG(12)
	.cfi_offset r13, REG(13)
	.cfi_offset r14, REG(14)
	.cfi_offset r15, REG(15)
	cld
	/* The room lies right below the frame; what makes the stack even lies below the room. */
	leaq	-STATIC_ROOM(%rbx), %r12
	movq	%r12, %rsp
	andq	$-16, %rsp
	movq	%rbx, %rdi
	movq	%r12, %rsi
	call	static_enter
	cmpq	$1, %rax /* STATIC_ANSWERED */
	je	3f
	ja	1f

	movq	0(%rbx), %rax
	movq	16(%rbx), %rdx
	movq	48(%rbx), %rsi
	movq	56(%rbx), %rdi
	movq	64(%rbx), %r8
	movq	72(%rbx), %r9
	movq	80(%rbx), %r10
	syscall
	movq	%rax, 0(%rbx)
3:	movq	%rbx, %rdi
	movq	%r12, %rsi
	call	static_exit
	movq	32(%rbx), %rcx
	testq	%rax, %rax
	jz	2f
	movq	0(%rbx), %rdx
	cmpq	(%rax), %rdx
	pushfq
	popq	128(%rbx)
	jmp	2f

	/* The stack as it was, and on at rax. */
1:	movq	%rax, %rcx

2:	movq	%rbx, %rsp
	.cfi_def_cfa_register rsp
	popq	%rax
	.cfi_adjust_cfa_offset -8
	leaq	8(%rsp), %rsp /* rcx says where to go on */
	.cfi_adjust_cfa_offset -8
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	leaq	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	popq	%r8
	.cfi_adjust_cfa_offset -8
	popq	%r9
	.cfi_adjust_cfa_offset -8
	popq	%r10
	.cfi_adjust_cfa_offset -8
	popq	%r11
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popfq
	.cfi_adjust_cfa_offset -8
	leaq	8 + STATIC_RED_ZONE(%rsp), %rsp
	.cfi_adjust_cfa_offset -8 - STATIC_RED_ZONE
	jmp	*%rcx
	.cfi_endproc
	.size	site, . - site

	.section .note.GNU-stack, "", @progbits
