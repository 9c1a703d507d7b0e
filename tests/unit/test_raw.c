/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls that find somebody else inside their connection: what they moved is told at once, without
 * secrets, and reaches the phase machine and the masker with the next call that gets the lock.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/engine/conn.c"
#include "shim/engine/gather.c"
#include "shim/engine/heads.c"
#include "shim/engine/observe.c"
#include "shim/engine/raw.c"
#include "shim/engine/record.c"
#include "shim/engine/reserve.c"
#include "shim/engine/watch.c"

#include <cmocka.h> /* its skip() is a macro */

/* ---- the rest of the engine ---- */

struct trace_header *recorder_header;
struct engine_state engine;
static uint32_t fds[ENGINE_FDS];
uint32_t *engine_fds = fds;
uint32_t engine_fd_limit = ENGINE_FDS;
uint64_t recorder_touched[(RECORDER_PAGES + 63) / 64];
uint64_t clock_thread_off;

bool recorder_touch_pages(uint64_t first, uint64_t last)
{
	return false;
}

void recorder_lost(enum trace_lost_why why, uint64_t bytes)
{
}

void recorder_cover(uint32_t conn, enum trace_coverage_state state, uint64_t reasons)
{
}

uint32_t clock_ask_thread(void)
{
	return 1;
}

uint64_t clock_now(void)
{
	static uint64_t now;

	return __atomic_add_fetch(&now, 1, __ATOMIC_RELAXED);
}

uint64_t clock_ticks(void)
{
	return 1;
}

uint64_t clock_elapsed(uint64_t from, uint64_t to)
{
	return 0;
}

uint16_t text_open(uint32_t tid, uint32_t conn)
{
	return 0;
}

void text_close(uint16_t row, uint64_t now)
{
}

void witness_open(struct conn *c, const struct call_place *place)
{
}

void witness_close(struct conn *c)
{
}

uint16_t counts_route(enum http_method method, const uint8_t *head, size_t n)
{
	return 0;
}

void counts_add(uint16_t route, unsigned status, uint64_t took_ns, uint64_t rx, uint64_t tx)
{
}

bool quick_frames(struct conn *c, const struct call *call, enum dir dir)
{
	return false;
}

bool quick_known(struct conn *c, const struct call *call, enum dir dir, uint64_t moved)
{
	return false;
}

bool quick_plain(struct conn *c, const struct call *call, enum dir dir, uint64_t moved)
{
	return false;
}

/* ---- the records ---- */

enum {
	RECORDS = 64,
	SIZE = 4096,
};
static uint64_t store[RECORDS][SIZE / 8];
static unsigned records;

void *recorder_begin(enum trace_kind kind, size_t size)
{
	unsigned n = __atomic_fetch_add(&records, 1, __ATOMIC_RELAXED);
	struct trace_record *r = (struct trace_record *)store[n % RECORDS];

	if (size > SIZE)
		return NULL;
	memset(r, 0, SIZE);
	r->size_state = (uint32_t)size | TRACE_RESERVED;
	r->kind = (uint16_t)kind;
	return r;
}

static const struct trace_data *data_last(void)
{
	for (unsigned i = records; i-- > 0;) {
		const struct trace_data *r = (const void *)store[i % RECORDS];

		if (r->rec.kind == TRACE_DATA)
			return r;
	}
	fail_msg("there is no DATA record");
	return NULL;
}

static const char *bytes_of_record(const struct trace_data *r)
{
	return r->segments ? (const char *)(r + 1) + sizeof(struct trace_segment) : "";
}

/* ---- calls ---- */

#define REQUEST                                                                        \
	"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define REFUSAL                                                               \
	"HTTP/1.1 401 Unauthorized\r\nSet-Cookie: session=hunter2hunter2\r\n" \
	"Content-Length: 16\r\n\r\ntoken=hunter2abc"
#define SWITCH \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

static bool stack_needs_lock; /* somebody must be able to enter while a stack is taken */
static struct conn *stack_conn;
static unsigned stacks;

uint64_t stack_take(const struct call_place *place, uint64_t now)
{
	__atomic_fetch_add(&stacks, 1, __ATOMIC_RELAXED);
	if (stack_needs_lock) {
		assert_true(conn_lock(stack_conn));
		conn_unlock(stack_conn);
	}
	return 9;
}

static void move(struct conn *c, enum dir dir, const char *bytes)
{
	struct call call = {
		.id = dir == DIR_RX ? CALL_read : CALL_write,
		.conn = conn_row(c),
		.conn_key = c->id,
		.arg = {5, (uintptr_t)bytes, strlen(bytes)},
		.ret = (int64_t)strlen(bytes),
		.token = ++c->entered[dir],
	};

	observe_moved(c, &call, dir, strlen(bytes), false);
}

static struct conn *open_one(void)
{
	struct conn *c = conn_new(5, ROLE_SERVER, TRACE_ACCEPTED, 1);

	assert_non_null(c);
	conn_unlock(c);
	records = stacks = 0;
	stack_needs_lock = false;
	stack_conn = c;
	return c;
}

static struct conn *open_attempt(void)
{
	struct conn *c = open_one();

	move(c, DIR_RX, REQUEST);
	assert_true(c->bits & CONN_ATTEMPT);
	return c;
}

static void close_one(struct conn *c)
{
	c->dying = 1;
	assert_true(conn_lock(c));
	conn_unlock(c);
}

/* What others do while somebody is inside. */
static void move_locked_out(struct conn *c, enum dir dir, const char *bytes)
{
	c->lock = 1;
	move(c, dir, bytes);
	c->lock = 0;
}

static int start(void **state)
{
	engine.quiet = true; /* nobody else is there who could need the processor */
	engine.config.max_body = 4096;
	return conn_start() && heads_start() ? 0 : -1;
}

/* ---- tests ---- */

static void an_answer_without_the_lock_is_told_without_its_secrets(void **state)
{
	struct conn *c = open_attempt();
	const struct trace_data *r;

	move_locked_out(c, DIR_TX, REFUSAL);
	r = data_last();
	assert_int_equal(r->rec.flags, TRACE_DATA_RAW);
	assert_int_equal(r->moved, strlen(REFUSAL));
	assert_int_equal(r->stack, 9);
	assert_memory_equal(bytes_of_record(r), "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: sess",
			    42);
	assert_non_null(strstr(bytes_of_record(r), "Content-Length: 16\r\n\r\ntoken="));
	assert_null(strstr(bytes_of_record(r), "hunter2"));
	close_one(c);
}

static void bytes_that_begin_no_head_are_not_told(void **state)
{
	struct conn *c = open_attempt();

	move_locked_out(c, DIR_TX, "hunter2");
	assert_int_equal(data_last()->rec.flags, TRACE_DATA_RAW);
	assert_int_equal(data_last()->segments, 0);
	close_one(c);
}

static void the_next_call_finds_the_machine_where_it_belongs(void **state)
{
	struct conn *c = open_attempt();
	unsigned before;

	move_locked_out(c, DIR_TX, SWITCH);
	assert_false(phase_is_switched(&c->machine));
	before = records;
	move(c, DIR_TX, "\x81\x02hi");
	assert_true(phase_is_framed(&c->machine));
	assert_false(c->bits & (CONN_ATTEMPT | CONN_ASIDE | CONN_PARTIAL));
	assert_int_equal(c->machine.off[DIR_TX], strlen(SWITCH) + 4);
	/* The answer has its record already. */
	assert_int_equal(records, before + 1);
	assert_int_equal(data_last()->off, strlen(SWITCH));
	assert_int_equal(c->waiting, 0);
	close_one(c);
}

static void the_masker_goes_on_behind_bytes_it_was_not_asked_for(void **state)
{
	struct conn *c = open_attempt();

	move_locked_out(c, DIR_TX, "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: session=hun");
	move(c, DIR_TX, "ter2hunter2\r\nContent-Length: 0\r\n\r\n");
	assert_memory_equal(bytes_of_record(data_last()),
			    "***********\r\nContent-Length: 0\r\n\r\n", 34);
	assert_int_equal(phase_now(&c->machine), PHASE_IDLE);
	close_one(c);
}

static void an_attempt_that_was_locked_out_is_recorded_by_the_next_call(void **state)
{
	struct conn *c = open_one();
	bool late = false;

	move_locked_out(c, DIR_RX, REQUEST);
	assert_int_equal(records, 0);
	move(c, DIR_TX, SWITCH);
	assert_true(phase_is_framed(&c->machine));
	for (unsigned i = 0; i < records; i++) {
		const struct trace_data *r = (const void *)store[i];

		late |= r->rec.kind == TRACE_DATA && r->rec.flags == TRACE_DATA_LATE &&
			r->dir == DIR_RX && r->moved == strlen(REQUEST) &&
			!strncmp(bytes_of_record(r), "GET /ws HTTP/1.1\r\n", 18);
	}
	assert_true(late);
	close_one(c);
}

static void what_waits_ends_with_its_connection(void **state)
{
	for (unsigned i = 0; i < HEADS_SLOTS * 2; i++) {
		struct conn *c = open_attempt();

		move_locked_out(c, DIR_TX, SWITCH);
		assert_int_not_equal(c->waiting, 0);
		close_one(c);
	}
}

static void nobody_is_locked_out_while_a_stack_is_taken(void **state)
{
	struct conn *c = open_attempt();
	struct call read = {
		.id = CALL_read, .conn = conn_row(c), .conn_key = c->id, .arg = {5, 0, 1}};
	unsigned before = stacks;

	stack_needs_lock = true;
	assert_true(observe_read_begins(c, &read));
	move(c, DIR_TX, SWITCH);
	assert_int_equal(data_last()->stack, 9);
	assert_int_equal(stacks, before + 2);
	stack_needs_lock = false;
	close_one(c);
}

/* ---- two threads ---- */

enum {
	ROUNDS = 2000,
};
static uint32_t turn_of[2]; /* rounds begun, rounds the reader has done */

static void *read_again_and_again(void *arg)
{
	struct conn *c = arg;
	struct call read = {
		.id = CALL_read, .conn = conn_row(c), .conn_key = c->id, .arg = {5, 0, 1}};

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (__atomic_load_n(&turn_of[0], __ATOMIC_ACQUIRE) < i)
			sys_pause();
		(void)observe_read_begins(c, &read);
		__atomic_store_n(&turn_of[1], i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void every_answer_is_told_while_a_read_begins(void **state)
{
	struct conn *c = open_one();
	pthread_t reader;

	assert_int_equal(pthread_create(&reader, NULL, read_again_and_again, c), 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		bool told = false;
		unsigned from;

		move(c, DIR_RX, REQUEST);
		from = records;
		__atomic_store_n(&turn_of[0], i, __ATOMIC_RELEASE);
		move(c, DIR_TX, REFUSAL);
		while (__atomic_load_n(&turn_of[1], __ATOMIC_ACQUIRE) < i)
			sys_pause();
		for (unsigned k = from; k < records; k++) {
			const struct trace_data *r = (const void *)store[k % RECORDS];

			told |= r->rec.kind == TRACE_DATA && r->dir == DIR_TX &&
				!strncmp(bytes_of_record(r), "HTTP/1.1 401", 12);
		}
		assert_true(told);
		assert_int_equal(c->missed[DIR_TX], 0);
	}
	pthread_join(reader, NULL);
	close_one(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_without_the_lock_is_told_without_its_secrets),
		cmocka_unit_test(bytes_that_begin_no_head_are_not_told),
		cmocka_unit_test(the_next_call_finds_the_machine_where_it_belongs),
		cmocka_unit_test(the_masker_goes_on_behind_bytes_it_was_not_asked_for),
		cmocka_unit_test(an_attempt_that_was_locked_out_is_recorded_by_the_next_call),
		cmocka_unit_test(what_waits_ends_with_its_connection),
		cmocka_unit_test(nobody_is_locked_out_while_a_stack_is_taken),
		cmocka_unit_test(every_answer_is_told_while_a_read_begins),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
