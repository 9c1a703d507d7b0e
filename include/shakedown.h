/* SPDX-License-Identifier: BSD-2-Clause
 *
 * shakedown: a server under test, from a test in C.
 *
 *     cc test.c $(pkg-config --cflags --libs shakedown)
 *
 * The server runs under `shakedown run`, in a process group of its own; when the thread that started it
 * ends, or the whole test does, it is told to end: start it from a thread that lives until shakedown_stop.  Rules are those of docs/faults.md; every one is off until shakedown_on.  Nothing here is safe to be
 * called for the same server from two threads at a time.
 *
 * Functions that return int give 0, or -1 with a sentence in shakedown_error.
 */
#ifndef SHAKEDOWN_H
#define SHAKEDOWN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shakedown; /* one server */

/* All zero is fine. */
struct shakedown_options {
	const char *rules; /* "name=site:fault", separated by ; or newlines; NULL: none */
	const char *tool;  /* path of the command shakedown; NULL: found in PATH */
	const char *
		dir; /* folder for trace and log, which must be empty or free; NULL: a new one below
				$TMPDIR or /tmp, removed by shakedown_stop unless keep is set */
	const char *cwd;   /* the server's; NULL: ours */
	uint16_t port;	   /* it is ready when it listens there; 0: anywhere */
	unsigned ready_ms; /* it must be ready by then; 0: 10,000 */
	unsigned stop_ms;  /* time to end after SIGTERM before it is killed; 0: 5,000 */
	uint64_t seed;	   /* what chance is drawn from; 0: 1 */
	int keep;	   /* keep the folder */
};

/* Start argv (ends with NULL) and wait until it listens.  NULL: nothing runs, and a sentence is in why.
 * options may be NULL.  What is returned is given back by shakedown_stop. */
struct shakedown *shakedown_start(const struct shakedown_options *options, char *const argv[],
				  char *why, size_t size);

/* Ask it to end (SIGTERM), kill it if it does not.  Returns its status as wait(2) gives it, with 128 + N for
 * a server killed by signal N, or -1 when it had to be killed.  s is gone; NULL is fine. */
int shakedown_stop(struct shakedown *s);

/* Where it listens: the port, 0 for a unix socket; address or path. */
uint16_t shakedown_port(const struct shakedown *s);
const char *shakedown_host(const struct shakedown *s);
/* Its trace folder, for `shakedown report`; valid until shakedown_stop. */
const char *shakedown_trace(const struct shakedown *s);
/* Does it still run? 1 or 0. */
int shakedown_running(struct shakedown *s);
/* Why the last call on s failed; "" when none did. */
const char *shakedown_error(const struct shakedown *s);

/* Switch a rule by its name, or "all". */
int shakedown_on(struct shakedown *s, const char *rule);
int shakedown_off(struct shakedown *s, const char *rule);
/* Let go what a rule with hold=release.NAME holds. */
int shakedown_release(struct shakedown *s, const char *name);
/* How often it acted; -1: there is no such rule. */
int64_t shakedown_hits(const struct shakedown *s, const char *rule);

/* Wait until so many exchanges have entered a phase, or a rule has acted so often.
 *   phase  a name of docs/faults.md, like "upgraded"
 *   path   of the request, * and ? are wild; NULL: any */
int shakedown_wait_phase(struct shakedown *s, const char *phase, const char *path, unsigned count,
			 unsigned timeout_ms);
int shakedown_wait_hits(struct shakedown *s, const char *rule, uint64_t count, unsigned timeout_ms);

/* What `shakedown report` finds, as of now. */
struct shakedown_finding {
	const char *id;	      /* like "http-after-101" */
	const char *severity; /* info, warning, error or critical */
	const char *message;
};
/* Calls visit for each finding; it must not keep the pointers.  Returns how many there are, -1 when
 * nothing has been recorded yet. */
int shakedown_findings(struct shakedown *s,
		       void (*visit)(void *ctx, const struct shakedown_finding *f), void *ctx);
/* How many findings have that id; -1 when nothing has been recorded yet. */
int shakedown_finding_count(struct shakedown *s, const char *id);

#ifdef __cplusplus
}
#endif

#endif
