/* SPDX-License-Identifier: BSD-2-Clause
 *
 * loaded: see loaded.h.  From the program headers in the auxiliary vector to DT_DEBUG, from there
 * along the loader's list, in each library by its GNU or System V hash table.
 *
 * Source: System V gABI, chapter 5 (dynamic section, hash table); the GNU hash table as binutils
 * writes it; link.h.
 */
#include "shim/libc/loaded.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"

#include <elf.h>
#include <link.h>

enum {
	VERSION_HIDDEN = 0x8000,
};

/* The tables of one library. */
struct tables {
	Elf64_Addr base;
	const Elf64_Sym *symbols;
	const char *names;
	const uint32_t *gnu, *sysv; /* hash tables, NULL when absent */
	const Elf64_Half *versions;
};

/* ---- the list ---- */

static const Elf64_Phdr *program_headers(unsigned long *ret_count)
{
	const Elf64_Phdr *headers = NULL;
	Elf64_auxv_t aux = {0};
	int fd = sys_open("/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0);

	*ret_count = 0;
	if (fd < 0)
		return NULL;
	while (sys_read(fd, &aux, sizeof(aux)) == sizeof(aux) && aux.a_type != AT_NULL) {
		if (aux.a_type == AT_PHDR)
			headers = (const Elf64_Phdr *)aux.a_un.a_val;
		if (aux.a_type == AT_PHNUM)
			*ret_count = aux.a_un.a_val;
	}
	sys_close(fd);
	return headers;
}

static const struct link_map *first_library(void)
{
	unsigned long count;
	const Elf64_Phdr *headers = program_headers(&count);
	const Elf64_Dyn *dynamic = NULL;
	Elf64_Addr base = 0;
	bool placed = false;

	for (unsigned long i = 0; headers && i < count; i++) {
		if (headers[i].p_type == PT_PHDR) {
			base = (Elf64_Addr)headers - headers[i].p_vaddr;
			placed = true;
		}
	}
	/* Without PT_PHDR the program is the loader itself (ld.so PROGRAM), placed we know not where. */
	for (unsigned long i = 0; placed && i < count; i++) {
		if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const Elf64_Dyn *)(base + headers[i].p_vaddr);
	}
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_DEBUG && dynamic->d_un.d_ptr)
			return ((const struct r_debug *)dynamic->d_un.d_ptr)->r_map;
	}
	return NULL;
}

static const struct link_map *ours(const struct link_map *map)
{
	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map;
}

/* ---- one library ---- */

/* glibc writes addresses into the dynamic section it loaded, musl leaves offsets there. */
static const void *at(const struct link_map *map, Elf64_Addr value)
{
	return (const void *)(value < map->l_addr ? map->l_addr + value : value);
}

static struct tables tables_of(const struct link_map *map)
{
	struct tables t = {.base = map->l_addr};

	for (const Elf64_Dyn *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB:
			t.symbols = at(map, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			t.names = at(map, d->d_un.d_ptr);
			break;
		case DT_GNU_HASH:
			t.gnu = at(map, d->d_un.d_ptr);
			break;
		case DT_HASH:
			t.sysv = at(map, d->d_un.d_ptr);
			break;
		case DT_VERSYM:
			t.versions = at(map, d->d_un.d_ptr);
			break;
		}
	}
	return t;
}

static bool is_definition(const struct tables *t, uint32_t i, const char *name)
{
	const Elf64_Sym *s = &t->symbols[i];

	return s->st_shndx != SHN_UNDEF && s->st_value && ELF64_ST_BIND(s->st_info) != STB_LOCAL &&
	       !(t->versions && t->versions[i] & VERSION_HIDDEN) &&
	       line_equal(t->names + s->st_name, name);
}

/* Index of the definition in the symbol table, 0 when there is none. */
static uint32_t find_gnu(const struct tables *t, const char *name)
{
	uint32_t buckets = t->gnu[0], first = t->gnu[1], bloom_words = t->gnu[2], hash = 5381;
	const uint32_t *bucket = t->gnu + 4 + bloom_words * (sizeof(Elf64_Addr) / 4);
	const uint32_t *chain = bucket + buckets;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!buckets)
		return 0;
	for (uint32_t i = bucket[hash % buckets]; i >= first && i; i++) {
		if ((chain[i - first] | 1) == (hash | 1) && is_definition(t, i, name))
			return i;
		if (chain[i - first] & 1)
			break;
	}
	return 0;
}

static uint32_t find_sysv(const struct tables *t, const char *name)
{
	uint32_t buckets = t->sysv[0], hash = 0;
	const uint32_t *bucket = t->sysv + 2, *chain = bucket + buckets;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (uint8_t)*c;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	if (!buckets)
		return 0;
	for (uint32_t i = bucket[hash % buckets]; i; i = chain[i]) {
		if (is_definition(t, i, name))
			return i;
	}
	return 0;
}

static void *find_in(const struct link_map *map, const char *name)
{
	struct tables t = tables_of(map);
	uint32_t i = 0;

	if (!t.symbols || !t.names)
		return NULL;
	if (t.gnu)
		i = find_gnu(&t, name);
	else if (t.sysv)
		i = find_sysv(&t, name);
	if (!i)
		return NULL;

	void *p = (void *)(t.base + t.symbols[i].st_value);

	return ELF64_ST_TYPE(t.symbols[i].st_info) == STT_GNU_IFUNC ? ((void *(*)(void))p)() : p;
}

/* The head of the list stays where it is. */
static const struct link_map *head(void)
{
	static const struct link_map *first;

	if (!first)
		first = first_library();
	return first;
}

void *loaded_find(const char *name, bool behind_us)
{
	const struct link_map *map = head();
	void *p = NULL;

	if (behind_us) {
		map = ours(map);
		map = map ? map->l_next : NULL;
	}
	for (; map && !p; map = map->l_next)
		p = find_in(map, name);
	return p;
}

const char *loaded_self(void)
{
	const struct link_map *map = ours(head());

	return map && map->l_name && map->l_name[0] ? map->l_name : NULL;
}
