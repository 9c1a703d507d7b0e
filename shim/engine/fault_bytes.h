/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_bytes: the bytes a call is about to move, looked at before it does.
 */
#ifndef SHIM_ENGINE_FAULT_BYTES_H
#define SHIM_ENGINE_FAULT_BYTES_H

#include "shim/engine/engine.h"

/* Copy up to n bytes of the buffers of c, from byte skip on.  Returns how many could be read. */
size_t fault_bytes(const struct call *c, uint64_t skip, uint8_t *to, size_t n);

/* What a read of up to n bytes would give now, without taking it.  Returns bytes, 0 at the end, or
 * -errno; ret_all is how many are there in all, when they are more. */
int64_t fault_bytes_ahead(int fd, uint8_t *to, size_t n, uint64_t *ret_all);

/* Wait until there is something, as a read that blocks would.  Returns 1, 0 at the end, or -errno. */
int64_t fault_bytes_wait(int fd);

#endif
