/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/site: the calls a rule may name, by site.def.
 */
#ifndef CORE_FAULT_SITE_H
#define CORE_FAULT_SITE_H

#include "core/core.h"

enum fault_about {
	FAULT_ABOUT_UNKNOWN, /* no rule may name it */
	FAULT_ABOUT_BYTES,
	FAULT_ABOUT_CONNECTION,
	FAULT_ABOUT_NOTHING,
};

/* Name of row i, NULL behind the last one. */
const char *fault_call_name(unsigned i);
/* What a call is about; %net means all that are about BYTES. */
enum fault_about fault_call_about(struct span name);

#endif
