/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call: the C half of the two jumps around Go's system call.
 *
 * (1) Between entry and exit a call lives in a slot, not on a stack: there are more slots than threads
 *     that enter the kernel at once.  None free: the call passes unseen and is counted.
 * (2) A call that may not come back (exec, exit) takes no slot.  In a child of vfork, which shares
 *     the slots with us, these are the calls it ends with.
 * (3) runtime.exit, where os.Exit, the end of main and a panic lead, has a system call of its own: of it
 *     nothing is asked but to come by.
 */
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/go/internal.h"
#include "shim/static/exec.h"

#include "core/trace/layout.h"

enum {
	OWN_SLOTS = 4, /* of each private stack; the rest is for all */
};
_Static_assert(GO_SLOTS > OWN_SLOTS * GO_STACKS, "some for all");

struct go_back go_back[GO_SITES];
uint64_t go_exit_back;
uint8_t go_watch[GO_NUMBERS];
bool go_has_rdpid;
uint64_t go_stack_tops;
struct go_slot *go_slots;
uint64_t go_missed;

static uint16_t rows[GO_NUMBERS]; /* enum call_id of the numbers that go_watch wants */
static struct {
	uint64_t at;
	bool by_stack; /* 1.17, 1.18 */
} syscalls[GO_SITES];
static struct go_layout layout;
static bool tried; /* layout.procid, and found right */

/* What the assembly has to ask before it leaves the goroutine's stack; the rest is engine_wants. */
static uint8_t class_of(const struct call_row *row)
{
	switch ((enum call_op)row->op) {
	case OP_READ:
		return row->shape == SHAPE_MSG || row->shape == SHAPE_MMSG ? GO_ALWAYS : GO_TRACKED;
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SHUTDOWN:
	case OP_CLOSE:
	case OP_DUP:
	case OP_FCNTL:
		return GO_TRACKED;
	case OP_WAIT:
	case OP_VFORK:
		return GO_PASS;
	default:
		return GO_ALWAYS;
	}
}

static void *map(size_t size)
{
	void *p = sys_mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	return sys_mmap_failed(p) ? NULL : p;
}

bool go_calls_start(struct go_layout of)
{
	uint8_t *stacks = map((size_t)GO_STACKS << GO_STACK_BITS);

	go_slots = map(sizeof(struct go_slot) * GO_SLOTS);
	if (!stacks || !go_slots)
		return false;
	layout = of;
	go_has_rdpid = sys_has_rdpid();
	go_stack_tops = (uintptr_t)stacks + (1u << GO_STACK_BITS) - GO_STACK_TOP;
	for (long nr = 0; nr < GO_NUMBERS; nr++) {
		unsigned id = call_from_nr(nr);

		if (id == CALL_COUNT)
			continue;
		rows[nr] = (uint16_t)id;
		go_watch[nr] = class_of(&call_table[id]);
	}
	return true;
}

void go_calls_site(unsigned site, uint64_t at, enum go_site_kind kind)
{
	syscalls[site].at = at;
	syscalls[site].by_stack = kind == GO_SITE_STACK;
}

/* Functions that take their arguments in registers are entered with r14 = g.  Around the older sites
 * is assembly that may use r14 as it likes: there it must look like the g of that stack.  Memory of
 * a g stays one for ever. */
static bool is_goroutine(uint64_t task, uint64_t sp)
{
	static uint64_t known[64];
	uint64_t *k = &known[task / 64 % CORE_ARRAY_LEN(known)];
	uint64_t stack[2];

	if (!task || task % sizeof(uint64_t))
		return false;
	if (__atomic_load_n(k, __ATOMIC_RELAXED) == task)
		memcpy(stack, (const void *)task, sizeof(stack));
	else if (engine.quiet || peek_read(task, stack, sizeof(stack)) != sizeof(stack))
		return false;
	if (sp <= stack[0] || sp > stack[1])
		return false;
	__atomic_store_n(k, task, __ATOMIC_RELAXED);
	return true;
}

static inline uint64_t load(uint64_t at)
{
	return *(const uint64_t *)at;
}

/* The kernel is asked once whether this is true here: not every Go is built from the usual sources. */
static __attribute__((noinline, cold)) uint32_t try_thread(uint32_t tid)
{
	if (engine.quiet || tid != sys_gettid())
		layout.procid = 0;
	else
		__atomic_store_n(&tried, true, __ATOMIC_RELAXED);
	return layout.procid ? tid : 0;
}

/* Each thread of Go's has its id in the record of what runs goroutines on it, from before it runs the
 * first one until after the last.  0: not known; the child of a fork has its parent's there. */
static inline uint32_t thread_of(uint64_t task)
{
	uint64_t m = layout.procid ? load(task + layout.m) : 0;
	uint32_t tid = m ? (uint32_t)load(m + layout.procid) : 0;

	if (!tid || engine.parent || !*engine.alive)
		return 0;
	return __atomic_load_n(&tried, __ATOMIC_RELAXED) ? tid : try_thread(tid);
}

void go_place(struct call_place *to, uint64_t sp, uint64_t bp, uint64_t ip, uint64_t task)
{
	to->sp = sp;
	to->bp = bp;
	to->ip = ip;
	to->task = task;
	to->goid = task && layout.goid ? load(task + layout.goid) : 0;
	to->tid = task ? thread_of(task) : 0;
}

/* The slots of the private stack we are on: nobody else takes them while we hold it. */
static inline struct go_slot *take_own(const void *near)
{
	uint32_t first = (uint32_t)((uintptr_t)near >> GO_STACK_BITS) % GO_STACKS * OWN_SLOTS;

	for (uint32_t i = 0; i < OWN_SLOTS; i++) {
		struct go_slot *s = &go_slots[first + i];

		if (!__atomic_load_n(&s->taken, __ATOMIC_ACQUIRE)) {
			s->taken = 1;
			return s;
		}
	}
	return NULL;
}

/* Calls that block keep theirs: then one of those for all. */
static __attribute__((noinline)) struct go_slot *take_common(void)
{
	for (uint32_t i = OWN_SLOTS * GO_STACKS; i < GO_SLOTS; i++) {
		struct go_slot *s = &go_slots[i];

		if (!__atomic_load_n(&s->taken, __ATOMIC_RELAXED) &&
		    !__atomic_exchange_n(&s->taken, 1, __ATOMIC_ACQUIRE))
			return s;
	}
	__atomic_fetch_add(&go_missed, 1, __ATOMIC_RELAXED);
	return NULL;
}

static __attribute__((noinline, cold)) void tell_missed(void)
{
	if (__atomic_exchange_n(&go_missed, 0, __ATOMIC_RELAXED))
		engine_partial(-1, TRACE_REASON_LOST);
}

uint64_t go_enter(struct go_registers *f)
{
	unsigned id = rows[f->nr];
	const struct call_row *row = &call_table[id];
	struct go_slot *s;
	uint64_t task;
	bool answered;

	if (__atomic_load_n(&go_missed, __ATOMIC_RELAXED))
		tell_missed();
	if (row->op == OP_EXEC)
		static_exec((long)f->nr, f->arg);
	else if (row->op == OP_EXIT)
		engine_end((int)f->arg[0]);
	if (!engine_wants((enum call_op)row->op, (enum call_shape)row->shape, f->arg[0], f->arg[1],
			  f->arg[2]))
		return 0;
	s = take_own(f);
	if (!s)
		s = take_common();
	if (!s)
		return 0;
	s->call.id = (uint16_t)id;
	memcpy(s->call.arg, f->arg, sizeof(f->arg));
	task = !syscalls[f->site].by_stack || is_goroutine(f->task, f->sp) ? f->task : 0;
	go_place(&s->place, f->sp, f->bp, syscalls[f->site].at, task);
	s->call.place = &s->place;
	answered = !engine_enter(&s->call);
	memcpy(f->arg, s->call.arg, sizeof(f->arg));
	if (answered)
		f->nr = (uint64_t)s->call.ret;
	return (uint64_t)answered << 63 | (uint64_t)GO_TAG << 32 | (uint64_t)(s - go_slots);
}

void go_exit(uint64_t number, int64_t ret)
{
	struct go_slot *s = &go_slots[number % GO_SLOTS];

	if (call_table[s->call.id].op == OP_FORK && ret == 0) {
		engine_forked();
	} else {
		s->call.ret = ret;
		engine_exit(&s->call);
		if (engine_faults)
			engine_settle(&s->call);
	}
	__atomic_store_n(&s->taken, 0, __ATOMIC_RELEASE);
}

void go_ends(int status)
{
	engine_end(status);
}
