/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whatever a scenario file holds, it is loaded or refused, with a sentence and a place within it.
 */
#include <stdio.h>
#include <string.h>

#include "tools/scenario/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *const command[] = {"server", NULL};
	struct scenario_given given = {.path = "/ws", .command = size & 1 ? command : NULL};
	struct arena *a = arena_new();
	struct scenario_error e = {.what = ""};
	struct scenario *s = scenario_parse("f.yaml", (const char *)data, size, &given, a, &e);
	char line[1400];

	if (!s && (!e.what[0] || !strlen(scenario_error_text(&e, line, sizeof(line)))))
		__builtin_trap();
	if (s && (!s->seeds || !s->name[0] || !s->steps))
		__builtin_trap();
	for (const char *p = line; !s && *p; p++) {
		if ((unsigned char)*p < 0x20)
			__builtin_trap();
	}
	arena_free(a);
	return 0;
}
