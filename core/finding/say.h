/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/say: write a message into a fixed buffer without libc.  What does not fit is cut with
 * "...".  Network bytes come out as printable ASCII: the rest as \xNN, CR and LF as \r and \n.
 *
 *   %s  const char *            %u  uint64_t in decimal      %t  uint64_t nanoseconds, as "1.50 s"
 *   %b  const struct span *, escaped, at most 80 bytes        %q  the same in double quotes
 *   %x  uint64_t as a byte in hexadecimal
 */
#ifndef CORE_FINDING_SAY_H
#define CORE_FINDING_SAY_H

#include "core/core.h"

/* Append to ret, which holds size bytes and is NUL-terminated already. */
void say(char *ret, size_t size, const char *format, ...);

#endif
