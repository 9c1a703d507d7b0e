/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/build: one trace in memory -> process, connections, events in time order.
 *
 * (1) Spans and segments point into the file: it must stay mapped as long as the image lives.
 * (2) Events of a connection are ordered by time, ties by the order of the records.
 * (3) What was not recorded is never made up: a connection with a hole is partial.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/exchange/build.h"

/* ---- addresses ---- */

static char *put_number(char *p, unsigned v)
{
	char digits[10];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = digits[--n];
	return p;
}

/* By hand: a trace has hundreds of thousands of them, and snprintf would be half of the work. */
static char *put_ipv4(char *p, const uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		p = put_number(p, ip[i]);
		*p++ = i < 3 ? '.' : ':';
	}
	return p;
}

/* One address has one text, whatever family the socket is of: the two ends of a connection may differ
 * in that. */
static void print_address(char ret[64], const struct trace_address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */
	char *p = ret;

	if (a->family == AF_INET) {
		*put_number(put_ipv4(p, a->ip), a->port) = '\0';
	} else if (a->family == AF_INET6 && memcmp(a->ip, mapped, sizeof(mapped)) == 0) {
		*put_number(put_ipv4(p, a->ip + sizeof(mapped)), a->port) = '\0';
	} else if (a->family == AF_INET6) {
		*p++ = '[';
		inet_ntop(AF_INET6, a->ip, p, INET6_ADDRSTRLEN);
		p += strlen(p);
		*p++ = ']';
		*p++ = ':';
		*put_number(p, a->port) = '\0';
	} else if (a->family == AF_UNIX) {
		memcpy(p, "unix:", 5);
		p += 5;
		for (size_t i = 0; i < sizeof(a->path) && a->path[i]; i++)
			*p++ = a->path[i] > ' ' && a->path[i] < 0x7f ? a->path[i] : '?';
		*p = '\0';
	} else {
		*p = '\0';
	}
}

/* ---- records to events ---- */

static void fill_data(struct slot *s, struct event *e, const struct trace_data *d)
{
	struct segment *first = s->segment;
	uint32_t at = 0, rel, n = 0;
	struct span bytes;

	e->kind = EVENT_DATA;
	e->t_ns = d->t_ns;
	e->off = d->off;
	e->stack = d->stack;
	e->moved = d->moved;
	e->tid = d->tid;
	e->call = d->call;
	e->dir = d->dir & 1;
	e->flags = d->rec.flags & TRACE_DATA_OVERLAP ? EVENT_OVERLAP : 0;
	e->flags |= d->rec.flags & TRACE_DATA_RAW ? EVENT_RAW : 0;
	while (trace_segment_next(d, &at, &rel, &bytes)) {
		/* A writer's slip must not make a reader run past the bytes that moved. */
		if (rel >= d->moved || s->segment == s->segment_end)
			break;
		if (bytes.n > d->moved - rel)
			bytes.n = d->moved - rel;
		if (n && rel < first[n - 1].rel + first[n - 1].len)
			break;
		first[n].rel = rel;
		first[n].len = (uint32_t)bytes.n;
		first[n].bytes = bytes.p;
		n++;
		s->segment++;
	}
	e->segments = n;
	e->segment = first;
}

static void fill_result(struct event *e, const struct trace_result *r)
{
	static const uint8_t kind[] = {EVENT_WAIT, EVENT_EOF, EVENT_FAILED};

	e->kind = kind[r->what % CORE_ARRAY_LEN(kind)];
	e->t_ns = r->t_ns;
	e->stack = r->stack;
	e->tid = r->tid;
	e->call = r->call;
	e->dir = r->dir & 1;
	e->err = r->err;
}

/* False when it says nothing about the connection (one of several descriptors, SHUT_RD). */
static bool fill_close(struct event *e, const struct trace_close *c)
{
	e->t_ns = c->t_ns;
	e->stack = c->stack;
	e->tid = c->tid;
	e->call = c->call;
	e->dir = DIR_TX;
	e->flags = c->unread ? EVENT_UNREAD : 0;
	switch (c->what) {
	case TRACE_CLOSED:
		e->kind = EVENT_CLOSE;
		e->close_how = CLOSE_CALL;
		return c->left == 0;
	case TRACE_SHUT:
		e->kind = EVENT_SHUTDOWN;
		return c->how == SHUT_WR || c->how == SHUT_RDWR;
	case TRACE_DUPED:
		e->kind = EVENT_DUP;
		return true;
	case TRACE_CLOSE_UNSEEN:
		e->kind = EVENT_CLOSE;
		e->close_how = CLOSE_UNSEEN;
		return true;
	case TRACE_CLOSE_EXEC:
		e->kind = EVENT_CLOSE;
		e->close_how = CLOSE_EXEC;
		return c->left == 0;
	default:
		return false;
	}
}

static void fill_text(struct slot *s, struct event *e, const struct trace_text *t)
{
	e->kind = EVENT_TEXT;
	e->t_ns = t->t_ns;
	e->tid = t->tid;
	e->dir = DIR_TX;
	e->fd = (uint8_t)t->fd;
	e->flags = t->conn ? EVENT_OWNER : 0;
	e->moved = t->len;
	if (s->segment == s->segment_end)
		return;
	e->segment = s->segment;
	*s->segment++ = (struct segment){.len = t->len, .bytes = (const uint8_t *)(t + 1)};
	e->segments = 1;
}

static void fill_witness(struct event *e, const struct trace_witness *w)
{
	e->kind = EVENT_WITNESS;
	e->t_ns = w->t_ns;
	e->stack = w->stack;
	e->tid = w->tid;
	e->off = w->goid;
	e->moved = w->arg[0] > UINT32_MAX ? UINT32_MAX : (uint32_t)w->arg[0];
	e->witness = w->witness > UINT8_MAX ? 0 : (uint8_t)w->witness;
	e->dir = model_witness_what(e) == WITNESS_BODY ? DIR_RX : DIR_TX;
}

static void fill_fault(struct event *e, const struct trace_fault *f)
{
	e->kind = EVENT_FAULT;
	e->t_ns = f->t_ns;
	e->off = f->off;
	e->stack = f->stack;
	e->tid = f->tid;
	e->call = f->call;
	e->dir = f->dir & 1;
	e->fault = f;
}

static bool fill_event(struct slot *s, struct event *e, const struct ref *ref, const uint8_t *file)
{
	const struct trace_record *r = (const void *)(file + ref->at);
	const struct trace_open *o = (const void *)r;

	e->record = ref->ordinal;
	switch (r->kind) {
	case TRACE_OPEN:
		e->kind = EVENT_OPEN;
		e->t_ns = o->t_ns;
		e->stack = o->stack;
		e->tid = o->tid;
		e->call = o->call;
		return true;
	case TRACE_DATA:
		fill_data(s, e, (const void *)r);
		return true;
	case TRACE_RESULT:
		fill_result(e, (const void *)r);
		return true;
	case TRACE_CLOSE:
		return fill_close(e, (const void *)r);
	case TRACE_TEXT:
		fill_text(s, e, (const void *)r);
		return true;
	case TRACE_WITNESS:
		fill_witness(e, (const void *)r);
		return true;
	case TRACE_FAULT:
		fill_fault(e, (const void *)r);
		return true;
	default:
		return false;
	}
}

/* ---- connections ---- */

static int event_order(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return x->record < y->record ? -1 : x->record > y->record;
}

/* Nearly all connections are in order already. */
static void sort_events(struct event *e, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		if (e[i - 1].t_ns > e[i].t_ns) {
			qsort(e, n, sizeof(*e), event_order);
			return;
		}
	}
}

/* What the live table knows and no record says: the peer's FIN. */
static void add_table_events(struct connection *c, const struct slot *s)
{
	const struct trace_connection *row = s->row;

	if (!c->events)
		c->event[c->events++] = (struct event){.kind = EVENT_OPEN, .t_ns = row->t_open};
	for (uint32_t i = 0; i < c->events; i++) {
		if (c->event[i].kind == EVENT_EOF || c->event[i].kind == EVENT_CLOSE)
			return;
	}
	if (s->flags & SLOT_EOF)
		c->event[c->events++] = (struct event){.kind = EVENT_EOF, .t_ns = row->t_last};
}

static bool has_close(const struct connection *c)
{
	for (uint32_t i = c->events; i-- > 0;) {
		if (c->event[i].kind == EVENT_CLOSE)
			return true;
	}
	return false;
}

static void note_firsts(struct connection *c)
{
	c->ev_eof = c->ev_close = c->ev_reset = c->ev_shutdown = MODEL_NONE;
	for (uint32_t i = 0; i < c->events; i++) {
		const struct event *e = &c->event[i];
		uint32_t *first = NULL;

		c->overlapped |= e->flags & EVENT_OVERLAP;
		c->texts |= e->kind == EVENT_TEXT;
		c->witnesses |= e->kind == EVENT_WITNESS;
		c->faults |= e->kind == EVENT_FAULT;
		if (e->kind == EVENT_DATA)
			*(e->dir == DIR_RX ? &c->rx_end : &c->tx_end) = e->off + e->moved;
		else if (e->kind == EVENT_EOF)
			first = &c->ev_eof;
		else if (e->kind == EVENT_CLOSE)
			first = &c->ev_close;
		else if (e->kind == EVENT_SHUTDOWN)
			first = &c->ev_shutdown;
		else if (e->kind == EVENT_FAILED && (e->err == ECONNRESET || e->err == EPIPE ||
						     e->err == ETIMEDOUT || e->err == ECONNABORTED))
			first = &c->ev_reset;
		if (first && *first == MODEL_NONE)
			*first = i;
	}
}

/* What was told without the lock lies, by time, right behind the bytes before it.  False: that cannot
 * be, for the others leave no room. */
static bool place_raw(struct connection *c)
{
	uint64_t end[2] = {0, 0};

	for (uint32_t i = 0; i < c->events; i++) {
		struct event *e = &c->event[i];

		if (e->kind != EVENT_DATA)
			continue;
		if ((e->flags & EVENT_RAW) && e->off < end[e->dir])
			e->off = end[e->dir];
		if (e->off < end[e->dir])
			return false;
		end[e->dir] = e->off + e->moved;
	}
	return true;
}

/* Overlapping calls without the lock left no trustworthy offset: count again, in time order. */
static void recount_offsets(struct connection *c)
{
	uint64_t off[2] = {0, 0};

	for (uint32_t i = 0; i < c->events; i++) {
		struct event *e = &c->event[i];

		if (e->kind != EVENT_DATA)
			continue;
		e->off = off[e->dir];
		off[e->dir] += e->moved;
	}
}

static void set_partial(struct connection *c, const char *reason)
{
	if (!c->partial)
		c->partial_reason = reason;
	c->partial = true;
}

static void apply_open(struct builder *b, struct connection *c, const struct slot *s)
{
	const struct trace_open *o;

	if (!(s->flags & SLOT_OPENED)) {
		set_partial(c, "its beginning was not recorded");
		if (s->row) {
			c->role = s->row->role ? ROLE_CLIENT : ROLE_SERVER;
			c->cookie = s->row->cookie;
			c->fd = s->row->fd;
			c->t_open = s->row->t_open;
		}
		return;
	}
	o = (const void *)(b->img->file + s->open_at);
	c->cookie = o->cookie;
	c->role = o->role ? ROLE_CLIENT : ROLE_SERVER;
	c->fd = o->fd;
	c->t_open = o->t_ns;
	c->shared = o->origin == TRACE_INHERITED;
	print_address(c->peer, &o->peer);
	print_address(c->local, &o->local);
}

static int time_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Was there a fork in [from, to]? */
static bool forked_within(const struct builder *b, uint64_t from, uint64_t to)
{
	size_t lo = 0, hi = b->forks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->fork[mid] < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->forks && b->fork[lo] <= to;
}

/* Events were lost, or the process forked, while this connection was open. */
static void apply_moments(struct builder *b, struct connection *c)
{
	uint64_t end = c->ev_close == MODEL_NONE ? UINT64_MAX : c->event[c->ev_close].t_ns;

	if (b->t_lost && b->t_lost >= c->t_open)
		set_partial(c, "events were lost while it was open");
	c->shared |= forked_within(b, c->t_open, end);
}

static void apply_signal(struct process *p, struct connection *c)
{
	for (uint32_t i = c->events; p->t_signal && i-- > 0;) {
		if (c->event[i].t_ns < p->t_signal)
			break;
		c->event[i].flags |= EVENT_AFTER_SIGNAL;
	}
}

static void finish_connection(struct builder *b, struct connection *c, const struct slot *s)
{
	struct process *p = &b->img->process;

	c->id = s->id;
	c->held = s->row != NULL;
	apply_open(b, c, s);
	sort_events(c->event, c->events);
	if (s->row)
		add_table_events(c, s);
	if (!p->alive && p->exited && !has_close(c)) {
		c->event[c->events++] = (struct event){
			.kind = EVENT_CLOSE,
			.t_ns = p->t_end,
			.dir = DIR_TX,
			.close_how = CLOSE_EXIT,
		};
	}
	if ((s->flags & SLOT_RAW) && !place_raw(c))
		recount_offsets(c);
	note_firsts(c);
	if (s->flags & SLOT_PARTIAL)
		set_partial(c, s->reason ? s->reason : "not everything was seen");
	apply_moments(b, c);
	apply_signal(p, c);
	follow_connection(b, c, s);
}

/* ---- in parallel ---- */

enum {
	THREADS = 4,
	SHARE = 200000, /* events that are worth a thread */
};

/* Connections do not know each other before they are paired, so each thread takes a run of them. */
struct share {
	struct builder b; /* a copy, with an arena of its own */
	size_t from, to;
	pthread_t thread;
	bool started;
};

static void fill_run(struct share *s, const struct ref_run *run)
{
	struct image *img = s->b.img;

	for (size_t i = 0; i < run->n; i++) {
		const struct ref *ref = &run->ref[i];
		struct connection *c;

		if (ref->slot < s->from || ref->slot >= s->to)
			continue;
		c = &img->process.connection[ref->slot];
		if (fill_event(&s->b.slot[ref->slot], &c->event[c->events], ref, img->file))
			c->events++;
		else
			c->event[c->events] = (struct event){0};
	}
}

static void *fill_share(void *arg)
{
	struct share *s = arg;

	for (const struct ref_run *run = s->b.run; run; run = run->next)
		fill_run(s, run);
	return NULL;
}

static void *finish_share(void *arg)
{
	struct share *s = arg;

	for (size_t i = s->from; i < s->to; i++)
		finish_connection(&s->b, &s->b.img->process.connection[i], &s->b.slot[i]);
	follow_done();
	return NULL;
}

static unsigned count_shares(const struct builder *b)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = b->refs / SHARE;

	n = n < THREADS ? n : THREADS;
	n = cpus > 0 && n > (size_t)cpus ? (size_t)cpus : n;
	return n ? (unsigned)n : 1;
}

/* Each share in a thread; the first, and those no thread could be had for, in this one. */
static void do_shares(struct share *share, unsigned n, void *(*work)(void *))
{
	for (unsigned k = 1; k < n; k++)
		share[k].started = pthread_create(&share[k].thread, NULL, work, &share[k]) == 0;
	for (unsigned k = 0; k < n; k++) {
		if (!share[k].started)
			work(&share[k]);
	}
	for (unsigned k = 1; k < n; k++) {
		if (share[k].started)
			pthread_join(share[k].thread, NULL);
	}
}

static void finish_connections(struct builder *b, uint64_t events)
{
	struct share share[THREADS];
	unsigned n = count_shares(b);
	size_t at = 0;

	for (unsigned k = 0; k < n; k++) {
		struct share *s = &share[k];

		*s = (struct share){.b = *b, .from = at};
		while (at < b->slots && (k + 1 == n || b->slot[at].first < events / n * (k + 1)))
			at++;
		s->to = at;
		s->b.arena = k ? arena_new() : b->arena;
	}
	do_shares(share, n, fill_share);
	/* The refs have done their work: what they took is there for marks and exchanges. */
	arena_free(b->scratch);
	b->scratch = NULL;
	do_shares(share, n, finish_share);
	for (unsigned k = 1; k < n; k++)
		arena_join(b->arena, share[k].b.arena);
}

static void decide_outcomes(const struct builder *b, struct process *p)
{
	for (uint32_t i = 0; i < p->connections; i++) {
		for (uint32_t j = 0; j < p->connection[i].exchanges; j++) {
			struct exchange *x = &p->connection[i].exchange[j];

			x->outcome = outcome_decide(p, x, b->answer_limit_ns);
		}
	}
}

static void build_connections(struct builder *b)
{
	struct segment *segment = arena_alloc(b->arena, b->segments * sizeof(*segment));
	struct process *p = &b->img->process;
	struct event *event;
	uint64_t total = 0;

	for (size_t i = 0; i < b->slots; i++) {
		b->slot[i].first = total;
		total += b->slot[i].events + 2; /* room for an end of file and a close */
	}
	event = arena_alloc(b->arena, total * sizeof(*event));
	p->connections = (uint32_t)b->slots;
	p->connection = arena_alloc(b->arena, b->slots * sizeof(*p->connection));
	/* What belongs to a connection lies together: it is read together. */
	for (size_t i = 0; i < b->slots; i++) {
		p->connection[i].event = event + b->slot[i].first;
		b->slot[i].segment = segment;
		b->slot[i].segment_end = segment += b->slot[i].segments;
	}
	finish_connections(b, total);
	pair_relays(p);
	decide_outcomes(b, p);
}

/* ---- the image ---- */

static bool wrote(const struct process *p)
{
	for (uint32_t i = 0; i < p->connections; i++) {
		if (p->connection[i].tx_end)
			return true;
	}
	return false;
}

/* Where nobody said how it ended, the trace itself has to. */
static void settle_end(struct builder *b)
{
	const struct trace_header *h = b->img->header;
	struct process *p = &b->img->process;

	p->pid = h->pid;
	p->t_begin = h->t_load;
	p->closes_unseen = h->coverage_reasons & (TRACE_REASON_IO_URING | TRACE_REASON_UNSEEN |
						  TRACE_REASON_LOST | TRACE_REASON_DISK);
	if (p->alive)
		return;
	if (h->ended) {
		p->exited = true;
		if (!p->t_end || h->t_end < p->t_end)
			p->t_end = h->t_end;
		if (!p->status_known) {
			p->status_known = true;
			p->exit_status = (h->exit_code & 0xff) << 8;
		}
	} else if (b->t_exec && b->t_exec == b->t_last) {
		b->img->superseded = true;
		p->t_end = b->t_exec;
	}
	if (!p->t_end || p->t_end < b->t_last)
		p->t_end = b->t_last ? b->t_last : h->t_load;
}

static void find_process_findings(struct image *img)
{
	const struct trace_header *h = img->header;
	const struct finding_info *info = finding_info(FINDING_OBSERVER_BLIND);
	struct finding *f = &img->finding[0];
	uint64_t reasons;
	enum trace_coverage_state state = trace_coverage_of(h, &reasons);
	size_t n;

	if (state == TRACE_FULL)
		return;
	img->findings = 1;
	f->id = FINDING_OBSERVER_BLIND;
	f->severity = info->severity;
	f->primary = true;
	f->sub = state == TRACE_BLIND ? "blind" : "partial";
	f->blame_event = MODEL_NONE;
	f->blame_reason = "about the observation, not about the server";
	n = (size_t)snprintf(f->message, sizeof(f->message), "coverage is %s:", f->sub);
	for (uint64_t bit = 1; bit && n < sizeof(f->message); bit <<= 1) {
		if (reasons & bit)
			n += (size_t)snprintf(f->message + n, sizeof(f->message) - n, " %s;",
					      trace_reason_text(bit));
	}
	if (n < sizeof(f->message) && f->message[n - 1] == ';')
		f->message[n - 1] = '\0';
	snprintf(f->fix, sizeof(f->fix), "%s", info->fix);
}

static void builder_done(struct builder *b)
{
	free(b->slot);
	free(b->bucket);
	free(b->fork);
	free(b->stack);
}

bool image_build(struct image *img, const struct finding_options *o, char **ret_error)
{
	struct builder b = {.img = img, .answer_limit_ns = o->never_answered_ns};
	enum trace_error e = trace_check(img->file, img->len);

	if (e != TRACE_OK) {
		if (asprintf(ret_error, "%s: %s", img->path, trace_error_text(e)) < 0)
			*ret_error = NULL;
		return false;
	}
	img->header = (const void *)img->file;
	img->arena = b.arena = arena_new();
	b.scratch = arena_new();
	scan_records(&b);
	settle_end(&b);
	if (b.forks)
		qsort(b.fork, b.forks, sizeof(*b.fork), time_order);
	build_connections(&b);
	img->process.answers_unseen =
		(img->header->coverage_reasons & TRACE_REASON_SITES) && !wrote(&img->process);
	img->stacks = b.stacks;
	img->stack = arena_copy(img->arena, b.stack, b.stacks * sizeof(*b.stack));
	find_process_findings(img);
	builder_done(&b);
	return true;
}

void image_done(struct image *img)
{
	arena_free(img->arena);
	img->arena = NULL;
	img->process = (struct process){0};
}

const struct trace_stack *image_stack(const struct image *img, uint64_t id)
{
	const struct stack_ref *stack = img->stack;
	size_t lo = 0, hi = img->stacks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (stack[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == img->stacks || stack[lo].id != id)
		return NULL;
	return (const void *)(img->file + stack[lo].at);
}
