/* SPDX-License-Identifier: BSD-2-Clause
 *
 * clock: what time it is and which thread this is, as cheaply as the machine allows.
 */
#ifndef SHIM_ENGINE_CLOCK_H
#define SHIM_ENGINE_CLOCK_H

#include "shim/engine/engine.h"
#include "shim/engine/sys.h"

extern uint64_t clock_thread_off; /* of the id in the thread's control block, 0: ask the kernel */
uint32_t clock_ask_thread(void);

/* Find the kernel's clock page and, with own_threads, the place where the C library keeps the thread
 * id.  Until then, and where they cannot be found, system calls answer. */
void clock_start(bool own_threads);

/* The thread pointers are not a C library's: ask the kernel for thread ids from now on. */
void clock_ask_always(void);

/* The process became another one (fork). */
void clock_forked(void);

/* CLOCK_MONOTONIC in nanoseconds; never 0.  Never back within a thread, and to within a microsecond
 * while the kernel's clock keeps its pace; what may go wrong, and for how long: tick.h. */
uint64_t clock_now(void);

/* A counter that costs less than the clock: the processor's where the kernel itself takes its time
 * from it, else the clock.  Only differences mean something; never 0. */
uint64_t clock_ticks(void);

/* Nanoseconds between two readings of it, 0 when they are the wrong way round. */
uint64_t clock_elapsed(uint64_t from, uint64_t to);

/* CLOCK_REALTIME - CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_realtime_offset(void);

/* The kernel's id of the calling thread. */
static inline uint32_t clock_thread(void)
{
	uint32_t tid = clock_thread_off ? sys_thread_word(clock_thread_off) : 0;

	return tid ? tid : clock_ask_thread();
}

/* The same of the thread that is at place (NULL: the calling one). */
static inline uint32_t clock_thread_at(const struct call_place *place)
{
	return place && place->tid ? place->tid : clock_thread();
}

#endif
