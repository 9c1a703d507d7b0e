/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act: see fault_act.h.
 */
#include "shim/engine/fault_act.h"

bool fault_act_outcome(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	return true;
}

bool fault_act_shape(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	return true;
}

bool fault_act_process(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	return true;
}

bool fault_act_goes_on(struct call *c, struct conn *conn, enum dir dir)
{
	return true;
}

void fault_act_behind(const struct call *c, struct conn *conn, const struct fault_hit *h)
{
}

void fault_act_read(struct call *c, struct conn *conn, const struct fault_hit *h)
{
}

bool fault_act_call(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	return true;
}
