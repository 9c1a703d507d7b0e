/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config: see config.h.  A variable nobody knows is an error, not silence: a misspelt name would
 * otherwise look like a setting that does nothing.
 */
#include "shim/engine/config.h"
#include "shim/engine/line.h"
#include "shim/engine/sys.h"

#include "core/trace/append.h"

enum config_type {
	SWITCH,
	SIZE,
	WHICH,
	PATH,
	SEED,
	RULES,
};

enum config_id {
#define CONFIG(id, name, type, initial, help) CONFIG_##id,
#include "shim/engine/config.def"
#undef CONFIG
	CONFIG_COUNT,
};

static const struct config_row {
	const char *name;
	enum config_type type;
	const char *initial;
} rows[] = {
#define CONFIG(id, name, type, initial, help) {name, type, initial},
#include "shim/engine/config.def"
#undef CONFIG
};

#define DEFAULT_PLACE "./EXE.trace"

static char problem[CONFIG_PROBLEM_MAX];
char config_place[CONFIG_PATH_MAX];
char config_launch[CONFIG_PATH_MAX];

static const char *problem_say(const char *name, const char *value, const char *remedy)
{
	struct line l;

	if (problem[0]) /* the first one is told */
		return problem;
	line_init(&l, problem, sizeof(problem));
	line_add(&l, "shakedown: ");
	line_add(&l, name);
	if (value) {
		line_add(&l, "=");
		line_add_span(&l, value, line_length(value) < 40 ? line_length(value) : 40);
	}
	line_add(&l, remedy);
	return problem;
}

static bool parse_switch(const char *v, uint64_t *ret)
{
	if (line_equal(v, "on") || line_equal(v, "1") || line_equal(v, "yes"))
		*ret = 1;
	else if (line_equal(v, "off") || line_equal(v, "0") || line_equal(v, "no"))
		*ret = 0;
	else
		return false;
	return true;
}

static bool parse_size(const char *v, uint64_t *ret)
{
	const char *at = v;
	uint64_t n = line_number(&at, 10);
	unsigned shift = 0;

	if (at == v || at - v > 12)
		return false;
	switch (*at) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		at++;
	*ret = n << shift;
	return !*at && n < UINT64_C(1) << 46 >> shift;
}

static bool parse_seed(const char *v, uint64_t *ret)
{
	const char *at = v;

	*ret = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (*ret > (UINT64_MAX - digit) / 10)
			return false;
		*ret = *ret * 10 + digit;
	}
	return at != v && !*at;
}

/* The folder the trace files go to, made absolute now: the process may change its directory. */
static void find_place(const char *asked)
{
	static char exe[256];
	struct line l;
	long n;

	line_init(&l, config_place, sizeof(config_place));
	if (asked[0] != '/') {
		n = sys_2(SYS_getcwd, (long)config_place, sizeof(config_place));
		if (n <= 0 || config_place[0] != '/') {
			config_place[0] = '\0';
			return;
		}
		l.n = (size_t)n - 1;
		line_add(&l, l.n > 1 ? "/" : "");
	}
	if (asked[0] && !line_equal(asked, DEFAULT_PLACE)) {
		line_add(&l, asked);
	} else {
		n = sys_readlink("/proc/self/exe", exe, sizeof(exe) - 1);
		exe[n > 0 ? n : 0] = '\0';
		line_add(&l, n > 0 ? line_base(exe) : "process");
		line_add(&l, ".trace");
	}
	if (l.cut)
		config_place[0] = '\0';
}

/* Not in the command itself: what it executes, it has seen to. */
static void find_launch(const char *asked)
{
	static char exe[CONFIG_PATH_MAX];
	struct line l;
	long n;

	line_init(&l, config_launch, sizeof(config_launch));
	if (asked[0] != '/')
		return;
	n = sys_readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	if (!line_equal(exe, asked))
		line_add(&l, asked);
	if (l.cut)
		config_launch[0] = '\0';
}

/* What the rows say so far. */
struct values {
	uint64_t number[CONFIG_COUNT];
	const char *text[CONFIG_COUNT];
};

static const char *parse(struct values *v, enum config_id id, const char *text)
{
	const struct config_row *row = &rows[id];

	switch (row->type) {
	case SWITCH:
		if (!parse_switch(text, &v->number[id]))
			return problem_say(row->name, text, " is neither on nor off; not watching");
		break;
	case SIZE:
		if (!parse_size(text, &v->number[id]))
			return problem_say(row->name, text,
					   " is no size; write a number, like 64K; not watching");
		break;
	case WHICH:
		if (!line_equal(text, "first") && !line_equal(text, "last"))
			return problem_say(row->name, text,
					   " is neither first nor last; not watching");
		v->number[id] = text[0] == 'f';
		break;
	case SEED:
		if (!parse_seed(text, &v->number[id]))
			return problem_say(
				row->name, text,
				" is no number from 0 to 18446744073709551615; not watching");
		break;
	case PATH:
	case RULES:
		v->text[id] = text;
		break;
	}
	return NULL;
}

/* The value when entry is NAME=value, else NULL. */
static const char *entry_value(const char *entry, const char *name)
{
	while (*name && *entry == *name) {
		entry++;
		name++;
	}
	return !*name && *entry == '=' ? entry + 1 : NULL;
}

static bool is_ours(const char *entry)
{
	static const char prefix[] = "SHAKEDOWN_";

	for (size_t i = 0; prefix[i]; i++) {
		if (entry[i] != prefix[i])
			return false;
	}
	return true;
}

static const char *read_entry(struct values *values, const char *entry)
{
	char name[64];
	struct line l;
	size_t n = 0;

	for (unsigned id = 0; id < CONFIG_COUNT; id++) {
		const char *v = entry_value(entry, rows[id].name);

		if (v)
			return parse(values, (enum config_id)id, v);
	}
	if (!is_ours(entry))
		return NULL;
	while (entry[n] && entry[n] != '=')
		n++;
	line_init(&l, name, sizeof(name));
	line_add_span(&l, entry, n);
	return problem_say(
		name, NULL,
		" is no setting of shakedown; correct or unset it ('shakedown help' lists them);"
		" not watching");
}

static uint32_t limit_32(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* A file without room for two halves is never made: that must not look like silence. */
static const char *check_max_trace(uint64_t max)
{
	static char remedy[96];
	struct line l;

	if (trace_file_size(max))
		return NULL;
	line_init(&l, remedy, sizeof(remedy));
	line_add(&l, " is too small for a trace; the least is ");
	line_add_number(&l, (trace_file_least() + 1023) / 1024);
	line_add(&l, "K; not watching");
	return problem_say("SHAKEDOWN_MAX_TRACE", NULL, remedy);
}

const char *config_read(struct config *c, char *const *environ)
{
	static struct values v;
	const char *wrong = NULL;

	problem[0] = '\0';
	for (unsigned id = 0; id < CONFIG_COUNT; id++)
		(void)parse(&v, (enum config_id)id, rows[id].initial);
	for (; environ && *environ; environ++) {
		const char *w = read_entry(&v, *environ);

		wrong = wrong ? wrong : w;
	}
	*c = (struct config){
		.enabled = v.number[CONFIG_ENABLED],
		.keep_first = v.number[CONFIG_KEEP],
		.all = v.number[CONFIG_ALL],
		.no_redact = v.number[CONFIG_NO_REDACT],
		.quiet = v.number[CONFIG_QUIET] || v.number[CONFIG_SAID],
		.max_body = limit_32(v.number[CONFIG_BODY]),
		.max_payload = limit_32(v.number[CONFIG_PAYLOAD]),
		.max_trace = v.number[CONFIG_MAX_TRACE],
		.rules = v.text[CONFIG_RULES],
		.rules_file = v.text[CONFIG_RULES_FILE],
		.control = v.text[CONFIG_CONTROL],
		.seed = v.number[CONFIG_SEED],
	};
	if (!c->enabled)
		return NULL;
	find_place(v.text[CONFIG_TRACE]);
	find_launch(v.text[CONFIG_LAUNCH]);
	return wrong ? wrong : check_max_trace(c->max_trace);
}
