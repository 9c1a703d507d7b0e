/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ended: what the header of a trace file says about the end of its process: "ended STATUS" or "open".
 */
#include "core/trace/layout.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	static union {
		struct trace_header h;
		char page[TRACE_HEADER_SIZE];
	} file;
	FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;

	if (!f || fread(&file, sizeof(file), 1, f) != 1 || file.h.magic != TRACE_MAGIC)
		return 1;
	fclose(f);
	if (file.h.ended)
		printf("ended %d\n", file.h.exit_code);
	else
		puts("open");
	return 0;
}
