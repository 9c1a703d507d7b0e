/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/object: exchanges, findings and blame as JSON objects.
 */
#include "tools/format/object.h"

#include <stdlib.h>
#include <string.h>

#include "tools/format/block.h"

json_t *object_bytes(struct span bytes)
{
	size_t n;
	char *text = format_utf8(bytes, &n);
	json_t *ret = text ? json_stringn_nocheck(text, n) : NULL;

	free(text);
	return ret;
}

json_t *object_text(const char *text)
{
	if (!text)
		return json_null();
	return object_bytes((struct span){(const uint8_t *)text, strlen(text)});
}

static json_t *object_offset(uint64_t off)
{
	return json_integer((json_int_t)off);
}

static json_t *frame_object(const struct frame *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "function", object_text(f->function));
	json_object_set_new(o, "file", object_text(f->file));
	json_object_set_new(o, "line", f->line ? json_integer(f->line) : json_null());
	json_object_set_new(o, "module", object_text(f->module));
	json_object_set_new(o, "offset", object_offset(f->module_off));
	json_object_set_new(o, "role", object_text(f->role));
	json_object_set_new(o, "inlined", json_boolean(f->inlined));
	json_object_set_new(o, "jumped", json_boolean(f->jumped));
	return o;
}

static json_t *blame_object(const struct blame *bl)
{
	const struct frame *f = bl->culprit;
	json_t *o, *frames;
	uint32_t i;

	if (!f)
		return json_null();
	o = json_object();
	frames = json_array();
	json_object_set_new(o, "function", object_text(f->function));
	json_object_set_new(o, "file", object_text(f->file));
	json_object_set_new(o, "line", f->line ? json_integer(f->line) : json_null());
	json_object_set_new(o, "module", object_text(f->module));
	json_object_set_new(o, "offset", object_offset(f->module_off));
	for (i = 0; bl->stack && i < bl->stack->frames; i++)
		json_array_append_new(frames, frame_object(&bl->stack->frame[i]));
	json_object_set_new(o, "frames", frames);
	return o;
}

static json_t *evidence_array(const struct finding *f, const struct connection *c)
{
	json_t *ret = json_array();
	uint32_t i;

	for (i = 0; i < f->evidences && i < FINDING_EVIDENCE; i++) {
		const struct evidence *ev = &f->evidence[i];
		json_t *o = json_object();
		bool there = c && ev->event < c->events;

		json_object_set_new(o, "event",
				    there ? json_integer(c->event[ev->event].record) : json_null());
		json_object_set_new(o, "direction",
				    json_string(ev->dir == DIR_TX ? "sent" : "read"));
		json_object_set_new(o, "offset", object_offset(ev->off));
		json_object_set_new(o, "length", json_integer(ev->len));
		json_array_append_new(ret, o);
	}
	return ret;
}

json_t *object_finding(const struct finding *f, const struct connection *c,
		       const struct exchange *x, struct blamer *b)
{
	const struct finding_info *info = finding_info(f->id);
	struct blame bl = {.reason = "a finding of the whole process"};
	json_t *o = json_object();

	if (b && c)
		bl = blamer_blame(b, c, x, f);
	json_object_set_new(o, "id", object_text(info->id));
	json_object_set_new(o, "sub", object_text(f->sub));
	json_object_set_new(o, "severity", object_text(severity_name(f->severity)));
	json_object_set_new(o, "primary", json_boolean(f->primary));
	json_object_set_new(o, "message", object_text(f->message[0] ? f->message : info->title));
	json_object_set_new(o, "fix", object_text(f->fix[0] ? f->fix : info->fix));
	if (f->injected_by[0])
		json_object_set_new(o, "injected_by", object_text(f->injected_by));
	json_object_set_new(o, "evidence", evidence_array(f, c));
	json_object_set_new(o, "blame", blame_object(&bl));
	json_object_set_new(o, "blame_reason", object_text(bl.reason));
	if (c && !x)
		json_object_set_new(o, "connection", json_integer(c->id));
	return o;
}

static void append_phase(json_t *to, enum phase phase, uint64_t t_ns)
{
	json_array_append_new(
		to, json_pack("{s:s, s:I}", "phase", phase_name(phase), "t_ns", (json_int_t)t_ns));
}

static json_t *phases_array(const struct exchange *x)
{
	const struct connection *c = x->conn;
	uint32_t i = x->mark_start;
	json_t *ret = json_array();

	if (x->ordinal == 0 && c->t_open)
		append_phase(ret, PHASE_ACCEPTED, c->t_open);
	/* The change to request-head is told before the request it belongs to begins. */
	if (i > 0 && i <= c->marks && c->mark[i - 1].e.what == PHASE_CHANGE &&
	    c->mark[i - 1].e.phase == PHASE_REQUEST_HEAD)
		i--;
	for (; i < x->mark_end && i < c->marks; i++)
		if (c->mark[i].e.what == PHASE_CHANGE)
			append_phase(ret, c->mark[i].e.phase, c->mark[i].t_ns);
	return ret;
}

static json_t *events_array(const struct report_case *rc)
{
	uint32_t i = rc->x->ev_start == MODEL_NONE ? 0 : rc->x->ev_start;
	json_t *ret = json_array();

	if (rc->x->ordinal == 0)
		i = 0;
	for (; i < rc->x->ev_end && i < rc->c->events; i++)
		json_array_append_new(ret, object_event(rc->img->header, &rc->c->event[i]));
	return ret;
}

static void add_request(json_t *o, const struct exchange *x)
{
	unsigned status = block_status(x);
	char protocol[64];

	block_protocol(x, protocol, sizeof(protocol));
	json_object_set_new(o, "method",
			    x->request->method.n ? object_bytes(x->request->method) : json_null());
	json_object_set_new(o, "path",
			    x->request->target.n ? object_bytes(x->request->target) : json_null());
	json_object_set_new(o, "protocol", object_text(protocol));
	json_object_set_new(o, "status", status ? json_integer(status) : json_null());
	json_object_set_new(o, "outcome", object_text(outcome_name(x->outcome)));
}

json_t *object_exchange(const struct report_case *rc, struct blamer *b)
{
	const struct exchange *x = rc->x;
	json_t *o = json_object(), *findings = json_array();
	char id[64];
	uint32_t i;

	snprintf(id, sizeof(id), "%u.%u.%u", rc->img->process.pid, rc->c->id, x->ordinal);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "connection", json_integer(rc->c->id));
	json_object_set_new(o, "cookie", object_offset(rc->c->cookie));
	json_object_set_new(o, "role",
			    json_string(rc->c->role == ROLE_SERVER ? "server" : "client"));
	json_object_set_new(o, "peer", object_text(rc->c->peer));
	json_object_set_new(o, "t_ns", json_integer((json_int_t)x->t_start));
	json_object_set_new(o, "attempt", json_boolean(x->attempt));
	json_object_set_new(o, "relay",
			    rc->c->relay ? json_integer(rc->c->relay->id) : json_null());
	add_request(o, x);
	json_object_set_new(o, "phases", phases_array(x));
	for (i = 0; i < rc->findings; i++)
		json_array_append_new(findings, object_finding(&rc->finding[i], rc->c, x, b));
	json_object_set_new(o, "findings", findings);
	json_object_set_new(o, "events", events_array(rc));
	return o;
}
