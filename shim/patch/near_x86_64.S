/* SPDX-License-Identifier: BSD-2-Clause
 *
 * near: the page of jumps that is mapped near a program.  Jump i goes where word i of the page behind
 * it says; here, in the library itself, nobody executes it and no such page is behind it.
 */
	.section .text.patch_near, "ax", @progbits
	.p2align 12
	.globl	patch_near
	.hidden	patch_near
	.type	patch_near, @object
patch_near:
	.rept	512
	jmp	*4096 - 6(%rip)
	.byte	0xcc, 0xcc
	.endr
	.size	patch_near, . - patch_near

	.section .note.GNU-stack, "", @progbits
