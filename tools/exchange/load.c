/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/load: a folder of trace files -> images, each mapped read-only, with what is known about
 * how its process ended.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/exchange/arena.h"
#include "tools/exchange/kernel.h"
#include "tools/exchange/launcher.h"
#include "tools/exchange/load.h"

struct names {
	char **name;
	size_t n, cap;
};

/* ---- is it still running? ---- */

/* Read a small file of /proc; returns its length, 0 when it cannot be read. */
static size_t read_small(const char *path, char *ret, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, max - 1);

	if (fd >= 0)
		close(fd);
	n = n < 0 ? 0 : n;
	ret[n] = '\0';
	return (size_t)n;
}

static bool same_boot(const uint8_t id[16])
{
	char text[64], *p = text;
	unsigned digits = 0;

	if (!read_small("/proc/sys/kernel/random/boot_id", text, sizeof(text)))
		return false;
	for (; *p && digits < 32; p++) {
		unsigned v, want = digits & 1 ? id[digits / 2] & 15u : id[digits / 2] >> 4;

		if (*p == '-')
			continue;
		v = *p <= '9' ? (unsigned)(*p - '0') : (unsigned)(*p - 'a' + 10);
		if (v != want)
			return false;
		digits++;
	}
	return digits == 32;
}

/* Field 22 of /proc/PID/stat; 0 when the process is gone or only waits to be reaped. */
static uint64_t start_ticks_of(uint32_t pid)
{
	char path[64], text[1024], *p, state;
	uint64_t v = 0;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
	if (!read_small(path, text, sizeof(text)))
		return 0;
	p = strrchr(text, ')'); /* the name before it may hold anything */
	if (!p || p[1] != ' ')
		return 0;
	p += 2;
	state = *p;
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (p && state != 'Z' && state != 'X')
		v = strtoull(p, NULL, 10);
	return v;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- one file ---- */

static char *sentence(const char *path, const char *what)
{
	char *s;

	return asprintf(&s, "%s: %s", path, what) < 0 ? NULL : s;
}

/* Map a trace without touching its holes: on a tmpfs reading one takes a page, and where there is none
 * left that is SIGBUS.  What is not data is zeros of our own. */
static void *map_sparse(int fd, size_t size)
{
	const off_t page = 4096;
	uint8_t *base =
		mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	off_t at = 0, end;

	if (base != MAP_FAILED && lseek(fd, 0, SEEK_DATA) < 0 && errno != ENXIO)
		return mmap(base, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	while (base != MAP_FAILED && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0 || end > (off_t)size)
			end = (off_t)size;
		at &= -page;
		if (at >= end)
			break;
		if (mmap(base + at, (size_t)(end - at), PROT_READ, MAP_SHARED | MAP_FIXED, fd,
			 at) == MAP_FAILED) {
			munmap(base, size);
			return MAP_FAILED;
		}
		at = end;
	}
	return base;
}

/* Map it; false with a sentence. */
static bool image_open(struct image *img, char *path, char **ret_error)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	void *p;

	*img = (struct image){.path = path, .name = path};
	if (fd < 0 || fstat(fd, &st) < 0) {
		*ret_error = sentence(path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct trace_header)) {
		*ret_error = sentence(path, "too short to be a trace; was the disk full?");
		close(fd);
		return false;
	}
	p = map_sparse(fd, (size_t)st.st_size);
	close(fd);
	if (p == MAP_FAILED) {
		*ret_error = sentence(path, strerror(errno));
		return false;
	}
	img->file = p;
	img->len = (size_t)st.st_size;
	if (trace_check(img->file, img->len) != TRACE_OK) {
		*ret_error = sentence(path, trace_error_text(trace_check(img->file, img->len)));
		return false;
	}
	img->header = p;
	return true;
}

static void image_close(struct image *img)
{
	image_done(img);
	if (img->file)
		munmap((void *)(uintptr_t)img->file, img->len);
	free(img->name);
	*img = (struct image){0};
}

/* ---- a file that is still being written ---- */

static void copy_range(uint8_t *to, const struct image *img, uint64_t off, uint64_t n)
{
	if (off >= img->len)
		return;
	memcpy(to + off, img->file + off, n < img->len - off ? n : img->len - off);
}

/* Go on with a copy: the model is built in two walks, and a half may be thrown away between them.
 * Only what is in use is copied; the rest of a sparse file stays sparse. */
static void image_freeze(struct image *img)
{
	uint8_t *copy = mmap(NULL, img->len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct trace_header h;

	if (copy == MAP_FAILED)
		return;
	memcpy(&h, img->file, sizeof(h));
	memcpy(copy, &h, sizeof(h));
	if (trace_check(copy, img->len) != TRACE_OK) {
		munmap(copy, img->len);
		return;
	}
	copy_range(copy, img, TRACE_HEADER_SIZE, h.data_off - TRACE_HEADER_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t used = h.half[i].cursor & ~TRACE_CURSOR_CLOSED;

		used = used < h.half_size ? used : h.half_size;

		copy_range(copy, img, h.data_off + i * h.half_size, used);
	}
	if (h.connections_off + TRACE_CONNECTIONS * sizeof(struct trace_connection) <= img->len)
		kernel_mark_left((struct trace_connection *)(copy + h.connections_off),
				 TRACE_CONNECTIONS, h.netns, now_ns());
	munmap((void *)(uintptr_t)img->file, img->len);
	img->file = copy;
	img->header = (const void *)copy;
}

/* ---- how it ended ---- */

static bool same_process(const struct image *a, const struct image *b)
{
	return a->header->pid == b->header->pid &&
	       a->header->start_ticks == b->header->start_ticks &&
	       memcmp(a->header->boot_id, b->header->boot_id, 16) == 0;
}

static void set_end(struct trace_set *s, uint32_t i, const struct launcher *l)
{
	struct image *img = &s->image[i];
	const struct trace_header *h = img->header;
	struct process *p = &img->process;

	p->t_signal = l->t_signal;
	if (i + 1 < s->images && same_process(img, img + 1)) {
		img->superseded = true;
		p->t_end = img[1].header->t_load;
		return;
	}
	if (!h->ended && same_boot(h->boot_id) && start_ticks_of(h->pid) == h->start_ticks) {
		image_freeze(img);
		p->alive = true;
		p->t_end = now_ns();
		return;
	}
	if (l->pid != h->pid)
		return;
	if (l->status_known) {
		p->exited = true;
		p->status_known = true;
		p->exit_status = l->status;
	}
	p->t_end = l->t_end;
}

static int image_order(const void *a, const void *b)
{
	const struct image *x = a, *y = b;

	if (x->header->pid != y->header->pid)
		return x->header->pid < y->header->pid ? -1 : 1;
	if (x->header->t_load != y->header->t_load)
		return x->header->t_load < y->header->t_load ? -1 : 1;
	return 0;
}

/* ---- the set ---- */

static void set_skip(struct trace_set *s, char *error)
{
	s->error = reallocarray(s->error, s->skipped + 1, sizeof(*s->error));
	if (s->error && error)
		s->error[s->skipped++] = error;
}

static bool is_trace_name(const char *name)
{
	size_t n = strlen(name), m = strlen(TRACE_SUFFIX);

	return n > m && name[0] != '.' && strcmp(name + n - m, TRACE_SUFFIX) == 0;
}

static int list_folder(const char *path, struct names *ret)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		char *full;

		if (!is_trace_name(e->d_name) || asprintf(&full, "%s/%s", path, e->d_name) < 0)
			continue;
		ret->name = array_grow(ret->name, ret->n, &ret->cap, sizeof(*ret->name));
		ret->name[ret->n++] = full;
	}
	closedir(d);
	return 0;
}

/* One file, or all of a folder; the launcher's records lie in the folder. */
static char *list_path(const char *path, struct names *names, struct launchers *l)
{
	struct stat st;
	char *folder, *slash, *error = NULL;

	if (stat(path, &st) < 0)
		return sentence(path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		int err = list_folder(path, names);

		launchers_read(path, l);
		if (err)
			return sentence(path, strerror(-err));
		if (!names->n)
			error = sentence(path, "no trace files in it; did the server start, and "
					       "did it listen or connect? (shakedown doctor)");
		return error;
	}
	folder = strdup(path);
	slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		*slash = '\0';
	launchers_read(slash ? folder : ".", l);
	free(folder);
	names->name = array_grow(names->name, names->n, &names->cap, sizeof(*names->name));
	names->name[names->n++] = strdup(path);
	return NULL;
}

static void open_images(struct trace_set *s, struct names *names)
{
	s->image = array_new(names->n, sizeof(*s->image));
	for (size_t i = 0; i < names->n; i++) {
		char *error = NULL;

		if (image_open(&s->image[s->images], names->name[i], &error)) {
			s->images++;
			continue;
		}
		set_skip(s, error);
		image_close(&s->image[s->images]);
	}
	qsort(s->image, s->images, sizeof(*s->image), image_order);
}

struct trace_set *trace_set_load(const char *path, const struct finding_options *o,
				 char **ret_error)
{
	struct trace_set *s = calloc(1, sizeof(*s));
	struct names names = {0};
	struct launchers l = {0};

	if (s)
		s->path = path;
	*ret_error = s ? list_path(path, &names, &l) : NULL;
	if (!s || *ret_error)
		goto fail;
	open_images(s, &names);
	for (uint32_t i = 0; i < s->images; i++)
		set_end(s, i, launchers_find(&l, s->image[i].header));
	launchers_free(&l);
	for (uint32_t i = 0; i < s->images; i++) {
		char *error = NULL;

		if (!image_build(&s->image[i], o, &error))
			set_skip(s, error);
	}
	free(names.name);
	if (!s->images && s->skipped) {
		*ret_error = s->error[0];
		s->error[0] = NULL;
		goto fail_set;
	}
	return s;
fail:
	launchers_free(&l);
	for (size_t i = 0; i < names.n; i++)
		free(names.name[i]);
	free(names.name);
fail_set:
	trace_set_free(s);
	return NULL;
}

void trace_set_free(struct trace_set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->images; i++)
		image_close(&s->image[i]);
	for (uint32_t i = 0; i < s->skipped; i++)
		free(s->error[i]);
	free(s->image);
	free(s->error);
	free(s);
}
