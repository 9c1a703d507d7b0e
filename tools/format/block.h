/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/block: the parts of a text report that are about one attempt.
 */
#ifndef TOOLS_FORMAT_BLOCK_H
#define TOOLS_FORMAT_BLOCK_H

#include "tools/format/page.h"

/* Everything about one attempt: header line, finding, timeline, blame, why, fix, the other findings. */
void block_write(const struct page *p, const struct report_case *rc, struct blamer *b);

/* One line: an attempt that is healthy. */
void block_line(const struct page *p, const struct report_case *rc);

/* One finding without an exchange: of a connection (c) or of a process (c NULL). */
void block_finding(const struct page *p, const struct image *img, const struct connection *c,
		   const struct finding *f, struct blamer *b);

/* What happened on the wire, call by call. */
void timeline_write(const struct page *p, const struct report_case *rc);

/* "GET", "/path?query", "websocket", 101: escaped, never empty. Each ret holds size bytes. */
void block_target(const struct exchange *x, char *ret, size_t size);
void block_method(const struct exchange *x, char *ret, size_t size);
void block_protocol(const struct exchange *x, char *ret, size_t size);
unsigned block_status(const struct exchange *x); /* 0: no final answer */

/* ---- rules.c ---- */

/* What the rules of a run did; nothing when it had none. path: of the trace. */
void rules_write(const struct page *p, const char *path);

#endif
