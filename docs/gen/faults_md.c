/* SPDX-License-Identifier: BSD-2-Clause
 *
 * faults_md: prints docs/faults.md from the tables of faults, keys, phases and calls.
 *
 *     cc -I. docs/gen/faults_md.c -o /tmp/faults_md && /tmp/faults_md > docs/faults.md
 *
 * tests/shim/test_faults_page.py fails when the page is out of date, or when a rule on it is refused.
 */
#include <stdio.h>
#include <string.h>

struct fault {
	const char *id, *name, *aliases, *kind, *sites, *says;
};
static const struct fault faults[] = {
#define FAULT(id, name, aliases, kind, sites, says) {#id, name, aliases, #kind, sites, says},
#include "core/fault/fault.def"
#undef FAULT
};

static const struct {
	const char *fault, *name, *type, *usual, *says;
} params[] = {
#define FAULT(...)
#define PARAM(fault, name, type, usual, min, max, says) {#fault, #name, #type, usual, says},
#include "core/fault/fault.def"
#undef FAULT
};

static const struct {
	const char *id, *name, *type, *says;
} keys[] = {
#define KEY(id, name, type, min, max, says) {#id, name, #type, says},
#include "core/fault/key.def"
};

static const struct {
	const char *name, *says;
} declined[] = {
#define KEY(...)
#define DECLINED(name, says) {name, says},
#include "core/fault/key.def"
};

static const struct {
	const char *name, *starts, *ends;
} phases[] = {
#define PHASE(id, name, starts, ends) {name, starts, ends},
#include "core/exchange/phase.def"
#undef PHASE
};

static const struct {
	const char *name, *about;
} calls[] = {
#define SITE(name, about) {#name, #about},
#include "core/fault/site.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The kinds in the order of the page. */
static const struct {
	const char *kind, *title, *text;
} kinds[] = {
	{"TIMING", "Time",
	 "Bytes move later, in their order. Several such faults on the same bytes add up."},
	{"SHAPE", "Shape",
	 "Bytes move in other pieces, or are other bytes. Of several pieces the smallest wins."},
	{"OUTCOME", "Outcome",
	 "The call, or the connection, ends otherwise. One per call: the first rule that matches, "
	 "in "
	 "the order of\nthe rules; the others are counted as shadowed and named in the report."},
	{"PROCESS", "Process", "The process as a whole."},
	{"REFUSED", "Declined", "These words are known, and refused with the reason."},
};

/* Values by type. */
static const struct {
	const char *type, *text;
} types[] = {
	{"TIME",
	 "a number with unit: `ns` `us` `ms` `s`, decimals allowed (`1.5s`); only `0` needs none"},
	{"SIZE", "bytes: plain, or with `B`, `KB` `MB` `GB` (1000) or `KiB` `MiB` `GiB` (1024)"},
	{"COUNT, NUMBER", "a whole number"},
	{"PERCENT", "`2.5%`, or a number from 0 to 1 (`0.025`), exact to a millionth"},
	{"RATE", "`kbit` `mbit` `gbit` per second (1000 bits), or `KBps` `MBps` `GBps` (1000 "
		 "bytes). Bare `bps` "
		 "is refused: it is bits to some and bytes to tc(8)"},
	{"ERRNO", "a name as in errno(3): `ECONNRESET`"},
	{"SIGNAL", "a name with or without `SIG`: `TERM`"},
	{"WORD", "one of the words listed"},
	{"UNTIL", "`release.NAME`, the name of a phase, or a time in whole milliseconds"},
	{"BYTES", "text, what cannot be written as `%XX`"},
	{"GLOB", "a pattern for the whole text: `*` is anything, `?` one byte"},
	{"RANGE", "`3`, `3..5`, `3+` (from 3 on), `3+2` (3, 5, 7 ...), `3..9+2`"},
	{"CIDR",
	 "an address or a network without bits behind its prefix: `10.0.0.0/8`, `[2001:db8::]/32`"},
	{"FIELD", "`hdr.NAME=PATTERN`; the name in any case"},
	{"METHOD", "`GET` `HEAD` `POST` `PUT` `DELETE` `CONNECT` `OPTIONS` `PATCH`"},
	{"CALL", "a call of the list above, or `%net`"},
};

static const struct {
	const char *intent, *rule;
} examples[] = {
	{"100 ms, give or take 20, on everything sent", "tx:delay=100ms,20ms"},
	{"what arrives comes in pieces of 1,460 bytes", "rx:slice=1460"},
	{"the 101 of one path is slow", "tx@response-head:delay=300ms:path=/ws:upgrade=websocket"},
	{"101 and first frame leave in different segments", "tx@upgraded:slice,as=segment,gap=5ms"},
	{"the third connection breaks in the middle of the head",
	 "tx@response-head+17:reset:conn=3"},
	{"the peer falls silent after five seconds of frames",
	 "rx@frames:drop,then=close:after=5s"},
	{"every third recv of a connection is interrupted", "recv:error=EINTR:when=3+3:per=conn"},
	{"the tenth to twelfth accept finds no descriptor", "accept:error=EMFILE:when=10..12"},
	{"a lossy link", "any:loss=1%,25%,rto=200ms"},
	{"everything stands still until `shakedown rules PID release r1`",
	 "any@frames:hold,until=release.r1"},
	{"a slow link in small segments, named", "link=tx:rate=256kbit+slice=536,as=segment"},
	{"a reserved bit in every tenth frame, for one client in four",
	 "tx@frames:frame,rsv=4:interval=10:p=25%:conn-key=hdr.X-Client"},
	{"end of file right behind the request", "rx@request-head.end:half_close"},
};

/* ---- printing ---- */

/* Text of a table cell. */
static void print_cell(const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}

/* a|b|c rest: the words, then the rest. */
static void print_says(const char *type, const char *says)
{
	size_t n = 0;

	if (strcmp(type, "WORD") == 0 || strcmp(type, "CONN_KEY") == 0) {
		n = strcspn(says, " ");
		putchar('`');
		for (size_t i = 0; i < n; i++)
			fputs(says[i] == '|' ? "` `" : (char[]){says[i], '\0'}, stdout);
		printf("`%s", says[n] ? ": " : "");
		n += says[n] != '\0';
	}
	print_cell(says + n);
}

static void print_sites(const char *sites)
{
	static const char letters[] = "RTACLW";
	static const char *const names[] = {"rx", "tx", "accept", "connect", "calls", "wait"};
	const char *separator = "";

	for (; *sites; sites++) {
		printf("%s%s", separator, names[strchr(letters, *sites) - letters]);
		separator = ", ";
	}
}

static void print_params(const char *id)
{
	int first = 1;

	for (size_t i = 0; i < COUNT(params); i++) {
		if (strcmp(params[i].fault, id) != 0)
			continue;
		if (first)
			printf("\n| parameter | type | usually | |\n|---|---|---|---|\n");
		first = 0;
		printf("| `%s` | %s | ", params[i].name, params[i].type);
		printf(params[i].usual[0] ? "`%s` | " : "must be given%s | ", params[i].usual);
		print_says(params[i].type, params[i].says);
		printf(" |\n");
	}
}

static void print_fault(const struct fault *f)
{
	printf("\n#### %s\n\n", f->name);
	if (f->aliases[0])
		printf("(also: %s) ", f->aliases);
	printf("%s.", f->says);
	if (f->sites[0]) {
		printf(" At: ");
		print_sites(f->sites);
		putchar('.');
	}
	putchar('\n');
	print_params(f->id);
}

static void print_grammar(void)
{
	printf("# Faults\n\n"
	       "Made from `core/fault/*.def` by `docs/gen/faults_md.c`; do not edit.\n\n"
	       "A rule says where, what, and under which conditions. Rules come from `--rule` and "
	       "`--rules` of `shakedown run`,\nfrom `SHAKEDOWN_RULES` and `SHAKEDOWN_RULES_FILE`, "
	       "from scenarios, and from `shakedown rules` while the process runs.\n\n"
	       "    rules = rule { (\";\" | newline) rule }     # begins a comment up to the end "
	       "of "
	       "the line\n"
	       "    rule  = [name \"=\"] site \":\" fault { \"+\" fault } { \":\" key \"=\" value "
	       "}\n"
	       "    site  = dir [\"@\" phase [\"+\" bytes | \"+rand\" | \".end\"]] | call\n"
	       "    dir   = rx | tx | any | upstream | downstream | accept | connect | wait\n"
	       "    fault = word [\"=\" argument { \",\" argument }] | word { \",\" argument }\n"
	       "    argument = value | parameter \"=\" value\n\n"
	       "Arguments come in the order of the tables below; behind one with its name all have "
	       "theirs. In a value `;` and `:`,\nblanks and, in an argument, `+` and `,` stand "
	       "inside `[ ]` or as `%%XX`. Names have letters, digits, `-`, `_` and `.`;\na rule "
	       "without one is `r1`, `r2` ... by its place. A rule has at most four faults, a set "
	       "at most 64 rules.\n\n"
	       "What is wrong is refused before anything starts, with the place, the remedy, and "
	       "the words that would have been valid.\n");
}

static void print_where(void)
{
	printf("\n## Where\n\n"
	       "`rx` is what arrives at the watched process, `tx` what leaves it. `upstream` is "
	       "the "
	       "direction from client to server and\n`downstream` the other one, whichever side "
	       "the process is. `accept` and `connect` are these calls, `wait` all waits for "
	       "events.\n\nA call can be named itself: ");
	for (size_t i = 0; i < COUNT(calls); i++)
		printf("`%s`%s", calls[i].name, i + 1 < COUNT(calls) ? " " : ".\n");
	printf("`%%net` means those that move bytes, up to `splice`. Those from `epoll_wait` on, "
	       "`accept4`, `listen`, `socket` and `socketpair`\nare about no connection: a rule "
	       "that names one cannot ask for a path and the like.");
	printf("\n\nWithout a phase a rule about bytes acts on the whole stream. With one it acts "
	       "at the phase's first byte,\n`+N` bytes behind it, at a drawn byte (`+rand`), or "
	       "behind its last one (`.end`: close, half_close, reset, drop, limit,\npause, kill, "
	       "signal). In `frames` it acts on every frame. A phase without bytes (`accepted` "
	       "`before-response` `idle`\n`upgraded`) means the next call in the rule's "
	       "direction.\n\n| phase | begins | ends |\n|---|---|---|\n");
	for (size_t i = 0; i < COUNT(phases); i++)
		printf("| `%s` | %s | %s |\n", phases[i].name, phases[i].starts, phases[i].ends);
}

static void print_faults(void)
{
	printf("\n## What\n\nBy kind; the kind says what happens when several rules meet.\n");
	for (size_t k = 0; k < COUNT(kinds); k++) {
		printf("\n### %s\n\n%s\n", kinds[k].title, kinds[k].text);
		for (size_t i = 0; i < COUNT(faults); i++) {
			if (strcmp(faults[i].kind, kinds[k].kind) == 0)
				print_fault(&faults[i]);
		}
	}
}

static void print_keys(void)
{
	printf("\n## Under which conditions\n\n"
	       "All that are given must hold. What is not known yet (the path of a head that has "
	       "not come) does not match.\n`path` is the target without its query; `host` is met "
	       "with and without its port; `upgrade` and `proto` match any entry of their\nlists, "
	       "and `upgrade=*` also an attempt from which a proxy took the field.\n\n"
	       "| key | type | |\n|---|---|---|\n");
	for (size_t i = 0; i < COUNT(keys); i++) {
		const char *type = strcmp(keys[i].type, "CONN_KEY") == 0 ? "WORD" : keys[i].type;

		printf("| `%s` | %s | ", strcmp(keys[i].id, "HDR") == 0 ? "hdr.NAME" : keys[i].name,
		       type);
		print_says(type, keys[i].says);
		printf(" |\n");
	}
	printf("\nKnown, and declined:\n\n");
	for (size_t i = 0; i < COUNT(declined); i++)
		printf("- `%s`: %s.\n", declined[i].name, declined[i].says);
	printf("\n## Values\n\n| type | written as |\n|---|---|\n");
	for (size_t i = 0; i < COUNT(types); i++)
		printf("| %s | %s |\n", types[i].type, types[i].text);
}

static void print_decisions(void)
{
	printf("\n## Draws\n\n"
	       "Whatever is drawn (`p`, jitter, `+rand`, losses, sizes of pieces) is a hash of the "
	       "seed, the rule's name, the\nconnection, the direction, and the unit: the entry of "
	       "a phase, a frame, a block of 1,460 bytes of the stream, or the n-th\ncall. Nothing "
	       "else counts, so the same seed gives the same faults whatever threads and segments "
	       "do. Connections are known by the\norder of accept; where clients race, "
	       "`conn-key=` knows them by something that they bring along.\n\n"
	       "`corr` is the chance that a draw is that of the unit before. Shapes of jitter: "
	       "`uniform` lies within the jitter either way;\nthe others have it as standard "
	       "deviation around the time, with tails cut at one in 1,024. Times are never "
	       "negative.\n\n"
	       "## Examples\n\n| intent | rule |\n|---|---|\n");
	for (size_t i = 0; i < COUNT(examples); i++)
		printf("| %s | `%s` |\n", examples[i].intent, examples[i].rule);
}

int main(void)
{
	print_grammar();
	print_where();
	print_faults();
	print_keys();
	print_decisions();
	return 0;
}
