/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/timeline: the calls of one attempt, in order, with what they carried.
 *
 *   when (after the first byte), call, direction, bytes, phase reached, beginning of the bytes
 *
 * A line that starts with '>' is evidence of a finding; the offending bytes stand below it.  Runs of
 * ordinary calls are folded into one line, so that a session of a week still fits a screen.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/trace/layout.h"
#include "tools/format/block.h"

enum {
	KEEP_FIRST = 12, /* ordinary calls shown at the beginning */
	KEEP_LAST = 6,	 /* and at the end */
	LINES_MAX = 80,	 /* lines of any kind; evidence is always shown */
	OFFENDING = 96,	 /* offending bytes shown at most */
};

struct timeline {
	const struct page *p;
	const struct report_case *rc;
	uint32_t from, to; /* events, half-open */
	uint32_t mark;	   /* next mark to look at */
	uint64_t t0;
	uint32_t lines;
	struct {
		uint32_t calls;
		uint64_t bytes[2];
	} folded;
};

/* The first evidence, of any finding, that points at the event. */
static const struct evidence *evidence_of(const struct report_case *rc, uint32_t event)
{
	uint32_t i, j;

	for (i = 0; i < rc->findings; i++)
		for (j = 0; j < rc->finding[i].evidences; j++)
			if (rc->finding[i].evidence[j].event == event)
				return &rc->finding[i].evidence[j];
	return NULL;
}

/* What the marks of one event say. */
struct said {
	const char *phase; /* the last one reached, NULL none */
	char frames[64];
	bool fault;
};

static void say_frame(struct said *s, const struct ws_frame *f, enum role role, enum dir dir)
{
	char one[48], size[24];
	size_t n = strlen(s->frames);
	bool should_mask = (role == ROLE_SERVER) == (dir == DIR_RX);

	snprintf(one, sizeof(one), "%s%s %s", n ? ", " : "", ws_opcode_name(ws_opcode(f)),
		 page_bytes(size, f->len));
	if (ws_masked(f) != should_mask)
		s->fault = true;
	if (n + strlen(one) < sizeof(s->frames))
		memcpy(s->frames + n, one, strlen(one) + 1);
	s->fault = s->fault || f->faults;
}

static void read_marks(struct timeline *t, uint32_t event, struct said *ret)
{
	const struct connection *c = t->rc->c;

	memset(ret, 0, sizeof(*ret));
	for (; t->mark < c->marks && c->mark[t->mark].event <= event; t->mark++) {
		const struct mark *m = &c->mark[t->mark];

		if (m->event != event)
			continue;
		if (m->e.what == PHASE_CHANGE)
			ret->phase = phase_name(m->e.phase);
		else if (m->e.what == PHASE_FRAME)
			say_frame(ret, &m->frame, c->role, m->e.dir);
	}
}

static void write_preview(const struct timeline *t, const struct event *e, unsigned room)
{
	char text[256];
	struct span bytes = {0};
	size_t used, cut = 0;

	if (e->segments)
		bytes = (struct span){e->segment[0].bytes, e->segment[0].len};
	/* The first line of a head says it all. */
	while (cut < bytes.n && (cut < 2 || bytes.p[cut - 2] != '\r' || bytes.p[cut - 1] != '\n'))
		cut++;
	if (room + 1 > sizeof(text))
		room = sizeof(text) - 1;
	format_escape(text, room > 3 ? room - 2 : 1, (struct span){bytes.p, cut}, &used);
	if (bytes.n)
		page_put(t->p, INK_DIM, "%s%s", text, used < bytes.n ? ".." : "");
}

static const char *close_text(const struct event *e)
{
	switch (e->close_how) {
	case CLOSE_UNSEEN:
		return "closed where we could not see it";
	case CLOSE_EXEC:
		return "closed by exec";
	case CLOSE_EXIT:
		return "closed because the process ended";
	default:
		return e->flags & EVENT_UNREAD ? "closed with unread input: the peer gets a reset"
					       : "closed";
	}
}

/* What the event did, for events that moved no bytes. */
static void write_deed(const struct timeline *t, const struct event *e, unsigned room)
{
	const char *name;

	switch (e->kind) {
	case EVENT_OPEN:
		fputs(t->rc->c->role == ROLE_SERVER ? "accepted" : "connected", t->p->out);
		break;
	case EVENT_WAIT:
		fputs("waits for bytes", t->p->out);
		break;
	case EVENT_EOF:
		fputs("the peer finished sending (FIN)", t->p->out);
		break;
	case EVENT_FAILED:
		name = strerrorname_np(e->err);
		fprintf(t->p->out, "failed: %s", name ? name : "unknown error");
		break;
	case EVENT_SHUTDOWN:
		fputs("finished sending (FIN)", t->p->out);
		break;
	case EVENT_CLOSE:
		fputs(close_text(e), t->p->out);
		break;
	case EVENT_DUP:
		fputs("a further descriptor", t->p->out);
		break;
	default:
		write_preview(t, e, room);
	}
}

static void write_text_event(const struct timeline *t, const struct event *e)
{
	fprintf(t->p->out, "%-10s %-12s", e->fd == 1 ? "stdout" : "stderr",
		e->flags & EVENT_OWNER ? "" : "(nearby)");
	write_preview(t, e, t->p->width - 40);
}

/* "goroutine 34 entered net/http.(*response).WriteHeader (401)" */
static void write_witness(const struct timeline *t, const struct event *e)
{
	const char *function = model_witness_function(e);

	if (e->off)
		fprintf(t->p->out, "goroutine %" PRIu64 " ", e->off);
	else
		fprintf(t->p->out, "thread %" PRIu32 " ", e->tid);
	if (model_witness_what(e) == WITNESS_RETURN) {
		fprintf(t->p->out, "returned from the handler%s",
			e->moved ? ", another one waits for bytes" : "");
		return;
	}
	fputs("entered ", t->p->out);
	page_put(t->p, INK_BOLD, "%s",
		 function ? function : "a function this version does not know");
	if (e->witness == TRACE_WITNESS_HTTP_WRITE_HEADER)
		fprintf(t->p->out, " (%" PRIu32 ")", e->moved);
	else if (e->witness == TRACE_WITNESS_HTTP_WRITE)
		fprintf(t->p->out, " (%" PRIu32 " bytes)", e->moved);
}

/* Bytes from where the phase began, as a rule would name the place; false where that is not known. */
static bool phase_offset(const struct exchange *x, const struct event *e, uint64_t *ret)
{
	const struct answer *a = x->final ? x->final : x->answers ? &x->answer[0] : NULL;
	uint64_t from = MODEL_NO_OFF;

	switch ((enum phase)e->fault->phase) {
	case PHASE_REQUEST_HEAD:
		from = x->req_off;
		break;
	case PHASE_REQUEST_BODY:
		from = x->req_head_end;
		break;
	case PHASE_RESPONSE_HEAD:
		from = a ? a->off : MODEL_NO_OFF;
		break;
	case PHASE_RESPONSE_BODY:
		from = a ? a->end : MODEL_NO_OFF;
		break;
	default:
		break;
	}
	*ret = e->off - from;
	return from != MODEL_NO_OFF && e->off > from;
}

/* What a value of the fault is. */
static void write_value(FILE *out, const struct event *e)
{
	int64_t value = e->fault->value;
	enum fault_id id = model_fault(e);
	bool error =
		e->fault->what == TRACE_FAULT_FAILED || id == FAULT_ERROR || id == FAULT_REFUSE;
	const char *name = NULL;

	if (error)
		name = value > 0 && value < 4096 ? strerrorname_np((int)value) : NULL;
	else if (id == FAULT_KILL || id == FAULT_SIGNAL)
		name = value > 0 && value < 65 ? sigabbrev_np((int)value) : NULL;
	if (name)
		fprintf(out, ": %s", name);
	else if (!error && value > 0)
		fprintf(out, id == FAULT_RETVAL ? ": %" PRId64 : ": %" PRId64 " bytes", value);
}

/* "delay of rule slow begins at response-head+17: 300 ms" */
static void write_fault(const struct timeline *t, const struct event *e)
{
	const struct trace_fault *f = e->fault;
	FILE *out = t->p->out;
	char wait[32];
	uint64_t off;

	page_put(t->p, INK_BOLD, "%s", "rule ");
	format_escaped(out, (struct span){(const uint8_t *)f->name, strnlen(f->name, 32)}, 32);
	fputs(f->what == TRACE_FAULT_ENDED ? ": end of " : ": ", out);
	format_escaped(
		out, (struct span){(const uint8_t *)f->fault_name, strnlen(f->fault_name, 16)}, 16);
	fprintf(out, " of what is %s", e->dir == DIR_TX ? "sent" : "read");
	if (f->phase < PHASE_COUNT)
		fprintf(out, ", %s", phase_name((enum phase)f->phase));
	if (t->rc->x && phase_offset(t->rc->x, e, &off))
		fprintf(out, "+%" PRIu64, off);
	if (f->what == TRACE_FAULT_SHADOWED)
		fputs(": nothing, another rule came first", out);
	else if (f->what != TRACE_FAULT_BEGAN && f->what != TRACE_FAULT_ENDED)
		write_value(out, e);
	else if (f->value > 0)
		fprintf(out, ": %s", page_delta(wait, f->value) + 1);
	if (f->what == TRACE_FAULT_FAILED)
		fputs(" (could not be done)", out);
}

/* The bytes an evidence points at. */
static void write_offending(const struct timeline *t, const struct evidence *ev)
{
	uint8_t bytes[OFFENDING];
	char text[OFFENDING * 4 + 1];
	size_t n = ev->len < sizeof(bytes) ? ev->len : sizeof(bytes), used;

	n = n ? model_bytes(t->rc->c, ev->dir, ev->off, 0, bytes, n) : 0;
	if (!n)
		return;
	format_escape(text, t->p->width > 40 ? t->p->width - 36 : 24, (struct span){bytes, n},
		      &used);
	fprintf(t->p->out, "%16s%s byte %" PRIu64 ": ", "", ev->dir == DIR_TX ? "sent" : "read",
		ev->off);
	page_put(t->p, INK_RED, "%s", text);
	fputs(used < ev->len ? "...\n" : "\n", t->p->out);
}

static void write_event(struct timeline *t, const struct event *e, const struct said *s,
			const struct evidence *ev)
{
	char delta[32], size[24];
	unsigned room = t->p->width > 62 ? t->p->width - 62 : 10;
	struct span call;

	fprintf(t->p->out, "  %s%13s  ", ev ? ">" : " ",
		page_delta(delta, (int64_t)(e->t_ns - t->t0)));
	t->lines++;
	if (e->kind == EVENT_TEXT) {
		write_text_event(t, e);
		fputc('\n', t->p->out);
		return;
	}
	if (e->kind == EVENT_WITNESS || e->kind == EVENT_FAULT) {
		if (e->kind == EVENT_FAULT)
			write_fault(t, e);
		else
			write_witness(t, e);
		fputc('\n', t->p->out);
		return;
	}
	/* What no record says was learned from the kernel, or follows from the end of the process. */
	call = e->record ? format_call_name(t->rc->img->header, e->call) : (struct span){NULL, 0};
	format_escaped(t->p->out, call, 24);
	fprintf(t->p->out, "%*s", call.n < 12 ? 12 - (int)call.n : 1, "");
	if (e->kind == EVENT_DATA)
		fprintf(t->p->out, "%s %9s", e->dir == DIR_TX ? "->" : "<-",
			page_bytes(size, e->moved));
	else
		fprintf(t->p->out, "%12s", "");
	if (s->phase || s->frames[0] || e->kind != EVENT_DATA || e->segments)
		fprintf(t->p->out, "  %-15s  ", s->phase ? s->phase : "");
	if (s->frames[0])
		page_put(t->p, s->fault ? INK_RED : INK_PLAIN, "%s", s->frames);
	else
		write_deed(t, e, room);
	fputc('\n', t->p->out);
	if (ev && e->kind == EVENT_DATA)
		write_offending(t, ev);
}

static void unfold(struct timeline *t)
{
	char calls[48], in[24], out[24];

	if (!t->folded.calls)
		return;
	page_put(t->p, INK_DIM, "  %14s  %s, %s in, %s out\n", "...",
		 page_count(calls, t->folded.calls, "call", "calls"),
		 page_bytes(in, t->folded.bytes[DIR_RX]), page_bytes(out, t->folded.bytes[DIR_TX]));
	memset(&t->folded, 0, sizeof(t->folded));
}

/* A read that was entered is worth a line only when nothing came of it soon. */
static bool is_idle_wait(const struct connection *c, uint32_t event, uint32_t to)
{
	const uint64_t soon = UINT64_C(100000000);
	const struct event *e = &c->event[event];
	uint32_t i;

	for (i = event + 1; i < to; i++)
		if (c->event[i].tid == e->tid && c->event[i].kind != EVENT_FAULT)
			return c->event[i].t_ns - e->t_ns < soon;
	return false;
}

static bool is_ordinary(const struct timeline *t, uint32_t i, const struct said *s)
{
	const struct event *e = &t->rc->c->event[i];

	if (e->kind == EVENT_WAIT)
		return is_idle_wait(t->rc->c, i, t->to);
	if (e->kind == EVENT_FAILED && e->err == EAGAIN)
		return true;
	if (e->kind != EVENT_DATA)
		return t->lines > LINES_MAX;
	if (s->phase || s->fault)
		return t->lines > LINES_MAX;
	return i - t->from >= KEEP_FIRST && t->to - i > KEEP_LAST;
}

static void fold(struct timeline *t, const struct event *e)
{
	if (e->kind == EVENT_WAIT || e->kind == EVENT_FAILED || e->kind == EVENT_FAULT)
		return;
	t->folded.calls++;
	if (e->kind == EVENT_DATA)
		t->folded.bytes[e->dir] += e->moved;
}

static bool timeline_init(struct timeline *t, const struct page *p, const struct report_case *rc)
{
	const struct connection *c = rc->c;
	const struct exchange *x = rc->x;
	uint32_t i, j;

	*t = (struct timeline){.p = p, .rc = rc};
	t->from = x && x->ev_start != MODEL_NONE ? x->ev_start : 0;
	t->to = x && x->ev_end < c->events ? x->ev_end : c->events;
	/* Evidence may lie behind the exchange (the connection's close) or before it. */
	for (i = 0; i < rc->findings; i++)
		for (j = 0; j < rc->finding[i].evidences; j++)
			if (rc->finding[i].evidence[j].event < c->events &&
			    rc->finding[i].evidence[j].event >= t->to)
				t->to = rc->finding[i].evidence[j].event + 1;
	if (x && x->ordinal == 0)
		t->from = 0;
	if (t->from >= t->to)
		return false;
	t->t0 = x && x->t_start ? x->t_start : c->event[t->from].t_ns;
	return true;
}

void timeline_write(const struct page *p, const struct report_case *rc)
{
	struct timeline t;
	uint32_t i;

	if (!timeline_init(&t, p, rc))
		return;
	for (i = t.from; i < t.to; i++) {
		const struct evidence *ev = evidence_of(rc, i);
		struct said s;

		read_marks(&t, i, &s);
		if (!ev && is_ordinary(&t, i, &s)) {
			fold(&t, &rc->c->event[i]);
			continue;
		}
		unfold(&t);
		write_event(&t, &rc->c->event[i], &s, ev);
	}
	unfold(&t);
}
