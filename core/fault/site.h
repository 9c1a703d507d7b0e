/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/site: the calls a rule may name, by site.def.
 */
#ifndef CORE_FAULT_SITE_H
#define CORE_FAULT_SITE_H

#include "core/core.h"

/* Name of row i, NULL behind the last one. */
const char *fault_call_name(unsigned i);
/* May a rule name it? */
bool fault_call_known(struct span name);
/* Does %net mean it? */
bool fault_call_moves(const char *name);

#endif
