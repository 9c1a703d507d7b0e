/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_phase: what the phase machine makes of a connection; attempts have a file of their own.
 */
#include "tests/unit/phase_script.h"

static void an_exchange_passes_through_its_phases(void **state)
{
	RUN({R(GET), W(OK)},
	    "request-head r0, before-response r18, response-head w0, "
	    "response-body w38, idle w40",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40");
	RUN({R("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), W(REFUSE)},
	    "request-head r0, request-body r38, before-response r41, response-head w0, idle w38",
	    "request r0, request-ready r38, request-end r41, answer w0, answer-ready w38 400, "
	    "answer-end w38");
}

static void a_kept_connection_carries_exchange_after_exchange(void **state)
{
	RUN({R(GET), W(OK), R("\r\n" GET), W(REFUSE)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, idle w40, "
	    "request-head r20, before-response r38, response-head w40, idle w78",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40, request r20 #1, request-ready r38 #1, request-end r38 #1, "
	    "answer w40 #1, answer-ready w78 400 #1, answer-end w78 #1");
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	RUN({R(GET GET), W(OK), W(OK)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, "
	    "before-response w40, response-head w40, response-body w78, idle w80",
	    "request r0, request-ready r18, request-end r18, request r18 #1, request-ready r36 #1, "
	    "request-end r36 #1, answer w0, answer-ready w38 200, answer-end w40, answer w40 #1, "
	    "answer-ready w78 200 #1, answer-end w80 #1");
	RUN({R(GET "GET"), W(OK)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, "
	    "request-head w40",
	    "request r0, request-ready r18, request-end r18, request r18 #1, answer w0, "
	    "answer-ready w38 200, answer-end w40");
}

static void too_many_waiting_requests_make_it_blind(void **state)
{
	RUN({R(GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET), R(GET), W(OK)},
	    "request-head r0, before-response r18",
	    "request r0, request-ready r18, request-end r18, "
	    "request r18 #1, request-ready r36 #1, request-end r36 #1, "
	    "request r36 #2, request-ready r54 #2, request-end r54 #2, "
	    "request r54 #3, request-ready r72 #3, request-end r72 #3, "
	    "request r72 #4, request-ready r90 #4, request-end r90 #4, "
	    "request r90 #5, request-ready r108 #5, request-end r108 #5, "
	    "request r108 #6, request-ready r126 #6, request-end r126 #6, "
	    "request r126 #7, request-ready r144 #7, request-end r144 #7, "
	    "request r144 #8, request-ready r162 #8, request-end r162 #8, "
	    "request r162 #9, request-ready r180 #9, request-end r180 #9, "
	    "request r180 #10, request-ready r198 #10, request-end r198 #10, "
	    "request r198 #11, request-ready r216 #11, request-end r216 #11, "
	    "request r216 #12, request-ready r234 #12, request-end r234 #12, "
	    "request r234 #13, request-ready r252 #13, request-end r252 #13, "
	    "request r252 #14, request-ready r270 #14, request-end r270 #14, "
	    "request r270 #15, request-ready r288 #15, request-end r288 #15, blind r288");
}

static void interim_answers_answer_nothing(void **state)
{
	RUN({R("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
	     W("HTTP/1.1 100 Continue\r\n\r\n"), R("x"),
	     W("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK)},
	    "request-head r0, request-body r60, response-head w0, request-body w25, "
	    "before-response r61, response-head w25, before-response w62, response-head w62, "
	    "response-body w100, idle w102",
	    "request r0, request-ready r60, answer w0, answer-ready w25 100, request-end r61, "
	    "answer w25, answer-ready w62 103, answer w62, answer-ready w100 200, answer-end w102");
}

static void bodies_end_where_their_framing_says(void **state)
{
	RUN({R("HEAD / HTTP/1.1\r\n\r\n"), W("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")},
	    "request-head r0, before-response r19, response-head w0, idle w38",
	    "request r0, request-ready r19, request-end r19, answer w0, answer-ready w38 200, "
	    "answer-end w38");
	RUN({R(GET), W("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n")},
	    "request-head r0, before-response r18, response-head w0, idle w47",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w47 204, "
	    "answer-end w47");
	RUN({R("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET),
	     W("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: "
	       "x\r\n\r\n")},
	    "request-head r0, request-body r47, before-response r60, response-head w0, "
	    "response-body w47, before-response w69",
	    "request r0, request-ready r47, request-end r60, request r60 #1, request-ready r78 #1, "
	    "request-end r78 #1, answer w0, answer-ready w47 200, answer-end w69");
	RUN({R("GET / HTTP/1.0\r\n\r\n"), W("HTTP/1.0 200 OK\r\n\r\nto the end"), SHUTDOWN, FIN},
	    "request-head r0, before-response r18, response-head w0, response-body w19, closing "
	    "w29",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w19 200, "
	    "answer-end w29");
	RUN({R("GET / HTTP/1.0\r\n\r\n"), W("HTTP/1.0 200 OK\r\n\r\nto the end"), RESET},
	    "request-head r0, before-response r18, response-head w0, response-body w19, closing "
	    "r18",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w19 200");
}

static void answers_nobody_asked_for_are_reported_once_each(void **state)
{
	RUN({R(GET), W(OK "more"), W("yet"), R(GET), W(OK)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, idle w40, "
	    "request-head r18, before-response r36, response-head w47, response-body w85, idle w87",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40, unasked w40, request r18 #1, request-ready r36 #1, request-end r36 "
	    "#1, "
	    "answer w47 #1, answer-ready w85 200 #1, answer-end w87 #1");
	RUN({R(GET), W(OK OK), R(GET), W(OK)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, idle w40, "
	    "response-head w40, response-body w78, idle w80, request-head r18, "
	    "before-response r36, response-head w80, response-body w118, idle w120",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40, unasked w40, answer w40, answer-ready w78 200, answer-end w80, "
	    "request r18 #1, request-ready r36 #1, request-end r36 #1, answer w80 #1, "
	    "answer-ready w118 200 #1, answer-end w120 #1");
	RUN({W("HTTP/1.1 408 T\r\nContent-Length: 0\r\n\r\n"), CLOSE},
	    "response-head w0, accepted w37, closing w37",
	    "unasked w0, answer w0, answer-ready w37 408, answer-end w37");
	RUN({R("HEAD / HTTP/1.1\r\n\r\n"), W("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
	     W("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")},
	    "request-head r0, before-response r19, response-head w0, idle w38, response-head w38, "
	    "idle w76",
	    "request r0, request-ready r19, request-end r19, answer w0, answer-ready w38 200, "
	    "answer-end w38, unasked w38, answer w38, answer-ready w76 200, answer-end w76");
	RUN({W(SWITCH), R(ATTEMPT), W(REFUSE)},
	    "response-head w0, accepted w38, request-head r0, before-response r60, "
	    "response-head w38, idle w76",
	    "unasked w0, answer w0, answer-ready w38 101, request r0, request-ready r60, "
	    "request-end r60, answer w38, answer-ready w76 400, answer-end w76");
}

static void output_that_is_no_answer_is_reported_where_it_stops_being_one(void **state)
{
	RUN({R(ATTEMPT), W("\x81\x02hi" SWITCH)},
	    "request-head r0, before-response r60, response-head w0",
	    "request r0, request-ready r60, request-end r60, bad-answer w0");
	RUN({R(GET), W("HTML"), R(GET)}, "request-head r0, before-response r18, response-head w0",
	    "request r0, request-ready r18, request-end r18, answer w0, bad-answer w2, "
	    "request r18 #1, request-ready r36 #1, request-end r36 #1");
	RUN({W("\x81\x02hi"), R(ATTEMPT), W(SWITCH)},
	    "request-head r0, before-response r60, response-head w4, upgraded w42",
	    "bad-answer w0, request r0, request-ready r60, request-end r60, answer w4, "
	    "answer-ready w42 101, switched w42");
	RUN({R(GET), W("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz")},
	    "request-head r0, before-response r18, response-head w0, response-body w47",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w47 200, "
	    "bad-answer w47");
	RUN({R(GET), W("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naHTTP/1.1 101")},
	    "request-head r0, before-response r18, response-head w0, response-body w47",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w47 200, "
	    "bad-answer w51");
}

static void a_bad_request_is_still_answered(void **state)
{
	RUN({R(GET "\x00\x01"), W(OK REFUSE)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, "
	    "before-response w40, response-head w40, idle w78",
	    "request r0, request-ready r18, request-end r18, request r18 #1, bad-request r18 #1, "
	    "answer w0, answer-ready w38 200, answer-end w40, answer w40 #1, "
	    "answer-ready w78 400 #1, answer-end w78 #1");
	RUN({R("*1\r\n$4\r\nPING\r\n"), W("+PONG\r\n")},
	    "request-head r0, before-response r2, response-head w0",
	    "request r0, bad-request r2, bad-answer w0");
	RUN({R("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd"), W(REFUSE)},
	    "request-head r0, request-body r47, before-response r53, response-head w0, idle w38",
	    "request r0, request-ready r47, bad-request r53, answer w0, answer-ready w38 400, "
	    "answer-end w38");
}

static void what_is_not_http_1_is_set_aside(void **state)
{
	RUN({R("\x16\x03\x01\x02\x00\x01"), W("\x16\x03"), FIN}, "closing r6", "set-aside r0 tls");
	RUN({R("\x16\x04")}, "", "set-aside r0 other");
	RUN({R("\x00\x01")}, "", "set-aside r0 other");
	RUN({R("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00"), W("\x00\x00")}, "", "set-aside r0 http2");
	RUN({R("GET /old\r\n"), W("<html>")}, "request-head r0", "request r0, set-aside r0 http09");
}

static void first_bytes_that_only_look_foreign_are_a_request(void **state)
{
	RUN({R("PRI / HTTP/1.1\r\n\r\n")}, "request-head r0, before-response r18",
	    "request r0, request-ready r18, request-end r18");
	RUN({R("PROXY / HTTP/1.1\r\n\r\n")}, "request-head r0, before-response r20",
	    "request r0, request-ready r20, request-end r20");
	RUN({R("\r\n\r\n" GET)}, "request-head r4, before-response r22",
	    "request r4, request-ready r22, request-end r22");
	RUN({R("PR"), FIN}, "request-head r0, closing r2", "request r0");
	RUN({R("\r\n\r"), FIN}, "closing r3", "");
}

static void a_proxy_prefix_is_passed_over(void **state)
{
	RUN({R("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n" GET)}, "request-head r33, before-response r51",
	    "prefix r33, request r33, request-ready r51, request-end r51");
	RUN({R("PROXY UNKNOWN\r\n\x16\x03\x01")}, "", "prefix r15, set-aside r15 tls");
	RUN({R("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
	       "abcdefghijkl" GET)},
	    "request-head r28, before-response r46",
	    "prefix r28, request r28, request-ready r46, request-end r46");
	RUN({R("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" GET)}, "request-head r16, before-response r34",
	    "prefix r16, request r16, request-ready r34, request-end r34");
	RUN({R("\r\n\r\n\0\r\nQUIT\n\x11\0\0\0" GET)}, "request-head r4, before-response r4",
	    "request r4, bad-request r4");
	RUN({R("PROXY TCP4 "
	       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
	    "", "set-aside r107 other");
}

static void unseen_bytes_are_exact_inside_bodies_and_payloads(void **state)
{
	RUN({R("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), R_UNSEEN(5),
	     W("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n"), W_UNSEEN(3),
	     W("\r\n0\r\n\r\n")},
	    "request-head r0, request-body r38, before-response r43, response-head w0, "
	    "response-body w47, idle w60",
	    "request r0, request-ready r38, request-end r43, answer w0, answer-ready w47 200, "
	    "answer-end w60");
	RUN({R(ATTEMPT), W(SWITCH "\x82\x7e\x01\x00"), W_UNSEEN(256), R("\x81\x81mask"),
	     R_UNSEEN(1), W("\x81\x00")},
	    PHASES_TO_SWITCH ", frames w38",
	    EVENTS_TO_SWITCH ", frame w38 binary 256, frame-end w298, frame r60 text 1, "
			     "frame-end r67, frame w298 text 0, frame-end w300");
	RUN({R("GET / HTTP/1.0\r\n\r\n"), W("HTTP/1.0 200 OK\r\n\r\n"), W_UNSEEN(100000), CLOSE},
	    "request-head r0, before-response r18, response-head w0, response-body w19, "
	    "closing w100019",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w19 200, "
	    "answer-end w100019");
	RUN({R(GET), W(OK "more"), W_UNSEEN(5), R(GET), W(OK)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, idle w40, "
	    "request-head r18, before-response r36, response-head w49, response-body w87, idle w89",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40, unasked w40, request r18 #1, request-ready r36 #1, request-end r36 "
	    "#1, "
	    "answer w49 #1, answer-ready w87 200 #1, answer-end w89 #1");
}

static void unseen_bytes_anywhere_else_make_it_blind(void **state)
{
	RUN({R(GET), W_UNSEEN(7), R(GET)}, "request-head r0, before-response r18",
	    "request r0, request-ready r18, request-end r18, blind w0");
	RUN({R_UNSEEN(1)}, "", "blind r0");
	RUN({R(GET), W("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), W_UNSEEN(3)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, idle w40",
	    "request r0, request-ready r18, request-end r18, answer w0, answer-ready w38 200, "
	    "answer-end w40, blind w40");
	RUN({R(ATTEMPT), W(SWITCH), W_UNSEEN(2), CLOSE},
	    PHASES_TO_SWITCH ", frames w38, closing w40", EVENTS_TO_SWITCH ", blind w38");
}

static void closing_begins_with_the_first_sign_of_it(void **state)
{
	RUN({FIN, CLOSE}, "closing r0", "");
	RUN({R(ATTEMPT), FIN, W(REFUSE)}, "request-head r0, before-response r60, closing r60",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w38 400, "
	    "answer-end w38");
	RUN({R(ATTEMPT), W(SWITCH), RESET}, PHASES_TO_SWITCH ", closing r60", EVENTS_TO_SWITCH);
	RUN({R(ATTEMPT), W(SWITCH), SHUTDOWN}, PHASES_TO_SWITCH ", closing w38", EVENTS_TO_SWITCH);
}

static void the_questions_are_answered_at_every_stage(void **state)
{
	struct phase_machine m;

#define FEED(dir, text) phase_feed(&m, dir, (const uint8_t *)(text), sizeof(text) - 1, NULL, NULL)
	phase_init(&m, ROLE_SERVER);
	assert_false(phase_attempt_open(&m));
	FEED(DIR_RX, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n");
	assert_false(phase_attempt_open(&m));
	FEED(DIR_RX, "\r\n");
	assert_true(phase_attempt_open(&m));
	FEED(DIR_TX, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r");
	assert_true(phase_attempt_open(&m));
	FEED(DIR_TX, "\n");
	assert_false(phase_attempt_open(&m));
	FEED(DIR_TX, "x");
	FEED(DIR_RX, ATTEMPT);
	assert_true(phase_attempt_open(&m));
	assert_false(phase_is_switched(&m));
	FEED(DIR_TX, SWITCH);
	assert_false(phase_attempt_open(&m));
	assert_true(phase_is_switched(&m));
	assert_true(phase_is_framed(&m));
	assert_false(phase_is_blind(&m));
	phase_skip(&m, DIR_TX, 1, NULL, NULL);
	assert_true(phase_is_blind(&m));

	phase_init(&m, ROLE_CLIENT);
	FEED(DIR_TX, "GET / HTTP/1.1\r\nUpgrade: tcp\r\n\r\n");
	FEED(DIR_RX, "HTTP/1.1 101 S\r\nUpgrade: tcp\r\n\r\n");
	assert_true(phase_is_switched(&m));
	assert_false(phase_is_framed(&m));
	assert_false(phase_is_blind(&m));

	phase_init(&m, ROLE_CLIENT);
	FEED(DIR_TX, "\x16\x03");
	assert_false(phase_is_switched(&m));
	assert_true(phase_is_blind(&m));
#undef FEED
}

static void lost_answers_do_not_pile_up(void **state)
{
	struct phase_machine m;

	phase_init(&m, ROLE_SERVER);
	phase_feed(&m, DIR_RX, (const uint8_t *)GET, sizeof(GET) - 1, NULL, NULL);
	phase_feed(&m, DIR_TX, (const uint8_t *)"\x81\x00", 2, NULL, NULL);
	for (unsigned i = 0; i < 3 * PHASE_PENDING; i++)
		phase_feed(&m, DIR_RX, (const uint8_t *)GET, sizeof(GET) - 1, NULL, NULL);
	assert_false(phase_is_blind(&m));
	assert_int_equal(m.asked, 3 * PHASE_PENDING + 1);
}

static void every_phase_of_the_table_has_its_own_name(void **state)
{
	static const char *const row[PHASE_COUNT][3] = {
#define PHASE(id, name, starts, ends) [PHASE_##id] = {name, starts, ends},
#include "core/exchange/phase.def"
#undef PHASE
	};

	for (unsigned p = 0; p < PHASE_COUNT; p++) {
		struct span name = {(const uint8_t *)row[p][0], strlen(row[p][0])};
		enum phase found = PHASE_COUNT;

		assert_string_equal(phase_name((enum phase)p), row[p][0]);
		assert_true(row[p][1][0] && row[p][2][0]);
		assert_int_equal(strspn(row[p][0], "abcdefghijklmnopqrstuvwxyz-"), name.n);
		assert_true(phase_from_name(name, &found));
		assert_int_equal(found, p);
		name.n--;
		assert_false(phase_from_name(name, &found));
	}
	assert_string_equal(phase_name(PHASE_COUNT), "unknown");
}

/* Every phase of the table can be reached, and what follows it is what the table says may follow. */
static void every_phase_of_the_table_is_reached_in_its_order(void **state)
{
	static const struct {
		enum dir dir;
		const char *bytes;
		enum phase phase;
	} row[] = {
		{DIR_RX, "P", PHASE_ACCEPTED},
		{DIR_RX, "OST / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r",
		 PHASE_REQUEST_HEAD},
		{DIR_RX, "\n", PHASE_REQUEST_BODY},
		{DIR_RX, "x", PHASE_BEFORE_RESPONSE},
		{DIR_TX, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r", PHASE_RESPONSE_HEAD},
		{DIR_TX, "\n", PHASE_RESPONSE_BODY},
		{DIR_TX, "x", PHASE_IDLE},
		{DIR_RX, ATTEMPT, PHASE_BEFORE_RESPONSE},
		{DIR_TX, SWITCH, PHASE_UPGRADED},
		{DIR_TX, "\x81", PHASE_FRAMES},
		{DIR_TX,
		 "\x00"
		 "\x88\x00",
		 PHASE_FRAMES},
		{DIR_RX, "\x88\x80mask", PHASE_CLOSING},
	};
	bool reached[PHASE_COUNT] = {false};
	struct phase_machine m;

	phase_init(&m, ROLE_SERVER);
	for (unsigned i = 0; i < CORE_ARRAY_LEN(row); i++) {
		phase_feed(&m, row[i].dir, (const uint8_t *)row[i].bytes, strlen(row[i].bytes),
			   NULL, NULL);
		assert_int_equal(phase_now(&m), row[i].phase);
		reached[phase_now(&m)] = true;
	}
	for (unsigned p = 0; p < PHASE_COUNT; p++)
		assert_true(reached[p]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exchange_passes_through_its_phases),
		cmocka_unit_test(a_kept_connection_carries_exchange_after_exchange),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(too_many_waiting_requests_make_it_blind),
		cmocka_unit_test(interim_answers_answer_nothing),
		cmocka_unit_test(bodies_end_where_their_framing_says),
		cmocka_unit_test(answers_nobody_asked_for_are_reported_once_each),
		cmocka_unit_test(output_that_is_no_answer_is_reported_where_it_stops_being_one),
		cmocka_unit_test(a_bad_request_is_still_answered),
		cmocka_unit_test(what_is_not_http_1_is_set_aside),
		cmocka_unit_test(first_bytes_that_only_look_foreign_are_a_request),
		cmocka_unit_test(a_proxy_prefix_is_passed_over),
		cmocka_unit_test(unseen_bytes_are_exact_inside_bodies_and_payloads),
		cmocka_unit_test(unseen_bytes_anywhere_else_make_it_blind),
		cmocka_unit_test(closing_begins_with_the_first_sign_of_it),
		cmocka_unit_test(the_questions_are_answered_at_every_stage),
		cmocka_unit_test(lost_answers_do_not_pile_up),
		cmocka_unit_test(every_phase_of_the_table_has_its_own_name),
		cmocka_unit_test(every_phase_of_the_table_is_reached_in_its_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
