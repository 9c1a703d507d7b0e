/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue: see queue.h.
 *
 * Queues and pieces of memory are changed under the lock of gates; what is sent under it does not wait.
 *
 * Source: send(2), close(2), shutdown(2), tcp(7) (SIOCOUTQ), epoll(7) (closing one of several descriptors).
 */
#include "shim/engine/queue.h"
#include "shim/engine/clock.h"
#include "shim/engine/fault_piece.h"
#include "shim/engine/gate_internal.h"
#include "shim/engine/reserve.h"
#include "shim/engine/sys.h"

#include <errno.h>
#include <poll.h>

enum {
	QUEUES = 1024,
	CHUNKS = 16384,
	CHUNKS_OF_ONE = 256,
	CHUNK = 4096,
	AGAIN = 2000000, /* ns until a socket that was full is tried again */
	LAST_WAIT = 100, /* ms, for one that is full when the process ends */
	TRIES = 128,	 /* for the lock, AGAIN apart */
	SPLICE_TO = 2,	 /* argument of splice */
	APART = 512,	 /* descriptors of ours have numbers from here on, if they may */
};

struct chunk {
	uint64_t at;   /* when it leaves */
	uint32_t next; /* 1 + the next one */
	uint16_t from, len;
	uint8_t data[CHUNK - 16];
};
_Static_assert(sizeof(struct chunk) == CHUNK, "one page");

struct queue {
	uint32_t row, id;     /* of the connection; id 0: free */
	uint32_t first, last; /* 1 + chunk */
	uint32_t chunks;
	uint32_t turn; /* counts its uses: tasks of an earlier one come late */
	uint64_t bytes;
	struct control_stat *stat; /* of the rule that queued first */
	uint64_t cookie;
	uint64_t closes_at;
	int32_t fd;
	bool shuts, closed, due;
};

static struct reserve pool, of_rows;
static struct chunk *chunks;
static uint16_t *numbers; /* 1 + queue, by row of connections */
static struct queue queues[QUEUES];
static uint32_t fresh, free_one;

static void queue_pause(uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	(void)sys_4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&ts, 0);
}

/* The lock is given back in moments, but at the end of the process; never, where a signal handler
 * interrupted who has it. */
static __attribute__((noinline)) bool lock_queues(uint32_t me)
{
	for (unsigned i = 0; i < TRIES; i++) {
		if (gate_enter(me))
			return true;
		queue_pause(AGAIN);
	}
	return false;
}

/* ---- memory; the lock is held ---- */

static bool start(void)
{
	if (chunks)
		return true;
	if (!of_rows.base && !reserve_start(&of_rows, sizeof(*numbers) * TRACE_CONNECTIONS))
		return false;
	if (!reserve_start(&pool, sizeof(struct chunk) * CHUNKS))
		return false;
	numbers = (uint16_t *)of_rows.base;
	chunks = (struct chunk *)pool.base;
	return true;
}

static struct queue *find(const struct conn *conn)
{
	uint32_t row = conn_row(conn);
	struct queue *q;

	if (!chunks || (row + 1) * sizeof(*numbers) > of_rows.open || !numbers[row])
		return NULL;
	q = &queues[numbers[row] - 1];
	return q->id == conn->id && q->row == row ? q : NULL;
}

static struct queue *make(const struct conn *conn, int fd)
{
	uint32_t row = conn_row(conn);
	struct queue *q = find(conn);

	if (q || !start() || !reserve_open(&of_rows, (row + 1) * sizeof(*numbers)))
		return q;
	for (unsigned i = 0; i < QUEUES; i++) {
		q = &queues[i];
		if (q->id)
			continue;
		*q = (struct queue){.row = row, .id = conn->id, .fd = fd, .turn = q->turn + 1};
		q->cookie = conn_cookie(fd);
		if (!q->cookie) {
			q->id = 0;
			return NULL;
		}
		numbers[row] = (uint16_t)(i + 1);
		return q;
	}
	return NULL;
}

static uint32_t take_chunk(void)
{
	uint32_t i = free_one;

	if (i) {
		free_one = chunks[i - 1].next;
		return i;
	}
	if (fresh == CHUNKS || !reserve_open(&pool, (fresh + 1) * sizeof(struct chunk)))
		return 0;
	return ++fresh;
}

static void drop_first(struct queue *q)
{
	struct chunk *c = &chunks[q->first - 1];
	uint32_t i = q->first;

	q->first = c->next;
	if (!q->first)
		q->last = 0;
	q->chunks--;
	c->next = free_one;
	free_one = i;
}

static struct chunk *add_chunk(struct queue *q, uint64_t at)
{
	uint32_t i = q->chunks < CHUNKS_OF_ONE ? take_chunk() : 0;

	if (!i)
		return NULL;
	chunks[i - 1].at = at;
	chunks[i - 1].next = 0;
	chunks[i - 1].from = chunks[i - 1].len = 0;
	if (q->last)
		chunks[q->last - 1].next = i;
	else
		q->first = i;
	q->last = i;
	q->chunks++;
	return &chunks[i - 1];
}

/* ---- whose it is ---- */

/* A descriptor of the same socket apart from one, -1: there is none. */
static int other_descriptor(const struct queue *q, int fd)
{
	uint32_t end = __atomic_load_n(&engine_fd_limit, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < end; i++) {
		if ((int)i != fd && __atomic_load_n(&engine_fds[i], __ATOMIC_RELAXED) == q->row &&
		    conn_cookie((int)i) == q->cookie)
			return (int)i;
	}
	return -1;
}

/* Numbers are given again to others, also by calls that are not seen: ask before every use.  False: the
 * socket is out of reach. */
static bool reaches(struct queue *q)
{
	if (conn_cookie(q->fd) == q->cookie)
		return true;
	if (q->closed)
		return false;
	q->fd = other_descriptor(q, -1);
	return q->fd >= 0;
}

/* ---- out ---- */

static bool is_broken(int fd)
{
	struct pollfd p = {.fd = fd};

	/* An error that is only to be read (POLLERR) does not end it. */
	return sys_3(SYS_poll, (long)&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLNVAL));
}

/* So many bytes more, or less, are queued: what is counted as lost until it has left. */
static void count(struct queue *q, int64_t bytes)
{
	q->bytes += (uint64_t)bytes;
	if (q->stat)
		__atomic_fetch_add(&q->stat->lost, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* Those stay counted. */
static void lose(struct queue *q)
{
	while (q->first)
		drop_first(q);
	q->bytes = 0;
}

/* What has not left never will: what follows must not close the gap. */
static void cut_off(struct queue *q)
{
	if (q->first && reaches(q))
		(void)sys_2(SYS_shutdown, q->fd, SHUT_WR);
	lose(q);
}

/* Send what is due.  False: the socket is full. */
static bool send_due(struct queue *q, uint64_t now)
{
	while (q->first && chunks[q->first - 1].at <= now) {
		struct chunk *c = &chunks[q->first - 1];
		long n;

		if (!reaches(q) || is_broken(q->fd)) {
			cut_off(q);
			break;
		}
		n = sys_call(SYS_sendto, q->fd, (long)(c->data + c->from), c->len,
			     MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
		if (n == -EAGAIN)
			return false;
		if (n < 0) {
			cut_off(q);
			break;
		}
		c->from = (uint16_t)(c->from + n);
		c->len = (uint16_t)(c->len - n);
		count(q, -n);
		if (!c->len)
			drop_first(q);
	}
	return true;
}

/* What came behind the bytes. */
static void end_queue(struct queue *q)
{
	if (q->shuts && reaches(q))
		(void)sys_2(SYS_shutdown, q->fd, SHUT_WR);
	/* The application may have closed whatever it found. */
	if (q->closed && conn_cookie(q->fd) == q->cookie)
		(void)sys_close(q->fd);
	q->id = 0;
}

static void work(struct conn *conn, uint32_t id, uint64_t what);

/* Come back when there is something to do. The lock is held.  False: there is no room for another deadline. */
static bool plan(struct queue *q, uint64_t at)
{
	struct gate_due *d = q->due ? NULL : gate_due_add(at);

	if (!d)
		return q->due;
	d->task = work;
	d->what = (uint64_t)q->turn << 32 | (uint64_t)(q - queues);
	d->row = q->row;
	d->id = q->id;
	q->due = true;
	return true;
}

static void go_on(struct queue *q, uint64_t now)
{
	uint64_t at = 0;

	if (!send_due(q, now))
		at = now + AGAIN;
	else if (q->first)
		at = chunks[q->first - 1].at;
	else if (q->closed && q->closes_at > now)
		at = q->closes_at;
	if (at && plan(q, at))
		return;
	/* Nobody would come back: too early is better than never. */
	if (at && !send_due(q, UINT64_MAX))
		cut_off(q);
	end_queue(q);
}

/* Now or never; what a socket does not take is lost. */
static void send_last(struct queue *q)
{
	struct pollfd p = {.events = POLLOUT};

	while (!send_due(q, UINT64_MAX)) {
		p.fd = q->fd;
		if (sys_3(SYS_poll, (long)&p, 1, LAST_WAIT) <= 0)
			break;
	}
	cut_off(q);
	end_queue(q);
}

static void work(struct conn *conn, uint32_t id, uint64_t what)
{
	struct queue *q = &queues[(uint32_t)what % QUEUES];
	uint64_t now = clock_now();

	if (!lock_queues(clock_thread()))
		return;
	if (q->id == id && q->turn == what >> 32) {
		q->due = false;
		if (gate_ends())
			send_last(q);
		else
			go_on(q, now);
	}
	gate_leave();
}

/* ---- in ---- */

/* Copy the bytes of a write behind the others, as many as there is room for. */
static int64_t append(struct queue *q, const struct call *c, uint64_t total, uint64_t at)
{
	uint64_t done = 0;

	while (done < total) {
		struct chunk *to = q->last ? &chunks[q->last - 1] : NULL;
		uint64_t n = total - done;
		int64_t got;

		if (!to || to->at != at || to->from + to->len == (int)sizeof(to->data))
			to = add_chunk(q, at);
		if (!to)
			break;
		if (n > sizeof(to->data) - to->from - to->len)
			n = sizeof(to->data) - to->from - to->len;
		got = fault_piece_get(c, done, to->data + to->from + to->len, n);
		if (got <= 0)
			return done ? (int64_t)done : got;
		to->len = (uint16_t)(to->len + got);
		done += (uint64_t)got;
		count(q, got);
	}
	return (int64_t)done;
}

static bool can_keep(const struct call *c)
{
	const struct call_row *row = &call_table[c->id];

	return row->op == OP_WRITE && row->shape != SHAPE_MMSG && row->shape != SHAPE_NONE;
}

/* Returns bytes taken, 0 when there is no room, -1 when the call is none for the queue, or -errno. */
static __attribute__((noinline)) int64_t keep_bytes(struct call *c, struct conn *conn,
						    uint64_t until, struct control_stat *stat)
{
	int64_t total = can_keep(c) ? fault_piece_total(c) : -1, took = -1;
	struct queue *q;

	if (total <= 0)
		return -1;
	if (!lock_queues(clock_thread_at(c->place)))
		return find(conn) ? -EAGAIN : -1;
	q = is_broken((int)c->arg[0]) ? NULL : make(conn, (int)c->arg[0]);
	if (q && (q->shuts || q->closed)) {
		took = -EPIPE;
	} else if (q && !plan(q, until)) {
		q->id = q->first ? q->id : 0;
	} else if (q) {
		uint64_t last = q->last ? chunks[q->last - 1].at : 0;

		q->stat = q->stat ? q->stat : stat;
		took = append(q, c, (uint64_t)total, until > last ? until : last);
		q->id = q->first ? q->id : 0;
	}
	gate_leave();
	if (took > 0)
		gate_thread_want(until, true);
	return took;
}

/* Wait until something may have left.  False: answered. */
static bool wait_for_room(struct call *c, struct conn *conn, uint64_t until)
{
	if (gate_wait(c, conn, DIR_TX, until, UINT32_MAX) == GATE_ANSWERED)
		return false;
	if (clock_now() >= until)
		return true;
	/* There was no gate to be had. */
	if (!gate_blocks(c, (int)c->arg[call_table[c->id].op == OP_SPLICE ? SPLICE_TO : 0])) {
		c->ret = -EAGAIN;
		return false;
	}
	queue_pause(AGAIN);
	return true;
}

bool queue_write(struct call *c, struct conn *conn, uint64_t until, struct control_stat *stat)
{
	int64_t took;

	while ((took = keep_bytes(c, conn, until, stat)) == 0) {
		/* Full: until something left. */
		if (!wait_for_room(c, conn, clock_now() + AGAIN))
			return false;
	}
	if (took == -1)
		return true;
	c->ret = took;
	return false;
}

enum behind {
	BEHIND_NOTHING,
	BEHIND_BYTES,
	BEHIND_UNKNOWN, /* the lock was not to be had */
};

/* Does something queued come before what this call does?  What a broken socket has does not. */
static enum behind is_queued(struct conn *conn, const struct call *c, uint64_t *ret_last)
{
	enum behind behind = BEHIND_NOTHING;
	struct queue *q;

	/* Without a queue nobody has to wait for the lock: writes at once have no order. */
	if (!find(conn))
		return BEHIND_NOTHING;
	if (!lock_queues(clock_thread_at(c->place)))
		return BEHIND_UNKNOWN;
	q = find(conn);
	if (q && q->first && reaches(q) && !is_broken(q->fd)) {
		behind = BEHIND_BYTES;
		*ret_last = chunks[q->last - 1].at;
		if (call_table[c->id].op == OP_SHUTDOWN)
			q->shuts = true;
	}
	gate_leave();
	return behind;
}

/* What arrives is not in the queue's way. */
static bool shuts_behind(struct call *c, struct conn *conn)
{
	enum behind behind;
	uint64_t last;

	if ((int)c->arg[1] != SHUT_WR && (int)c->arg[1] != SHUT_RDWR)
		return true;
	behind = is_queued(conn, c, &last);
	if (behind == BEHIND_NOTHING)
		return true;
	c->ret = behind == BEHIND_UNKNOWN ? -EAGAIN : 0;
	if (!c->ret && (int)c->arg[1] == SHUT_RDWR)
		c->ret = sys_2(SYS_shutdown, (long)c->arg[0], SHUT_RD);
	return false;
}

bool queue_waits(struct call *c, struct conn *conn)
{
	enum behind behind;
	uint64_t last;

	while ((behind = is_queued(conn, c, &last)) != BEHIND_NOTHING) {
		if (behind == BEHIND_UNKNOWN) {
			c->ret = -EAGAIN;
			return false;
		}
		last = last > clock_now() ? last : clock_now();
		if (!wait_for_room(c, conn, last + AGAIN))
			return false;
	}
	return true;
}

bool queue_enters(struct call *c, struct conn *conn)
{
	enum behind behind;
	uint64_t last;

	if (call_table[c->id].op == OP_SHUTDOWN)
		return shuts_behind(c, conn);
	if (!can_keep(c))
		return queue_waits(c, conn);
	behind = is_queued(conn, c, &last);
	if (behind == BEHIND_UNKNOWN)
		c->ret = -EAGAIN;
	/* What the queue does not take goes on only when it is empty. */
	return behind == BEHIND_NOTHING ||
	       (behind == BEHIND_BYTES && queue_write(c, conn, last, NULL) && queue_waits(c, conn));
}

/* ---- closing ---- */

static int keep_descriptor(int fd)
{
	int kept = (int)sys_3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, APART);

	return kept >= 0 ? kept : (int)sys_3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
}

void queue_moves(struct conn *conn, int fd)
{
	struct queue *q;
	int other;

	if (!find(conn) || !lock_queues(clock_thread()))
		return;
	q = find(conn);
	if (q && !q->closed && q->fd == fd) {
		other = other_descriptor(q, fd);
		q->fd = other >= 0 ? other : fd;
	}
	gate_leave();
}

void queue_closes(struct conn *conn, int fd, uint64_t until)
{
	struct gate_row *row;
	struct queue *q;
	int kept;

	if ((!until && !find(conn)) || !lock_queues(clock_thread()))
		return;
	q = until ? make(conn, fd) : find(conn);
	if (q && q->closed)
		q = NULL;
	kept = q && (until || q->first) ? keep_descriptor(fd) : -1;
	if (kept >= 0) {
		/* Sets would go on to report a socket that is open, under a number that is not. */
		row = gate_row_of(conn);
		if (row) {
			gate_registrations_seek(conn, row, false);
			gate_registrations_end(conn, row);
		}
		q->fd = kept;
		q->cookie = conn_cookie(kept);
		q->closed = true;
		q->closes_at = until;
		until = q->first ? chunks[q->first - 1].at : until;
		if (!plan(q, until)) {
			if (!send_due(q, UINT64_MAX))
				cut_off(q);
			end_queue(q);
		}
	} else if (q) {
		if (!send_due(q, UINT64_MAX))
			cut_off(q);
		q->id = 0;
	}
	gate_leave();
	if (kept >= 0)
		gate_thread_want(until, true);
}

uint64_t queue_bytes(const struct conn *conn)
{
	const struct queue *q = find(conn);

	return q ? q->bytes : 0;
}

void queue_forked(void)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		if (!queues[i].id)
			continue;
		/* The descriptor is inherited, and would put the FIN off. */
		if (queues[i].closed && conn_cookie(queues[i].fd) == queues[i].cookie)
			(void)sys_close(queues[i].fd);
		lose(&queues[i]);
		queues[i].id = 0;
	}
}
