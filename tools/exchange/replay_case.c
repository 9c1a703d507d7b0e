/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/replay_case: which cases a file holds, what they expect, and whether a process shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/exchange/arena.h"
#include "tools/exchange/replay.h"

struct reader {
	const char *path;
	struct replay_file *f;
	size_t cap;
	unsigned line;
	char **error;
};

static bool fail(struct reader *r, const char *what, const char *word)
{
	if (asprintf(r->error, "%s:%u: %s%s", r->path, r->line, what, word) < 0)
		*r->error = NULL;
	return false;
}

/* ---- reading ---- */

static char *chomp(char *s)
{
	size_t n = strlen(s);

	while (n && (s[n - 1] == '\n' || s[n - 1] == '\r' || s[n - 1] == ' '))
		s[--n] = '\0';
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static void begin_case(struct reader *r, const char *rest)
{
	struct replay_case *c;
	int n = 0;

	r->f->item = array_grow(r->f->item, r->f->cases, &r->cap, sizeof(*r->f->item));
	c = &r->f->item[r->f->cases++];
	memset(c, 0, sizeof(*c));
	c->line = r->line;
	if (sscanf(rest, "%31s %n", c->name, &n) == 1)
		snprintf(c->title, sizeof(c->title), "%s", rest + n);
	c->text = strdup("");
}

/* Keep a line for replay_build, with its number in front. */
static bool keep_line(struct reader *r, struct replay_case *c, const char *s)
{
	char *text;

	if (asprintf(&text, "%s%u %s\n", c->text, r->line, s) < 0)
		return fail(r, "out of memory", "");
	free(c->text);
	c->text = text;
	return true;
}

static bool add_conn(struct reader *r, struct replay_case *c, const char *rest)
{
	if (c->conns == REPLAY_CONNECTIONS)
		return fail(r, "too many connections", "");
	if (sscanf(rest, "%11s", c->conn[c->conns]) != 1)
		return fail(r, "conn needs a name", "");
	c->conns++;
	return true;
}

/* "A", "A/1": fills conn name into name. */
static void split_place(const char *place, char name[REPLAY_NAME], unsigned *ret_exchange)
{
	const char *slash = strchr(place, '/');
	size_t n = slash ? (size_t)(slash - place) : strlen(place);

	snprintf(name, REPLAY_NAME, "%.*s", (int)n, place);
	*ret_exchange = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : 0;
}

static bool add_expect(struct reader *r, struct replay_case *c, enum replay_kind kind,
		       const char *rest)
{
	struct replay_expect *e = &c->expect[c->expects];
	char place[32] = "", what[80] = "", name[REPLAY_NAME];
	enum finding_id id;
	char *colon;
	int n;

	if (c->expects == REPLAY_EXPECT)
		return fail(r, "too many expectations", "");
	n = sscanf(rest, "%31s %79s", place, what);
	*e = (struct replay_expect){.kind = kind, .conn = -1, .line = r->line};
	if (n == 1 && strcmp(place, "none") == 0) {
		e->kind = REPLAY_NONE;
		c->expects++;
		return true;
	}
	if (n != 2)
		return fail(r, "write: expect A finding, or: expect none", "");
	split_place(place, name, &e->exchange);
	colon = strchr(what, ':');
	if (colon)
		*colon = '\0';
	snprintf(e->what, sizeof(e->what), "%s", what);
	if (strcmp(what, "none") == 0)
		e->kind = REPLAY_NONE;
	else if (kind != REPLAY_OUTCOME && kind != REPLAY_BLAME && !finding_from_name(what, &id))
		return fail(r, "no such finding: ", what);
	for (unsigned i = 0; i < c->conns; i++) {
		if (strcmp(c->conn[i], name) == 0)
			e->conn = (int)i;
	}
	if (e->conn < 0)
		return fail(r, "expect after the conn line; no connection is called ", name);
	snprintf(e->sub, sizeof(e->sub), "%s", colon ? colon + 1 : "");
	c->expects++;
	return true;
}

static bool read_line(struct reader *r, char *s)
{
	struct replay_case *c = r->f->cases ? &r->f->item[r->f->cases - 1] : NULL;

	if (!*s || *s == '#')
		return true;
	if (strncmp(s, "case ", 5) == 0) {
		begin_case(r, s + 5);
		return true;
	}
	if (!c)
		return fail(r, "a file begins with a case line, not with ", s);
	if (strncmp(s, "expect ", 7) == 0)
		return add_expect(r, c, REPLAY_PRIMARY, s + 7);
	if (strncmp(s, "also ", 5) == 0)
		return add_expect(r, c, REPLAY_ALSO, s + 5);
	if (strncmp(s, "injected ", 9) == 0)
		return add_expect(r, c, REPLAY_INJECTED, s + 9);
	if (strncmp(s, "outcome ", 8) == 0)
		return add_expect(r, c, REPLAY_OUTCOME, s + 8);
	if (strncmp(s, "blame ", 6) == 0)
		return add_expect(r, c, REPLAY_BLAME, s + 6);
	if (strcmp(s, "whole") == 0) {
		c->whole = true;
		return true;
	}
	if (strncmp(s, "conn ", 5) == 0 && !add_conn(r, c, s + 5))
		return false;
	return keep_line(r, c, s);
}

struct replay_file *replay_load(const char *path, char **ret_error)
{
	struct reader r = {.path = path, .error = ret_error};
	char *line = NULL;
	size_t room = 0;
	bool good = true;
	FILE *in = fopen(path, "re");

	*ret_error = NULL;
	if (!in) {
		fail(&r, strerror(errno), "");
		return NULL;
	}
	r.f = calloc(1, sizeof(*r.f));
	while (r.f && good && getline(&line, &room, in) > 0) {
		r.line++;
		good = read_line(&r, chomp(line));
	}
	free(line);
	fclose(in);
	if (good)
		return r.f;
	replay_free(r.f);
	return NULL;
}

void replay_free(struct replay_file *f)
{
	for (unsigned i = 0; f && i < f->cases; i++)
		free(f->item[i].text);
	if (f)
		free(f->item);
	free(f);
}

/* ---- checking ---- */

static const struct exchange *nth_attempt(const struct connection *c, unsigned n)
{
	for (uint32_t i = 0; i < c->exchanges; i++) {
		if (c->exchange[i].attempt && n-- == 0)
			return &c->exchange[i];
	}
	return NULL;
}

static const struct connection *conn_of(const struct image *img, int index)
{
	for (uint32_t i = 0; i < img->process.connections; i++) {
		if (img->process.connection[i].id == (uint32_t)index + 1)
			return &img->process.connection[i];
	}
	return NULL;
}

static char *listing(const struct finding *f, uint32_t n)
{
	char *s = strdup("");

	for (uint32_t i = 0; i < n && s; i++) {
		char *more;

		if (asprintf(&more, "%s\n    %s%s%s %s: %s", s, finding_info(f[i].id)->id,
			     f[i].sub ? ":" : "", f[i].sub ? f[i].sub : "",
			     severity_name(f[i].severity), f[i].message) < 0)
			more = NULL;
		free(s);
		s = more;
	}
	return s;
}

static bool disappointed(const struct replay_case *c, const struct replay_expect *e,
			 const struct finding *f, uint32_t n, const char *what, char **ret_error)
{
	char *all = listing(f, n);

	if (asprintf(ret_error, "case %s, line %u: expected %s%s%s%s, found%s", c->name, e->line,
		     e->what[0] ? e->what : "none", e->sub[0] ? ":" : "", e->sub, what,
		     n && all ? all : " nothing") < 0)
		*ret_error = NULL;
	free(all);
	return false;
}

/* Findings of one exchange, then those of its connection. */
static uint32_t collect(const struct image *img, const struct connection *c,
			const struct exchange *x, const struct finding_options *o,
			struct finding *ret)
{
	uint32_t n = x ? finding_detect(&img->process, x, o, ret) : 0;

	return n + finding_detect_connection(&img->process, c, o, ret + n);
}

static bool quiet(const struct replay_case *c, const struct replay_expect *e,
		  const struct image *img, const struct finding_options *o,
		  const struct connection *conn, const struct exchange *x, char **ret_error)
{
	static struct finding f[2 * FINDING_MAX];
	uint32_t n = collect(img, conn, x, o, f);

	for (uint32_t i = 0; i < n; i++) {
		if (f[i].severity >= SEVERITY_WARNING)
			return disappointed(c, e, f, n, "", ret_error);
	}
	return true;
}

static bool quiet_everywhere(const struct replay_case *c, const struct replay_expect *e,
			     const struct image *img, const struct finding_options *o,
			     char **ret_error)
{
	for (uint32_t i = 0; i < img->process.connections; i++) {
		const struct connection *conn = &img->process.connection[i];

		if (!quiet(c, e, img, o, conn, NULL, ret_error))
			return false;
		for (uint32_t j = 0; j < conn->exchanges; j++) {
			if (!quiet(c, e, img, o, conn, &conn->exchange[j], ret_error))
				return false;
		}
	}
	return true;
}

static bool sub_fits(const struct replay_expect *e, const struct finding *f)
{
	return !e->sub[0] || (f->sub && strcmp(e->sub, f->sub) == 0);
}

/* Does the first finding blame the entry of that witness?  "-": a call, no witness. */
static bool blames(const struct replay_expect *e, const struct connection *c,
		   const struct finding *f, uint32_t n)
{
	static const char *const ids[] = {
#define WITNESS(id, number, what, arguments, function) [number] = #id,
#include "core/trace/witness.def"
#undef WITNESS
	};
	const struct event *at;

	if (!n || f->blame_event >= c->events)
		return false;
	at = &c->event[f->blame_event];
	if (at->kind != EVENT_WITNESS)
		return strcmp(e->what, "-") == 0;
	return at->witness < CORE_ARRAY_LEN(ids) && strcasecmp(ids[at->witness], e->what) == 0;
}

/* What a rule explains is nobody's finding. */
static bool fits_kind(const struct replay_expect *e, const struct finding *f)
{
	if (e->kind == REPLAY_INJECTED)
		return f->injected_by[0] && f->severity == SEVERITY_INFO;
	return !f->injected_by[0] && (e->kind == REPLAY_ALSO || f->primary);
}

static bool check_one(const struct replay_case *c, const struct replay_expect *e,
		      const struct image *img, const struct finding_options *o, char **ret_error)
{
	static struct finding f[2 * FINDING_MAX];
	const struct connection *conn = conn_of(img, e->conn);
	const struct exchange *x = conn ? nth_attempt(conn, e->exchange) : NULL;
	enum finding_id id;
	uint32_t n;

	if (e->conn == -1)
		return quiet_everywhere(c, e, img, o, ret_error);
	if (!conn)
		return disappointed(c, e, f, 0, " (no such connection)", ret_error);
	if (e->kind == REPLAY_NONE)
		return quiet(c, e, img, o, conn, x, ret_error);
	if (e->kind == REPLAY_OUTCOME) {
		if (x && strcmp(outcome_name(x->outcome), e->what) == 0)
			return true;
		return disappointed(c, e, f, 0, x ? outcome_name(x->outcome) : " (no attempt)",
				    ret_error);
	}
	n = collect(img, conn, x, o, f);
	if (e->kind == REPLAY_BLAME)
		return blames(e, conn, f, n) ||
		       disappointed(c, e, f, n, " to be blamed", ret_error);
	finding_from_name(e->what, &id);
	for (uint32_t i = 0; i < n; i++) {
		if (f[i].id == id && sub_fits(e, &f[i]) && fits_kind(e, &f[i]))
			return true;
	}
	return disappointed(c, e, f, n,
			    e->kind == REPLAY_PRIMARY	 ? " as the primary finding"
			    : e->kind == REPLAY_INJECTED ? " explained by a rule"
							 : "",
			    ret_error);
}

bool replay_check(const struct replay_case *c, const struct image *img,
		  const struct finding_options *o, char **ret_error)
{
	*ret_error = NULL;
	for (unsigned i = 0; i < c->expects; i++) {
		if (!check_one(c, &c->expect[i], img, o, ret_error))
			return false;
	}
	return true;
}
