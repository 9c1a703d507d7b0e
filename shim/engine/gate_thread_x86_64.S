/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_thread_x86_64: a thread that no libc knows.
 *
 * Source: clone(2) (the raw system call on x86-64), System V ABI, AMD64 supplement.
 */
	.text

/* long gate_thread_make(unsigned long flags, void *stack, uint32_t *tid, void *tls, void (*run)(void));
 * Returns the id of a thread that calls run on that stack and ends when it returns, or -errno. */
	.globl	gate_thread_make
	.hidden	gate_thread_make
	.type	gate_thread_make, @function
gate_thread_make:
	.cfi_startproc
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	movq	%r8, %r12
	movq	%rdx, %r10
	movq	%rcx, %r8
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	ret
	.cfi_undefined rip
1:	xorl	%ebp, %ebp
	call	*%r12
	xorl	%edi, %edi
	movl	$60, %eax
	syscall
	hlt
	.cfi_endproc
	.size	gate_thread_make, . - gate_thread_make

	.section .note.GNU-stack, "", @progbits
