/* SPDX-License-Identifier: BSD-2-Clause
 *
 * wrap: the exported functions generated from calls.def (bodies GEN and LIB).
 *
 * (1) A call the engine has nothing to see in costs one or two loads and goes straight on.
 * (2) Between entry and exit nothing is held: the thread may be cancelled in the next definition, or
 *     leave it by longjmp.  The unwinder finds ordinary frames here without cleanups.
 * (3) fork: the child tells the engine at once, before any code of the application runs there.
 */
#include "shim/libc/door.h"
#include "shim/libc/types.h"

#include <sys/syscall.h>

enum libc_op {
#define CALL(id, nr, op, ...) OP_OF_##id = OP_##op,
#include "shim/engine/calls.def"
#undef CALL
};

/* Take the arguments back from the call, where the engine has them: a change to them would count, and
 * nothing need be kept in registers, which would cost the caller's stack. */
#define BACK_1(i, a) a = (__typeof__(a))(uintptr_t)this_call.arg[i]
#define BACK_W0()
#define BACK_W1(a)		  BACK_1(0, a)
#define BACK_W2(a, b)		  BACK_W1(a), BACK_1(1, b)
#define BACK_W3(a, b, c)	  BACK_W2(a, b), BACK_1(2, c)
#define BACK_W4(a, b, c, d)	  BACK_W3(a, b, c), BACK_1(3, d)
#define BACK_W5(a, b, c, d, e)	  BACK_W4(a, b, c, d), BACK_1(4, e)
#define BACK_W6(a, b, c, d, e, f) BACK_W5(a, b, c, d, e), BACK_1(5, f)
#define BACK(...)                                                                           \
	LIBC_W_PICK(_, ##__VA_ARGS__, BACK_W6, BACK_W5, BACK_W4, BACK_W3, BACK_W2, BACK_W1, \
		    BACK_W0, _)                                                             \
	(__VA_ARGS__)

/* Fortified calls that ask for more than there is room for end the program in libc: nothing of ours may
 * come first, least of all a fault that fills the buffer in libc's place. */
#define OVERRUNS_CHK(name, args)      overruns_##name args
#define OVERRUNS_LFS(name, args)      false
#define OVERRUNS_INTERNAL(name, args) false
#define OVERRUNS_OPTIONAL(name, args) false

#define overruns___read_chk(fd, buf, len, room)				  ((len) > (room))
#define overruns___recv_chk(fd, buf, len, room, flags)			  ((len) > (room))
#define overruns___recvfrom_chk(fd, buf, len, room, flags, addr, addrlen) ((len) > (room))
#define overruns___poll_chk(fds, count, timeout, room)			  ((count) > (room) / POLLFD)
#define overruns___ppoll_chk(fds, count, timeout, mask, room)		  ((count) > (room) / POLLFD)
#define overruns___open_2(...)						  false
#define overruns___open64_2(...)					  false
#define overruns___openat_2(...)					  false
#define overruns___openat64_2(...)					  false
#define overruns___mq_open_2(...)					  false

enum {
	POLLFD = 8, /* sizeof(struct pollfd) */
};

/* No name below may be that of a parameter in calls.def. */
#define WRAP(name, row, type, params, args, words, overruns)                                       \
	type name params;                                                                          \
	LIBC_EXPORT type name params                                                               \
	{                                                                                          \
		struct call this_call;                                                             \
		if ((overruns) ||                                                                  \
		    LIBC_THREE(libc_passes, CALL_##row, (unsigned)OP_OF_##row, LIBC_WORDS words))  \
			return LIBC_NEXT(name) args;                                               \
		LIBC_SIX(libc_call_init, &this_call, CALL_##row, LIBC_WORDS words);                \
		if ((unsigned)OP_OF_##row == OP_FORGET) {                                          \
			/* Only a number we believe to be a connection has something to forget. */ \
			type new_fd = LIBC_NEXT(name) args;                                        \
			if (!engine_tracks((int)new_fd))                                           \
				return new_fd;                                                     \
			(void)engine_enter(&this_call);                                            \
			libc_leave(&this_call, OP_FORGET, new_fd);                                 \
			return new_fd;                                                             \
		}                                                                                  \
		if (__builtin_expect(!engine_enter(&this_call), 0))                                \
			return (type)libc_answer(&this_call);                                      \
		BACK words;                                                                        \
		type result = LIBC_NEXT(name) args;                                                \
		libc_leave(&this_call, (unsigned)OP_OF_##row, result);                             \
		return result;                                                                     \
	}

#define WRAP_GEN(...) WRAP(__VA_ARGS__)
#define WRAP_LIB(...) WRAP(__VA_ARGS__)
#define WRAP_HAND(...)
#define WRAP_NUM(...)

#define CALL(id, nr, op, shape, body, type, params, args) \
	WRAP_##body(id, id, type, params, args, args, false)
#define VARIANT(name, id, class, body, type, params, args, words) \
	WRAP_##body(name, id, type, params, args, words, OVERRUNS_##class(name, args))
#include "shim/engine/calls.def"
#undef CALL
