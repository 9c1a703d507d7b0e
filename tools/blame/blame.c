/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blame: the innermost frame that is the user's, and not a road everybody takes.
 *
 *     send_all        helper: the same call is on the stack of a healthy 101
 *     auth            <- left over: the culprit
 *     next            the same call is on the stack of a healthy 101
 *     serve           the same call ...
 *     accept_loop     the same call ...
 *
 * (1) Frames are compared by place of call, not by function alone: a middleware that passes a healthy
 *     request on is on the healthy stack too, but there it calls next() and here it calls send_all().
 * (2) From outside, frames shared with normal work are dropped.  From inside, helpers are dropped, but
 *     never the last frame left: a helper alone proves nothing, and then nobody is blamed.
 * (3) Without a healthy switch to compare with, the functions that accept and read requests are the
 *     known road, and the verdict says that it is less certain.
 */
#include "tools/blame/blame.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/blame/known.h"
#include "tools/blame/roles.h"
#include "tools/blame/symbols.h"

enum {
	SIBLINGS = 16,	    /* other images looked at for a healthy switch */
	STACKS_SEEN = 1000, /* stacks unwound only to learn who calls whom */
};

struct cached {
	uint64_t id;
	bool found;
	struct stack stack;
};

struct blamer {
	const struct image *img;
	const struct trace_set *set;
	bool opened; /* the two below: opening files waits for the first stack */
	struct modules modules;
	struct unwinder *unwinder;
	void *cache; /* tsearch tree of struct cached by id */
	bool learned;
	struct known known;
	struct blamer *sibling[SIBLINGS];
	unsigned siblings;
	struct text {
		struct text *next;
		char text[];
	} * texts;
};

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct cached *)a)->id, y = ((const struct cached *)b)->id;

	return x < y ? -1 : x > y;
}

static void free_cached(void *p)
{
	struct cached *c = p;

	symbols_free(&c->stack);
	free(c);
}

struct blamer *blamer_new(const struct image *img, const struct trace_set *set)
{
	struct blamer *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->img = img;
	b->set = set;
	return b;
}

void blamer_free(struct blamer *b)
{
	unsigned i;

	if (!b)
		return;
	for (i = 0; i < b->siblings; i++)
		blamer_free(b->sibling[i]);
	while (b->texts) {
		struct text *next = b->texts->next;

		free(b->texts);
		b->texts = next;
	}
	known_done(&b->known);
	tdestroy(b->cache, free_cached);
	unwinder_free(b->unwinder);
	modules_done(&b->modules);
	free(b);
}

static void open_files(struct blamer *b)
{
	if (b->opened)
		return;
	b->opened = true;
	modules_init(&b->modules, b->img);
	b->unwinder = unwinder_new(&b->modules);
}

const struct stack *blamer_stack(struct blamer *b, uint64_t id)
{
	struct cached *c, **at = tfind(&(struct cached){.id = id}, &b->cache, by_id);
	const struct trace_stack *record;
	struct unwound pcs;

	if (at)
		return (*at)->found ? &(*at)->stack : NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->id = id;
	if (!tsearch(c, &b->cache, by_id)) {
		free(c);
		return NULL;
	}
	record = id ? image_stack(b->img, id) : NULL;
	if (record)
		open_files(b);
	if (record && b->unwinder) {
		unwinder_walk(b->unwinder, record, &pcs);
		c->found = symbols_name(&b->modules, &pcs, &c->stack);
	}
	return c->found ? &c->stack : NULL;
}

/* A sentence that lives as long as the blamer. */
static const char *say(struct blamer *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static const char *say(struct blamer *b, const char *format, ...)
{
	struct text *t;
	va_list ap;
	char *s;
	int n;

	va_start(ap, format);
	n = vasprintf(&s, format, ap);
	va_end(ap);
	if (n < 0)
		return "out of memory";
	t = malloc(sizeof(*t) + (size_t)n + 1);
	if (t) {
		memcpy(t->text, s, (size_t)n + 1);
		t->next = b->texts;
		b->texts = t;
	}
	free(s);
	return t ? t->text : "out of memory";
}

/* ---- what is normal in this program ---- */

static bool is_healthy(const struct process *p, const struct exchange *x)
{
	struct finding found[FINDING_MAX];
	struct finding_options o;
	uint32_t i, n;

	if (!x->attempt || x->outcome != OUTCOME_UPGRADED)
		return false;
	finding_options_default(&o);
	n = finding_detect(p, x, &o, found);
	for (i = 0; i < n; i++)
		if (found[i].severity >= SEVERITY_WARNING)
			return false;
	return true;
}

static void learn_events(struct blamer *b, struct known *k, const struct connection *c,
			 uint32_t from, uint32_t to, enum known_kind kind)
{
	uint32_t i;

	for (i = from; i < to && i < c->events; i++) {
		const struct event *e = &c->event[i];

		if (e->stack && known_take(k, e->stack, kind))
			known_add(k, blamer_stack(b, e->stack), kind);
	}
}

/* Judging an exchange costs more than looking whether it has anything to teach. */
static bool has_news(const struct known *k, const struct exchange *x)
{
	const struct connection *c = x->conn;
	uint32_t i;

	for (i = x->ev_start; i < c->events; i++)
		if (c->event[i].stack && known_is_new(k, c->event[i].stack, KNOWN_SWITCH))
			return true;
	return false;
}

/* The road of one exchange: reading its head, and, when healthy, everything up to the close. */
static void learn_exchange(struct blamer *b, struct known *k, const struct exchange *x)
{
	const struct connection *c = x->conn;
	uint32_t i;

	if (x->ev_start == MODEL_NONE)
		return;
	for (i = x->ev_start; i < c->events && i <= x->ev_head && x->ev_head != MODEL_NONE; i++)
		if (c->event[i].kind == EVENT_DATA && c->event[i].dir == DIR_RX &&
		    (x->req_head_end == MODEL_NO_OFF || c->event[i].off < x->req_head_end))
			learn_events(b, k, c, i, i + 1, KNOWN_INTAKE);
	if (x->ev_switched != MODEL_NONE && has_news(k, x) && is_healthy(&b->img->process, x))
		learn_events(b, k, c, x->ev_start, c->events, KNOWN_SWITCH);
}

static void learn_image(struct blamer *b, struct known *k)
{
	const struct process *p = &b->img->process;
	uint32_t i, j, seen = 0;

	for (i = 0; i < p->connections; i++) {
		const struct connection *c = &p->connection[i];

		if (c->role != ROLE_SERVER)
			continue;
		for (j = 0; j < c->events && j < 1; j++)
			if (c->event[j].kind == EVENT_OPEN)
				learn_events(b, k, c, j, j + 1, KNOWN_INTAKE);
		for (j = 0; j < c->exchanges; j++)
			learn_exchange(b, k, &c->exchange[j]);
		for (j = 0; j < c->events && seen < STACKS_SEEN; j++)
			if (c->event[j].stack && known_take(k, c->event[j].stack, KNOWN_SEEN)) {
				known_add(k, blamer_stack(b, c->event[j].stack), KNOWN_SEEN);
				seen++;
			}
	}
}

static bool has_upgraded(const struct process *p)
{
	uint32_t i, j;

	for (i = 0; i < p->connections; i++)
		for (j = 0; j < p->connection[i].exchanges; j++)
			if (p->connection[i].exchange[j].outcome == OUTCOME_UPGRADED &&
			    is_healthy(p, &p->connection[i].exchange[j]))
				return true;
	return false;
}

/* A server that forks has its healthy switches in other images of the same program. */
static void learn_siblings(struct blamer *b)
{
	uint32_t i;

	for (i = 0; b->set && i < b->set->images && b->siblings < SIBLINGS; i++) {
		const struct image *other = &b->set->image[i];
		struct blamer *s;

		if (other == b->img || known_has(&b->known, KNOWN_SWITCH))
			continue;
		if (strncmp(other->header->exe, b->img->header->exe, sizeof(other->header->exe)) !=
			    0 ||
		    !has_upgraded(&other->process))
			continue;
		s = blamer_new(other, NULL);
		if (!s)
			return;
		b->sibling[b->siblings++] = s;
		known_next_image(&b->known);
		learn_image(s, &b->known);
	}
}

static void learn(struct blamer *b)
{
	if (b->learned)
		return;
	b->learned = true;
	learn_image(b, &b->known);
	learn_siblings(b);
}

/* ---- the verdict ---- */

/* The walk ended in a file that could not be used: who called is unknown. NULL when it did not. */
static const char *cut_short(struct blamer *b, const struct stack *s)
{
	const struct frame *last = &s->frame[s->frames - 1];

	if (!last->module || !last->why || last->function || last->entry)
		return NULL;
	return say(b, "the stack could not be followed through %s: %s", last->module, last->why);
}

static bool has_role(const struct frame *f, const char *role)
{
	return strcmp(f->role, role) == 0;
}

static bool is_user(const struct frame *f)
{
	return has_role(f, "user");
}

/* It may be named: the user's own, or what he put into the way of requests. */
static bool is_candidate(const struct frame *f)
{
	return is_user(f) || (f->go && role_go_is_chosen(f->function));
}

/* Whose a frame is, for a sentence: the package of a Go function, the file otherwise. */
static const char *owner(struct blamer *b, const struct frame *f)
{
	char package[160];

	if (!f->go || !f->function)
		return f->module;
	role_go_package(f->function, package, sizeof(package));
	return say(b, "%s", package);
}

/* The innermost frame of a runtime, server, library or framework that stands inside all of the user's;
 * NULL when the user's own frames come first. */
static const struct frame *find_foreign(const struct stack *s)
{
	uint32_t i;

	for (i = 0; i < s->frames && !is_candidate(&s->frame[i]); i++)
		if (has_role(&s->frame[i], "runtime") || has_role(&s->frame[i], "server") ||
		    has_role(&s->frame[i], "library") || has_role(&s->frame[i], "framework"))
			return &s->frame[i];
	return NULL;
}

static bool stack_holds(const struct stack *s, const char *function)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++)
		if (s->frame[i].function && strcmp(s->frame[i].function, function) == 0)
			return true;
	return false;
}

/* Whose doing is it? In Go the innermost frame always is net's or net/http's; the framework behind them
 * says more. */
static const struct frame *find_doer(const struct stack *s)
{
	const struct frame *f = find_foreign(s);
	uint32_t i;

	for (i = 0; f && f->go && i < s->frames && !is_candidate(&s->frame[i]); i++)
		if (has_role(&s->frame[i], "framework") || role_go_decides(s->frame[i].function))
			return &s->frame[i];
	for (i = 0; f && f->go && i < s->frames && !is_candidate(&s->frame[i]); i++)
		if (has_role(&s->frame[i], "server"))
			return &s->frame[i];
	return f;
}

static bool after_the_handlers(const struct stack *s)
{
	return stack_holds(s, "net/http.(*response).finishRequest") ||
	       stack_holds(s, "github.com/valyala/fasthttp.writeResponse");
}

/* Nobody of the user's is on the stack: who is? */
static const char *nobody(struct blamer *b, const struct stack *s)
{
	const struct frame *last = &s->frame[s->frames - 1], *f = find_doer(s);
	const char *language = f ? role_language(f->module) : NULL;

	if (f && f->go && !f->function)
		return cut_short(b, s) ? cut_short(b, s) : "the program's functions have no names";
	if (f && f->go && after_the_handlers(s))
		return "written by the server after the handlers returned";
	if (language)
		return say(b,
			   "frames of %s cannot be named yet: the stack leads into %s, not into "
			   "your code",
			   language, f->module);
	if (f)
		return say(b, "done by %s itself: none of your code is on the stack", owner(b, f));
	if (!last->module)
		return "the stack could not be followed into code that belongs to no file";
	return cut_short(b, s) ? cut_short(b, s) : "the stack could not be followed into your code";
}

/* "auth (server.c:12)", or module+offset. */
static const char *place(struct blamer *b, const struct frame *f)
{
	if (f->function && f->file)
		return say(b, "%s (%s:%u)", f->function, f->file, f->line);
	if (f->function)
		return say(b, "%s (%s)", f->function, f->module);
	return say(b, "%s+0x%llx", f->module ? f->module : "?", (unsigned long long)f->module_off);
}

/* What a framework calls is a handler, however many others it is called beside; only what the user's own
 * code calls can be a helper of it. */
static bool is_handler(const struct stack *s, const struct frame *f)
{
	return f->go && (f + 1 == s->frame + s->frames || !is_candidate(f + 1));
}

/* It moves bytes for whoever asks. */
static bool is_mover(const struct blamer *b, const struct stack *s, const struct frame *f)
{
	if (f->go && role_go_is_helper(f->function))
		return true;
	return !is_handler(s, f) && (role_is_helper(f->function) || known_is_shared(&b->known, f));
}

/* May be left out while another frame remains. */
static bool is_helper(const struct blamer *b, const struct stack *s, const struct frame *f)
{
	return is_mover(b, s, f) || known_is_place(&b->known, f, KNOWN_SWITCH) ||
	       (!is_handler(s, f) && known_is_leaf(&b->known, f, KNOWN_SWITCH | KNOWN_INTAKE));
}

/* On the road that leads to every answer? */
static bool is_road(const struct blamer *b, const struct frame *f, bool compared)
{
	if (f->function && strcmp(f->function, "main") == 0)
		return true;
	if (compared)
		return known_is_place(&b->known, f, KNOWN_SWITCH) ||
		       known_is_place(&b->known, f, KNOWN_INTAKE);
	return known_is_function(&b->known, f, KNOWN_INTAKE);
}

/* The call that wrote the 101 itself: whoever composed it is wanted, however healthy his others are. */
static bool is_about_the_101(const struct exchange *x, const struct finding *f)
{
	const struct answer *a = x ? x->final : NULL;

	return a && a->view->head.status == 101 && f->blame_event >= a->first_event &&
	       f->blame_event <= a->last_event;
}

/* The innermost frame that composed what was sent, not merely sent it. */
static const struct frame *find_author(const struct blamer *b, const struct stack *s,
				       const struct frame *const *user, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && (is_mover(b, s, user[i]) ||
			 (i + 1 < n && known_is_leaf(&b->known, user[i], KNOWN_SWITCH))))
		i++;
	return i < n && !is_road(b, user[i], false) ? user[i] : NULL;
}

/* Every frame belongs to the road.  Whoever is missing may have left the stack by a jump. */
static const char *nothing_left(struct blamer *b, const struct stack *s, bool compared,
				const char *innermost)
{
	const struct frame *foreign = find_doer(s);
	char *jumpers = foreign ? NULL : symbols_jumpers(&b->modules, s, NULL);
	const char *ret;

	if (foreign)
		ret = say(b, "done by %s itself; your code on the stack only runs it: %s",
			  owner(b, foreign), innermost);
	else if (jumpers)
		ret = say(b,
			  "who called %s left the stack by a jump (a tail call); it may have been: "
			  "%s",
			  innermost, jumpers);
	else if (compared)
		ret = say(
			b,
			"every call on this stack is also made for healthy upgrades; innermost: %s",
			innermost);
	else
		ret = say(b,
			  "every function on this stack also takes requests in, and no healthy "
			  "upgrade "
			  "is at hand to compare with; innermost: %s",
			  innermost);
	free(jumpers);
	return ret;
}

/* Why a culprit is less than certain, NULL when he is not. */
static const char *doubt(struct blamer *b, const struct blame *bl, bool compared)
{
	char *jumpers = symbols_jumpers(&b->modules, bl->stack, bl->culprit);
	const char *ret = NULL;

	if (jumpers)
		ret = say(b,
			  "less certain: this is a call through a pointer, and who was called may "
			  "have "
			  "left the stack by a jump (a tail call): %s",
			  jumpers);
	else if (!compared)
		ret = "less certain: no healthy upgrade of this server is in the trace to compare "
		      "with";
	free(jumpers);
	return ret;
}

/* The innermost frame left between the helpers and the road. */
static void judge_frames(struct blamer *b, const struct frame *const *user, uint32_t n,
			 struct blame *ret)
{
	bool compared = known_has(&b->known, KNOWN_SWITCH);
	uint32_t first = 0;

	while (n > 0 && is_road(b, user[n - 1], compared))
		n--;
	while (first + 1 < n && is_helper(b, ret->stack, user[first]))
		first++;
	if (!n)
		ret->reason = nothing_left(b, ret->stack, compared, place(b, user[0]));
	else if (is_mover(b, ret->stack, user[first]))
		ret->reason = say(b,
				  "only a helper is left on the stack, whoever called it last is "
				  "not: %s",
				  place(b, user[first]));
	else
		ret->culprit = user[first];
	if (ret->culprit)
		ret->reason = doubt(b, ret, compared);
}

/* ---- Go ---- */

/* Who recovers from a panic stands on the stack inside of who panicked. */
static uint32_t behind_panic(const struct stack *s)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++)
		if (s->frame[i].go && s->frame[i].function &&
		    strcmp(s->frame[i].function, "runtime.gopanic") == 0)
			return i + 1;
	return 0;
}

/* A frame inside of f that refuses upgrades on its own account, or panicked because the writer it stands
 * for is no Hijacker; NULL when f did it. */
static const struct frame *find_decider(const struct stack *s, const struct frame *f)
{
	const struct frame *at = s->frame + behind_panic(s);
	bool panicked = at != s->frame;

	for (; at < f; at++)
		if (role_go_decides(at->function) || (panicked && role_go_is_helper(at->function)))
			return at;
	return NULL;
}

/* The library gave up because of the writer it was handed: who wrapped that? */
static bool blame_wrapper(const struct frame *const *user, uint32_t n, uint32_t first,
			  struct blame *ret)
{
	if (!first)
		return false;
	ret->culprit = first + 1 == n ? user[first] : user[0];
	ret->reason = "the response writer it wraps is no http.Hijacker any more";
	return true;
}

/* At a witness the answer is being decided, or the body or the connection taken: whoever called did
 * it, whatever is normal otherwise. */
static void judge_witness(struct blamer *b, const struct frame *const *user, uint32_t n,
			  const struct exchange *x, bool answer, struct blame *ret)
{
	unsigned status = x && x->final ? x->final->view->head.status : 0;
	const struct frame *decider;
	uint32_t first = 0;

	while (first < n && is_mover(b, ret->stack, user[first]))
		first++;
	if (first == n) {
		ret->reason = say(b,
				  "only a helper is left on the stack, whoever called it last is "
				  "not: %s",
				  place(b, user[0]));
		return;
	}
	decider = answer && status != 101 ? find_decider(ret->stack, user[first]) : NULL;
	if (decider && status >= 500 && blame_wrapper(user, n, first, ret))
		return;
	if (decider)
		ret->reason = say(b, "done by %s itself, which %s called", owner(b, decider),
				  place(b, user[first]));
	else
		ret->culprit = user[first];
}

/* Bytes that net/http wrote out of its buffer: the stack is of who emptied it, not of who filled it. */
static const char *out_of_a_buffer(struct blamer *b, const struct event *e, const struct stack *s)
{
	const struct trace_header *h = b->img->header;
	const char *why = "who filled the server's buffer is not known";

	if (e->kind != EVENT_DATA || e->dir != DIR_TX ||
	    !stack_holds(s, "net/http.checkConnErrorWriter.Write"))
		return NULL;
	if (after_the_handlers(s))
		why = "written by the server after the handlers returned";
	else if (stack_holds(s, "net/http.(*response).Hijack"))
		why = "taking the connection over flushed an answer that somebody had given before";
	if (b->img->witnesses && !(h->coverage_reasons & TRACE_REASON_WITNESS))
		return why;
	return say(b, "%s; the functions that would tell could not be watched%s%.*s", why,
		   h->note[0] ? ": " : "", (int)sizeof(h->note), h->note);
}

/* ---- all together ---- */

static void judge(struct blamer *b, const struct exchange *x, const struct event *e, bool author,
		  struct blame *ret)
{
	const struct stack *s = ret->stack;
	const struct frame **user = calloc(s->frames, sizeof(struct frame *));
	enum witness_what what = model_witness_what(e);
	uint32_t i, n = 0;

	for (i = behind_panic(s); user && i < s->frames; i++)
		if (is_candidate(&s->frame[i]))
			user[n++] = &s->frame[i];
	ret->reason = out_of_a_buffer(b, e, s);
	if (ret->reason)
		;
	else if (!n)
		ret->reason = nobody(b, s);
	else if (cut_short(b, s))
		ret->reason = cut_short(b, s);
	else if (what == WITNESS_ANSWER || what == WITNESS_BODY || what == WITNESS_HIJACK)
		judge_witness(b, user, n, x, what == WITNESS_ANSWER, ret);
	else if (author && (ret->culprit = find_author(b, s, user, n)))
		ret->reason = NULL;
	else
		judge_frames(b, user, n, ret);
	free(user);
}

struct blame blamer_blame(struct blamer *b, const struct connection *c, const struct exchange *x,
			  const struct finding *f)
{
	struct blame ret = {0};
	uint64_t id;

	if (f->blame_event == MODEL_NONE || !c || f->blame_event >= c->events) {
		ret.reason = f->blame_reason ? f->blame_reason
					     : "the bytes alone do not say which code is at fault";
		return ret;
	}
	id = c->event[f->blame_event].stack;
	if (!id) {
		ret.reason = b->img->header->doors == TRACE_DOOR_SECCOMP
				     ? "the seccomp door takes no stacks"
				     : "no stack was recorded for this call";
		return ret;
	}
	ret.stack = blamer_stack(b, id);
	if (!ret.stack || !ret.stack->frames) {
		ret.reason = "the stack was in a part of the trace that is gone";
		return ret;
	}
	learn(b);
	judge(b, x, &c->event[f->blame_event], is_about_the_101(x, f), &ret);
	return ret;
}
