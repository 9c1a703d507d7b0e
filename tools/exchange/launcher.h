/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/launcher: what the launcher of a process knows and the process itself cannot record: how
 * it ended, and when it was asked to.
 *
 * The file is FOLDER/launch, and launch.1, launch.2, ... for further runs into the same folder.  Text,
 * one "name value" per line, unknown names are skipped:
 *     pid 4711             the process that was started
 *     start NS             CLOCK_MONOTONIC before it was started
 *     boot HEX             the boot these times count from, as in a trace's header
 *     signal-time NS       CLOCK_MONOTONIC when TERM, INT, QUIT or HUP was seen or passed on first
 *     end NS               CLOCK_MONOTONIC when wait() returned
 *     status N             what wait(2) stored, in decimal
 * It may be written again and again; a reader sees one version or the next, never a mixture.
 */
#ifndef TOOLS_EXCHANGE_LAUNCHER_H
#define TOOLS_EXCHANGE_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace/layout.h"

struct launcher {
	uint32_t pid;
	unsigned number; /* of the file; valid when claimed */
	bool claimed;	 /* the file is ours */
	bool boot_known;
	uint8_t boot_id[16];
	uint64_t t_start; /* 0 not known */
	bool status_known;
	int status;	   /* wait(2) */
	uint64_t t_signal; /* 0 never */
	uint64_t t_end;	   /* 0 still running */
};

/* A fresh record of something that starts at t, in this boot. */
void launcher_begin(struct launcher *ret, uint64_t t);

/* Could the trace come from what the record is about: the same boot, and not loaded before? */
bool launcher_began_before(const struct launcher *l, const struct trace_header *h);

/* Write it: to the first name that is free, later to that again, in one step.  Returns 0 or -errno. */
int launcher_write(const char *folder, struct launcher *l);

struct launchers {
	size_t n, cap;
	struct launcher *l;
};

/* Read all records of a folder; files that are none are skipped. Freed by launchers_free. */
void launchers_read(const char *folder, struct launchers *ret);
void launchers_free(struct launchers *s);

/* The record of the run a trace belongs to: the one that started this process itself, else the last one
 * begun before it.  All zero when there is none. */
const struct launcher *launchers_find(const struct launchers *s, const struct trace_header *h);

#endif
