/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/rule_error: a wrong rule, shown as compilers show a wrong line: where, what, the line with a caret
 * under the offending word, and the words that would have been valid.
 */
#ifndef TOOLS_CONTROL_RULE_ERROR_H
#define TOOLS_CONTROL_RULE_ERROR_H

#include <stdio.h>

#include "core/fault/rule.h"

/* source: what the user calls the text, a file's name or an option; text: all of it, ending in NUL; e: of
 * its bytes.
 *
 *     SOURCE:2:12: no fault is called 'dealy'
 *         tx@frames:dealy=3ms
 *                   ^~~~~
 *         valid here: delay, rate, ...
 */
void rule_error_print(FILE *out, const char *source, const char *text, const struct fault_error *e);

#endif
