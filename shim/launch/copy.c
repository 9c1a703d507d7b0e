/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/copy: see inject_copy in launch.h: where nobody may be traced, the kernel itself maps the
 * library, as the interpreter that a copy of the program names.
 *
 * (1) One program header changes its meaning, and a path is appended: what is mapped of the program is
 *     the same, byte for byte.
 * (2) The copy has no name and goes with the process.
 *
 * Source: elf(5), memfd_create(2), execve(2).
 */
#include "shim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/target/elf.h"
#include "core/target/target.h"
#include "shim/launch/forbidden.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

enum {
	HEADER_SIZE = 56, /* Elf64_Phdr */
	PT_NULL_TYPE = 0,
	PT_NOTE_TYPE = 4,
	PT_PAX_FLAGS_TYPE = 0x65041580, /* of kernels nobody has */
	PT_GNU_STACK_TYPE = 0x6474e551,
	PT_GNU_PROPERTY_TYPE = 0x6474e553,
};

/* Without PT_GNU_STACK, kernels before 5.8 make the stack, and every page that can be read, executable;
 * later ones neither. */
static bool stacks_are_plain(void)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

static bool is_spare(const struct elf_segment *s)
{
	return s->type != PT_GNU_STACK_TYPE || (!(s->flags & ELF_PF_X) && stacks_are_plain());
}

/* Index of a header nobody needs to run the program, the most expendable first; -1 none. */
static long find_spare(const struct elf *e)
{
	static const uint32_t types[] = {PT_NULL_TYPE, PT_PAX_FLAGS_TYPE, PT_NOTE_TYPE,
					 PT_GNU_PROPERTY_TYPE, PT_GNU_STACK_TYPE};

	for (size_t t = 0; t < CORE_ARRAY_LEN(types); t++) {
		for (uint32_t i = 0; i < e->phnum; i++) {
			struct elf_segment s = elf_segment(e, i);

			if (s.type == types[t] && is_spare(&s))
				return i;
		}
	}
	return -1;
}

static bool write_at(int fd, const void *p, size_t n, off_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t now = pwrite(fd, (const char *)p + done, n - done, at + (off_t)done);

		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0)
			return false;
		done += (size_t)now;
	}
	return true;
}

/* The program, with header i naming the library as its interpreter. */
static bool write_copy(int fd, const struct elf *e, long i, const char *library)
{
	uint64_t at = CORE_ALIGN8(e->file.n), n = strlen(library) + 1;
	struct {
		uint32_t type, flags;
		uint64_t off, vaddr, paddr, filesz, memsz, align;
	} header = {ELF_PT_INTERP, ELF_PF_R, at, 0, 0, n, n, 1};

	_Static_assert(sizeof(header) == HEADER_SIZE, "as the file has it");
	return write_at(fd, e->file.p, e->file.n, 0) && write_at(fd, library, n, (off_t)at) &&
	       write_at(fd, &header, sizeof(header), (off_t)(e->phoff + (uint64_t)i * HEADER_SIZE));
}

/* ---- a file without a name that may be executed ---- */

static int open_memory(const char *name)
{
	int fd;

	if (forbidden_kills(SYS_memfd_create)) {
		errno = EPERM;
		return -1;
	}
	fd = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);

	/* Kernels before 6.3 do not know the flag, and execute every one. */
	return fd < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC) : fd;
}

static int open_temporary(void)
{
	const char *folders[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm", "."};

	for (size_t i = 0; i < CORE_ARRAY_LEN(folders); i++) {
		struct statvfs vfs;
		int fd;

		if (!folders[i] || statvfs(folders[i], &vfs) || vfs.f_flag & ST_NOEXEC)
			continue;
		fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* A file that is open for writing is not executed. */
static int reopen(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- all of it ---- */

static bool is_ours(const struct target *t)
{
	return (t->kind == TARGET_STATIC || t->kind == TARGET_STATIC_PIE) && !t->loader;
}

static int copy_mapped(const struct elf *e, const char *program, const char *library, char *why,
		       size_t size)
{
	long spare = find_spare(e);
	char name[128];
	int fd, err;

	if (spare < 0) {
		snprintf(why, size, "%.300s has no program header to spare", program);
		return -1;
	}
	snprintf(name, sizeof(name), "%.100s", base_of(program));
	fd = open_memory(name);
	err = errno;
	if (fd < 0)
		fd = open_temporary();
	if (fd < 0) {
		snprintf(why, size,
			 "a copy of the program cannot be made: memory files may not be executed "
			 "here (vm.memfd_noexec or a filter; %s), and there is no folder for "
			 "temporary files "
			 "that may",
			 strerror(err));
		return -1;
	}
	if (!write_copy(fd, e, spare, library)) {
		snprintf(why, size, "a copy of the program cannot be written (%s)",
			 strerror(errno));
		close(fd);
		return -1;
	}
	fchmod(fd, 0700);
	return reopen(fd);
}

int inject_copy(const char *program, const char *library, char *why, size_t size)
{
	struct span file = {NULL, 0};
	struct stat st;
	struct target target;
	struct elf e;
	int fd = open(program, O_RDONLY | O_CLOEXEC), ret = -1;
	void *p;

	if (fd < 0 || fstat(fd, &st) || st.st_size <= 0) {
		snprintf(why, size, "%.300s cannot be read (%s)", program, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		file = (struct span){p, (size_t)st.st_size};
	if (access(library, X_OK))
		snprintf(why, size, "%.300s may not be executed: chmod +x it", library);
	else if (!file.n || !target_examine(file, &target) || !is_ours(&target) ||
		 !elf_open(file, &e))
		snprintf(why, size, "%.300s is no static program for this machine", program);
	else
		ret = copy_mapped(&e, program, library, why, size);
	if (file.n)
		munmap(p, file.n);
	return ret;
}

void inject_copy_path(int fd, char ret[INJECT_COPY_PATH])
{
	snprintf(ret, INJECT_COPY_PATH, "/proc/self/fd/%d", fd);
}
