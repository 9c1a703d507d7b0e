/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blame names the middleware that spoiled an upgrade, and never an innocent frame around it.
 *
 * This program is its own victim: a small chain of functions "sends" by recording its registers and
 * stack the way the recorder does; the trace made of that is then judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/unit/tracefile.h"
#include "tools/blame/blame.h"
#include "tools/blame/roles.h"

#define FRAME __attribute__((noinline))
/* Behind a call: the call is no tail call, so the frame stays on the stack. */
#define STAY __asm__ volatile("" ::: "memory")

enum {
	WINDOW = 4096, /* words */
};

/* What a call of the chain does and to which connection. */
struct call {
	struct tracefile *t;
	uint32_t conn;
	const char *spoil;
};

static uint64_t next_id;
static uintptr_t stack_top;

static void find_stack_top(void)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	stack_top = (uintptr_t)low + size;
}

/* Copy the stack the way the recorder does, red zones of a sanitizer included. */
__attribute__((no_sanitize("address"), noinline)) static void copy_words(uint64_t *to,
									 uintptr_t from, size_t n)
{
	const volatile uint64_t *p = (const volatile uint64_t *)from;

	while (n--)
		*to++ = *p++;
}

/* The registers at this place, in DWARF numbering; those a call may change are left zero. */
static inline __attribute__((always_inline)) void capture(uint64_t reg[17])
{
	memset(reg, 0, 17 * sizeof(reg[0]));
	__asm__ volatile("movq %%rbx, 24(%0)\n\t"
			 "movq %%rbp, 48(%0)\n\t"
			 "movq %%rsp, 56(%0)\n\t"
			 "movq %%r12, 96(%0)\n\t"
			 "movq %%r13, 104(%0)\n\t"
			 "movq %%r14, 112(%0)\n\t"
			 "movq %%r15, 120(%0)\n\t"
			 "leaq 0(%%rip), %%rax\n\t"
			 "movq %%rax, 128(%0)"
			 :
			 : "r"(reg)
			 : "rax", "memory");
}

static uint64_t store_stack(struct tracefile *t, const uint64_t reg[17])
{
	uintptr_t sp = (uintptr_t)reg[7];
	size_t words = (stack_top - sp) / 8, maps;
	struct trace_stack *s;
	uint64_t *bitmap;
	size_t i;

	if (words > WINDOW)
		words = WINDOW;
	maps = (words + 63) / 64;
	s = tracefile_add(t, TRACE_STACK, sizeof(*s) + (maps + words) * 8);
	s->id = ++next_id;
	memcpy(s->reg, reg, 17 * sizeof(reg[0]));
	s->words = s->kept = (uint32_t)words;
	bitmap = (uint64_t *)(s + 1);
	for (i = 0; i < words; i++)
		bitmap[i / 64] |= UINT64_C(1) << (i % 64);
	copy_words(bitmap + maps, sp, words);
	trace_publish(&s->rec);
	return next_id;
}

/* ---- the victim ---- */

FRAME static void send_all(struct call *c, const char *bytes)
{
	uint64_t reg[17];

	capture(reg);
	tracefile_data(c->t, c->conn, DIR_TX, bytes, strlen(bytes), store_stack(c->t, reg));
}

FRAME static void read_all(struct call *c, const char *bytes)
{
	uint64_t reg[17];

	capture(reg);
	tracefile_data(c->t, c->conn, DIR_RX, bytes, strlen(bytes), store_stack(c->t, reg));
}

static inline __attribute__((always_inline)) void complain_inline(struct call *c)
{
	send_all(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	STAY;
}

/* Ends in a jump to send_all(): it has left the stack when the bytes are sent. */
FRAME static void hurry(struct call *c)
{
	send_all(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
}

FRAME static void upgrade(struct call *c)
{
	send_all(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
	STAY;
	if (strcmp(c->spoil, "same-function") == 0)
		send_all(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	STAY;
}

static void (*volatile pointer)(struct call *) = hurry;

FRAME static void auth(struct call *c)
{
	if (strcmp(c->spoil, "auth") == 0) {
		send_all(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
		STAY;
		return;
	}
	if (strcmp(c->spoil, "inline") == 0) {
		complain_inline(c);
		return;
	}
	if (strcmp(c->spoil, "jump") == 0) {
		hurry(c);
		STAY;
		return;
	}
	if (strcmp(c->spoil, "pointer") == 0) {
		pointer(c);
		STAY;
		return;
	}
	upgrade(c);
	STAY;
}

FRAME static void metrics(struct call *c)
{
	auth(c);
	STAY;
	if (strcmp(c->spoil, "after") == 0)
		send_all(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	STAY;
}

FRAME static void serve(struct call *c)
{
	read_all(c, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	STAY;
	metrics(c);
	STAY;
}

FRAME static void accept_loop(struct tracefile *t, const char *const *spoil)
{
	uint64_t reg[17];
	struct call c = {.t = t};

	for (; *spoil; spoil++) {
		c.spoil = *spoil;
		c.conn++;
		capture(reg);
		tracefile_open(t, c.conn, store_stack(t, reg));
		serve(&c);
		/* A closing handshake makes the healthy ones healthy. */
		tracefile_data(t, c.conn, DIR_RX, "\x88\x82\0\0\0\0\x03\xe8", 8, 0);
		tracefile_data(t, c.conn, DIR_TX, "\x88\x02\x03\xe8", 4, 0);
		tracefile_close(t, c.conn);
	}
}

/* ---- the judges ---- */

struct court {
	struct tracefile t;
	struct image img;
	struct blamer *b;
};

static void hold(struct court *k, const char *const *spoil)
{
	find_stack_top();
	next_id = 0;
	tracefile_init(&k->t, "/usr/bin/victim");
	tracefile_modules(&k->t);
	accept_loop(&k->t, spoil);
	tracefile_load(&k->t, &k->img);
	k->b = blamer_new(&k->img, NULL);
}

static void adjourn(struct court *k)
{
	blamer_free(k->b);
	image_done(&k->img);
	tracefile_done(&k->t);
}

/* Blame the nth write with a stack of a connection. */
static struct blame judge(struct court *k, uint32_t conn, unsigned nth)
{
	const struct connection *c = &k->img.process.connection[conn];
	struct finding f = {.blame_event = MODEL_NONE};
	uint32_t i;

	for (i = 0; i < c->events; i++)
		if (c->event[i].kind == EVENT_DATA && c->event[i].dir == DIR_TX &&
		    c->event[i].stack && nth-- == 0)
			f.blame_event = i;
	assert_int_not_equal(f.blame_event, MODEL_NONE);
	return blamer_blame(k->b, c, &c->exchange[0], &f);
}

static void is_blamed(const struct blame *b, const char *function)
{
	if (!b->culprit)
		fail_msg("nobody is blamed: %s", b->reason);
	assert_string_equal(b->culprit->function, function);
	assert_non_null(strstr(b->culprit->file, "test_blame.c"));
	assert_true(b->culprit->line > 0);
	assert_string_equal(b->culprit->module, "test_blame");
}

static void the_middleware_is_blamed_not_its_send_helper_nor_the_loop(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "auth", NULL});
	b = judge(&k, 1, 0);
	is_blamed(&b, "auth");
	assert_null(b.reason);
	adjourn(&k);
}

static void a_middleware_that_passed_the_healthy_request_on_can_still_be_guilty(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "after", NULL});
	b = judge(&k, 1, 1);
	is_blamed(&b, "metrics");
	adjourn(&k);
}

static void a_second_write_of_the_handler_itself_is_told_from_its_101(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "same-function", NULL});
	b = judge(&k, 1, 1);
	is_blamed(&b, "upgrade");
	adjourn(&k);
}

static void a_function_inlined_into_the_middleware_is_named(void **state)
{
	struct court k;
	struct blame b;
	uint32_t i;
	bool there = false;

	hold(&k, (const char *const[]){"", "inline", NULL});
	b = judge(&k, 1, 0);
	is_blamed(&b, "complain_inline");
	for (i = 0; i < b.stack->frames; i++)
		if (b.stack->frame[i].function && !strcmp(b.stack->frame[i].function, "auth"))
			there = true;
	assert_true(b.culprit->inlined);
	assert_true(there);
	adjourn(&k);
}

static bool is_tail_call(const struct stack *s, const char *function)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++)
		if (s->frame[i].function && strcmp(s->frame[i].function, function) == 0)
			return s->frame[i].jumped;
	return true;
}

static void a_middleware_that_left_the_stack_by_a_tail_call_is_found(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "jump", NULL});
	b = judge(&k, 1, 0);
	is_blamed(&b, "hurry");
	/* Built without optimisation it has a frame of its own. */
	assert_true(is_tail_call(b.stack, "hurry") || b.stack->frames > 6);
	adjourn(&k);
}

static void a_tail_call_through_a_pointer_leaves_doubt_and_names_who_it_may_have_been(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "pointer", NULL});
	b = judge(&k, 1, 0);
	/* Built without optimisation it has a frame of its own. */
	if (!b.culprit || strcmp(b.culprit->function, "hurry") != 0) {
		assert_non_null(strstr(b.reason, "hurry ("));
		assert_non_null(strstr(b.reason, "tail call"));
	}
	adjourn(&k);
}

static void without_a_healthy_switch_the_verdict_says_it_is_less_certain(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"auth", NULL});
	b = judge(&k, 0, 0);
	is_blamed(&b, "auth");
	assert_non_null(strstr(b.reason, "less certain"));
	adjourn(&k);
}

static void a_wrong_101_is_blamed_on_its_handler_although_others_were_healthy(void **state)
{
	struct court k;
	struct blame b;

	hold(&k, (const char *const[]){"", "after", NULL});
	b = judge(&k, 1, 0);
	is_blamed(&b, "upgrade");
	adjourn(&k);
}

static void what_healthy_connections_do_too_is_nobodys_fault(void **state)
{
	struct finding f = {.blame_event = MODEL_NONE};
	const struct connection *c;
	struct court k;
	struct blame b;
	uint32_t i;

	hold(&k, (const char *const[]){"", "auth", NULL});
	c = &k.img.process.connection[1];
	for (i = 0; i < c->events; i++)
		if (c->event[i].dir == DIR_RX && c->event[i].kind == EVENT_DATA &&
		    c->event[i].stack)
			f.blame_event = i;
	b = blamer_blame(k.b, c, &c->exchange[0], &f);
	assert_null(b.culprit);
	assert_non_null(strstr(b.reason, "healthy"));
	adjourn(&k);
}

static void a_forking_servers_healthy_switch_in_another_process_counts(void **state)
{
	struct court healthy, spoiled;
	struct image images[2];
	struct trace_set set = {.images = 2, .image = images};
	struct blame b;

	hold(&healthy, (const char *const[]){"", NULL});
	hold(&spoiled, (const char *const[]){"after", NULL});
	images[0] = healthy.img;
	images[1] = spoiled.img;
	blamer_free(spoiled.b);
	spoiled.b = blamer_new(&images[1], &set);
	b = judge(&spoiled, 0, 1);
	is_blamed(&b, "metrics");
	assert_null(b.reason);
	adjourn(&spoiled);
	adjourn(&healthy);
}

static void a_replaced_file_gives_no_names_instead_of_wrong_ones(void **state)
{
	struct court k;
	struct trace_module *row;
	struct blame b;
	uint32_t i;

	hold(&k, (const char *const[]){"auth", NULL});
	row = (struct trace_module *)(k.t.file + k.t.h->modules_off);
	for (i = 0; i < k.t.h->modules; i++) {
		memset(row[i].build_id, 0xee, sizeof(row[i].build_id));
		row[i].build_id_len = sizeof(row[i].build_id);
	}
	blamer_free(k.b);
	k.b = blamer_new(&k.img, NULL);
	b = judge(&k, 0, 0);
	assert_int_equal(b.stack->frames, 1);
	assert_null(b.stack->frame[0].function);
	assert_string_equal(b.stack->frame[0].module, "test_blame");
	assert_true(b.stack->frame[0].module_off > 0);
	assert_null(b.culprit);
	assert_non_null(strstr(b.reason, "build id"));
	adjourn(&k);
}

static void a_stack_that_was_discarded_blames_nobody(void **state)
{
	struct court k;
	struct finding f = {.blame_event = 0};
	struct blame b;

	hold(&k, (const char *const[]){"auth", NULL});
	k.img.process.connection[0].event[0].stack = 999999;
	b = blamer_blame(k.b, &k.img.process.connection[0], NULL, &f);
	assert_null(b.culprit);
	assert_non_null(strstr(b.reason, "gone"));
	adjourn(&k);
}

static void a_hostile_stack_record_ends_in_fewer_frames(void **state)
{
	struct court k;
	struct trace_stack *s;
	uint64_t id, seed = 1;

	hold(&k, (const char *const[]){"auth", "", NULL});
	for (id = 1; id <= next_id; id++) {
		s = (struct trace_stack *)image_stack(&k.img, id);
		if (!s)
			continue;
		/* Keep the start plausible, spoil everything else. */
		for (uint64_t *w = (uint64_t *)(s + 1); w < (uint64_t *)(s + 1) + s->kept; w++) {
			seed = seed * UINT64_C(6364136223846793005) + 1;
			*w ^= seed >> (id % 5 * 10);
		}
		s->reg[7] = id % 2 ? UINT64_MAX - 64 : s->reg[7];
		assert_non_null(blamer_stack(k.b, id));
		assert_true(blamer_stack(k.b, id)->frames >= 1);
	}
	adjourn(&k);
}

static void interpreters_and_servers_are_told_from_users_code(void **state)
{
	assert_string_equal(role_of("libshakedown.so", "engine_exit"), "shim");
	assert_string_equal(role_of("libc.so.6", "write"), "libc");
	assert_string_equal(role_of("ld-musl-x86_64.so.1", "write"), "libc");
	assert_string_equal(role_of("python3.11", NULL), "runtime");
	assert_string_equal(role_of("libuv.so.1.0.0", "uv_run"), "runtime");
	assert_string_equal(role_of("nginx", "ngx_http_send_header"), "server");
	assert_string_equal(role_of("libwebsockets.so.17", "lws_service"), "library");
	assert_string_equal(role_of("my_server", "auth"), "user");
	assert_string_equal(role_of("my_server", NULL), "user");
	assert_string_equal(role_of(NULL, NULL), "unknown");
	assert_string_equal(role_of("rusty", "_ZN3std3net3tcp9TcpStream5write17h0123456789abcdefE"),
			    "library");
	assert_string_equal(role_of("plus", "_ZN6server4authEv"), "user");
	assert_string_equal(role_language("python3.11"), "CPython");
	assert_string_equal(role_language("node"), "Node.js");
	assert_null(role_language("my_server"));
}

static void what_lies_among_the_crates_is_told_from_users_code(void **state)
{
	assert_string_equal(role_of_source("/rustc/5980/library/std/src/net/tcp.rs"), "runtime");
	assert_string_equal(
		role_of_source("/home/a/.cargo/registry/src/i-1/tokio-1.54.1/src/lib.rs"),
		"runtime");
	assert_string_equal(
		role_of_source("/home/a/.cargo/registry/src/i-1/tungstenite-0.30.0/src/a.rs"),
		"library");
	assert_null(role_of_source("/home/a/server/src/main.rs"));
	assert_null(role_of_source("/rustc/server.c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_middleware_is_blamed_not_its_send_helper_nor_the_loop),
		cmocka_unit_test(
			a_middleware_that_passed_the_healthy_request_on_can_still_be_guilty),
		cmocka_unit_test(a_second_write_of_the_handler_itself_is_told_from_its_101),
		cmocka_unit_test(a_function_inlined_into_the_middleware_is_named),
		cmocka_unit_test(a_middleware_that_left_the_stack_by_a_tail_call_is_found),
		cmocka_unit_test(
			a_tail_call_through_a_pointer_leaves_doubt_and_names_who_it_may_have_been),
		cmocka_unit_test(without_a_healthy_switch_the_verdict_says_it_is_less_certain),
		cmocka_unit_test(a_wrong_101_is_blamed_on_its_handler_although_others_were_healthy),
		cmocka_unit_test(what_healthy_connections_do_too_is_nobodys_fault),
		cmocka_unit_test(a_forking_servers_healthy_switch_in_another_process_counts),
		cmocka_unit_test(a_replaced_file_gives_no_names_instead_of_wrong_ones),
		cmocka_unit_test(a_stack_that_was_discarded_blames_nobody),
		cmocka_unit_test(a_hostile_stack_record_ends_in_fewer_frames),
		cmocka_unit_test(interpreters_and_servers_are_told_from_users_code),
		cmocka_unit_test(what_lies_among_the_crates_is_told_from_users_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
