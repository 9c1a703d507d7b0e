/* SPDX-License-Identifier: BSD-2-Clause
 *
 * environ: what must survive an exec, so that the next image is watched as well.
 *
 * (1) Everything is copied when the library is loaded: programs overwrite the strings they were
 *     started with (setproctitle) and hand cleaned environments to exec.
 * (2) An environment that lacks nothing is handed on as it is.  Otherwise the copy keeps every entry
 *     in its order; a variable of ours that is there, whatever its value, is left alone.
 * (3) Our entry in LD_PRELOAD is added in front, or behind a sanitizer's runtime, which insists on
 *     being first; an entry of ours that is there already stays where it is.
 * (4) SHAKEDOWN_TRACE, SHAKEDOWN_RULES_FILE and our entry in LD_PRELOAD are made absolute in the
 *     process's own environment too: it may change its folder and hand them on.  Nothing else in there
 *     is touched.
 * (5) An environment the kernel could not read either is left to the kernel.
 * (6) When we were not loaded by LD_PRELOAD (/etc/ld.so.preload, a link), it is none of our business.
 */
#include "shim/engine/config.h"
#include "shim/engine/control.h"
#include "shim/engine/line.h"
#include "shim/engine/peek.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/libc/door.h"

#include <errno.h>
#include <sys/stat.h>

#define PRELOAD "LD_PRELOAD="
#define OURS	"SHAKEDOWN"
#define TRACE	"SHAKEDOWN_TRACE="
#define RULES	"SHAKEDOWN_RULES_FILE="
#define CONTROL "SHAKEDOWN_CONTROL="

enum {
	ENVIRON_VARS = 64,
	ENVIRON_BYTES = 65536,
};

static struct {
	char text[ENVIRON_BYTES]; /* every string below lives here */
	size_t used;
	const char *var[ENVIRON_VARS]; /* NAME=value */
	unsigned vars;
	const char *entry; /* ours in LD_PRELOAD, NULL when we did not come that way */
} kept;

static bool starts_with(const char *text, const char *prefix)
{
	while (*prefix && *text == *prefix) {
		text++;
		prefix++;
	}
	return !*prefix;
}

/* NAME or NAME_anything, up to the '='. */
static bool is_ours(const char *entry)
{
	return starts_with(entry, OURS) &&
	       (entry[sizeof(OURS) - 1] == '=' || entry[sizeof(OURS) - 1] == '_');
}

/* a and b are NAME=value: the same NAME? */
static bool same_name(const char *a, const char *b)
{
	while (*a && *a == *b && *a != '=') {
		a++;
		b++;
	}
	return *a == '=' && *b == '=';
}

/* Copy a and b, one behind the other. NULL when there is no room left. */
static const char *keep(const char *a, const char *b, size_t b_len)
{
	struct line l;

	line_init(&l, kept.text + kept.used, sizeof(kept.text) - kept.used);
	line_add(&l, a);
	line_add_span(&l, b, b_len);
	if (l.cut)
		return NULL;
	kept.used += l.n + 1;
	return l.p;
}

/* ---- LD_PRELOAD ---- */

static bool is_separator(char c)
{
	return c == ':' || c == ' ';
}

/* The entry of an LD_PRELOAD value at or behind *at; its length, 0 at the end. */
static size_t next_entry(const char **at)
{
	size_t n = 0;

	while (is_separator(**at))
		(*at)++;
	while ((*at)[n] && !is_separator((*at)[n]))
		n++;
	return n;
}

static bool entry_is(const char *entry, size_t n, const char *text)
{
	return text && line_length(text) == n && memcmp(entry, text, n) == 0;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x = {0}, y = {0};

	return sys_4(SYS_newfstatat, AT_FDCWD, (long)a, (long)&x, 0) == 0 &&
	       sys_4(SYS_newfstatat, AT_FDCWD, (long)b, (long)&y, 0) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static bool has_any(const char *path, const char *characters)
{
	for (; *path; path++) {
		for (const char *c = characters; *c; c++) {
			if (*path == *c)
				return true;
		}
	}
	return false;
}

/* Our entry, so that it means the same from any folder and without a search path: the loader's name
 * for us, made absolute.  The entry itself where that cannot be written in LD_PRELOAD. */
static const char *lasting_entry(const char *entry, const char *self)
{
	static char path[CONFIG_PATH_MAX];
	struct line l;
	long n;

	line_init(&l, path, sizeof(path));
	if (self[0] != '/') {
		n = sys_2(SYS_getcwd, (long)path, sizeof(path));
		if (n <= 0 || path[0] != '/')
			return entry;
		l.n = (size_t)n - 1;
		line_add(&l, l.n > 1 ? "/" : "");
		self += starts_with(self, "./") ? 2 : 0;
	}
	line_add(&l, self);
	return l.cut || has_any(path, ": $") ? entry : keep("", path, l.n);
}

/* In the LD_PRELOAD we were started with, put ours in the place of n characters at value. */
static void replace_entry(char **preload, const char *value, size_t n)
{
	struct line l;

	line_init(&l, kept.text + kept.used, sizeof(kept.text) - kept.used);
	line_add_span(&l, *preload, (size_t)(value - *preload));
	line_add(&l, kept.entry);
	line_add(&l, value + n);
	if (!l.cut) {
		kept.used += l.n + 1;
		*preload = l.p;
	}
}

/* Find our entry in the LD_PRELOAD we were started with, and make it last there too. */
static void find_entry(char **preload, const char *self)
{
	const char *value = *preload + sizeof(PRELOAD) - 1;
	size_t n;

	for (; (n = next_entry(&value)); value += n) {
		size_t before = kept.used;
		const char *entry = keep("", value, n);

		if (entry && (line_equal(entry, self) || line_equal(entry, line_base(self)) ||
			      same_file(entry, self))) {
			kept.entry = lasting_entry(entry, self);
			if (kept.entry && !line_equal(entry, kept.entry))
				replace_entry(preload, value, n);
			return;
		}
		kept.used = before;
	}
}

static bool has_entry(const char *value)
{
	size_t n;

	for (; (n = next_entry(&value)); value += n) {
		if (entry_is(value, n, kept.entry))
			return true;
	}
	return false;
}

/* Where in an LD_PRELOAD value our entry goes. */
static size_t entry_place(const char *value)
{
	static const char *const first[] = {"libasan", "liblsan", "libtsan", "libubsan",
					    "libclang_rt"};
	const char *at = value;
	size_t n = next_entry(&at);

	for (size_t i = 0; i < CORE_ARRAY_LEN(first); i++) {
		size_t base = n;

		while (base && at[base - 1] != '/')
			base--;
		if (starts_with(at + base, first[i]))
			return (size_t)(at - value) + n;
	}
	return 0;
}

/* Write "LD_PRELOAD=" and value with our entry; returns the end, behind the NUL. */
static char *write_preload(char *to, const char *value)
{
	size_t place = entry_place(value);
	struct line l;

	line_init(&l, to, SIZE_MAX / 2);
	line_add(&l, PRELOAD);
	line_add_span(&l, value, place);
	line_add(&l, place ? ":" : "");
	line_add(&l, kept.entry);
	line_add(&l, value[place] && !is_separator(value[place]) ? ":" : "");
	line_add(&l, value + place);
	return l.p + l.n + 1;
}

/* ---- life ---- */

/* A variable of ours, so that it means the same from any folder; NULL when there is no room. */
static const char *lasting_variable(const char *entry)
{
	static char path[CONFIG_PATH_MAX];
	long n;

	if (starts_with(entry, TRACE) && config_place[0])
		return keep(TRACE, config_place, line_length(config_place));
	if (starts_with(entry, RULES) && entry[sizeof(RULES) - 1] &&
	    entry[sizeof(RULES) - 1] != '/') {
		struct line l;

		line_init(&l, path, sizeof(path));
		n = sys_2(SYS_getcwd, (long)path, sizeof(path));
		l.n = n > 0 && path[0] == '/' ? (size_t)n - 1 : 0;
		line_add(&l, l.n > 1 ? "/" : "");
		line_add(&l, entry + sizeof(RULES) - 1);
		if (!l.cut)
			return keep(RULES, path, l.n);
	}
	return keep("", entry, line_length(entry));
}

void libc_environ_start(char **environ, const char *self)
{
	for (; environ && *environ; environ++) {
		if (starts_with(*environ, PRELOAD) && self && !kept.entry)
			find_entry(environ, self);
		if (!is_ours(*environ) || kept.vars == ENVIRON_VARS)
			continue;

		const char *copy = lasting_variable(*environ);

		if (!copy)
			continue;
		if (!line_equal(copy, *environ)) /* also for children that get it as it is */
			*environ = (char *)copy;
		kept.var[kept.vars++] = copy;
	}
	if (control_path[0] && kept.vars < ENVIRON_VARS) {
		const char *copy = keep(CONTROL, control_path, line_length(control_path));

		if (copy)
			kept.var[kept.vars++] = copy;
	}
}

static bool has_var(char *const *envp, const char *var)
{
	for (; envp && *envp; envp++) {
		if (same_name(*envp, var))
			return true;
	}
	return false;
}

enum {
	PAGE = 4096,
	STRING_MAX = 32 * PAGE, /* the kernel takes no longer ones */
};

/* Pages known to be there, one behind the other: [from, to). */
struct pages {
	uintptr_t from, to;
};

/* Is the page of p there? */
static bool has_page(struct pages *known, const void *p)
{
	uintptr_t page = (uintptr_t)p & ~(uintptr_t)(PAGE - 1);

	if (page - known->from < known->to - known->from)
		return true;
	if (!peek_has_page(page))
		return false;
	if (page != known->to)
		known->from = page;
	known->to = page + PAGE;
	return true;
}

static bool has_string(struct pages *known, const char *p)
{
	for (size_t i = 0; i < STRING_MAX; i++) {
		if ((!i || (uintptr_t)(p + i) % PAGE == 0) && !has_page(known, p + i))
			return false;
		if (!p[i])
			return true;
	}
	return false;
}

/* Can the list and its strings be read?  The program may hand on addresses that are none, and shall
 * get its EFAULT from the kernel. */
static bool is_readable(char *const *envp)
{
	struct pages list = {0}, strings = {0};

	if (!envp || engine.quiet)
		return true;
	for (;; envp++) {
		/* An entry may lie across the end of a page. */
		if (!has_page(&list, envp) || !has_page(&list, (const char *)(envp + 1) - 1))
			return false;
		if (!*envp)
			return true;
		if (!has_string(&strings, *envp))
			return false;
	}
}

size_t libc_environ_lack(char *const *envp)
{
	size_t n = 0, bytes = 0, lack = 0;
	bool preload = false;

	if ((!kept.entry && !kept.vars) || !is_readable(envp))
		return 0;
	for (; envp && envp[n]; n++) {
		if (!kept.entry || !starts_with(envp[n], PRELOAD))
			continue;
		preload = true;
		if (!has_entry(envp[n] + sizeof(PRELOAD) - 1)) {
			lack++;
			bytes += line_length(envp[n]) + line_length(kept.entry) + 3;
		}
	}
	if (kept.entry && !preload) {
		lack++;
		bytes += sizeof(PRELOAD) + line_length(kept.entry);
	}
	for (unsigned i = 0; i < kept.vars; i++)
		lack += !has_var(envp, kept.var[i]);
	return lack ? (n + 1 + kept.vars + 1) * sizeof(char *) + bytes : 0;
}

char **libc_environ_copy(char *const *envp, void *room)
{
	char **copy = room;
	size_t n = 0, at = 0;
	bool preload = false;

	while (envp && envp[n])
		n++;

	char *text = (char *)(copy + n + 1 + kept.vars + 1);

	for (size_t i = 0; i < n; i++) {
		copy[at++] = envp[i];
		if (!kept.entry || !starts_with(envp[i], PRELOAD))
			continue;
		preload = true;
		if (!has_entry(envp[i] + sizeof(PRELOAD) - 1)) {
			copy[at - 1] = text;
			text = write_preload(text, envp[i] + sizeof(PRELOAD) - 1);
		}
	}
	if (kept.entry && !preload) {
		copy[at++] = text;
		write_preload(text, "");
	}
	for (unsigned i = 0; i < kept.vars; i++) {
		if (!has_var(envp, kept.var[i]))
			copy[at++] = (char *)kept.var[i];
	}
	copy[at] = NULL;
	return copy;
}
