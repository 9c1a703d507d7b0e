/* SPDX-License-Identifier: BSD-2-Clause
 *
 * entry: the library's ELF entry point, and the way from there into the program.
 *
 * (1) Every register and the stack are handed to the program as they came.
 * (2) No return instruction leads there: a shadow stack has no entry for it.
 */
	.text
	.p2align 4
	.globl static_entry
	.hidden static_entry
	.type static_entry, @function
static_entry:
	.cfi_startproc
	.cfi_undefined rip
	endbr64
	pushq	%rax
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	leaq	128(%rsp), %rdi
	movq	%rsp, %rbp
	andq	$-16, %rsp
	cld
	call	static_start
	movq	%rbp, %rsp
	movq	%rax, 120(%rsp)		/* the upper of the two places of rax */
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	leaq	8(%rsp), %rsp
	jmp	*-8(%rsp)
	.cfi_endproc
	.size static_entry, . - static_entry

	.section .note.GNU-stack, "", @progbits
