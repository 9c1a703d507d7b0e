/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/inject: see launch.h: the library into a program that has just been executed.
 *
 * (1) The library is mapped as the kernel would map an interpreter: each segment from the file with
 *     its own rights, nothing writable and executable at once.
 * (2) What fails half-way is undone as far as the program could notice: its text, its registers, its
 *     signals, its descriptors.  A mapping nobody uses stays behind.
 */
#include "shim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/target/elf.h"
#include "core/target/target.h"
#include "shim/launch/forbidden.h"
#include "shim/launch/tracee.h"

enum {
	PAGE = 4096,
	SCRATCH = 16384, /* below the stack pointer, where a new image has pages already */
	SEGMENTS = 8,
};

/* What is to be mapped. */
struct image {
	uint64_t size, entry;
	unsigned segments;
	struct elf_segment segment[SEGMENTS];
};

static uint64_t page_down(uint64_t n)
{
	return n & ~(uint64_t)(PAGE - 1);
}

static uint64_t page_up(uint64_t n)
{
	return page_down(n + PAGE - 1);
}

/* ---- files ---- */

static struct span map_fd(int fd)
{
	struct span s = {NULL, 0};
	struct stat st;
	void *p;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED)
			s = (struct span){p, (size_t)st.st_size};
	}
	return s;
}

static void unmap(struct span s)
{
	if (s.n)
		munmap((void *)(uintptr_t)s.p, s.n);
}

static bool read_image(struct span file, struct image *ret)
{
	struct elf e;

	*ret = (struct image){0};
	if (!elf_open(file, &e) || !e.entry)
		return false;
	ret->entry = e.entry;
	for (uint32_t i = 0; i < e.phnum; i++) {
		struct elf_segment s = elf_segment(&e, i);

		if (s.type != ELF_PT_LOAD)
			continue;
		if (ret->segments == SEGMENTS || s.vaddr % PAGE != s.off % PAGE ||
		    s.vaddr > UINT32_MAX || s.memsz > UINT32_MAX || s.filesz > s.memsz)
			return false;
		ret->segment[ret->segments++] = s;
		ret->size = page_up(s.vaddr + s.memsz);
	}
	return ret->segments && ret->entry < ret->size;
}

/* Is what runs there now a program without a loader? */
static bool needs_us(pid_t pid)
{
	char path[64];
	struct target t = {.kind = TARGET_NOT_ELF};
	struct span file;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/exe", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	file = map_fd(fd);
	close(fd);
	if (file.n)
		target_examine(file, &t);
	unmap(file);
	return target_needs_injection(&t);
}

/* ---- in the tracee ---- */

static int remote_open(struct tracee *t, const char *path)
{
	uint64_t at = page_down(tracee_sp(t) - SCRATCH);
	long fd;

	if (tracee_write(t, at, path, strlen(path) + 1))
		return -EFAULT;
	fd = tracee_call(t, SYS_openat,
			 (uint64_t[6]){(uint64_t)AT_FDCWD, at, O_RDONLY | O_CLOEXEC});
	return (int)fd;
}

static uint64_t remote_map(struct tracee *t, uint64_t at, uint64_t size, int rights, int flags,
			   int fd, uint64_t off)
{
	return (uint64_t)tracee_call(
		t, SYS_mmap,
		(uint64_t[6]){at, size, (uint64_t)rights, (uint64_t)flags, (uint64_t)fd, off});
}

static bool is_error(uint64_t ret)
{
	return ret >= (uint64_t)-4095;
}

static int rights_of(const struct elf_segment *s)
{
	return (s->flags & ELF_PF_R ? PROT_READ : 0) | (s->flags & ELF_PF_W ? PROT_WRITE : 0) |
	       (s->flags & ELF_PF_X ? PROT_EXEC : 0);
}

/* One segment; what the file does not fill reads as zero. 0 or errno. */
static int map_segment(struct tracee *t, uint64_t base, const struct elf_segment *s, int fd)
{
	static const char zeros[PAGE];
	uint64_t start = page_down(base + s->vaddr), filled = base + s->vaddr + s->filesz;
	uint64_t end = page_up(base + s->vaddr + s->memsz), ret;

	if (s->filesz) {
		ret = remote_map(t, start, filled - start, rights_of(s), MAP_PRIVATE | MAP_FIXED,
				 fd, page_down(s->off));
		if (is_error(ret))
			return (int)-ret;
	}
	if (s->memsz == s->filesz)
		return 0;
	if (page_up(filled) > filled && s->filesz &&
	    tracee_write(t, filled, zeros, page_up(filled) - filled))
		return EFAULT;
	start = s->filesz ? page_up(filled) : start;
	if (end > start) {
		ret = remote_map(t, start, end - start, rights_of(s),
				 MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
		if (is_error(ret))
			return (int)-ret;
	}
	return 0;
}

/* Map all of it, somewhere. 0 or errno. */
static int map_image(struct tracee *t, const struct image *image, int fd, uint64_t *ret_base)
{
	uint64_t base = remote_map(t, 0, image->size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int e = 0;

	if (is_error(base))
		return (int)-base;
	for (unsigned i = 0; i < image->segments && !e; i++)
		e = map_segment(t, base, &image->segment[i], fd);
	*ret_base = base;
	return e;
}

static int inject(struct tracee *t, const char *library, const struct image *image)
{
	int fd = remote_open(t, library), e;
	uint64_t base = 0;

	if (fd < 0)
		return -fd;
	e = map_image(t, image, fd, &base);
	(void)tracee_call(t, SYS_close, (uint64_t[6]){(uint64_t)fd});
	if (!e && !t->ended)
		tracee_set_pc(t, base + image->entry);
	return t->ended ? ESRCH : e;
}

/* ---- from outside ---- */

int inject_seize(pid_t pid, char *why, size_t size)
{
	int e;

	if (forbidden_kills(SYS_ptrace)) {
		forbidden_ptrace(pid, 0, why, size);
		return EPERM;
	}
	if (!ptrace(PTRACE_SEIZE, pid, NULL, (void *)(PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)))
		return 0;
	e = errno;
	forbidden_ptrace(pid, e, why, size);
	return e;
}

static bool open_library(const char *library, struct image *ret)
{
	int fd = open(library, O_RDONLY | O_CLOEXEC);
	struct span file = {NULL, 0};
	bool good;

	if (fd < 0)
		return false;
	file = map_fd(fd);
	close(fd);
	good = file.n && read_image(file, ret);
	unmap(file);
	return good;
}

enum inject_result inject_at_exec(pid_t pid, const char *library, char *why, size_t size)
{
	struct tracee t;
	struct image image;
	bool needed;
	int e = 0;

	if (!tracee_wait_exec(pid))
		return INJECT_ENDED;
	needed = needs_us(pid);
	if (needed && !open_library(library, &image)) {
		snprintf(why, size, "%.300s is no library that can be injected", library);
		needed = false;
		e = ENOEXEC;
	}
	if (!needed) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return e ? INJECT_FAILED : INJECT_NOT_NEEDED;
	}
	e = tracee_enter(&t, pid);
	if (!e)
		e = inject(&t, library, &image);
	tracee_leave(&t);
	if (t.ended)
		return INJECT_ENDED;
	if (!e)
		return INJECT_DONE;
	forbidden_injection(e, library, why, size);
	return INJECT_FAILED;
}
