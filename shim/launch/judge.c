/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/judge: what the library will find to patch in a program, found the same way beforehand.
 */
#include "shim/launch/launch.h"

#include "core/target/go.h"
#include "core/target/site.h"
#include "shim/static/wanted.h"

static bool count_left(void *arg, const struct site *s)
{
	unsigned *left = arg;

	*left += !static_can_do(s);
	return true;
}

void inject_judge(struct span file, struct inject_sight *ret)
{
	struct go_site go[GO_SITES];
	struct site_totals totals;
	unsigned n = 0;
	char version[32];
	struct elf e;

	*ret = (struct inject_sight){0};
	if (!elf_open(file, &e))
		return;
	if (go_build_info(&e, version, sizeof(version))) {
		ret->sites = go_sites(&e, go_minor(version), go, &n) == GO_SITES_FOUND ? n : 0;
		return;
	}
	totals = sites_find(&e, static_wants, count_left, &n);
	ret->sites = totals.sites - n;
	ret->refused = totals.refused + n;
	ret->cancelled = totals.cancelled;
}
