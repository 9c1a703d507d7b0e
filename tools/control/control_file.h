/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control/control_file: the tools' side of a control page: make one, find that of a process, change what is
 * in force.
 *
 * (1) Nothing is stored behind what the disk was asked for first: a full one is an error, not a signal.
 * (2) A file is only taken for a control page when it is a regular one of ours (or root's), for nobody else
 *     to write, and checks.
 * (3) Nothing here waits for the processes that share the page.
 */
#ifndef TOOLS_CONTROL_CONTROL_FILE_H
#define TOOLS_CONTROL_CONTROL_FILE_H

#include <limits.h>
#include <sys/types.h>

#include "core/trace/control.h"

struct control_file {
	struct control_header *h; /* NULL: closed */
	int fd;
	char path[PATH_MAX];
	char why[256]; /* of the last failure: a sentence without a period */
};

/* Make a new page there; the path must be free. */
bool control_file_make(struct control_file *f, const char *path, uint64_t seed);
/* The page at path as it is now, a copy: for reading only. */
bool control_file_read(struct control_file *f, const char *path);
/* Map the page at path, to change it. */
bool control_file_open(struct control_file *f, const char *path);
/* Map the page of a running process, found among what it has mapped. */
bool control_file_find(struct control_file *f, pid_t pid);
void control_file_close(struct control_file *f);

/* Have the page repeat decisions (sorted by key here, doubles dropped), before any rules are set. */
bool control_file_replay(struct control_file *f, struct control_decision *decisions, size_t n);

/* Put rules in force, those of the mask on; switch those that are in force; release a name.  Who sleeps in a
 * watched process until something changes is woken. */
bool control_file_set(struct control_file *f, const struct fault_rule *rules, uint32_t count,
		      uint64_t on);
bool control_file_switch(struct control_file *f, uint64_t on);
bool control_file_release(struct control_file *f, const char *name);

/* The pages of a trace folder, sorted by name, as control_file_read gives them; those that are none are
 * left out.  path may be a file of the folder. */
struct control_files {
	struct control_file *file;
	size_t n;
};
void control_files_read(struct control_files *ret, const char *path);
void control_files_free(struct control_files *s);

/* A rule of the page in words, "" when it does not check; ret: FAULT_PRINTED bytes. */
enum {
	FAULT_PRINTED = 4096,
};
const char *control_rule_text(const struct fault_rule *r, char *ret);

#endif
