/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/go: is this a Go program, and which Go built it?  Source: debug/buildinfo of Go's library.
 */
#ifndef CORE_TARGET_GO_H
#define CORE_TARGET_GO_H

#include "core/target/elf.h"

/* Returns false when there is no build info. ret_version becomes "" when it cannot be read. */
bool go_build_info(const struct elf *e, char *ret_version, size_t size);

#endif
