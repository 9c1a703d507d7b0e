/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/control: the control page: what the tools tell the processes they watch, while they run.
 *
 * One sparse file, NAME.trace/control (made by the command) or PID-STARTTIME-LOADTIME.control (made by the
 * first process of a tree that has rules or opens its trace), 0600, mapped shared by every process of the
 * tree; its path travels in SHAKEDOWN_CONTROL.
 *
 *     0           header                one page
 *     4 KiB       statistics            CONTROL_STATS rows, one per rule of each list
 *     ...         replay                sorted keys of decisions; may be empty
 *     ...         blocks                appended: lists of rules, then states that refer to them
 *
 * (1) Blocks are immutable and never used again.  `state` is the offset of the one in force: one store
 *     switches all rules at once, for all processes.  0: no rules.
 * (2) A reader checks every offset and every rule (fault_rule_check) before it believes them; what does not
 *     check is as if there were no rules.
 * (3) Nobody waits for a process: removing a rule is a store.  Who waits for a process waits on `events`,
 *     which is counted up, and woken, only while `waiters` is not 0.
 */
#ifndef CORE_TRACE_CONTROL_H
#define CORE_TRACE_CONTROL_H

#include "core/fault/decide.h"
#include "core/fault/rule.h"

#define CONTROL_MAGIC	UINT64_C(0x4c52544344484b53)
#define CONTROL_VERSION 1u
#define CONTROL_SUFFIX	".control"

enum {
	CONTROL_HEADER_SIZE = 4096,
	CONTROL_STATS = 4096,
	CONTROL_NAMES = 64, /* names that hold can wait for */
	CONTROL_SIZE = 16 * 1024 * 1024,
	CONTROL_REPLAY = 512 * 1024, /* decisions that can be repeated, at most */
};

/* What a rule did; added to by every process. */
struct control_stat {	   /* 64 bytes */
	uint64_t eligible; /* times it could have acted */
	uint64_t hits;	   /* times it acted */
	uint64_t shadowed; /* times another outcome came first */
	uint64_t bytes;	   /* dropped, changed or inserted */
	uint64_t waited_ns;
	uint64_t
		lost; /* queued bytes that a _exit or SIGKILL took along: counted by who finds them */
	uint64_t spare[2];
};

enum control_release_state {
	CONTROL_RELEASE_FREE,
	CONTROL_RELEASE_TAKEN, /* its name is being written */
	CONTROL_RELEASE_NAMED,
};
struct control_release {
	char name[FAULT_NAME];
	uint32_t count; /* how often it was released; rows of the same name add up */
	uint32_t state; /* enum control_release_state */
};

struct control_header {
	uint64_t magic;
	uint32_t version;
	uint32_t size_of_rule; /* sizeof(struct fault_rule): another library's page is refused */
	uint64_t file_size;
	uint64_t stats_off;
	uint64_t replay_off; /* 0: this run repeats none */
	uint64_t replay_count, blocks_off;
	uint64_t seed;
	/* ---- changing.  The word every call looks at has a line of the cache to itself, whose neighbours
	 * change only when it does. ---- */
	uint64_t state;	 /* offset of the struct control_state in force, 0 none */
	uint64_t cursor; /* first free byte of blocks; taken by compare-and-exchange */
	uint32_t stats;	 /* rows in use, likewise */
	uint32_t
		changes; /* futex word: counted up by every switch and release, then woken by its maker */
	uint64_t spare[5];
	uint32_t events; /* futex word of those who wait for a process */
	uint32_t waiters;
	uint64_t connections; /* ordinals given so far */
	uint64_t spare2[6];
	struct control_release release[CONTROL_NAMES];
};
_Static_assert(sizeof(struct control_header) <= CONTROL_HEADER_SIZE, "the header is one page");

/* Immutable: a list of rules, and which of them are on. */
struct control_rules {
	uint32_t count;	     /* at most FAULT_RULES */
	uint32_t stat;	     /* row of the first rule's statistics; the others follow */
	uint32_t generation; /* names the list */
	uint32_t spare;
	struct fault_rule rule[]; /* 8-byte aligned */
};
struct control_state {
	uint64_t rules;	     /* offset of a struct control_rules */
	uint64_t on;	     /* bit per rule */
	uint32_t generation; /* of this state: grows with every switch */
	uint32_t spare;
	uint64_t t_ns;
};

/* One decision of the run that is repeated. */
struct control_decision {
	uint64_t key; /* fault_hash over unit without its seed; ascending */
	uint64_t drawn;
};

/* What a decision is called there. */
static inline uint64_t control_key(const struct fault_unit *u)
{
	return fault_hash(0, &u->conn_key, sizeof(*u) - offsetof(struct fault_unit, conn_key));
}

/* Check a mapped page of size bytes.  False: it is not ours.  Nothing below touches a byte beyond
 * CONTROL_SIZE, whatever the page says, and however it changes meanwhile. */
bool control_check(const struct control_header *h, uint64_t size);

/* The state in force and its rules, every offset checked; NULL when there are none.  The rules
 * themselves are not checked.  h is aligned to a page. */
const struct control_state *control_state(const struct control_header *h);
const struct control_rules *control_rules(const struct control_header *h,
					  const struct control_state *s);
/* The statistics of rule i of a list; NULL: there are none. */
struct control_stat *control_stat(struct control_header *h, const struct control_rules *rules,
				  uint32_t i);

/* Start a page: h is CONTROL_SIZE zeros.  The magic is stored last. */
void control_init(struct control_header *h, uint64_t seed);

/* Room for the decisions of a run to be repeated, before any rules are set: the caller fills it,
 * ascending, without doubles.  NULL: too many, or rules were set.  count may be 0. */
struct control_decision *control_replay(struct control_header *h, uint64_t count);

/* Append rules, those of the mask on, and put them in force.  False: the page is full.  Safe against
 * others that do the same.  The page must be storable up to control_need(count) bytes behind the
 * cursor: who maps a file sees to that first. */
bool control_set(struct control_header *h, const struct fault_rule *rules, uint32_t count,
		 uint64_t on, uint64_t t_ns);
uint64_t control_need(uint32_t count);
/* Switch: the rules in force with another mask.  False: there are none, the page is full, or another
 * list came in force meanwhile. */
bool control_switch(struct control_header *h, uint64_t on, uint64_t t_ns);
/* Count a release up; takes a free row for a new name.  False: there are too many names, or it is none:
 * empty, or FAULT_NAME bytes and more. */
bool control_release(struct control_header *h, const char *name);
/* How often a name was released; 0 for one that never was. */
uint32_t control_released(const struct control_header *h, const char *name, size_t n);

/* Does this run repeat another one?  Then decisions that are not in the list do not act. */
static inline bool control_replays(const struct control_header *h)
{
	return h->replay_off != 0;
}
/* Is the decision in the page's replay list?  *ret_drawn is its value. */
bool control_replayed(const struct control_header *h, uint64_t key, uint64_t *ret_drawn);

#endif
