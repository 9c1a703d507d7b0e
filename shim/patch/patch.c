/* SPDX-License-Identifier: BSD-2-Clause
 *
 * patch: see patch.h.
 *
 * Source: mmap(2) (MAP_FIXED_NOREPLACE, Linux 4.17; older kernels take the address for a hint),
 * proc(5) on /proc/PID/mem, Intel SDM volume 2 (JMP, NOP).
 */
#include "shim/patch/patch.h"
#include "shim/engine/filter.h"
#include "shim/engine/sys.h"

#include <elf.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum {
	PAGE = 4096,
	JUMP = 8, /* bytes of one near jump, and of one address */
	LOWEST = 64 * 1024,
	STEP = 64 * 1024,
	REACH = 1 << 30,   /* well below what a jump can reach */
	ABOVE = 512 << 20, /* room for the heap behind a program */
	JUMP_REL32 = 5,	   /* bytes of e9 rel32 */
	OPCODE_JUMP = 0xe9,
	OPCODE_NOP = 0x90,
};

extern const uint8_t patch_near[PAGE] __attribute__((visibility("hidden")));
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static struct patch_jump jumps[PATCH_JUMPS];
static unsigned count;

const char *patch_error_text(enum patch_error e)
{
	switch (e) {
	case PATCH_OK:
		return "patched";
	case PATCH_NO_ROOM:
		return "there is no free page within reach of its code";
	case PATCH_FOREIGN:
		return "its code was changed by somebody else: a debugger, another tool";
	case PATCH_FORBIDDEN:
		return "the kernel refuses to change its code (SELinux, MemoryDenyWriteExecute)";
	case PATCH_NO_FILE:
		return "the file of libshakedown.so cannot be mapped once more";
	case PATCH_TOO_MANY:
		return "it has more places to change than fit";
	}
	return "for an unknown reason";
}

enum patch_error patch_add(const struct patch_jump *jump)
{
	if (count == PATCH_JUMPS || jump->size < JUMP_REL32 || jump->size > PATCH_SIZE)
		return PATCH_TOO_MANY;
	if (memcmp((const void *)jump->at, jump->expect, jump->size))
		return PATCH_FOREIGN;
	jumps[count++] = *jump;
	return PATCH_OK;
}

void patch_drop(void)
{
	count = 0;
}

/* ---- the two pages ---- */

/* Where in our file an address of ours lies. */
static bool file_offset(const void *p, uint64_t *ret_off)
{
	uintptr_t base = (uintptr_t)&__ehdr_start, at = (uintptr_t)p - base;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);

	for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && at - ph[i].p_vaddr < ph[i].p_filesz) {
			*ret_off = at - ph[i].p_vaddr + ph[i].p_offset;
			return true;
		}
	}
	return false;
}

static uint8_t *reserve_at(uint64_t at)
{
	void *p = sys_mmap((void *)at, 2 * PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);

	if (sys_mmap_failed(p))
		return NULL;
	if ((uint64_t)(uintptr_t)p == at)
		return p;
	(void)sys_munmap(p, 2 * PAGE);
	return NULL;
}

/* Below the program first: what is above it may be wanted by its heap. */
static uint8_t *reserve(uint64_t near)
{
	uint8_t *p = NULL;

	near &= ~(uint64_t)(STEP - 1);
	for (uint64_t d = STEP; !p && d < REACH && near >= d + LOWEST; d += STEP)
		p = reserve_at(near - d);
	for (uint64_t d = ABOVE; !p && d < REACH; d += STEP)
		p = reserve_at(near + d);
	return p;
}

/* Is the page at off of this file the one we know?  The name may be another file's by now, and of a
 * shorter one nothing could be looked at once it is mapped. */
static bool is_ours(int fd, uint64_t off)
{
	uint8_t part[256];

	for (size_t at = 0; at < PAGE; at += sizeof(part)) {
		if (sys_pread(fd, part, sizeof(part), (long)(off + at)) != (long)sizeof(part) ||
		    memcmp(part, patch_near + at, sizeof(part)))
			return false;
	}
	return true;
}

/* The first page: jumps, of our file. */
static bool map_jumps(uint8_t *at, const char *library)
{
	uint64_t off;
	void *p = NULL;
	int fd;

	if (!library || !file_offset(patch_near, &off))
		return false;
	fd = sys_open(library, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (is_ours(fd, off))
		p = (void *)sys_call(SYS_mmap, (long)at, PAGE, PROT_READ | PROT_EXEC,
				     MAP_PRIVATE | MAP_FIXED, fd, (long)off);
	sys_close(fd);
	return p && !sys_mmap_failed(p);
}

static bool map_addresses(uint8_t *at)
{
	uint64_t *word = (uint64_t *)at;

	if (sys_3(SYS_mprotect, (long)at, PAGE, PROT_READ | PROT_WRITE) < 0)
		return false;
	for (unsigned i = 0; i < count; i++)
		word[i] = (uintptr_t)jumps[i].target;
	return sys_3(SYS_mprotect, (long)at, PAGE, PROT_READ) >= 0;
}

/* ---- writing ---- */

/* Through the kernel: the text stays as it is, readable and executable. */
static bool write_through(uint64_t at, const uint8_t *bytes, uint32_t n)
{
	int fd = sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
	long done;

	if (fd < 0)
		return false;
	done = sys_4(SYS_pwrite64, fd, (long)bytes, n, (long)at);
	sys_close(fd);
	return done == (long)n;
}

/* By way of a page that is not executable meanwhile. */
static bool write_unlocked(uint64_t at, const uint8_t *bytes, uint32_t n)
{
	uint64_t page = at & ~(uint64_t)(PAGE - 1), size = at + n - page;

	if (sys_3(SYS_mprotect, (long)page, (long)size, PROT_READ | PROT_WRITE) < 0)
		return false;
	for (uint32_t i = 0; i < n; i++)
		((volatile uint8_t *)at)[i] = bytes[i];
	return sys_3(SYS_mprotect, (long)page, (long)size, PROT_READ | PROT_EXEC) >= 0;
}

/* How text is written here; found out on the page of jumps, with the bytes it has.  A kernel that
 * lets a page be made writable may refuse to make it executable again, and that must not happen to
 * the program's own. */
static bool (*find_writer(const uint8_t *near))(uint64_t, const uint8_t *, uint32_t)
{
	uint8_t same[JUMP];

	memcpy(same, near, JUMP);
	if (write_through((uintptr_t)near, same, JUMP))
		return write_through;
	if (!filter_in_force() && write_unlocked((uintptr_t)near, same, JUMP))
		return write_unlocked;
	return NULL;
}

static bool encode(const struct patch_jump *j, const uint8_t *near, uint8_t bytes[PATCH_SIZE])
{
	int64_t far = (int64_t)((uintptr_t)near - (j->at + JUMP_REL32));
	int32_t rel = (int32_t)far;

	if (rel != far)
		return false;
	memset(bytes, OPCODE_NOP, PATCH_SIZE);
	bytes[0] = OPCODE_JUMP;
	memcpy(bytes + 1, &rel, sizeof(rel));
	return true;
}

static enum patch_error check_all(const uint8_t *near)
{
	uint8_t bytes[PATCH_SIZE];

	for (unsigned i = 0; i < count; i++) {
		if (!encode(&jumps[i], near + (size_t)i * JUMP, bytes))
			return PATCH_NO_ROOM;
	}
	return PATCH_OK;
}

/* What was written is taken back when one fails. */
static enum patch_error write_all(const uint8_t *near)
{
	bool (*write)(uint64_t, const uint8_t *, uint32_t) = find_writer(near);
	uint8_t bytes[PATCH_SIZE];

	if (!write)
		return PATCH_FORBIDDEN;
	for (unsigned i = 0; i < count; i++) {
		(void)encode(&jumps[i], near + (size_t)i * JUMP, bytes);
		if (write(jumps[i].at, bytes, jumps[i].size))
			continue;
		while (i--)
			(void)write(jumps[i].at, jumps[i].expect, jumps[i].size);
		return PATCH_FORBIDDEN;
	}
	return PATCH_OK;
}

enum patch_error patch_commit(const char *library, uint64_t near)
{
	uint8_t *pages = reserve(near);
	enum patch_error e = PATCH_NO_ROOM;

	if (pages) {
		e = PATCH_NO_FILE;
		if (map_jumps(pages, library) && map_addresses(pages + PAGE))
			e = check_all(pages);
		if (e == PATCH_OK)
			e = write_all(pages);
		if (e != PATCH_OK)
			(void)sys_munmap(pages, 2 * PAGE);
	}
	patch_drop();
	return e;
}
