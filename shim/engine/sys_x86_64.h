/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sys_x86_64: everything of the engine that knows the machine: entering the kernel, the registers of
 * a stack, the thread's own word.  Included by sys.h only.
 *
 * Source: System V ABI, AMD64 supplement: appendix A.2.1 (system calls), figure 3.36 (DWARF register
 * numbers); syscall(2); AMD64 Architecture Programmer's Manual, volume 3 (CPUID, RDPID).
 */
#ifndef SHIM_ENGINE_SYS_X86_64_H
#define SHIM_ENGINE_SYS_X86_64_H

#include <stdbool.h>
#include <stdint.h>

static inline long sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

enum {
	SYS_HAS_COUNTER = 1,
};

/* The time-stamp counter, not ordered against other instructions. */
static inline uint64_t sys_counter(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* May this processor be asked which one it is, with rdpid? */
static inline bool sys_has_rdpid(void)
{
	uint32_t a = 0, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (a < 7)
		return false;
	a = 7;
	c = 0;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 22 & 1;
}

static inline void sys_pause(void)
{
	__asm__ volatile("pause");
}

enum {
	SYS_REG_BP = 6,
	SYS_REG_SP = 7,
	SYS_REG_IP = 16,
	SYS_REGS = 17,
};

/* The registers an unwinder needs, as they are at this instruction: those a callee keeps, the stack
 * pointer and the address.  reg is indexed by DWARF number; the others are left alone. */
static inline __attribute__((always_inline)) void sys_registers(uint64_t *reg)
{
	__asm__ volatile("movq %%rbx, 24(%0)\n\t"
			 "movq %%rbp, 48(%0)\n\t"
			 "movq %%rsp, 56(%0)\n\t"
			 "movq %%r12, 96(%0)\n\t"
			 "movq %%r13, 104(%0)\n\t"
			 "movq %%r14, 112(%0)\n\t"
			 "movq %%r15, 120(%0)\n\t"
			 "leaq 1f(%%rip), %%rax\n"
			 "1:\tmovq %%rax, 128(%0)"
			 :
			 : "r"(reg)
			 : "rax", "memory");
}

/* A 32-bit word of the calling thread's control block, off bytes behind the thread pointer.  Only
 * where a libc set the thread pointer up. */
static inline uint32_t sys_thread_word(uint64_t off)
{
	uint32_t w;

	__asm__ volatile("movl %%fs:(%1), %0" : "=r"(w) : "r"(off));
	return w;
}

#endif
