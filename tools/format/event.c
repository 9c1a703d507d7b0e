/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/event: one call of a connection as a JSON object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/format/object.h"

enum {
	BYTES_SHOWN = 1024, /* of one event */
};

static const char *const kinds[] = {
	[EVENT_OPEN] = "open",	     [EVENT_DATA] = "data",	[EVENT_WAIT] = "wait",
	[EVENT_EOF] = "eof",	     [EVENT_FAILED] = "failed", [EVENT_SHUTDOWN] = "shutdown",
	[EVENT_CLOSE] = "close",     [EVENT_DUP] = "dup",	[EVENT_TEXT] = "text",
	[EVENT_WITNESS] = "witness", [EVENT_FAULT] = "fault",
};

static const char *const closes[] = {
	[CLOSE_CALL] = "call",
	[CLOSE_UNSEEN] = "unseen",
	[CLOSE_EXEC] = "exec",
	[CLOSE_EXIT] = "exit",
};

/* [{"offset", "bytes"}]: offsets are stream offsets. */
static json_t *segments_of(const struct event *e)
{
	json_t *ret = json_array();
	size_t room = BYTES_SHOWN;
	uint32_t i;

	for (i = 0; i < e->segments && room; i++) {
		const struct segment *s = &e->segment[i];
		size_t n = s->len < room ? s->len : room;

		json_array_append_new(ret,
				      json_pack("{s:I, s:o}", "offset", (json_int_t)e->off + s->rel,
						"bytes", object_bytes((struct span){s->bytes, n})));
		room -= n;
	}
	return ret;
}

static void add_bytes(json_t *o, const struct event *e)
{
	if (e->kind == EVENT_TEXT) {
		struct span s = {0};

		if (e->segments)
			s = (struct span){e->segment[0].bytes, e->segment[0].len};
		json_object_set_new(o, "fd", json_integer(e->fd));
		json_object_set_new(o, "text", object_bytes(s));
		json_object_set_new(o, "nearby", json_boolean(!(e->flags & EVENT_OWNER)));
		return;
	}
	json_object_set_new(o, "offset", json_integer((json_int_t)e->off));
	json_object_set_new(o, "moved", json_integer(e->moved));
	json_object_set_new(o, "segments", segments_of(e));
}

static void add_witness(json_t *o, const struct event *e)
{
	const char *function = model_witness_function(e);
	bool counted = e->witness == TRACE_WITNESS_HTTP_WRITE_HEADER ||
		       e->witness == TRACE_WITNESS_HTTP_WRITE;

	json_object_set_new(o, "function", object_text(function));
	json_object_set_new(o, "goroutine",
			    e->off ? json_integer((json_int_t)e->off) : json_null());
	json_object_set_new(o, "argument", counted ? json_integer(e->moved) : json_null());
}

static json_t *short_text(const char *text, size_t size)
{
	return object_bytes((struct span){(const uint8_t *)text, strnlen(text, size)});
}

static void add_fault(json_t *o, const struct event *e)
{
	static const char *const whats[] = {
		[TRACE_FAULT_ACTED] = "acted",	 [TRACE_FAULT_BEGAN] = "began",
		[TRACE_FAULT_ENDED] = "ended",	 [TRACE_FAULT_SHADOWED] = "shadowed",
		[TRACE_FAULT_FAILED] = "failed",
	};
	const struct trace_fault *f = e->fault;
	char drawn[24];

	/* Too large for the numbers of many readers. */
	snprintf(drawn, sizeof(drawn), "%" PRIu64, f->drawn);
	json_object_set_new(o, "rule", short_text(f->name, sizeof(f->name)));
	json_object_set_new(o, "fault", short_text(f->fault_name, sizeof(f->fault_name)));
	json_object_set_new(
		o, "what",
		json_string(f->what < CORE_ARRAY_LEN(whats) ? whats[f->what] : "unknown"));
	json_object_set_new(
		o, "phase",
		json_string(f->phase < PHASE_COUNT ? phase_name((enum phase)f->phase) : "unknown"));
	json_object_set_new(o, "offset", json_integer((json_int_t)f->off));
	json_object_set_new(o, "value", json_integer(f->value));
	json_object_set_new(o, "drawn", json_string(drawn));
	json_object_set_new(o, "legal", json_boolean(f->legal));
}

json_t *object_event(const struct trace_header *h, const struct event *e)
{
	json_t *o = json_object();

	json_object_set_new(o, "event", json_integer(e->record));
	json_object_set_new(o, "t_ns", json_integer((json_int_t)e->t_ns));
	json_object_set_new(
		o, "kind",
		object_text(e->kind < CORE_ARRAY_LEN(kinds) ? kinds[e->kind] : "unknown"));
	json_object_set_new(o, "call",
			    e->kind == EVENT_WITNESS || !e->record
				    ? json_string("")
				    : object_bytes(format_call_name(h, e->call)));
	json_object_set_new(o, "direction", json_string(e->dir == DIR_TX ? "sent" : "read"));
	json_object_set_new(o, "tid", json_integer(e->tid));
	if (e->kind == EVENT_DATA || e->kind == EVENT_TEXT)
		add_bytes(o, e);
	if (e->kind == EVENT_WITNESS)
		add_witness(o, e);
	if (e->kind == EVENT_FAULT)
		add_fault(o, e);
	if (e->kind == EVENT_FAILED) {
		const char *name = strerrorname_np(e->err);

		json_object_set_new(o, "error", object_text(name ? name : "unknown"));
	}
	if (e->kind == EVENT_CLOSE)
		json_object_set_new(o, "close",
				    object_text(e->close_how < CORE_ARRAY_LEN(closes)
							? closes[e->close_how]
							: "unknown"));
	return o;
}
