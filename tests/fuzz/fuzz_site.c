/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the finder of call sites: what it reports is going to be overwritten.
 *
 * Promises: no read outside the file, a site is at least as long as a jump and has room for its
 * syscall, an instruction is 1 to 15 bytes and ends in the text.
 */
#include <stdlib.h>
#include <string.h>

#include "core/target/site_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

static bool any(uint32_t nr)
{
	return true;
}

static bool look(void *arg, const struct site *s)
{
	must(s->size >= 5 && s->size <= 16 && s->before + 2 <= s->size);
	must(s->shape <= SITE_MOVE_AFTER && s->to < 16 && s->from < 16);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct site_insn insn;
	struct elf e;

	if (site_decode((struct span){data, size}, &insn))
		must(insn.size >= 1 && insn.size <= 15 && insn.size <= size);
	if (elf_open((struct span){data, size}, &e))
		sites_find(&e, any, look, NULL);
	return 0;
}
