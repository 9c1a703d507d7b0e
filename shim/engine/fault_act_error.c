/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_act_error: calls that fail, although they need not.
 *
 * (1) What a call may fail with is listed by what it does; calls that are not listed may fail with anything
 *     that is named.  EAGAIN is for descriptors that do not block.
 * (2) An error is not an end: the connection lives on behind it.  reset is the fault that breaks it.
 * (3) Linux closes the descriptor whatever close returns: a close that fails is made.
 *
 * Source: errors of read(2), recv(2), write(2), send(2), accept(2), connect(2), close(2), socket(7), tcp(7);
 * close(2) on EINTR; connect(2) on EINTR; tgkill(2).
 */
#include "shim/engine/fault_act_internal.h"
#include "shim/engine/fd.h"
#include "shim/engine/gate.h"
#include "shim/engine/gather.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <signal.h>

/* ---- what is legal ---- */

static const uint8_t read_errors[] = {EINTR,	   EAGAIN,   ECONNRESET,   ETIMEDOUT,
				      ENOMEM,	   ENOBUFS,  EIO,	   EHOSTUNREACH,
				      ENETUNREACH, ENETDOWN, ECONNREFUSED, 0};
static const uint8_t write_errors[] = {
	EINTR, EAGAIN,	     ECONNRESET,  EPIPE,    ETIMEDOUT, ENOMEM, ENOBUFS,
	EIO,   EHOSTUNREACH, ENETUNREACH, ENETDOWN, EACCES,    EPERM,  0};
static const uint8_t accept_errors[] = {
	EINTR,	EAGAIN,	      ECONNABORTED, EMFILE,	 ENFILE,      ENOBUFS,
	ENOMEM, EPERM,	      EPROTO,	    ENETDOWN,	 ENOPROTOOPT, EHOSTDOWN,
	ENONET, EHOSTUNREACH, EOPNOTSUPP,   ENETUNREACH, ETIMEDOUT,   0};
static const uint8_t connect_errors[] = {
	EINTR,	     EAGAIN,	   EACCES,    EPERM,   EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED,
	ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, ENOBUFS, ENOMEM,	   ECONNRESET,	  0};
static const uint8_t close_errors[] = {EINTR, EIO, 0};
static const uint8_t wait_errors[] = {EINTR, ENOMEM, 0};

static const uint8_t *errors_of(enum call_op op)
{
	switch (op) {
	case OP_READ:
		return read_errors;
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SPLICE:
		return write_errors;
	case OP_ACCEPT:
		return accept_errors;
	case OP_CONNECT:
		return connect_errors;
	case OP_CLOSE:
		return close_errors;
	case OP_WAIT:
		return wait_errors;
	default:
		return NULL;
	}
}

static __attribute__((noinline)) bool is_legal(const struct call *c, int err)
{
	const uint8_t *legal = errors_of((enum call_op)call_table[c->id].op);

	if (err == EAGAIN && legal && fault_piece_blocks(c))
		return false;
	if (!legal)
		return true;
	while (*legal && *legal != err)
		legal++;
	return *legal != 0;
}

/* A call that does nothing when it returns that: a wait that found nothing, the end of a stream. */
static bool is_legal_value(const struct call *c, int64_t value)
{
	enum call_op op = (enum call_op)call_table[c->id].op;

	return value == 0 && (op == OP_WAIT || op == OP_READ);
}

/* ---- the call itself, before it is said to have failed ---- */

/* A connection goes on being made behind the back of a call that was interrupted. */
static __attribute__((noinline)) void connect_first(const struct call *c)
{
	long flags = sys_2(SYS_fcntl, (long)c->arg[0], F_GETFL);

	(void)sys_3(SYS_fcntl, (long)c->arg[0], F_SETFL, flags | O_NONBLOCK);
	(void)sys_3(SYS_connect, (long)c->arg[0], (long)c->arg[1], (long)c->arg[2]);
	(void)sys_3(SYS_fcntl, (long)c->arg[0], F_SETFL, flags);
}

/* False: this call cannot be made from here. */
static __attribute__((noinline)) bool make_first(struct call *c)
{
	long fd;

	switch ((enum call_op)call_table[c->id].op) {
	case OP_READ:
	case OP_WRITE:
	case OP_SENDFILE:
	case OP_SPLICE:
		(void)fault_piece_move(c, 0, (uint64_t)fault_piece_total(c), 0);
		return true;
	case OP_ACCEPT:
		fd = sys_4(SYS_accept4, (long)c->arg[0], 0, 0, SOCK_CLOEXEC);
		if (fd >= 0)
			(void)sys_close((int)fd);
		return true;
	case OP_CONNECT:
		(void)sys_3(SYS_connect, (long)c->arg[0], (long)c->arg[1], (long)c->arg[2]);
		return true;
	case OP_SHUTDOWN:
		(void)sys_2(SYS_shutdown, (long)c->arg[0], (long)c->arg[1]);
		return true;
	case OP_CLOSE:
		return true; /* it is, in any case: fault_act_closed */
	default:
		return false;
	}
}

/* ---- answers ---- */

void fault_answer_error(struct call *c, int err)
{
	c->ret = -err;
	if (err == EPIPE && !((gather_flags(c) | fault_piece_flags(c, false)) & MSG_NOSIGNAL))
		(void)sys_3(SYS_tgkill, engine.pid, sys_gettid(), SIGPIPE);
	/* The engine would take these for the kernel's word that there is no connection. */
	if (err == EBADF || err == ENOTSOCK)
		c->conn = 0;
}

/* Answers c: false. */
static __attribute__((noinline)) bool fail(struct call *c, struct conn *conn, enum dir dir, int err)
{
	if (call_table[c->id].op == OP_CONNECT && err == EINTR)
		connect_first(c);
	fault_answer_error(c, err);
	if (err == EAGAIN && conn)
		gate_rearm(conn, dir);
	return false;
}

static __attribute__((noinline)) bool return_value(struct call *c, struct conn *conn,
						   const struct fault_hit *h)
{
	int64_t value = (int64_t)h->act->param[FAULT_RETVAL_value];
	bool legal =
		value < 0 && value > -4096 ? is_legal(c, (int)-value) : is_legal_value(c, value);

	if (!legal && !h->rule->illegal) {
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, EINVAL);
		return true;
	}
	fault_tell(c, conn, h, TRACE_FAULT_ACTED | (legal ? 0 : FAULT_TELL_ILLEGAL), value);
	if (value < 0 && value > -4096) {
		return fail(c, conn, (enum dir)h->dir, (int)-value);
	}
	c->ret = value;
	if (value > 0)
		c->conn = 0; /* no bytes moved that anybody could look at */
	return false;
}

static int error_of(const struct fault_hit *h)
{
	enum fault_id id = (enum fault_id)h->act->fault;

	return id == FAULT_EAGAIN  ? EAGAIN
	       : id == FAULT_EINTR ? EINTR
				   : (int)h->act->param[FAULT_ERROR_errno];
}

/* May c fail so?  Then it is made, where it is to be made first. */
static __attribute__((noinline)) bool can_fail(struct call *c, const struct fault_hit *h)
{
	if (!h->rule->illegal && !is_legal(c, error_of(h)))
		return false;
	return h->act->fault != FAULT_ERROR || !h->act->param[FAULT_ERROR_after] || make_first(c);
}

/* What is to be told of it; the calls behind c that fail, too, are kept in mind. */
static __attribute__((noinline)) unsigned failing(const struct call *c, struct conn *conn,
						  const struct fault_hit *h)
{
	struct fault_conn *fc = conn && h->act->fault != FAULT_ERROR ? fault_conn_of(conn) : NULL;

	if (fc) {
		fault_fail_next(fc, h);
		fc->again[h->dir]--;
	}
	return TRACE_FAULT_ACTED | (is_legal(c, error_of(h)) ? 0 : FAULT_TELL_ILLEGAL);
}

bool fault_fail(struct call *c, struct conn *conn, const struct fault_hit *h)
{
	if (h->act->fault == FAULT_RETVAL)
		return return_value(c, conn, h);
	if (!can_fail(c, h)) {
		fault_tell(c, conn, h, TRACE_FAULT_FAILED, error_of(h));
		return true;
	}
	fault_tell(c, conn, h, failing(c, conn, h), error_of(h));
	return fail(c, conn, (enum dir)h->dir, error_of(h));
}

void fault_fail_next(struct fault_conn *fc, const struct fault_hit *h)
{
	enum fault_id id = (enum fault_id)h->act->fault;
	uint64_t first = h->act->param[0];

	fc->again_error[h->dir] = (uint8_t)(id == FAULT_EAGAIN	? EAGAIN
					    : id == FAULT_EINTR ? EINTR
								: first);
	fc->again[h->dir] = id == FAULT_ERROR ? 1 : (uint32_t)first;
	fc->on[h->dir] = *h;
}

void fault_act_closed(struct call *c)
{
	fd_close(c);
	(void)sys_close((int)c->arg[0]);
}

bool fault_fail_again(struct call *c, struct conn *conn, struct fault_conn *fc, enum dir dir)
{
	int err = fc->again_error[dir];
	bool legal = is_legal(c, err);

	fc->again[dir]--;
	if (!legal && !fc->on[dir].rule->illegal)
		return true;
	fault_tell(c, conn, &fc->on[dir],
		   TRACE_FAULT_ACTED | FAULT_TELL_SAME | (legal ? 0 : FAULT_TELL_ILLEGAL), err);
	return fail(c, conn, dir, err);
}
