/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/launcher: what the launcher of a process knows and the process itself cannot record: how
 * it ended, and when it was asked to.
 *
 * The file is FOLDER/launch, text, one "name value" per line, unknown names are skipped:
 *     pid 4711             the process that was started
 *     signal-time NS       CLOCK_MONOTONIC when TERM, INT, QUIT or HUP was seen or passed on first
 *     end NS               CLOCK_MONOTONIC when wait() returned
 *     status N             what wait(2) stored, in decimal
 * It may be written again and again; a reader sees one version or the next, never a mixture.
 */
#ifndef TOOLS_EXCHANGE_LAUNCHER_H
#define TOOLS_EXCHANGE_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>

struct launcher {
	uint32_t pid;
	bool status_known;
	int status;	   /* wait(2) */
	uint64_t t_signal; /* 0 never */
	uint64_t t_end;	   /* 0 still running */
};

/* Read FOLDER/launch. Returns false, and *ret all zero, when there is none or it is no such file. */
bool launcher_read(const char *folder, struct launcher *ret);

/* Write it, replacing an older one in one step. Returns 0 or -errno. */
int launcher_write(const char *folder, const struct launcher *l);

#endif
