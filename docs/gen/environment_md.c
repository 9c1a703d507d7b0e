/* SPDX-License-Identifier: BSD-2-Clause
 *
 * environment_md: prints docs/environment.md from shim/engine/config.def.
 *
 *     cc -I. docs/gen/environment_md.c -o /tmp/environment_md && /tmp/environment_md > docs/environment.md
 *
 * tests/shim/test_engine_process.py fails when the page is out of date.
 */
#include <stdio.h>

static const struct {
	const char *name, *type, *initial, *help;
} rows[] = {
#define CONFIG(id, name, type, initial, help) {name, #type, initial, help},
#include "shim/engine/config.def"
#undef CONFIG
};

int main(void)
{
	puts("# Environment\n\n"
	     "What the preloaded library reads. `shakedown run` sets these from its options; under "
	     "a\n"
	     "bare `LD_PRELOAD` they are set by hand. A name it does not know, or a value that "
	     "makes no\n"
	     "sense, leaves the process alone and prints one line (`SHAKEDOWN_QUIET=1` silences "
	     "it).\n\n"
	     "A `SWITCH` is `on`, `1`, `yes` or `off`, `0`, `no`; a `SIZE` is a number that may "
	     "end in\n"
	     "`K`, `M` or `G`; `WHICH` is `first` or `last`; a relative `PATH` starts at the "
	     "directory\n"
	     "the process was started in; a `SEED` is a number below 2^64; `RULES` are described "
	     "in\n"
	     "[faults.md](faults.md).\n\n"
	     "| variable | type | default | meaning |\n|---|---|---|---|");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("| `%s` | %s | %s%s%s | %s |\n", rows[i].name, rows[i].type,
		       *rows[i].initial ? "`" : "", rows[i].initial, *rows[i].initial ? "`" : "",
		       rows[i].help);
	return 0;
}
