/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_internal: what the files gate_*.c share.
 *
 * (1) Rows, registrations and deadlines are changed under one lock, gate_enter.  Unlike elsewhere in the
 *     engine a thread waits for it, for a bounded time: whoever comes here is being held up on purpose.
 *     A signal handler that interrupted its own thread in here does not wait, and its call passes.
 * (2) No application code and no system call that can block runs under the lock; tasks run without it.
 * (3) A row belongs to a connection only while its id is that connection's.
 */
#ifndef SHIM_ENGINE_GATE_INTERNAL_H
#define SHIM_ENGINE_GATE_INTERNAL_H

#include "shim/engine/gate.h"

enum {
	GATE_DUES = 16384,	    /* directions held back and tasks, at once */
	GATE_REGISTRATIONS = 65536, /* of tracked descriptors in epoll sets */
	GATE_TICK = 10000000,	 /* ns; how long a change of the rules goes unnoticed in a wait */
	GATE_BUFFER = 64 * 1024, /* bytes of /proc that are read at once */
};

/* A descriptor in an epoll set. */
struct gate_registration {
	int32_t epoll, fd;
	uint32_t events; /* what the application wants */
	uint32_t set;	 /* what the kernel was told */
	uint64_t data;
	uint32_t next; /* 1 + the connection's next one, or the next free one */
	uint32_t spare;
};

/* What gates know of a connection; a row per row of connections. */
struct gate_row {
	uint32_t id;
	uint32_t first;	   /* 1 + its first registration, 0: none is known */
	uint32_t due[2];   /* 1 + deadline of the direction, 0: it is not held back */
	uint16_t again[2]; /* calls in a row that met the gate */
	uint16_t turn;	   /* counts changes of due */
	bool searched;	   /* /proc was asked for its registrations */
	bool spare;
};

struct gate_due {
	uint64_t at;
	gate_task *task; /* NULL: the direction goes on */
	uint64_t what;
	uint32_t row, id; /* of the connection */
	uint32_t rule;
	uint32_t place; /* in the heap; of a free one: 1 + the next free one */
	uint8_t dir;
	uint8_t spare[7];
};

/* ---- gate.c ---- */

bool gate_enter(uint32_t me);
void gate_leave(void);
/* The row of a connection; those of others are started anew. NULL without memory. Locked. */
struct gate_row *gate_row_of(const struct conn *conn);
/* ... if it has one. */
struct gate_row *gate_row_find(const struct conn *conn);
/* Directions held back: bit 0 rx, bit 1 tx. */
unsigned gate_held(const struct gate_row *row);
/* Let a direction go; the lock is held. */
void gate_open(struct conn *conn, struct gate_row *row, enum dir dir);
/* Hold it back; the lock is held.  False: there are too many. */
bool gate_shut(struct conn *conn, struct gate_row *row, enum dir dir, uint64_t at, uint32_t rule);
/* How long a wait until `end` may go on before gates are looked at; UINT64_MAX: for ever. */
uint64_t gate_slice(uint64_t now, uint64_t end);
/* Everything is due: the process or image ends. */
bool gate_ends(void);
/* Map n bytes for the length of a call; NULL when there is no memory. */
void *gate_map(size_t n);

/* ---- gate_due.c: deadlines in order; the lock is held, gate_due_next apart ---- */

struct gate_due *gate_due_add(uint64_t at); /* NULL: there are too many */
uint32_t gate_due_number(const struct gate_due *d);
struct gate_due *gate_due_of(uint32_t number);
void gate_due_move(struct gate_due *d, uint64_t at);
void gate_due_remove(struct gate_due *d);
struct gate_due *gate_due_first(void); /* NULL: none */
uint32_t gate_due_count(void);
struct gate_due *gate_due_at(uint32_t place);
uint64_t gate_due_next(void); /* when the first one is due, UINT64_MAX: none */
void gate_due_clear(void);

/* ---- gate_epoll.c: registrations; the lock is held ---- */

/* Remember or change one.  False: there are too many. */
bool gate_registration_put(struct gate_row *row, const struct gate_registration *r);
/* Forget those of a descriptor, of all with -1. */
void gate_registrations_drop(struct gate_row *row, int fd);
/* Tell the kernel what it may report of the connection now.  edges: and fire those of edge-triggered ones
 * again. */
void gate_registrations_apply(struct conn *conn, struct gate_row *row, bool edges);
/* Find those of a connection that were never seen.  again: although it was done before. */
void gate_registrations_seek(struct conn *conn, struct gate_row *row, bool again);
void gate_epoll_seen(int epoll);
/* The connection leaves all sets. */
void gate_registrations_end(struct conn *conn, struct gate_row *row);

/* ---- gate_fdinfo.c ---- */

/* What the kernel says of fd in an epoll set; false when it is not there or nothing is said. */
bool gate_fdinfo(int epoll, int fd, uint32_t *ret_events);
/* Bring all registrations of tracked descriptors in that set to put. */
typedef void gate_fdinfo_put(const struct gate_registration *r);
bool gate_fdinfo_all(int epoll, gate_fdinfo_put *put);
/* Bring all descriptors of the process that are epoll sets to put. */
void gate_fdinfo_sets(void (*put)(int epoll));

/* ---- gate_block.c: the descriptor blocks, or the call's flags say so ---- */

bool gate_blocks(const struct call *c, int fd);
enum gate_way gate_block(struct call *c, struct conn *conn, enum dir dir, int fd);

/* ---- gate_thread.c ---- */

/* There is a deadline to keep: make sure that somebody will.  task: something is to be done then, whatever
 * the process waits for or does; a direction that goes on matters only to who waits for events. */
void gate_thread_want(uint64_t at, bool task);
bool gate_thread_runs(void);
void gate_thread_stop(void);
void gate_thread_forked(void);

#endif
