/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/library: where libshakedown.so is, and how to say so in LD_PRELOAD.
 */
#include "tools/verb/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/core.h"

#define LIBRARY_NAME "libshakedown.so"

/* The folder of our own executable. */
static bool own_folder(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return false;
	ret[n] = '\0';
	slash = strrchr(ret, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

/* Is there a library at FOLDER/REST? */
static bool try_place(struct launch_library *l, const char *folder, const char *rest)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s%s", folder, rest);

	return n > 0 && (size_t)n < sizeof(path) && realpath(path, l->real) &&
	       !stat(l->real, &st) && S_ISREG(st.st_mode);
}

bool launch_library_find(struct launch_library *ret, char *ret_why, size_t size)
{
	const char *given = getenv("SHAKEDOWN_LIB");
	char own[PATH_MAX];
	struct statvfs vfs;
	bool found;

	memset(ret, 0, sizeof(*ret));
	if (given && *given) {
		found = try_place(ret, given, "");
		if (!found)
			snprintf(ret_why, size,
				 "SHAKEDOWN_LIB names no library (%s): set it to the path of "
				 "libshakedown.so, or unset it",
				 given);
	} else {
		bool have_own = own_folder(own);

		found = (have_own && (try_place(ret, own, "/" LIBRARY_NAME) ||
				      try_place(ret, own, "/../lib/" LIBRARY_NAME))) ||
			try_place(ret, SHAKEDOWN_LIBDIR, "/" LIBRARY_NAME);
		if (!found && !have_own)
			snprintf(ret_why, size,
				 "cannot tell where this command lies, because /proc/self/exe is "
				 "not readable, and libshakedown.so is not in %s: mount /proc, or "
				 "set SHAKEDOWN_LIB to the path of the library",
				 SHAKEDOWN_LIBDIR);
		else if (!found)
			snprintf(ret_why, size,
				 "cannot find libshakedown.so next to the command, in ../lib or in "
				 "%s: set SHAKEDOWN_LIB to its path",
				 SHAKEDOWN_LIBDIR);
	}
	if (found && !statvfs(ret->real, &vfs) && vfs.f_flag & ST_NOEXEC) {
		snprintf(ret_why, size,
			 "%s lies on a file system mounted noexec and cannot be loaded: copy it "
			 "elsewhere and set SHAKEDOWN_LIB",
			 ret->real);
		return false;
	}
	if (found)
		memcpy(ret->preload, ret->real, sizeof(ret->preload));
	return found;
}

static bool is_clean(const char *path)
{
	return !path[strcspn(path, " :\t\n\v\f\r")];
}

/* A fresh folder below base with a link to the library in it. */
static bool link_below(struct launch_library *l, const char *base)
{
	struct stat st;

	if (!is_clean(base) || stat(base, &st) || !S_ISDIR(st.st_mode))
		return false;
	if (snprintf(l->private_dir, sizeof(l->private_dir), "%s/shakedown-XXXXXX", base) >=
	    (int)sizeof(l->private_dir))
		goto none;
	if (!mkdtemp(l->private_dir))
		goto none;
	snprintf(l->preload, sizeof(l->preload), "%s/" LIBRARY_NAME, l->private_dir);
	/* A server that gives up root and starts helpers must still reach the link. */
	if (!chmod(l->private_dir, 0711) && !symlink(l->real, l->preload))
		return true;
	rmdir(l->private_dir);
none:
	l->private_dir[0] = '\0';
	return false;
}

bool launch_library_clean(struct launch_library *l, char *ret_why, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (is_clean(l->real))
		return true;
	if ((run && run[0] == '/' && link_below(l, run)) || link_below(l, "/tmp") ||
	    link_below(l, "/var/tmp"))
		return true;
	snprintf(ret_why, size,
		 "the path of the library holds a space or a colon, where LD_PRELOAD is split, and "
		 "no link to it could be made in /tmp: move it (%s)",
		 l->real);
	return false;
}

void launch_library_done(struct launch_library *l)
{
	if (!l->private_dir[0])
		return;
	unlink(l->preload);
	rmdir(l->private_dir);
	l->private_dir[0] = '\0';
}

/* ---- the value of LD_PRELOAD ---- */

struct list {
	char *p;
	size_t n, size;
	bool full;
};

static void append(struct list *l, const char *path, size_t n)
{
	size_t colon = l->n ? 1 : 0;

	if (l->full || l->n + colon + n + 1 > l->size) {
		l->full = true;
		return;
	}
	if (colon)
		l->p[l->n++] = ':';
	memcpy(l->p + l->n, path, n);
	l->n += n;
	l->p[l->n] = '\0';
}

static bool is_sanitizer(const char *path, size_t n)
{
	static const char *const names[] = {"libasan.",	 "libtsan.",   "liblsan.",
					    "libubsan.", "libhwasan.", "libclang_rt."};

	for (size_t i = 0; i < CORE_ARRAY_LEN(names); i++) {
		if (memmem(path, n, names[i], strlen(names[i])))
			return true;
	}
	return false;
}

bool launch_preload(const char *preload, const char *existing, const char *sanitizer, char *ret,
		    size_t size)
{
	static const char separators[] = " :";
	struct list l = {.p = ret, .size = size};
	const char *p = existing ? existing : "";
	bool ours = false;

	ret[0] = '\0';
	/* A sanitizer's runtime refuses to work unless it is the first library of all. */
	if (sanitizer[0] && !strstr(p, sanitizer))
		append(&l, sanitizer, strlen(sanitizer));
	for (p += strspn(p, separators); *p; p += strspn(p, separators)) {
		size_t n = strcspn(p, separators);

		if (!ours && !is_sanitizer(p, n)) {
			append(&l, preload, strlen(preload));
			ours = true;
		}
		if (n != strlen(preload) || memcmp(p, preload, n))
			append(&l, p, n);
		p += n;
	}
	if (!ours)
		append(&l, preload, strlen(preload));
	return !l.full;
}
