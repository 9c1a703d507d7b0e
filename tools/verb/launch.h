/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch: what `shakedown run` does around a command: library, trace folder, process, summary.
 *
 * The launcher's record is the file `launch` in the trace folder, mode 0600, one fact per line, each
 * line written by one write(2) as soon as it is known, so that it survives the launcher's own death:
 *
 *     shakedown-launch 1            first line; a higher number is refused by readers
 *     boot-id HEX32
 *     begin T_NS
 *     library PATH                  what was preloaded
 *     argv ARG...                   secrets masked
 *     start PID TICKS T_NS          the command, after its exec succeeded
 *     signal NUMBER T_NS            seen by the launcher (forwarded, or sent by the terminal to all)
 *     exit PID TICKS T_NS STATUS    a child or adopted descendant ended; STATUS as wait(2) gave it
 *     end T_NS                      the launcher stopped looking
 *
 * T_NS is CLOCK_MONOTONIC.  TICKS is field 22 of /proc/PID/stat, 0 when it could not be read.
 * PATH and ARG: bytes outside 0x21..0x7e and '%' are written %XX.  Unknown first words are skipped.
 */
#ifndef TOOLS_VERB_LAUNCH_H
#define TOOLS_VERB_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LAUNCH_RECORD_NAME "launch"

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
 * Complains and returns false when there is none. */
bool launch_library_find(struct launch_library *ret);
/* ld.so splits LD_PRELOAD at spaces and colons: make preload a path without them. */
bool launch_library_clean(struct launch_library *l);
void launch_library_done(struct launch_library *l);

/* The value of LD_PRELOAD: ours joined with what was set.  A sanitizer's runtime stays first; sanitizer
 * is the one the program itself needs, "" none.  ret holds size bytes; false when it does not fit. */
bool launch_preload(const char *preload, const char *existing, const char *sanitizer, char *ret,
		    size_t size);

/* ---- launch_folder.c ---- */

/* Make the trace folder: dir as given, or EXE.trace, EXE.trace.1, ... in the working directory when
 * dir is NULL.  ret_path is absolute.  Complains with the remedy and returns false. */
bool launch_folder_make(const char *dir, const char *command, char ret_path[PATH_MAX]);

/* ---- launch_record.c ---- */

/* All take the descriptor of the record, -1 allowed (nothing is written). */
int launch_record_open(const char *folder);
void launch_record_begin(int fd, const char *library, char *const *argv);
void launch_record_start(int fd, pid_t pid, uint64_t ticks);
void launch_record_signal(int fd, int number);
void launch_record_exit(int fd, pid_t pid, uint64_t ticks, int status);
void launch_record_end(int fd);

/* ---- launch_process.c ---- */

struct launch_job {
	const char *path; /* file to execute, found already */
	char **argv;
	int record; /* descriptor of the launcher's record or -1 */
	int quiet;
	const char *library; /* real path: its opening is the proof that it was loaded; NULL none */
	/* results */
	int status;	   /* wait(2) status to pass on */
	bool started;	   /* the exec succeeded */
	bool loaded;	   /* somebody opened the library after the exec */
	bool load_unknown; /* could not be watched */
	int exec_errno;	   /* valid when !started */
};

/* Run it to its end, with the environment as it is now: forward signals, reap and follow whatever it
 * leaves behind. False when nothing could be started for our own reasons (complained). */
bool launch_job_run(struct launch_job *job);

uint64_t launch_start_ticks(pid_t pid);

/* ---- launch_environ.c ---- */

/* Refuse SHAKEDOWN_* variables nobody reads: they are misspelt.  Complains with the nearest name. */
bool launch_environ_check(char *const *env);

/* ---- launch_summary.c ---- */

struct launch_summary {
	bool any_trace;
	bool blind;	/* no process was seen */
	uint32_t worst; /* enum severity, valid with any_finding */
	bool any_finding;
};

/* Read the folder back and say on stderr what is in it (unless quiet). */
void launch_summarize(const char *folder, bool quiet, struct launch_summary *ret);

#endif
