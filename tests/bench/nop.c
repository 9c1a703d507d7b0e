/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nop: the same entry points as the shim, each going straight to the next definition.  What this costs
 * is the price of being preloaded at all; the benchmarks compare with it.
 */
#include "shim/libc/types.h"

void *dlsym(void *handle, const char *name);
#define NEXT ((void *)-1L)

#define WRAP(name, ret, params, args)                                    \
	static ret(*next_##name) params;                                 \
	ret name params;                                                 \
	ret name params                                                  \
	{                                                                \
		if (!next_##name)                                        \
			next_##name = (ret(*) params)dlsym(NEXT, #name); \
		return next_##name args;                                 \
	}
#define WRAP_GEN(name, ret, params, args) WRAP(name, ret, params, args)
#define WRAP_LIB(name, ret, params, args) WRAP(name, ret, params, args)
#define WRAP_HAND(name, ret, params, args)
#define WRAP_NUM(name, ret, params, args)
#define CALL(id, nr, op, shape, body, ret, params, args) WRAP_##body(id, ret, params, args)
#define VARIANT(name, id, class, body, ret, params, args, row_args) \
	WRAP_##body(name, ret, params, args)
#include "shim/engine/calls.def"
