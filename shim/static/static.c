/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static: see static.h: from the library's entry point to the program's.
 */
#include "shim/static/static.h"
#include "shim/engine/config.h"
#include "shim/engine/engine.h"
#include "shim/engine/line.h"
#include "shim/engine/modules.h"
#include "shim/engine/recorder.h"
#include "shim/engine/sys.h"
#include "shim/go/go.h"
#include "shim/libc/door.h"
#include "shim/static/sites.h"

#include "core/trace/layout.h"

#include <elf.h>
#include <sys/prctl.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char static_entry[] __attribute__((visibility("hidden")));

/* What the kernel put on the stack: System V ABI, figure 3.9. */
struct stack {
	char **argv, **envp;
	Elf64_auxv_t *aux;
};

static struct stack stack_read(uint64_t *sp)
{
	struct stack s = {.argv = (char **)(sp + 1)};

	s.envp = s.argv + sp[0] + 1;
	s.aux = (Elf64_auxv_t *)s.envp;
	for (char **p = s.envp;; p++) {
		if (!*p) {
			s.aux = (Elf64_auxv_t *)(p + 1);
			return s;
		}
	}
}

static Elf64_auxv_t *stack_aux(const struct stack *s, uint64_t type)
{
	for (Elf64_auxv_t *a = s->aux; a->a_type != AT_NULL; a++) {
		if (a->a_type == type)
			return a;
	}
	return NULL;
}

static uint64_t stack_value(const struct stack *s, uint64_t type)
{
	const Elf64_auxv_t *a = stack_aux(s, type);

	return a ? a->a_un.a_val : 0;
}

/* The linker leaves us relative relocations and the weak dlsym, which is NULL here as it is. */
static void relocate(uint64_t base)
{
	const Elf64_Rela *rela = NULL;
	uint64_t size = 0;

	for (const Elf64_Dyn *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_RELA)
			rela = (const Elf64_Rela *)(base + d->d_un.d_ptr);
		else if (d->d_tag == DT_RELASZ)
			size = d->d_un.d_val;
	}
	for (uint64_t i = 0; rela && i < size / sizeof(*rela); i++) {
		if (ELF64_R_TYPE(rela[i].r_info) == R_X86_64_RELATIVE)
			*(uint64_t *)(base + rela[i].r_offset) = base + (uint64_t)rela[i].r_addend;
	}
}

static void say(const char *line)
{
	struct iovec text[] = {
		{(void *)(uintptr_t)line, line_length(line)},
		{(void *)(uintptr_t) "\n", 1},
	};

	(void)sys_3(SYS_writev, 2, (long)text, 2);
}

/* The library was started like a program. */
static __attribute__((noreturn)) void explain_self(void)
{
	say("libshakedown.so is no program: 'shakedown run -- CMD' or LD_PRELOAD puts it into one");
	for (;;)
		sys_1(SYS_exit_group, 0);
}

/* We are the interpreter that a copy of the program names.  The program expects none: with our address
 * in AT_BASE, musl's would relocate itself by it.  And the copy is executed by a number. */
static void hide_interpreter(const struct stack *s)
{
	Elf64_auxv_t *base = stack_aux(s, AT_BASE);

	if (!base || base->a_un.a_val != (uint64_t)__ehdr_start)
		return;
	base->a_un.a_val = 0;
	if (s->argv[0])
		(void)sys_2(SYS_prctl, PR_SET_NAME, (long)line_base(s->argv[0]));
}

static void watch(const struct stack *s, uint64_t entry)
{
	static char library[CONFIG_PATH_MAX];
	const char *problem = NULL, *why = NULL;

	if (!engine_start(s->envp, TRACE_DOOR_INJECTED, &problem)) {
		if (problem)
			say(problem);
		return;
	}
	if (!modules_path((uint64_t)__ehdr_start, library, sizeof(library)))
		return;
	libc_environ_start(s->envp, library);
	if (!go_start(library, &why) && !why)
		static_sites_start(library, entry);
	else if (why) /* nothing will ever be seen: that must not look like nothing happened */
		(void)recorder_open();
}

uint64_t static_start(uint64_t *sp)
{
	struct stack s = stack_read(sp);
	uint64_t entry = stack_value(&s, AT_ENTRY), start;

	if (entry == (uint64_t)static_entry || !entry)
		explain_self();
	relocate((uint64_t)__ehdr_start);
	hide_interpreter(&s);
	start = stack_value(&s, AT_BASE);
	if (start) /* a loader comes first */
		start += ((const Elf64_Ehdr *)start)->e_entry;
	/* Who raised our privileges does not get to say where we write. */
	if (!stack_value(&s, AT_SECURE))
		watch(&s, entry);
	return start ? start : entry;
}
