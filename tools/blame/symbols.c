/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/symbols: libdwfl and libdw asked for functions, inlined ones included, files and lines.
 */
#include "tools/blame/symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/blame/jumps.h"
#include "tools/blame/roles.h"

static struct frame *push(struct stack *s, uint64_t pc, const struct module *row)
{
	struct frame *more = realloc(s->frame, (s->frames + 1) * sizeof(*more));
	struct frame *f;

	if (!more)
		return NULL;
	s->frame = more;
	f = &more[s->frames++];
	memset(f, 0, sizeof(*f));
	f->pc = pc;
	if (row) {
		f->module = strdup(row->name);
		f->module_off = module_offset(row, pc);
		f->why = row->why;
		f->go = row->go;
	}
	return f;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* Where the function of a physical frame begins, from the unwind tables: known without symbols. */
static uint64_t find_entry(const struct module *row, uint64_t pc)
{
	Dwarf_Addr bias, start = 0, end;
	Dwarf_Frame *frame = NULL;
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(row->mod, &bias);

	if (!cfi)
		cfi = dwfl_module_dwarf_cfi(row->mod, &bias);
	if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0)
		return 0;
	if (dwarf_frame_info(frame, &start, &end, NULL) < 0)
		start = 0;
	free(frame);
	return start;
}

static const char *look_up(const struct module *row, uint64_t pc)
{
	GElf_Off off;
	GElf_Sym sym;
	const char *name = dwfl_module_addrinfo(row->mod, pc, &off, &sym, NULL, NULL, NULL);

	return name && off < sym.st_size ? name : NULL;
}

static char *find_symbol(const struct modules *m, const struct module *row, uint64_t pc)
{
	struct symbol_memo *memo = m->memo ? &m->memo[(pc ^ pc >> 12) % SYMBOL_MEMOS] : NULL;
	const char *name = memo && memo->pc == pc ? memo->name : look_up(row, pc);
	char *ret, *at;

	if (memo)
		*memo = (struct symbol_memo){pc, name};
	if (!name)
		return NULL;
	ret = strdup(name);
	/* The version of a dynamic symbol is no part of its name. */
	at = ret ? strchr(ret, '@') : NULL;
	if (at && at != ret)
		*at = 0;
	return ret;
}

/* Whose code it is by where its source lies; NULL when that says nothing.  file may be relative to the
 * folder its unit was compiled in. */
static const char *role_of_file(Dwarf_Die *cu, const char *file)
{
	Dwarf_Attribute attr;
	const char *dir = NULL;
	char path[4096];

	if (!file)
		return NULL;
	if (file[0] != '/' && dwarf_attr(cu, DW_AT_comp_dir, &attr))
		dir = dwarf_formstring(&attr);
	if (snprintf(path, sizeof(path), "%s%s%s", dir ? dir : "", dir ? "/" : "", file) >=
	    (int)sizeof(path))
		return NULL;
	return role_of_source(path);
}

static bool is_named(const struct frame *f, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	return f->function && name && strcmp(f->function, name) == 0;
}

/* File and line where an inlined function was called from. */
static void call_site(Dwarf_Die *inlined, Dwarf_Die *cu, char **ret_file, unsigned *ret_line)
{
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Word value;
	size_t n;

	*ret_file = NULL;
	*ret_line = 0;
	if (dwarf_attr(inlined, DW_AT_call_line, &attr) && dwarf_formudata(&attr, &value) == 0)
		*ret_line = (unsigned)value;
	if (dwarf_attr(inlined, DW_AT_call_file, &attr) && dwarf_formudata(&attr, &value) == 0 &&
	    dwarf_getsrcfiles(cu, &files, &n) == 0 && value < n)
		*ret_file = copy(dwarf_filesrc(files, value, NULL, NULL));
}

enum {
	SCOPES_MAX = 64,
};

/* Functions around an address, in the order they were called: path[0] is the real one, the others were
 * inlined.  libdw's own dwarf_getscopes cannot do it for link-time optimised programs, where a function
 * is described in one unit and placed by another.  Returns how many there are, n of them known before. */
static int find_functions(Dwarf_Die *scope, Dwarf_Addr addr, Dwarf_Die *path, int n)
{
	Dwarf_Die die;
	int deeper, more = dwarf_child(scope, &die);

	for (; more == 0 && n < SCOPES_MAX; more = dwarf_siblingof(&die, &die)) {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
		case DW_TAG_inlined_subroutine:
			if (dwarf_haspc(&die, addr) <= 0)
				continue;
			path[n] = die;
			return find_functions(&path[n], addr, path, n + 1);
		case DW_TAG_lexical_block:
		case DW_TAG_try_block:
		case DW_TAG_catch_block:
			if (dwarf_haspc(&die, addr) > 0)
				return find_functions(&die, addr, path, n);
			continue;
		case DW_TAG_namespace:
		case DW_TAG_module:
			deeper = find_functions(&die, addr, path, n);
			if (deeper > n)
				return deeper;
			continue;
		default:
			continue;
		}
	}
	return n;
}

/* The compilation unit that holds an address.  clang writes no .debug_aranges, by which elfutils looks
 * units up; then they are asked one by one. */
static Dwarf_Die *find_unit(const struct module *row, uint64_t pc, Dwarf_Addr *ret_bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(row->mod, pc, ret_bias);

	if (cu)
		return cu;
	while ((cu = dwfl_module_nextcu(row->mod, cu, ret_bias)))
		if (dwarf_haspc(cu, pc - *ret_bias) > 0)
			return cu;
	return NULL;
}

static char *find_line(Dwarf_Die *cu, Dwarf_Addr addr, unsigned *ret_line)
{
	Dwarf_Line *src = dwarf_getsrc_die(cu, addr);
	int line = 0;

	*ret_line = 0;
	if (!src)
		return NULL;
	if (dwarf_lineno(src, &line) == 0 && line > 0)
		*ret_line = (unsigned)line;
	return copy(dwarf_linesrc(src, NULL, NULL));
}

/* Frames from DWARF. Returns false when it has no function for the address; nothing is pushed then. */
static bool name_by_dwarf(struct stack *s, const struct module *row, uint64_t pc, uint64_t entry)
{
	Dwarf_Die path[SCOPES_MAX], *cu;
	uint32_t before = s->frames;
	Dwarf_Addr bias;
	unsigned line;
	char *file;
	int i;

	cu = find_unit(row, pc, &bias);
	i = cu ? find_functions(cu, pc - bias, path, 0) : 0;
	if (i <= 0)
		return false;
	file = find_line(cu, pc - bias, &line);
	while (i-- > 0) {
		/* A part of a function the compiler split off and took in again is no call. */
		if (s->frames > before && is_named(&s->frame[s->frames - 1], &path[i])) {
			free(file);
		} else {
			struct frame *f = push(s, pc, row);

			if (!f)
				break;
			f->function = copy(dwarf_diename(&path[i]));
			f->file = file;
			f->line = line;
			f->role = role_of_file(cu, file);
			f->entry = entry;
		}
		file = NULL;
		s->frame[s->frames - 1].inlined = i > 0;
		if (i > 0)
			call_site(&path[i], cu, &file, &line);
	}
	free(file);
	return s->frames > before;
}

/* The real function around an address and its unit. */
static bool find_function(const struct module *row, uint64_t pc, Dwarf_Die *ret,
			  Dwarf_Addr *ret_bias)
{
	Dwarf_Die path[SCOPES_MAX], *cu = find_unit(row, pc, ret_bias);

	if (!cu || find_functions(cu, pc - *ret_bias, path, 0) <= 0)
		return false;
	*ret = path[0];
	return true;
}

/* Frames of functions that were called from pc and jumped on to the last frame of s. */
static void push_jumps(struct stack *s, const struct modules *m, const struct module *row,
		       uint64_t pc)
{
	const struct frame *callee = s->frames ? &s->frame[s->frames - 1] : NULL;
	struct jump jump[JUMPS_DEPTH];
	Dwarf_Addr bias;
	Dwarf_Die caller;
	int i, n;

	if (!callee || !callee->function || modules_find(m, callee->pc) != row ||
	    !find_function(row, pc, &caller, &bias))
		return;
	n = jumps_between(row, &caller, pc + 1 - bias, callee->function, jump);
	for (i = 0; i < n; i++) {
		struct frame *f = push(s, jump[i].addr + bias, row);

		if (!f)
			return;
		f->function = copy(jump[i].function);
		f->file = find_line(&jump[i].unit, jump[i].addr, &f->line);
		f->role = role_of_file(&jump[i].unit, f->file);
		f->jumped = true;
	}
}

/* Frames from the function table of a Go program, which covers it all, stripped or not. */
static bool name_by_go(struct stack *s, const struct module *row, uint64_t pc)
{
	struct go_frame found[GO_INLINED];
	unsigned n = modules_go_frames(row, pc, found), i;

	for (i = 0; i < n; i++) {
		struct frame *f = push(s, pc, row);

		if (!f)
			break;
		f->function = copy(found[i].function);
		f->file = found[i].file[0] ? copy(found[i].file) : NULL;
		f->line = found[i].line;
		f->entry = found[i].entry;
		f->inlined = found[i].inlined;
	}
	return i > 0;
}

static bool name_pc(struct stack *s, const struct modules *m, uint64_t pc)
{
	const struct module *row = modules_find(m, pc);
	uint64_t entry;
	struct frame *f;

	if (name_by_go(s, row, pc))
		return true;
	entry = row && row->mod ? find_entry(row, pc) : 0;
	if (row && row->mod)
		push_jumps(s, m, row, pc);
	if (row && row->mod && name_by_dwarf(s, row, pc, entry))
		return true;
	f = push(s, pc, row);
	if (!f)
		return false;
	f->entry = entry;
	if (row && row->mod) {
		f->function = find_symbol(m, row, pc);
		if (!f->function)
			f->why = "the file has no symbols";
	}
	return true;
}

static const char *role_of_frame(const struct frame *f)
{
	/* Wrappers the compiler makes are nobody's. */
	if (f->go && f->file && strcmp(f->file, "<autogenerated>") == 0)
		return "runtime";
	return f->go ? role_of_go(f->function) : role_of(f->module, f->function);
}

bool symbols_name(const struct modules *m, const struct unwound *u, struct stack *ret)
{
	uint32_t i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < u->count; i++)
		if (!name_pc(ret, m, u->pc[i]))
			return false;
	for (i = 0; i < ret->frames; i++) {
		ret->frame[i].go |= u->chain;
		if (!ret->frame[i].role)
			ret->frame[i].role = role_of_frame(&ret->frame[i]);
	}
	return true;
}

/* Write what may stand between a frame and its caller. */
static void name_jumpers(FILE *to, const struct modules *m, const struct frame *callee,
			 const struct frame *caller)
{
	const struct module *row = modules_find(m, caller->pc);
	struct jump jump[JUMPS_CANDIDATES];
	Dwarf_Addr bias;
	Dwarf_Die die;
	int i, n;

	if (!row || !row->mod || !callee->function || modules_find(m, callee->pc) != row ||
	    !find_function(row, caller->pc, &die, &bias))
		return;
	n = jumps_possible(row, &die, caller->pc + 1 - bias, callee->function, jump);
	for (i = 0; i < n; i++) {
		unsigned line;
		char *file = find_line(&jump[i].unit, jump[i].addr, &line);

		fprintf(to, "%s%s (%s:%u)", ftell(to) > 0 ? ", " : "", jump[i].function,
			file ? file : "?", line);
		free(file);
	}
}

char *symbols_jumpers(const struct modules *m, const struct stack *s, const struct frame *caller)
{
	const struct frame *callee = NULL;
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	uint32_t i;

	if (!to)
		return NULL;
	for (i = 0; i < s->frames && ftell(to) == 0; i++) {
		const struct frame *f = &s->frame[i];

		if (f->inlined || strcmp(f->role, "user") != 0)
			continue;
		if (callee && (!caller || caller == f))
			name_jumpers(to, m, callee, f);
		callee = f;
	}
	fclose(to);
	if (n)
		return text;
	free(text);
	return NULL;
}

void symbols_free(struct stack *s)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++) {
		free(s->frame[i].function);
		free(s->frame[i].file);
		free(s->frame[i].module);
	}
	free(s->frame);
	memset(s, 0, sizeof(*s));
}
