/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/start: the file to start from, and where the shipped scenarios are.
 */
#ifndef TOOLS_SCENARIO_START_H
#define TOOLS_SCENARIO_START_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

extern const char start_text[];

/* Write it to a file that does not exist yet. Returns 0 or an errno. */
int start_write(const char *path);

/* The folder of the catalogue. False: it is nowhere. */
bool start_catalogue(char ret[PATH_MAX]);

#endif
