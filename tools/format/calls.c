/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/calls: names for the rows of calls.def, which a trace refers to by number.
 */
#include <sys/syscall.h>

#include "tools/format/format.h"

static const char *const names[] = {
#define CALL(id, ...) #id,
#include "shim/engine/calls.def"
#undef CALL
};

const char *format_call_name(unsigned call)
{
	static char unknown[24];

	if (call < CORE_ARRAY_LEN(names))
		return names[call];
	snprintf(unknown, sizeof(unknown), "call %u", call);
	return unknown;
}
