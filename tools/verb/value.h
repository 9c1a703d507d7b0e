/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/value: numbers with units, as options and variables give them.
 */
#ifndef TOOLS_VERB_VALUE_H
#define TOOLS_VERB_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* All return NULL on success, else what is wrong with the text, made to follow "'TEXT' ".
 * *ret is set only on success. */

/* "5s", "300ms", "1.5h": ns us ms s m h d; 0 needs no unit. Nanoseconds. */
const char *value_time(const char *text, uint64_t *ret);
/* "64M", "64MiB", "4096": powers of 1024. Bytes. */
const char *value_size(const char *text, uint64_t *ret);
/* Decimal digits only. */
const char *value_number(const char *text, uint64_t *ret);

#endif
