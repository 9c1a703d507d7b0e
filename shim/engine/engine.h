/* SPDX-License-Identifier: BSD-2-Clause
 *
 * engine: the guest runtime.  Doors bring calls here twice, before and after the kernel; the engine
 * keeps connections, phases, the recorder and the stacks.
 *
 * What a door must do, and all it may do:
 *     if (!engine_wants(op, shape, arguments)) -> straight to the kernel
 *     if (engine_enter(&call)) call.ret = kernel(... call.arg ...);
 *     engine_exit(&call);
 * (1) Nothing here allocates, blocks, takes a lock it waits for, uses TLS, floating point or a libc
 *     symbol; every function may run before libc is initialised, in a signal handler, in a vfork child.
 * (2) Nothing is held between enter and exit: the thread may be cancelled or jump away in between.
 * (3) At most 1 KiB of the caller's stack in all (checked by the audit from -fstack-usage).
 * (4) errno belongs to the door: results are the kernel's own (-errno).
 * (5) A bad pointer from the application is the application's EFAULT, never our fault: memory of the
 *     application is read only after the kernel read or wrote it, or through a call that can fail.
 */
#ifndef SHIM_ENGINE_ENGINE_H
#define SHIM_ENGINE_ENGINE_H

#include "core/core.h"

/* What a call does, as far as the engine cares. Column "op" of calls.def. */
enum call_op {
	OP_READ,     /* bytes in */
	OP_WRITE,    /* bytes out */
	OP_SENDFILE, /* bytes out that cannot be seen: arg0 is the socket */
	OP_SPLICE,   /* both ends may be sockets: arg0 in, arg2 out */
	OP_ACCEPT,
	OP_CONNECT,
	OP_LISTEN,
	OP_SOCKET,
	OP_SOCKETPAIR,
	OP_SHUTDOWN,
	OP_CLOSE,
	OP_CLOSE_RANGE,
	OP_DUP,	 /* arg0 -> ret */
	OP_DUP2, /* arg0 -> arg1 */
	OP_FCNTL,
	OP_FORGET,	/* a new descriptor that is no connection: drop what we believed about it */
	OP_FORGET_PAIR, /* int[2] at arg0 */
	OP_WAIT, /* epoll, poll, select and kin: nothing to watch, but faults may hold events back */
	OP_IOCTL, /* FIONREAD tells what a read would give */
	OP_FORK,  /* the child is a copy */
	OP_POLL,  /* arg2 is added to an epoll set: in Go, somebody waits for it */
	OP_VFORK, /* the child shares our memory: a tail jump */
	OP_SPAWN, /* fork and exec in one */
	OP_EXEC,
	OP_PRIVILEGE, /* set*id, capset, unshare, setns */
	OP_SECCOMP,
	OP_MLOCK, /* mlockall: what is ours is taken out of it */
	OP_IO_URING,
	OP_DLOPEN,
	OP_FDOPEN,
	OP_SYSCALL, /* syscall() itself */
	OP_EXIT,
};

/* Where the bytes of a READ or WRITE lie, in terms of the row's own arguments. Column "shape". */
enum call_shape {
	SHAPE_NONE,
	SHAPE_FLAT, /* arg1 buf, arg2 len; arg3 flags when the row is of the recv/send family */
	SHAPE_IOV,  /* arg1 iovec, arg2 count */
	SHAPE_MSG,  /* arg1 msghdr, arg2 flags */
	SHAPE_MMSG, /* arg1 mmsghdr, arg2 count, arg3 flags; ret counts messages */
};

/* Rows of calls.def. Variants (fortified, 64-bit, nocancel) share the row they are a variant of. */
enum call_id {
#define CALL(id, ...) CALL_##id,
#include "shim/engine/calls.def"
#undef CALL
	CALL_COUNT,
};

struct call_row {
	const char *name;
	int32_t nr; /* system call number, -1 when there is none */
	uint8_t op, shape;
	uint8_t flagged; /* SHAPE_FLAT with recv/send flags in arg3 */
	uint8_t spare;
};
extern const struct call_row call_table[CALL_COUNT];
/* The row of a system call number, CALL_COUNT when there is none. For syscall() and the Go door. */
unsigned call_from_nr(long nr);

/* Where the application is, for doors that run the engine on another stack than the caller's: at an
 * instruction (its system call, the entry of a witness) of a function that has no frame yet, so that
 * its return address is at sp and bp is its caller's frame. */
struct call_place {
	uint64_t sp, bp, ip;
	uint64_t task; /* address of its goroutine, 0: none */
	uint64_t goid; /* its number, 0 unknown */
	uint32_t tid;  /* the kernel's id of the thread, 0 unknown */
};

/* One intercepted call. The door fills id, arg and place, then ret. The rest is the engine's. */
struct call {
	uint16_t id;
	uint16_t flags;	   /* the engine's */
	uint32_t conn;	   /* the engine's: index and... */
	uint64_t conn_key; /* ...identity, to notice reuse between enter and exit */
	uint64_t t_enter;
	uint64_t arg[6];
	/* The kernel's answer: value or -errno.  Before that, when changed is not 0, what the argument was
	 * that a fault changed. */
	int64_t ret;
	uint32_t token;	  /* the engine's: which entry of the connection this was */
	uint32_t changed; /* 1 + index of that argument; at most one is changed */
	/* NULL: the engine runs on the caller's stack. Else frame pointers are proven from there on;
	 * readable in engine_enter and engine_exit. */
	const struct call_place *place;
};

/* What nearly every call reads: in the file a section of its own, so that it shares a few lines of the
 * cache and one page instead of one each. */
#define ENGINE_HOT __attribute__((section("engine_hot")))

/* ---- the fast test ---- */

/* One word per descriptor: 0 untracked, 1 text (fd 1 and 2), otherwise a connection.  A zero-filled
 * table of at most ENGINE_FDS words, or one static word of zeros before it exists; only the first
 * engine_fd_limit words can be touched, and that number grows. */
extern uint32_t *engine_fds;
extern uint32_t engine_fd_limit;

enum {
	ENGINE_FDS = 1 << 20,
};

/* Is there an attempt anywhere that a witness could belong to?  One load: doors ask before they leave
 * the caller's stack. */
extern uint32_t engine_attempts;

/* Are there rules that could act on a call?  Does any of their faults hold a connection back just now?
 * Zero nearly always. */
extern uint32_t engine_faults;
extern uint32_t engine_gates;

static inline bool engine_tracks(int fd)
{
	return (uint32_t)fd < engine_fd_limit && __atomic_load_n(&engine_fds[fd], __ATOMIC_RELAXED);
}

/* Must the engine see this call?  op and shape are constants where a door calls it, so what is left is
 * one load or nothing.  False: straight to the kernel. */
static inline bool engine_wants(enum call_op op, enum call_shape shape, uint64_t a0, uint64_t a1,
				uint64_t a2)
{
	switch (op) {
	case OP_READ: /* a message may bring descriptors (SCM_RIGHTS) over a socket we do not track */
		return shape == SHAPE_MSG || shape == SHAPE_MMSG || engine_tracks((int)a0);
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SHUTDOWN:
	case OP_CLOSE:
	case OP_DUP:
	case OP_FCNTL:
	case OP_FDOPEN:
		return engine_tracks((int)a0);
	case OP_SPLICE:
		return engine_tracks((int)a0) || engine_tracks((int)a2);
	case OP_POLL:
		return (engine_attempts || engine_faults) && engine_tracks((int)a2);
	case OP_WAIT:
		return engine_faults || engine_gates;
	case OP_IOCTL:
		return (engine_faults || engine_gates) && engine_tracks((int)a0);
	case OP_DUP2:
		return engine_tracks((int)a0) || engine_tracks((int)a1);
	case OP_ACCEPT:
	case OP_CONNECT:
	case OP_LISTEN:
	case OP_SOCKET:
	case OP_SOCKETPAIR:
	case OP_CLOSE_RANGE:
	case OP_FORGET:
	case OP_FORGET_PAIR:
	case OP_FORK:
	case OP_PRIVILEGE:
	case OP_SECCOMP:
	case OP_MLOCK:
	case OP_IO_URING:
		return engine_fd_limit != 0;
	case OP_VFORK:
	case OP_SPAWN:
	case OP_EXEC:
	case OP_DLOPEN:
	case OP_SYSCALL:
	case OP_EXIT:
		return false; /* nothing to see, or the door calls a function of its own below */
	}
	return false;
}

/* ---- life ---- */

/* Whose calls these are, when they are not made in the process the engine runs in: set before
 * engine_start by a door that performs them elsewhere, tid before each call.  Descriptors mean the same
 * sockets in both processes.  No stacks are taken. */
struct engine_subject {
	uint32_t pid; /* 0: the engine's own process */
	uint32_t tid;
};
extern struct engine_subject engine_subject;

/* Map the tables, read the configuration. No trace file yet: that comes with the first listen, accept
 * or connect.  Returns false when the shim stays inactive; *ret_problem then says why (static text or
 * text in engine memory) or is NULL when it was told to (SHAKEDOWN=off). */
bool engine_start(char *const *variables, uint32_t door, const char **ret_problem);
bool engine_active(void);

/* The process ends in an orderly way: write the end record. May be called more than once. */
void engine_end(int status);

/* ---- the two halves of a call ---- */

/* False: a fault answers in the kernel's place, c->ret is the answer; the call must not be made.
 * True: make it with c->arg, which a fault may have changed, and put the answer into c->ret.
 * engine_exit follows in both cases, and engine_settle while engine_faults is not 0. */
bool engine_enter(struct call *c);
void engine_exit(struct call *c);

/* The rest of engine_exit, called behind it by every door while engine_faults is not 0: apart, because the
 * caller's stack has no room for one inside the other. */
void engine_settle(struct call *c);

/* A witness was entered at that place (place->task is its goroutine): recorded, with its stack, when
 * the goroutine read the head of an attempt that waits for its answer, or whose connection it took
 * over.  id: enum trace_witness_id; arg: as many as its row keeps. */
void engine_witness(unsigned id, const struct call_place *place, const uint64_t arg[2]);

/* In the child of a fork, before anything else runs there (also noticed by itself at the next enter). */
void engine_forked(void);

/* dlopen is about to map something: stacks taken later re-read the module list. */
void engine_modules_changed(void);

/* Something makes what we see incomplete: a bit of enum trace_coverage_reason; fd -1 for all. */
void engine_partial(int fd, uint64_t reason);

/* A door's: acts on a cancellation of the calling thread, which may end in it.  Called, with nothing held, in
 * waits that the engine makes in a call's place.  NULL: there is nothing of the kind. */
extern void (*engine_cancel_point)(void);

/* Record that this image is being replaced: path is what exec was given (may be NULL). */
void engine_exec(const char *path);

#endif
