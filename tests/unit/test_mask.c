/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_mask: which bytes of heads, log lines and bodies become '*', and which never do.  Every case
 * is also run split at every byte.
 */
#include "core/trace/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	CASE_MAX = 2048,
};

/* One line in, the same line out; in heads the line follows a request line. */
struct mask_case {
	const char *in, *out;
};

static void mask_whole(enum mask_kind kind, const uint8_t *in, size_t n, uint8_t *out)
{
	struct masker m;

	mask_init(&m, kind);
	mask_copy(&m, out, in, n);
}

static void assert_masks_to(enum mask_kind kind, const char *in, const char *out)
{
	uint8_t got[CASE_MAX + 1] = {0};
	size_t n = strlen(in);
	struct masker m;

	assert_in_range(n, 1, CASE_MAX);
	mask_whole(kind, (const uint8_t *)in, n, got);
	assert_string_equal((char *)got, out);
	for (size_t cut = 0; cut <= n; cut++) {
		memset(got, 0, n);
		mask_init(&m, kind);
		mask_copy(&m, got, (const uint8_t *)in, cut);
		mask_copy(&m, got + cut, (const uint8_t *)in + cut, n - cut);
		assert_string_equal((char *)got, out);
	}
	mask_init(&m, kind);
	for (size_t i = 0; i < n; i++)
		mask_copy(&m, got + i, (const uint8_t *)in + i, 1);
	assert_string_equal((char *)got, out);
}

static void assert_field(const char *in, const char *out)
{
	char head[CASE_MAX], want[CASE_MAX];

	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\n%s\r\nHost: a\r\n\r\n", in);
	snprintf(want, sizeof(want), "GET / HTTP/1.1\r\n%s\r\nHost: a\r\n\r\n", out);
	assert_masks_to(MASK_HEAD, head, want);
	/* Bare LF, and in an answer. */
	snprintf(head, sizeof(head), "HTTP/1.1 101 x\n%s\nHost: a\n\n", in);
	snprintf(want, sizeof(want), "HTTP/1.1 101 x\n%s\nHost: a\n\n", out);
	assert_masks_to(MASK_HEAD, head, want);
}

static void assert_fields(const struct mask_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_field(c[i].in, c[i].out);
}

static void authorization_keeps_its_scheme_only(void **state)
{
	static const struct mask_case c[] = {
		{"Authorization: Bearer abc.d-_~+/==", "Authorization: Bearer ************"},
		{"authorization:Basic dXNlcjpwYXNz", "authorization:Basic ************"},
		{"AUTHORIZATION :  NTLM x", "AUTHORIZATION :  NTLM *"},
		{"Authorization: Digest username=\"bob\", response=\"5c\"",
		 "Authorization: Digest *************** *************"},
		{"Authorization: 9f8e7d", "Authorization: ******"}, /* no scheme: all of it */
		{"Authorization: Unknown x", "Authorization: ******* *"},
		{"Proxy-Authorization: Basic abc", "Proxy-Authorization: Basic ***"},
		{"X-Forwarded-Authorization: Bearer abc", "X-Forwarded-Authorization: Bearer ***"},
		{"Authorization: Bearer\r\n abc\r\n\tdef",
		 "Authorization: Bearer\r\n ***\r\n\t***"},
	};

	assert_fields(c, CORE_ARRAY_LEN(c));
}

static void cookies_keep_the_start_of_their_names_only(void **state)
{
	static const struct mask_case c[] = {
		{"Cookie: a=b; connect.sid=s%3Axyz", "Cookie: a=*; conn*******=*******"},
		{"Cookie: q=\"x;y\"; z=1", "Cookie: q=*****; z=*"},
		{"Cookie: a==b=; c", "Cookie: a=***; c"},
		{"Set-Cookie: sid=abc; Path=/; HttpOnly", "Set-Cookie: sid=***; Path=*; Http****"},
		{"Cookie: PLANTED; x", "Cookie: PLAN***; x"},
		{"Cookie: a=b; PLANTED\r\n PLANTED", "Cookie: a=*; PLAN***\r\n *******"},
		{"Cookie: a=b;\r\n c=d", "Cookie: a=*;\r\n c=*"},
	};

	assert_fields(c, CORE_ARRAY_LEN(c));
}

static void fields_named_like_secrets_lose_their_value(void **state)
{
	static const struct mask_case c[] = {
		{"X-Api-Key: 1234", "X-Api-Key: ****"},
		{"x-auth-user: bob b", "x-auth-user: *** *"},
		{"X-Auth-Token: eyJ", "X-Auth-Token: ***"},
		{"X-CSRF-Token: ab", "X-CSRF-Token: **"},
		{"X-Session-Id: ab", "X-Session-Id: **"},
		{"Signature: sig1=:ab:", "Signature: *********"},
		{"DPoP: a.b", "DPoP: ***"},
		{"X-Forwarded-Client-Cert: Hash=ab;URI=c",
		 "X-Forwarded-Client-Cert: *************"},
		{"X-SSL-Client-Cert: ab", "X-SSL-Client-Cert: **"},
		{"X-Amz-Security-Token: ab", "X-Amz-Security-Token: **"},
		{"X-XSRF-Token: ab", "X-XSRF-Token: **"},
		{"X-Xsrf: ab", "X-Xsrf: **"},
		{"X-Access-Token: ab", "X-Access-Token: **"},
		{"X-Otp: 12", "X-Otp: **"},
	};

	assert_fields(c, CORE_ARRAY_LEN(c));
}

/* What the handshake is judged by must reach the trace as it was. */
static void handshake_fields_are_never_masked(void **state)
{
	static const char *const fields[] = {
		"Host: user:token=abc@example.com:80",
		"Upgrade: websocket, token=x",
		"Connection: keep-alive, Upgrade, session=1",
		"Sec-WebSocket-Key: eyJhbGciOiJIUzI1NiJ9AA==",
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15",
		"Origin: http://backend:3000",
		"WWW-Authenticate: Bearer realm=\"x\", error=\"invalid_token\"",
		"Content-Length: 1234567",
		"Transfer-Encoding: gzip, chunked",
		"Content-Type: text/html; charset=utf-8",
		"Access-Control-Allow-Headers: authorization, x-auth-token, content-type",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101",
		"Date: Tue, 01 Jan 2030 00:00:00 GMT",
		"Via: 1.1 proxy.example:8080",
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(fields); i++)
		assert_field(fields[i], fields[i]);
}

static void status_lines_are_never_masked(void **state)
{
	static const char head[] = "HTTP/1.1 401 token=abc eyJhbGciOi Bearer x\r\nX: y\r\n\r\n";

	assert_masks_to(MASK_HEAD, head, head);
}

static void secret_query_values_of_the_target_are_masked(void **state)
{
	static const struct mask_case c[] = {
		{"GET /ws?EIO=4&access_token=abc&transport=websocket HTTP/1.1",
		 "GET /ws?EIO=4&access_token=***&transport=websocket HTTP/1.1"},
		{"GET /a?ApiKey=x HTTP/1.1", "GET /a?ApiKey=* HTTP/1.1"},
		{"GET /a?X-Amz-Signature=9f,'\"x&y=1 HTTP/1.1",
		 "GET /a?X-Amz-Signature=******&y=1 HTTP/1.1"},
		{"GET /cb?code=4/0A&state=z HTTP/1.1", "GET /cb?code=****&state=* HTTP/1.1"},
		{"GET /a?client_secret=x;passwd=y;JWT=z HTTP/1.1",
		 "GET /a?client_secret=*;passwd=*;JWT=* HTTP/1.1"},
		{"GET /a?user[auth]=x&session%5Bid%5D=yy HTTP/1.1",
		 "GET /a?user[auth]=*&session%5Bid%5D=** HTTP/1.1"},
		{"GET /a?%74oken=x&next=%2Fb%3Ftoken%3Dabc HTTP/1.1",
		 "GET /a?%74oken=*&next=%2Fb************** HTTP/1.1"},
		{"GET /a?5%code=abc HTTP/1.1", "GET /a?5%code=*** HTTP/1.1"},
		{"GET /a;jsessionid=AB?x=1 HTTP/1.1", "GET /a;jsessionid=**?x=1 HTTP/1.1"},
		{"GET /ws/eyJhbGciOi.eyJz/x HTTP/1.1", "GET /ws/ey*************** HTTP/1.1"},
		{"GET http://bob:pw@example.com:8080/x?a=b HTTP/1.1",
		 "GET http://bob:**@example.com:8080/x?a=b HTTP/1.1"},
		{"GET /chat?room=5&user=bob HTTP/1.1", "GET /chat?room=5&user=bob HTTP/1.1"},
		{"GET /a?token= HTTP/1.1", "GET /a?token= HTTP/1.1"},
		{"GET /a?ticket=ab&sid=ab&pw=ab&otp=1&hash=a&nonce=a&t=1&k=a&s=a HTTP/1.1",
		 "GET /a?ticket=**&sid=**&pw=**&otp=*&hash=*&nonce=*&t=*&k=*&s=* HTTP/1.1"},
		{"GET /a?client_assertion=ab&user_pin=1&credential=a&x[otp]=1 HTTP/1.1",
		 "GET /a?client_assertion=**&user_pin=*&credential=*&x[otp]=* HTTP/1.1"},
		/* What nobody knows keeps its words and no more than four other letters. */
		{"GET /a?foo=aB3dE6gH9&spoil=reject&why=half-open&n=1234567 HTTP/1.1",
		 "GET /a?foo=aB3d*****&spoil=reject&why=half-open&n=1234*** HTTP/1.1"},
		{"GET /a?foo=abcdefghijklmnopqrst&b=tr0ub4dor=x HTTP/1.1",
		 "GET /a?foo=abcdefghijklmnop****&b=tr0u******* HTTP/1.1"},
		{"GET /a?v=aB3dE6gH9&room=1234567&EIO=4 HTTP/1.1",
		 "GET /a?v=aB3dE6gH9&room=1234567&EIO=4 HTTP/1.1"},
		{"GET /a?xv=aB3dE6gH9 HTTP/1.1", "GET /a?xv=aB3d***** HTTP/1.1"},
		{"GET /a?v=1&aB3dE6gH9 HTTP/1.1", "GET /a?v=1&aB3d***** HTTP/1.1"},
		/* Whatever the target holds, it ends at its space. */
		{"GET /bearer HTTP/1.1", "GET /bearer HTTP/1.1"},
		{"GET /cookie:ab HTTP/1.1", "GET /cookie:** HTTP/1.1"},
		{"GET /authorization:ab HTTP/1.1", "GET /authorization:** HTTP/1.1"},
		{"GET /code:\"ab HTTP/1.1", "GET /code:*** HTTP/1.1"},
		{"GET /code: HTTP/1.1", "GET /code: HTTP/1.1"},
		{"GET /a?aB3dE6gH9 HTTP/1.1", "GET /a?aB3d***** HTTP/1.1"},
		{"GET /a?x'\"<&foo=aB3dE6 HTTP/1.1", "GET /a?x'\"<&foo=aB3d** HTTP/1.1"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(c); i++) {
		char in[CASE_MAX], out[CASE_MAX];

		/* Leading empty lines do not end a head. */
		snprintf(in, sizeof(in), "\r\n%s\r\nHost: a\r\n\r\n", c[i].in);
		snprintf(out, sizeof(out), "\r\n%s\r\nHost: a\r\n\r\n", c[i].out);
		assert_masks_to(MASK_HEAD, in, out);
	}
}

static void a_target_alone_is_masked_like_that_of_a_request(void **state)
{
	static const char in[] = "/ws/eyJhbGci/x;jsessionid=ab?token=cd&x=1";
	uint8_t got[sizeof(in)] = {0};

	mask_target(got, (const uint8_t *)in, sizeof(in) - 1);
	assert_string_equal((char *)got, "/ws/ey********;jsessionid=**?token=**&x=1");
	mask_target(got, (const uint8_t *)"/a;jsessionid=ab?b=c", 20);
	assert_memory_equal(got, "/a;jsessionid=**?b=c", 20);
	mask_target(got, (const uint8_t *)"/healthz/live-1", 15);
	assert_memory_equal(got, "/healthz/live-1", 15);
}

static void path_segments_that_look_like_no_name_are_masked(void **state)
{
	static const struct mask_case c[] = {
		{"/invite/S3cr3tA1b/x", "/invite/S3cr*****/x"},
		{"/u/550e8400-e29b-41d4-a716-446655440000",
		 "/u/550e********************************"},
		{"/u/bob:pass/x", "/u/bob:****/x"},
		{"/abcdefghijklmnopqrstuvwxyz", "/abcdefghijklmnop**********"},
		{"/1234567890", "/12345678**"},
		{"/abcd-1234-efgh", "/abcd-1234-****"},
		{"/a;x=S3cr3tA1b", "/a;x=S********"},
	};
	static const char *const kept[] = {
		"/ws",
		"/socket.io/",
		"/ws000",
		"/http-after-101",
		"/oauth2/callback",
		"/v12/room-1234",
		"/response-after-close",
		"/getUserInfo",
		"/static/app.min.js",
		"/2030-01-31",
		"/~bob",
	};
	uint8_t got[CASE_MAX];

	for (size_t i = 0; i < CORE_ARRAY_LEN(c); i++) {
		char in[CASE_MAX], out[CASE_MAX];

		memset(got, 0, sizeof(got));
		mask_target(got, (const uint8_t *)c[i].in, strlen(c[i].in));
		assert_string_equal((char *)got, c[i].out);
		snprintf(in, sizeof(in), "GET %s HTTP/1.1\r\n\r\n", c[i].in);
		snprintf(out, sizeof(out), "GET %s HTTP/1.1\r\n\r\n", c[i].out);
		assert_masks_to(MASK_HEAD, in, out);
		snprintf(in, sizeof(in), "Location: http://h%s", c[i].in);
		snprintf(out, sizeof(out), "Location: http://h%s", c[i].out);
		assert_field(in, out);
	}
	for (size_t i = 0; i < CORE_ARRAY_LEN(kept); i++) {
		memset(got, 0, sizeof(got));
		mask_target(got, (const uint8_t *)kept[i], strlen(kept[i]));
		assert_string_equal((char *)got, kept[i]);
	}
}

static void urls_in_fields_lose_passwords_and_secret_queries(void **state)
{
	static const struct mask_case c[] = {
		{"Referer: https://alice:s3cret@example.com/x?token=a,b'c&y=2",
		 "Referer: https://alice:******@example.com/x?token=*****&y=2"},
		{"Location: http://backend.local:8080/ws/?sig=99&s=1#access_token=a",
		 "Location: http://backend.local:8080/ws/?sig=**&s=*#access_token=*"},
		{"Location: /login?next=/ws", "Location: /login?next=/ws"},
		{"Location: /aB3dE6gH9/cb#state=a&foo=aB3dE6",
		 "Location: /aB3d*****/cb#state=*&foo=aB3d**"},
		{"Referer: https://h/?ticket=ab", "Referer: https://h/?ticket=**"},
		{"Location: https://ghp_A1b2c3@github.com/x",
		 "Location: https://ghp*******@github.com/x"},
		{"Location: https://0a1b2c3d4e5f@o1.example.com/1",
		 "Location: https://0a1b2c******@o1.example.com/1"},
		{"Location: http://user:12345@h/", "Location: http://user:*****@h/"},
		{"Location: http://[::1]:80/", "Location: http://[::1]:80/"},
		{"Location: http://localhost:3000/", "Location: http://localhost:3000/"},
		{"X-Original-URI: /ws?token=abc&x=1", "X-Original-URI: /ws?token=***&x=1"},
	};

	assert_fields(c, CORE_ARRAY_LEN(c));
}

#define P "Sec-WebSocket-Protocol: "

static void bearer_like_protocol_entries_are_masked(void **state)
{
	static const struct mask_case c[] = {
		{P "bearer, s3cr3t, chat", P "bearer, ******, chat"},
		{P "access_token,abc,graphql-ws", P "access_token,***,graphql-ws"},
		{P "authorization, Bearer", P "authorization, ******"},
		{P "chat, eyJhbGciOi.abc.def, x", P "chat, ey****************, x"},
		{P "8f14e45fceea167a5a36dedd4bea2543, x", P "8f14****************************, x"},
		{P "QmFzZTY0VG9rZW5IZXJlQWJj", P "QmFz********************"},
		{P "x7Kp9q, MyProtocol", P "x7Kp**, MyPr******"},
		{P "abcdefghijklmnopqrstuvwxyz", P "abcdefghijklmnop**********"},
		{P "deadbeef0123456789, chat-12345", P "deadbeef0123******, chat-1234*"},
		{P "base64url.bearer.authorization.k8s.io.ZXlK, base64.binary.k8s.io",
		 P "base64url.bearer.*************************, base64.binary.k8s.io"},
		{P "bearer\r\n" P "shh, chat", P "bearer\r\n" P "***, chat"},
		{P "bearer,\r\n shh, chat", P "bearer,\r\n ***, chat"},
	};

	assert_fields(c, CORE_ARRAY_LEN(c));
}

/* The server chooses the entry that was the token. */
static void an_answer_does_not_tell_what_its_request_kept_secret(void **state)
{
	static const struct {
		const char *offer, *choice, *kept;
	} c[] = {
		{"access_token, s3cr3t", "s3cr3t", "******"},
		{"access_token, s3cr3t", "access_token", "************"},
		{"chat, x7Kp9qR", "x7Kp9qR", "x7Kp***"},
		{"chat, x7Kp9qR", "chat", "chat"},
		{"chat, superchat", "chat", "chat"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(c); i++) {
		char in[CASE_MAX], want[CASE_MAX];
		uint8_t got[CASE_MAX] = {0};
		struct masker request, answer;

		mask_init(&request, MASK_HEAD);
		mask_init(&answer, MASK_HEAD);
		snprintf(in, sizeof(in), "GET / HTTP/1.1\r\n" P "%s\r\n\r\n", c[i].offer);
		mask_copy(&request, got, (const uint8_t *)in, strlen(in));
		mask_restart(&request, MASK_TEXT, &answer); /* its body, if any */
		mask_restart(&answer, MASK_HEAD, &request);
		snprintf(in, sizeof(in), "HTTP/1.1 101 x\r\n" P "%s\r\n\r\n", c[i].choice);
		snprintf(want, sizeof(want), "HTTP/1.1 101 x\r\n" P "%s\r\n\r\n", c[i].kept);
		memset(got, 0, sizeof(got));
		mask_copy(&answer, got, (const uint8_t *)in, strlen(in));
		assert_string_equal((char *)got, want);
	}
}

static void protocol_names_in_use_are_kept(void **state)
{
	static const char *const names[] = {
		P "chat, superchat",
		P "graphql-ws, graphql-transport-ws",
		P "v4.channel.k8s.io, base64.channel.k8s.io",
		P "mqtt, mqttv3.1, wamp.2.json",
		P "ocpp1.6, ocpp2.0.1",
		P "v10.stomp, v11.stomp, v12.stomp",
		P "actioncable-v1-json, actioncable-unsupported",
		P "soap, binary, xmpp, sip, Chat, v1, 13",
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(names); i++)
		assert_field(names[i], names[i]);
}

static void what_follows_a_head_is_masked_as_text(void **state)
{
	assert_masks_to(MASK_HEAD, "POST / HTTP/1.1\r\nA: b\r\n\r\ntoken=abc&x=1",
			"POST / HTTP/1.1\r\nA: b\r\n\r\ntoken=***&x=1");
}

#define FORM  "POST / HTTP/1.1\r\nContent-Type: Application/X-WWW-Form-Urlencoded; charset=x\r\n\r\n"
#define PARTS "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"

static void bodies_of_forms_keep_names_at_most(void **state)
{
	static const char head[] = "POST / HTTP/1.1\r\n\r\n";
	struct masker m, other;
	uint8_t got[CASE_MAX] = {0};

	assert_masks_to(MASK_HEAD, FORM "pin=1&x=a=b c&aB3dE6gH9", FORM "pin=*&x=*** *&aB3d*****");
	assert_masks_to(MASK_HEAD, PARTS "--b\r\nx: y\n", PARTS "***\r\n** *\n");
	mask_init(&m, MASK_HEAD);
	mask_init(&other, MASK_HEAD);
	mask_copy(&m, got, (const uint8_t *)FORM, strlen(FORM));
	mask_restart(&m, MASK_TEXT, &other);
	mask_copy(&m, got, (const uint8_t *)"foo=bar", 7);
	assert_memory_equal(got, "foo=***", 7);
	/* The next head may have another body. */
	mask_restart(&m, MASK_HEAD, &other);
	mask_copy(&m, got, (const uint8_t *)head, strlen(head));
	mask_restart(&m, MASK_TEXT, &other);
	mask_copy(&m, got, (const uint8_t *)"foo=bar", 7);
	assert_memory_equal(got, "foo=bar", 7);
}

static void secrets_in_text_are_masked(void **state)
{
	static const struct mask_case c[] = {
		{"sent Bearer abc.def to x", "sent Bearer ******* to x"},
		{"Authorization: Bearer abc def", "Authorization: Bearer *** ***"},
		{"auth header was Basic dXNlcg== ok", "auth header was Basic ******** ok"},
		{"> Cookie: a=b; c=d", "> Cookie: a=*; c=*"},
		{"curl -H \"Authorization: Bearer abc\" -H 'Cookie: a=b' http://u:p@h/",
		 "curl -H \"Authorization: Bearer ***\" -H 'Cookie: a=*' http://u:*@h/"},
		{"{\"authorization\":\"Bearer abc\",\"x\":1}",
		 "{\"authorization\":\"****** ***\",\"x\":1}"},
		{"{'x-api-key': 'k1', 'host': 'h'}", "{'x-api-key': '**', 'host': 'h'}"},
		{"{\"token\":\"a\\\"bc\",\"y\":2}", "{\"token\":\"*****\",\"y\":2}"},
		{"{\\\"token\\\":\\\"abc\\\",\\\"y\\\":1}",
		 "{\\\"token\\\":\\\"****\",\\\"y\\\":1}"},
		{"{\"tokens\":[\"a\",\"b\"],\"session\":{\"id\":\"x\"},\"y\":2}",
		 "{\"tokens\":[\"*\",\"*\"],\"session\":{\"**\"*\"*\"},\"y\":2}"},
		{"password: hunter2, passwd=x api_key: 9",
		 "password: *******, passwd=* api_key: *"},
		{"token = abc next", "token = *** next"},
		{"jwt eyJhbGciOi.abc done", "jwt ey************ done"},
		{"postgres://app:pa%40ss@db.local:5432/x",
		 "postgres://app:*******@db.local:5432/x"},
		{"{\"code\":\"4/0AXabc\"} {\"code\": 123456}",
		 "{\"code\":\"4*******\"} {\"code\": 1234**}"},
		{"pin=1234&card=4111 {\"otp\":\"1\",\"csrf\":\"a\"}",
		 "pin=****&card=**** {\"otp\":\"*\",\"csrf\":\"*\"}"},
		{"\"GET /ws?foo=aB3dE6gH9 HTTP/1.1\" 200",
		 "\"GET /ws?foo=aB3d***** HTTP/1.1\" 200"},
		{"token=\nabc", "token=\nabc"}, /* a line ends everything */
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(c); i++)
		assert_masks_to(MASK_TEXT, c[i].in, c[i].out);
}

/* Log lines and error bodies are evidence. */
static void ordinary_text_is_kept(void **state)
{
	static const char *const lines[] = {
		"{\"code\":3,\"message\":\"Bad request\"}",
		"{\"statusCode\":401,\"error\":\"Unauthorized\"}",
		"{\"code\":\"ECONNRESET\"} status code: 400",
		"Listening on http://127.0.0.1:8080 and ws://[::]:9000/",
		"AuthenticationError: missing header",
		"level=info t=12 state=open hash=x msg=\"card: none, pin: 3\"",
		"KeyError: 'sec-websocket-key'",
		"Basic usage: see https://example.com/docs?page=2#key",
		"  File \"/srv/app.py\", line 12, in handler",
		"2030-01-01T00:00:00Z ERROR [ws] upgrade failed: 12:30:05 key: none",
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(lines); i++)
		assert_masks_to(MASK_TEXT, lines[i], lines[i]);
}

/* The structure survives: what is masked parses like what was there. */
static void control_bytes_and_spaces_are_never_masked(void **state)
{
	static const char soup[] = "aJ\1:=/?&;,\"'\\ \t\r\n%[]{}@.-_0ey:/HTTP";
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)getpid();
	static const char *const words[] = {"Authorization", "Cookie", "token",
					    "Bearer ",	     "://",    "Sec-WebSocket-Protocol: ",
					    "HTTP/1.1 ",     "\r\n"};

	print_message("SEED=%u\n", seed);
	srandom(seed);
	for (int i = 0; i < 20000; i++) {
		uint8_t in[256], out[256], again[256];
		size_t n = 0, cut;
		struct masker m;

		while (n < 200) {
			const char *w = words[(size_t)random() % CORE_ARRAY_LEN(words)];

			if (random() % 4)
				in[n++] = (uint8_t)soup[(size_t)random() % (sizeof(soup) - 1)];
			else
				memcpy(in + n, w, strlen(w)), n += strlen(w);
		}
		mask_whole(i % 2 ? MASK_HEAD : MASK_TEXT, in, n, out);
		for (size_t k = 0; k < n; k++) {
			assert_true(out[k] == in[k] || out[k] == '*');
			if (strchr(" \t\r\n\1", in[k]))
				assert_int_equal(out[k], in[k]);
		}
		cut = (size_t)random() % n;
		mask_init(&m, i % 2 ? MASK_HEAD : MASK_TEXT);
		mask_copy(&m, again, in, cut);
		mask_copy(&m, again + cut, in + cut, n - cut);
		assert_memory_equal(again, out, n);
	}
}

static void a_masker_may_be_copied_and_thrown_away(void **state)
{
	struct masker m, tried;
	uint8_t out[16];

	mask_init(&m, MASK_TEXT);
	mask_copy(&m, out, (const uint8_t *)"token=", 6);
	tried = m;
	mask_copy(&tried, out, (const uint8_t *)"abc x", 5);
	mask_copy(&m, out, (const uint8_t *)"abc", 3);
	assert_memory_equal(out, "***", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authorization_keeps_its_scheme_only),
		cmocka_unit_test(cookies_keep_the_start_of_their_names_only),
		cmocka_unit_test(fields_named_like_secrets_lose_their_value),
		cmocka_unit_test(handshake_fields_are_never_masked),
		cmocka_unit_test(status_lines_are_never_masked),
		cmocka_unit_test(secret_query_values_of_the_target_are_masked),
		cmocka_unit_test(a_target_alone_is_masked_like_that_of_a_request),
		cmocka_unit_test(path_segments_that_look_like_no_name_are_masked),
		cmocka_unit_test(urls_in_fields_lose_passwords_and_secret_queries),
		cmocka_unit_test(bearer_like_protocol_entries_are_masked),
		cmocka_unit_test(an_answer_does_not_tell_what_its_request_kept_secret),
		cmocka_unit_test(protocol_names_in_use_are_kept),
		cmocka_unit_test(what_follows_a_head_is_masked_as_text),
		cmocka_unit_test(bodies_of_forms_keep_names_at_most),
		cmocka_unit_test(secrets_in_text_are_masked),
		cmocka_unit_test(ordinary_text_is_kept),
		cmocka_unit_test(control_bytes_and_spaces_are_never_masked),
		cmocka_unit_test(a_masker_may_be_copied_and_thrown_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
