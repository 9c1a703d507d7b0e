/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/jumps: call sites in the debug information, read from both ends.
 */
#include "tools/blame/jumps.h"

#include <dwarf.h>
#include <string.h>

enum {
	DIE_DEPTH = 48, /* of nested scopes inside a function */
};

/* What is done with each call site of a function; false ends the walk. */
typedef bool site_visitor(Dwarf_Die *site, void *ctx);

static bool is_site(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site;
}

static bool walk_sites(Dwarf_Die *scope, int depth, site_visitor *visit, void *ctx)
{
	Dwarf_Die die;
	int more = dwarf_child(scope, &die);

	for (; more == 0; more = dwarf_siblingof(&die, &die)) {
		int tag = dwarf_tag(&die);

		if (is_site(&die)) {
			if (!visit(&die, ctx))
				return false;
		} else if (depth < DIE_DEPTH &&
			   (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine)) {
			if (!walk_sites(&die, depth + 1, visit, ctx))
				return false;
		}
	}
	return true;
}

static Dwarf_Addr site_return(Dwarf_Die *site)
{
	unsigned name = dwarf_tag(site) == DW_TAG_call_site ? DW_AT_call_return_pc : DW_AT_low_pc;
	Dwarf_Attribute attr;
	Dwarf_Addr addr;

	return dwarf_attr(site, name, &attr) && dwarf_formaddr(&attr, &addr) == 0 ? addr : 0;
}

/* The call itself: clang says where a jump is, gcc what stands behind it. */
static Dwarf_Addr site_address(Dwarf_Die *site)
{
	Dwarf_Addr behind = site_return(site), addr;
	Dwarf_Attribute attr;

	if (dwarf_attr(site, DW_AT_call_pc, &attr) && dwarf_formaddr(&attr, &addr) == 0)
		return addr;
	return behind ? behind - 1 : 0;
}

static bool site_is_jump(Dwarf_Die *site)
{
	unsigned name =
		dwarf_tag(site) == DW_TAG_call_site ? DW_AT_call_tail_call : DW_AT_GNU_tail_call;
	Dwarf_Attribute attr;
	bool flag;

	return dwarf_attr(site, name, &attr) && dwarf_formflag(&attr, &flag) == 0 && flag;
}

/* Name of the function a direct call goes to, NULL for a call through a pointer. */
static const char *site_target(Dwarf_Die *site)
{
	unsigned name =
		dwarf_tag(site) == DW_TAG_call_site ? DW_AT_call_origin : DW_AT_abstract_origin;
	Dwarf_Attribute attr;
	Dwarf_Die die;

	if (!dwarf_attr(site, name, &attr) || !dwarf_formref_die(&attr, &die))
		return NULL;
	return dwarf_diename(&die);
}

/* ---- the caller's end ---- */

struct wanted_site {
	Dwarf_Addr ret;
	Dwarf_Die site;
	bool found;
};

static bool match_return(Dwarf_Die *site, void *ctx)
{
	struct wanted_site *w = ctx;

	if (site_return(site) != w->ret || site_is_jump(site))
		return true;
	w->site = *site;
	w->found = true;
	return false;
}

/* ---- the other end: who jumps to a function? ---- */

struct jumpers {
	const char *callee;
	const char *only;	    /* look at this function alone, NULL all */
	Dwarf_Die *function, *unit; /* being walked */
	struct jump *jump;
	int count, room;
};

static bool match_jump(Dwarf_Die *site, void *ctx)
{
	struct jumpers *j = ctx;
	const char *target = site_is_jump(site) ? site_target(site) : NULL;

	if (!target || strcmp(target, j->callee) != 0)
		return true;
	j->jump[j->count++] = (struct jump){
		.function = dwarf_diename(j->function),
		.unit = *j->unit,
		.addr = site_address(site),
	};
	return false; /* one jump of a function is enough */
}

static void scan_unit(struct jumpers *j, Dwarf_Die *unit)
{
	Dwarf_Die die;
	int more = dwarf_child(unit, &die);

	for (; more == 0 && j->count < j->room; more = dwarf_siblingof(&die, &die)) {
		const char *name;

		if (dwarf_tag(&die) != DW_TAG_subprogram || !dwarf_haschildren(&die))
			continue;
		name = dwarf_diename(&die);
		if (!name || (j->only && strcmp(name, j->only) != 0))
			continue;
		j->function = &die;
		j->unit = unit;
		(void)walk_sites(&die, 0, match_jump, j);
	}
	j->function = j->unit = NULL;
}

/* Fill jump with functions that jump to callee. Returns how many, at most room. */
static int find_jumpers(const struct module *row, const char *callee, const char *only,
			struct jump *jump, int room)
{
	struct jumpers j = {.callee = callee, .only = only, .jump = jump, .room = room};
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	while (j.count < room && (unit = dwfl_module_nextcu(row->mod, unit, &bias)))
		scan_unit(&j, unit);
	return j.count;
}

/* ---- both ---- */

int jumps_between(const struct module *row, Dwarf_Die *caller, Dwarf_Addr ret, const char *callee,
		  struct jump *ret_jump)
{
	struct wanted_site w = {.ret = ret};
	struct jump two[2];
	const char *target;
	int depth;

	(void)walk_sites(caller, 0, match_return, &w);
	target = w.found ? site_target(&w.site) : NULL;
	if (!target || !callee || strcmp(target, callee) == 0)
		return 0;
	for (depth = 0; depth < JUMPS_DEPTH; depth++) {
		/* The one that was called ends the chain; otherwise there must be only one way on. */
		if (find_jumpers(row, callee, target, &ret_jump[depth], 1) == 1)
			return depth + 1;
		if (find_jumpers(row, callee, NULL, two, 2) != 1)
			return 0;
		ret_jump[depth] = two[0];
		callee = two[0].function;
	}
	return 0;
}

int jumps_possible(const struct module *row, Dwarf_Die *caller, Dwarf_Addr ret, const char *callee,
		   struct jump *ret_jump)
{
	struct wanted_site w = {.ret = ret};

	(void)walk_sites(caller, 0, match_return, &w);
	if (!w.found || !callee || site_target(&w.site))
		return 0;
	return find_jumpers(row, callee, NULL, ret_jump, JUMPS_CANDIDATES);
}
