/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tail: the entry points of the libc door that leave no frame of ours on the stack.
 *
 * (1) vfork and clone return twice on one stack, or on another one: a wrapper with a frame would have
 *     it overwritten by the child.  They jump.
 * (2) dlopen and dlmopen look at their return address to find the caller's search path and namespace.
 * (3) syscall() is variadic with seven words and may be any of the above.  Numbers that have a row are
 *     brought to the engine by a C function with the same arguments; all others jump.
 * (4) Early stand-ins, one per exported name (see next.c): GEN makes the system call with the
 *     registers as they came; LIB and HAND look the name up and jump to it.
 */
#include <sys/syscall.h>

	.text

/* Numbers as in enum libc_symbol, and the system call of each row. */
#define NUMBER(name) .set SYM_##name, libc_symbols; .set libc_symbols, libc_symbols + 1;
#define NUMBER_GEN(name) NUMBER(name)
#define NUMBER_LIB(name) NUMBER(name)
#define NUMBER_HAND(name) NUMBER(name)
#define NUMBER_NUM(name)
	.set libc_symbols, 0
#define CALL(id, nr, op, shape, body, ...) .set NR_##id, nr; NUMBER_##body(id)
#define VARIANT(name, ...) NUMBER(name)
#include "shim/engine/calls.def"
#undef CALL

#define ENTRY(name) .p2align 4; .type name, @function; name: .cfi_startproc; endbr64
#define END(name) .cfi_endproc; .size name, . - name
#define EXPORT(name) .globl name; ENTRY(name)
#define HIDDEN(name) .globl name; .hidden name; ENTRY(name)
#define NEXT(name) libc_next + 8 * SYM_##name(%rip)

/* ---- exported ---- */

/* From here on somebody may run in our memory who is not us. */
#define SHARE movb $1, engine_shares(%rip)

EXPORT(vfork)
	SHARE
	jmp	*NEXT(vfork)
END(vfork)

EXPORT(__vfork)
	SHARE
	jmp	*NEXT(__vfork)
END(__vfork)

EXPORT(clone)
	SHARE
	jmp	*NEXT(clone)
END(clone)

EXPORT(__clone)
	SHARE
	jmp	*NEXT(__clone)
END(__clone)

/* syscall(number, a, b, c, d, e, f) */
EXPORT(syscall)
	cmpq	$512, %rdi
	jae	1f
	leaq	libc_syscall_watch(%rip), %rax
	cmpb	$1, (%rax, %rdi)
	je	libc_syscall_watched
	jb	1f
	SHARE
1:	jmp	*NEXT(syscall)
END(syscall)

	.macro	push_arguments
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	pushq	%r8
	.cfi_adjust_cfa_offset 8
	pushq	%r9
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	pop_arguments
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r9
	.cfi_adjust_cfa_offset -8
	popq	%r8
	.cfi_adjust_cfa_offset -8
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	.endm

EXPORT(dlopen)
	push_arguments
	call	engine_modules_changed
	pop_arguments
	jmp	*NEXT(dlopen)
END(dlopen)

EXPORT(dlmopen)
	push_arguments
	call	engine_modules_changed
	pop_arguments
	jmp	*NEXT(dlmopen)
END(dlmopen)

/* ---- early stand-ins ---- */

/* syscall() itself: allocators use it while they start, possibly under the loader's lock. */
HIDDEN(libc_early_syscall)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	cmpq	$-4095, %rax
	jae	early_failed
	ret
END(libc_early_syscall)

/* eax: the system call; arguments as the application passed them */
ENTRY(early_kernel)
	movq	%rcx, %r10
	syscall
	cmpq	$-4095, %rax
	jae	early_failed
	ret
END(early_kernel)

ENTRY(early_failed)
	movq	%rax, %rdi
	jmp	libc_early_failed
END(early_failed)

/* eax: enum libc_symbol; arguments as the application passed them, possibly some on the stack */
ENTRY(early_find)
	push_arguments
	movl	%eax, %edi
	call	libc_next_find
	movq	%rax, %r11
	pop_arguments
	testq	%r11, %r11
	jz	1f
	xorl	%eax, %eax
	jmp	*%r11
1:	movq	$-38, %rax /* -ENOSYS: nobody defines it */
	jmp	early_failed
END(early_find)

#define EARLY_GEN(name, nr) HIDDEN(libc_early_##name); movl $nr, %eax; jmp early_kernel; END(libc_early_##name);
#define EARLY_LIB(name, nr) HIDDEN(libc_early_##name); movl $SYM_##name, %eax; jmp early_find; END(libc_early_##name);
#define EARLY_HAND(name, nr) EARLY_LIB(name, nr)
#define EARLY_NUM(name, nr)
#define CALL(id, nr, op, shape, body, ...) EARLY_##body(id, nr)
#define VARIANT(name, id, class, body, ...) EARLY_##body(name, NR_##id)
/* syscall() has its own stand-in above; the generated one goes by another name and is dropped. */
#define libc_early_syscall libc_early_syscall_by_name
#include "shim/engine/calls.def"
#undef CALL

	.section .note.GNU-stack, "", @progbits
