/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_fault_match: a rule concerns what its keys say, and nothing that is not known yet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/fault/match.h"
#include "tests/unit/guard.h"

static struct fault_rule rule;

static const struct fault_rule *parse(const char *text)
{
	struct fault_error e;

	if (!fault_parse_rule(text, strlen(text), &rule, &e))
		fail_msg("%s: %s", text, e.what);
	return &rule;
}

static void a_pattern_matches_the_whole_text(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fold, matches;
	} rows[] = {
		{"", "", false, true},
		{"", "a", false, false},
		{"*", "", false, true},
		{"*", "/a/b", false, true},
		{"/ws", "/ws", false, true},
		{"/ws", "/ws/", false, false},
		{"/ws*", "/ws/1", false, true},
		{"*/ws", "/a/ws", false, true},
		{"/*/c", "/a/b/c", false, true},
		{"/?", "/a", false, true},
		{"/?", "/", false, false},
		{"a*b*c", "aXbXbc", false, true},
		{"a*b*c", "aXcXb", false, false},
		{"**a", "a", false, true},
		{"WebSocket", "websocket", false, false},
		{"WebSocket", "websocket", true, true},
		{"*aaaaaaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false,
		 false},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].text);
		const char *text = (const char *)guard_copy(rows[i].text, n);

		if (fault_glob(rows[i].pattern, strlen(rows[i].pattern), text, n, rows[i].fold) !=
		    rows[i].matches)
			fail_msg("%s, %s", rows[i].pattern, rows[i].text);
	}
}

static struct fault_conn_facts facts_of(const uint8_t ip[16])
{
	struct fault_conn_facts f = {.ordinal = 3, .port = 8080, .peer_port = 50000};

	memcpy(f.ip, ip, 16);
	return f;
}

static void a_connection_is_matched_by_what_is_known_of_it(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 10, 1, 2, 3};
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	static const struct {
		const char *keys;
		const uint8_t *ip;
		bool matches;
	} rows[] = {
		{"", v4, true},
		{":role=server", v4, true},
		{":role=client", v4, false},
		{":port=8080", v4, true},
		{":port=50000", v4, false},
		{":unix=no", v4, true},
		{":unix=yes", v4, false},
		{":conn=3", v4, true},
		{":conn=1+2", v4, true},
		{":conn=4..9", v4, false},
		{":peer=10.0.0.0/8", v4, true},
		{":peer=11.0.0.0/8", v4, false},
		{":peer=10.1.2.0/23", v4, true},
		{":peer=10.1.0.0/23", v4, false},
		{":peer=10.1.2.3", v4, true},
		{":peer=10.1.2.2", v4, false},
		{":peer=0.0.0.0/0", v4, true},
		{":peer=0.0.0.0/0", v6, false},
		{":peer=[::]/0", v6, true},
		{":peer=[2001:db8::]/32", v6, true},
		{":peer=[2001:db8::]/32", v4, false},
		{":peer=[2001:db8::1]", v6, true},
		{":peer=[2001:db8::2]", v6, false},
		{":peer=[2001:db8::]/127", v6, true},
		{":port=8080:conn=4", v4, false},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		struct fault_conn_facts facts = facts_of(rows[i].ip);
		char text[80] = "tx:close";

		if (fault_match_conn(parse(strcat(text, rows[i].keys)), &facts) != rows[i].matches)
			fail_msg("%s", text);
	}
}

static void a_unix_socket_has_neither_port_nor_address(void **state)
{
	struct fault_conn_facts facts = {.ordinal = 1, .unix_socket = 1};

	assert_true(fault_match_conn(parse("tx:close:unix=yes"), &facts));
	assert_false(fault_match_conn(parse("tx:close:peer=[::]/0"), &facts));
	facts.port = 80;
	assert_false(fault_match_conn(parse("tx:close:port=80"), &facts));
}

static void upstream_is_towards_the_server_whoever_we_are(void **state)
{
	parse("upstream:drop");
	assert_true(fault_match_dir(&rule, ROLE_SERVER, DIR_RX));
	assert_false(fault_match_dir(&rule, ROLE_SERVER, DIR_TX));
	assert_true(fault_match_dir(&rule, ROLE_CLIENT, DIR_TX));
	parse("downstream:drop");
	assert_true(fault_match_dir(&rule, ROLE_SERVER, DIR_TX));
	assert_true(fault_match_dir(&rule, ROLE_CLIENT, DIR_RX));
	parse("rx:drop");
	assert_true(fault_match_dir(&rule, ROLE_CLIENT, DIR_RX));
	assert_false(fault_match_dir(&rule, ROLE_CLIENT, DIR_TX));
	parse("any:drop");
	assert_true(fault_match_dir(&rule, ROLE_CLIENT, DIR_TX));
}

static const char head[] =
	"\r\nGET /chat/7?token=/x HTTP/1.1\r\nHOST: Example.org:8080\r\n"
	"Upgrade: h2c, WebSocket\r\nX-User: ann\r\nX-User: bob\r\n"
	"Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: v1.json, v2.json\r\n\r\n";

static bool matches(const char *keys, const char *text, size_t n)
{
	char rule_text[200] = "rx:close";

	parse(strcat(rule_text, keys));
	return fault_match_head(&rule, guard_copy(text, n), n);
}

static void a_request_is_matched_by_its_head(void **state)
{
	static const struct {
		const char *keys;
		bool matches;
	} rows[] = {
		{"", true},
		{":method=GET", true},
		{":method=POST", false},
		{":path=/chat/*", true},
		{":path=/chat/7", true},
		{":path=*/x", false}, /* the query does not count */
		{":path=/CHAT/7", false},
		{":host=example.org", true},
		{":host=*.org%3A8080", true},
		{":host=example", false},
		{":upgrade=websocket", true},
		{":upgrade=h2c", true},
		{":upgrade=web", false},
		{":upgrade=*", true},
		{":proto=v2.json", true},
		{":proto=V2.json", false},
		{":hdr.x-user=bob", true},
		{":hdr.X-User=eve", false},
		{":hdr.X-Nobody=*", false},
		{":path=/chat/7:hdr.X-User=ann:method=GET", true},
		{":path=/chat/7:hdr.X-User=eve", false},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		if (matches(rows[i].keys, head, sizeof(head) - 1) != rows[i].matches)
			fail_msg("%s", rows[i].keys);
	}
}

static void any_attempt_means_also_the_one_a_proxy_took_upgrade_from(void **state)
{
	static const char stripped[] = "GET / HTTP/1.1\r\nSec-WebSocket-Key: k\r\n\r\n";
	static const char plain[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	assert_true(matches(":upgrade=*", stripped, sizeof(stripped) - 1));
	assert_false(matches(":upgrade=websocket", stripped, sizeof(stripped) - 1));
	assert_false(matches(":upgrade=*", plain, sizeof(plain) - 1));
}

static void an_absolute_target_has_a_path_too(void **state)
{
	static const struct {
		const char *line, *path;
	} rows[] = {
		{"GET http://h:80/ws?a HTTP/1.1\r\n", "/ws"},
		{"OPTIONS * HTTP/1.1\r\n", "%2A"},
		{"GET /a?u=http://b/c HTTP/1.1\r\n", "/a"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		char keys[40];

		snprintf(keys, sizeof(keys), ":path=%s", rows[i].path);
		assert_true(matches(keys, rows[i].line, strlen(rows[i].line)));
	}
}

/* Once what a rule asks for has come it matches, at every cut behind that, and at none before. */
static void what_has_not_come_yet_does_not_match(void **state)
{
	static const struct {
		const char *keys, *behind;
	} rows[] = {
		{":method=GET", "HTTP/1.1"},
		{":path=/chat/7", "HTTP/1.1"},
		{":host=example.org", "8080\r\n"},
		{":hdr.X-User=ann", "X-User: ann\r\n"},
		{":hdr.X-User=bob", "X-User: bob\r\n"},
		{":proto=v1.json", "v2.json\r\n"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		size_t from =
			(size_t)(strstr(head, rows[i].behind) - head) + strlen(rows[i].behind);
		bool before = false;

		for (size_t n = 0; n < sizeof(head); n++) {
			bool now = matches(rows[i].keys, head, n);

			if (now && n + 2 < from)
				fail_msg("%s matches %zu bytes", rows[i].keys, n);
			if (!now && (before || n > from))
				fail_msg("%s does not match %zu bytes", rows[i].keys, n);
			before = now;
		}
	}
	assert_false(matches(":path=*", "\x16\x03\x01", 3));
	assert_true(matches("", "", 0));
}

static void only_keys_of_the_request_need_its_head(void **state)
{
	static const char *const asking[] = {":method=GET", ":path=/",	  ":host=a",
					     ":hdr.A=b",    ":upgrade=*", ":proto=a"};

	for (size_t i = 0; i < CORE_ARRAY_LEN(asking); i++) {
		char text[80] = "rx:close";

		assert_true(fault_asks_head(parse(strcat(text, asking[i]))));
	}
	assert_false(fault_asks_head(parse("rx:close:port=80:status=101:conn=3")));
}

static void a_connection_can_be_known_by_its_path_or_by_a_field(void **state)
{
	const uint8_t *p = guard_copy(head, sizeof(head) - 1);
	uint64_t by_path, by_user;

	by_path = fault_key_of_head(parse("rx:close:conn-key=path"), p, sizeof(head) - 1);
	by_user = fault_key_of_head(parse("rx:close:conn-key=hdr.x-user"), p, sizeof(head) - 1);
	assert_true(by_path && by_user && by_path != by_user);
	p = guard_copy("GET /chat/7 HTTP/1.1\r\nx-user:ann\r\n\r\n", 36);
	assert_int_equal(fault_key_of_head(&rule, p, 36), by_user);
	assert_int_equal(fault_key_of_head(&rule, p, 20), 0);
	assert_int_equal(fault_key_of_head(parse("rx:close:conn-key=path"), p, 36), by_path);
	assert_int_equal(fault_key_of_head(&rule, p, 9), 0);
	assert_int_equal(fault_key_of_head(parse("rx:close:conn-key=peer-port"), p, 36), 0);
}

static void frames_and_statuses_are_matched_by_number(void **state)
{
	parse("rx@frames:drop:op=1:frame=2+2");
	assert_true(fault_match_frame(&rule, 4, 1));
	assert_false(fault_match_frame(&rule, 3, 1));
	assert_false(fault_match_frame(&rule, 4, 2));
	assert_true(fault_match_frame(parse("rx@frames:drop"), 1, 9));
	parse("tx:close:status=400..599");
	assert_true(fault_match_status(&rule, 404));
	assert_false(fault_match_status(&rule, 101));
	assert_true(fault_match_status(parse("tx:close"), 200));
}

static void a_call_is_matched_by_name_or_by_what_it_does(void **state)
{
	assert_true(fault_match_call(parse("recv:eintr"), "recv"));
	assert_false(fault_match_call(&rule, "recvfrom"));
	assert_false(fault_match_call(&rule, "rec"));
	assert_true(fault_match_call(parse("%net:eintr"), "recvfrom"));
	assert_true(fault_match_call(&rule, "sendfile"));
	assert_false(fault_match_call(&rule, "epoll_wait"));
	assert_false(fault_match_call(&rule, "open"));
	assert_true(fault_match_call(parse("tx:close:call=writev"), "writev"));
	assert_false(fault_match_call(&rule, "write"));
	assert_true(fault_match_call(parse("tx:close"), "write"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_matches_the_whole_text),
		cmocka_unit_test(a_connection_is_matched_by_what_is_known_of_it),
		cmocka_unit_test(a_unix_socket_has_neither_port_nor_address),
		cmocka_unit_test(upstream_is_towards_the_server_whoever_we_are),
		cmocka_unit_test(a_request_is_matched_by_its_head),
		cmocka_unit_test(any_attempt_means_also_the_one_a_proxy_took_upgrade_from),
		cmocka_unit_test(an_absolute_target_has_a_path_too),
		cmocka_unit_test(what_has_not_come_yet_does_not_match),
		cmocka_unit_test(only_keys_of_the_request_need_its_head),
		cmocka_unit_test(a_connection_can_be_known_by_its_path_or_by_a_field),
		cmocka_unit_test(frames_and_statuses_are_matched_by_number),
		cmocka_unit_test(a_call_is_matched_by_name_or_by_what_it_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
