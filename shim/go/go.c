/* SPDX-License-Identifier: BSD-2-Clause
 *
 * go: see go.h.
 */
#include "shim/go/go.h"
#include "shim/engine/auxv.h"
#include "shim/engine/clock.h"
#include "shim/engine/recorder.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/go/internal.h"
#include "shim/patch/patch.h"

#include <elf.h>
#include <sys/stat.h>

enum {
	SYSCALL6_BYTES = 20, /* of Syscall6, up to behind its comparison */
	SYSCALL6_CALL = 12,
	STACK_BYTES = 13,
	STACK_CALL = 5,
	EXIT_LOAD = 4,	/* of runtime.exit, what comes before the number */
	EXIT_BYTES = 5, /* ... and what loads it */
	COMPARE = 6,	/* bytes of the comparison behind the system call */
	SYSCALL = 2,
};

/* Our own program file, mapped. */
struct program {
	struct elf elf;
	uint64_t bias; /* from link-time addresses to ours */
};

/* The whole file; what is not looked at is not read. */
static struct span map_program(void)
{
	static const char path[] = "/proc/self/exe";
	struct span none = {NULL, 0};
	struct stat st = {0};
	void *p = NULL;
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return none;
	if (sys_4(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0) >= 0 && st.st_size > 0)
		p = sys_mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd);
	sys_close(fd);
	return !p || sys_mmap_failed(p) ? none : (struct span){p, (size_t)st.st_size};
}

/* ---- one site ---- */

static const void *pre_of(enum go_site_kind kind, unsigned i)
{
	static const char *const of_stack[GO_SITES] = {
		go_pre_stack_0,
		go_pre_stack_1,
		go_pre_stack_2,
		go_pre_stack_3,
	};

	return kind == GO_SITE_SYSCALL6 ? go_pre_registers : of_stack[i];
}

/* What the program's file has there. */
static bool read_file(const struct program *p, struct patch_jump *jump)
{
	struct span bytes;

	if (!elf_at(&p->elf, jump->at - p->bias, jump->size, &bytes))
		return false;
	memcpy(jump->expect, bytes.p, jump->size);
	return true;
}

static enum patch_error add_site(const struct program *p, const struct go_site *site, unsigned i)
{
	static const char *const post_of[GO_SITES] = {go_post_0, go_post_1, go_post_2, go_post_3};
	bool by_register = site->kind == GO_SITE_SYSCALL6;
	uint64_t at = site->vaddr + p->bias, call = at + (by_register ? SYSCALL6_CALL : STACK_CALL);
	struct patch_jump before = {.at = at,
				    .size = by_register ? 6 : STACK_CALL,
				    .target = pre_of((enum go_site_kind)site->kind, i)};
	struct patch_jump after = {.at = call + SYSCALL, .size = COMPARE, .target = post_of[i]};
	enum patch_error e;

	if (!read_file(p, &before) || !read_file(p, &after))
		return PATCH_FOREIGN;
	go_back[i].entry = before.at + before.size;
	go_back[i].exit = after.at + after.size;
	go_calls_site(i, call, (enum go_site_kind)site->kind);
	e = patch_add(&before);
	return e == PATCH_OK ? patch_add(&after) : e;
}

/* runtime.exit of every version: mov edi,[rsp+8]; mov eax,exit_group; syscall.  Where it is something
 * else the end of the program is not seen, as of one that is killed. */
static void add_exit(const struct program *p, const struct go_table *t)
{
	static const uint8_t bytes[] = {0x8b, 0x7c, 0x24, 0x08, 0xb8, GO_EXIT_GROUP,
					0,    0,    0,	  0x0f, 0x05};
	static const char *const name[] = {"runtime.exit"};
	struct patch_jump jump = {.size = EXIT_BYTES, .target = go_pre_exit};
	struct span file;
	uint64_t at;

	go_functions_find(t, name, 1, &at);
	if (!at || !elf_at(&p->elf, at, sizeof(bytes), &file) ||
	    memcmp(file.p, bytes, sizeof(bytes)) != 0)
		return;
	jump.at = at + EXIT_LOAD + p->bias;
	memcpy(jump.expect, bytes + EXIT_LOAD, EXIT_BYTES);
	go_exit_back = jump.at + EXIT_BYTES;
	(void)patch_add(&jump);
}

/* ---- the program ---- */

/* What keeps its calls from being seen; NULL: nothing. */
static const char *add_sites(const struct program *p, unsigned minor, uint64_t *ret_near)
{
	struct go_site site[GO_SITES];
	unsigned count = 0;

	switch (go_sites(&p->elf, minor, site, &count)) {
	case GO_SITES_NONE:
		return "this Go program enters the kernel in a way that is not known";
	case GO_SITES_MANY:
		return "more places of this Go program look like its system call than there are";
	case GO_SITES_FOUND:
		break;
	}
	for (unsigned i = 0; i < count; i++) {
		enum patch_error e = add_site(p, &site[i], i);

		if (e != PATCH_OK)
			return patch_error_text(e);
	}
	*ret_near = site[0].vaddr + p->bias;
	return NULL;
}

/* From here on the door is open, or the program is as it was. */
static const char *patch(const struct program *p, unsigned minor, const char *library)
{
	enum patch_error e;
	struct go_table table;
	unsigned refused = 1;
	uint64_t near = 0;
	const char *why;

	if (!go_calls_start(go_layout(minor)))
		return "there is no memory for the Go door";
	why = add_sites(p, minor, &near);
	if (why) {
		patch_drop();
		return why;
	}
	if (go_table_open(&p->elf, &table)) {
		refused = go_witnesses_add(&table, p->bias);
		add_exit(p, &table);
	}
	e = patch_commit(library, near);
	if (e != PATCH_OK)
		return patch_error_text(e);
	if (refused)
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_WITNESS);
	return NULL;
}

/* Threads of a Go program without C have no control block of a C library. */
static bool needs_libraries(const struct elf *e)
{
	struct elf_segment s = {0};

	for (uint32_t i = 0; i < e->phnum; i++) {
		s = elf_segment(e, i);
		if (s.type == ELF_PT_DYNAMIC)
			break;
	}
	for (uint64_t at = 0; s.type == ELF_PT_DYNAMIC && at + 16 <= s.filesz; at += 16) {
		if (elf_u64(e->file, s.off + at) == DT_NEEDED)
			return true;
	}
	return false;
}

bool go_start(const char *library, const char **ret_why)
{
	struct program p = {0};
	struct span file = map_program();
	char version[32];
	uint64_t entry;
	bool is_go;

	*ret_why = NULL;
	if (!file.n) {
		recorder_note("its file may not be read: if it is a Go program, its own calls are "
			      "not seen");
		return false;
	}
	is_go = elf_open(file, &p.elf) && go_build_info(&p.elf, version, sizeof(version));
	if (is_go) {
		engine_shares = 1;
		entry = auxv_value(AT_ENTRY);
		p.bias = entry - p.elf.entry;
		if (!needs_libraries(&p.elf))
			clock_ask_always();
		*ret_why = entry ? patch(&p, go_minor(version), library)
				 : "where it was mapped cannot be told: /proc/self/auxv";
	}
	(void)sys_munmap((void *)(uintptr_t)file.p, file.n);
	if (!is_go)
		return false;
	if (*ret_why) {
		recorder_note(*ret_why);
		recorder_cover(0, TRACE_BLIND, TRACE_REASON_GO);
		(void)recorder_open(); /* no call will be seen that would make the file */
		return false;
	}
	engine.door |= TRACE_DOOR_GO;
	return true;
}
