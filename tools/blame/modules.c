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

/* Address minus link-time address, from the segment that holds the mapping's file offset.  A program
 * linked to fixed addresses has no other place: a further copy of its code (V8 makes one of its
 * builtins) is not described by its tables. */
static bool find_bias(Elf *elf, const struct trace_module *row, uint64_t *ret)
{
	GElf_Ehdr eh;
	size_t i, n;

	if (!gelf_getehdr(elf, &eh) || elf_getphdrnum(elf, &n) < 0)
		return false;
	for (i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD || !(ph.p_flags & PF_X))
			continue;
		/* The mapping starts at the page that holds p_offset, or later. */
		if (row->file_off + 4096 > ph.p_offset &&
		    row->file_off < ph.p_offset + ph.p_filesz) {
			*ret = row->start - (ph.p_vaddr - ph.p_offset + row->file_off);
			return eh.e_type == ET_DYN || *ret == 0;
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

/* Another mapping of the same file at the same place belongs to the same module. */
static Dwfl_Module *find_twin(const struct modules *m, const struct module *of)
{
	uint32_t i;

	for (i = 0; i < m->count; i++)
		if (m->row[i].mod && m->row[i].bias == of->bias &&
		    strcmp(m->row[i].path, of->path) == 0)
			return m->row[i].mod;
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
	why = "the mapping is not where the file says its code is";
	if (elf && elf_kind(elf) == ELF_K_ELF && find_bias(elf, row, &ret->bias))
		why = check_build_id(elf, row);
	elf_end(elf);
	if (!why) {
		ret->mod = find_twin(m, ret);
		if (ret->mod) {
			close(fd);
			return NULL;
		}
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

/* The table points into the file, which stays mapped as long as dwfl. */
static void find_go_table(struct module *ret)
{
	GElf_Addr bias;
	Elf *elf = ret->mod ? dwfl_module_getelf(ret->mod, &bias) : NULL;
	struct elf e;
	char version[64];
	size_t size;
	const char *raw = elf ? elf_rawfile(elf, &size) : NULL;

	ret->go = raw && elf_open((struct span){(const uint8_t *)raw, size}, &e) &&
		  go_build_info(&e, version, sizeof(version));
	ret->functions = ret->go ? malloc(sizeof(*ret->functions)) : NULL;
	if (ret->functions && !go_table_open(&e, ret->functions)) {
		free(ret->functions);
		ret->functions = NULL;
	}
}

static void add_module(struct modules *m, const struct trace_module *row)
{
	struct module *ret = &m->row[m->count];
	const char *slash;

	if (row->start >= row->end || !memchr(row->path, 0, sizeof(row->path)))
		return;
	*ret = (struct module){
		.start = row->start, .end = row->end, .file_off = row->file_off, .path = row->path};
	slash = strrchr(row->path, '/');
	ret->name = slash && slash[1] ? slash + 1 : row->path;
	if (m->dwfl)
		ret->why = report_module(m, ret, row);
	m->count++;
}

static int keep_alive(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr start,
		      void *arg)
{
	struct modules *m = arg;
	uint32_t i;

	for (i = 0; i < m->count; i++)
		if (m->row[i].mod == mod)
			m->row[i].alive = true;
	return DWARF_CB_OK;
}

/* elfutils threw away a module whose addresses another one covers: a trace may claim anything. */
static void drop_dead(struct modules *m)
{
	uint32_t i;

	for (i = 0; i < m->count; i++)
		m->row[i].alive = false;
	(void)dwfl_getmodules(m->dwfl, keep_alive, m, 0);
	for (i = 0; i < m->count; i++) {
		if (!m->row[i].mod || m->row[i].alive)
			continue;
		m->row[i].mod = NULL;
		m->row[i].bias = 0;
		m->row[i].why = "the mapping overlaps another file's";
	}
}

void modules_init(struct modules *m, const struct image *img)
{
	const struct trace_module *row;
	uint32_t i;

	memset(m, 0, sizeof(*m));
	m->row = calloc(TRACE_MODULES, sizeof(*m->row));
	m->memo = calloc(SYMBOL_MEMOS, sizeof(*m->memo));
	if (!m->row)
		return;
	elf_version(EV_CURRENT);
	m->dwfl = dwfl_begin(&callbacks);
	for (i = 0; i < TRACE_MODULES && (row = trace_module_at(img->file, img->len, i)); i++)
		add_module(m, row);
	if (!m->dwfl)
		return;
	dwfl_report_end(m->dwfl, NULL, NULL);
	drop_dead(m);
	for (i = 0; i < m->count; i++)
		find_go_table(&m->row[i]);
}

void modules_done(struct modules *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		free(m->row[i].functions);
	if (m->dwfl)
		dwfl_end(m->dwfl);
	free(m->row);
	free(m->memo);
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

unsigned modules_go_frames(const struct module *row, uint64_t address,
			   struct go_frame ret[GO_INLINED])
{
	if (!row || !row->functions)
		return 0;
	return go_frames_at(row->functions, address - row->bias, ret);
}

uint64_t module_offset(const struct module *row, uint64_t address)
{
	return row->mod ? address - row->bias : address - row->start + row->file_off;
}
