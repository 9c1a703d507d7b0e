/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/carry: what a watched process executes in the place of a program that loads no libraries.  The
 * same process becomes that program: nothing is said, nothing waits, whatever cannot be done is left
 * out.
 */
#include "tools/verb/launch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/verb/verb.h"

int carry(int argc, char **argv)
{
	/* Not on the stack: its limit is the program's, and may be a few pages. */
	static struct launch_library l;
	static char why[2 * PATH_MAX];
	int e;

	if (argc < 3 || strcmp(argv[0], "--")) {
		complain("carry is called by the library alone: carry -- PATH ARGV0 ARGS...");
		return VERB_USAGE;
	}
	if (launch_library_find(&l, why, sizeof(why))) {
		e = inject_exec(argv[1], argv + 2, environ, l.real);
	} else {
		execve(argv[1], argv + 2, environ);
		e = errno;
	}
	complain("%s cannot be executed: %s", argv[1], strerror(e));
	return e == ENOENT ? LAUNCH_NOT_FOUND : LAUNCH_NOT_RUN;
}
