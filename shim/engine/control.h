/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control: the rules in force in this process: the control page, mapped.
 *
 * (1) The page is that which the command made (SHAKEDOWN_CONTROL), or one of this process's own: before
 *     main when the environment gives rules, else beside the trace file when that is made.  Forked
 *     children inherit the mapping.  No descriptor stays open.
 * (2) Whoever changes the rules changes one word of the page.  Every call on a tracked connection compares
 *     it with what it last saw; that engine_faults is not 0 follows from somebody having looked.
 * (3) Rules are checked once per state, by whoever sees it first; a call that comes while somebody checks
 *     passes as if there were none.  What does not check is off.
 */
#ifndef SHIM_ENGINE_CONTROL_H
#define SHIM_ENGINE_CONTROL_H

#include "shim/engine/config.h"
#include "shim/engine/engine.h"

#include "core/trace/control.h"

extern struct control_header *control_page; /* NULL: there is none */

/* The word of the page that changes, and its value with which nothing can act. */
extern const uint64_t *control_word;
extern uint64_t control_idle;

/* What is in force now. */
struct control_view {
	struct control_header *page;
	const struct control_rules *rules; /* every rule of `on` is checked */
	uint64_t on;			   /* bit per rule */
	uint32_t generation;		   /* of the list: rules->generation */
	uint32_t spare;
};

/* False: no rule is on, and none of the list asks for what is in heads: those are followed even while it
 * is off (on may be 0). */
bool control_now(struct control_view *v);

/* The same, for whoever wants no view; sets engine_faults when the state is a new one. */
bool control_look(void);

/* Is a rule on? */
bool control_is_on(void);

/* Could a rule act on a call, or one that is off want to know of it?  Two loads while there are none. */
static inline bool control_acts(void)
{
	return __atomic_load_n(control_word, __ATOMIC_RELAXED) != control_idle && control_look();
}

/* Map the page the configuration names, or make one for the rules it gives.  Returns NULL, or a sentence
 * that says why the rules cannot be in force, in memory that lives for ever. */
const char *control_start(const struct config *c);

/* The trace file is there: make a page beside it, unless there is one, so that rules can be set later. */
void control_open(void);

/* Path of a page that this process made before main; "": none.  For the images it executes. */
extern char control_path[CONFIG_PATH_MAX + 80];

/* The application has all its memory locked: the page is let out of it. */
void control_unlock(void);

/* Something happened that somebody may wait for. */
void control_wake(void);

static inline void control_event(void)
{
	if (control_page && __atomic_load_n(&control_page->waiters, __ATOMIC_RELAXED))
		control_wake();
}

#endif
