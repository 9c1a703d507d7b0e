/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the reader of rules: anybody may write anything into an environment variable, and a control page
 * belongs to whoever may write the file.
 *
 * Promises: an error lies within the text and says something; what was read checks, and when it is
 * printed and read again it is the same byte for byte; a block of bytes that checks can be printed,
 * matched and decided.
 * Input: one byte that chooses text or bytes, then those.
 */
#include <stdlib.h>
#include <string.h>

#include "core/fault/decide.h"
#include "core/fault/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* Everything that is done with a rule, on bytes of which nothing is known but that they check. */
static void use(const struct fault_rule *r)
{
	static const char head[] = "GET http://h:80/a?b HTTP/1.1\r\nHost: h:1\r\nUpgrade: a, b\r\n"
				   "Sec-WebSocket-Protocol: c\r\n\r\n";
	struct fault_conn_facts facts = {.ordinal = 3, .ip = {0x20, 1}, .port = 80};
	struct fault_unit unit = {.seed = 1, .unit = 70, .rule = fault_rule_id(r)};
	static char text[8192];
	uint64_t drawn;

	must(fault_rule_print(r, text, sizeof(text)) == fault_rule_print(r, text, 1));
	for (size_t n = 0; n < sizeof(head); n++)
		fault_match_head(r, (const uint8_t *)head, n);
	fault_key_of_head(r, (const uint8_t *)head, sizeof(head) - 1);
	fault_match_conn(r, &facts);
	fault_match_call(r, "recvfrom");
	fault_match_frame(r, 2, 1);
	fault_match_dir(r, ROLE_CLIENT, DIR_TX);
	fault_decide(r, &unit, &drawn);
	fault_count(r, 5, 2);
	for (unsigned i = 0; i < r->acts; i++) {
		if (r->act[i].fault == FAULT_SLICE) {
			uint64_t k = fault_slice_piece(&unit, &r->act[i], 100000);

			must(fault_slice_start(&unit, &r->act[i], k) <= 100000);
			must(fault_slice_start(&unit, &r->act[i], k + 1) > 100000);
		}
		if (r->act[i].fault == FAULT_LOSS)
			fault_loss(&unit, &r->act[i]);
	}
}

static void check_text(const char *text, size_t n)
{
	static struct fault_rule rules[FAULT_RULES], again;
	static char printed[16384];
	struct fault_error e;
	uint32_t count;

	memset(&e, 0xff, sizeof(e));
	if (!fault_parse_rules(text, n, rules, FAULT_RULES, &count, &e)) {
		must(e.at <= n && e.len <= n - e.at);
		must(e.what[0] && memchr(e.what, '\0', sizeof(e.what)));
		must(memchr(e.expected, '\0', sizeof(e.expected)) != NULL);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		size_t len = fault_rule_print(&rules[i], printed, sizeof(printed));

		must(len < sizeof(printed) && len == strlen(printed));
		must(fault_rule_check(&rules[i]));
		must(fault_parse_rule(printed, len, &again, &e));
		must(memcmp(&again, &rules[i], sizeof(again)) == 0);
		use(&rules[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fault_rule r;
	char *text;

	if (!size)
		return 0;
	if (data[0] == 'B') {
		memset(&r, 0, sizeof(r));
		memcpy(&r, data + 1, size - 1 < sizeof(r) ? size - 1 : sizeof(r));
		if (fault_rule_check(&r))
			use(&r);
		return 0;
	}
	text = malloc(size); /* of its own, so that reading behind it is seen */
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	check_text(text, size - 1);
	free(text);
	return 0;
}
