/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_append: what a writer of a trace may rely on: no store beyond populated bytes, no record torn
 * by a switch of halves, nothing published lost, whatever moment the process dies.
 */
#include "core/trace/append.h"
#include "core/trace/iterate.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	MAX_BYTES = 6 * 1024 * 1024, /* two halves of about 0.9 MiB behind the tables */
	THREADS = 4,
	EACH = 20000,
	KILLS = 200,
};

static int trace_fd = -1; /* of the last trace_new */

/* A trace whose pages cannot be touched before they were populated. */
static struct trace_header *trace_new(void)
{
	uint64_t size = trace_file_size(MAX_BYTES);
	struct trace_header *h;
	uint8_t *p;

	if (trace_fd >= 0)
		close(trace_fd);
	trace_fd = memfd_create("trace", MFD_CLOEXEC);
	assert_true(trace_fd >= 0);
	assert_int_equal(ftruncate(trace_fd, (off_t)size), 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, trace_fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	h = (void *)p;
	assert_int_equal(trace_layout(h, MAX_BYTES), size);
	assert_int_equal(mprotect(p + h->data_off, 2 * h->half_size, PROT_READ), 0);
	return h;
}

static void trace_free(struct trace_header *h)
{
	munmap(h, h->file_size);
}

/* What the engine does when append asks.  False when the event has to be counted as lost. */
static bool grow(struct trace_header *h, unsigned need)
{
	struct trace_range r;

	if (need & TRACE_NEED_SWITCH) {
		switch (trace_switch_begin(h, &r)) {
		case TRACE_SWITCH_READY:
			/* With keep_first the new half was never used and may be unpopulated. */
			if (r.len)
				memset((uint8_t *)h + r.off, 0, r.len);
			trace_switch_complete(h, &r, false);
			return true;
		case TRACE_SWITCH_NEEDLESS:
			return true;
		default:
			return false;
		}
	}
	if (need & TRACE_NEED_POPULATE && trace_populate_begin(h, 0, &r)) {
		if (mprotect((uint8_t *)h + r.off, r.len, PROT_READ | PROT_WRITE))
			abort();
		trace_populate_complete(h, &r, r.len);
	}
	return true;
}

static struct trace_record *reserve(struct trace_header *h, enum trace_kind kind, size_t size)
{
	static unsigned calls;

	for (int i = 0; i < 8; i++) {
		unsigned need = TRACE_NEED_NOTHING;
		struct trace_record *r = NULL;

		if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 4)
			r = trace_reserve_quick(h, kind, size);
		if (!r)
			r = trace_reserve(h, kind, size, &need);
		if (r) {
			if (need)
				grow(h, need);
			return r;
		}
		if (!grow(h, need))
			return NULL;
	}
	return NULL;
}

/* A record whose every byte says whose it is. */
static bool put_text(struct trace_header *h, uint32_t writer, uint64_t number)
{
	uint32_t len = (uint32_t)(number * 37 % 300);
	struct trace_text *t = (void *)reserve(h, TRACE_TEXT, sizeof(*t) + len);

	if (!t) {
		trace_count_lost(h, len);
		return false;
	}
	t->t_ns = number;
	t->tid = writer;
	t->len = len;
	memset(t + 1, (int)(number + writer), len);
	trace_publish(&t->rec);
	return true;
}

static bool text_is_whole(const struct trace_record *r)
{
	const struct trace_text *t = (const void *)r;
	const uint8_t *p = (const void *)(t + 1);

	if (r->kind != TRACE_TEXT || t->len != t->t_ns * 37 % 300)
		return false;
	for (uint32_t i = 0; i < t->len; i++)
		if (p[i] != (uint8_t)(t->t_ns + t->tid))
			return false;
	return true;
}

static void a_trace_too_small_for_its_tables_is_refused(void **state)
{
	struct trace_header h = {0};

	assert_int_equal(trace_layout(&h, 1024 * 1024), 0);
	assert_int_equal(h.magic, 0);
	assert_int_equal(trace_file_size(UINT64_MAX), 0);
	assert_true(trace_file_size(MAX_BYTES) <= MAX_BYTES);
}

static void a_fresh_trace_is_accepted_by_the_reader(void **state)
{
	struct trace_header *h = trace_new();

	assert_int_equal(trace_check(h, h->file_size), TRACE_OK);
	trace_free(h);
}

static void a_record_is_zeroed_aligned_and_invisible_until_published(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_record *r = reserve(h, TRACE_TEXT, 61);
	struct trace_iter it;

	assert_non_null(r);
	assert_int_equal((uintptr_t)r % 8, 0);
	assert_int_equal(r->size_state, 64 | TRACE_RESERVED);
	assert_int_equal(r->kind, TRACE_TEXT);
	for (size_t i = 8; i < 64; i++)
		assert_int_equal(((uint8_t *)r)[i], 0);
	trace_iter_init(&it, h, h->file_size);
	assert_null(trace_next(&it));
	trace_publish(r);
	assert_ptr_equal(trace_next(&it), r);
	assert_int_equal(it.holes, 0);
	trace_free(h);
}

static void sizes_out_of_range_reserve_nothing(void **state)
{
	struct trace_header *h = trace_new();
	unsigned need;

	assert_non_null(reserve(h, TRACE_TEXT, 64));
	assert_null(trace_reserve(h, TRACE_TEXT, 7, &need));
	assert_int_equal(need, TRACE_NEED_NOTHING);
	assert_null(trace_reserve(h, TRACE_TEXT, TRACE_RECORD_MAX + 1, &need));
	assert_null(trace_reserve(h, TRACE_TEXT, SIZE_MAX, &need));
	assert_int_equal(h->half[0].cursor, 64);
	assert_non_null(trace_reserve(h, TRACE_TEXT, TRACE_RECORD_MAX, &need));
	trace_free(h);
}

/* Pages beyond populated fault here; on a full disk they would be SIGBUS. */
static void without_populated_pages_nothing_is_reserved(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_range r;
	unsigned need;
	uint64_t fitted = 0;

	assert_null(trace_reserve(h, TRACE_TEXT, 64, &need));
	assert_int_equal(need, TRACE_NEED_POPULATE);
	assert_int_equal(h->half[0].cursor, 0);

	assert_true(trace_populate_begin(h, 0, &r));
	assert_false(trace_populate_begin(h, 0, &(struct trace_range){0})); /* one at a time */
	assert_int_equal(mprotect((uint8_t *)h + r.off, 4096, PROT_READ | PROT_WRITE), 0);
	trace_populate_complete(h, &r, 4096); /* the disk had room for one page */
	while (trace_reserve(h, TRACE_TEXT, 72, &need))
		fitted++;
	assert_int_equal(need, TRACE_NEED_POPULATE);
	assert_int_equal(fitted, 4096 / 72);
	trace_free(h);
}

static void fill_half(struct trace_header *h, uint32_t writer)
{
	uint32_t before = h->active_half;
	unsigned need;

	for (;;) {
		struct trace_text *t = (void *)trace_reserve(h, TRACE_TEXT, 512, &need);

		if (need & TRACE_NEED_POPULATE)
			grow(h, need);
		if (t) {
			t->tid = writer;
			trace_publish(&t->rec);
		} else if (need & TRACE_NEED_SWITCH) {
			break;
		}
	}
	assert_int_equal(h->active_half, before);
}

static uint32_t count(struct trace_header *h, uint32_t writer, struct trace_iter *ret_it)
{
	const struct trace_record *r;
	uint32_t n = 0;

	trace_iter_init(ret_it, h, h->file_size);
	while ((r = trace_next(ret_it)))
		n += r->kind == TRACE_TEXT && ((const struct trace_text *)r)->tid == writer;
	return n;
}

static void the_older_half_is_thrown_away_and_counted(void **state)
{
	struct trace_header *h = trace_new();
	const uint32_t per_half = (uint32_t)(h->half_size / 512);
	struct trace_iter it;

	for (uint32_t i = 1; i <= 4; i++) {
		fill_half(h, i);
		assert_true(grow(h, TRACE_NEED_SWITCH));
	}
	/* Halves 1, 2 and 3 were thrown away; the newest is empty. */
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(count(h, i, &it), 0);
	assert_int_equal(count(h, 4, &it), per_half);
	assert_int_equal(it.broken, 0);
	assert_int_equal(it.holes, 0);
	assert_int_equal(h->discarded_halves, 3);
	assert_int_equal(h->discarded_records, 3 * per_half);
	trace_free(h);
}

static void keep_first_fills_both_halves_and_then_stops(void **state)
{
	struct trace_header *h = trace_new();
	const uint32_t per_half = (uint32_t)(h->half_size / 512);
	struct trace_range r;
	struct trace_iter it;

	h->keep_first = 1;
	fill_half(h, 1);
	assert_true(grow(h, TRACE_NEED_SWITCH));
	fill_half(h, 2);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_FULL);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_FULL); /* and not BUSY */
	assert_int_equal(count(h, 1, &it), per_half);
	assert_int_equal(count(h, 2, &it), per_half);
	assert_int_equal(h->discarded_halves, 0);
	trace_free(h);
}

/* The writer of this record is stopped in the middle, while the trace goes round several times. */
static void a_writer_stopped_for_ages_never_spoils_a_record(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_text *late;
	struct trace_iter it;

	for (uint64_t i = 0; i < 50; i++)
		assert_true(put_text(h, 1, i));
	late = (void *)reserve(h, TRACE_TEXT, sizeof(*late) + 300);
	for (uint64_t i = 0; i < 8 * h->half_size / 150; i++)
		assert_true(put_text(h, 2, i));
	assert_true(h->discarded_halves > 3);
	late->tid = 3;
	late->t_ns = 8;
	late->len = 8 * 37 % 300;
	memset(late + 1, 8 + 3, late->len);
	trace_publish(&late->rec);

	const struct trace_record *r;
	uint32_t seen = 0;

	trace_iter_init(&it, h, h->file_size);
	while ((r = trace_next(&it))) {
		assert_true(text_is_whole(r));
		seen += ((const struct trace_text *)r)->tid == 3;
	}
	assert_int_equal(seen, 1);
	assert_int_equal(it.broken, 0);
	trace_free(h);
}

static void a_half_with_an_unfinished_end_is_not_reused_until_it_is_finished(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_record *late;
	struct trace_range r;

	/* One record in three quarters of the half. */
	while (h->half[0].cursor < h->half_size * 3 / 4)
		assert_true(put_text(h, 1, 1));
	late = reserve(h, TRACE_TEXT, 64);
	fill_half(h, 1);
	assert_true(grow(h, TRACE_NEED_SWITCH));
	fill_half(h, 2);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_BUSY);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_BUSY);
	trace_publish(late);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_READY);
	assert_int_equal(r.base, 0);
	trace_grow_abandon(h);
	trace_free(h);
}

/* Killed, or stopped, between moving the cursor and storing the first word. */
static void a_gap_of_zeros_is_passed_by_readers_and_kept_by_a_switch(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_range r;
	struct trace_iter it;

	assert_true(put_text(h, 1, 1));
	h->half[0].cursor += 128;
	const uint64_t gap_end = h->half[0].cursor;

	assert_true(put_text(h, 1, 2));
	assert_int_equal(count(h, 1, &it), 2);
	assert_int_equal(it.holes, 1);
	assert_int_equal(it.broken, 0);
	fill_half(h, 1);
	assert_true(grow(h, TRACE_NEED_SWITCH));
	fill_half(h, 2);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_READY);
	assert_int_equal(r.base, gap_end);
	trace_grow_abandon(h);
	trace_free(h);
}

static void given_back_pages_are_populated_again_before_use(void **state)
{
	struct trace_header *h = trace_new();
	struct trace_range r;
	unsigned need;

	fill_half(h, 1);
	assert_true(grow(h, TRACE_NEED_SWITCH));
	fill_half(h, 2);
	assert_int_equal(trace_switch_begin(h, &r), TRACE_SWITCH_READY);
	memset((uint8_t *)h + r.off, 0, r.len);
	assert_int_equal(mprotect((uint8_t *)h + r.off, r.len & ~UINT64_C(4095), PROT_READ), 0);
	trace_switch_complete(h, &r, true);
	assert_null(trace_reserve(h, TRACE_TEXT, 64, &need));
	assert_int_equal(need, TRACE_NEED_POPULATE);
	assert_true(put_text(h, 3, 1));
	trace_free(h);
}

static void a_thread_that_missed_the_switch_writes_nothing_into_the_closed_half(void **state)
{
	struct trace_header *h = trace_new();
	unsigned need;

	assert_true(put_text(h, 1, 1));
	while (h->half[0].cursor <= h->half_size - TRACE_RECORD_MAX)
		assert_true(put_text(h, 1, 1));
	assert_true(grow(h, TRACE_NEED_SWITCH));
	assert_int_equal(h->active_half, 1);
	h->active_half = 0; /* what such a thread believes */
	assert_null(trace_reserve(h, TRACE_TEXT, 64, &need));
	assert_int_equal(need, TRACE_NEED_SWITCH);
	trace_free(h);
}

struct job {
	struct trace_header *h;
	uint32_t writer;
	uint64_t put; /* how many were published */
};

static void *write_all(void *arg)
{
	struct job *j = arg;

	for (uint64_t i = 0; i < EACH; i++)
		j->put += put_text(j->h, j->writer, i);
	return NULL;
}

struct follower {
	const struct trace_header *h; /* a mapping of its own, as another process would have */
	bool stop;
	uint64_t torn, seen;
};

/* Reads while the writers write.  A half may be thrown away under the reader, so a record counts as
 * torn only if its half is still the one it was. */
static void *follow(void *arg)
{
	struct follower *f = arg;
	struct trace_iter it;

	trace_iter_init(&it, f->h, f->h->file_size);
	for (;;) {
		bool last = __atomic_load_n(&f->stop, __ATOMIC_ACQUIRE);
		const struct trace_record *r;

		while ((r = trace_next(&it))) {
			bool whole = text_is_whole(r);

			f->seen++;
			f->torn +=
				!whole && __atomic_load_n(&f->h->growing, __ATOMIC_ACQUIRE) == 0 &&
				__atomic_load_n(&f->h->half[it.half].sequence, __ATOMIC_ACQUIRE) ==
					it.sequence;
		}
		if (last)
			return NULL;
		sched_yield();
	}
}

static void run_writers(struct trace_header *h, struct job *jobs, struct follower *f)
{
	pthread_t thread[THREADS], reader;

	assert_int_equal(pthread_create(&reader, NULL, follow, f), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){.h = h, .writer = i + 1};
		assert_int_equal(pthread_create(&thread[i], NULL, write_all, &jobs[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
}

static void four_threads_and_a_reader_lose_and_tear_nothing(void **state)
{
	struct trace_header *h = trace_new();
	struct follower f = {.h = mmap(NULL, h->file_size, PROT_READ, MAP_SHARED, trace_fd, 0)};
	struct job jobs[THREADS];
	uint64_t put = 0, next[THREADS + 1] = {0};
	const struct trace_record *r;
	struct trace_iter it;

	assert_ptr_not_equal(f.h, MAP_FAILED);
	run_writers(h, jobs, &f);
	munmap((void *)f.h, h->file_size);
	for (int i = 0; i < THREADS; i++)
		put += jobs[i].put;
	assert_int_equal(f.torn, 0);
	assert_true(f.seen > 0);
	assert_int_equal(put + h->lost_events, THREADS * EACH);

	trace_iter_init(&it, h, h->file_size);
	while ((r = trace_next(&it))) {
		const struct trace_text *t = (const void *)r;

		assert_true(text_is_whole(r));
		assert_in_range(t->tid, 1, THREADS);
		assert_true(t->t_ns >= next[t->tid]); /* each thread's own order is kept */
		next[t->tid] = t->t_ns + 1;
	}
	assert_int_equal(it.holes + it.broken + it.bad, 0);
	assert_int_equal(it.ordinal + h->discarded_records, put);
	trace_free(h);
}

struct shared {
	uint64_t confirmed[2]; /* records each writer has published */
};

static uint64_t confirmed(const struct shared *s)
{
	return __atomic_load_n(&s->confirmed[0], __ATOMIC_ACQUIRE) +
	       __atomic_load_n(&s->confirmed[1], __ATOMIC_ACQUIRE);
}

struct victim {
	struct trace_header *h;
	struct shared *s;
	uint32_t writer;
};

static void *write_until_killed(void *arg)
{
	struct victim *v = arg;

	for (uint64_t i = 0;; i++) {
		/* Fails while the other thread populates; for ever when the trace is full. */
		while (!put_text(v->h, v->writer, i))
			sched_yield();
		__atomic_store_n(&v->s->confirmed[v->writer], i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void write_as_child(struct trace_header *h, struct shared *s)
{
	struct victim v[2] = {{h, s, 0}, {h, s, 1}};
	pthread_t other;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pthread_create(&other, NULL, write_until_killed, &v[1]))
		_exit(1);
	write_until_killed(&v[0]);
}

/* Everything confirmed is there, whole and in order; returns how many that were. */
static uint64_t check_remains(struct trace_header *h, const struct shared *s)
{
	uint64_t next[2] = {0};
	const struct trace_record *r;
	struct trace_iter it;

	assert_int_equal(trace_check(h, h->file_size), TRACE_OK);
	trace_iter_init(&it, h, h->file_size);
	while ((r = trace_next(&it))) {
		const struct trace_text *t = (const void *)r;

		assert_true(text_is_whole(r));
		assert_in_range(t->tid, 0, 1);
		assert_int_equal(t->t_ns, next[t->tid]);
		next[t->tid]++;
	}
	assert_int_equal(it.broken + it.bad, 0);
	assert_in_range(it.holes, 0, 2);
	for (int i = 0; i < 2; i++)
		assert_true(next[i] >= s->confirmed[i]);
	return confirmed(s);
}

static void nothing_published_is_missing_after_sigkill(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)getpid();
	uint64_t total = 0;

	print_message("SEED=%u\n", seed);
	srandom(seed);
	for (int i = 0; i < KILLS; i++) {
		struct trace_header *h = trace_new();
		struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		uint64_t target = (uint64_t)random() % 6000; /* far from full */
		pid_t pid;

		h->keep_first = 1;
		pid = fork();
		if (!pid)
			write_as_child(h, s);
		assert_true(pid > 0);
		while (confirmed(s) < target)
			sched_yield();
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		total += check_remains(h, s);
		munmap(s, sizeof(*s));
		trace_free(h);
	}
	assert_true(total > KILLS * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_too_small_for_its_tables_is_refused),
		cmocka_unit_test(a_fresh_trace_is_accepted_by_the_reader),
		cmocka_unit_test(a_record_is_zeroed_aligned_and_invisible_until_published),
		cmocka_unit_test(sizes_out_of_range_reserve_nothing),
		cmocka_unit_test(without_populated_pages_nothing_is_reserved),
		cmocka_unit_test(the_older_half_is_thrown_away_and_counted),
		cmocka_unit_test(keep_first_fills_both_halves_and_then_stops),
		cmocka_unit_test(a_writer_stopped_for_ages_never_spoils_a_record),
		cmocka_unit_test(a_half_with_an_unfinished_end_is_not_reused_until_it_is_finished),
		cmocka_unit_test(a_gap_of_zeros_is_passed_by_readers_and_kept_by_a_switch),
		cmocka_unit_test(given_back_pages_are_populated_again_before_use),
		cmocka_unit_test(
			a_thread_that_missed_the_switch_writes_nothing_into_the_closed_half),
		cmocka_unit_test(four_threads_and_a_reader_lose_and_tear_nothing),
		cmocka_unit_test(nothing_published_is_missing_after_sigkill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
