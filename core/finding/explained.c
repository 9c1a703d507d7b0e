/* SPDX-License-Identifier: BSD-2-Clause
 *
 * finding/explained: findings that are the doing of a fault which a rule put there, and not the server's.
 *
 * (1) Only what a correct program cannot help is an excuse (enum fault_effect), and only for findings whose
 *     row says that this effect explains them.
 * (2) The fault acted on the same connection, or on the other leg of a relay, before the last thing the
 *     finding points at, and not on behalf of an earlier exchange.  What was lost or ended stays so.
 * (3) A wait is an excuse for what it lasts: it must fill at least half of the time the finding is about.
 */
#include "core/finding/detect.h"
#include "core/trace/layout.h"

static bool is_answering(const struct connection *c, unsigned dir)
{
	return (c->role == ROLE_SERVER) == (dir == DIR_TX);
}

static bool loses(const struct event *e)
{
	enum fault_id id = model_fault(e);

	return id == FAULT_DROP || id == FAULT_LIMIT;
}

/* What a fault does, in a direction. */
static uint32_t effect_of(enum fault_id id, bool answering)
{
	uint32_t bytes = answering ? EFFECT_ANSWER : EFFECT_ASK;

	switch (id) {
	case FAULT_DELAY:
	case FAULT_RATE:
	case FAULT_LOSS:
	case FAULT_HOLD:
	case FAULT_SLOW_CLOSE:
	case FAULT_PAUSE:
		return EFFECT_TIME;
	case FAULT_CORRUPT:
	case FAULT_INSERT:
	case FAULT_FRAME:
		return bytes;
	case FAULT_DROP:
	case FAULT_LIMIT:
		return bytes | EFFECT_END;
	case FAULT_CLOSE:
	case FAULT_HALF_CLOSE:
	case FAULT_RESET:
	case FAULT_KILL:
		return EFFECT_END;
	case FAULT_SIGNAL:
		return EFFECT_END | EFFECT_CALL;
	case FAULT_ERROR:
	case FAULT_REFUSE:
		return EFFECT_CALL;
	case FAULT_RETVAL:
		return EFFECT_CALL | bytes;
	default: /* short, slice, eagain, eintr, wake: nothing that a program may stumble over */
		return EFFECT_NOTHING;
	}
}

/* The time a finding is about. */
struct extent {
	uint64_t from, to;
};

/* The first end of the connection that was seen, or of what was seen at all. */
static uint64_t end_of(const struct detect *d)
{
	uint64_t end = d->t_peer < d->t_own ? d->t_peer : d->t_own;

	return end < d->p->t_end ? end : d->p->t_end;
}

/* From the first to the last thing it points at.  What never came is missed until the end; what points at
 * one moment only had the time since the request. */
static struct extent extent_of(const struct detect *d, const struct finding *f)
{
	uint64_t start = d->x && d->x->t_start ? d->x->t_start : d->c->t_open;
	struct extent e = {.from = UINT64_MAX};

	for (uint32_t i = 0; i < f->evidences; i++) {
		uint64_t t;

		if (f->evidence[i].event >= d->c->events)
			continue;
		t = d->c->event[f->evidence[i].event].t_ns;
		e.from = t < e.from ? t : e.from;
		e.to = t > e.to ? t : e.to;
	}
	if (e.from == UINT64_MAX)
		e.from = e.to = start;
	if (finding_info(f->id)->explained & EFFECT_ABSENT)
		e.to = e.to > end_of(d) ? e.to : end_of(d);
	else if (e.from == e.to && start < e.from)
		e.from = start;
	return e;
}

/* When a wait began and ended; event i is where it began or, if that is not told, where it ended. */
static void wait_of(const struct connection *c, uint32_t i, uint64_t *from, uint64_t *to)
{
	const struct trace_fault *f = c->event[i].fault;

	*from = *to = f->t_ns;
	if (f->what == TRACE_FAULT_ENDED) {
		*from -= f->value > 0 && (uint64_t)f->value < *from ? (uint64_t)f->value : 0;
		return;
	}
	if (f->what == TRACE_FAULT_ACTED) {
		*to += f->value > 0 ? (uint64_t)f->value : 0;
		return;
	}
	*to = UINT64_MAX; /* unless it is told */
	while (++i < c->events) {
		const struct trace_fault *g = c->event[i].fault;

		if (c->event[i].kind == EVENT_FAULT && g->what == TRACE_FAULT_ENDED &&
		    g->rule == f->rule && g->unit == f->unit && g->dir == f->dir) {
			*to = g->t_ns;
			return;
		}
	}
}

/* Does the wait fill half of the time the finding is about? */
static bool fills(const struct connection *c, uint32_t i, const struct extent *e)
{
	uint64_t from, to;

	wait_of(c, i, &from, &to);
	from = from > e->from ? from : e->from;
	to = to < e->to ? to : e->to;
	return to >= from && (to - from) >= (e->to - e->from) / 2;
}

/* Did it act on behalf of this exchange?  What the asking side sent tells by its place in the stream. */
static bool is_of(const struct exchange *x, const struct connection *c, const struct event *e)
{
	if (!x || x->conn != c || !x->ordinal)
		return true;
	if (is_answering(c, e->dir) || x->req_off == MODEL_NO_OFF)
		return !x->t_start || e->t_ns >= x->t_start;
	return e->off >= x->req_off;
}

static bool explains(const struct detect *d, const struct finding *f, const struct extent *at,
		     const struct connection *c, uint32_t i)
{
	const struct event *e = &c->event[i];
	uint32_t effect =
		effect_of(model_fault(e), is_answering(c, e->dir)) & finding_info(f->id)->explained;

	if (!effect || e->fault->what == TRACE_FAULT_SHADOWED ||
	    e->fault->what == TRACE_FAULT_FAILED)
		return false;
	if (effect == EFFECT_TIME) /* no fault has another one beside it */
		return is_of(d->x, c, e) && fills(c, i, at);
	/* What was ended or lost stays so: that need not have been in this exchange. */
	return e->t_ns <= at->to && ((effect & EFFECT_END) || loses(e) || is_of(d->x, c, e));
}

static const struct event *find_cause(const struct detect *d, const struct finding *f,
				      const struct connection *c)
{
	struct extent at = extent_of(d, f);

	for (uint32_t i = 0; c && c->faults && i < c->events; i++) {
		if (c->event[i].kind == EVENT_FAULT && explains(d, f, &at, c, i))
			return &c->event[i];
	}
	return NULL;
}

static void copy_name(char ret[FAULT_NAME], const char *name)
{
	size_t n = 0;

	for (; n < FAULT_NAME - 1 && name[n]; n++)
		ret[n] = name[n] > ' ' && name[n] < 0x7f ? name[n] : '?';
	ret[n] = '\0';
}

static void attribute(struct finding *f, const struct event *cause)
{
	char was[FINDING_TEXT];

	copy_name(f->injected_by, cause->fault->name);
	memcpy(was, f->message, sizeof(was));
	f->message[0] = f->fix[0] = '\0';
	say(f->message, sizeof(f->message), "the rule '%s' (%s) explains this: %s", f->injected_by,
	    fault_name(model_fault(cause)), was[0] ? was : finding_info(f->id)->title);
	say(f->fix, sizeof(f->fix), "nothing in the server; see what it does without the rule '%s'",
	    f->injected_by);
	f->severity = SEVERITY_INFO;
	f->primary = false;
	finding_blame_nobody(f, "a fault that a rule put there, on purpose");
}

void detect_explain(struct detect *d)
{
	const struct connection *relay = d->c->relay;
	uint32_t genuine = 0;

	if (!d->c->faults && !(relay && relay->faults))
		return;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct event *cause = find_cause(d, &d->ret[i], d->c);

		if (!cause)
			cause = find_cause(d, &d->ret[i], relay);
		if (cause) {
			attribute(&d->ret[i], cause);
			continue;
		}
		for (uint32_t k = i; k > genuine; k--) { /* to its place before those explained */
			struct finding one = d->ret[k];

			d->ret[k] = d->ret[k - 1];
			d->ret[k - 1] = one;
		}
		genuine++;
	}
}
