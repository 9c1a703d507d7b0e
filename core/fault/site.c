/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/site: see site.h.
 */
#include "core/fault/site.h"

static const struct {
	const char *name;
	bool moves;
} calls[] = {
#define SITE(name, moves) {#name, moves},
#include "core/fault/site.def"
};

static const void *find(const char *name, size_t n, bool moving)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(calls); i++) {
		size_t at = 0;

		while (at < n && calls[i].name[at] && name[at] == calls[i].name[at])
			at++;
		if (at == n && !calls[i].name[at] && (calls[i].moves || !moving))
			return &calls[i];
	}
	return NULL;
}

const char *fault_call_name(unsigned i)
{
	return i < CORE_ARRAY_LEN(calls) ? calls[i].name : NULL;
}

bool fault_call_known(struct span name)
{
	return find((const char *)name.p, name.n, false) != NULL;
}

bool fault_call_moves(const char *name)
{
	size_t n = 0;

	while (name[n])
		n++;
	return find(name, n, true) != NULL;
}
