/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/kernel: what the kernel knows of the open connections of a process that still runs.
 *
 * A server that does not read any more never learns that its peer has gone, and no call of its tells;
 * the socket's state does.  Without permission, or from another network namespace, nothing is learned.
 */
#ifndef TOOLS_EXCHANGE_KERNEL_H
#define TOOLS_EXCHANGE_KERNEL_H

#include "core/trace/layout.h"

/* Mark the rows (a copy of them) whose peer has finished sending: TRACE_CONN_EOF, and in t_last when,
 * at the latest.
 *   netns    network namespace of the process, as in the trace's header
 *   now_ns   CLOCK_MONOTONIC */
void kernel_mark_left(struct trace_connection *row, uint32_t rows, uint64_t netns, uint64_t now_ns);

#endif
