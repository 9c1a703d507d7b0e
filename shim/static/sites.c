/* SPDX-License-Identifier: BSD-2-Clause
 *
 * static/sites: see sites.h.
 */
#include "shim/static/sites.h"
#include "shim/engine/line.h"
#include "shim/engine/recorder.h"
#include "shim/engine/sys.h"
#include "shim/patch/patch.h"
#include "shim/static/exec.h"
#include "shim/static/static.h"
#include "shim/static/wanted.h"

#include "core/target/site.h"

enum {
	NUMBERS = 512, /* system calls have lower numbers */
	RAX = 0,
	RSP = 4,
};

_Static_assert(sizeof(struct static_room) <= STATIC_ROOM, "as the assembly has it");
_Static_assert(sizeof(struct static_frame) == 144, "as the assembly has it");
_Static_assert(offsetof(struct static_room, caller) == sizeof(struct call),
	       "the word behind the call");

struct static_back static_backs[STATIC_SITES];

/* What the stub does again in the site's place. */
static struct {
	uint32_t nr;
	uint8_t shape, to, from;
} sites[STATIC_SITES];
static unsigned count;
static uint16_t rows[NUMBERS]; /* enum call_id of the numbers that are wanted */

/* ---- finding and patching ---- */

struct search {
	const struct elf *elf;
	uint64_t bias;
	bool foreign;  /* somebody else changed one */
	unsigned left; /* proven, but not to be done by a stub */
};

static bool take_site(void *arg, const struct site *s)
{
	struct search *all = arg;
	struct patch_jump jump = {.at = s->vaddr + all->bias, .size = s->size};
	enum patch_error e;
	struct span file;

	if (count == STATIC_SITES || !static_can_do(s) || s->size > PATCH_SIZE) {
		all->left++;
		return true;
	}
	jump.target = static_stubs + (size_t)count * STATIC_STUB_SIZE;
	if (!elf_at(all->elf, s->vaddr, s->size, &file)) {
		all->left++;
		return true;
	}
	memcpy(jump.expect, file.p, s->size);
	e = patch_add(&jump);
	if (e != PATCH_OK) {
		all->foreign |= e == PATCH_FOREIGN;
		all->left++;
		return true;
	}
	static_backs[count] = (struct static_back){jump.at + s->size, s->compare};
	sites[count].nr = s->nr;
	sites[count].shape = s->shape;
	sites[count].to = s->to;
	sites[count].from = s->from;
	count++;
	return true;
}

static void find_rows(void)
{
	for (long nr = 0; nr < NUMBERS; nr++) {
		unsigned id = call_from_nr(nr);

		rows[nr] = (uint16_t)(static_wants((uint32_t)nr) ? id : CALL_COUNT);
	}
}

/* "12 of 40 system calls cannot be followed: REASON" */
static const char *note(unsigned refused, unsigned all, const char *reason)
{
	static char text[256];
	struct line l;

	line_init(&l, text, sizeof(text));
	line_add_number(&l, refused);
	line_add(&l, " of ");
	line_add_number(&l, all);
	line_add(&l, " places where it enters the kernel were left as they are: ");
	line_add(&l, reason);
	return text;
}

static void tell(bool blind, unsigned refused, unsigned all, const char *reason)
{
	recorder_note(note(refused, all, reason));
	recorder_cover(0, blind ? TRACE_BLIND : TRACE_PARTIAL, TRACE_REASON_SITES);
	/* Nothing will ever be seen: that must not look like nothing happened. */
	if (blind)
		(void)recorder_open();
}

static const char *reason_of(const struct search *all, const struct site_totals *totals)
{
	if (totals->cancelled)
		return "one of them is where its C library makes all calls on sockets, to cancel "
		       "threads there";
	return all->foreign ? patch_error_text(PATCH_FOREIGN)
			    : "their surroundings could not be proven harmless";
}

static void patch(const struct elf *e, const char *library, uint64_t entry)
{
	struct search all = {.elf = e, .bias = entry - e->entry};
	struct site_totals totals = sites_find(e, static_wants, take_site, &all);
	unsigned wanted = totals.sites + totals.refused, refused = totals.refused + all.left;
	enum patch_error err;

	if (!wanted)
		return;
	err = count ? patch_commit(library, entry) : PATCH_OK;
	if (err != PATCH_OK)
		tell(true, wanted, wanted, patch_error_text(err));
	else if (refused)
		tell(refused == wanted || totals.cancelled, refused, wanted,
		     reason_of(&all, &totals));
}

static struct span map_program(void)
{
	int fd = sys_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
	struct span file = {NULL, 0};
	long size;
	void *p;

	if (fd < 0)
		return file;
	size = sys_3(SYS_lseek, fd, 0, SEEK_END);
	p = size > 0 ? sys_mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd) : NULL;
	if (p && !sys_mmap_failed(p))
		file = (struct span){p, (size_t)size};
	sys_close(fd);
	return file;
}

void static_sites_start(const char *library, uint64_t entry)
{
	struct span file = map_program();
	struct elf e;

	if (!file.n) {
		recorder_note("its file may not be read");
		recorder_cover(0, TRACE_BLIND, TRACE_REASON_SITES);
		(void)recorder_open();
		return;
	}
	find_rows();
	if (elf_open(file, &e))
		patch(&e, library, entry);
	(void)sys_munmap((void *)(uintptr_t)file.p, file.n);
}

/* ---- one call ---- */

/* What the site does before its call. */
static void do_before(struct static_frame *f)
{
	switch ((enum site_shape)sites[f->site].shape) {
	case SITE_NUMBER:
	case SITE_ZERO:
		f->reg[RAX] = sites[f->site].nr;
		break;
	case SITE_MOVE:
		f->reg[sites[f->site].to] = f->reg[sites[f->site].from];
		break;
	case SITE_COMPARE:
	case SITE_MOVE_AFTER:
		break;
	}
}

/* A call of a number that may return twice, or elsewhere, or in which nothing is to be seen. */
static const void *pass(const struct static_frame *f)
{
	return static_stubs + f->site * STATIC_STUB_SIZE +
	       (sites[f->site].shape == SITE_COMPARE ? STATIC_STUB_COMPARE : STATIC_STUB_PLAIN);
}

/* What the kernel is given may be ours; what the program finds when it fails is what it gave. */
static __attribute__((noinline)) void execute(unsigned id, struct static_frame *f, struct call *c)
{
	uint64_t arg[6] = {f->reg[7], f->reg[6], f->reg[2], f->reg[10], f->reg[8], f->reg[9]};

	memcpy(c->arg, arg, sizeof(arg));
	c->id = CALL_execve;
	static_exec(call_table[id].nr, arg);
	f->reg[7] = arg[0];
	f->reg[6] = arg[1];
	f->reg[2] = arg[2];
}

static unsigned row_of(uint64_t nr)
{
	return nr < NUMBERS ? rows[nr] : CALL_COUNT;
}

/* Where the kernel finds the arguments. */
static const uint8_t registers[6] = {7, 6, 2, 10, 8, 9};

const void *static_enter(struct static_frame *f, struct static_room *room)
{
	struct call *c = &room->call;
	const struct call_row *row;
	unsigned id;

	do_before(f);
	f->reg[RSP] = static_backs[f->site].at;
	id = row_of(f->reg[RAX]);
	c->id = CALL_COUNT;
	if (id == CALL_COUNT)
		return sites[f->site].nr == UINT32_MAX ? pass(f) : NULL;
	row = &call_table[id];
	if (row->op == OP_EXIT)
		engine_end((int)f->reg[7]);
	else if (row->op == OP_EXEC)
		execute(id, f, c);
	if (!engine_wants((enum call_op)row->op, (enum call_shape)row->shape, f->reg[7], f->reg[6],
			  f->reg[2]))
		return NULL;
	*c = (struct call){
		.id = (uint16_t)id,
		.arg = {f->reg[7], f->reg[6], f->reg[2], f->reg[10], f->reg[8], f->reg[9]}};
	/* At the site of a small wrapper lies the address it returns to. */
	room->caller = *(const uint64_t *)((const uint8_t *)(f + 1) + STATIC_RED_ZONE);
	if (engine_enter(c)) {
		if (c->changed)
			f->reg[registers[c->changed - 1]] = c->arg[c->changed - 1];
		return NULL;
	}
	f->reg[RAX] = (uint64_t)c->ret;
	return STATIC_ANSWERED;
}

/* Apart: what it keeps in registers must not lie below the engine's own frames. */
static __attribute__((noinline)) void leave(struct static_frame *f, struct call *c)
{
	if (c->changed)
		f->reg[registers[c->changed - 1]] = (uint64_t)c->ret;
	c->ret = (int64_t)f->reg[RAX];
	engine_exit(c);
}

static __attribute__((noinline, cold)) void settle(struct static_room *room)
{
	engine_settle(&room->call);
}

static void finish(struct static_frame *f, struct static_room *room)
{
	struct call *c = &room->call;

	if (c->id == CALL_execve) {
		f->reg[7] = c->arg[0];
		f->reg[6] = c->arg[1];
		f->reg[2] = c->arg[2];
	} else if (c->id != CALL_COUNT) {
		leave(f, c);
	}
	if (engine_faults && c->id != CALL_COUNT && c->id != CALL_execve)
		settle(room);
}

const int64_t *static_exit(struct static_frame *f, struct static_room *room)
{
	unsigned shape;

	finish(f, room);
	shape = sites[f->site].shape;
	if (shape == SITE_MOVE_AFTER)
		f->reg[sites[f->site].to] = f->reg[sites[f->site].from];
	return shape == SITE_ZERO || shape == SITE_COMPARE ? &static_backs[f->site].compare : NULL;
}
