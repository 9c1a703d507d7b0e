/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/view: a complete head, taken apart for reading.  Spans point into the caller's bytes.
 */
#ifndef CORE_HTTP_VIEW_H
#define CORE_HTTP_VIEW_H

#include "core/http/head.h"

enum {
	HTTP_VIEW_FIELDS = 128, /* further fields are counted in dropped, never silently lost */
};

struct http_field {
	struct span name;  /* as sent */
	struct span value; /* OWS trimmed */
	uint32_t off;	   /* of the name, from the start of the head */
};

struct http_view {
	struct http_head head; /* DONE, MORE (truncated: what is there is valid) or BAD */
	struct span method, target, version, status, reason;
	uint32_t field_count, dropped;
	struct http_field field[HTTP_VIEW_FIELDS];
};

/* Parse the head at the start of bytes. Returns bytes of the head, 0 when incomplete or bad. */
size_t http_view_parse(struct http_view *v, enum http_kind kind, struct span bytes);

/* The nth (from 0) field of that name, case-insensitive; NULL when there is none. */
const struct http_field *http_view_field(const struct http_view *v, const char *name, unsigned nth);
unsigned http_view_count(const struct http_view *v, const char *name);

/* Does any field of that name hold the token in its comma-separated list?  Case-insensitive. */
bool http_view_has_token(const struct http_view *v, const char *name, const char *token);

/* Walk a comma-separated list: *at starts at 0; false at the end.  Empty elements are skipped. */
bool http_list_next(struct span list, size_t *at, struct span *ret_item);

bool span_is(struct span s, const char *text);	      /* exact */
bool span_is_nocase(struct span s, const char *text); /* ASCII case ignored */

#endif
