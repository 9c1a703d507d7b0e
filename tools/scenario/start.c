/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/start: what `shakedown test --init` writes.
 */
#include "tools/scenario/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char start_text[] =
	"# A scenario for `shakedown test`.  Run it with: shakedown test FILE\n"
	"# docs/scenarios.md describes every key; a key that is misspelt is refused with its "
	"line.\n"
	"version: 1\n"
	"name: slow-101\n"
	"about: The answer to one upgrade is slow; another client must not notice.\n"
	"\n"
	"# Once with each seed: the same seed gives the same faults.\n"
	"seeds: [1, 2, 3]\n"
	"\n"
	"target:\n"
	"  cmd: [./server, --port, $port]   # $port is a free port; leave it out if yours is "
	"fixed\n"
	"  ready: {listen: any, within: 10s}\n"
	"  stop: {signal: TERM, within: 5s}\n"
	"\n"
	"# Off until a step switches them on.  docs/faults.md lists all faults and matchers.\n"
	"rules:\n"
	"  slow: \"tx@response-head:delay=300ms:path=/ws\"\n"
	"  # The same rule, spelt out:\n"
	"  # slow: {site: tx@response-head, fault: {delay: {time: 300ms}}, match: {path: /ws}}\n"
	"\n"
	"steps:\n"
	"  - on: slow\n"
	"  - client:\n"
	"      name: a\n"
	"      background: yes\n"
	"      do:\n"
	"        - upgrade: {path: /ws, at_least: 250ms}\n"
	"        - frame: hello\n"
	"        - close: {code: 1000}\n"
	"  - client:\n"
	"      name: b\n"
	"      do:\n"
	"        - request: /\n"
	"        - expect: {status: any, within: 200ms}   # a's delay is not b's\n"
	"  - wait: {client: a}\n"
	"  # Any other program can be the client, too:\n"
	"  # - run: {cmd: [curl, -sf, \"http://$host:$port/\"], timeout: 5s}\n"
	"  - off: all\n"
	"\n"
	"settle: 500ms\n"
	"\n"
	"# A rule that was on and never acted fails the scenario by itself.\n"
	"expect:\n"
	"  - hits: {slow: \">=1\"}\n"
	"  - client: {b: {within: 250ms}}\n"
	"  - findings: {absent: error}\n"
	"  - server: {state: running, fd_leak: 0, spin: no}\n";

int start_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n;
	int e;

	if (fd < 0)
		return errno;
	n = write(fd, start_text, strlen(start_text));
	e = n == (ssize_t)strlen(start_text) ? 0 : n < 0 ? errno : ENOSPC;
	if (close(fd) && !e)
		e = errno;
	return e;
}

bool start_catalogue(char ret[PATH_MAX])
{
	/* Installed; then the build folder of the sources, whose variants lie one deeper. */
	static const char *const near[] = {"../share/shakedown/scenarios", "../../share/scenarios",
					   "../share/scenarios"};
	char self[PATH_MAX], place[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		n = snprintf(place, sizeof(place), "%s/%s", self, near[i]);
		if (n > 0 && (size_t)n < sizeof(place) && realpath(place, ret))
			return true;
	}
	return false;
}
