/* SPDX-License-Identifier: BSD-2-Clause
 *
 * clock: see clock.h.
 *
 * The time comes from the vDSO: the kernel maps it into every process and it needs neither libc nor
 * thread-local storage.  Where the kernel itself takes its time from the processor's counter, that is
 * read instead and the vDSO only every few milliseconds (tick.h).  The thread id is read from the thread's control block, at a place where the
 * C library keeps it for every thread; whether it does is tried out on the first thread.
 *
 * Source: vdso(7), getauxval(3), elf(5).
 */
#include "shim/engine/clock.h"
#include "shim/engine/auxv.h"
#include "shim/engine/engine.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"
#include "shim/engine/tick.h"

#include <elf.h>

typedef int clock_reader(clockid_t clock, struct timespec *ts);

static clock_reader *read_vdso;
uint64_t clock_thread_off;
ENGINE_HOT static bool counts; /* the processor's counter may be read */
static struct tick tick __attribute__((aligned(64)));

/* Where the C libraries we know keep the id in the control block: musl 1.2, musl 1.1, glibc (x86-64).
 * glibc's comes last: the control block of musl is shorter. */
static const uint16_t thread_offs[] = {48, 56, 720};

/* What is needed to look a name up in a mapped object. */
struct object {
	uintptr_t base; /* add to its virtual addresses */
	const Elf64_Sym *symbol;
	const char *name;
	const uint32_t *hash; /* DT_HASH: its second word is the number of symbols */
	uint32_t symbols;
};

static bool open_object(struct object *o, uintptr_t at)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)at;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(at + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;

	*o = (struct object){0};
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !o->base)
			o->base = at + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)(at + ph[i].p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			o->symbol = (const Elf64_Sym *)(o->base + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_STRTAB)
			o->name = (const char *)(o->base + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_HASH)
			o->hash = (const uint32_t *)(o->base + dyn->d_un.d_ptr);
	}
	if (!o->symbol || !o->name)
		return false;
	if (o->hash) /* some kernels leave it out; then the names begin where the symbols end */
		o->symbols = o->hash[1];
	else if ((uintptr_t)o->name > (uintptr_t)o->symbol)
		o->symbols = (uint32_t)(((uintptr_t)o->name - (uintptr_t)o->symbol) /
					sizeof(*o->symbol));
	return true;
}

static clock_reader *find_reader(void)
{
	uintptr_t at = auxv_value(AT_SYSINFO_EHDR);
	struct object o;

	if (!at || !open_object(&o, at))
		return NULL;
	for (uint32_t i = 0; i < o.symbols; i++) {
		if (o.symbol[i].st_shndx != SHN_UNDEF &&
		    line_equal(o.name + o.symbol[i].st_name, "__vdso_clock_gettime"))
			return (clock_reader *)(o.base + o.symbol[i].st_value);
	}
	return NULL;
}

static uint64_t find_thread_off(void)
{
	uint32_t tid = sys_gettid();

	for (unsigned i = 0; i < CORE_ARRAY_LEN(thread_offs); i++) {
		if (sys_thread_word(thread_offs[i]) == tid)
			return thread_offs[i];
	}
	return 0;
}

void clock_forked(void)
{
	/* A fork that went around libc leaves the parent's id in the block. */
	if (clock_thread_off && sys_thread_word(clock_thread_off) != sys_gettid())
		clock_thread_off = 0;
	tick_forget(&tick); /* a thread that is not here may have been changing it */
}

/* ---- time ---- */

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts = {0};

	if (!read_vdso || read_vdso(clock, &ts))
		(void)sys_clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static __attribute__((noinline)) uint64_t ask_clock(void)
{
	struct tick seen;
	uint64_t before, t;

	if (counts) {
		tick_look(&tick, &seen);
		before = sys_counter();
		t = read_clock(CLOCK_MONOTONIC);
		t = tick_learn(&tick, &seen, before, t, sys_counter());
	} else {
		t = read_clock(CLOCK_MONOTONIC);
	}
	return t ? t : 1;
}

uint64_t clock_now(void)
{
	uint64_t t = counts ? tick_read(&tick, sys_counter()) : 0;

	return t ? t : ask_clock();
}

void clock_ask_always(void)
{
	clock_thread_off = 0;
}

/* ---- the counter ---- */

static uint64_t first_tick, first_ns; /* both at the start */
ENGINE_HOT static uint64_t
	tick_ns; /* nanoseconds per tick, 32 bits behind the point; 0: not known yet */

/* Where the kernel's clock is that counter, it found it steady and the same on all processors, and a
 * process that may not read it could not ask for the time either. */
static bool find_counter(void)
{
	static const char name[] = "tsc\n";
	char now[sizeof(name)];
	int fd = sys_open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
			  O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (!SYS_HAS_COUNTER || fd < 0)
		return false;
	n = sys_read(fd, now, sizeof(now));
	sys_close(fd);
	return n == sizeof(name) - 1 && !memcmp(now, name, sizeof(name) - 1);
}

CORE_HOT uint64_t clock_ticks(void)
{
	return counts ? sys_counter() : clock_now();
}

/* The longer the process lives before the first question, the better the answer; it is good enough
 * for milliseconds within microseconds of the start. */
static __attribute__((noinline)) uint64_t find_tick_ns(void)
{
	uint64_t ns = clock_now() - first_ns, ticks = clock_ticks() - first_tick;

	/* No division of more than 64 bits: that would be a call. */
	while (ns >> 32) {
		ns >>= 1;
		ticks >>= 1;
	}
	if (!ticks)
		return UINT64_C(1) << 32;
	ns = (ns << 32) / ticks;
	__atomic_store_n(&tick_ns, ns, __ATOMIC_RELAXED);
	return ns;
}

CORE_HOT uint64_t clock_elapsed(uint64_t from, uint64_t to)
{
	uint64_t per = __atomic_load_n(&tick_ns, __ATOMIC_RELAXED);

	if (to <= from)
		return 0;
	if (!counts)
		return to - from;
	if (!per)
		per = find_tick_ns();
	return (uint64_t)((unsigned __int128)(to - from) * per >> 32);
}

void clock_start(bool own_threads)
{
	read_vdso = find_reader();
	counts = read_vdso && find_counter();
	first_ns = clock_now();
	first_tick = clock_ticks();
	clock_thread_off = own_threads ? find_thread_off() : 0;
}

int64_t clock_realtime_offset(void)
{
	return (int64_t)(read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC));
}

uint32_t clock_ask_thread(void)
{
	return engine_subject.pid ? engine_subject.tid : sys_gettid();
}
