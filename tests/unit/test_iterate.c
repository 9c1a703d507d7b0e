/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_iterate: a reader never reads outside the file, never returns a record that lies about itself,
 * and returns all the others, whatever the file looks like.  The file ends at an inaccessible page.
 */
#include "core/trace/append.h"
#include "core/trace/iterate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	MAX_BYTES = 5 * 1024 * 1024,
	ROUNDS = 20000, /* of random damage */
};

static struct trace_header *file; /* ends where accessible memory ends */
static size_t file_len;

static int setup(void **state)
{
	uint8_t *room;

	file_len = trace_file_size(MAX_BYTES);
	room = mmap(NULL, file_len + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (room == MAP_FAILED || mprotect(room + file_len, 4096, PROT_NONE))
		return -1;
	file = (void *)room;
	trace_layout(file, MAX_BYTES);
	file->half[0].populated = file->half[1].populated = file->half_size;
	return 0;
}

static int teardown(void **state)
{
	return munmap(file, file_len + 4096);
}

static void *add(enum trace_kind kind, size_t size)
{
	unsigned need;
	struct trace_record *r = trace_reserve(file, kind, size, &need);

	assert_non_null(r);
	return r;
}

static struct trace_text *add_text(uint64_t t_ns)
{
	struct trace_text *t = add(TRACE_TEXT, sizeof(*t) + 8);

	t->t_ns = t_ns;
	t->len = 5;
	trace_publish(&t->rec);
	return t;
}

/* A DATA record with two segments, "abc" and "defghijkl", and zeros behind them. */
static struct trace_data *add_data(void)
{
	struct trace_data *d = add(TRACE_DATA, sizeof(*d) + 2 * sizeof(struct trace_segment) + 48);
	struct trace_segment *s = (void *)(d + 1);

	d->segments = 2;
	s->rel = 0;
	s->len = 3;
	memcpy(s + 1, "abc", 3);
	s += 2;
	s->rel = 10;
	s->len = 9;
	memcpy(s + 1, "defghijkl", 9);
	trace_publish(&d->rec);
	return d;
}

static struct trace_stack *add_stack(void)
{
	struct trace_stack *s = add(TRACE_STACK, sizeof(*s) + 8 * 5);
	uint64_t *p = (void *)(s + 1);

	s->id = 1;
	s->words = 100; /* a bitmap of two words */
	s->kept = 3;
	p[0] = 5;
	p[1] = UINT64_C(1) << 30;
	trace_publish(&s->rec);
	return s;
}

static uint32_t count(struct trace_iter *it)
{
	uint32_t n = 0;

	trace_iter_init(it, file, file_len);
	while (trace_next(it))
		n++;
	return n;
}

static void switch_half(void)
{
	struct trace_record *filler;
	struct trace_range r;
	unsigned need;

	while ((filler = trace_reserve(file, 999, TRACE_RECORD_MAX, &need)))
		trace_publish(filler);
	assert_int_equal(trace_switch_begin(file, &r), TRACE_SWITCH_READY);
	memset((uint8_t *)file + r.off, 0, r.len);
	trace_switch_complete(file, &r, false);
}

static void files_that_are_no_trace_are_told_apart(void **state)
{
	assert_int_equal(trace_check(file, file_len), TRACE_OK);
	assert_int_equal(trace_check((uint8_t *)file + file_len - 4095, 4095), TRACE_ERR_SHORT);
	assert_int_equal(trace_check((uint8_t *)file + file_len, 0), TRACE_ERR_SHORT);
	file->version++;
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_NEWER);
	file->version--;
	file->features = UINT64_C(1) << 40;
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_NEWER);
	file->features = 0;
	file->endian = __builtin_bswap32(TRACE_ENDIAN);
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_ENDIAN);
	file->magic = __builtin_bswap64(TRACE_MAGIC);
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_ENDIAN);
	file->magic = TRACE_MAGIC + 1;
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_MAGIC);
	file->magic = 0; /* stored last */
	assert_int_equal(trace_check(file, file_len), TRACE_ERR_EMPTY);
}

static void offsets_that_contradict_the_file_are_refused(void **state)
{
	uint64_t *const fields[] = {&file->modules_off, &file->routes_off, &file->connections_off,
				    &file->data_off,	&file->half_size,  &file->file_size};
	const uint64_t values[] = {1, UINT64_MAX, UINT64_MAX - 4095, UINT64_C(1) << 63, 12};

	for (size_t i = 0; i < CORE_ARRAY_LEN(fields); i++) {
		uint64_t was = *fields[i];

		for (size_t k = 0; k < CORE_ARRAY_LEN(values); k++) {
			*fields[i] = values[k];
			/* A larger file_size than the real one is a truncated copy. */
			if (fields[i] != &file->file_size || values[k] < 4096)
				assert_int_equal(trace_check(file, file_len), TRACE_ERR_LAYOUT);
		}
		*fields[i] = was;
	}
	assert_int_equal(trace_check(file, file_len), TRACE_OK);
}

static void records_come_back_in_order_older_half_first(void **state)
{
	struct trace_iter it;
	const struct trace_record *r;
	uint64_t expect = 0;

	for (uint64_t i = 0; i < 30; i++) {
		if (i == 10 || i == 20)
			switch_half();
		add_text(i);
	}
	trace_iter_init(&it, file, file_len);
	for (expect = 10; (r = trace_next(&it)); expect++)
		assert_int_equal(((const struct trace_text *)r)->t_ns, expect);
	assert_int_equal(expect, 30);
	assert_int_equal(it.ordinal, 20);
}

static void a_truncated_copy_gives_the_records_it_has(void **state)
{
	uint64_t ends[60];
	uint32_t n = 0;

	for (uint32_t i = 0; i < 20; i++) {
		add_text(i);
		ends[n++] = file->half[0].cursor;
		add_data();
		ends[n++] = file->half[0].cursor;
	}
	for (uint64_t cut = 0; cut < ends[n - 1]; cut += 4) {
		size_t len = file->data_off + cut;
		struct trace_iter it;
		uint32_t have = 0, expect = 0;

		while (expect < n && ends[expect] <= cut)
			expect++;
		trace_iter_init(&it, file, len);
		while (trace_next(&it))
			have++;
		assert_int_equal(have, expect);
		assert_int_equal(it.broken, 0);
	}
}

/* The same, with memory really ending there. */
static void a_truncated_copy_is_not_read_beyond_its_end(void **state)
{
	const size_t room = file->data_off + 8192;
	uint8_t *copy =
		mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(copy, MAP_FAILED);
	for (uint32_t i = 0; i < 40; i++)
		add_data();
	assert_int_equal(mprotect(copy + room, 4096, PROT_NONE), 0);
	for (size_t cut = 0; cut < 4096; cut += 40) {
		const size_t len = room - cut;
		struct trace_iter it;

		memmove(copy + cut, file, len);
		trace_iter_init(&it, copy + cut, len);
		while (trace_next(&it))
			;
	}
	munmap(copy, room + 4096);
}

static void unfinished_records_and_gaps_are_passed_over(void **state)
{
	struct trace_iter it;

	add_text(1);
	add(TRACE_DATA, 512); /* never published */
	add_text(2);
	file->half[0].cursor += 24; /* not even begun */
	add_text(3);
	assert_int_equal(count(&it), 3);
	assert_int_equal(it.holes, 2);
	assert_int_equal(it.broken, 0);
}

static void a_reader_waits_for_an_unfinished_end_and_goes_on(void **state)
{
	struct trace_iter it;
	struct trace_text *late;

	add_text(1);
	trace_iter_init(&it, file, file_len);
	assert_non_null(trace_next(&it));
	assert_null(trace_next(&it));
	late = add(TRACE_TEXT, sizeof(*late));
	assert_null(trace_next(&it));
	assert_int_equal(it.holes, 1);
	trace_publish(&late->rec);
	assert_ptr_equal(trace_next(&it), late);
	assert_int_equal(it.holes, 0);
	assert_null(trace_next(&it));
	switch_half();
	add_text(7);
	assert_non_null(trace_next(&it));
	assert_null(trace_next(&it));
}

static void a_reader_whose_half_was_thrown_away_goes_on_with_the_next(void **state)
{
	struct trace_iter it;
	const struct trace_record *r;

	add_text(1);
	trace_iter_init(&it, file, file_len);
	assert_non_null(trace_next(&it));
	switch_half();
	add_text(2);
	switch_half(); /* throws away what the reader was reading */
	add_text(3);
	add_text(4); /* lies where the reader would have gone on */
	for (uint64_t i = 2; i <= 4; i++) {
		r = trace_next(&it);
		assert_non_null(r);
		assert_int_equal(((const struct trace_text *)r)->t_ns, i);
	}
	assert_null(trace_next(&it));
	assert_int_equal(it.broken, 0);
}

static void nonsense_costs_the_rest_of_its_half_only(void **state)
{
	const uint64_t words[] = {
		1,			  /* no length, no state 1 */
		64 | 4,			  /* no such state */
		TRACE_RECORD_MAX + 8 + 2, /* too long */
		UINT32_MAX,		  /* far too long */
		UINT64_C(1) << 32,	  /* a kind and nothing else */
		2,			  /* published, empty */
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(words); i++) {
		struct trace_iter it;
		void *bad;

		memset(file, 0, file_len);
		trace_layout(file, MAX_BYTES);
		file->half[0].populated = file->half[1].populated = file->half_size;
		add_text(1);
		bad = add(TRACE_TEXT, 64);
		memcpy(bad, &words[i], 8);
		add_text(2);
		switch_half();
		add_text(3);
		assert_int_equal(count(&it), 2);
		assert_int_equal(it.broken, 1);
	}
}

static void a_record_that_ends_behind_the_last_reservation_is_nonsense(void **state)
{
	struct trace_iter it;
	struct trace_text *t;

	add_text(1);
	t = add_text(2);
	t->rec.size_state += 8;
	assert_int_equal(count(&it), 1);
	assert_int_equal(it.broken, 1);
	assert_null(trace_next(&it)); /* and it stays given up */
	assert_int_equal(it.broken, 1);
}

static void a_record_shorter_than_its_kind_is_skipped(void **state)
{
	const struct {
		unsigned kind;
		size_t fixed;
	} kinds[] = {
#define RECORD(id, number, name, payload, says) {number, sizeof(struct payload)},
#include "core/trace/record.def"
#undef RECORD
	};
	uint32_t whole = 0;
	struct trace_iter it;

	for (size_t i = 0; i < CORE_ARRAY_LEN(kinds); i++) {
		for (size_t size = 8; size <= kinds[i].fixed; size += 8) {
			trace_publish(add(kinds[i].kind, size));
			whole += size >= kinds[i].fixed;
		}
	}
	assert_int_equal(count(&it), whole);
	assert_int_equal(whole, CORE_ARRAY_LEN(kinds));
	assert_int_equal(it.broken, 0);
	assert_true(it.bad > 0);
}

static void lengths_that_leave_their_record_are_skipped(void **state)
{
	const uint32_t lies[] = {UINT32_MAX, UINT32_MAX - 7, 0x80000000, 1000, 64};
	struct trace_data *d = add_data(), *d2 = add_data();
	struct trace_segment *s = (void *)(d + 1), *s2 = (void *)(d2 + 1);
	struct trace_stack *st = add_stack();
	struct trace_text *t = add_text(1);
	struct trace_process *p = add(TRACE_PROCESS, sizeof(*p) + 8);
	uint32_t *const fields[] = {&s->len, &s2[2].len, &st->words, &st->kept, &t->len, &p->len};
	struct trace_iter it;

	trace_publish(&p->rec);
	assert_int_equal(count(&it), 5);
	assert_int_equal(it.bad, 0);
	for (size_t i = 0; i < CORE_ARRAY_LEN(fields); i++) {
		uint32_t was = *fields[i];

		for (size_t k = 0; k < CORE_ARRAY_LEN(lies); k++) {
			*fields[i] = lies[k];
			assert_int_equal(count(&it), 4);
			assert_int_equal(it.bad, 1);
		}
		*fields[i] = was;
	}
	assert_int_equal(count(&it), 5);
}

static void more_segments_than_fit_are_not_believed(void **state)
{
	const uint8_t lies[] = {UINT8_MAX, 64, 9};
	struct trace_data *d = add_data();
	struct trace_iter it;

	for (size_t k = 0; k < CORE_ARRAY_LEN(lies); k++) {
		d->segments = lies[k];
		assert_int_equal(count(&it), 0);
		assert_int_equal(it.bad, 1);
	}
}

static void a_stack_whose_bitmap_and_count_disagree_is_skipped(void **state)
{
	struct trace_stack *s = add_stack();
	struct trace_iter it;

	assert_int_equal(count(&it), 1);
	s->kept = 2;
	assert_int_equal(count(&it), 0);
	assert_int_equal(it.bad, 1);
}

static void unknown_kinds_are_passed_in_silence(void **state)
{
	struct trace_iter it;

	trace_publish(add(0, 64));
	trace_publish(add(999, 64));
	trace_publish(add(UINT16_MAX, 64));
	add_text(1);
	assert_int_equal(count(&it), 1);
	assert_int_equal(it.holes + it.bad + it.broken, 0);
}

static void segments_are_walked_and_nothing_behind_them(void **state)
{
	const struct trace_data *d = add_data();
	uint32_t at = 0, rel;
	struct span bytes;

	assert_true(trace_segment_next(d, &at, &rel, &bytes));
	assert_int_equal(rel, 0);
	assert_int_equal(bytes.n, 3);
	assert_memory_equal(bytes.p, "abc", 3);
	assert_true(trace_segment_next(d, &at, &rel, &bytes));
	assert_int_equal(rel, 10);
	assert_int_equal(bytes.n, 9);
	assert_memory_equal(bytes.p, "defghijkl", 9);
	assert_false(trace_segment_next(d, &at, &rel, &bytes));
	assert_false(trace_segment_next(d, &at, &rel, &bytes));
}

static void rows_outside_their_table_do_not_exist(void **state)
{
	assert_null(trace_module_at(file, file_len, 0)); /* none in use */
	file->modules = UINT32_MAX;
	assert_non_null(trace_module_at(file, file_len, TRACE_MODULES - 1));
	assert_null(trace_module_at(file, file_len, TRACE_MODULES));
	assert_null(trace_module_at(file, file->modules_off + 255, 0));
	assert_non_null(trace_module_at(file, file->modules_off + 256, 0));
	assert_non_null(trace_route_at(file, file_len, TRACE_ROUTES - 1));
	assert_null(trace_route_at(file, file_len, TRACE_ROUTES));
	assert_null(trace_route_at(file, file->routes_off, 0));
	assert_non_null(trace_connection_at(file, file_len, TRACE_CONNECTIONS - 1));
	assert_null(trace_connection_at(file, file_len, TRACE_CONNECTIONS));
	assert_null(trace_connection_at(file, file_len, UINT32_MAX));
	assert_null(trace_connection_at(file, 4096, 0));
}

static void every_kind_and_reason_has_a_name(void **state)
{
	assert_string_equal(trace_kind_name(TRACE_DATA), "data");
	assert_string_equal(trace_kind_name(0), "unknown");
	assert_string_equal(trace_kind_name(UINT32_MAX), "unknown");
	assert_string_equal(trace_reason_name(TRACE_REASON_DISK), "disk");
	assert_string_equal(trace_reason_name(UINT64_C(1) << 63), "unknown");
	assert_string_equal(trace_reason_text(TRACE_REASON_DISK), "the trace could not grow");
	for (int e = TRACE_OK; e <= TRACE_ERR_EMPTY; e++)
		assert_string_not_equal(trace_error_text(e), "unknown error");
}

/* Read everything a tool would read of a record. */
static uint64_t touch(const struct trace_record *r)
{
	uint64_t sum = 0;
	const uint8_t *p = (const void *)r;

	for (uint32_t i = 0; i < (r->size_state & ~7u); i++)
		sum += p[i];
	if (r->kind == TRACE_DATA) {
		uint32_t at = 0, rel;
		struct span b;

		while (trace_segment_next((const void *)r, &at, &rel, &b))
			for (size_t i = 0; i < b.n; i++)
				sum += b.p[i];
	}
	return sum;
}

static void random_damage_never_leads_outside_the_file(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)getpid();
	uint8_t *data = (uint8_t *)file + file->data_off;
	uint8_t saved[16384], header[TRACE_HEADER_SIZE];
	uint64_t n = 0;

	print_message("SEED=%u\n", seed);
	srandom(seed);
	for (int half = 0; half < 2; half++) {
		while (file->half[half].cursor < 7000) {
			add_data();
			add_text(1);
			add_stack();
		}
		if (!half)
			switch_half();
	}
	memcpy(saved, data, sizeof(saved));
	memcpy(header, file, sizeof(header));
	for (int i = 0; i < ROUNDS; i++) {
		const struct trace_record *r;
		struct trace_iter it;

		for (long k = random() % 8; k >= 0; k--)
			data[random() % 8000] = (uint8_t)(random() >> 8);
		if (random() % 4 == 0)
			((uint8_t *)file)[random() % sizeof(*file)] ^= (uint8_t)(1 << random() % 8);
		if (trace_check(file, file_len) == TRACE_OK) {
			trace_iter_init(&it, file, file_len);
			while ((r = trace_next(&it)))
				n += touch(r) != 0;
		}
		memcpy(file, header, sizeof(header));
		if (i % 16 == 0)
			memcpy(data, saved, sizeof(saved));
	}
	assert_true(n > ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(files_that_are_no_trace_are_told_apart),
		TEST(offsets_that_contradict_the_file_are_refused),
		TEST(records_come_back_in_order_older_half_first),
		TEST(a_truncated_copy_gives_the_records_it_has),
		TEST(a_truncated_copy_is_not_read_beyond_its_end),
		TEST(unfinished_records_and_gaps_are_passed_over),
		TEST(a_reader_waits_for_an_unfinished_end_and_goes_on),
		TEST(a_reader_whose_half_was_thrown_away_goes_on_with_the_next),
		TEST(nonsense_costs_the_rest_of_its_half_only),
		TEST(a_record_that_ends_behind_the_last_reservation_is_nonsense),
		TEST(a_record_shorter_than_its_kind_is_skipped),
		TEST(lengths_that_leave_their_record_are_skipped),
		TEST(more_segments_than_fit_are_not_believed),
		TEST(a_stack_whose_bitmap_and_count_disagree_is_skipped),
		TEST(unknown_kinds_are_passed_in_silence),
		TEST(segments_are_walked_and_nothing_behind_them),
		TEST(rows_outside_their_table_do_not_exist),
		TEST(every_kind_and_reason_has_a_name),
		TEST(random_damage_never_leads_outside_the_file),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
