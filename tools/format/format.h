/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format: one file per report format.  A format gets the loaded set and a filter and writes to stdout.
 * Bytes from the network are hostile in every output.
 */
#ifndef TOOLS_FORMAT_FORMAT_H
#define TOOLS_FORMAT_FORMAT_H

#include <stdio.h>

#include "tools/blame/blame.h"
#include "tools/exchange/load.h"

struct report_filter {
	const char *path;	/* glob on the request path, with or without the query; NULL all */
	const char *finding;	/* finding id, NULL all */
	const char *conn;	/* connection id or cookie (decimal or 0x...), NULL all */
	uint64_t since_real_ns; /* CLOCK_REALTIME, 0 all */
	bool all;		/* plain exchanges and healthy attempts in full, too */
	bool colour;
	unsigned width;	  /* columns of the page, 0: 100 */
	const char *name; /* what the user called the trace */
};

/* What was printed, for exit statuses and for --follow. */
struct report_result {
	enum severity worst; /* of the findings that passed the filter */
	bool any;
	bool blind; /* every image is blind */
};

struct report_format {
	const char *name;
	void (*write)(FILE *out, struct trace_set *set, const struct report_filter *f,
		      const struct finding_options *o, struct report_result *ret);
};
extern const struct report_format format_text, format_json;

enum {
	/* An exchange's own findings and those of its connection. */
	CASE_FINDINGS = 2 * FINDING_MAX,
};

/* One exchange with everything that was found about it. */
struct report_case {
	const struct image *img;
	const struct connection *c;
	const struct exchange *x;
	uint32_t findings;
	struct finding finding[CASE_FINDINGS];
};

/* One decided attempt on its own, for --follow: a block or a line of text, one JSON object on a line.
 *   set   the images b may look at for a healthy switch */
void format_text_case(FILE *out, const struct report_case *rc, struct blamer *b,
		      const struct report_filter *f);
void format_json_case(FILE *out, const struct report_case *rc, struct blamer *b);

/* ---- escape.c ---- */

/* Write bytes so that a terminal cannot be harmed: printable ASCII as it is, \ doubled, \r \n \t, and
 * \xNN for everything else.  At most max bytes are shown; "..." tells that there were more. */
void format_escaped(FILE *out, struct span bytes, size_t max);

/* The same into memory; ret holds size bytes and is NUL-terminated. Returns its length.
 * Never ends inside an escape; *ret_used, unless NULL, is how many bytes of the input it shows. */
size_t format_escape(char *ret, size_t size, struct span bytes, size_t *ret_used);

/* The same for text of ours and of files (names, messages): no \r \n marks needed to be told apart, so
 * UTF-8 stays readable but control characters do not get through. Returns malloc'ed text. */
char *format_clean(const char *text);

/* Text for a JSON string: valid UTF-8 stays, other bytes become \xNN. malloc'ed, *ret_len its length. */
char *format_utf8(struct span bytes, size_t *ret_len);

/* ---- calls.c ---- */

/* The name the writer of the trace gave to a call's number; "?" when it gave none. */
struct span format_call_name(const struct trace_header *h, unsigned call);

#endif
