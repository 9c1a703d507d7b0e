/* SPDX-License-Identifier: BSD-2-Clause
 *
 * next: the table of next definitions.
 *
 * (1) Until libc_next_fill ran, every entry is an early stand-in of the assembly file: the system call
 *     itself (GEN), or a look-up on the spot (LIB, HAND).  Other libraries' constructors come here.
 * (2) dlsym is the only name the library imports, weakly and without a version; where it is missing
 *     the loader's list is searched (loaded.c).  Looking up a name
 *     that does not exist may allocate inside libc; it is done only while filling, when an allocator
 *     that calls back into us finds stand-ins, and the error it leaves is taken away again.
 */
#include "shim/libc/door.h"
#include "shim/libc/loaded.h"

#include <sys/syscall.h>

#define LIBC_RTLD_NEXT	  ((void *)-1L)
#define LIBC_RTLD_DEFAULT ((void *)0)

extern void *dlsym(void *handle, const char *name) __attribute__((weak));

#define EARLY(name)    extern char libc_early_##name[];
#define EARLY_GEN(id)  EARLY(id)
#define EARLY_LIB(id)  EARLY(id)
#define EARLY_HAND(id) EARLY(id)
#define EARLY_NUM(id)
#define CALL(id, nr, op, shape, body, ...) EARLY_##body(id)
#define VARIANT(name, ...)		   EARLY(name)
#include "shim/engine/calls.def"
#undef CALL

#define ENTRY(name)    [SYM_##name] = libc_early_##name,
#define ENTRY_GEN(id)  ENTRY(id)
#define ENTRY_LIB(id)  ENTRY(id)
#define ENTRY_HAND(id) ENTRY(id)
#define ENTRY_NUM(id)
void *libc_next[SYM_COUNT] = {
#define CALL(id, nr, op, shape, body, ...) ENTRY_##body(id)
#define VARIANT(name, ...)		   ENTRY(name)
#include "shim/engine/calls.def"
#undef CALL
};

/* The name, and for a variant that takes the row's own arguments the row's name: another libc may
 * know only that one. */
struct next_name {
	const char *name, *other;
};
#define NAME_GEN(id)  [SYM_##id] = {#id, NULL},
#define NAME_LIB(id)  [SYM_##id] = {#id, NULL},
#define NAME_HAND(id) [SYM_##id] = {#id, NULL},
#define NAME_NUM(id)
#define OTHER_CHK(id)	   NULL
#define OTHER_LFS(id)	   #id
#define OTHER_INTERNAL(id) #id
#define OTHER_OPTIONAL(id) #id
static const struct next_name next_names[SYM_COUNT] = {
#define CALL(id, nr, op, shape, body, ...) NAME_##body(id)
#define VARIANT(n, id, class, ...)	   [SYM_##n] = {#n, OTHER_##class(id)},
#include "shim/engine/calls.def"
#undef CALL
};

static int *(*next_errno)(void);

int *libc_errno(void)
{
	if (!next_errno) {
		void *p = libc_global("__errno_location");
		__atomic_store_n(&next_errno, (int *(*)(void))p, __ATOMIC_RELAXED);
	}
	return next_errno ? next_errno() : NULL;
}

static void *find_next(const char *name)
{
	return dlsym ? dlsym(LIBC_RTLD_NEXT, name) : loaded_find(name, true);
}

void *libc_next_find(unsigned symbol)
{
	const struct next_name *n = &next_names[symbol];
	void *p = find_next(n->name);

	return p || !n->other ? p : find_next(n->other);
}

void *libc_global(const char *name)
{
	return dlsym ? dlsym(LIBC_RTLD_DEFAULT, name) : loaded_find(name, false);
}

void libc_next_fill_silently(void)
{
	for (unsigned i = 0; i < SYM_COUNT; i++) {
		void *p = loaded_find(next_names[i].name, true);

		if (!p && next_names[i].other)
			p = loaded_find(next_names[i].other, true);
		if (p)
			__atomic_store_n(&libc_next[i], p, __ATOMIC_RELEASE);
	}
	libc_errno();
	engine_cancel_point = (void (*)(void))loaded_find("pthread_testcancel", false);
}

void libc_next_fill(void)
{
	for (unsigned i = 0; i < SYM_COUNT; i++) {
		void *p = libc_next_find(i);
		if (p)
			__atomic_store_n(&libc_next[i], p, __ATOMIC_RELEASE);
	}
	libc_errno();
	engine_cancel_point = (void (*)(void))libc_global("pthread_testcancel");

	/* Names that other libcs lack left an error that the application must not find: reported
	 * once, then forgotten. */
	char *(*error)(void) = (char *(*)(void))libc_global("dlerror");
	if (error && error())
		error();
}

LIBC_COLD long libc_result(int64_t ret)
{
	int *place = ret < 0 ? libc_errno() : NULL;

	if (place)
		*place = (int)-ret;
	return ret < 0 ? -1 : (long)ret;
}

/* From the early stand-ins: a system call failed before the table was filled. */
long libc_early_failed(long ret)
{
	int *place = libc_errno();

	if (place)
		*place = (int)-ret;
	return -1;
}
