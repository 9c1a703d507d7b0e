/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call: the two halves of an intercepted call, for every door: what a row's op asks for.
 */
#include "shim/engine/clock.h"
#include "shim/engine/conn.h"
#include "shim/engine/control.h"
#include "shim/engine/fault.h"
#include "shim/engine/fd.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/observe.h"
#include "shim/engine/recorder.h"
#include "shim/engine/queue.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"
#include "shim/engine/text.h"
#include "shim/engine/witness.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum {
	FLAG_TEXT = 1u << 0,  /* a write to descriptor 1 or 2 */
	FLAG_QUIET = 1u << 1, /* this call made us quiet */
};

/* The frame of one op must not lie below that of another. */
#define NOINLINE __attribute__((noinline))

static inline bool is_as_before(void)
{
	return *engine.alive && engine.active && !engine.quiet;
}

/* Something is not: in a new child it is afterwards, unless nothing is watched any more. */
static NOINLINE bool notice_fork(void)
{
	if (!*engine.alive)
		engine_forked();
	return is_as_before();
}

/* Remember which connection fd means now; NULL when it means none. */
static inline struct conn *attach(struct call *c, int fd)
{
	struct conn *conn = conn_of(fd);

	c->conn = 0;
	if (!conn)
		return NULL;
	c->conn = conn_row(conn);
	c->conn_key = __atomic_load_n(&conn->id, __ATOMIC_ACQUIRE);
	return conn;
}

/* ---- before ---- */

static CORE_HOT NOINLINE bool read_enters(struct call *c)
{
	struct conn *conn = attach(c, (int)c->arg[0]);

	if (!conn)
		return true;
	c->token = ++conn->entered[DIR_RX];
	if ((conn->bits & CONN_ATTEMPT) && observe_read_begins(conn, c))
		c->flags |= OBSERVE_TOLD;
	return !control_acts() || fault_read(c, conn);
}

static CORE_HOT NOINLINE bool write_enters(struct call *c)
{
	struct conn *conn = attach(c, (int)c->arg[0]);

	if (conn) {
		c->token = ++conn->entered[DIR_TX];
		if (conn->bits & CONN_RECORDING) {
			c->t_enter = clock_now();
		} else if (!(conn->bits & CONN_ASIDE)) {
			c->t_enter = clock_ticks();
			c->flags |= OBSERVE_TICKS;
		}
		if (control_acts() && !fault_write(c, conn))
			return false;
		return !engine_gates || queue_enters(c, conn);
	}
	if (engine_tracks((int)c->arg[0]))
		c->flags |= FLAG_TEXT;
	return true;
}

static NOINLINE bool splice_enters(struct call *c)
{
	struct conn *to = attach(c, (int)c->arg[2]);

	if (to)
		c->token = ++to->entered[DIR_TX];
	c->t_enter = clock_now();
	if (control_acts() && !fault_splice(c, to, conn_of((int)c->arg[0])))
		return false;
	return !engine_gates || !to || queue_enters(c, to);
}

/* From here on a filter may forbid any call that the application does not make itself. */
static NOINLINE void seccomp_enters(struct call *c)
{
	bool installs = call_table[c->id].nr == SYS_prctl
				? (int)c->arg[0] == PR_SET_SECCOMP
				: (uint32_t)c->arg[0] == SECCOMP_SET_MODE_STRICT ||
					  (uint32_t)c->arg[0] == SECCOMP_SET_MODE_FILTER;

	if (!installs || engine.quiet)
		return;
	recorder_process(TRACE_SECCOMP, 0, NULL);
	recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_SECCOMP);
	c->flags |= FLAG_QUIET;
	gate_end();
	engine.t_quiet = clock_now();
	engine.quiet = true;
}

/* What is held back of the connections whose descriptors these are. */
static NOINLINE void gate_closes(const struct call *c, enum call_op op)
{
	uint64_t first = c->arg[op == OP_DUP2], last = op == OP_CLOSE_RANGE ? c->arg[1] : first;

	if (op == OP_DUP2 ? c->arg[0] == first : op == OP_CLOSE_RANGE && c->arg[2] & 4)
		return; /* nothing is closed: CLOSE_RANGE_CLOEXEC */
	if (engine_is_stranger())
		return;
	if (last >= engine_fd_limit)
		last = engine_fd_limit - UINT64_C(1);
	for (uint64_t fd = first; fd <= last; fd++) {
		struct conn *conn = conn_of((int)fd);

		if (conn)
			gate_closing(conn, (int)fd);
	}
}

static NOINLINE bool shutdown_enters(struct call *c)
{
	struct conn *conn = conn_of((int)c->arg[0]);

	if (control_acts() && !fault_other(c, OP_SHUTDOWN))
		return false;
	return !engine_gates || !conn || queue_enters(c, conn);
}

static NOINLINE bool poll_enters(struct call *c)
{
	struct conn *conn = conn_of((int)c->arg[2]);

	return !conn || gate_epoll_ctl(c, conn);
}

/* The rest of engine_enter, and of engine_exit below: apart from what every message goes through. */
static inline __attribute__((always_inline)) bool other_enters(struct call *c, enum call_op op)
{
	switch (op) {
	case OP_SENDFILE:
		return write_enters(c);
	case OP_SPLICE:
		return splice_enters(c);
	case OP_CLOSE:
		if (control_acts() && !fault_close(c))
			return false;
		if (engine_faults || engine_gates)
			gate_closes(c, op);
		fd_close(c);
		return true;
	case OP_CLOSE_RANGE:
		if (engine_faults || engine_gates)
			gate_closes(c, op);
		fd_close_range(c);
		return true;
	case OP_DUP2:
		if (engine_faults || engine_gates)
			gate_closes(c, op);
		return !engine_faults || fault_other(c, op);
	case OP_SHUTDOWN:
		return shutdown_enters(c);
	case OP_POLL:
		return !engine_faults || (fault_other(c, op) && poll_enters(c));
	case OP_WAIT:
		if (engine_faults && !fault_other(c, op))
			return false;
		return !engine_gates || gate_wait_call(c);
	case OP_IOCTL:
		if (engine_faults && !fault_other(c, op))
			return false;
		return !engine_gates || gate_ioctl(c);
	case OP_PRIVILEGE:
		gate_privileges(false);
		return !engine_faults || fault_other(c, op);
	case OP_SECCOMP:
		seccomp_enters(c);
		return true;
	default:
		return !control_acts() || fault_other(c, op);
	}
}

static CORE_HOT NOINLINE bool enters(struct call *c)
{
	enum call_op op = (enum call_op)call_table[c->id].op;

	if (op == OP_READ)
		return read_enters(c);
	if (op == OP_WRITE)
		return write_enters(c);
	return other_enters(c, op);
}

static NOINLINE bool enters_in_doubt(struct call *c)
{
	return !notice_fork() || enters(c);
}

CORE_HOT bool engine_enter(struct call *c)
{
	c->flags = 0;
	c->t_enter = 0;
	c->conn = 0;
	c->changed = 0;
	if (!is_as_before())
		return enters_in_doubt(c);
	return enters(c);
}

/* ---- after ---- */

/* Bytes moved through one buffer, without flags that could change what that means. */
static inline bool is_simple(const struct call *c)
{
	const struct call_row *row = &call_table[c->id];

	return c->conn && c->ret > 0 && row->shape == SHAPE_FLAT && !(row->flagged && c->arg[3]);
}

/* The kernel's answer says that the descriptor is not what we believe. */
static bool is_foreign(int64_t ret)
{
	return ret == -EBADF || ret == -ENOTSOCK;
}

static void moved_nothing(struct call *c, struct conn *conn, enum dir dir)
{
	if (is_foreign(c->ret))
		fd_gone(c, (int)c->arg[0]);
	else if (c->ret < 0)
		observe_nothing(conn, c, dir, (int)-c->ret);
	else if (dir == DIR_RX && gather_asked(c))
		observe_nothing(conn, c, dir, 0);
}

static NOINLINE void read_exits_otherwise(struct call *c)
{
	struct conn *conn = conn_at(c->conn);
	uint32_t flags = gather_flags(c);
	uint64_t moved;

	if (call_table[c->id].shape >= SHAPE_MSG)
		fd_received(c);
	if (!c->conn || (flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)))
		return;
	if (c->place && !c->place->goid && engine_attempts)
		witness_moved(conn, c->place);
	moved = gather_moved(c);
	if (moved)
		observe_moved(conn, c, DIR_RX, moved, flags & MSG_TRUNC);
	else
		moved_nothing(c, conn, DIR_RX);
}

static CORE_HOT NOINLINE void read_exits(struct call *c)
{
	if (is_simple(c))
		return observe_moved(conn_at(c->conn), c, DIR_RX, (uint64_t)c->ret, false);
	read_exits_otherwise(c);
}

static NOINLINE void write_exits_otherwise(struct call *c, bool hidden)
{
	uint64_t moved = hidden && c->ret > 0 ? (uint64_t)c->ret : gather_moved(c);

	if (c->flags & FLAG_TEXT) {
		text_write(c);
		return;
	}
	if (!c->conn)
		return;
	if (moved)
		observe_moved(conn_at(c->conn), c, DIR_TX, moved, hidden);
	else
		moved_nothing(c, conn_at(c->conn), DIR_TX);
}

static CORE_HOT NOINLINE void write_exits(struct call *c, bool hidden)
{
	if (is_simple(c))
		return observe_moved(conn_at(c->conn), c, DIR_TX, (uint64_t)c->ret, hidden);
	write_exits_otherwise(c, hidden);
}

/* One end or both may be connections; attach() looked at the one that is written to. */
static NOINLINE void splice_exits(struct call *c)
{
	struct conn *from = conn_of((int)c->arg[0]);

	if (c->ret <= 0)
		return;
	if (c->conn)
		observe_moved(conn_at(c->conn), c, DIR_TX, (uint64_t)c->ret, true);
	if (!from)
		return;
	c->conn_key = from->id;
	c->token = ++from->entered[DIR_RX];
	observe_moved(from, c, DIR_RX, (uint64_t)c->ret, true);
}

static void pair_exits(struct call *c)
{
	const int *pair = (const int *)c->arg[0];

	if (c->ret != 0)
		return;
	fd_forget(c, pair[0]);
	fd_forget(c, pair[1]);
}

static void fcntl_exits(struct call *c)
{
	if ((int)c->arg[1] == F_DUPFD || (int)c->arg[1] == F_DUPFD_CLOEXEC)
		fd_duped(c, (int)c->arg[0], (int)c->ret);
}

/* Goroutines that read are in Go's own set since the accept; this is somebody's set of his own. */
static NOINLINE void poll_exits(struct call *c)
{
	struct conn *conn = attach(c, (int)c->arg[2]);

	if (conn && engine_faults)
		gate_epoll_ctl_done(c, conn);
	if (conn && (int)c->arg[1] != EPOLL_CTL_DEL)
		observe_waits(conn, c);
}

static NOINLINE void fork_exits(struct call *c)
{
	/* The seccomp door does not learn the child's number: 0. */
	if (c->ret < 0 || (c->ret == 0 && !engine_subject.pid))
		return;
	engine.forks++;
	recorder_process(TRACE_FORKED, c->ret, NULL);
}

/* A call that makes, ends or renames descriptors succeeded. */
static NOINLINE void descriptor_exits(struct call *c)
{
	switch ((enum call_op)call_table[c->id].op) {
	case OP_ACCEPT:
		fd_accepted(c);
		break;
	case OP_LISTEN:
		(void)recorder_open();
		break;
	case OP_SOCKET:
	case OP_FORGET:
		fd_forget(c, (int)c->ret);
		break;
	case OP_FORGET_PAIR:
		pair_exits(c);
		break;
	case OP_SOCKETPAIR:
		fd_paired(c);
		break;
	case OP_POLL:
		poll_exits(c);
		break;
	case OP_SHUTDOWN:
		fd_shut(c);
		break;
	case OP_DUP:
		fd_duped(c, (int)c->arg[0], (int)c->ret);
		break;
	case OP_DUP2:
		fd_duped(c, (int)c->arg[0], (int)c->arg[1]);
		break;
	case OP_FCNTL:
		fcntl_exits(c);
		break;
	case OP_FDOPEN:
		engine_partial((int)c->arg[0], TRACE_REASON_FDOPEN);
		break;
	case OP_IO_URING:
		recorder_cover(0, TRACE_PARTIAL, TRACE_REASON_IO_URING);
		break;
	case OP_MLOCK:
		reserve_locked((int)c->arg[0]);
		control_unlock();
		break;
	case OP_PRIVILEGE:
		recorder_process(TRACE_SETUID, sys_1(SYS_geteuid, 0), NULL);
		break;
	default:
		break;
	}
}

static inline __attribute__((always_inline)) void other_exits(struct call *c, enum call_op op)
{
	switch (op) {
	case OP_SENDFILE:
		write_exits(c, true);
		break;
	case OP_SPLICE:
		splice_exits(c);
		break;
	case OP_CONNECT:
		fd_connected(c);
		break;
	case OP_FORK:
		fork_exits(c);
		break;
	case OP_PRIVILEGE:
		gate_privileges(true);
		if (c->ret >= 0)
			descriptor_exits(c);
		break;
	default:
		if (c->ret >= 0)
			descriptor_exits(c);
		break;
	}
}

static CORE_HOT NOINLINE void exits(struct call *c)
{
	enum call_op op = (enum call_op)call_table[c->id].op;

	if (op == OP_READ)
		read_exits(c);
	else if (op == OP_WRITE)
		write_exits(c, false);
	else
		other_exits(c, op);
}

static NOINLINE void exits_in_doubt(struct call *c)
{
	if (notice_fork())
		exits(c);
	else if (engine.active && (c->flags & FLAG_QUIET) && c->ret < 0)
		engine.quiet = false;
}

CORE_HOT void engine_exit(struct call *c)
{
	if (is_as_before())
		exits(c);
	else
		exits_in_doubt(c);
}

void engine_settle(struct call *c)
{
	if (engine.active && !engine.quiet)
		fault_exit(c, (enum call_op)call_table[c->id].op);
}
