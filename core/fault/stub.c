/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/stub: stands in for the parser for minutes.
 */
#include "core/fault/rule.h"

bool fault_parse_rule(const char *text, size_t n, struct fault_rule *ret, struct fault_error *e)
{
	memset(e, 0, sizeof(*e));
	return false;
}

bool fault_parse_rules(const char *text, size_t n, struct fault_rule *rules, uint32_t max,
		       uint32_t *ret_count, struct fault_error *e)
{
	memset(e, 0, sizeof(*e));
	return false;
}

bool fault_rule_check(const struct fault_rule *r)
{
	return false;
}

size_t fault_rule_print(const struct fault_rule *r, char *to, size_t room)
{
	return 0;
}

const char *fault_errno_name(uint64_t number)
{
	return NULL;
}

const char *fault_signal_name(uint64_t number)
{
	return NULL;
}
