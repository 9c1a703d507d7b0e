/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/site: see site.h.
 */
#include "core/fault/site.h"
#include "core/fault/table.h"

static const struct {
	const char *name;
	uint8_t about;
} calls[] = {
#define SITE(name, about) {#name, FAULT_ABOUT_##about},
#include "core/fault/site.def"
};

const char *fault_call_name(unsigned i)
{
	return i < CORE_ARRAY_LEN(calls) ? calls[i].name : NULL;
}

enum fault_about fault_call_about(struct span name)
{
	if (fault_same(name, fault_span("%net")))
		return FAULT_ABOUT_BYTES;
	for (unsigned i = 0; i < CORE_ARRAY_LEN(calls); i++) {
		if (fault_same(name, fault_span(calls[i].name)))
			return (enum fault_about)calls[i].about;
	}
	return FAULT_ABOUT_UNKNOWN;
}
