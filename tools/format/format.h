/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format: one file per report format.  A format gets the loaded set and a filter and writes to stdout.
 * Bytes from the network are hostile in every output.
 */
#ifndef TOOLS_FORMAT_FORMAT_H
#define TOOLS_FORMAT_FORMAT_H

#include <stdio.h>

#include "tools/exchange/load.h"

struct report_filter {
	const char *path;      /* glob on the request path, NULL all */
	const char *finding;   /* finding id, NULL all */
	const char *conn;      /* connection id or cookie, NULL all */
	uint64_t since_ns;     /* CLOCK_MONOTONIC, 0 all */
	bool all;	       /* plain exchanges and healthy attempts in full, too */
	bool colour;
};

/* What was printed, for exit statuses and for --follow. */
struct report_result {
	enum severity worst;   /* of the findings that passed the filter */
	bool any;
	bool blind;	       /* every image is blind */
};

struct report_format {
	const char *name;
	void (*write)(FILE *out, struct trace_set *set, const struct report_filter *f,
		      const struct finding_options *o, struct report_result *ret);
};
extern const struct report_format format_text, format_json;

/* Write bytes so that a terminal cannot be harmed: \x1b and kin as \xNN, CR LF as \r\n marks. */
void format_escaped(FILE *out, struct span bytes, size_t max);

#endif
