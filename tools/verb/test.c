/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/test: scenarios: servers broken on purpose, and what must hold all the same.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/scenario/runner.h"
#include "tools/scenario/start.h"
#include "tools/verb/launch.h"
#include "tools/verb/value.h"
#include "tools/verb/verb.h"

static const char *format = "text", *filter, *output_dir, *path = "/", *templates, *seed_text,
		  *replay, *port;
static bool catalogue, keep, init, list;
static uint64_t jobs = 1, timeout;

static const struct option_row options[] = {
	{"catalogue", 0, OPTION_FLAG, NULL, "run the scenarios shipped with shakedown against CMD",
	 &catalogue},
	{"templates", 0, OPTION_STRING, "PATH",
	 "run this template, or those of this folder, against CMD", &templates},
	{"path", 0, OPTION_STRING, "PATH",
	 "what $path stands for: where upgrades are asked for (/)", &path},
	{"port", 0, OPTION_STRING, "PORT", "what $port stands for (the file's, or a free one)",
	 &port},
	{"filter", 0, OPTION_STRING, "GLOB", "only scenarios whose name matches, as in 'rst-*'",
	 &filter},
	{"list", 0, OPTION_FLAG, NULL, "print the names and what they show, and run nothing",
	 &list},
	{"seed", 0, OPTION_STRING, "N", "run with this seed instead of those of the file",
	 &seed_text},
	{"replay", 0, OPTION_STRING, "DIR",
	 "decide as in the run whose trace is DIR, instead of drawing", &replay},
	{"jobs", 'j', OPTION_NUMBER, "N", "run that many at a time (1)", &jobs},
	{"timeout", 0, OPTION_TIME, "TIME", "end a case that takes longer, as a failure", &timeout},
	{"format", 0, OPTION_CHOICE, "text|tap|junit|json", "how to write the results (text)",
	 &format},
	{"output", 'o', OPTION_STRING, "DIR",
	 "folder for traces and logs (a new one below $TMPDIR or /tmp)", &output_dir},
	{"keep", 0, OPTION_FLAG, NULL, "keep traces and logs of what passed, too", &keep},
	{"init", 0, OPTION_FLAG, NULL,
	 "write a commented scenario to FILE (shakedown.yaml) and stop", &init},
	{.name = NULL},
};

static const char text[] =
	"Starts a server, drives clients against it, switches faults on and off at exact moments, "
	"and "
	"checks what must hold: each FILE is one scenario in YAML, run once with each of its "
	"seeds. A "
	"rule that never acted fails its scenario, because it proves nothing.\n"
	"\n"
	"With --catalogue, or --templates, the server is CMD, and the scenarios are templates: "
	"$path is "
	"where they ask for an upgrade, and $port a free port in CMD and in the environment.\n"
	"\n"
	"Everything is read and checked before the first server starts; what is wrong in a file is "
	"said "
	"with its line and column. The trace and the server's output of a case that failed are "
	"kept, and "
	"the command that shows them is printed. ^C stops the servers and keeps their traces.\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"0 when everything passed, 1 when something failed, 2 when a file or an option is wrong, 3 "
	"when "
	"a case could not be run, 128 plus its number after a signal.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown test --init\n"
	"    shakedown test handshake.yaml -j 4\n"
	"    shakedown test --format junit tests/*.yaml > junit.xml\n"
	"    shakedown test --catalogue --path /ws -- ./server --port '$port'\n";

/* ---- reading ---- */

struct files {
	size_t n, cap;
	char **name;
};

static void files_add(struct files *f, const char *name)
{
	f->name = array_grow(f->name, f->n, &f->cap, sizeof(*f->name));
	f->name[f->n] = strdup(name);
	if (!f->name[f->n++])
		abort();
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The scenarios of a folder, or the one file. False: complained. */
static bool files_of(const char *place, struct files *ret)
{
	DIR *d = opendir(place);
	struct dirent *e;
	size_t before = ret->n;

	if (!d) {
		files_add(ret, place);
		return true;
	}
	while ((e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');
		char name[PATH_MAX];

		if (!dot || e->d_name[0] == '.' || (strcmp(dot, ".yaml") && strcmp(dot, ".yml")))
			continue;
		snprintf(name, sizeof(name), "%.3500s/%s", place, e->d_name);
		files_add(ret, name);
	}
	closedir(d);
	if (ret->n == before) {
		complain("there are no scenarios (*.yaml) in %s", place);
		return false;
	}
	qsort(ret->name + before, ret->n - before, sizeof(*ret->name), by_name);
	return true;
}

/* Load all; every file that is wrong is told. */
static bool load(const struct files *f, const struct scenario_given *given, struct arena *a,
		 struct runner *r)
{
	struct scenario_error e;
	char line[1400];
	bool ok = true;

	for (size_t i = 0; i < f->n; i++) {
		struct scenario *s = scenario_load(f->name[i], given, a, &e);

		if (!s) {
			fprintf(stderr, "%s\n", scenario_error_text(&e, line, sizeof(line)));
			ok = false;
		} else if (!filter || pattern_matches(filter, s->name, strlen(s->name))) {
			runner_add(r, s);
		}
	}
	return ok;
}

static bool check_options(int argc, uint64_t *ret_seed, struct scenario_given *given)
{
	uint64_t number;

	if (seed_text &&
	    (value_number(seed_text, ret_seed) || !*ret_seed || *ret_seed > INT64_MAX)) {
		complain("--seed must be a number from 1 to 9223372036854775807, not '%s'",
			 seed_text);
		return false;
	}
	if (port && (value_number(port, &number) || !number || number > 65535)) {
		complain("--port must be a number from 1 to 65535, not '%s'", port);
		return false;
	}
	if (!jobs || jobs > 256) {
		complain("-j must be a number from 1 to 256");
		return false;
	}
	if ((catalogue || templates) && !argc && !list) {
		complain("say which server to run: shakedown test --catalogue -- CMD...");
		return false;
	}
	if (!catalogue && !templates && !argc) {
		complain("say which scenario to run: shakedown test FILE...; 'shakedown test "
			 "--init' "
			 "writes one to start from");
		return false;
	}
	given->seed = seed_text ? ret_seed : NULL;
	return true;
}

/* ---- folders ---- */

static bool is_empty(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n == 2; /* . and .. */
}

/* The folder for everything of this call. False: complained. */
static bool make_root(char ret[PATH_MAX], bool *ret_made)
{
	const char *tmp = getenv("TMPDIR");
	char name[PATH_MAX];

	*ret_made = true;
	if (output_dir) {
		*ret_made = !mkdir(output_dir, 0700);
		if ((*ret_made || errno == EEXIST) && realpath(output_dir, ret)) {
			if (*ret_made || is_empty(ret))
				return true;
			complain(
				"the folder %s is not empty, and what it holds is not overwritten; "
				"choose another with -o DIR",
				output_dir);
			return false;
		}
		complain("cannot make the folder %s: %s; choose another with -o DIR", output_dir,
			 strerror(errno));
		return false;
	}
	snprintf(name, sizeof(name), "%.3000s/shakedown-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (mkdtemp(name) && realpath(name, ret))
		return true;
	complain("cannot make a folder like %s: %s; choose one with -o DIR", name, strerror(errno));
	return false;
}

static bool find_tool(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

	if (n <= 0) {
		complain("cannot find out where shakedown itself is: %s", strerror(errno));
		return false;
	}
	ret[n] = '\0';
	return true;
}

/* ---- verbs ---- */

static int write_start(int argc, char **argv)
{
	const char *file = argc ? argv[0] : "shakedown.yaml";
	int e;

	if (argc > 1) {
		complain("--init writes one file");
		return VERB_USAGE;
	}
	e = start_write(file);
	if (!e) {
		fprintf(stderr, "shakedown: wrote %s; change its cmd, then: shakedown test %s\n",
			file, file);
		return VERB_OK;
	}
	if (e == EEXIST)
		complain("%s is there already, and is not overwritten; name another file", file);
	else
		complain("cannot write %s: %s", file, strerror(e));
	return e == EEXIST ? VERB_USAGE : VERB_CANNOT;
}

static int write_list(const struct runner *r)
{
	const struct scenario *last = NULL;

	for (size_t i = 0; i < r->cases; i++) {
		const struct scenario *s = r->item[i].s;

		if (s != last)
			printf("%-28s %s\n", s->name, s->about ? s->about : "");
		last = s;
	}
	return VERB_OK;
}

/* Of scenarios whose seed may not be enough to repeat them. */
static void note_races(const struct runner *r)
{
	for (size_t i = 0; i < r->cases; i++) {
		const struct scenario *s = r->item[i].s;
		const struct scenario_rule *rule = runner_race(s);

		if (rule && (!i || r->item[i - 1].s != s))
			fprintf(stderr,
				"%s:%u:%u: note: clients in the background race, and the rule '%s' "
				"draws by the order of connections, so the same seed may give "
				"other "
				"faults; conn-key=path (or hdr.NAME, peer-port) tells clients "
				"apart\n",
				rule->at.file, rule->at.line, rule->at.column, rule->name);
	}
}

static int run_all(struct runner *r)
{
	static const struct output *const known[] = {&output_text, &output_tap, &output_junit,
						     &output_json};
	char root[PATH_MAX], tool[PATH_MAX];
	bool made;
	int status;

	if (!launch_environ_check(environ))
		return VERB_USAGE;
	if (!find_tool(tool) || !make_root(root, &made))
		return VERB_CANNOT;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(format, known[i]->name))
			r->output = known[i];
	}
	note_races(r);
	r->tool = tool;
	r->root = root;
	r->jobs = (unsigned)jobs;
	r->timeout_ns = timeout;
	r->keep = keep;
	r->progress = isatty(2) && r->output == &output_text;
	status = runner_run(r);
	if (made)
		rmdir(root); /* when it is empty: nothing was kept */
	return status;
}

static bool collect(int argc, char **argv, struct files *f)
{
	char dir[PATH_MAX];

	if (catalogue && !start_catalogue(dir)) {
		complain(
			"the catalogue is not installed: share/shakedown/scenarios is not where it "
			"should be, beside bin");
		return false;
	}
	if ((catalogue && !files_of(dir, f)) || (templates && !files_of(templates, f)))
		return false;
	for (int i = 0; !catalogue && !templates && i < argc; i++)
		files_add(f, argv[i]);
	return true;
}

static int test(int argc, char **argv)
{
	struct scenario_given given = {.path = path, .port = port, .replay = replay};
	static char *const nothing[] = {NULL};
	struct files f = {.n = 0};
	struct runner r = {.cases = 0};
	struct arena *a;
	uint64_t seed;
	int status = VERB_USAGE;

	if (init)
		return write_start(argc, argv);
	if (!check_options(argc, &seed, &given))
		return VERB_USAGE;
	if (catalogue || templates)
		given.command = argc ? argv : nothing;
	a = arena_new();
	if (!collect(argc, argv, &f)) {
		status = VERB_CANNOT;
	} else if (load(&f, &given, a, &r)) {
		if (!r.cases)
			complain("no scenario is called '%s'", filter);
		else
			status = list ? write_list(&r) : run_all(&r);
	}
	for (size_t i = 0; i < f.n; i++)
		free(f.name[i]);
	free(f.name);
	free(r.item);
	arena_free(a);
	return status;
}

const struct verb verb_test = {
	.name = "test",
	.synopsis = "[options] FILE... | --catalogue [options] -- CMD...",
	.summary = "break a server on purpose and check what must hold",
	.text = text,
	.options = options,
	.run = test,
};
