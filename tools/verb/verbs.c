/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/verbs: the list of verbs.
 */
#include <string.h>

#include "tools/verb/verb.h"

const struct verb *const verb_all[] = {&verb_run,     &verb_test,   &verb_rules, &verb_report,
				       &verb_explain, &verb_doctor, NULL};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verb_all[i]; i++) {
		if (!strcmp(verb_all[i]->name, name))
			return verb_all[i];
	}
	return NULL;
}
