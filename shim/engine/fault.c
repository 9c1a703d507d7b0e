/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault: see fault.h.
 */
#include "shim/engine/fault.h"

uint32_t engine_faults ENGINE_HOT;
uint32_t engine_gates ENGINE_HOT;

bool fault_read(struct call *c, struct conn *conn)
{
	return true;
}

bool fault_write(struct call *c, struct conn *conn)
{
	return true;
}

bool fault_splice(struct call *c, struct conn *to, struct conn *from)
{
	return true;
}

bool fault_close(struct call *c)
{
	return true;
}

bool fault_other(struct call *c, enum call_op op)
{
	return true;
}

void fault_exit(struct call *c, enum call_op op)
{
}
