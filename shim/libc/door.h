/* SPDX-License-Identifier: BSD-2-Clause
 *
 * door: what the files of the libc door share.
 *
 * (1) libc_next holds the next definition of every exported name.  No entry is ever empty: before our
 *     constructor ran each one points at its early stand-in, which makes the system call directly or
 *     looks the name up on the spot.
 * (2) errno is exactly what the next definition left.  Nothing of ours goes through libc, so nothing
 *     of ours changes it.
 * (3) The wrappers know nothing: what a call means is the engine's business.
 */
#ifndef SHIM_LIBC_DOOR_H
#define SHIM_LIBC_DOOR_H

#include "shim/engine/engine.h"

#define LIBC_EXPORT __attribute__((visibility("default")))
#define LIBC_COLD   __attribute__((cold, noinline))

/* One number per exported name. Rows without a C name (NUM) have none. */
#define SYMBOL_OF_GEN(id)  SYM_##id,
#define SYMBOL_OF_LIB(id)  SYM_##id,
#define SYMBOL_OF_HAND(id) SYM_##id,
#define SYMBOL_OF_NUM(id)
enum libc_symbol {
#define CALL(id, nr, op, shape, body, ...) SYMBOL_OF_##body(id)
#define VARIANT(name, ...)		   SYM_##name,
#include "shim/engine/calls.def"
#undef CALL
	SYM_COUNT,
};

extern void *libc_next[SYM_COUNT];

/* The next definition of a name, typed like `like` (which must have the prototype of that name). */
#define LIBC_NEXT(name) ((__typeof__(&name))libc_next[SYM_##name])

/* Arguments as the engine wants them: up to six words, missing ones zero. */
#define LIBC_W(a)				 (uint64_t)(uintptr_t)(a)
#define LIBC_W0()				 0
#define LIBC_W1(a)				 LIBC_W(a)
#define LIBC_W2(a, b)				 LIBC_W(a), LIBC_W(b)
#define LIBC_W3(a, b, c)			 LIBC_W2(a, b), LIBC_W(c)
#define LIBC_W4(a, b, c, d)			 LIBC_W3(a, b, c), LIBC_W(d)
#define LIBC_W5(a, b, c, d, e)			 LIBC_W4(a, b, c, d), LIBC_W(e)
#define LIBC_W6(a, b, c, d, e, f)		 LIBC_W5(a, b, c, d, e), LIBC_W(f)
#define LIBC_W_PICK(_, a, b, c, d, e, f, g, ...) g
#define LIBC_WORDS(...)                                                                     \
	LIBC_W_PICK(_, ##__VA_ARGS__, LIBC_W6, LIBC_W5, LIBC_W4, LIBC_W3, LIBC_W2, LIBC_W1, \
		    LIBC_W0, _)                                                             \
	(__VA_ARGS__)
/* f(x, y, ...) with the first three, or all six, of those words. */
#define LIBC_THREE(f, x, y, ...)		  LIBC_THREE_(f, x, y, __VA_ARGS__, 0, 0, 0)
#define LIBC_THREE_(f, x, y, a, b, c, ...)	  f(x, y, a, b, c)
#define LIBC_SIX(f, x, y, ...)			  LIBC_SIX_(f, x, y, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define LIBC_SIX_(f, x, y, a, b, c, d, e, g, ...) f(x, y, a, b, c, d, e, g)

enum {
	LIBC_F_DUPFD = 0,
	LIBC_F_DUPFD_CLOEXEC = 1030,
	LIBC_PR_SET_SECCOMP = 22,
	LIBC_SECCOMP_SET_MODE_FILTER = 1,
};

/* True when the engine has nothing to see in this call, so that it may go straight on. a, b, c: its
 * first words.  Folded to one or two loads in a wrapper, where id and op are constants. */
static inline __attribute__((always_inline)) bool libc_passes(unsigned id, unsigned op, uint64_t a,
							      uint64_t b, uint64_t c)
{
	switch (op) {
	case OP_READ:
		/* Messages bring descriptors along, on whatever socket they come. */
		return id != CALL_recvmsg && id != CALL_recvmmsg && !engine_tracks((int)a);
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SHUTDOWN:
	case OP_CLOSE:
	case OP_FDOPEN:
		return !engine_tracks((int)a);
	case OP_SPLICE:
		return !engine_tracks((int)a) && !engine_tracks((int)c);
	case OP_DUP2:
		return !engine_tracks((int)a) && !engine_tracks((int)b);
	case OP_FCNTL:
		return !engine_tracks((int)a) && (int)b != LIBC_F_DUPFD &&
		       (int)b != LIBC_F_DUPFD_CLOEXEC;
	case OP_SECCOMP:
		return id == CALL_prctl ? (int)a != LIBC_PR_SET_SECCOMP
					: (unsigned)a > LIBC_SECCOMP_SET_MODE_FILTER;
	case OP_WAIT:
		return !(engine_faults || engine_gates);
	case OP_POLL:
		return !engine_faults || !engine_tracks((int)c);
	case OP_IOCTL:
		return !(engine_faults || engine_gates) || !engine_tracks((int)a);
	case OP_VFORK:
		return true;
	default:
		return false;
	}
}

/* Field by field: an initialiser would clear the whole of it on the fast path already. */
static inline __attribute__((always_inline)) void libc_call_init(struct call *c, unsigned id,
								 uint64_t a, uint64_t b, uint64_t d,
								 uint64_t e, uint64_t f, uint64_t g)
{
	c->id = (uint16_t)id;
	c->flags = 0;
	c->conn = 0;
	c->conn_key = 0;
	c->t_enter = 0;
	c->arg[0] = a;
	c->arg[1] = b;
	c->arg[2] = d;
	c->arg[3] = e;
	c->arg[4] = f;
	c->arg[5] = g;
	c->ret = 0;
	c->changed = 0;
	c->place = NULL;
}

/* errno's place in the calling thread; NULL in a process without libc. */
int *libc_errno(void);

/* The way of one call: before and after the next definition. ret is what that returned. */
static inline __attribute__((always_inline)) void libc_leave(struct call *c, unsigned op, long ret)
{
	if (op == OP_FORK && ret == 0) {
		engine_forked();
		return;
	}
	c->ret = ret;
	if (ret == -1) {
		int *place = libc_errno();
		c->ret = place ? -*place : -1;
	}
	engine_exit(c);
	if (__builtin_expect(engine_faults, 0))
		engine_settle(c);
}

/* next.c: the result of a call as libc gives it: -1 and errno for an error. */
long libc_result(int64_t ret);

/* A fault answered the call. */
static inline __attribute__((always_inline)) long libc_answer(struct call *c)
{
	engine_exit(c);
	engine_settle(c);
	return libc_result(c->ret);
}

/* next.c: fill libc_next; look one name up now (NULL when nobody defines it). */
void libc_next_fill(void);
/* The same without dlsym, which allocates, and so makes system calls, when it does not find a name. */
void libc_next_fill_silently(void);
void *libc_next_find(unsigned symbol);
void *libc_global(const char *name); /* first definition in the process, ours included */
long libc_early_failed(long ret);    /* for the assembly file: -errno in, errno set, -1 out */

/* syscall.c: choose the numbers that syscall() brings to the engine. */
void libc_syscall_start(void);

/* process.c: the status exit() was called with, 0 until then. */
int libc_exit_status(void);

/* exec.c: replace this image by path (relative to dir), environment carried on. For syscall(). */
long libc_exec_at(long nr, int dir, const char *path, char *const *argv, char *const *envp,
		  int flags);
/* environ.c: what must survive an exec. self: our path as the loader knows it, or NULL. */
void libc_environ_start(char **environ, const char *self);
/* Bytes that libc_environ_copy needs to complete envp, 0 when it lacks nothing of ours. */
size_t libc_environ_lack(char *const *envp);
/* envp completed, in room (8-byte aligned). Strings are shared with envp. */
char **libc_environ_copy(char *const *envp, void *room);

#endif
