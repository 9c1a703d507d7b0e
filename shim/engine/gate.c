/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate: see gate.h.
 */
#include "shim/engine/gate.h"

enum gate_way gate_wait(struct call *c, struct conn *conn, enum dir dir, uint64_t until,
			uint32_t rule)
{
	return GATE_PASS;
}

bool gate_holds(const struct conn *conn, enum dir dir)
{
	return false;
}

void gate_lift(struct conn *conn, enum dir dir)
{
}

void gate_state_changed(uint64_t rules_on)
{
}

void gate_expire(uint64_t now)
{
}

void gate_rearm(struct conn *conn, enum dir dir)
{
}

bool gate_later(struct conn *conn, uint64_t at, gate_task *task, uint64_t what)
{
	return false;
}

bool gate_epoll_ctl(struct call *c, struct conn *conn)
{
	return true;
}

void gate_epoll_ctl_done(const struct call *c, struct conn *conn)
{
}

bool gate_wait_call(struct call *c)
{
	return true;
}

void gate_closing(struct conn *conn, int fd)
{
}

void gate_privileges(void)
{
}

void gate_forked(void)
{
}
