/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format/block: one attempt, told so that it can be understood at 3 a.m.: what happened first, then
 * the proof, then who, why, and what to do.
 */
#include "tools/format/block.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/format/select.h"

enum {
	FRAMES_SHOWN = 14,
};

/* ---- words about an exchange ---- */

static void escape_or(char *ret, size_t size, struct span s, const char *otherwise)
{
	size_t used;

	if (!s.n) {
		snprintf(ret, size, "%s", otherwise);
		return;
	}
	format_escape(ret, size, s, &used);
	if (used < s.n && size > 4)
		memcpy(ret + size - 4, "...", 4);
}

void block_target(const struct exchange *x, char *ret, size_t size)
{
	escape_or(ret, size, x->request->target, "-");
}

void block_method(const struct exchange *x, char *ret, size_t size)
{
	escape_or(ret, size, x->request->method, "-");
}

void block_protocol(const struct exchange *x, char *ret, size_t size)
{
	const struct http_field *up = http_view_field(x->request, "Upgrade", 0);

	if (up && up->value.n)
		escape_or(ret, size, up->value, "-");
	else
		snprintf(ret, size, "%s", x->websocket ? "websocket" : x->attempt ? "-" : "http");
}

unsigned block_status(const struct exchange *x)
{
	return x->final ? x->final->view->head.status : 0;
}

/* Local wall-clock time of an instant of the trace. */
static void wall_time(char *ret, size_t size, const struct image *img, uint64_t t_ns)
{
	uint64_t real = t_ns + (uint64_t)img->header->realtime_offset;
	time_t seconds = (time_t)(real / 1000000000);
	struct tm tm;
	size_t n = localtime_r(&seconds, &tm) ? strftime(ret, size, "%F %T", &tm) : 0;

	snprintf(ret + n, size - n, ".%03u", (unsigned)(real / 1000000 % 1000));
}

static const char *who(const struct connection *c)
{
	return c->role == ROLE_SERVER ? "from" : "to";
}

static enum page_ink outcome_ink(enum outcome o)
{
	return o == OUTCOME_UPGRADED ? INK_GREEN : INK_BOLD;
}

/* ---- one line ---- */

void block_line(const struct page *p, const struct report_case *rc)
{
	char method[16], target[256], protocol[24], status[8], when[40], frames[64] = "";
	const struct exchange *x = rc->x;
	unsigned room = p->width > 70 ? p->width - 66 : 20;

	block_method(x, method, sizeof(method));
	block_target(x, target, room < sizeof(target) ? room : sizeof(target));
	block_protocol(x, protocol, sizeof(protocol));
	wall_time(when, sizeof(when), rc->img, x->t_start);
	snprintf(status, sizeof(status), block_status(x) ? "%u" : "-", block_status(x));
	if (x->frames[0] || x->frames[1])
		snprintf(frames, sizeof(frames), "frames %" PRIu64 " in %" PRIu64 " out",
			 x->frames[DIR_RX], x->frames[DIR_TX]);
	fprintf(p->out, "  %s #%-5" PRIu32 " %3s ", strlen(when) > 11 ? when + 11 : when, rc->c->id,
		status);
	page_put(p, outcome_ink(x->outcome), "%-10s", outcome_name(x->outcome));
	fprintf(p->out, " %s %s  %s%s%s\n", method, target, protocol, frames[0] ? "  " : "",
		frames);
}

/* ---- blame ---- */

/* "auth  server.c:297  (victim)" as columns; inlined frames say so. */
static void write_frame(const struct page *p, const struct frame *f, bool culprit)
{
	char *function = format_clean(f->function ? f->function : "?");
	unsigned width = p->width > 60 ? p->width - 50 : 20;

	fprintf(p->out, "          %s ", culprit ? ">" : " ");
	if (f->function)
		page_put(p, culprit ? INK_RED : INK_PLAIN, "%-24s", function ? function : "");
	else
		fprintf(p->out, "+0x%-21" PRIx64, f->module_off);
	fputs("  ", p->out);
	if (f->file) {
		page_path(p, INK_PLAIN, f->file, width);
		fprintf(p->out, ":%u", f->line);
	} else {
		page_name(p, INK_DIM, f->module ? f->module : "no file", width);
	}
	fputs(f->inlined ? "  inlined" : f->jumped ? "  jumped" : "", p->out);
	if (strcmp(f->role, "user") != 0)
		fprintf(p->out, "  (%s)", f->role);
	fputc('\n', p->out);
	free(function);
}

static bool is_role(const struct frame *f, const char *role)
{
	return strcmp(f->role, role) == 0;
}

/* Our own frames say nothing, neither do those between Go's packages and the kernel, nor libc outside the
 * program's main, nor a stack of nothing but somebody else's frames. */
static void write_stack(const struct page *p, const struct blame *bl)
{
	const struct stack *s = bl->stack;
	uint32_t i, n = s ? s->frames : 0, shown = 0;

	for (i = 0; i < n && !is_role(&s->frame[i], "user"); i++)
		;
	if (i == n)
		return;
	while (n > 0 && is_role(&s->frame[n - 1], "libc"))
		n--;
	for (i = 0; i < n; i++) {
		if (is_role(&s->frame[i], "shim") ||
		    (s->frame[i].go && is_role(&s->frame[i], "runtime")))
			continue;
		if (shown++ == FRAMES_SHOWN) {
			fprintf(p->out, "            ... %u more\n", n - i);
			return;
		}
		write_frame(p, &s->frame[i], &s->frame[i] == bl->culprit);
	}
}

static void write_blame(const struct page *p, const struct blame *bl)
{
	const struct frame *f = bl->culprit;
	char *line = NULL, *reason = NULL;
	int n;

	if (!f) {
		n = asprintf(&reason, "nobody: %s", bl->reason ? bl->reason : "unknown");
		page_paragraph(p, "blame", INK_PLAIN, n >= 0 ? reason : "nobody");
	} else {
		if (f->function && f->file)
			n = asprintf(&line, "%s  %s:%u  in %s", f->function, f->file, f->line,
				     f->module);
		else
			n = asprintf(&line, "%s%s%s+0x%" PRIx64, f->function ? f->function : "",
				     f->function ? "  " : "", f->module, f->module_off);
		page_paragraph(p, "blame", INK_RED, n >= 0 ? line : "?");
		if (!f->function && f->why && asprintf(&reason, "no name: %s", f->why) >= 0)
			page_paragraph(p, "", INK_DIM, reason);
		if (bl->reason)
			page_paragraph(p, "", INK_DIM, bl->reason);
	}
	free(line);
	free(reason);
	write_stack(p, bl);
}

/* ---- findings ---- */

static void write_heading(const struct page *p, const struct finding *f)
{
	const struct finding_info *info = finding_info(f->id);
	enum page_ink ink = page_severity_ink(f->severity);

	fputs("  ", p->out);
	page_put(p, ink, "%s  %s", severity_name(f->severity), info->id);
	if (f->sub)
		page_put(p, ink, " (%s)", f->sub);
	fputc('\n', p->out);
}

static void write_verdict(const struct page *p, const struct finding *f)
{
	const struct finding_info *info = finding_info(f->id);

	page_paragraph(p, "why", INK_PLAIN, info->why);
	page_paragraph(p, "fix", INK_GREEN, f->fix[0] ? f->fix : info->fix);
}

static void write_also(const struct page *p, const struct finding *f)
{
	const struct finding_info *info = finding_info(f->id);
	char *text;

	if (asprintf(&text, "%s %s: %s", severity_name(f->severity), info->id,
		     f->message[0] ? f->message : info->title) < 0)
		return;
	page_paragraph(p, "also", INK_PLAIN, text);
	free(text);
}

static void write_header(const struct page *p, const struct report_case *rc)
{
	char left[200], when[48], line[64], method[16], target[1024], protocol[32];
	const struct exchange *x = rc->x;

	snprintf(left, sizeof(left), "connection #%" PRIu32 "  %s %s  pid %" PRIu32, rc->c->id,
		 who(rc->c), rc->c->peer[0] ? rc->c->peer : "unknown", rc->img->process.pid);
	wall_time(when, sizeof(when), rc->img, x->t_start);
	/* A narrow page has no room for the date. */
	page_rule(p, INK_BOLD, left, p->width < 90 && strlen(when) > 11 ? when + 11 : when);
	block_method(x, method, sizeof(method));
	block_target(x, target, p->width > 60 ? (p->width < 1000 ? p->width - 44 : 900) : 24);
	block_protocol(x, protocol, sizeof(protocol));
	snprintf(line, sizeof(line), block_status(x) ? "%u " : "no answer, ", block_status(x));
	fprintf(p->out, "  %s ", method);
	page_put(p, INK_BOLD, "%s", target);
	fprintf(p->out, "  %s  %s", protocol, line);
	page_put(p, outcome_ink(x->outcome), "%s", outcome_name(x->outcome));
	fputs(x->ordinal ? "" : "\n", p->out);
	if (x->ordinal)
		fprintf(p->out, "  (request %" PRIu32 " on this connection)\n", x->ordinal + 1);
	if (rc->c->relay) {
		snprintf(line, sizeof(line), "the other side is connection #%" PRIu32,
			 rc->c->relay->id);
		page_paragraph(p, "relay", INK_PLAIN, line);
	}
	if (rc->c->partial)
		page_paragraph(p, "partial", INK_YELLOW,
			       rc->c->partial_reason ? rc->c->partial_reason
						     : "not all of this connection was seen");
}

void block_write(const struct page *p, const struct report_case *rc, struct blamer *b)
{
	const struct finding *primary = case_primary(rc);
	uint32_t i;

	write_header(p, rc);
	if (primary) {
		fputc('\n', p->out);
		write_heading(p, primary);
		page_paragraph(p, "what", INK_BOLD,
			       primary->message[0] ? primary->message
						   : finding_info(primary->id)->title);
	}
	fputc('\n', p->out);
	timeline_write(p, rc);
	if (primary) {
		struct blame bl = blamer_blame(b, rc->c, rc->x, primary);

		fputc('\n', p->out);
		write_blame(p, &bl);
		write_verdict(p, primary);
	}
	for (i = 0; i < rc->findings; i++)
		if (&rc->finding[i] != primary)
			write_also(p, &rc->finding[i]);
	fputc('\n', p->out);
}

void block_finding(const struct page *p, const struct image *img, const struct connection *c,
		   const struct finding *f, struct blamer *b)
{
	char left[200];

	if (c)
		snprintf(left, sizeof(left), "connection #%" PRIu32 "  %s %s  pid %" PRIu32, c->id,
			 who(c), c->peer[0] ? c->peer : "unknown", img->process.pid);
	else
		snprintf(left, sizeof(left), "the whole process  pid %" PRIu32, img->process.pid);
	page_rule(p, INK_BOLD, left, "");
	write_heading(p, f);
	page_paragraph(p, "what", INK_BOLD,
		       f->message[0] ? f->message : finding_info(f->id)->title);
	if (c && b) {
		struct blame bl = blamer_blame(b, c, NULL, f);

		write_blame(p, &bl);
	}
	write_verdict(p, f);
	fputc('\n', p->out);
}
