/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/object: parts of the JSON report as jansson values.  The shape is docs/report.schema.json.
 * Every function returns a new reference, or NULL when memory is out.
 */
#ifndef TOOLS_FORMAT_OBJECT_H
#define TOOLS_FORMAT_OBJECT_H

#include <jansson.h>

#include "tools/format/format.h"

/* Strings of any bytes: well-formed UTF-8 out, other bytes as \xNN text; JSON null for NULL. */
json_t *object_bytes(struct span bytes);
json_t *object_text(const char *text);

json_t *object_exchange(const struct report_case *rc, struct blamer *b);

/* A finding; c and b NULL for findings of a process. */
json_t *object_finding(const struct finding *f, const struct connection *c,
		       const struct exchange *x, struct blamer *b);

/* ---- rules.c ---- */

/* What the rules of a run did: an array, empty when it had none. path: of the trace. */
json_t *object_rules(const char *path);

/* ---- event.c ---- */

/* One event of a connection; the beginning of its bytes is included. */
json_t *object_event(const struct trace_header *h, const struct event *e);

#endif
