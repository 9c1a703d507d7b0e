/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb/run: watch a command.
 *
 * (1) Whatever is wrong with our own configuration is refused before the command starts: 125.
 * (2) From then on the command counts: its status is passed on, and seeing nothing stops nothing.
 * (3) Whoever sees nothing says so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/finding/finding.h"
#include "core/trace/append.h"
#include "tools/verb/doctor.h"
#include "tools/verb/launch.h"
#include "tools/verb/verb.h"
#include "tools/verb/verdict.h"

#define SIZE_LIMIT UINT64_C(1000000000000)

static const char *output, *keep, *fail_on, *door = "auto";
static uint64_t max_trace = UINT64_MAX, payload = UINT64_MAX, body = UINT64_MAX;
static bool append, all, no_redact, quiet, rules_off;
static struct option_list rule_texts, rule_files, rules_on;
static const char *seed, *replay;
static struct launch_rules rules = {.texts = &rule_texts, .files = &rule_files};

static const struct option_row options[] = {
	{"output", 'o', OPTION_STRING, "DIR",
	 "record into this folder, which must be new or empty (default: NAME.trace, NAME.trace.1, "
	 "... "
	 "in the working directory)",
	 &output},
	{"append", 0, OPTION_FLAG, NULL,
	 "record into a folder that holds traces already, beside them (default: NAME.trace)",
	 &append},
	{"max-trace", 0, OPTION_SIZE, "SIZE", "most disk space one process's trace may take",
	 &max_trace},
	{"keep", 0, OPTION_CHOICE, "last|first",
	 "what remains when that is not enough: the last events (default) or the first", &keep},
	{"all", 0, OPTION_FLAG, NULL, "record plain exchanges in full, not only upgrade attempts",
	 &all},
	{"payload", 0, OPTION_SIZE, "BYTES",
	 "record so much of each well-formed frame's payload (0)", &payload},
	{"body", 0, OPTION_SIZE, "BYTES", "record so much of each body of an attempt", &body},
	{"no-redact", 0, OPTION_FLAG, NULL, "record secrets as they are, instead of masking them",
	 &no_redact},
	{"fail-on", 0, OPTION_CHOICE, "info|warning|error|critical",
	 "end with 1 when there is a finding at least that severe", &fail_on},
	{"door", 0, OPTION_CHOICE, "auto|libc|inject|seccomp",
	 "the way into CMD: as it needs (auto), LD_PRELOAD alone (libc), only if the library is "
	 "put "
	 "into the program at its start (inject), or from outside, through the kernel alone "
	 "(seccomp), for what nothing else can watch: slow, one process at a time, no stacks",
	 &door},
	{"rule", 'r', OPTION_LIST, "RULE",
	 "break something on purpose, from the start; may be given several times, and one may hold "
	 "several rules, separated by semicolons",
	 &rule_texts},
	{"rules", 0, OPTION_LIST, "FILE", "the same, one rule a line; # begins a comment",
	 &rule_files},
	{"off", 0, OPTION_FLAG, NULL,
	 "the rules are there, but each is off until 'shakedown rules' switches it on", &rules_off},
	{"on", 0, OPTION_LIST, "NAME", "with --off: this rule acts from the start all the same",
	 &rules_on},
	{"seed", 0, OPTION_STRING, "N",
	 "what chance is drawn from: the same number gives the same faults (1)", &seed},
	{"replay", 0, OPTION_STRING, "DIR",
	 "decide as in the run that was recorded in DIR; without other rules, by its rules",
	 &replay},
	{"quiet", 'q', OPTION_FLAG, NULL, "say nothing unless something is wrong", &quiet},
	{.name = NULL},
};

static const char text[] =
	"Starts CMD with the library preloaded, which records every HTTP upgrade its "
	"processes take part in. The command keeps its terminal, its signals and its "
	"exit status; nothing in it is changed.\n"
	"\n"
	"Go programs and static binaries are watched, too: the library is put into what "
	"loads no libraries, at its start, and finds where it enters the kernel; so it "
	"is with what the command executes.\n"
	"\n"
	"--door seccomp sets no_new_privs where run has no rights to do without: setuid "
	"programs (sudo, ping) started by the command then get no rights. 32-bit and x32 "
	"calls go past it unseen.\n"
	"\n"
	"Before the start the program file is looked at: what cannot be watched (setuid "
	"programs, other architectures) is said on stderr, and the command runs all the "
	"same. Afterwards a summary and the next command are printed on stderr.\n"
	"\n"
	"Rules (--rule, --rules) delay, cut, drop or change what the processes read and "
	"write, at an exact phase of an exchange; docs/faults.md describes them. "
	"They are checked before the command starts: one that is wrong is shown, and "
	"nothing is started. While it runs, 'shakedown rules PID' changes them. Each "
	"decision is recorded, and --replay takes the same ones again.\n"
	"\n"
	"TERM, INT, HUP, QUIT, USR1, USR2, WINCH, CONT and TSTP are forwarded. A command "
	"that ends with 0 and leaves processes behind has become a daemon: it is "
	"followed until it ends, and its status is passed on. As process 1 of a "
	"container, run reaps orphans.\n"
	"\n"
	"EXIT STATUS\n"
	"\n"
	"The status of the command, or 128 plus the number of the signal that killed it. "
	"1 with --fail-on when there is such a finding and the command itself ended with "
	"0. 125 when run itself failed (and, with --fail-on, when nothing could be "
	"seen), 126 when the command cannot be executed, 127 when it is not found. 2 for "
	"a wrong rule.\n"
	"\n"
	"ENVIRONMENT\n"
	"\n"
	"Options are handed to the library in the variables shakedown(1) lists, which may "
	"be set by hand, too; the option wins. SHAKEDOWN_TRACE is always set by run: name "
	"the folder with -o. A SHAKEDOWN_ variable nobody reads is refused.\n"
	"\n"
	"EXAMPLES\n"
	"\n"
	"    shakedown run -- ./server --port 8080\n"
	"    shakedown run -o /tmp/t --fail-on error -- python3 app.py\n"
	"    shakedown run --all -- nginx -g 'daemon off;'\n"
	"    shakedown run -r 'tx@response-head:delay=300ms:path=/ws' -- ./server\n"
	"    shakedown run -r 'rx:slice=1460' -r 'tx@frames:loss=1%' --seed 7 -- ./server\n";

/* ---- before ---- */

static bool by_seccomp(void)
{
	return !strcmp(door, "seccomp");
}

static void say_verdict(const struct verdict *v)
{
	if (v->sentence[0])
		complain("%s", v->sentence);
	if (v->sentence[0] && v->remedy[0])
		complain("to change that: %s", v->remedy);
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1)) {
		complain("no memory for the environment");
		exit(LAUNCH_FAILED);
	}
}

static void set_number(const char *name, uint64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
	set(name, number);
}

/* The variables the library reads; what is not given on the command line keeps its value. */
static void set_variables(const char *folder, const char *library)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	launch_environ_strip();
	if (n > 0) {
		self[n] = '\0';
		set("SHAKEDOWN_LAUNCH", self);
		set("SHAKEDOWN_LIB", library);
	}
	set("SHAKEDOWN_TRACE", folder);
	if (max_trace != UINT64_MAX)
		set_number("SHAKEDOWN_MAX_TRACE", max_trace);
	if (keep)
		set("SHAKEDOWN_KEEP", keep);
	if (all)
		set("SHAKEDOWN_ALL", "1");
	if (payload != UINT64_MAX)
		set_number("SHAKEDOWN_PAYLOAD", payload);
	if (body != UINT64_MAX)
		set_number("SHAKEDOWN_BODY", body);
	if (no_redact)
		set("SHAKEDOWN_NO_REDACT", "1");
}

static bool set_preload(const struct launch_library *l, const struct verdict *v)
{
	static char value[2 * PATH_MAX];

	if (!launch_preload(l->preload, getenv("LD_PRELOAD"), v->target.sanitizer, value,
			    sizeof(value))) {
		complain("LD_PRELOAD is too long already (over %zu bytes): shorten it",
			 sizeof(value));
		return false;
	}
	set("LD_PRELOAD", value);
	return true;
}

/* The library reads sizes of up to twelve digits. */
static bool check_sizes(void)
{
	static const struct {
		const char *name;
		const uint64_t *value;
		uint64_t unset;
	} size[] = {{"max-trace", &max_trace, UINT64_MAX},
		    {"payload", &payload, UINT64_MAX},
		    {"body", &body, UINT64_MAX}};

	for (size_t i = 0; i < CORE_ARRAY_LEN(size); i++) {
		if (*size[i].value != size[i].unset && *size[i].value >= SIZE_LIMIT) {
			complain("--%s is too large; the most is 900G", size[i].name);
			return false;
		}
	}
	return max_trace == UINT64_MAX || launch_max_trace_check("--max-trace", max_trace);
}

static bool prepare_library(struct launch_library *l)
{
	static char why[2 * PATH_MAX];

	if (launch_library_find(l, why, sizeof(why)) && launch_library_clean(l, why, sizeof(why)))
		return true;
	complain("%s", why);
	return false;
}

/* ---- after ---- */

static int exec_failed(const struct verdict *v, int e)
{
	if (e == ENOEXEC)
		complain(
			"%s cannot be executed: it is no program for this machine; use a build for "
			"%s",
			v->path, target_machine_name(target_machine_own()));
	else
		complain("%s cannot be executed: %s; check the file and the interpreter it names",
			 v->path, strerror(e));
	return e == ENOENT ? LAUNCH_NOT_FOUND : LAUNCH_NOT_RUN;
}

/* Is there a reason why no trace file can be made?  True: said. */
static bool say_unwritable(const char *folder)
{
	struct rlimit r;
	int e;

	if (!getrlimit(RLIMIT_FSIZE, &r) && r.rlim_cur < trace_file_least()) {
		complain("blind: the trace file could not be created: files may not be larger than "
			 "%llu bytes here; raise the limit (ulimit -f)",
			 (unsigned long long)r.rlim_cur);
		return true;
	}
	e = launch_folder_probe(folder);
	if (e)
		complain("blind: the trace file could not be created: %s; %s", strerror(e),
			 e == ENOSPC || e == EDQUOT
				 ? "free some space, or use -o DIR on another disk"
				 : "name another folder with -o DIR");
	return e;
}

/* No process wrote a trace: why? */
static void say_no_trace(const struct launch_job *job, const struct verdict *v)
{
	if (v->sight != SIGHT_BLIND && job->injected != INJECT_FAILED &&
	    (by_seccomp() || job->loaded || job->load_unknown) && say_unwritable(job->folder))
		return;
	if (by_seccomp())
		complain("blind: no process accepted a connection or opened one over a network");
	else if (v->unreadable && v->sight != SIGHT_BLIND)
		complain("blind: nothing was seen of %s: its file may not be read, and a static "
			 "program or one in Go can only be watched when it may; make it readable: "
			 "chmod +r",
			 v->program);
	else if (v->sight == SIGHT_BLIND || (job->inject && job->injected == INJECT_FAILED))
		complain("blind: nothing was seen of %s, see above", v->program);
	else if (job->loaded)
		complain("blind: no socket call was seen (the library was loaded, but no process "
			 "that "
			 "had it listened, accepted or connected)");
	else if (job->load_unknown)
		complain(
			"blind: no trace was written, and whether the library was loaded cannot be "
			"told; 'shakedown doctor PID' on the running server tells");
	else
		complain("blind: the library was not loaded: something between run and the server "
			 "removed LD_PRELOAD from its environment, or the server is setuid; "
			 "'shakedown doctor CMD' judges a program");
}

/* Ready to be pasted: as we were called ourselves, and short when the folder is right here. */
static void say_next(const char *folder)
{
	char cwd[PATH_MAX];
	size_t n = getcwd(cwd, sizeof(cwd)) ? strlen(cwd) : 0;
	char *words[] = {program_invocation_name, "report", (char *)(uintptr_t)folder, NULL}, *line;

	if (n > 1 && !strncmp(folder, cwd, n) && folder[n] == '/')
		words[2] += n + 1;
	line = doctor_quote(words);
	complain("next: %s", line ? line : "shakedown report");
	free(line);
}

static int pass_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int conclude(const struct launch_job *job, const struct verdict *v, const char *folder)
{
	struct launch_summary sum;
	enum severity limit;
	int status = pass_status(job->status);

	launch_summarize(folder, job->t_start, quiet, &sum);
	if (!quiet)
		launch_rules_tell_idle(&rules);
	if (by_seccomp() && seccomp_lost(job->seccomp))
		complain("the supervisor of --door seccomp died while the command ran; calls that "
			 "were in its hands may have failed");
	if (!sum.traces && !sum.unreadable)
		say_no_trace(job, v);
	else if (!quiet)
		say_next(folder);
	if (!fail_on || status || !severity_from_name(fail_on, &limit))
		return status;
	if (sum.findings && sum.worst >= (int)limit)
		return VERB_FOUND;
	if (sum.all_blind) {
		complain("--fail-on %s: nothing was seen, so nothing can be promised", fail_on);
		return LAUNCH_FAILED;
	}
	return status;
}

/* What --door asks for. False: complained. */
static bool choose_door(struct verdict *v)
{
	if (by_seccomp() && v->target.kind != TARGET_OTHER_ARCH) {
		v->inject = false;
		v->sight = SIGHT_FULL;
		v->sentence[0] = v->remedy[0] = '\0';
	}
	if (!strcmp(door, "inject") && !v->inject) {
		complain("--door inject: %s loads libraries by itself; leave the option out",
			 v->program);
		return false;
	}
	if (!strcmp(door, "libc") && v->inject) {
		v->inject = false;
		v->sight = SIGHT_BLIND;
		snprintf(v->sentence, sizeof(v->sentence),
			 "%.400s is a static binary, which takes no preload: nothing will be seen",
			 v->program);
		snprintf(v->remedy, sizeof(v->remedy), "leave out --door libc");
	}
	return true;
}

/* With --off: those that --on names.  False: complained. */
static bool choose_rules(void)
{
	rules.on = rules_off ? 0 : rules.on;
	for (size_t i = 0; i < rules_on.n; i++) {
		uint32_t k = 0;

		while (k < rules.count && strcmp(rules.rule[k].name, rules_on.item[i]))
			k++;
		if (k == rules.count) {
			complain("--on: there is no rule '%s'", rules_on.item[i]);
			return false;
		}
		rules.on |= UINT64_C(1) << k;
	}
	return true;
}

/* Rules act in the processes themselves. False: complained. */
static bool judge_rules(void)
{
	rules.seed = seed;
	rules.replay = replay;
	if (!launch_rules_read(&rules) || !choose_rules())
		return false;
	if (!by_seccomp() || (!rules.count && !rules.repeats))
		return true;
	complain("--door seccomp watches from outside, where no rule can act; leave out the rules, "
		 "or the option");
	return false;
}

/* The filters we live under are the command's, too. */
static void judge_filters(struct verdict *v, bool *ret_kill)
{
	const char *killed;
	unsigned n = launch_filters(&killed);

	*ret_kill = killed;
	unsetenv("SHAKEDOWN_FILTERS");
	if (!killed) {
		if (n)
			set_number("SHAKEDOWN_FILTERS", n);
		return;
	}
	set("SHAKEDOWN", "off"); /* somebody else may preload it all the same */
	v->sight = SIGHT_BLIND;
	snprintf(v->sentence, sizeof(v->sentence),
		 "blind: a seccomp filter is in force here that kills for %s, which the library "
		 "calls; it is not loaded",
		 killed);
	snprintf(v->remedy, sizeof(v->remedy),
		 "allow %s in the filter, or let it answer with an error (systemd: "
		 "SystemCallErrorNumber=EPERM)",
		 killed);
}

/* False: complained. */
static bool open_seccomp(struct launch_job *job, struct seccomp_door *by)
{
	char why[512];

	job->library = NULL;
	job->seccomp = by;
	if (!seccomp_start(by, environ, why, sizeof(why)))
		return true;
	complain("--door seccomp cannot be opened: %s", why);
	return false;
}

/* Where the library is not loaded nobody would read the control page.  False: complained. */
static bool make_rules(const char *folder, const struct verdict *v, bool kills)
{
	if (by_seccomp())
		return true;
	if (!kills)
		return launch_rules_make(&rules, folder);
	if (rules.count || rules.repeats)
		complain("the rules cannot be put in force: %s; %s", v->sentence, v->remedy);
	return !rules.count && !rules.repeats;
}

static int watch(char **argv, const struct verdict *v, struct launch_library *lib, bool kills)
{
	static struct launch_folder folder;
	struct seccomp_door by;
	struct launch_job job = {.path = v->path,
				 .argv = argv,
				 .script = v->script,
				 .shell = v->shell,
				 .quiet = quiet,
				 .folder = folder.path,
				 .library = lib->real,
				 .inject = v->inject && !kills};

	if (!launch_folder_make(output, argv[0], append, &folder))
		return LAUNCH_FAILED;
	set_variables(folder.path, lib->real);
	if (!make_rules(folder.path, v, kills) ||
	    (by_seccomp() ? !open_seccomp(&job, &by) : !kills && !set_preload(lib, v)) ||
	    !launch_job_run(&job)) {
		launch_rules_undo(&rules);
		launch_folder_undo(&folder);
		return LAUNCH_FAILED;
	}
	if (!job.started) {
		launch_rules_undo(&rules);
		launch_folder_undo(&folder);
		return exec_failed(v, job.exec_errno);
	}
	return conclude(&job, v, folder.path);
}

static int run(int argc, char **argv)
{
	/* Not on the stack: its limit is the command's, and may be a few pages. */
	static struct launch_library lib;
	static struct verdict v;
	bool kills;
	int status;

	if (argc == 0) {
		complain("run needs a command: shakedown run -- CMD...");
		return LAUNCH_FAILED;
	}
	if (!check_sizes() || !launch_environ_check(environ))
		return LAUNCH_FAILED;
	if (!judge_rules())
		return VERB_USAGE;
	verdict_of_command(argv, &v);
	if (v.sight == SIGHT_NONE) {
		complain("%s; %s", v.sentence, v.remedy);
		return v.status;
	}
	if (!prepare_library(&lib))
		return LAUNCH_FAILED;
	if (!choose_door(&v)) {
		launch_library_done(&lib);
		return LAUNCH_FAILED;
	}
	judge_filters(&v, &kills);
	if (!quiet)
		say_verdict(&v);
	status = watch(argv, &v, &lib, kills);
	launch_library_done(&lib);
	return status;
}

const struct verb verb_run = {
	.name = "run",
	.synopsis = "[-o DIR] [options] -- CMD...",
	.summary = "start a command and record what happens to its upgrades",
	.text = text,
	.options = options,
	.run = run,
	.command = true,
	.misuse = LAUNCH_FAILED,
};
