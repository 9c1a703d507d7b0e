/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config: what the environment asks of the guest.  Rows: config.def.
 */
#ifndef SHIM_ENGINE_CONFIG_H
#define SHIM_ENGINE_CONFIG_H

#include "core/core.h"

enum {
	CONFIG_PATH_MAX = 4096,
	CONFIG_PROBLEM_MAX = 256,
};

struct config {
	bool enabled;
	bool keep_first;
	bool all;
	bool no_redact;
	bool quiet; /* also when a process before us said it already */
	uint32_t max_body;
	uint32_t max_payload;
	uint64_t max_trace;
	/* Of the environment: gone when the program overwrites it. */
	const char *rules, *rules_file, *control;
	uint64_t seed;
};

/* Absolute path of the folder the trace files go to; "" when it cannot be told. */
extern char config_place[CONFIG_PATH_MAX];

/* The command through which static programs are executed; "": as they are. */
extern char config_launch[CONFIG_PATH_MAX];

/* Read SHAKEDOWN_* from environ.  Returns NULL, or a sentence that names the remedy, in memory that
 * lives for ever. */
const char *config_read(struct config *c, char *const *environ);

#endif
