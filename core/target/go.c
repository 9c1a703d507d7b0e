/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go: build info starts with a magic at a multiple of 16, in the section .go.buildinfo or, when
 * the section headers are gone, at the start of the data segment.
 *
 *     0   "\xff Go buildinf:"       14 bytes
 *     14  pointer size
 *     15  flags: 1 big-endian pointers, 2 strings are inline (Go 1.18 and later)
 *     16  inline: padding; older: pointer to the Go string header of the version, pointer to that of
 *         the module list
 *     32  inline: length as a varint, version
 */
#include "core/target/go.h"

static const char magic[14] = "\xff Go buildinf:";

enum {
	INFO_ALIGN = 16,
	INFO_SIZE = 32,
	FLAG_BIG_ENDIAN = 1,
	FLAG_INLINE = 2,
	MINOR_MAX = 999,
	SEARCH_LIMIT = 16 << 20, /* of a data segment; the real thing is at its start */
};

static bool search(const struct elf *e, uint64_t off, uint64_t n, uint64_t *ret_off)
{
	struct span area;

	if (off > e->file.n)
		return false;
	if (n > e->file.n - off)
		n = e->file.n - off;
	if (n > SEARCH_LIMIT)
		n = SEARCH_LIMIT;
	if (!elf_bytes(e->file, off, n, &area))
		return false;
	for (uint64_t i = 0; i + INFO_SIZE <= area.n; i += INFO_ALIGN) {
		if (area.p[i] == (uint8_t)magic[0] && !memcmp(area.p + i, magic, sizeof(magic))) {
			*ret_off = off + i;
			return true;
		}
	}
	return false;
}

static bool find(const struct elf *e, uint64_t *ret_off)
{
	struct elf_section section;

	if (elf_section_named(e, ".go.buildinfo", &section) &&
	    search(e, section.off, section.size, ret_off))
		return true;
	for (uint32_t i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment(e, i);

		if (s.type == ELF_PT_LOAD && s.flags & ELF_PF_W)
			return search(e, s.off, s.filesz, ret_off);
	}
	return false;
}

/* LEB128, at most 32 bits of value: a version is short. */
static bool varint(struct span file, uint64_t *off, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 32; shift += 7) {
		if (*off >= file.n)
			return false;
		uint8_t c = file.p[(*off)++];

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Copy a version that looks like one: printable, no spaces. It goes to terminals. */
static void copy_version(struct span text, char *ret, size_t size)
{
	size_t n = 0;

	while (n < text.n && n < size - 1 && text.p[n] > ' ' && text.p[n] < 0x7f) {
		ret[n] = (char)text.p[n];
		n++;
	}
	ret[n] = '\0';
}

/* The form before Go 1.18: a pointer to a string header (address, length) in the data. */
static bool pointed_version(const struct elf *e, uint64_t info, struct span *ret)
{
	uint64_t header, text;

	if (!elf_offset(e, elf_u64(e->file, info + 16), &header))
		return false;
	if (!elf_offset(e, elf_u64(e->file, header), &text))
		return false;
	return elf_bytes(e->file, text, elf_u64(e->file, header + 8), ret);
}

bool go_build_info(const struct elf *e, char *ret_version, size_t size)
{
	struct span text;
	uint64_t info, at, n;
	uint8_t flags;

	ret_version[0] = '\0';
	if (!find(e, &info))
		return false;
	flags = e->file.p[info + 15];
	at = info + INFO_SIZE;
	if (flags & FLAG_INLINE) {
		if (!varint(e->file, &at, &n) || !elf_bytes(e->file, at, n, &text))
			return true;
	} else if (flags & FLAG_BIG_ENDIAN || e->file.p[info + 14] != 8 ||
		   !pointed_version(e, info, &text)) {
		return true;
	}
	copy_version(text, ret_version, size);
	return true;
}

unsigned go_minor(const char *version)
{
	static const char prefix[] = "go1.";
	unsigned minor = 0, n = 0;

	while (prefix[n] && version[n] == prefix[n])
		n++;
	if (prefix[n])
		return 0;
	for (; version[n] >= '0' && version[n] <= '9'; n++) {
		minor = minor * 10 + (unsigned)(version[n] - '0');
		if (minor > MINOR_MAX)
			return 0;
	}
	return minor;
}

struct go_layout go_layout(unsigned minor)
{
	switch (minor) {
#define GO_LAYOUT(minor, ...) \
	case minor:           \
		return (struct go_layout){__VA_ARGS__};
#include "core/target/go_layout.def"
#undef GO_LAYOUT
	default:
		return (struct go_layout){0, 0, 0};
	}
}
