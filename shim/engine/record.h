/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record: the records of one connection.  Each makes sure that an OPEN record of the connection lies
 * in the current half first, but for DATA, whose callers do.  t is CLOCK_MONOTONIC, stack an
 * id of stack_take or 0.
 */
#ifndef SHIM_ENGINE_RECORD_H
#define SHIM_ENGINE_RECORD_H

#include "shim/engine/conn.h"
#include "shim/engine/gather.h"
#include "shim/engine/recorder.h"

/* How the bytes of a run are copied. */
enum run_mode {
	RUN_GO_ON, /* masked, going on where the last run of this direction ended */
	RUN_HEAD,  /* masked, a head begins */
	RUN_TEXT,  /* masked, a body or a text begins */
	RUN_RAW,   /* as they are: frame headers */
};

struct run {
	uint32_t rel; /* from the first byte of the data */
	uint16_t len;
	uint16_t mode; /* enum run_mode */
};

enum {
	RECORD_RUNS = 4,	  /* per record; a call with more is told in several */
	RECORD_BYTES = 48 * 1024, /* likewise */
};

/* A DATA record to be written. */
struct data {
	const struct call *call;
	uint64_t t, off, stack;
	uint32_t tid; /* 0: of this thread */
	uint32_t moved;
	uint16_t flags; /* enum trace_data_flag; RAW: it has its record, the masker alone goes on */
	uint8_t dir;
	uint8_t runs;
	int fd;
	struct run run[RECORD_RUNS];
};

/* The next bytes of that direction begin a head or a text; other modes change nothing. */
void record_start(struct conn *c, enum dir dir, enum run_mode mode);

/* Make sure that an OPEN record of c lies in the current half. */
void record_open(struct conn *c, int fd);
static inline void record_ensure_open(struct conn *c, int fd)
{
	if (c->epoch != (uint32_t)recorder_epoch())
		record_open(c, fd);
}

/* g stands at the first byte of the data, and behind its last one afterwards. */
void record_data(struct conn *c, const struct data *d, struct gather *g);

/* Bytes of the pool of partial heads, as they moved then. */
void record_late(struct conn *c);

void record_result(struct conn *c, int fd, const struct call *call, enum dir dir,
		   enum trace_result_what what, int err, uint64_t t, uint64_t stack);

struct closing {
	const struct call *call;
	uint64_t t, stack;
	uint32_t fd, left, unread;
	enum trace_close_what what;
	uint8_t how;
};
void record_close(struct conn *c, const struct closing *how);

/* Something about this connection alone is not seen. */
void record_cover(struct conn *c, int fd, uint64_t reason);

#endif
