/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/rules: look at and change the rules of a running server, through the control page it has mapped.
 *
 * (1) Nothing here waits for the server: a change is one store, and acknowledged when it is made.
 * (2) A call that is under way passes by the rules it began under; the next one sees the new ones.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/control/control_file.h"
#include "tools/control/rule_source.h"
#include "tools/verb/nearest.h"
#include "tools/verb/verb.h"

static const char *format = "text";
static struct option_list files;

static const struct option_row options[] = {
	{"format", 0, OPTION_CHOICE, "text|json", "how to write it (text)", &format},
	{"rules", 0, OPTION_LIST, "FILE", "with set: rules of this file, one a line", &files},
	{.name = NULL},
};

static const char text[] =
	"Shows and changes the rules of a watched process and of those that share its "
	"control page: all that one 'shakedown run' started, or that one process under "
	"LD_PRELOAD forked. A change is made at once, for all of them, and the next call on "
	"a connection follows it; nothing blocks, and no byte is lost.\n"
	"\n"
	"list shows the rules and which of them are on. set RULE... puts these in the place "
	"of all others, on. on NAME... and off NAME... switch some, on all and off all every "
	"one. release NAME lets go what a rule holds with hold,until=release.NAME. stats "
	"shows how often each rule could act, acted, and came second to another one. clear "
	"takes all rules away.\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"0; 2 for a wrong rule, name or word; 3 when the process has no control page, or it "
	"may not be changed.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown rules 4711 list\n"
	"    shakedown rules 4711 set 'slow=tx@response-head:delay=300ms:path=/ws'\n"
	"    shakedown rules 4711 off slow\n"
	"    shakedown rules 4711 stats --format json | jq '.rules[].hits'\n";

/* What is in force now, of a page. */
struct view {
	const struct control_state *state;
	const struct control_rules *rules;
	uint32_t count;
};

static struct view look(const struct control_file *f)
{
	struct view v = {.state = control_state(f->h)};

	v.rules = control_rules(f->h, v.state);
	v.count = v.rules ? v.rules->count : 0;
	return v;
}

static bool is_on(const struct view *v, uint32_t i)
{
	return v->state->on >> i & 1;
}

/* A name of the page, as far as it is one. */
static const char *name_of(const struct view *v, uint32_t i)
{
	static char name[FAULT_NAME + 1];

	snprintf(name, sizeof(name), "%.*s", FAULT_NAME, v->rules->rule[i].name);
	for (char *p = name; *p; p++) {
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
	}
	return name;
}

/* ---- showing ---- */

static json_t *object_of(const struct control_file *f, const struct view *v, uint32_t i)
{
	const struct control_stat *s = control_stat(f->h, v->rules, i), none = {0};
	char rule[FAULT_PRINTED];

	s = s ? s : &none;
	return json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", name_of(v, i),
			 "on", is_on(v, i), "rule", control_rule_text(&v->rules->rule[i], rule),
			 "eligible", (json_int_t)s->eligible, "hits", (json_int_t)s->hits,
			 "shadowed", (json_int_t)s->shadowed, "bytes", (json_int_t)s->bytes,
			 "waited_ns", (json_int_t)s->waited_ns, "lost", (json_int_t)s->lost);
}

static int show_json(const struct control_file *f, const struct view *v)
{
	json_t *list = json_array(), *root;
	char seed[24];
	int status;

	for (uint32_t i = 0; i < v->count; i++)
		json_array_append_new(list, object_of(f, v, i));
	/* A seed may be larger than the numbers of many readers. */
	snprintf(seed, sizeof(seed), "%" PRIu64, f->h->seed);
	root = json_pack("{s:i, s:s, s:s, s:i, s:o}", "version", 1, "page", f->path, "seed", seed,
			 "generation", v->state ? (int)v->state->generation : 0, "rules", list);
	status = root && !json_dumpf(root, stdout, JSON_INDENT(2)) ? VERB_OK : VERB_CANNOT;
	putchar('\n');
	json_decref(root);
	return status;
}

static int show_list(const struct control_file *f, const struct view *v)
{
	char rule[FAULT_PRINTED];

	if (!v->count)
		puts("no rules");
	for (uint32_t i = 0; i < v->count; i++)
		printf("%-3s  %s\n", is_on(v, i) ? "on" : "off",
		       control_rule_text(&v->rules->rule[i], rule));
	return VERB_OK;
}

static int show_stats(const struct control_file *f, const struct view *v)
{
	if (!v->count)
		puts("no rules");
	else
		printf("%-16s  %-3s  %10s  %10s  %10s  %12s  %10s  %10s\n", "rule", "", "eligible",
		       "hits", "shadowed", "bytes", "waited", "lost");
	for (uint32_t i = 0; i < v->count; i++) {
		const struct control_stat *s = control_stat(f->h, v->rules, i), none = {0};

		s = s ? s : &none;
		printf("%-16s  %-3s  %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "  %12" PRIu64
		       "  %8.1fms  %10" PRIu64 "\n",
		       name_of(v, i), is_on(v, i) ? "on" : "off", s->eligible, s->hits, s->shadowed,
		       s->bytes, (double)s->waited_ns / 1e6, s->lost);
	}
	return VERB_OK;
}

static int show(const struct control_file *f,
		int (*as_text)(const struct control_file *, const struct view *))
{
	struct view v = look(f);

	return strcmp(format, "json") ? as_text(f, &v) : show_json(f, &v);
}

/* ---- what can be said ---- */

static int do_list(struct control_file *f, int argc, char **argv)
{
	return show(f, show_list);
}

static int do_stats(struct control_file *f, int argc, char **argv)
{
	return show(f, show_stats);
}

static int cannot(const struct control_file *f)
{
	complain("%s", f->why);
	return VERB_CANNOT;
}

static int put(struct control_file *f, const struct fault_rule *rule, uint32_t count)
{
	uint64_t all = count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;

	return control_file_set(f, rule, count, all) ? show(f, show_list) : cannot(f);
}

static int do_set(struct control_file *f, int argc, char **argv)
{
	struct rule_source source = {0};
	struct fault_rule *rule = NULL;
	uint32_t count = 0;
	bool ok = true;
	int status;

	for (size_t i = 0; ok && i < files.n; i++)
		ok = rule_source_read(&source, files.item[i], stderr);
	for (int i = 0; ok && i < argc; i++)
		ok = rule_source_add(&source, "set", argv[i], stderr);
	ok = ok && rule_source_compile(&source, &rule, &count, stderr);
	if (ok && !count)
		complain("set needs rules; 'clear' takes all away");
	status = ok && count ? put(f, rule, count) : VERB_USAGE;
	free(rule);
	rule_source_free(&source);
	return status;
}

static int do_clear(struct control_file *f, int argc, char **argv)
{
	return put(f, NULL, 0);
}

static void complain_unknown(const struct view *v, const char *word)
{
	char names[FAULT_RULES][FAULT_NAME + 1];
	struct nearest near;

	nearest_init(&near, word);
	for (uint32_t k = 0; k < v->count; k++) {
		snprintf(names[k], sizeof(names[k]), "%s", name_of(v, k));
		nearest_try(&near, names[k]);
	}
	if (near.best)
		complain("there is no rule '%s'; did you mean '%s'?", word, near.best);
	else
		complain("there is no rule '%s'; 'list' shows those there are", word);
}

/* The bits of the rules that are named. False: complained. */
static bool mask_of(const struct view *v, int argc, char **argv, uint64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < argc; i++) {
		uint64_t bits = strcmp(argv[i], "all") ? 0 : UINT64_MAX;

		for (uint32_t k = 0; k < v->count; k++) {
			if (!strncmp(v->rules->rule[k].name, argv[i], FAULT_NAME))
				bits |= UINT64_C(1) << k;
		}
		if (!bits) {
			complain_unknown(v, argv[i]);
			return false;
		}
		*ret |= bits;
	}
	return true;
}

static int flip(struct control_file *f, int argc, char **argv, bool on)
{
	struct view v = look(f);
	uint64_t mask, every;

	if (!v.count) {
		complain("there are no rules; 'set' gives some");
		return VERB_USAGE;
	}
	if (!mask_of(&v, argc, argv, &mask))
		return VERB_USAGE;
	every = v.count >= 64 ? UINT64_MAX : (UINT64_C(1) << v.count) - 1;
	mask = (on ? v.state->on | mask : v.state->on & ~mask) & every;
	return control_file_switch(f, mask) ? show(f, show_list) : cannot(f);
}

static int do_on(struct control_file *f, int argc, char **argv)
{
	return flip(f, argc, argv, true);
}

static int do_off(struct control_file *f, int argc, char **argv)
{
	return flip(f, argc, argv, false);
}

/* The name whose release lets go what rule i holds; empty: it waits for none. */
static struct span awaited(const struct view *v, uint32_t i)
{
	const struct fault_rule *r = &v->rules->rule[i];

	for (unsigned k = 0; fault_rule_check(r) && k < r->acts; k++) {
		uint64_t until = r->act[k].param[FAULT_HOLD_until];
		uint32_t at = (uint32_t)until;

		if (r->act[k].fault == FAULT_HOLD && until >> 32 == FAULT_UNTIL_RELEASE)
			return (struct span){(const uint8_t *)r->text + (at >> 16),
					     at & UINT16_MAX};
	}
	return (struct span){NULL, 0};
}

/* Does a rule wait for that name?  False: complained, with the names there are. */
static bool is_awaited(const struct view *v, const char *name)
{
	char names[1024] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < v->count; i++) {
		struct span s = awaited(v, i);

		if (s.n && s.n == strlen(name) && !memcmp(s.p, name, s.n))
			return true;
		if (s.n && n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s'%.*s'",
					      n ? ", " : "", (int)s.n, (const char *)s.p);
	}
	if (n)
		complain("no rule waits for '%s'; there is %s", name, names);
	else
		complain("no rule waits for '%s': none holds until a release", name);
	return false;
}

static int do_release(struct control_file *f, int argc, char **argv)
{
	struct view v = look(f);
	uint32_t times;

	if (!is_awaited(&v, argv[0]))
		return VERB_USAGE;
	if (!control_file_release(f, argv[0]))
		return cannot(f);
	if (!strcmp(format, "json"))
		return show(f, show_list);
	times = control_released(f->h, argv[0], strlen(argv[0]));
	printf("released, %" PRIu32 " time%s so far\n", times, times == 1 ? "" : "s");
	return VERB_OK;
}

static const struct word {
	const char *name;
	int (*run)(struct control_file *f, int argc, char **argv);
	int least, most; /* words behind it; most -1: any */
	const char *needs;
} words[] = {
	{"list", do_list, 0, 0, "no words"},
	{"set", do_set, 0, -1, "rules"},
	{"on", do_on, 1, -1, "names of rules, or all"},
	{"off", do_off, 1, -1, "names of rules, or all"},
	{"release", do_release, 1, 1, "one name"},
	{"stats", do_stats, 0, 0, "no words"},
	{"clear", do_clear, 0, 0, "no words"},
};

static const char *word_name(size_t i)
{
	return i < sizeof(words) / sizeof(words[0]) ? words[i].name : NULL;
}

static const struct verb_choices choices = {word_name};

static const struct word *find_word(const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; word_name(i); i++) {
		if (!strcmp(words[i].name, name))
			return &words[i];
		nearest_try(&near, words[i].name);
	}
	if (near.best)
		complain("rules cannot '%s'; did you mean '%s'?", name, near.best);
	else
		complain("rules cannot '%s'; it can list, set, on, off, release, stats, clear",
			 name);
	return NULL;
}

static bool parse_pid(const char *word, pid_t *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(word, &end, 10);
	*ret = (pid_t)n;
	if (!errno && !*end && n > 0 && n <= INT32_MAX)
		return true;
	complain("'%s' is no process: shakedown rules PID list", word);
	return false;
}

static int run(int argc, char **argv)
{
	char list[] = "list", *none[] = {list};
	struct control_file f;
	const struct word *w;
	int status;
	pid_t pid;

	if (!argc) {
		complain("rules needs a process: shakedown rules PID list");
		return VERB_USAGE;
	}
	if (!parse_pid(argv[0], &pid))
		return VERB_USAGE;
	argv++;
	if (!--argc) {
		argv = none;
		argc = 1;
	}
	w = find_word(argv[0]);
	if (!w)
		return VERB_USAGE;
	if (argc - 1 < w->least || (w->most >= 0 && argc - 1 > w->most)) {
		complain("%s takes %s", w->name, w->needs);
		return VERB_USAGE;
	}
	if (!control_file_find(&f, pid))
		return cannot(&f);
	status = w->run(&f, argc - 1, argv + 1);
	control_file_close(&f);
	return status;
}

const struct verb verb_rules = {
	.name = "rules",
	.synopsis = "[options] PID [list|set|on|off|stats|...] [NAME...]",
	.summary = "show and change what is broken on purpose in a running server",
	.text = text,
	.options = options,
	.run = run,
	.operands = &choices,
};
