/* SPDX-License-Identifier: BSD-2-Clause
 *
 * peek: read memory of our own that may not be there, without a fault.
 *
 * Usually by process_vm_readv.  A filter that was there before us (a container, systemd's
 * SystemCallFilter=) may kill for that call, which no ordinary server makes; under one, memory is read
 * through /proc/self/mem with the calls every server makes, and where that file may not be opened,
 * nothing is read.
 */
#ifndef SHIM_ENGINE_PEEK_H
#define SHIM_ENGINE_PEEK_H

#include "core/core.h"

/* Copy up to n bytes from address `from`.
 * Returns how many could be read, from the start; 0 when none. */
size_t peek_read(uint64_t from, void *to, size_t n);

/* Is the page of an address there to be read?  Works under every filter, as it asks by a call that every
 * libc makes when it starts a thread or a program. */
bool peek_has_page(uint64_t at);

/* Bytes from `from` on, at most n, that lie on pages that are there: these may be read directly. */
size_t peek_reach(uint64_t from, size_t n);

/* Bytes before the NUL of the text at `from`, at most max; those that are there when it has none. */
size_t peek_length(uint64_t from, size_t max);

#endif
