/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the judgement of program files: any bytes may be named on a command line.
 *
 * Promises: no read outside the file, every text ends, and the verdict agrees with itself.
 */
#include <stdlib.h>
#include <string.h>

#include "core/target/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* A text that goes to terminals and into file names. */
static void must_end(const char *text, size_t size)
{
	must(memchr(text, 0, size) != NULL);
}

/* Files start with arbitrary bytes too rarely to get past the header: give every second one a head. */
static uint8_t *with_head(const uint8_t *data, size_t size)
{
	static const uint8_t ident[20] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 3, [18] = 62};
	enum {
		PHDR_SIZE = 56,
		SHDR_SIZE = 64
	};
	uint8_t *copy = malloc(size ? size : 1);

	must(copy != NULL);
	memcpy(copy, data, size);
	if (size >= 64 && data[size - 1] & 1) {
		memcpy(copy, ident, sizeof(ident));
		memset(copy + 32, 0, 8);
		copy[32] = 64;
		copy[54] = PHDR_SIZE;
		copy[55] = 0;
		copy[57] = 0;
		copy[58] = SHDR_SIZE;
		copy[59] = 0;
	}
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = with_head(data, size);
	struct span file = {copy, size};
	char interp[256], arg[256];
	struct target t;
	bool elf = target_examine(file, &t);

	must(elf == (t.kind != TARGET_NOT_ELF));
	must_end(t.interp, sizeof(t.interp));
	must_end(t.go_version, sizeof(t.go_version));
	must_end(t.sanitizer, sizeof(t.sanitizer));
	must(t.kind != TARGET_DYNAMIC || t.interp[0]);
	must(t.kind != TARGET_STATIC || !t.pie);
	for (const char *p = t.go_version; *p; p++)
		must(*p > ' ' && *p < 0x7f);
	if (target_script(file, interp, arg)) {
		must_end(interp, sizeof(interp));
		must_end(arg, sizeof(arg));
		must(interp[0]);
	}
	free(copy);
	return 0;
}
