/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/pair: which two connections of a process are the legs of one relay.
 *
 * A pair is an accepted connection and one opened later, whose request repeats the Sec-WebSocket-Key;
 * or, where the proxy made a key of its own, the only candidate with the same path opened within a
 * second.
 *
 * A process that talks to itself is no relay.  The two ends of one connection are never a pair; nor are
 * two connections that both have their other end in here, as those of a test that opens many at once
 * have: whether one was opened on behalf of the other cannot be told.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/exchange/build.h"

enum {
	PAIR_NS = 1000000000,
	PAIR_TRIED = 64,
};

struct leg {
	struct connection *c;
	const struct exchange *x;
	struct span key; /* empty when there is none or it was masked */
	struct span path;
	bool own; /* the other end is in this process, too */
	uint64_t t_ns;
	uint64_t hash; /* of the key */
};

struct legs {
	struct leg *leg;
	size_t n, cap;
};

static uint64_t hash_bytes(struct span s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * UINT64_C(1099511628211);
	return h;
}

static bool same_bytes(struct span a, struct span b)
{
	return a.n == b.n && a.n && memcmp(a.p, b.p, a.n) == 0;
}

static struct span path_of(const struct http_view *v)
{
	struct span s = v->target;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '?')
			s.n = i;
	}
	return s;
}

/* ---- connections to ourselves ---- */

/* Connections by their own and the other address. */
struct ends {
	const struct connection **c;
	size_t n;
};

static int by_ends(const void *a, const void *b)
{
	const struct connection *x = *(const struct connection *const *)a,
				*y = *(const struct connection *const *)b;
	int local = strcmp(x->local, y->local);

	return local ? local : strcmp(x->peer, y->peer);
}

static int by_other_ends(const void *key, const void *element)
{
	const struct connection *x = key, *y = *(const struct connection *const *)element;
	int local = strcmp(x->peer, y->local);

	return local ? local : strcmp(x->local, y->peer);
}

static struct ends ends_of(const struct process *p)
{
	struct ends e = {.c = calloc(p->connections + 1, sizeof(*e.c))};

	for (uint32_t i = 0; e.c && i < p->connections; i++) {
		if (p->connection[i].peer[0] && p->connection[i].local[0])
			e.c[e.n++] = &p->connection[i];
	}
	if (e.n)
		qsort(e.c, e.n, sizeof(*e.c), by_ends);
	return e;
}

static bool is_own(const struct ends *e, const struct connection *c)
{
	return e->n && c->peer[0] && bsearch(c, e->c, e->n, sizeof(*e->c), by_other_ends);
}

/* ---- pairs ---- */

static void collect(struct process *p, struct legs *accepted, struct legs *opened)
{
	struct ends ends = ends_of(p);

	for (uint32_t i = 0; i < p->connections; i++) {
		struct connection *c = &p->connection[i];
		struct legs *to = c->role == ROLE_SERVER ? accepted : opened;

		for (uint32_t j = 0; j < c->exchanges; j++) {
			const struct exchange *x = &c->exchange[j];
			const struct http_field *key;

			if (!x->attempt)
				continue;
			key = http_view_field(x->request, "sec-websocket-key", 0);
			to->leg = array_grow(to->leg, to->n, &to->cap, sizeof(*to->leg));
			to->leg[to->n++] = (struct leg){
				.c = c,
				.x = x,
				.key = key ? key->value : (struct span){NULL, 0},
				.path = path_of(x->request),
				.own = is_own(&ends, c),
				.t_ns = c->role == ROLE_SERVER ? x->t_head : x->t_start,
				.hash = key ? hash_bytes(key->value) : 0,
			};
		}
	}
	free(ends.c);
}

static int by_hash(const void *a, const void *b)
{
	const struct leg *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->t_ns < y->t_ns ? -1 : x->t_ns > y->t_ns;
}

static int by_time(const void *a, const void *b)
{
	const struct leg *x = a, *y = b;

	return x->t_ns < y->t_ns ? -1 : x->t_ns > y->t_ns;
}

static bool fits(const struct leg *a, const struct leg *b)
{
	return a->t_ns && b->t_ns >= a->t_ns && !a->c->relay && !b->c->relay && !(a->own && b->own);
}

/* The accepted leg had no answer yet when b was opened. */
static bool waiting(const struct leg *a, const struct leg *b)
{
	return !a->x->t_answer || a->x->t_answer > b->t_ns;
}

static void join(struct leg *a, struct leg *b)
{
	a->c->relay = b->c;
	b->c->relay = a->c;
}

/* Keys are random, so one that occurs once names its leg.  Clients that use the same key again and
 * again are told apart by time: the youngest leg that was still waiting.  accepted[from, to) are the
 * legs with b's hash, in time order. */
static struct leg *leg_with_key(struct leg *accepted, size_t from, size_t to, const struct leg *b)
{
	size_t lo = from, hi = to, seen = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (accepted[mid].t_ns <= b->t_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo > from && seen++ < PAIR_TRIED) {
		struct leg *a = &accepted[--lo];

		if (same_bytes(a->key, b->key) && fits(a, b) && (waiting(a, b) || to - from == 1))
			return a;
	}
	return NULL;
}

static void pair_by_key(struct legs *accepted, struct legs *opened)
{
	size_t from = 0, to = 0;

	qsort(accepted->leg, accepted->n, sizeof(*accepted->leg), by_hash);
	qsort(opened->leg, opened->n, sizeof(*opened->leg), by_hash);
	for (size_t j = 0; j < opened->n; j++) {
		struct leg *b = &opened->leg[j], *a;

		while (from < accepted->n && accepted->leg[from].hash < b->hash)
			from++;
		to = to > from ? to : from;
		while (to < accepted->n && accepted->leg[to].hash == b->hash)
			to++;
		a = leg_with_key(accepted->leg, from, to, b);
		if (a)
			join(a, b);
	}
}

/* The accepted leg that was waiting when b was opened; NULL when there is none or more than one. */
static struct leg *only_candidate(struct legs *accepted, size_t from, const struct leg *b)
{
	struct leg *found = NULL;

	for (size_t i = from; i < accepted->n && accepted->leg[i].t_ns <= b->t_ns; i++) {
		struct leg *a = &accepted->leg[i];

		if (i - from == PAIR_TRIED) /* too busy a second to be sure of anything */
			return NULL;
		if (!waiting(a, b) || !fits(a, b) || !same_bytes(a->path, b->path))
			continue;
		if (found)
			return NULL;
		found = a;
	}
	return found;
}

static void pair_by_path(struct legs *accepted, struct legs *opened)
{
	size_t from = 0;

	qsort(accepted->leg, accepted->n, sizeof(*accepted->leg), by_time);
	qsort(opened->leg, opened->n, sizeof(*opened->leg), by_time);
	for (size_t j = 0; j < opened->n; j++) {
		struct leg *b = &opened->leg[j], *a;

		while (from < accepted->n && accepted->leg[from].t_ns + PAIR_NS < b->t_ns)
			from++;
		a = b->c->relay ? NULL : only_candidate(accepted, from, b);
		if (a)
			join(a, b);
	}
}

void pair_relays(struct process *p)
{
	struct legs accepted = {0}, opened = {0};

	for (uint32_t i = 0; i < p->connections; i++) {
		if (p->connection[i].role == ROLE_CLIENT)
			break;
		if (i + 1 == p->connections)
			return;
	}
	collect(p, &accepted, &opened);
	if (accepted.n && opened.n) {
		pair_by_key(&accepted, &opened);
		pair_by_path(&accepted, &opened);
	}
	free(accepted.leg);
	free(opened.leg);
}
