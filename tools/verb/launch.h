/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch: what `shakedown run` does around a command: library, trace folder, process, summary.
 */
#ifndef TOOLS_VERB_LAUNCH_H
#define TOOLS_VERB_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/trace/control.h"
#include "shim/launch/launch.h"
#include "shim/launch/seccomp.h"
#include "tools/verb/verb.h"

/* Failures of `run` itself, as env(1). */
enum launch_status {
	LAUNCH_FAILED = 125,  /* our own: configuration, trace folder, library */
	LAUNCH_NOT_RUN = 126, /* the command exists but cannot be executed */
	LAUNCH_NOT_FOUND = 127,
};

/* ---- launch_library.c ---- */

struct launch_library {
	char real[PATH_MAX];	/* absolute path of libshakedown.so */
	char preload[PATH_MAX]; /* the same file by a path without spaces and colons */
	char private_dir[64];	/* made for that purpose, "" none */
};

/* Find the library: SHAKEDOWN_LIB, next to our executable, ../lib of it, the configured place.
 * ret_why says, in one sentence with the remedy, why there is none when false is returned. */
bool launch_library_find(struct launch_library *ret, char *ret_why, size_t size);

/* ld.so splits LD_PRELOAD at spaces and colons: make preload a path without them, in a private folder
 * if need be.  Undone by launch_library_done. */
bool launch_library_clean(struct launch_library *l, char *ret_why, size_t size);
void launch_library_done(struct launch_library *l);

/* The value of LD_PRELOAD: ours joined with what was set (NULL nothing).  A sanitizer's runtime stays
 * first; sanitizer is the one the program itself needs, "" none.  False when it does not fit. */
bool launch_preload(const char *preload, const char *existing, const char *sanitizer, char *ret,
		    size_t size);

/* ---- launch_folder.c ---- */

struct launch_folder {
	char path[PATH_MAX]; /* absolute */
	bool made;	     /* it was not there before */
};

/* Make the trace folder: dir as given, or EXE.trace, EXE.trace.1, ... in the working directory when
 * dir is NULL.
 *   append   a folder that holds traces is taken as well; without dir it is EXE.trace
 * Complains with the remedy and returns false. */
bool launch_folder_make(const char *dir, const char *command, bool append,
			struct launch_folder *ret);

/* Could a trace file be made there now?  Writes as much as the library does to begin with, and removes
 * it.  Returns 0 or the errno that prevents it. */
int launch_folder_probe(const char *folder);

/* Nothing was started: remove the folder if we made it. */
void launch_folder_undo(const struct launch_folder *f);

/* ---- launch_environ.c ---- */

/* Refuse SHAKEDOWN_* variables nobody reads (they are misspelt) and values that mean nothing.
 * Complains with the remedy. */
bool launch_environ_check(char *const *env);

/* Is there room for a trace in a file of max bytes?  Complains, with the least that is enough; name is
 * what the user wrote it behind. */
bool launch_max_trace_check(const char *name, uint64_t max);

/* A seed as it is written.  False: it is none. */
bool launch_seed(const char *v, uint64_t *ret);

/* Take the variables out of the environment that are not for the library. */
void launch_environ_strip(void);

/* ---- launch_rules.c ---- */

/* What the command line says about faults, and what became of it. */
struct launch_rules {
	const struct option_list *texts; /* --rule */
	const struct option_list *files; /* --rules */
	const char *seed;		 /* NULL: not given */
	const char *replay;		 /* folder of the run to be repeated, NULL none */
	/* set by launch_rules_read */
	struct fault_rule *rule;
	uint32_t count;
	uint64_t on, number;
	struct control_decision *decision;
	size_t decisions;
	bool repeats;
	char path[PATH_MAX]; /* of the page that was made; "" none */
};

/* Read and check all of it, and SHAKEDOWN_RULES, SHAKEDOWN_RULES_FILE and SHAKEDOWN_SEED, which are taken
 * out of the environment.  False: the mistake was shown. */
bool launch_rules_read(struct launch_rules *r);

/* Make the control page in the folder, put the rules in force and name the page in the environment.
 * False: complained; without rules nothing is worth that. */
bool launch_rules_make(struct launch_rules *r, const char *folder);

/* The command ended: name the rules of its page that never acted, since they tested nothing. */
void launch_rules_tell_idle(const struct launch_rules *r);

/* Nothing was started: remove the page. */
void launch_rules_undo(const struct launch_rules *r);

/* ---- launch_filter.c ---- */

/* How many seccomp filters are in force here, and so in every process started from here.  *ret_killed
 * is the first call of the library's for which they kill, NULL when they let it live. */
unsigned launch_filters(const char **ret_killed);

/* ---- launch_process.c ---- */

struct launch_job {
	const char *path; /* file to execute, found already */
	char *const *argv;
	bool script; /* the kernel starts an interpreter */
	bool shell;  /* a text without "#!": /bin/sh reads it, as execvp(3) does */
	bool quiet;
	const char *folder;  /* where the launcher's record goes */
	const char *library; /* real path: its opening proves that it was loaded; NULL: not asked */
	bool inject;	     /* the program loads no libraries: put ours into it at the exec */
	struct seccomp_door *seccomp; /* its supervisor was started: by that door; else NULL */
	/* results */
	uint64_t t_start; /* CLOCK_MONOTONIC before the fork */
	int status;	  /* wait(2) status to pass on */
	bool started;	  /* the exec succeeded; otherwise exec_errno says why not */
	int exec_errno;
	bool loaded;		     /* the library was opened after the exec */
	bool load_unknown;	     /* that could not be watched */
	enum inject_result injected; /* with inject */
	char copy
		[INJECT_COPY_PATH]; /* path of the copy that was started, since nobody may be traced; "" none */
	char inject_why[1024]; /* who forbids what: a sentence without a period */
};

/* Run it to its end, with the environment as it is now: forward signals, reap, and follow a command
 * that ended with 0 and left processes behind (it became a daemon).
 * False when nothing could be started for our own reasons (complained). */
bool launch_job_run(struct launch_job *job);

/* ---- launch_loaded.c ---- */

/* The proof that the dynamic loader took the library: somebody opened the file.  Start watching before
 * the exec, ask afterwards.  Returns a descriptor, or -1 when this cannot be watched. */
int launch_loaded_watch(const char *library);
/* Was it opened since? Ends the watch. */
bool launch_loaded_done(int fd);

/* ---- launch_carry.c ---- */

/* `carry -- PATH ARGV0 ARGS...`: become that program, with the library in it. Returns only a failure. */
int carry(int argc, char **argv);

/* ---- launch_summary.c ---- */

struct launch_summary {
	uint32_t traces; /* processes that wrote one */
	uint32_t unreadable;
	uint64_t attempts;
	bool all_blind; /* nothing at all was seen by any of them */
	uint32_t findings;
	int worst; /* enum severity, valid with findings */
};

/* Read the folder back: the traces of this boot begun at since or later.  Says on stderr what is in them
 * unless quiet. */
void launch_summarize(const char *folder, uint64_t since, bool quiet, struct launch_summary *ret);

/* A number of our own /proc/self/status, by the name of its line; -1 when the kernel does not tell. */
long launch_status(const char *name);

#endif
