/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the reader of Go's function table: programs are looked at by the server they are, and by the tools.
 *
 * Promises: no read outside the file, every text ends, the last frame is the function itself.
 */
#include <stdlib.h>
#include <string.h>

#include "core/target/go.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void look(const struct go_table *t)
{
	static const char *const names[] = {"main.main", "twin", ""};
	static struct go_frame frame[GO_INLINED];
	uint64_t at[3];

	go_functions_find(t, names, 3, at);
	for (unsigned i = 0; i < 64; i++) {
		unsigned n = go_frames_at(t, t->text + i * 8, frame);

		must(n <= GO_INLINED);
		for (unsigned k = 0; k < n; k++) {
			must(memchr(frame[k].function, 0, sizeof(frame[k].function)) != NULL);
			must(memchr(frame[k].file, 0, sizeof(frame[k].file)) != NULL);
			must(frame[k].inlined == (k + 1 < n));
		}
	}
	must(t->generation != 16 || !t->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct go_site site[GO_SITES];
	struct go_table t;
	struct elf e;
	unsigned n = 0;

	if (!elf_open((struct span){data, size}, &e))
		return 0;
	if (go_sites(&e, 0, site, &n) == GO_SITES_FOUND) {
		must(n >= 1 && n <= GO_SITES);
		for (unsigned i = 0; i < n; i++)
			must(site[i].kind == (n > 1 ? GO_SITE_STACK : site[0].kind));
	}
	if (go_table_open(&e, &t))
		look(&t);
	return 0;
}
