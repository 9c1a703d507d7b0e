/* SPDX-License-Identifier: BSD-2-Clause
 *
 * modules: see modules.h.  The list comes from /proc/self/maps, read piece by piece into a small
 * buffer; rows are added to the file and never taken away, so that older stacks keep their meaning.
 *
 * Source: proc(5), elf(5) (PT_NOTE, NT_GNU_BUILD_ID).
 */
#include "shim/engine/modules.h"
#include "shim/engine/line.h"
#include "shim/engine/peek.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <elf.h>

enum {
	FRESH_NS = 100 * 1000 * 1000, /* a list younger than this is not read again */
	ANONYMOUS = 64,		      /* rows for code without a file (JIT), at most */
};

struct range {
	uint64_t start, end;
};

/* Two lists: one is read while the other is filled. */
static struct ranges {
	uint32_t count;
	struct range r[TRACE_MODULES];
} lists[2];
static uint32_t current;

static uint32_t busy;	 /* try-lock of everything below */
static uint32_t loading; /* something was loaded since */
static uint64_t read_at;
static uint32_t anonymous;
static char buffer[4096];

/* One line of maps. */
struct mapping {
	uint64_t start, end, off;
	bool exec;
	const char *path; /* inside the buffer, NUL-terminated */
};

/* Where the file being walked was mapped with offset 0: its ELF header. */
static struct {
	char path[208];
	uint64_t start;
} first;

void modules_changed(void)
{
	__atomic_store_n(&loading, 1, __ATOMIC_RELEASE);
}

void modules_forked(void)
{
	busy = 0;
	loading = 1;
	anonymous = 0;
	lists[current].count = 0;
}

bool modules_holds(uint64_t addr)
{
	const struct ranges *l = &lists[__atomic_load_n(&current, __ATOMIC_ACQUIRE) & 1];
	uint32_t lo = 0, hi = __atomic_load_n(&l->count, __ATOMIC_RELAXED);

	if (!hi || addr < l->r[0].start || addr >= l->r[hi - 1].end)
		return false;
	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (addr < l->r[mid].start)
			hi = mid;
		else
			lo = mid;
	}
	return addr >= l->r[lo].start && addr < l->r[lo].end;
}

/* ---- build ids ---- */

static bool peek(uint64_t from, void *to, size_t n)
{
	return peek_read(from, to, n) == n;
}

/* Look through one segment of notes; a build id is the first of its kind. */
static __attribute__((noinline)) void scan_notes(uint64_t at, uint64_t len, struct trace_module *m)
{
	static uint8_t notes[512];
	uint64_t n = len < sizeof(notes) ? len : sizeof(notes), i = 0;

	if (!peek(at, notes, n))
		return;
	while (i + sizeof(Elf64_Nhdr) <= n) {
		const Elf64_Nhdr *h = (const Elf64_Nhdr *)(notes + i);
		uint64_t name = i + sizeof(*h), desc = name + ((h->n_namesz + UINT64_C(3)) & ~3u);

		if (desc + h->n_descsz > n)
			return;
		if (h->n_type == NT_GNU_BUILD_ID && h->n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4) && h->n_descsz <= sizeof(m->build_id)) {
			memcpy(m->build_id, notes + desc, h->n_descsz);
			m->build_id_len = (uint8_t)h->n_descsz;
			return;
		}
		i = desc + ((h->n_descsz + UINT64_C(3)) & ~3u);
	}
}

/* header: address of the ELF header in memory. */
static __attribute__((noinline)) void find_build_id(uint64_t header, struct trace_module *m)
{
	static Elf64_Ehdr eh;
	static Elf64_Phdr ph;
	static uint64_t base; /* static, like the rest under the try-lock, to spare the stack */
	static bool based;

	based = false;
	if (!peek(header, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(ph))
		return;
	for (unsigned i = 0; i < eh.e_phnum && i < 64; i++) {
		if (!peek(header + eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph)))
			return;
		if (ph.p_type == PT_LOAD && !based) {
			base = header - (ph.p_vaddr & ~UINT64_C(4095));
			based = true;
		}
		if (ph.p_type == PT_NOTE && based && !m->build_id_len)
			scan_notes(base + ph.p_vaddr, ph.p_filesz, m);
	}
}

/* ---- the list ---- */

/* Parse one NUL-terminated line. */
static bool parse_line(const char *at, struct mapping *m)
{
	m->start = line_number(&at, 16);
	if (*at++ != '-')
		return false;
	m->end = line_number(&at, 16);
	if (at[0] != ' ' || !at[1] || !at[2] || !at[3] || !at[4])
		return false;
	m->exec = at[3] == 'x';
	at += 6;
	m->off = line_number(&at, 16);
	for (unsigned spaces = 0; *at && spaces < 3; at++)
		spaces += *at == ' ' && at[1] != ' ';
	while (*at == ' ')
		at++;
	m->path = at;
	return m->start < m->end;
}

/* Paths longer than the row keep their end. */
static void copy_path(char *to, size_t room, const char *path)
{
	size_t n = line_length(path), skip = n < room ? 0 : n - room + 1;

	memcpy(to, path + skip, n - skip + 1);
}

static void add_row(const struct mapping *m)
{
	struct trace_header *h = recorder_header;
	struct trace_module *rows, *row;
	uint32_t n;

	if (!h || h->modules >= TRACE_MODULES)
		return;
	if (!m->path[0] && anonymous++ >= ANONYMOUS)
		return;
	n = h->modules;
	rows = (struct trace_module *)((uint8_t *)h + h->modules_off);
	for (uint32_t i = 0; i < n; i++) {
		if (rows[i].start == m->start && rows[i].end == m->end &&
		    rows[i].file_off == m->off)
			return;
	}
	row = recorder_row(TRACE_HEADER_SIZE, sizeof(*row), n);
	if (!row)
		return;
	row->start = m->start;
	row->end = m->end;
	row->file_off = m->off;
	copy_path(row->path, sizeof(row->path), m->path[0] ? m->path : "[anon]");
	if (m->path[0] && m->off == 0)
		find_build_id(m->start, row);
	else if (line_equal(first.path, row->path))
		find_build_id(first.start, row);
	if ((uintptr_t)&modules_refresh >= m->start && (uintptr_t)&modules_refresh < m->end)
		copy_path(h->library, sizeof(h->library), m->path);
	__atomic_store_n(&h->modules, n + 1, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void take_line(const char *text, void *arg)
{
	static struct mapping m; /* under the try-lock */
	struct ranges *l = arg;

	if (!parse_line(text, &m))
		return;
	if (m.off == 0 && m.path[0]) {
		copy_path(first.path, sizeof(first.path), m.path);
		first.start = m.start;
	}
	if (!m.exec)
		return;
	add_row(&m);
	if (l->count && l->r[l->count - 1].end == m.start)
		l->r[l->count - 1].end = m.end;
	else if (l->count < TRACE_MODULES)
		l->r[l->count++] = (struct range){m.start, m.end};
}

static __attribute__((noinline)) void read_maps(int fd, void (*take)(const char *, void *),
						void *arg)
{
	static size_t have, from; /* under the try-lock */
	long n;

	have = 0;
	while ((n = sys_read(fd, buffer + have, sizeof(buffer) - 1 - have)) > 0) {
		have += (size_t)n;
		from = 0;
		for (size_t i = 0; i < have; i++) {
			if (buffer[i] != '\n')
				continue;
			buffer[i] = '\0';
			take(buffer + from, arg);
			from = i + 1;
		}
		if (!from && have == sizeof(buffer) - 1) /* no path is that long */
			from = have;
		memmove(buffer, buffer + from, have - from);
		have -= from;
	}
}

static bool same(const struct ranges *a, const struct ranges *b)
{
	return a->count == b->count && !memcmp(a->r, b->r, a->count * sizeof(a->r[0]));
}

bool modules_refresh(uint64_t now)
{
	struct ranges *next;
	bool changed = false;
	int fd;

	if (!__atomic_load_n(&loading, __ATOMIC_ACQUIRE) && now - read_at < FRESH_NS)
		return false;
	if (engine.quiet || __atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&loading, 0, __ATOMIC_RELEASE);
	next = &lists[~current & 1];
	next->count = 0;
	fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		read_maps(fd, take_line, next);
		sys_close(fd);
		changed = !same(next, &lists[current]);
		__atomic_store_n(&current, ~current & 1, __ATOMIC_RELEASE);
	}
	read_at = now;
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	return changed;
}

/* ---- one path ---- */

struct search {
	uint64_t addr;
	char *ret;
	size_t size;
	bool found;
};

static void match_line(const char *text, void *arg)
{
	struct search *s = arg;
	struct mapping m;

	if (!parse_line(text, &m) || s->addr < m.start || s->addr >= m.end || m.path[0] != '/' ||
	    line_length(m.path) >= s->size)
		return;
	copy_path(s->ret, s->size, m.path);
	s->found = true;
}

bool modules_path(uint64_t addr, char *ret, size_t size)
{
	struct search s = {addr, ret, size, false};
	int fd;

	if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		return false;
	fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		read_maps(fd, match_line, &s);
		sys_close(fd);
	}
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	return s.found;
}
