/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go_sites: the instructions by which Go enters the kernel, known by their bytes.
 *
 * The bytes decide, not the version: they are what will be replaced.  When they occur more often than a
 * program can have such functions, those stand that the function table calls by their names; when they
 * occur once, where the table has no function begin, they are somebody's data.  Of the four older
 * functions the linker may drop RawSyscall6: fewer than three are not those.
 */
#include "core/target/go_internal.h"

/* mov r10,rsi; mov rdx,rdi; mov rsi,rcx; mov rdi,rbx; syscall; cmp rax,-4095 */
static const uint8_t syscall6_bytes[] = {0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48,
					 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05,
					 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};
/* mov rax,[rsp+8]; syscall; cmp rax,-4095 */
static const uint8_t stack_bytes[] = {0x48, 0x8b, 0x44, 0x24, 0x08, 0x0f, 0x05,
				      0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};

static const char *const syscall6_names[] = {
	"internal/runtime/syscall/linux.Syscall6",
	"internal/runtime/syscall.Syscall6",
	"runtime/internal/syscall.Syscall6",
	NULL,
};
static const char *const stack_names[] = {
	"syscall.Syscall", "syscall.Syscall6", "syscall.RawSyscall", "syscall.RawSyscall6", NULL,
};

static const struct shape {
	uint8_t kind;		  /* enum go_site_kind */
	uint8_t least, most;	  /* of one program */
	uint8_t first_minor, end; /* of the versions that have it; end is one behind, 0: none yet */
	uint8_t n;
	const uint8_t *bytes;
	const char *const *names;
} shapes[] = {
	{GO_SITE_SYSCALL6, 1, 1, 19, 0, sizeof(syscall6_bytes), syscall6_bytes, syscall6_names},
	{GO_SITE_STACK, GO_SITES - 1, GO_SITES, 0, 19, sizeof(stack_bytes), stack_bytes,
	 stack_names},
};

enum {
	HITS_MAX = 16, /* more than any number of copies somebody keeps as data in the text */
};

struct hits {
	uint64_t vaddr[HITS_MAX];
	unsigned n;
	bool more;
};

/* Horspool's search: looks at one byte in n, so that some megabytes of text cost a fraction of a
 * millisecond. */
static __attribute__((noinline)) void search(const struct shape *shape, struct span text,
					     uint64_t vaddr, struct hits *hits)
{
	const uint8_t *bytes = shape->bytes;
	const unsigned last = shape->n - 1u;
	uint8_t skip[256];

	memset(skip, shape->n, sizeof(skip));
	for (unsigned i = 0; i < last; i++)
		skip[bytes[i]] = (uint8_t)(last - i);
	for (size_t at = 0; at + shape->n <= text.n; at += skip[text.p[at + last]]) {
		if (text.p[at + last] != bytes[last] || memcmp(text.p + at, bytes, last))
			continue;
		if (hits->n == HITS_MAX) {
			hits->more = true;
			return;
		}
		hits->vaddr[hits->n++] = vaddr + at;
	}
}

static void search_text(const struct elf *e, const struct shape *shape, struct hits *hits)
{
	*hits = (struct hits){0};
	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);
		struct span text;

		if (s.type == ELF_PT_LOAD && s.flags & ELF_PF_X &&
		    elf_bytes(e->file, s.off, s.filesz, &text))
			search(shape, text, s.vaddr, hits);
	}
}

static bool named(const struct go_table *t, const struct shape *shape, uint64_t vaddr)
{
	struct go_function f;

	if (!go_function_at(t, vaddr, &f))
		return false;
	for (unsigned i = 0; shape->names[i]; i++) {
		if (go_name_is(t->elf.file, go_function_name(t, &f), shape->names[i]))
			return shape->kind != GO_SITE_SYSCALL6 || f.entry == vaddr;
	}
	return false;
}

/* Too many: keep what the function table vouches for. */
static __attribute__((noinline)) void narrow(const struct elf *e, const struct shape *shape,
					     struct hits *hits)
{
	struct go_table t;
	unsigned n = 0;

	if (!go_table_open(e, &t))
		return;
	for (unsigned i = 0; i < hits->n; i++) {
		if (named(&t, shape, hits->vaddr[i]))
			hits->vaddr[n++] = hits->vaddr[i];
	}
	hits->n = n;
}

/* What the function table says against one match; without a table nothing. */
static __attribute__((noinline)) bool begins_function(const struct elf *e, uint64_t vaddr)
{
	struct go_function f;
	struct go_table t;

	return !go_table_open(e, &t) || (go_function_at(&t, vaddr, &f) && f.entry == vaddr);
}

enum go_sites_result go_sites(const struct elf *e, unsigned minor,
			      struct go_site ret_site[GO_SITES], unsigned *ret_count)
{
	struct hits hits;
	char version[2];

	/* The bytes in a program that is no Go would be somebody's data. */
	if (!go_build_info(e, version, sizeof(version)))
		return GO_SITES_NONE;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(shapes); i++) {
		const struct shape *shape = &shapes[i];

		if (minor && (minor < shape->first_minor || (shape->end && minor >= shape->end)))
			continue;
		search_text(e, shape, &hits);
		if (!hits.n)
			continue;
		if (hits.n > shape->most && !hits.more)
			narrow(e, shape, &hits);
		if (!hits.n || hits.n > shape->most)
			return GO_SITES_MANY;
		if (hits.n < shape->least ||
		    (shape->kind == GO_SITE_SYSCALL6 && !begins_function(e, hits.vaddr[0])))
			return GO_SITES_NONE;
		for (unsigned k = 0; k < hits.n; k++)
			ret_site[k] = (struct go_site){hits.vaddr[k], shape->kind};
		*ret_count = hits.n;
		return GO_SITES_FOUND;
	}
	return GO_SITES_NONE;
}
