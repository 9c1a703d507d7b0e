/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/replay: cases as text.  Parses the language and writes the trace with the same append that
 * the engine uses; what is wrong with a case is said with its line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "core/trace/append.h"
#include "tools/exchange/arena.h"
#include "tools/exchange/replay.h"

enum {
	REPLAY_TRACE = 16 << 20,
	REPLAY_BYTES = 256 << 10, /* one call */
	REPLAY_VARS = 16,
	REPLAY_START = 1000000000, /* the clock of a case starts here */
};

struct bytes {
	uint8_t *p;
	size_t n;
};

struct variable {
	char name[24];
	struct bytes value;
};

struct player {
	const struct replay_case *c;
	struct image *img;
	struct trace_header *h;
	unsigned cut, line;
	char **error;
	uint64_t off[REPLAY_CONNECTIONS][2];
	uint64_t raw[REPLAY_CONNECTIONS][2]; /* of them, told without the lock since others were */
	struct variable var[REPLAY_VARS];
	unsigned vars;
	struct bytes out; /* of the line being read */
	uint64_t t;
	uint32_t tid;
	uint64_t stack;
	uint16_t flags;
	bool bad;
};

/* ---- words of a line ---- */

static void wrong(struct player *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct player *p, const char *format, ...)
{
	char text[200];
	va_list ap;

	if (p->bad)
		return;
	p->bad = true;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (asprintf(p->error, "case %s, line %u: %s", p->c->name, p->line, text) < 0)
		*p->error = NULL;
}

static const char *skip_blank(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* The next word of *s; what does not fit is cut off. */
static bool word(const char **s, char *ret, size_t size)
{
	size_t n = 0;

	*s = skip_blank(*s);
	while (**s && **s != ' ' && **s != '\t') {
		if (n + 1 < size)
			ret[n++] = **s;
		(*s)++;
	}
	ret[n] = '\0';
	return n != 0;
}

static void put(struct player *p, const void *from, size_t n)
{
	if (n > REPLAY_BYTES - p->out.n) {
		wrong(p, "more than %d bytes in one call", REPLAY_BYTES);
		return;
	}
	memcpy(p->out.p + p->out.n, from, n);
	p->out.n += n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_pair(const char *s, uint8_t *ret)
{
	if (hex_digit(s[0]) < 0 || hex_digit(s[1]) < 0)
		return false;
	*ret = (uint8_t)(hex_digit(s[0]) << 4 | hex_digit(s[1]));
	return true;
}

static const struct bytes *variable(struct player *p, const char *name, size_t n)
{
	for (unsigned i = 0; i < p->vars; i++) {
		if (strlen(p->var[i].name) == n && memcmp(p->var[i].name, name, n) == 0)
			return &p->var[i].value;
	}
	return NULL;
}

/* "$NAME": its bytes. */
static const char *put_variable(struct player *p, const char *s)
{
	size_t n = strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	const struct bytes *v = variable(p, s + 1, n);

	if (v)
		put(p, v->p, v->n);
	else
		wrong(p, "nobody defined %.*s", (int)n + 1, s);
	return s + 1 + n;
}

static const char *put_quoted(struct player *p, const char *s)
{
	for (s++; *s && *s != '"'; s++) {
		uint8_t c = (uint8_t)*s;

		if (*s == '$' && s[1] >= 'A' && s[1] <= 'Z') {
			s = put_variable(p, s) - 1;
			continue;
		}
		if (*s == '\\' && s[1]) {
			s++;
			if (*s == 'x' && hex_pair(s + 1, &c))
				s += 2;
			else
				c = *s == 'r'	? '\r'
				    : *s == 'n' ? '\n'
				    : *s == 't' ? '\t'
						: (uint8_t)*s;
		}
		put(p, &c, 1);
	}
	if (*s != '"')
		wrong(p, "the quote does not end");
	return *s ? s + 1 : s;
}

/* Bytes: "text with \r\n \x00 and $NAME", $NAME, hex 81 05, repeat N. */
static void put_bytes(struct player *p, const char *s)
{
	p->out.n = 0;
	for (s = skip_blank(s); *s && !p->bad; s = skip_blank(s)) {
		uint8_t c;
		char *end;

		if (*s == '"') {
			s = put_quoted(p, s);
		} else if (*s == '$') {
			s = put_variable(p, s);
		} else if (strncmp(s, "hex", 3) == 0 && (s[3] == ' ' || !s[3])) {
			s += 3;
		} else if (strncmp(s, "repeat ", 7) == 0) { /* the byte before, N times more */
			for (unsigned long n = strtoul(s + 7, &end, 10); n && p->out.n; n--)
				put(p, p->out.p + p->out.n - 1, 1);
			s = end;
		} else if (hex_pair(s, &c) && (s[2] == ' ' || !s[2])) {
			put(p, &c, 1);
			s += 2;
		} else {
			wrong(p, "not bytes: %.20s", s);
		}
	}
}

static void define(struct player *p, const char *name, const char *bytes)
{
	struct variable *v = &p->var[p->vars];

	put_bytes(p, bytes);
	if (p->bad || p->vars == REPLAY_VARS) {
		wrong(p, "more than %d definitions", REPLAY_VARS);
		return;
	}
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->value.p = arena_copy(p->img->arena, p->out.p, p->out.n);
	v->value.n = p->out.n;
	p->vars++;
}

static void define_standard(struct player *p)
{
	static const char *const standard[][2] = {
		{"KEY", "\"dGhlIHNhbXBsZSBub25jZQ==\""},
		{"ACCEPT", "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\""},
		{"REQUEST",
		 "\"GET /chat HTTP/1.1\\r\\nHost: a.example\\r\\nUpgrade: websocket\\r\\n"
		 "Connection: keep-alive, Upgrade\\r\\nSec-WebSocket-Key: $KEY\\r\\n"
		 "Sec-WebSocket-Version: 13\\r\\n\\r\\n\""},
		{"SWITCH", "\"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
			   "Connection: Upgrade\\r\\nSec-WebSocket-Accept: $ACCEPT\\r\\n\\r\\n\""},
		{"SERVER_TEXT", "81 05 \"hello\""},
		{"CLIENT_TEXT", "81 85 00 00 00 00 \"hello\""},
		{"SERVER_CLOSE", "88 02 03 e8"},
		{"CLIENT_CLOSE", "88 82 00 00 00 00 03 e8"},
	};

	for (unsigned i = 0; i < CORE_ARRAY_LEN(standard); i++)
		define(p, standard[i][0], standard[i][1]);
}

/* "+10ms", "+60s", "+1.5s", "+200us": nanoseconds since the case began. */
static uint64_t read_time(struct player *p, const char *s)
{
	char nothing[] = "", *unit = nothing;
	double v = *s == '+' ? strtod(s + 1, &unit) : -1;

	if (v >= 0 && strcmp(unit, "us") == 0)
		return REPLAY_START + (uint64_t)(v * 1e3);
	if (v >= 0 && strcmp(unit, "ms") == 0)
		return REPLAY_START + (uint64_t)(v * 1e6);
	if (v >= 0 && strcmp(unit, "s") == 0)
		return REPLAY_START + (uint64_t)(v * 1e9);
	wrong(p, "not a time: %s (write +10ms, +60s)", s);
	return 0;
}

/* ---- records ---- */

static void *record(struct player *p, enum trace_kind kind, size_t size)
{
	unsigned need;
	struct trace_record *r = trace_reserve(p->h, kind, size, &need);

	if (!r)
		wrong(p, "the case is larger than its trace");
	return r;
}

static int conn_index(const struct replay_case *c, const char *name)
{
	for (unsigned i = 0; i < c->conns; i++) {
		if (strcmp(c->conn[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static void put_one_data(struct player *p, int conn, enum dir dir, const uint8_t *from, size_t n,
			 bool seen)
{
	size_t size = sizeof(struct trace_data) +
		      (seen ? sizeof(struct trace_segment) + CORE_ALIGN8(n) : 0);
	struct trace_data *d = record(p, TRACE_DATA, size);
	struct trace_segment *s;

	if (!d)
		return;
	d->rec.flags = p->flags;
	d->t_ns = p->t;
	if (!(p->flags & TRACE_DATA_RAW))
		p->raw[conn][dir] = 0;
	d->off = p->off[conn][dir] - p->raw[conn][dir];
	if (p->flags & TRACE_DATA_RAW)
		p->raw[conn][dir] += n;
	d->conn = (uint32_t)conn + 1;
	d->tid = p->tid;
	d->stack = p->stack;
	d->moved = (uint32_t)n;
	d->dir = (uint8_t)dir;
	if (seen) {
		d->segments = 1;
		s = (struct trace_segment *)(d + 1);
		s->len = (uint32_t)n;
		memcpy(s + 1, from, n);
	}
	p->off[conn][dir] += n;
	trace_publish(&d->rec);
}

static void put_data(struct player *p, int conn, enum dir dir, const char *what)
{
	size_t at = 0, step = p->cut ? p->cut : TRACE_RECORD_MAX / 2;

	put_bytes(p, what);
	while (at < p->out.n && !p->bad) {
		size_t n = p->out.n - at < step ? p->out.n - at : step;

		put_one_data(p, conn, dir, p->out.p + at, n, true);
		at += n;
	}
}

static void put_result(struct player *p, int conn, enum dir dir, enum trace_result_what what,
		       int err)
{
	struct trace_result *r = record(p, TRACE_RESULT, sizeof(*r));

	if (!r)
		return;
	r->t_ns = p->t;
	r->conn = (uint32_t)conn + 1;
	r->tid = p->tid;
	r->stack = p->stack;
	r->dir = (uint8_t)dir;
	r->what = (uint8_t)what;
	r->err = err;
	trace_publish(&r->rec);
}

static void put_close(struct player *p, int conn, enum trace_close_what what, bool unread)
{
	struct trace_close *r = record(p, TRACE_CLOSE, sizeof(*r));

	if (!r)
		return;
	r->t_ns = p->t;
	r->conn = (uint32_t)conn + 1;
	r->tid = p->tid;
	r->stack = p->stack;
	r->what = (uint8_t)what;
	r->how = SHUT_WR;
	r->unread = unread;
	r->left = what == TRACE_DUPED;
	trace_publish(&r->rec);
}

static void put_text(struct player *p, int conn, const char *what)
{
	struct trace_text *r;

	put_bytes(p, what);
	r = p->bad ? NULL : record(p, TRACE_TEXT, sizeof(*r) + CORE_ALIGN8(p->out.n));
	if (!r)
		return;
	r->t_ns = p->t;
	r->conn = (uint32_t)(conn + 1); /* 0 for "-" */
	r->tid = p->tid;
	r->fd = 2;
	r->len = (uint32_t)p->out.n;
	memcpy(r + 1, p->out.p, p->out.n);
	trace_publish(&r->rec);
}

/* witness ID [ARGUMENT]: the row of witness.def in lower case, by goroutine 34. */
static void put_witness(struct player *p, int conn, const char *s)
{
	static const struct {
		const char *id;
		uint16_t number;
	} rows[] = {
#define WITNESS(id, number, what, arguments, function) {#id, number},
#include "core/trace/witness.def"
#undef WITNESS
	};
	char w[32];
	unsigned i = 0;
	struct trace_witness *r;

	word(&s, w, sizeof(w));
	while (i < CORE_ARRAY_LEN(rows) && strcasecmp(rows[i].id, w) != 0)
		i++;
	if (i == CORE_ARRAY_LEN(rows)) {
		wrong(p, "no witness is called %s", w);
		return;
	}
	r = record(p, TRACE_WITNESS, sizeof(*r));
	if (!r)
		return;
	r->t_ns = p->t;
	r->stack = p->stack;
	r->task = 0xc000001000;
	r->goid = 34;
	r->arg[0] = strtoull(s, NULL, 10);
	r->conn = (uint32_t)conn + 1;
	r->tid = p->tid;
	r->witness = rows[i].number;
	trace_publish(&r->rec);
}

/* fault rx|tx PHASE FAULT acted|began|ended|shadowed|failed [VALUE]: what the rule "rule" did, at the byte
 * that comes next in that direction.  The value of a wait is a time. */
static void put_fault(struct player *p, int conn, const char *s)
{
	static const char *const whats[] = {
		[TRACE_FAULT_ACTED] = "acted",	 [TRACE_FAULT_BEGAN] = "began",
		[TRACE_FAULT_ENDED] = "ended",	 [TRACE_FAULT_SHADOWED] = "shadowed",
		[TRACE_FAULT_FAILED] = "failed",
	};
	char dir[8], phase[24], fault[16], what[16], value[24];
	struct trace_fault *r = record(p, TRACE_FAULT, sizeof(*r));
	unsigned i = 0;

	if (!r)
		return;
	word(&s, dir, sizeof(dir));
	word(&s, phase, sizeof(phase));
	word(&s, fault, sizeof(fault));
	word(&s, what, sizeof(what));
	while (i < CORE_ARRAY_LEN(whats) && strcmp(whats[i], what) != 0)
		i++;
	if (i == CORE_ARRAY_LEN(whats))
		wrong(p, "a fault does not '%s'", what);
	if (word(&s, value, sizeof(value)))
		r->value = i == TRACE_FAULT_BEGAN || i == TRACE_FAULT_ENDED
				   ? (int64_t)read_time(p, value)
				   : strtoll(value, NULL, 10);
	r->t_ns = p->t;
	r->stack = p->stack;
	r->conn = (uint32_t)conn + 1;
	r->tid = p->tid;
	r->what = (uint8_t)i;
	r->legal = 1;
	r->dir = strcmp(dir, "tx") == 0 ? DIR_TX : DIR_RX;
	r->off = p->off[conn][r->dir];
	while (r->phase < PHASE_COUNT && strcmp(phase_name((enum phase)r->phase), phase) != 0)
		r->phase++;
	if (r->phase == PHASE_COUNT)
		wrong(p, "no phase is called %s", phase);
	snprintf(r->name, sizeof(r->name), "rule");
	snprintf(r->fault_name, sizeof(r->fault_name), "%s", fault);
	trace_publish(&r->rec);
}

static void put_process(struct player *p, enum trace_process_what what)
{
	struct trace_process *r = record(p, TRACE_PROCESS, sizeof(*r));

	if (!r)
		return;
	r->t_ns = p->t;
	r->what = what;
	r->tid = p->tid;
	trace_publish(&r->rec);
}

static void put_lost(struct player *p)
{
	struct trace_lost *r = record(p, TRACE_LOST, sizeof(*r));

	if (!r)
		return;
	r->t_ns = p->t;
	r->events = 1;
	trace_publish(&r->rec);
}

static void read_address(struct player *p, const char *s, struct trace_address *ret)
{
	unsigned a[4], port;
	char ip[INET6_ADDRSTRLEN];

	if (sscanf(s, "[%45[0-9a-f:.]]:%u", ip, &port) == 2 && inet_pton(AF_INET6, ip, ret->ip)) {
		ret->family = AF_INET6;
		ret->port = (uint16_t)port;
		return;
	}
	if (sscanf(s, "%u.%u.%u.%u:%u", &a[0], &a[1], &a[2], &a[3], &port) != 5) {
		wrong(p, "not an address: %s (write 10.0.0.1:80)", s);
		return;
	}
	ret->family = AF_INET;
	ret->port = (uint16_t)port;
	for (int i = 0; i < 4; i++)
		ret->ip[i] = (uint8_t)a[i];
}

/* conn NAME server|client [+TIME] [peer=ADDRESS] [local=ADDRESS] [inherited] */
static void put_open(struct player *p, const char *s)
{
	char name[REPLAY_NAME], w[64];
	struct trace_open *r;
	int conn;

	word(&s, name, sizeof(name));
	conn = conn_index(p->c, name);
	r = conn < 0 ? NULL : record(p, TRACE_OPEN, sizeof(*r));
	if (!r)
		return;
	r->conn = (uint32_t)conn + 1;
	r->cookie = 1000 + (uint64_t)conn;
	r->fd = 10 + (uint32_t)conn;
	r->listener = UINT32_MAX;
	r->t_ns = REPLAY_START;
	r->tid = 1;
	while (word(&s, w, sizeof(w))) {
		if (strcmp(w, "server") == 0 || strcmp(w, "client") == 0)
			r->role = w[0] == 's' ? ROLE_SERVER : ROLE_CLIENT;
		else if (strcmp(w, "inherited") == 0)
			r->origin = TRACE_INHERITED;
		else if (w[0] == '+')
			r->t_ns = read_time(p, w);
		else if (strncmp(w, "peer=", 5) == 0)
			read_address(p, w + 5, &r->peer);
		else if (strncmp(w, "local=", 6) == 0)
			read_address(p, w + 6, &r->local);
		else
			wrong(p, "what is %s?", w);
	}
	trace_publish(&r->rec);
}

/* ---- lines ---- */

/* [tid=N] [stack=N] [overlap] [raw] before the call. */
static void read_marks(struct player *p, const char **s)
{
	p->tid = 1;
	p->stack = 0;
	p->flags = 0;
	for (;;) {
		const char *at = *s = skip_blank(*s);
		char w[32];

		word(&at, w, sizeof(w));
		if (strncmp(w, "tid=", 4) == 0)
			p->tid = (uint32_t)strtoul(w + 4, NULL, 10);
		else if (strncmp(w, "stack=", 6) == 0)
			p->stack = strtoul(w + 6, NULL, 10);
		else if (strcmp(w, "overlap") == 0)
			p->flags |= TRACE_DATA_OVERLAP;
		else if (strcmp(w, "raw") == 0)
			p->flags |= TRACE_DATA_RAW;
		else
			return;
		*s = at;
	}
}

static void play_process(struct player *p, const char *verb, const char *s)
{
	if (strcmp(verb, "text") == 0)
		put_text(p, -1, s);
	else if (strcmp(verb, "fork") == 0)
		put_process(p, TRACE_FORKED);
	else if (strcmp(verb, "lost") == 0)
		put_lost(p);
	else if (strcmp(verb, "signal") == 0)
		p->img->process.t_signal = p->t;
	else
		wrong(p, "what is %s?", verb);
}

static void play_call(struct player *p, int conn, const char *verb, const char *s)
{
	static const struct {
		const char *verb;
		int err;
	} errors[] = {{"reset", ECONNRESET}, {"broken", EPIPE}};
	char w[16] = "";

	if (strcmp(verb, "rx") == 0)
		put_data(p, conn, DIR_RX, s);
	else if (strcmp(verb, "tx") == 0)
		put_data(p, conn, DIR_TX, s);
	else if (strcmp(verb, "unseen-rx") == 0)
		put_one_data(p, conn, DIR_RX, NULL, strtoul(s, NULL, 10), false);
	else if (strcmp(verb, "unseen-tx") == 0)
		put_one_data(p, conn, DIR_TX, NULL, strtoul(s, NULL, 10), false);
	else if (strcmp(verb, "skip-rx") == 0) /* moved, and left no record at all */
		p->off[conn][DIR_RX] += strtoul(s, NULL, 10);
	else if (strcmp(verb, "skip-tx") == 0)
		p->off[conn][DIR_TX] += strtoul(s, NULL, 10);
	else if (strcmp(verb, "eof") == 0)
		put_result(p, conn, DIR_RX, TRACE_EOF, 0);
	else if (strcmp(verb, "wait") == 0)
		put_result(p, conn, DIR_RX, TRACE_WAITING, 0);
	else if (strcmp(verb, errors[0].verb) == 0)
		put_result(p, conn, DIR_RX, TRACE_ERROR, errors[0].err);
	else if (strcmp(verb, errors[1].verb) == 0)
		put_result(p, conn, DIR_TX, TRACE_ERROR, errors[1].err);
	else if (strcmp(verb, "shutdown") == 0)
		put_close(p, conn, TRACE_SHUT, false);
	else if (strcmp(verb, "dup") == 0)
		put_close(p, conn, TRACE_DUPED, false);
	else if (strcmp(verb, "close") == 0) {
		word(&s, w, sizeof(w));
		put_close(p, conn, strcmp(w, "unseen") == 0 ? TRACE_CLOSE_UNSEEN : TRACE_CLOSED,
			  strcmp(w, "unread") == 0);
	} else if (strcmp(verb, "text") == 0)
		put_text(p, conn, s);
	else if (strcmp(verb, "witness") == 0)
		put_witness(p, conn, s);
	else if (strcmp(verb, "fault") == 0)
		put_fault(p, conn, s);
	else
		wrong(p, "what is %s?", verb);
}

static void play_end(struct player *p, const char *s)
{
	struct process *pr = &p->img->process;
	char w[32];

	word(&s, w, sizeof(w));
	pr->t_end = read_time(p, w);
	pr->alive = !word(&s, w, sizeof(w));
	if (pr->alive)
		return;
	pr->exited = pr->status_known = true;
	word(&s, w, sizeof(w));
	pr->exit_status = (int)(strtol(w, NULL, 10) << 8);
}

static void play_line(struct player *p, const char *s)
{
	char w[32], name[REPLAY_NAME], verb[16];
	int conn;

	word(&s, w, sizeof(w));
	if (strcmp(w, "conn") == 0) {
		put_open(p, s);
	} else if (strcmp(w, "let") == 0) {
		word(&s, w, sizeof(w));
		define(p, w, s);
	} else if (strcmp(w, "end") == 0) {
		play_end(p, s);
	} else if (w[0] == '+') {
		p->t = read_time(p, w);
		word(&s, name, sizeof(name));
		read_marks(p, &s);
		word(&s, verb, sizeof(verb));
		conn = conn_index(p->c, name);
		if (strcmp(name, "-") == 0)
			play_process(p, verb, s);
		else if (conn < 0)
			wrong(p, "no connection is called %s", name);
		else
			play_call(p, conn, verb, s);
	} else {
		wrong(p, "what is %s?", w);
	}
}

static void play_lines(struct player *p)
{
	char *text = strdup(p->c->text), *save = NULL;

	p->line = p->c->line;
	for (char *s = strtok_r(text, "\n", &save); s && !p->bad; s = strtok_r(NULL, "\n", &save)) {
		p->line = (unsigned)strtoul(s, &s, 10);
		play_line(p, s);
	}
	free(text);
}

/* ---- the trace around them ---- */

static void *trace_new(uint64_t size)
{
	struct trace_header *h = mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (h == MAP_FAILED)
		return NULL;
	trace_layout(h, REPLAY_TRACE);
	h->pid = 1;
	h->t_load = h->t_created = REPLAY_START;
	h->half[0].populated = h->half_size;
	return h;
}

bool replay_build(const struct replay_case *c, unsigned cut, const struct finding_options *o,
		  struct image *ret, char **ret_error)
{
	uint64_t size = trace_file_size(REPLAY_TRACE);
	struct player p = {.c = c, .img = ret, .cut = cut, .error = ret_error, .tid = 1};
	struct arena *scratch = arena_new();

	*ret_error = NULL;
	*ret = (struct image){.path = c->name, .len = size, .file = trace_new(size)};
	if (!ret->file) {
		arena_free(scratch);
		return false;
	}
	ret->arena = scratch;
	p.h = (struct trace_header *)(uintptr_t)ret->file;
	p.out.p = arena_alloc(scratch, REPLAY_BYTES);
	define_standard(&p);
	play_lines(&p);
	ret->arena = NULL;
	arena_free(scratch);
	if (!p.bad && image_build(ret, o, ret_error))
		return true;
	replay_done(ret);
	return false;
}

void replay_done(struct image *img)
{
	image_done(img);
	if (img->file)
		munmap((void *)(uintptr_t)img->file, img->len);
	*img = (struct image){0};
}
