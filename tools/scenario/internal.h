/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/internal: the table of keys as data.  Private to tools/scenario.
 */
#ifndef TOOLS_SCENARIO_INTERNAL_H
#define TOOLS_SCENARIO_INTERNAL_H

#include "tools/scenario/keys.h"

struct key_row {
	enum key_place place;
	const char *name;
	enum key_type type;
	const char *more, *says;
};
struct key_place_row {
	const char *id, *what, *says;
};

extern const struct key_row key_row[]; /* ends with a row without a name */
extern const struct key_place_row key_place_row[PLACE_COUNT];

enum key_place key_place_named(const char *id);

#endif
