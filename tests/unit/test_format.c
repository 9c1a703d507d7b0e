/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a report says about traces a test server would not produce: blind, lossy, hostile, endless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/tracefile.h"
#include "tools/format/page.h"
#include "tools/format/format.h"

#define SEND(t, dir, bytes) tracefile_data(t, 1, dir, bytes, sizeof(bytes) - 1, 0)

static const char request[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct page_of {
	struct tracefile t;
	struct image img;
	struct trace_set set;
	struct report_result result;
	char *text;
	size_t len;
};

static void begin(struct page_of *p)
{
	memset(p, 0, sizeof(*p));
	tracefile_init(&p->t, "/usr/bin/server");
}

static void print(struct page_of *p, const struct report_format *format, bool all)
{
	const struct report_filter filter = {.all = all, .name = "memory"};
	struct finding_options options;
	FILE *out = open_memstream(&p->text, &p->len);

	finding_options_default(&options);
	tracefile_load(&p->t, &p->img);
	p->set = (struct trace_set){.images = 1, .image = &p->img};
	format->write(out, &p->set, &filter, &options, &p->result);
	fclose(out);
}

static void end(struct page_of *p)
{
	free(p->text);
	image_done(&p->img);
	tracefile_done(&p->t);
}

static void has(const struct page_of *p, const char *words)
{
	if (!strstr(p->text, words))
		fail_msg("'%s' is missing in:\n%s", words, p->text);
}

static void has_not(const struct page_of *p, const char *words)
{
	if (strstr(p->text, words))
		fail_msg("'%s' stands in:\n%s", words, p->text);
}

/* What page_path makes of a path. */
static const char *path_in(const char *path, unsigned columns)
{
	static char text[128];
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct page page = {.out = out, .width = 80};

	page_path(&page, INK_PLAIN, path, columns);
	fclose(out);
	return text;
}

static void a_long_path_keeps_the_name_of_the_file(void **state)
{
	assert_string_equal(path_in("/usr/src/gin/context.go", 40), "/usr/src/gin/context.go");
	assert_string_equal(path_in("/usr/src/gin/context.go", 20), ".../gin/context.go");
	assert_string_equal(path_in("/usr/src/gin/context.go", 14), ".../context.go");
	assert_string_equal(path_in("context-of-the-request.go", 10), "context...");
}

static void upgrade(struct page_of *p)
{
	tracefile_open(&p->t, 1, 0);
	SEND(&p->t, DIR_RX, request);
	SEND(&p->t, DIR_TX, accepted);
}

static void a_blind_process_is_called_blind_and_never_healthy(void **state)
{
	struct page_of p;

	begin(&p);
	p.t.h->coverage = TRACE_BLIND;
	p.t.h->coverage_reasons = TRACE_REASON_NO_SOCKETS;
	print(&p, &format_text, false);
	has(&p, "BLIND");
	has(&p, trace_reason_text(TRACE_REASON_NO_SOCKETS));
	has_not(&p, "none needs attention");
	assert_true(p.result.blind);
	end(&p);
}

static void partial_coverage_gives_its_reasons_and_the_writers_note(void **state)
{
	struct page_of p;

	begin(&p);
	upgrade(&p);
	p.t.h->coverage = TRACE_PARTIAL;
	p.t.h->coverage_reasons = TRACE_REASON_IO_URING | TRACE_REASON_TLS;
	snprintf(p.t.h->note, sizeof(p.t.h->note), "the disk \x1b[31mis full");
	print(&p, &format_text, false);
	has(&p, "partial");
	has(&p, trace_reason_text(TRACE_REASON_TLS));
	has(&p, "\\x1b[31mis full");
	assert_false(p.result.blind);
	end(&p);
}

static void what_was_lost_and_discarded_is_counted(void **state)
{
	struct page_of p;

	begin(&p);
	upgrade(&p);
	p.t.h->lost_events = 17;
	p.t.h->lost_bytes = 4242;
	p.t.h->discarded_halves = 1;
	p.t.h->discarded_records = 99;
	print(&p, &format_text, false);
	has(&p, "17 events (4242 bytes) could not be recorded");
	has(&p, "99 older records were discarded");
	end(&p);
}

static void hostile_text_and_names_cannot_steer_the_terminal(void **state)
{
	static const char log[] = "user \x1b]0;owned\x07 failed\n";
	struct page_of p;
	size_t i;

	begin(&p);
	snprintf(p.t.h->exe, sizeof(p.t.h->exe), "/tmp/\x1b[2Jserver\n");
	upgrade(&p);
	tracefile_text(&p.t, 1, log, sizeof(log) - 1);
	SEND(&p.t, DIR_TX, "HTTP/1.1 200 \x1b[31mOK\x9b\r\n\r\n");
	print(&p, &format_text, true);
	has(&p, "\\x1b]0;owned\\x07");
	for (i = 0; i < p.len; i++)
		if (p.text[i] != '\n')
			assert_in_range((uint8_t)p.text[i], 0x20, 0x7e);
	end(&p);
}

static void a_session_of_a_week_still_fits_a_screen(void **state)
{
	static const char frame[] = "\x81\x05hello";
	struct page_of p;
	unsigned i, lines = 0;

	begin(&p);
	upgrade(&p);
	for (i = 0; i < 5000; i++)
		SEND(&p.t, DIR_TX, frame);
	SEND(&p.t, DIR_TX, "HTTP/1.1 200 OK\r\n\r\n");
	print(&p, &format_text, false);
	has(&p, "http-after-101");
	has(&p, "calls, 0 B in");
	for (i = 0; i < p.len; i++)
		lines += p.text[i] == '\n';
	assert_in_range(lines, 10, 60);
	end(&p);
}

static void any_bytes_on_the_wire_make_well_formed_json(void **state)
{
	uint8_t all[256];
	struct page_of p;
	json_t *root;
	unsigned i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i ^ 0x41);
	begin(&p);
	upgrade(&p);
	tracefile_data(&p.t, 1, DIR_TX, all, sizeof(all), 0);
	tracefile_text(&p.t, 1, all, sizeof(all));
	print(&p, &format_json, true);
	root = json_loads(p.text, JSON_ALLOW_NUL, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "version")), 1);
	json_decref(root);
	end(&p);
}

static void an_empty_trace_is_reported_as_such(void **state)
{
	struct page_of p;

	begin(&p);
	print(&p, &format_text, false);
	has(&p, "0 attempts");
	assert_false(p.result.any);
	end(&p);
}

/* Large enough for several threads. */
static void a_large_trace_is_told_in_the_order_of_its_connections(void **state)
{
	static const char refused[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
	const uint32_t connections = 2500;
	uint32_t last = 0, lines = 0, blocks = 0;
	struct page_of p;

	begin(&p);
	for (uint32_t c = 1; c <= connections; c++) {
		const char *answer = c % 500 ? accepted : refused;

		tracefile_open(&p.t, c, 0);
		p.t.off[DIR_RX] = p.t.off[DIR_TX] = 0;
		tracefile_data(&p.t, c, DIR_RX, request, sizeof(request) - 1, 0);
		tracefile_data(&p.t, c, DIR_TX, answer, strlen(answer), 0);
	}
	print(&p, &format_text, false);
	has(&p, "2500 attempts: 2495 upgraded, 5 refused; 5 need attention");
	assert_true(p.result.any);
	for (const char *at = p.text; (at = strchr(at, '#')); at++) {
		uint32_t id = (uint32_t)strtoul(at + 1, NULL, 10);

		if (lines == 2495 && !blocks)
			last = 0; /* the blocks follow, from the first again */
		assert_true(id > last);
		last = id;
		*(id % 500 ? &lines : &blocks) += 1;
	}
	assert_int_equal(lines, 2495);
	assert_int_equal(blocks, 5);
	end(&p);
}

static void refuse_in_go(struct page_of *p)
{
	tracefile_open(&p->t, 1, 0);
	SEND(&p->t, DIR_RX, request);
	tracefile_witness(&p->t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 401, 0);
	tracefile_witness(&p->t, 1, (enum trace_witness_id)999, UINT64_MAX, 0);
	SEND(&p->t, DIR_TX, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
	p->t.h->doors = TRACE_DOOR_GO | TRACE_DOOR_INJECTED;
}

static void a_witness_is_told_with_its_goroutine_and_its_status(void **state)
{
	struct page_of p;

	begin(&p);
	refuse_in_go(&p);
	print(&p, &format_text, false);
	has(&p, "goroutine 7 entered net/http.(*response).WriteHeader (401)");
	has(&p, "a function this version does not know");
	end(&p);
	begin(&p);
	refuse_in_go(&p);
	print(&p, &format_json, true);
	has(&p, "\"doors\":[\"go\",\"injected\"]");
	has(&p, "\"kind\":\"witness\"");
	has(&p, "\"function\":\"net/http.(*response).WriteHeader\",\"goroutine\":7,"
		"\"argument\":401");
	has(&p, "\"function\":null");
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_path_keeps_the_name_of_the_file),
		cmocka_unit_test(a_blind_process_is_called_blind_and_never_healthy),
		cmocka_unit_test(partial_coverage_gives_its_reasons_and_the_writers_note),
		cmocka_unit_test(what_was_lost_and_discarded_is_counted),
		cmocka_unit_test(hostile_text_and_names_cannot_steer_the_terminal),
		cmocka_unit_test(a_session_of_a_week_still_fits_a_screen),
		cmocka_unit_test(any_bytes_on_the_wire_make_well_formed_json),
		cmocka_unit_test(a_witness_is_told_with_its_goroutine_and_its_status),
		cmocka_unit_test(an_empty_trace_is_reported_as_such),
		cmocka_unit_test(a_large_trace_is_told_in_the_order_of_its_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
