/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text: what the process writes to descriptors 1 and 2 while an attempt is open, or just was: the
 * error message often names the culprit.  And who read which attempt, so that the message of a thread
 * with exactly one open attempt can be told to belong to it.
 */
#ifndef SHIM_ENGINE_TEXT_H
#define SHIM_ENGINE_TEXT_H

#include "shim/engine/engine.h"

/* This thread read (or wrote) the head of an attempt of that connection; tid 0: a goroutine did, whose
 * messages are told otherwise.  Returns a row, 0: none. */
uint16_t text_open(uint32_t tid, uint32_t conn);

/* That attempt has its answer, or its connection is gone. row 0: only count. */
void text_close(uint16_t row, uint64_t now);

/* A write to descriptor 1 or 2 happened. */
void text_write(const struct call *c);

void text_forked(void);

#endif
