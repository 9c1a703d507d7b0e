/* SPDX-License-Identifier: BSD-2-Clause
 *
 * report/follow: a live trace, told as it happens.
 *
 * The files are written through a mapping, which no inotify event tells of; their header pages are
 * compared instead.  When one changed, the trace is read again as a whole.  An attempt is printed once
 * it is decided, and again only when something new was found about it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/format/select.h"
#include "tools/verb/report.h"
#include "tools/verb/verb.h"

enum {
	LOOK_MS = 200,	 /* between two looks at the headers */
	REST = 4,	 /* rest so many times as long as a reading took */
	AGAIN_MS = 1000, /* time alone changes verdicts, too: never-answered */
	SETTLE_MS = 300, /* a refusal is followed by its body, a close, ... */
};

struct printed {
	uint64_t t_load;
	uint32_t pid, conn, ordinal;
	uint64_t found[(FINDING_COUNT + 63) / 64]; /* findings it was printed with */
};

struct follow {
	const struct report_job *job;
	void *printed; /* tsearch tree of struct printed */
	struct report_result result;
	uint64_t seen; /* hash of the header pages */
	uint64_t attempts;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- has anything changed? ---- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n--)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t look_at_file(int dir, const char *name, uint64_t hash)
{
	uint8_t page[TRACE_HEADER_SIZE];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? pread(fd, page, sizeof(page), 0) : -1;

	if (fd >= 0)
		close(fd);
	return mix(mix(hash, name, strlen(name)), page, n > 0 ? (size_t)n : 0);
}

static uint64_t look(const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325), sum = 0;
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return look_at_file(AT_FDCWD, path, hash);
	/* The order of a folder is not stable, so the files are summed up. */
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name), suffix = strlen(TRACE_SUFFIX);

		if (n > suffix && strcmp(e->d_name + n - suffix, TRACE_SUFFIX) == 0)
			sum += look_at_file(dirfd(d), e->d_name, hash);
	}
	closedir(d);
	return sum;
}

/* ---- what is decided and new ---- */

static int by_identity(const void *a, const void *b)
{
	const struct printed *x = a, *y = b;

	if (x->t_load != y->t_load)
		return x->t_load < y->t_load ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->conn != y->conn)
		return x->conn < y->conn ? -1 : 1;
	return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static bool is_decided(const struct report_case *rc)
{
	const struct exchange *x = rc->x;
	uint64_t since;

	if (x->outcome == OUTCOME_PENDING)
		return false;
	if (x->outcome == OUTCOME_UPGRADED || rc->c->ev_close != MODEL_NONE ||
	    !rc->img->process.alive)
		return true;
	since = x->t_answer ? x->t_answer : x->t_start;
	return now_ns() > since + (uint64_t)SETTLE_MS * 1000000;
}

/* True when it was never printed, or something was found since. */
static bool is_news(struct follow *w, const struct report_case *rc)
{
	struct printed *p = calloc(1, sizeof(*p)), **at;
	bool news = false;
	uint32_t i;

	if (!p)
		return false;
	*p = (struct printed){.t_load = rc->img->header->t_load,
			      .pid = rc->img->process.pid,
			      .conn = rc->c->id,
			      .ordinal = rc->x->ordinal};
	at = tsearch(p, &w->printed, by_identity);
	if (!at || *at != p)
		free(p);
	else
		news = true;
	if (!at)
		return false;
	w->attempts += news;
	for (i = 0; i < rc->findings; i++) {
		uint64_t *word = &(*at)->found[rc->finding[i].id / 64];
		uint64_t bit = UINT64_C(1) << (rc->finding[i].id % 64);

		news = news || !(*word & bit);
		*word |= bit;
	}
	return news;
}

static void print_image(struct follow *w, struct trace_set *set, const struct image *img,
			struct report_case *rc)
{
	const struct report_job *job = w->job;
	const struct process *p = &img->process;
	struct blamer *b = NULL;
	uint32_t i, j, k;

	for (i = 0; i < p->connections; i++) {
		for (j = 0; j < p->connection[i].exchanges; j++) {
			const struct exchange *x = &p->connection[i].exchange[j];

			if (!select_exchange(&job->filter, img, x) ||
			    !select_findings(&job->filter, &job->thresholds, img, x, rc) ||
			    !is_decided(rc) || !is_news(w, rc))
				continue;
			for (k = 0; k < rc->findings; k++)
				result_add(&w->result, &rc->finding[k]);
			if (!b)
				b = blamer_new(img, set);
			if (job->json)
				format_json_case(stdout, rc, b);
			else
				format_text_case(stdout, rc, b, &job->filter);
		}
	}
	blamer_free(b);
}

/* Returns false when every process has ended. */
static bool print_news(struct follow *w, struct trace_set *set)
{
	struct report_case *rc = calloc(1, sizeof(*rc));
	bool alive = false;
	uint32_t i;

	for (i = 0; rc && i < set->images; i++) {
		print_image(w, set, &set->image[i], rc);
		alive = alive || set->image[i].process.alive;
	}
	w->result.blind = set_is_blind(set);
	free(rc);
	fflush(stdout);
	return alive;
}

/* ---- the loop ---- */

static bool catch_signals(void)
{
	struct sigaction act = {.sa_handler = interrupt};

	return sigaction(SIGINT, &act, NULL) == 0 && sigaction(SIGTERM, &act, NULL) == 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One reading. Returns false when it is over; then *ret_status is set when it ended badly. */
static bool read_again(struct follow *w, bool *loaded, int *ret_status)
{
	char *error = NULL;
	struct trace_set *set = trace_set_load(w->job->path, &w->job->thresholds, &error);
	bool goes_on;

	if (!set) {
		/* A folder without a trace yet belongs to a server that has not begun to listen. */
		goes_on = !*loaded && is_folder(w->job->path);
		if (!goes_on) {
			complain("%s", error ? error : "the trace cannot be read");
			*ret_status = VERB_CANNOT;
		}
		free(error);
		return goes_on;
	}
	*loaded = true;
	goes_on = print_news(w, set);
	trace_set_free(set);
	return goes_on;
}

int report_follow(const struct report_job *job)
{
	struct follow w = {.job = job};
	uint64_t last = 0, next = 0, begin, seen;
	bool loaded = false;
	int status = -1;

	if (!catch_signals()) {
		complain("cannot catch signals: %s", strerror(errno));
		return VERB_CANNOT;
	}
	while (!interrupted) {
		begin = now_ns();
		seen = begin >= next ? look(job->path) : w.seen;
		if (begin >= next &&
		    (seen != w.seen || begin > last + (uint64_t)AGAIN_MS * 1000000)) {
			w.seen = seen;
			if (!read_again(&w, &loaded, &status))
				break;
			last = now_ns();
			next = last + REST * (last - begin);
		}
		(void)poll(NULL, 0, LOOK_MS);
	}
	tdestroy(w.printed, free);
	if (status >= 0)
		return status;
	if (!job->json)
		fprintf(stderr,
			"shakedown: %s after %llu attempt%s; 'shakedown report %s' has the "
			"totals\n",
			interrupted ? "stopped" : "every process has ended",
			(unsigned long long)w.attempts, w.attempts == 1 ? "" : "s", job->path);
	return report_status(job, &w.result);
}
