/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_phase_attempt: what the phase machine makes of attempts to switch, and of what lies behind them.
 */
#include "tests/unit/phase_script.h"

static void a_websocket_is_switched_to_and_framed(void **state)
{
	RUN({R(ATTEMPT), W(SWITCH "\x81\x02hi"), R("\x89\x80mask\x82\x83mask123"), W("\x88\x00"),
	     R("\x88\x80mask"), CLOSE},
	    PHASES_TO_SWITCH ", frames w38, closing w42",
	    EVENTS_TO_SWITCH ", frame w38 text 2, frame-end w42, frame r60 ping 0, frame-end r66, "
			     "frame r66 binary 3, frame-end r75, frame w42 close 0, frame-end w44, "
			     "frame r75 close 0, frame-end r81");
}

static void a_101_without_its_fields_still_switches_a_websocket_attempt(void **state)
{
	RUN({R(ATTEMPT), W("HTTP/1.1 101 S\r\n\r\n\x81\x00")},
	    "request-head r0, before-response r60, response-head w0, upgraded w18, frames w18",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w18 101, "
	    "switched w18, frame w18 text 0, frame-end w20");
	RUN({R(ATTEMPT),
	     W("HTTP/1.1 101 S\r\nUpgrade: ws\r\nSec-WebSocket-Accept: a\r\n\r\n\x81\x00")},
	    "request-head r0, before-response r60, response-head w0, upgraded w56, frames w56",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w56 101, "
	    "switched w56, frame w56 text 0, frame-end w58");
	RUN({R(ATTEMPT), W(OK "HTTP/1.1 101 S\r\n\r\n\x81\x00")},
	    "request-head r0, before-response r60, response-head w0, response-body w38, idle w40, "
	    "response-head w40, upgraded w58, frames w58",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w38 200, "
	    "answer-end w40, unasked w40, answer w40, answer-ready w58 101, switched w58, "
	    "frame w58 text 0, frame-end w60");
}

static void other_protocols_are_switched_to_and_set_aside(void **state)
{
	RUN({R("GET / HTTP/1.1\r\nUpgrade: tcp\r\n\r\n"),
	     W("HTTP/1.1 101 S\r\nUpgrade: tcp\r\n\r\nHTTP/1.1 400"), R("anything"), FIN},
	    "request-head r0, before-response r32, response-head w0, upgraded w32, frames w32, "
	    "closing r40",
	    "request r0, request-ready r32, request-end r32, answer w0, answer-ready w32 101, "
	    "switched w32, set-aside w32 switched");
	RUN({R("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	     W("HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n")},
	    "request-head r0, before-response r32, response-head w0, upgraded w32",
	    "request r0, request-ready r32, request-end r32, early r32, answer w0, "
	    "answer-ready w32 101, switched w32, set-aside w32 switched");
	RUN({R("CONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03"), W("HTTP/1.1 200 OK\r\n\r\n"),
	     R("\x16\x03")},
	    "request-head r0, before-response r24, response-head w0, upgraded w19, frames r26",
	    "request r0, request-ready r24, request-end r24, answer w0, answer-ready w19 200, "
	    "answer-end w19, set-aside w19 switched");
	RUN({R(ATTEMPT), W("HTTP/1.1 101 S\r\nUpgrade: tcp\r\n\r\n")},
	    "request-head r0, before-response r60, response-head w0, upgraded w32",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w32 101, "
	    "switched w32, set-aside w32 switched");
	RUN({R("CONNECT a:1 HTTP/1.1\r\n\r\n"), W(REFUSE), R(GET)},
	    "request-head r0, before-response r24, response-head w0, idle w38, request-head r24, "
	    "before-response r42",
	    "request r0, request-ready r24, request-end r24, answer w0, answer-ready w38 400, "
	    "answer-end w38, request r24 #1, request-ready r42 #1, request-end r42 #1");
}

static void an_answer_written_into_a_websocket_is_stray(void **state)
{
	RUN({R(ATTEMPT), W(SWITCH "\x81\x02hiHTTP/1.1 400 Bad Request\r\n\r\n"), R("\x81\x80mask")},
	    PHASES_TO_SWITCH ", frames w38",
	    EVENTS_TO_SWITCH ", frame w38 text 2, frame-end w42, stray w42, frame r60 text 0, "
			     "frame-end r66");
	RUN({R(ATTEMPT), W(SWITCH "0\r\n\r\n")}, PHASES_TO_SWITCH ", frames w38",
	    EVENTS_TO_SWITCH ", stray w38");
	RUN({R(ATTEMPT), W(SWITCH), R("\x81\x80mask!")}, PHASES_TO_SWITCH ", frames r60",
	    EVENTS_TO_SWITCH ", frame r60 text 0, frame-end r66, stray r66");
	RUN({R(ATTEMPT), W(SWITCH "\x88\x02\x03\xe8HTTP/1.1 204 No\r\n\r\n")},
	    PHASES_TO_SWITCH ", frames w38, closing w38",
	    EVENTS_TO_SWITCH ", frame w38 close 2, frame-end w42, stray w42");
}

static void a_compressed_frame_is_a_frame(void **state)
{
	RUN({R(ATTEMPT), W(SWITCH "\xc1\x01x\x41\x01y\x80\x01z")}, PHASES_TO_SWITCH ", frames w38",
	    EVENTS_TO_SWITCH ", frame w38 text 1, frame-end w41, frame w41 text 1, frame-end w44, "
			     "frame w44 continuation 1, frame-end w47");
}

static void a_refused_attempt_leaves_an_ordinary_connection(void **state)
{
	RUN({R(ATTEMPT), W(REFUSE), R(GET), W(OK)},
	    "request-head r0, before-response r60, response-head w0, idle w38, request-head r60, "
	    "before-response r78, response-head w38, response-body w76, idle w78",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w38 400, "
	    "answer-end w38, request r60 #1, request-ready r78 #1, request-end r78 #1, "
	    "answer w38 #1, answer-ready w76 200 #1, answer-end w78 #1");
}

static void early_bytes_are_frames_when_the_answer_is_a_switch(void **state)
{
	RUN({R(ATTEMPT "\x81\x83mask123"), W(SWITCH), R("\x82\x80mask")},
	    "request-head r0, before-response r60, response-head w0, upgraded w38, frames r69",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 101, switched w38, frame r60 text 3, frame-end r69, "
	    "frame r69 binary 0, frame-end r75");
	RUN({R(ATTEMPT "\x81\x80mask\x82\x83ma"), W(SWITCH), R("sk123")},
	    "request-head r0, before-response r60, response-head w0, upgraded w38, frames r70",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 101, switched w38, frame r66 binary 3, frame-end r75");
	RUN({R(ATTEMPT "\x81\x85mask12"), W(SWITCH), R("345")},
	    "request-head r0, before-response r60, response-head w0, upgraded w38, frames r68",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 101, switched w38, frame r60 text 5, frame-end r71");
	RUN({R(ATTEMPT "\x88\x80mask"), W(SWITCH)},
	    "request-head r0, before-response r60, response-head w0, upgraded w38, closing r60",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 101, switched w38, frame r60 close 0, frame-end r66");
	RUN({R(ATTEMPT "\x81\x80maskjunk"), W(SWITCH)}, PHASES_TO_SWITCH,
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 101, switched w38, stray r66");
	/* The answer to an older request decides nothing. */
	RUN({R(GET ATTEMPT "\x81\x80mask"), W(OK), W(SWITCH)},
	    "request-head r0, before-response r18, response-head w0, response-body w38, "
	    "before-response w40, response-head w40, upgraded w78",
	    "request r0, request-ready r18, request-end r18, request r18 #1, request-ready r78 #1, "
	    "request-end r78 #1, early r78 #1, answer w0, answer-ready w38 200, answer-end w40, "
	    "answer w40 #1, answer-ready w78 101 #1, switched w78 #1, frame r78 text 0 #1, "
	    "frame-end r84 #1");
}

static void early_bytes_are_a_request_when_the_answer_is_a_refusal(void **state)
{
	RUN({R(ATTEMPT "\r\nGET / HT"), W(REFUSE), R("TP/1.1\r\n\r\n"), W(OK)},
	    "request-head r0, before-response r60, response-head w0, idle w38, request-head r62, "
	    "before-response r80, response-head w38, response-body w76, idle w78",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 400, answer-end w38, request r62 #1, request-ready r80 #1, "
	    "request-end r80 #1, answer w38 #1, answer-ready w76 200 #1, answer-end w78 #1");
	RUN({R(ATTEMPT "\r\n"), W(REFUSE), R(GET)},
	    "request-head r0, before-response r60, response-head w0, idle w38, request-head r62, "
	    "before-response r80",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 400, answer-end w38, request r62 #1, request-ready r80 #1, "
	    "request-end r80 #1");
	/* Frames after all: one bad request, whose own refusal is no second answer. */
	RUN({R(ATTEMPT "\x81\x80mask"), W(OK), W(REFUSE)},
	    "request-head r0, before-response r60, response-head w0, response-body w38, "
	    "before-response w40, response-head w40, idle w78",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 200, request r60 #1, bad-request r60 #1, answer-end w40, "
	    "answer w40 #1, answer-ready w78 400 #1, answer-end w78 #1");
	RUN({R(ATTEMPT "GET /old\r\n"), W(REFUSE)},
	    "request-head r0, before-response r60, response-head w0, idle w38, request-head r60, "
	    "before-response r70",
	    "request r0, request-ready r60, request-end r60, early r60, answer w0, "
	    "answer-ready w38 400, answer-end w38, request r60 #1, bad-request r70 #1");
}

static void a_complete_request_behind_an_attempt_needs_no_answer_to_be_one(void **state)
{
	RUN({R(ATTEMPT GET GET), W(REFUSE OK OK)},
	    "request-head r0, before-response r60, response-head w0, before-response w38, "
	    "response-head w38, response-body w76, before-response w78, response-head w78, "
	    "response-body w116, idle w118",
	    "request r0, request-ready r60, request-end r60, early r60, request r60 #1, "
	    "request-ready r78 #1, request-end r78 #1, request r78 #2, request-ready r96 #2, "
	    "request-end r96 #2, answer w0, answer-ready w38 400, answer-end w38, answer w38 #1, "
	    "answer-ready w76 200 #1, answer-end w78 #1, answer w78 #2, answer-ready w116 200 #2, "
	    "answer-end w118 #2");
}

static void a_switch_after_a_final_answer_is_seen(void **state)
{
	RUN({R(ATTEMPT), W(OK SWITCH "\x81\x00"), R("\x81\x80mask")},
	    "request-head r0, before-response r60, response-head w0, response-body w38, idle w40, "
	    "response-head w40, upgraded w78, frames w78",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w38 200, "
	    "answer-end w40, unasked w40, answer w40, answer-ready w78 101, switched w78, "
	    "frame w78 text 0, frame-end w80, frame r60 text 0, frame-end r66");
	/* A handler flushed a chunked 200 and then took the connection over. */
	RUN({R(ATTEMPT), W("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
	     W("2\r\nhi\r\n" SWITCH)},
	    "request-head r0, before-response r60, response-head w0, response-body w47, "
	    "response-head w54, upgraded w92",
	    "request r0, request-ready r60, request-end r60, answer w0, answer-ready w47 200, "
	    "unasked w54, answer w54, answer-ready w92 101, switched w92");
}

static void a_body_declared_by_an_attempt_is_no_frame(void **state)
{
	RUN({R("GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nab"), W(SWITCH),
	     R("cd\x81\x80mask")},
	    "request-head r0, request-body r57, response-head w0, upgraded w38, frames r59",
	    "request r0, request-ready r57, answer w0, answer-ready w38 101, switched w38, "
	    "request-end r61, frame r61 text 0, frame-end r67");
}

static void an_answer_before_the_request_is_complete_ends_nothing_but_itself(void **state)
{
	RUN({R("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"), W(REFUSE), R("cd" GET), W(OK)},
	    "request-head r0, request-body r38, response-head w0, request-body w38, idle r42, "
	    "request-head r42, before-response r60, response-head w38, response-body w76, idle w78",
	    "request r0, request-ready r38, answer w0, answer-ready w38 400, answer-end w38, "
	    "request-end r42, request r42 #1, request-ready r60 #1, request-end r60 #1, "
	    "answer w38 #1, answer-ready w76 200 #1, answer-end w78 #1");
	RUN({R("GET / HT"), W(REFUSE), R("TP/1.1\r\n\r\n")},
	    "request-head r0, response-head w0, request-head w38, idle r18",
	    "request r0, answer w0, answer-ready w38 400, answer-end w38, request-ready r18, "
	    "request-end r18");
	/* Refused while its body was on the way: what follows the body is a request. */
	RUN({R("GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n"),
	     W("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nn"), R("ab" GET), W("o")},
	    "request-head r0, request-body r57, response-head w0, response-body w38, "
	    "before-response w40",
	    "request r0, request-ready r57, answer w0, answer-ready w38 400, request-end r59, "
	    "request r59 #1, request-ready r77 #1, request-end r77 #1, answer-end w40");
	/* Switched before the request was complete: frames begin behind its end. */
	RUN({R("GET / HT"), W(SWITCH), R("TP/1.1\r\n\r\n\x81\x80mask")},
	    "request-head r0, response-head w0, upgraded w38, frames r8",
	    "request r0, answer w0, answer-ready w38 101, switched w38, request-ready r18, "
	    "request-end r18, frame r18 text 0, frame-end r24");
	/* Switched while a later request was on the way. */
	RUN({R(GET "GET"), W(SWITCH), R(" / HTTP/1.1\r\n\r\n")},
	    "request-head r0, before-response r18, response-head w0, upgraded w38, frames r21",
	    "request r0, request-ready r18, request-end r18, request r18 #1, answer w0, "
	    "answer-ready w38 101, switched w38, stray r18");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_websocket_is_switched_to_and_framed),
		cmocka_unit_test(a_101_without_its_fields_still_switches_a_websocket_attempt),
		cmocka_unit_test(other_protocols_are_switched_to_and_set_aside),
		cmocka_unit_test(an_answer_written_into_a_websocket_is_stray),
		cmocka_unit_test(a_compressed_frame_is_a_frame),
		cmocka_unit_test(a_refused_attempt_leaves_an_ordinary_connection),
		cmocka_unit_test(early_bytes_are_frames_when_the_answer_is_a_switch),
		cmocka_unit_test(early_bytes_are_a_request_when_the_answer_is_a_refusal),
		cmocka_unit_test(a_complete_request_behind_an_attempt_needs_no_answer_to_be_one),
		cmocka_unit_test(a_switch_after_a_final_answer_is_seen),
		cmocka_unit_test(a_body_declared_by_an_attempt_is_no_frame),
		cmocka_unit_test(an_answer_before_the_request_is_complete_ends_nothing_but_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
