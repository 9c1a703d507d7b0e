/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue: see queue.h.
 */
#include "shim/engine/queue.h"

bool queue_write(struct call *c, struct conn *conn, uint64_t until)
{
	return true;
}
