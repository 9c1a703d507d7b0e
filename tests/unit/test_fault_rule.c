/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_fault_rule: what may be written as a rule, what it is compiled to, and what somebody is told who
 * wrote something else.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/fault/rule.h"
#include "core/fault/site.h"
#include "core/fault/table.h"
#include "tests/unit/guard.h"

static struct fault_rule rules[FAULT_RULES], rule, again;
static struct fault_error error;

/* Parse a rule that is right; what it prints to must be `printed`, and must give it again. */
static void check_printed(const char *text, const char *printed)
{
	char buffer[4096];
	size_t n;

	if (!fault_parse_rule((const char *)guard_copy(text, strlen(text)), strlen(text), &rule,
			      &error))
		fail_msg("%s: at %u: %s", text, error.at, error.what);
	assert_true(fault_rule_check(&rule));
	n = fault_rule_print(&rule, buffer, sizeof(buffer));
	assert_int_equal(n, strlen(buffer));
	if (printed)
		assert_string_equal(buffer, printed);
	if (!fault_parse_rule(buffer, n, &again, &error))
		fail_msg("%s, printed from %s: at %u: %s", buffer, text, error.at, error.what);
	assert_memory_equal(&rule, &again, sizeof(rule));
}

static void the_examples_of_the_manual_can_be_read_and_printed(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{"tx:delay=100ms,20ms", "r1=tx:delay=100ms,jitter=20ms"},
		{"rx:slice=1460", "r1=rx:slice"},
		{"tx@response-head:delay=300ms:path=/ws:upgrade=websocket",
		 "r1=tx@response-head:delay=300ms:path=/ws:upgrade=websocket"},
		{"tx@upgraded:slice,as=segment,gap=5ms", "r1=tx@upgraded:slice,gap=5ms,as=segment"},
		{"tx@response-head+17:reset:conn=3", "r1=tx@response-head+17:reset:conn=3"},
		{"rx@frames:drop,then=close:after=5s", "r1=rx@frames:drop,then=close:after=5s"},
		{"recv:error=EINTR:when=3+3:per=conn", "r1=recv:error=EINTR:when=3+3:per=conn"},
		{"accept:error=EMFILE:when=10..12", "r1=accept:error=EMFILE:when=10..12"},
		{"any:loss=1%,25%,rto=200ms", "r1=any:loss=1%,corr=25%"},
		{"any@frames:hold,until=release.r1", "r1=any@frames:hold=release.r1"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++)
		check_printed(rows[i].text, rows[i].printed);
}

static void whatever_way_a_rule_is_written_it_is_printed_in_one(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{" slow = tx : delay = 1.5s + slice = 2KiB , gap = 0 : path = /a : p = 0.25 ",
		 "slow=tx:delay=1500ms+slice=2048:path=/a:p=25%"},
		{"tx:latency=1000us", "r1=tx:delay=1ms"},
		{"tx:bandwidth=8kbit+mtu=1MiB", "r1=tx:rate=8kbit+slice=1048576"},
		{"tx:rate=1.5mbit", "r1=tx:rate=1500kbit"},
		{"tx:rate=1GBps,burst=3KB", "r1=tx:rate=8gbit,burst=3000"},
		{"tx:rate=1.001KBps", "r1=tx:rate=1.001KBps"},
		{"tx:close:per=conn:times=2:conn=4", "r1=tx:close:conn=4:per=conn:times=2"},
		{"tx:close:path=[/a;b:c d]", "r1=tx:close:path=/a%3Bb%3Ac%20d"},
		{"tx:close:path=/%2a%2A", "r1=tx:close:path=/**"},
		{"tx:insert=a%00%2Cb=", "r1=tx:insert=a%00%2Cb%3D"},
		{"tx:close:hdr.X-a%b=1", "r1=tx:close:hdr.X-a%b=1"},
		{"tx:close:when=3+:when=5+1:when=7..7+9:when=1..9+2",
		 "r1=tx:close:when=3+:when=5+:when=7:when=1..9+2"},
		{"tx:close:peer=10.0.0.0/8", "r1=tx:close:peer=10.0.0.0/8"},
		{"tx:close:peer=127.0.0.1/32", "r1=tx:close:peer=127.0.0.1"},
		{"tx:close:peer=0.0.0.0/0", "r1=tx:close:peer=0.0.0.0/0"},
		{"tx:close:peer=[::]/0", "r1=tx:close:peer=[::]/0"},
		{"tx:close:peer=[2001:DB8:0:0:1::]/80", "r1=tx:close:peer=[2001:db8:0:0:1::]/80"},
		{"tx:close:peer=[::1]", "r1=tx:close:peer=[::1]"},
		{"tx:close:peer=%3a%3a1", "r1=tx:close:peer=[::1]"},
		{"tx:close:peer=[1:2:3:4:5:6:7:8]", "r1=tx:close:peer=[1:2:3:4:5:6:7:8]"},
		{"tx:close:peer=[::ffff:10.0.0.0/104]", "r1=tx:close:peer=10.0.0.0/8"},
		{"write:retval=-9223372036854775808", "r1=write:retval=-9223372036854775808"},
		{"tx:kill=SIGTERM", "r1=tx:kill=TERM"},
		{"tx:kill=SIGKILL", "r1=tx:kill"},
		{"tx:error=EWOULDBLOCK", "r1=tx:error=EAGAIN"},
		{"tx@frames+0:close", "r1=tx@frames:close"},
		{"tx@response-head+rand:close", "r1=tx@response-head+rand:close"},
		{"tx@response-head.end:close", "r1=tx@response-head.end:close"},
		{"tx:delay=0.000000001s", "r1=tx:delay=1ns"},
		{"tx:hold=1.5s", "r1=tx:hold=1500ms"},
		{"upstream:drop:role=client", "r1=upstream:drop:role=client"},
		{"%net:error=EIO", "r1=%net:error=EIO"},
		{"tx:close:p=100%:activate=0.000001", "r1=tx:close:p=100%:activate=0.0001%"},
	};

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++)
		check_printed(rows[i].text, rows[i].printed);
}

/* A value for every type, and the place where every fault may stand. */
static const char *value_for(const struct fault_row *row, char *room, size_t n)
{
	struct span word = fault_row_word(row, 0);

	switch ((enum fault_type)row->type) {
	case FAULT_TYPE_TIME:
		return "7ms";
	case FAULT_TYPE_PERCENT:
		return "50%";
	case FAULT_TYPE_RATE:
		return "9kbit";
	case FAULT_TYPE_ERRNO:
		return "ENOMEM";
	case FAULT_TYPE_SIGNAL:
		return "USR1";
	case FAULT_TYPE_WORD:
	case FAULT_TYPE_CONN_KEY:
		snprintf(room, n, "%.*s", (int)word.n, (const char *)word.p);
		return room;
	case FAULT_TYPE_UNTIL:
		return "closing";
	case FAULT_TYPE_CIDR:
		return "10.0.0.0/8";
	case FAULT_TYPE_METHOD:
		return "GET";
	case FAULT_TYPE_CALL:
		return "write";
	default:
		snprintf(room, n, "%lld",
			 (long long)(row->max < 2   ? row->max ? row->max : 1
				     : row->min < 2 ? 2
						    : row->min));
		return room;
	}
}

static const char *site_for(enum fault_id id)
{
	switch (*fault_sites(id)) {
	case 'A':
		return "accept";
	case 'L':
		return "write";
	case 'W':
		return "wait";
	case 'T':
		return "tx@frames";
	default:
		return id == FAULT_FRAME ? "rx@frames" : "tx@frames";
	}
}

static void put_required(char *to, size_t room, enum fault_id id, unsigned but)
{
	const struct fault_row *row = fault_param_rows[id];
	char value[64];

	for (unsigned i = 0; i < FAULT_PARAMS && row[i].name; i++) {
		if (i != but && !*row[i].usual)
			snprintf(to + strlen(to), room - strlen(to), ",%s=%s", row[i].name,
				 value_for(&row[i], value, sizeof(value)));
	}
}

static void every_fault_and_every_parameter_of_the_table_can_be_written(void **state)
{
	for (unsigned id = 0; id < FAULT_COUNT; id++) {
		const struct fault_row *row = fault_param_rows[id];

		if (fault_kind_of((enum fault_id)id) == FAULT_KIND_REFUSED)
			continue;
		for (unsigned i = 0; i == 0 || (i < FAULT_PARAMS && row[i].name); i++) {
			char text[512], value[64];

			snprintf(text, sizeof(text), "%s:%s", site_for((enum fault_id)id),
				 fault_name((enum fault_id)id));
			put_required(text, sizeof(text), (enum fault_id)id, i);
			if (row[i].name)
				snprintf(text + strlen(text), sizeof(text) - strlen(text), ",%s=%s",
					 row[i].name, value_for(&row[i], value, sizeof(value)));
			if (id == FAULT_DELAY && (i == FAULT_DELAY_corr || i == FAULT_DELAY_dist))
				strcat(text, ",jitter=1ms");
			if (id == FAULT_FRAME && i == FAULT_FRAME_code)
				strcat(text, ",op=8");
			check_printed(text, NULL);
			assert_int_equal(rule.act[0].fault, id);
		}
	}
}

static void every_word_of_a_parameter_has_its_number(void **state)
{
	check_printed("tx:delay=1ms,1ms,0,lognormal,sleep", NULL);
	assert_int_equal(rule.act[0].param[FAULT_DELAY_dist], FAULT_DIST_LOGNORMAL);
	assert_int_equal(rule.act[0].param[FAULT_DELAY_mode], FAULT_MODE_SLEEP);
	check_printed("tx:slice,as=segment", NULL);
	assert_int_equal(rule.act[0].param[FAULT_SLICE_as], FAULT_AS_SEGMENT);
	check_printed("tx:limit=5,hang", NULL);
	assert_int_equal(rule.act[0].param[FAULT_LIMIT_then], FAULT_THEN_HANG);
	check_printed("tx:drop", NULL);
	assert_int_equal(rule.act[0].param[FAULT_DROP_then], FAULT_THEN_HANG);
	check_printed("tx:reset,see=self", NULL);
	assert_int_equal(rule.act[0].param[FAULT_RESET_see], FAULT_SEE_SELF);
	check_printed("tx:corrupt,fill=rand", NULL);
	assert_int_equal(rule.act[0].param[FAULT_CORRUPT_fill], FAULT_FILL_RAND);
	check_printed("tx@frames:frame,mask=off", NULL);
	assert_int_equal(rule.act[0].param[FAULT_FRAME_mask], FAULT_MASK_OFF);
	check_printed("wait:wake=one", NULL);
	assert_int_equal(rule.act[0].param[FAULT_WAKE_how], FAULT_HOW_ONE);
	check_printed("tx:error=EPIPE,after=yes", NULL);
	assert_int_equal(rule.act[0].param[FAULT_ERROR_after], 1);
	check_printed("tx:close:role=client:per=phase:conn-key=hdr.X:illegal=yes:unix=yes", NULL);
	assert_int_equal(rule.role, ROLE_CLIENT);
	assert_int_equal(rule.per, FAULT_PER_PHASE);
	assert_int_equal(rule.conn_key, FAULT_BY_FIELD);
	assert_true(rule.illegal && rule.unix_socket);
}

static void every_key_of_the_table_can_be_written(void **state)
{
	for (unsigned key = 0; key < FAULT_KEY_COUNT; key++) {
		const struct fault_row *row = &fault_key_rows[key];
		char text[256], value[64];

		snprintf(text, sizeof(text), "tx@frames:close:%s%s=%s%s", row->name,
			 key == FAULT_KEY_HDR ? ".Origin" : "",
			 value_for(row, value, sizeof(value)),
			 key == FAULT_KEY_CORR ? ":p=1%" : "");
		check_printed(text, NULL);
		assert_true(fault_given(&rule, (enum fault_key)key));
	}
}

static void compiled_values_are_in_the_units_the_engine_counts_in(void **state)
{
	check_printed("tx@frames:delay=2s,5us,1.5%+rate=1mbit,2KB+slice=10,var=3,gap=1ns:space=7:"
		      "after=1ms:"
		      "for=2ms:p=1:times=4:interval=5:port=80:status=400..599:op=9",
		      NULL);
	assert_int_equal(rule.act[0].param[FAULT_DELAY_time], 2000000000);
	assert_int_equal(rule.act[0].param[FAULT_DELAY_jitter], 5000);
	assert_int_equal(rule.act[0].param[FAULT_DELAY_corr], 15000);
	assert_int_equal(rule.act[1].param[FAULT_RATE_rate], 125000);
	assert_int_equal(rule.act[1].param[FAULT_RATE_burst], 2000);
	assert_int_equal(rule.act[2].param[FAULT_SLICE_gap], 1);
	assert_int_equal(rule.space, 7);
	assert_int_equal(rule.after_ns, 1000000);
	assert_int_equal(rule.for_ns, 2000000);
	assert_int_equal(rule.p, FAULT_PPM);
	assert_int_equal(rule.times, 4);
	assert_int_equal(rule.interval, 5);
	assert_int_equal(rule.port, 80);
	assert_int_equal(rule.op, 9);
	assert_true(fault_in_range(&rule.status, 400) && !fault_in_range(&rule.status, 600));
}

static void the_names_of_errors_and_signals_have_libcs_numbers(void **state)
{
	static const struct {
		const char *name;
		int number;
	} rows[] =
		{
#define NAMED_ERRNO(name, number) {#name, name},
#include "core/fault/named.def"
		},
	  signals[] = {
#define NAMED_SIGNAL(name, number) {#name, SIG##name},
#include "core/fault/named.def"
	  };

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++)
		assert_int_equal(fault_errno_number(i), rows[i].number);
	assert_null(fault_errno_word(NULL, CORE_ARRAY_LEN(rows)).p);
	for (unsigned i = 0; i < CORE_ARRAY_LEN(signals); i++)
		assert_int_equal(fault_signal_number(i), signals[i].number);
	assert_string_equal(fault_errno_name(ECONNRESET), "ECONNRESET");
	assert_string_equal(fault_errno_name(EAGAIN), "EAGAIN");
	assert_string_equal(fault_signal_name(SIGTERM), "TERM");
	assert_null(fault_errno_name(0));
	assert_null(fault_signal_name(32));
}

static void every_call_that_can_be_named_is_one_that_is_intercepted(void **state)
{
	static const char *const calls[] = {
#define CALL(id, ...) #id,
#include "shim/engine/calls.def"
#undef CALL
	};

	for (unsigned i = 0; fault_call_name(i); i++) {
		bool found = false;

		for (size_t j = 0; j < CORE_ARRAY_LEN(calls); j++)
			found |= strcmp(calls[j], fault_call_name(i)) == 0;
		if (!found)
			fail_msg("%s has no row in calls.def", fault_call_name(i));
	}
}

/* ---- what is wrong ---- */

/* In the text the guilty piece stands between < and >. */
static void check_error(const char *marked, const char *what, const char *expected)
{
	const char *open = strchr(marked, '<'), *close = strchr(marked, '>');
	char text[8192];
	uint32_t count;

	snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(open - marked), marked,
		 (int)(close - open - 1), open + 1, close + 1);
	memset(&error, 0xff, sizeof(error));
	if (fault_parse_rules((const char *)guard_copy(text, strlen(text)), strlen(text), rules,
			      FAULT_RULES, &count, &error))
		fail_msg("%s was taken for a rule", text);
	if (!strstr(error.what, what))
		fail_msg("%s: '%s' does not say '%s'", text, error.what, what);
	if (error.at != (size_t)(open - marked) || error.len != (size_t)(close - open - 1))
		fail_msg("%s: at %u, %u bytes: %s", text, error.at, error.len, error.what);
	if (expected && strncmp(error.expected, expected, strlen(expected)) != 0)
		fail_msg("%s: expected '%s', not '%s'", text, error.expected, expected);
}

static const struct {
	const char *marked, *what, *expected;
} wrong[] = {
	/* words */
	{"tx:<delai>=1s", "not a fault", "delay, "},
	{"tx:<>", "a fault is missing", "delay, "},
	{"tx:delay=1s+<>", "a fault is missing", NULL},
	{"tx<>", "colon", "delay, rate"},
	{"<tz>:close", "where a rule can act", "tx, rx"},
	{"<recvfrm>:eintr", "where a rule can act", "recvfrom, "},
	{"tx@<respnse-head>:close", "not a phase", "response-head, request-head"},
	{"tx@<>:close", "a phase is missing", "accepted, "},
	{"tx@frames<+x>:close", "number of bytes", "+N, +rand, .end"},
	{"tx@frames<.start>:close", "number of bytes", "+N, +rand, .end"},
	{"recv@<frames>:eintr", "key call", "rx, tx"},
	{"<delay>=1s", "begins with where it acts: tx:delay", "rx, tx"},
	{"<delay>=1s:tx", "begins with where it acts", NULL},
	{"tx:close:<reset>", "joined by +", NULL},
	{"tx:close:<pth>=/a", "not a key", "path, "},
	{"tx:close:<>", "a key is missing", "role, "},
	{"tx:close:<path>", "needs = and a value", NULL},
	{"tx:close:path=<>", "a text is missing", NULL},
	{"tx:delay=1s,<jiter>=1ms", "no parameter", "jitter, time"},
	{"tx:delay=1s,jitter=1ms,<1%>", "need theirs", "time, jitter"},
	{"tx:close=<1>", "takes no value", NULL},
	{"tx:short=1,<2>", "takes no further value", NULL},
	{"tx:delay=1s,time=<2s>", "given twice", NULL},
	{"tx:close:path=/a:<path>=/b", "given twice", NULL},
	{"tx:close:hdr.A=b:<hdr.C>=d", "given twice", NULL},
	{"tx:close:when=1:when=2:when=3:when=4:<when>=5", "at most four", NULL},
	{"tx:reset,see=<al>", "no value of see", "self, "},
	{"tx:reset,see=<>", "the value of see is missing", "self, peer, both"},
	/* units and numbers */
	{"tx:delay=<100>", "needs a unit", "s, ms, us, ns"},
	{"tx:delay=1<m>", "no unit", NULL},
	{"tx:delay=<>", "has to be a number", "s, ms"},
	{"tx:delay=<0.1ns>", "finer than a nanosecond", NULL},
	{"tx:delay=<0ms>", "between 1ns and 1000000s", NULL},
	{"tx:delay=<99999999s>", "between", NULL},
	{"tx:delay=<99999999999999999999999s>", "between", NULL},
	{"tx:rate=100<bps>", "bytes to tc", NULL},
	{"tx:rate=100<Mbps>", "bytes to tc", NULL},
	{"tx:rate=<100>", "needs a unit", NULL},
	{"tx:rate=<1.0001KBps>", "whole number of bytes", NULL},
	{"tx:slice=1<k>", "KB or KiB", NULL},
	{"tx:slice=<0>", "between 1 and", NULL},
	{"tx:short=<-1>", "has to be a number", NULL},
	{"tx:close:p=<30>", "did you mean", NULL},
	{"tx:close:p=<0>", "between 0.0001% and 100%", NULL},
	{"tx:close:p=<101%>", "between", NULL},
	{"tx:close:p=<0.00001%>", "finer than a millionth", NULL},
	{"tx:close:p=<x>", "percentage", NULL},
	{"tx:close:port=<65536>", "between 1 and 65535", NULL},
	{"tx:close:port=80<x>", "nothing may follow", NULL},
	{"tx:close:times=<99999999999999999999>", "between", NULL},
	{"write:retval=<-9223372036854775809>", "between", NULL},
	{"recv:error=<ECONRESET>", "name of an error", "ECONNRESET, "},
	{"recv:error=<104>", "name of an error", NULL},
	{"tx:kill=SIG<TREM>", "name of a signal", NULL},
	{"tx:close:when=<5..3>", "ends before it begins", NULL},
	{"tx:close:when=<0>", "between", NULL},
	{"tx:close:when=<3+0>", "a step from 1", NULL},
	{"tx:close:when=<1,2>", "written like", NULL},
	{"tx:close:when=<99999999999999999999>", "between", NULL},
	{"tx:close:status=<99>", "between 100 and 999", NULL},
	{"tx:close:method=<get>", "method", "GET, "},
	{"tx:close:call=<wrte>", "call that can be named", "write, "},
	{"tx:close:peer=<10.1.2.3/8>", "bits behind its prefix", NULL},
	{"tx:close:peer=<10.1.2>", "address or a network", NULL},
	{"tx:close:peer=<10.0.0.0/33>", "address or a network", NULL},
	{"tx:close:peer=<[1::2::3]>", "address or a network", NULL},
	{"tx:close:peer=<[1:2:3:4:5:6:7:8:9]>", "address or a network", NULL},
	{"tx:close:peer=<[::1]/129>", "address or a network", NULL},
	{"tx@frames:hold=<framse>", "release.NAME", "frames, "},
	{"tx:hold=<1us>", "between 1ms", NULL},
	{"tx:hold=<1.0001s>", "milliseconds", NULL},
	{"tx:close:peer=<>::1", "in [ ]", NULL},
	{"tx:hold=release.<>", "a name is missing", NULL},
	/* text */
	{"tx:close:path=/a<%>zz", "%25", NULL},
	{"tx:close:path=/a<%>2", "%25", NULL},
	{"tx:close:path=<[>/a", "not closed", NULL},
	{"tx:close:path=[a<[>b]]", "%5B", NULL},
	{"tx:close:path=a<]>", "%5D", NULL},
	{"tx:close:path=/a< >b", "%20", NULL},
	{"tx:close:path=/a<\001>b", "control byte", NULL},
	{"tx:close:hdr.<>=a", "the name of a field is missing", NULL},
	{"tx:close:hdr.a<(>b=a", "no field name", NULL},
	{"a<!>=tx:close", "made of letters", NULL},
	{"<a123456789a123456789a123456789a1>=tx:close", "at most 31 bytes", NULL},
	{"<all>=tx:close", "every rule", NULL},
	{"a=tx:close\n<a>=rx:close", "already that of rule 1", NULL},
	{"r2=tx:close;<rx:close>", "would be called 'r2'", NULL},
	{"tx:close;\n\n# note\n  rx:<clse>", "not a fault", "close, "},
	/* sense */
	{"tx:<duplicate>", "cannot carry a byte twice", "insert, frame"},
	{"tx:<reorder>", "keeps its order", "delay"},
	{"rx:<slow_close>=1s", "cannot happen at 'rx'", "tx"},
	{"any:<slow_close>=1s", "cannot happen at 'any'", "tx"},
	{"upstream:<slow_close>=1s", "cannot happen at", "tx"},
	{"tx:<refuse>", "cannot happen at 'tx'", "accept"},
	{"rx:<retval>=1", "cannot happen at 'rx'", "a call"},
	{"accept:<delay>=1s", "cannot happen at 'accept'", "rx, tx, connect"},
	{"tx:<wake>", "cannot happen at", "wait"},
	{"tx:close+<reset>", "one way only", NULL},
	{"tx:delay=1s+<latency>=1s", "has this fault already", NULL},
	{"tx:delay=1s+rate=1kbit+slice+short+<loss>=1%", "at most four", NULL},
	{"tx:<delay>=jitter=1ms", "needs time", "time, jitter"},
	{"tx:<delay>=1s,dist=normal", "jitter", NULL},
	{"tx:<delay>=1s,corr=1%", "jitter", NULL},
	{"any:<delay>=1s,mode=queue", "tx alone", NULL},
	{"rx:<slice>,as=segment", "tx alone", NULL},
	{"tx:<slice>=10,var=10", "less than size", NULL},
	{"tx:<frame>=9", "frames only", NULL},
	{"tx@frames:<frame>=1,code=1000", "op=8", NULL},
	{"tx@frames:<frame>=1,len=3,split=9", "no other parameter", NULL},
	{"accept:<refuse>=EPIPE", "illegal=yes", "ECONNABORTED, EMFILE"},
	{"tx@frames:<hold>=frames", "for ever", NULL},
	{"tx@<accepted+3>:close", "no byte moves", NULL},
	{"tx@<upgraded.end>:close", "no byte moves", NULL},
	{"tx@<idle+rand>:close", "no byte moves", NULL},
	{"tx@frames.end:<delay>=1s", "phase that follows", "close, half_close"},
	{"rx@accepted:close:<path>=/a", "no request has come", NULL},
	{"tx@<request-head>:reset:role=server", "moves the other way", NULL},
	{"rx@<response-head>:reset:role=server", "moves the other way", NULL},
	{"rx@<request-head>:reset:role=client", "moves the other way", NULL},
	{"upstream@<response-head>:reset", "moves the other way", NULL},
	{"downstream@<request-head.end>:reset", "moves the other way", NULL},
	{"rx@request-head:close:<status>=101", "no status before", NULL},
	{"rx:drop:<op>=1", "rx@frames", NULL},
	{"tx@response-body:drop:<frame>=1", "rx@frames", NULL},
	{"recv:eintr:<call>=read", "about a call", NULL},
	{"accept:eintr:<path>=/a", "no connection yet", NULL},
	{"epoll_wait:eintr:<path>=/a", "no connection yet", NULL},
	{"socket:error=EMFILE:<per>=conn", "per process", NULL},
	{"accept:eintr:<per>=conn", "per process", NULL},
	{"accept:eintr:<role>=client", "who accepts is a server", NULL},
	{"wait:wake:<port>=80", "many connections", NULL},
	{"wait:<wake>=reorder", "one at a time", NULL},
	{"tx:close:unix=yes:<port>=80", "no port", NULL},
	{"tx:close:unix=yes:<peer>=[::]", "has no address", NULL},
	{"tx:close:<corr>=5%", "give p", NULL},
	{"tx:close:for=1s:<until>=2s", "not both", NULL},
	{"tx:close:after=2s:<until>=2s", "behind after", NULL},
	{"tx:close:<stack>=libc.so.6", "found by guessing", NULL},
	{"tx:close:<not.stack>=libc.so.6", "found by guessing", NULL},
};

static void whoever_writes_something_wrong_is_shown_where_and_told_what_is_right(void **state)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(wrong); i++)
		check_error(wrong[i].marked, wrong[i].what, wrong[i].expected);
}

/* ---- lists ---- */

static void a_file_of_rules_may_have_comments_empty_lines_and_names(void **state)
{
	static const char text[] = "# all of it\n\n  slow = tx:delay=1s  # why\r\n;;rx:short;"
				   "\ttx:close:path=[#;] ; x=rx:reset";
	uint32_t count = 99;

	assert_true(fault_parse_rules((const char *)guard_copy(text, sizeof(text) - 1),
				      sizeof(text) - 1, rules, FAULT_RULES, &count, &error));
	assert_int_equal(count, 4);
	assert_string_equal(rules[0].name, "slow");
	assert_string_equal(rules[1].name, "r2");
	assert_string_equal(rules[2].name, "r3");
	assert_memory_equal(rules[2].text, "#;", 2);
	assert_string_equal(rules[3].name, "x");
	assert_true(fault_parse_rules("# nothing", 9, rules, FAULT_RULES, &count, &error));
	assert_int_equal(count, 0);
	assert_true(fault_parse_rules("", 0, rules, FAULT_RULES, &count, &error));
	assert_false(fault_parse_rule("", 0, &rule, &error));
	assert_false(fault_parse_rule("tx:close;rx:close", 17, &rule, &error));
	assert_int_equal(error.at, 9);
}

static void too_many_rules_and_too_much_text_are_refused(void **state)
{
	char text[8192] = "";
	uint32_t count;

	for (unsigned i = 0; i < FAULT_RULES; i++)
		strcat(text, "tx:close\n");
	assert_true(fault_parse_rules(text, strlen(text), rules, FAULT_RULES, &count, &error));
	assert_int_equal(count, FAULT_RULES);
	strcat(text, "tx:close\n");
	assert_false(fault_parse_rules(text, strlen(text), rules, FAULT_RULES, &count, &error));
	assert_string_equal(error.what, "there is room for 64 rules only");

	strcpy(text, "tx:close:path=");
	memset(text + 14, 'a', FAULT_TEXT);
	assert_true(fault_parse_rule(text, 14 + FAULT_TEXT, &rule, &error));
	assert_int_equal(rule.text_len, FAULT_TEXT);
	text[14 + FAULT_TEXT] = 'a';
	assert_false(fault_parse_rule(text, 15 + FAULT_TEXT, &rule, &error));
	assert_int_equal(error.at, 14);
	memset(text + 14, 'a', 5000);
	assert_false(fault_parse_rule(text, 5014, &rule, &error));
	assert_string_equal(error.what, "a rule has at most 4096 bytes");
}

static void printing_into_little_room_says_how_much_it_takes(void **state)
{
	char text[64], little[8];
	size_t n;

	assert_true(fault_parse_rule("tx:close", 8, &rule, &error));
	n = fault_rule_print(&rule, text, sizeof(text));
	assert_int_equal(n, 11);
	assert_int_equal(fault_rule_print(&rule, little, sizeof(little)), n);
	assert_string_equal(little, "r1=tx:c");
	assert_int_equal(fault_rule_print(&rule, NULL, 0), n);
}

/* ---- rules from a shared page ---- */

static void a_rule_that_was_tampered_with_does_not_check(void **state)
{
	static const struct {
		uint16_t off, size;
		uint64_t value;
	} rows[] = {
#define AT(field, value) {offsetof(struct fault_rule, field), sizeof(rule.field), value}
		AT(name[0], 0),
		AT(name[1], '\n'),
		AT(site, 5),
		AT(dirs, 0),
		AT(dirs, 4),
		AT(stream, 3),
		AT(phase, 11),
		AT(phase, PHASE_COUNT),
		AT(where, 5),
		AT(where, 0),
		AT(acts, 0),
		AT(acts, 5),
		AT(whens, 5),
		AT(per, 5),
		AT(conn_key, 4),
		AT(given, UINT64_MAX),
		AT(text_len, 513),
		AT(path.off, 600),
		AT(path.len, 600),
		AT(act[0].fault, 200),
		AT(act[0].fault, FAULT_DUPLICATE),
		AT(act[0].param[0], 0),
		AT(act[0].param[1], 1 << 20),
		AT(act[0].param[3], 2),
		AT(act[0].param[5], 1),
		AT(when[0].step, 0),
		AT(when[0].last, 0),
		AT(conn_key, FAULT_BY_FIELD),
	};
	static const char text[] = "tx@frames:slice=100:path=/ws:when=3";

	for (size_t i = 0; i < CORE_ARRAY_LEN(rows); i++) {
		assert_true(fault_parse_rule(text, sizeof(text) - 1, &rule, &error));
		assert_true(fault_rule_check(&rule));
		memcpy((char *)&rule + rows[i].off, &rows[i].value, rows[i].size);
		if (fault_rule_check(&rule))
			fail_msg("row %zu checks", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_manual_can_be_read_and_printed),
		cmocka_unit_test(whatever_way_a_rule_is_written_it_is_printed_in_one),
		cmocka_unit_test(every_fault_and_every_parameter_of_the_table_can_be_written),
		cmocka_unit_test(every_word_of_a_parameter_has_its_number),
		cmocka_unit_test(every_key_of_the_table_can_be_written),
		cmocka_unit_test(compiled_values_are_in_the_units_the_engine_counts_in),
		cmocka_unit_test(the_names_of_errors_and_signals_have_libcs_numbers),
		cmocka_unit_test(every_call_that_can_be_named_is_one_that_is_intercepted),
		cmocka_unit_test(
			whoever_writes_something_wrong_is_shown_where_and_told_what_is_right),
		cmocka_unit_test(a_file_of_rules_may_have_comments_empty_lines_and_names),
		cmocka_unit_test(too_many_rules_and_too_much_text_are_refused),
		cmocka_unit_test(printing_into_little_room_says_how_much_it_takes),
		cmocka_unit_test(a_rule_that_was_tampered_with_does_not_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
