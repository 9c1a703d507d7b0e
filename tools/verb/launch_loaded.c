/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/loaded: did the loader take the library?  The kernel notes who opens a file: asked through
 * inotify(7) there is no race with a command that ends at once, and the library need do nothing.
 */
#include "tools/verb/launch.h"

#include <sys/inotify.h>
#include <unistd.h>

int launch_loaded_watch(const char *library)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd >= 0 && inotify_add_watch(fd, library, IN_OPEN) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool launch_loaded_done(int fd)
{
	char event[sizeof(struct inotify_event) + NAME_MAX + 1]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	bool opened = read(fd, event, sizeof(event)) > 0;

	close(fd);
	return opened;
}
