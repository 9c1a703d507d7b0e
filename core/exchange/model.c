/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/model: names, and reading recorded bytes by stream offset.
 */
#include "core/exchange/model.h"
#include "core/trace/layout.h"

enum {
	SEARCHED = 64, /* exchanges of the other leg: a switched one is the last */
};

static const char *const outcomes[] = {
	[OUTCOME_UPGRADED] = "upgraded",     [OUTCOME_REFUSED] = "refused",
	[OUTCOME_IGNORED] = "ignored",	     [OUTCOME_FAILED] = "failed",
	[OUTCOME_UNANSWERED] = "unanswered", [OUTCOME_ABANDONED] = "abandoned",
	[OUTCOME_PENDING] = "pending",
};

const char *outcome_name(enum outcome o)
{
	return (unsigned)o < CORE_ARRAY_LEN(outcomes) ? outcomes[o] : "unknown";
}

struct span model_event_bytes(const struct event *e, uint64_t off)
{
	for (uint32_t i = 0; i < e->segments; i++) {
		uint64_t at = e->off + e->segment[i].rel;

		if (off >= at && off - at < e->segment[i].len) {
			return (struct span){e->segment[i].bytes + (off - at),
					     e->segment[i].len - (size_t)(off - at)};
		}
	}
	return (struct span){NULL, 0};
}

size_t model_bytes(const struct connection *c, enum dir dir, uint64_t off, uint32_t from, void *ret,
		   size_t n)
{
	size_t have = 0;

	for (uint32_t i = from; i < c->events && have < n; i++) {
		const struct event *e = &c->event[i];

		if (e->kind != EVENT_DATA || e->dir != dir || e->off + e->moved <= off + have)
			continue;
		while (have < n && off + have < e->off + e->moved) {
			struct span s = model_event_bytes(e, off + have);

			if (!s.n)
				return have;
			if (s.n > n - have)
				s.n = n - have;
			memcpy((uint8_t *)ret + have, s.p, s.n);
			have += s.n;
		}
	}
	return have;
}

uint32_t model_event_at(const struct connection *c, enum dir dir, uint64_t off, uint32_t from)
{
	for (uint32_t i = from; i < c->events; i++) {
		const struct event *e = &c->event[i];

		if (e->kind == EVENT_DATA && e->dir == dir && off >= e->off &&
		    off - e->off < e->moved)
			return i;
	}
	return MODEL_NONE;
}

/* ---- witnesses ---- */

static const struct {
	enum witness_what what;
	const char *function;
} witnesses[] = {
#define WITNESS(id, number, what, arguments, function) [number] = {WITNESS_##what, function},
#include "core/trace/witness.def"
#undef WITNESS
};

enum witness_what model_witness_what(const struct event *e)
{
	if (e->kind != EVENT_WITNESS || e->witness >= CORE_ARRAY_LEN(witnesses))
		return WITNESS_UNKNOWN;
	return witnesses[e->witness].what;
}

const char *model_witness_function(const struct event *e)
{
	if (e->kind != EVENT_WITNESS || e->witness >= CORE_ARRAY_LEN(witnesses))
		return NULL;
	return witnesses[e->witness].function;
}

/* ---- faults ---- */

enum fault_id model_fault(const struct event *e)
{
	for (unsigned id = 0; e->kind == EVENT_FAULT && id < FAULT_COUNT; id++) {
		const char *name = fault_name((enum fault_id)id);
		unsigned i = 0;

		while (i < sizeof(e->fault->fault_name) - 1 && name[i] &&
		       name[i] == e->fault->fault_name[i])
			i++;
		if (!name[i] && !e->fault->fault_name[i])
			return (enum fault_id)id;
	}
	return FAULT_COUNT;
}

uint32_t model_witness_next(const struct exchange *x, enum witness_what what, uint32_t from)
{
	const struct connection *c = x->conn;

	for (uint32_t i = from > x->ev_start ? from : x->ev_start;
	     c->witnesses && i < x->ev_end && i < c->events; i++) {
		if (model_witness_what(&c->event[i]) == what)
			return i;
	}
	return MODEL_NONE;
}

/* fasthttp holds one answer until the handlers have returned, and the last word counts; net/http
 * keeps to the first. */
static bool last_word_counts(const struct event *e)
{
	return e->witness == TRACE_WITNESS_FASTHTTP_ERROR ||
	       e->witness == TRACE_WITNESS_FASTHTTP_BODY ||
	       e->witness == TRACE_WITNESS_FASTHTTP_BODY_STRING;
}

/* An interim answer (100, 103) decides nothing. */
static bool is_interim(const struct event *e)
{
	return e->witness == TRACE_WITNESS_HTTP_WRITE_HEADER && e->moved >= 100 && e->moved < 200 &&
	       e->moved != 101;
}

uint32_t model_author(const struct exchange *x, const struct answer *a)
{
	uint32_t i = model_witness_next(x, WITNESS_ANSWER, 0), found = MODEL_NONE;
	uint32_t taken =
		model_witness_next(x, WITNESS_HIJACK, 0); /* what follows it is no answer */

	for (; i < a->first_event && i < taken; i = model_witness_next(x, WITNESS_ANSWER, i + 1)) {
		const struct event *e = &x->conn->event[i];

		if (is_interim(e))
			continue;
		if (found == MODEL_NONE || last_word_counts(e))
			found = i;
	}
	return found;
}

const struct exchange *model_other_leg(const struct exchange *x)
{
	const struct connection *other = x->conn->relay;
	const struct http_field *key = http_view_field(x->request, "sec-websocket-key", 0);
	const struct exchange *found = NULL;
	uint32_t from = other && other->exchanges > SEARCHED ? other->exchanges - SEARCHED : 0;

	for (uint32_t i = from; other && i < other->exchanges; i++) {
		const struct exchange *y = &other->exchange[i];
		const struct http_field *k = http_view_field(y->request, "sec-websocket-key", 0);

		if (!y->attempt)
			continue;
		if (key && k && key->value.n == k->value.n &&
		    memcmp(key->value.p, k->value.p, k->value.n) == 0)
			return y;
		found = y;
	}
	return found;
}
