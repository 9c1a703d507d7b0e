/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame/modules: from rows of the trace to modules elfutils can read.
 */
#include "tools/blame/modules.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *debuginfo_path; /* NULL: the default search path of elfutils */

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &debuginfo_path,
};

static int open_regular(const char *path)
{
	struct stat st;
	int fd;

	if (path[0] != '/')
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Address minus link-time address, from the segment that holds the mapping's file offset. */
static bool find_bias(Elf *elf, const struct trace_module *row, uint64_t *ret)
{
	size_t i, n;

	if (elf_getphdrnum(elf, &n) < 0)
		return false;
	for (i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD || !(ph.p_flags & PF_X))
			continue;
		/* The mapping starts at the page that holds p_offset, or later. */
		if (row->file_off + 4096 > ph.p_offset &&
		    row->file_off < ph.p_offset + ph.p_filesz) {
			*ret = row->start - (ph.p_vaddr - ph.p_offset + row->file_off);
			return true;
		}
	}
	return false;
}

static const char *check_build_id(Elf *elf, const struct trace_module *row)
{
	const void *id;
	ssize_t n;

	if (!row->build_id_len)
		return NULL;
	n = dwelf_elf_gnu_build_id(elf, &id);
	if (n <= 0)
		return "the file on this machine has no build id, the one that ran had";
	/* The trace keeps the first 20 bytes. */
	if (n < row->build_id_len || row->build_id_len > sizeof(row->build_id) ||
	    memcmp(id, row->build_id, row->build_id_len) != 0)
		return "the file was replaced since: its build id differs";
	return NULL;
}

/* Returns why the file cannot be used, or NULL when it was reported. */
static const char *report_module(struct modules *m, struct module *ret,
				 const struct trace_module *row)
{
	const char *why;
	Elf *elf;
	int fd = open_regular(ret->path);

	if (fd < 0)
		return ret->path[0] == '/' ? "the file is not on this machine"
					   : "the mapping belongs to no file";
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	why = "the file is not the ELF file that ran";
	if (elf && elf_kind(elf) == ELF_K_ELF && find_bias(elf, row, &ret->bias))
		why = check_build_id(elf, row);
	elf_end(elf);
	if (!why) {
		/* On success the descriptor belongs to dwfl. */
		ret->mod = dwfl_report_elf(m->dwfl, ret->name, ret->path, fd, ret->bias, true);
		if (ret->mod)
			return NULL;
		why = "the file cannot be read as ELF";
	}
	ret->bias = 0;
	close(fd);
	return why;
}

static void add_module(struct modules *m, const struct trace_module *row)
{
	struct module *ret = &m->row[m->count];
	const char *slash;
	uint32_t i;

	if (row->start >= row->end || !memchr(row->path, 0, sizeof(row->path)))
		return;
	*ret = (struct module){
		.start = row->start, .end = row->end, .file_off = row->file_off, .path = row->path};
	slash = strrchr(row->path, '/');
	ret->name = slash && slash[1] ? slash + 1 : row->path;
	/* Another mapping of a file that is reported already: its addresses belong to the same module. */
	for (i = 0; i < m->count; i++) {
		const struct module *other = &m->row[i];

		if (strcmp(other->path, ret->path) != 0)
			continue;
		if (other->why || (row->start - row->file_off == other->start - other->file_off)) {
			ret->mod = other->mod;
			ret->bias = other->bias;
			ret->why = other->why;
			m->count++;
			return;
		}
	}
	if (m->dwfl)
		ret->why = report_module(m, ret, row);
	m->count++;
}

void modules_init(struct modules *m, const struct image *img)
{
	const struct trace_module *row;
	uint32_t i;

	memset(m, 0, sizeof(*m));
	m->row = calloc(TRACE_MODULES, sizeof(*m->row));
	if (!m->row)
		return;
	elf_version(EV_CURRENT);
	m->dwfl = dwfl_begin(&callbacks);
	for (i = 0; i < TRACE_MODULES && (row = trace_module_at(img->file, img->len, i)); i++)
		add_module(m, row);
	if (m->dwfl)
		dwfl_report_end(m->dwfl, NULL, NULL);
}

void modules_done(struct modules *m)
{
	if (m->dwfl)
		dwfl_end(m->dwfl);
	free(m->row);
	memset(m, 0, sizeof(*m));
}

const struct module *modules_find(const struct modules *m, uint64_t address)
{
	uint32_t i;

	for (i = 0; i < m->count; i++)
		if (address >= m->row[i].start && address < m->row[i].end)
			return &m->row[i];
	return NULL;
}

bool modules_read(const struct modules *m, uint64_t address, uint64_t *ret)
{
	const struct module *row = modules_find(m, address);
	GElf_Addr bias;
	const char *raw;
	uint64_t off;
	size_t size;
	Elf *elf;

	if (!row || !row->mod)
		return false;
	elf = dwfl_module_getelf(row->mod, &bias);
	raw = elf ? elf_rawfile(elf, &size) : NULL;
	off = address - row->start + row->file_off;
	if (!raw || off > size || size - off < sizeof(*ret))
		return false;
	memcpy(ret, raw + off, sizeof(*ret));
	return true;
}

uint64_t module_offset(const struct module *row, uint64_t address)
{
	return row->mod ? address - row->bias : address - row->start + row->file_off;
}
