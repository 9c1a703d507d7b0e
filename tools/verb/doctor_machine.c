/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/doctor/machine: what this kernel, its settings and our own installation allow; and the verdict
 * on one command.
 */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/core.h"
#include "tools/verb/doctor.h"
#include "tools/verb/launch.h"
#include "tools/verb/verdict.h"

#define SAY(name, state, ...) doctor_say(d, "machine", name, state, __VA_ARGS__)

enum {
	KERNEL_MAJOR = 5, /* the oldest kernel the library is made for: 5.4 */
	KERNEL_MINOR = 4,
	POPULATE_WRITE = 23, /* MADV_POPULATE_WRITE of Linux 5.14 */
	WIPE_ON_FORK = 18,   /* MADV_WIPEONFORK */
};

/* The first line of a small file, "" when there is none. */
static bool read_line(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return n > 0;
}

static void check_library(struct doctor *d)
{
	struct launch_library l;
	char why[2 * PATH_MAX];

	if (launch_library_find(&l, why, sizeof(why)))
		SAY("library", DOCTOR_YES, "%s", l.real);
	else
		SAY("library", DOCTOR_NO, "%s", why);
}

static void check_kernel(struct doctor *d)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2) {
		SAY("kernel", DOCTOR_NOTE, "its version cannot be read");
		return;
	}
	if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
		SAY("kernel", DOCTOR_NO, "Linux %s is older than %d.%d: use a newer kernel",
		    u.release, KERNEL_MAJOR, KERNEL_MINOR);
	else
		SAY("kernel", DOCTOR_YES, "Linux %s on %s", u.release, u.machine);
}

static void check_proc(struct doctor *d)
{
	char line[256];

	if (read_line("/proc/self/maps", line, sizeof(line)))
		SAY("proc", DOCTOR_YES, "/proc is readable: modules and start times are known");
	else
		SAY("proc", DOCTOR_NOTE,
		    "/proc is not mounted here: blame has no module list, mount it with "
		    "mount -t proc proc /proc");
}

/* What the traces land on, when it has a name people know. */
static const char *file_system(void)
{
	static const struct {
		long type;
		const char *name;
	} known[] = {{EXT4_SUPER_MAGIC, "ext4"},	 {XFS_SUPER_MAGIC, "xfs"},
		     {BTRFS_SUPER_MAGIC, "btrfs"},	 {TMPFS_MAGIC, "tmpfs"},
		     {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
		     {F2FS_SUPER_MAGIC, "f2fs"}};
	struct statfs fs;

	if (statfs(".", &fs))
		return "disk";
	for (size_t i = 0; i < CORE_ARRAY_LEN(known); i++) {
		if ((long)fs.f_type == known[i].type)
			return known[i].name;
	}
	return "file system";
}

static void check_memory(struct doctor *d)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char from = 1, to = 0;
	struct iovec here = {&to, 1}, there = {&from, 1};
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	if (!madvise(p, page, POPULATE_WRITE))
		SAY("populate", DOCTOR_YES,
		    "MADV_POPULATE_WRITE: a trace on a full %s costs events, not the server; only "
		    "somebody who truncates the trace of a living process kills it (SIGBUS)",
		    file_system());
	else
		SAY("populate", DOCTOR_NOTE,
		    "no MADV_POPULATE_WRITE (%s; Linux 5.14 has it): space for the trace is "
		    "reserved by fallocate instead",
		    strerror(errno));
	if (madvise(p, page, WIPE_ON_FORK))
		SAY("fork", DOCTOR_NOTE,
		    "no MADV_WIPEONFORK (%s): raw forks are noticed by pid only", strerror(errno));
	munmap(p, page);
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 && to == 1)
		SAY("stacks", DOCTOR_YES, "process_vm_readv on ourselves works: blame has stacks");
	else
		SAY("stacks", DOCTOR_NOTE,
		    "process_vm_readv is refused (%s): findings will carry no blame; allow it in "
		    "the container's seccomp profile",
		    strerror(errno));
}

static void check_limits(struct doctor *d)
{
	char line[64];
	const char *killed;
	unsigned filters = launch_filters(&killed);

	if (killed)
		SAY("seccomp", DOCTOR_NO,
		    "a filter is in force here that kills for %s, which the library calls: "
		    "commands run unwatched; allow it, or let the filter answer with an error",
		    killed);
	else if (filters)
		SAY("seccomp", DOCTOR_NOTE,
		    "a filter is in force here (container?) and lets the library's calls live; "
		    "what it refuses is missing from the trace, which says so");
	if (launch_status("NoNewPrivs") > 0)
		SAY("privileges", DOCTOR_NOTE,
		    "no_new_privs is set: setuid bits have no effect, so they do not prevent a "
		    "preload");
	if (read_line("/proc/sys/kernel/yama/ptrace_scope", line, sizeof(line)))
		SAY("ptrace", DOCTOR_NOTE,
		    line[0] > '1'
			    ? "ptrace_scope is %s: a static program is started as a copy "
			      "that brings the library along; a preload needs no ptrace"
			    : "ptrace_scope is %s, which lets a launcher put the library into "
			      "static programs",
		    line);
	if (!access("/etc/ld.so.preload", R_OK))
		SAY("ld.so.preload", DOCTOR_NOTE,
		    "/etc/ld.so.preload is in use: its libraries come after ours");
}

static void check_bpf(struct doctor *d)
{
	char line[16];
	bool btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	bool closed = read_line("/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)) &&
		      line[0] != '0';

	SAY("bpf", DOCTOR_NOTE, "%s, %s; watching does not need it",
	    btf ? "kernel types are available" : "no /sys/kernel/btf/vmlinux",
	    geteuid() == 0 ? "we are root" : (closed ? "only root may use it" : "open to users"));
}

static void check_place(struct doctor *d)
{
	struct statfs fs;
	unsigned long long free_mib;

	if (statfs(".", &fs))
		return;
	free_mib = (unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize >> 20;
	if (access(".", W_OK))
		SAY("trace", DOCTOR_NOTE, "this folder is not writable: use run -o DIR");
	else
		SAY("trace", free_mib < 64 ? DOCTOR_NOTE : DOCTOR_YES,
		    "traces land in this folder unless -o is given: %llu MiB free%s", free_mib,
		    fs.f_type == TMPFS_MAGIC ? ", in memory (tmpfs)" : "");
	if (!statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC)
		SAY("tmpfs", DOCTOR_YES, "/dev/shm has %llu MiB free",
		    (unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize >> 20);
}

static void check_tools(struct doctor *d)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0)
		SAY("inotify", DOCTOR_NOTE,
		    "refused (%s): run cannot prove that the library was loaded", strerror(errno));
	else
		close(fd);
	SAY("symbols", DOCTOR_YES, "elfutils %s%s", dwfl_version(NULL),
	    getenv("DEBUGINFOD_URLS") ? ", debuginfod is set" : "");
}

void doctor_machine(struct doctor *d)
{
	check_library(d);
	check_kernel(d);
	check_proc(d);
	check_memory(d);
	check_limits(d);
	check_bpf(d);
	check_place(d);
	check_tools(d);
}

/* ---- one command ---- */

#undef SAY
#define SAY(name, state, ...) doctor_say(d, "command", name, state, __VA_ARGS__)

static void describe(struct doctor *d, const struct verdict *v)
{
	const struct target *t = &v->target;

	if (v->script)
		SAY("script", DOCTOR_NOTE, "%s, run by %s", v->path, v->program);
	SAY("program", DOCTOR_NOTE, "%s: %s, %d-bit %s%s%s%s", v->program,
	    target_kind_name(t->kind), t->elf_class == 1 ? 32 : 64, target_machine_name(t->machine),
	    t->pie ? ", position independent" : "", t->stripped ? ", stripped" : "",
	    t->musl ? ", musl" : "");
	if (t->interp[0])
		SAY("loader", DOCTOR_NOTE, "%s", t->interp);
	if (t->go)
		SAY("go", DOCTOR_NOTE, "built by %s",
		    t->go_version[0] ? t->go_version : "an unknown version of Go");
	if (t->sanitizer[0])
		SAY("sanitizer", DOCTOR_NOTE, "%s must come first: run puts it there",
		    t->sanitizer);
	if (t->stripped && t->kind == TARGET_DYNAMIC)
		SAY("blame", DOCTOR_NOTE,
		    "its symbols were stripped: blame will name module and offset only");
}

void doctor_command(struct doctor *d, char *const *argv)
{
	struct verdict v;
	char *words;

	verdict_of_command(argv, &v);
	if (v.target.kind != TARGET_NOT_ELF)
		describe(d, &v);
	if (v.sight == SIGHT_FULL || v.sight == SIGHT_PARTLY) {
		words = doctor_quote(argv);
		SAY("watch", DOCTOR_YES, "it can be watched, through %s",
		    v.door ? v.door : "the libc door");
		if (v.sight == SIGHT_PARTLY)
			SAY("partly", DOCTOR_NOTE, "%s; %s", v.sentence, v.remedy);
		SAY("next", DOCTOR_NOTE, "%s run -- %s", program_invocation_name,
		    words ? words : "CMD");
		free(words);
		return;
	}
	SAY("watch", DOCTOR_NO, "%s", v.sentence);
	if (v.remedy[0])
		SAY("remedy", DOCTOR_NOTE, "%s", v.remedy);
}
