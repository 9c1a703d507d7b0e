/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of connections: what holds for every row, however many come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shim/engine/conn.c"
#include "shim/engine/reserve.c"

/* ---- what the table needs of the engine ---- */

struct trace_header *recorder_header;
struct engine_state engine;
static uint32_t fds[ENGINE_FDS];
uint32_t *engine_fds = fds;
uint32_t engine_fd_limit = ENGINE_FDS;
static unsigned heads_given;

uint64_t recorder_touched[(RECORDER_PAGES + 63) / 64];

bool recorder_touch_pages(uint64_t first, uint64_t last)
{
	return false;
}

void heads_give(uint8_t slot)
{
	heads_given++;
}

void text_close(uint16_t row, uint64_t now)
{
}

void witness_close(struct conn *c)
{
}

uint64_t clock_now(void)
{
	return 1;
}

/* ---- tests ---- */

static struct conn *open_one(void)
{
	struct conn *c = conn_new(5, ROLE_SERVER, TRACE_ACCEPTED, 1);

	if (c)
		conn_unlock(c);
	return c;
}

static void close_one(struct conn *c)
{
	assert_true(conn_lock(c));
	c->dying = 1;
	conn_unlock(c);
}

static int start(void **state)
{
	return conn_start() ? 0 : -1;
}

static void a_full_table_refuses_and_takes_again_what_was_given_back(void **state)
{
	struct conn *last = NULL, *c;
	unsigned n = 0;

	while ((c = open_one())) {
		last = c;
		n++;
	}
	assert_int_equal(n, TRACE_CONNECTIONS - CONN_FIRST);
	assert_null(open_one());
	close_one(last);
	assert_ptr_equal(open_one(), last);
	assert_null(open_one());
	for (uint32_t row = CONN_FIRST; row < conn_rows(); row++)
		close_one(conn_at(row));
	assert_non_null(c = open_one());
	close_one(c);
}

static void an_id_is_never_used_again(void **state)
{
	struct conn *c = open_one();
	uint32_t id = c->id;

	for (unsigned i = 0; i < 1000; i++) {
		struct conn *again;

		close_one(c);
		assert_int_equal(c->id, 0);
		again = open_one();
		assert_ptr_equal(again, c); /* the same row */
		assert_true(again->id > id);
		id = again->id;
	}
	close_one(c);
}

static void rows_0_and_1_mean_no_connection(void **state)
{
	struct conn *c = open_one();

	assert_true(conn_row(c) >= CONN_FIRST);
	fds[7] = CONN_TEXT;
	assert_null(conn_of(7));
	fds[7] = 0;
	assert_null(conn_of(7));
	assert_null(conn_of(-1));
	assert_null(conn_of(ENGINE_FDS));
	fds[7] = conn_row(c);
	assert_ptr_equal(conn_of(7), c);
	fds[7] = 0;
	close_one(c);
}

static void a_connection_that_dies_while_locked_is_freed_by_the_holder(void **state)
{
	struct conn *c = open_one();

	c->heads = 3;
	heads_given = 0;
	assert_true(conn_lock(c));
	assert_false(conn_lock(c)); /* who does not get it goes on, and soon */
	c->dying = 1;
	assert_int_not_equal(c->id, 0);
	conn_unlock(c);
	assert_int_equal(c->id, 0);
	assert_int_equal(heads_given, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_table_refuses_and_takes_again_what_was_given_back),
		cmocka_unit_test(an_id_is_never_used_again),
		cmocka_unit_test(rows_0_and_1_mean_no_connection),
		cmocka_unit_test(a_connection_that_dies_while_locked_is_freed_by_the_holder),
	};

	return cmocka_run_group_tests_name("engine_conn", tests, start, NULL);
}
