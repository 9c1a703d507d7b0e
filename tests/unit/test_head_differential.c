/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_head_differential: the head scanner beside Debian's libhttp-parser, on the corpus of
 * tests/cases/heads and on seeded mutations of it.
 *
 * Where both find a head they must agree on its end, its parts and what follows from its fields.
 * Where only one finds a head the pair must be a row of the table of differences, with its reason.
 * Run from the root of the source tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
/* The two headers use the same names for different things; theirs are renamed. */
#define http_method   their_http_method
#define HTTP_REQUEST  their_HTTP_REQUEST
#define HTTP_RESPONSE their_HTTP_RESPONSE
#define HTTP_GET      their_HTTP_GET
#define HTTP_HEAD     their_HTTP_HEAD
#define HTTP_POST     their_HTTP_POST
#define HTTP_PUT      their_HTTP_PUT
#define HTTP_DELETE   their_HTTP_DELETE
#define HTTP_CONNECT  their_HTTP_CONNECT
#define HTTP_OPTIONS  their_HTTP_OPTIONS
#define HTTP_PATCH    their_HTTP_PATCH
#include <http_parser.h>
#undef http_method
#undef HTTP_REQUEST
#undef HTTP_RESPONSE
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_DELETE
#undef HTTP_CONNECT
#undef HTTP_OPTIONS
#undef HTTP_PATCH

#include "core/http/view.h"

#define CORPUS "tests/cases/heads"

enum {
	HEADS_WANTED = 60,
	HEADS_MAX = 256,
	BYTES_MAX = 4096,
	FIELDS_MAX = 64,
	MUTATIONS = 40000,
};

struct input {
	char name[64];
	enum http_kind kind;
	bool mutated;
	size_t n;
	uint8_t bytes[BYTES_MAX];
};

static struct input corpus[HEADS_MAX];
static unsigned corpus_n;

/* ---- what a scanner found, in comparable form ---- */

struct text {
	size_t n;
	char s[BYTES_MAX];
};

struct found {
	enum http_state state;
	int error;
	size_t end;
	struct text method, target;
	unsigned status, minor, fields;
	struct text name[FIELDS_MAX], value[FIELDS_MAX];
	bool old; /* HTTP/0.9: they go on to fields, which it does not have */
	bool chunked, has_length, conflict, upgrade, c_close, c_keep, c_upgrade;
	uint64_t length;
};

static struct found ours, theirs;

static void append(struct text *t, const void *p, size_t n)
{
	assert_true(t->n + n <= sizeof(t->s));
	if (n)
		memcpy(t->s + t->n, p, n);
	t->n += n;
}

/* Blanks and line ends are left out: the two treat the ends of a fold, and blanks behind a name,
 * differently. */
static void append_dense(struct text *t, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!memchr(" \t\r\n", p[i], 4))
			append(t, p + i, 1);
	}
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static void found_init(struct found *f)
{
	f->state = HTTP_MORE;
	f->error = 0;
	f->end = 0;
	f->method.n = f->target.n = 0;
	f->status = f->minor = f->fields = 0;
	f->chunked = f->has_length = f->conflict = f->upgrade = false;
	f->c_close = f->c_keep = f->c_upgrade = false;
}

/* ---- ours ---- */

static void our_part(void *ctx, enum http_part part, uint32_t start, uint32_t end)
{
	const uint8_t *p = (const uint8_t *)ctx + start;

	switch (part) {
	case HTTP_PART_METHOD:
		append(&ours.method, p, end - start);
		break;
	case HTTP_PART_TARGET:
		append(&ours.target, p, end - start);
		break;
	case HTTP_PART_NAME:
		if (ours.fields == FIELDS_MAX)
			return;
		ours.name[ours.fields].n = ours.value[ours.fields].n = 0;
		append_dense(&ours.name[ours.fields], p, end - start);
		break;
	case HTTP_PART_VALUE:
		if (ours.fields < FIELDS_MAX)
			append_dense(&ours.value[ours.fields++], p, end - start);
		break;
	default:
		break;
	}
}

static void run_ours(const struct input *in)
{
	struct http_head h;

	found_init(&ours);
	http_head_init(&h, in->kind);
	ours.end = http_head_feed(&h, in->bytes, in->n, our_part, (void *)in->bytes);
	ours.state = (enum http_state)h.state;
	ours.error = h.error;
	ours.status = h.status;
	ours.minor = h.version & 15;
	ours.chunked = h.flags & HTTP_CHUNKED;
	ours.conflict = h.flags & HTTP_LENGTH_CONFLICT;
	ours.has_length = h.flags & HTTP_CONTENT_LENGTH;
	ours.length = h.content_length;
	ours.upgrade = h.flags & HTTP_UPGRADE;
	ours.c_close = h.flags & HTTP_CONN_CLOSE;
	ours.c_keep = h.flags & HTTP_CONN_KEEP_ALIVE;
	ours.c_upgrade = h.flags & HTTP_CONN_UPGRADE;
	ours.old = h.version == 0x09;
}

/* ---- theirs ---- */

static bool in_value; /* the last callback was of a value */

static int their_url(http_parser *p, const char *at, size_t n)
{
	append(&theirs.target, at, n);
	return 0;
}

static int their_name(http_parser *p, const char *at, size_t n)
{
	if (in_value || !theirs.fields) {
		assert_true(theirs.fields < FIELDS_MAX);
		theirs.name[theirs.fields].n = theirs.value[theirs.fields].n = 0;
		theirs.fields++;
	}
	in_value = false;
	append_dense(&theirs.name[theirs.fields - 1], (const uint8_t *)at, n);
	return 0;
}

static int their_value(http_parser *p, const char *at, size_t n)
{
	in_value = true;
	append_dense(&theirs.value[theirs.fields - 1], (const uint8_t *)at, n);
	return 0;
}

static int their_end(http_parser *p)
{
	const char *method = http_method_str((enum their_http_method)p->method);

	theirs.state = HTTP_DONE;
	theirs.status = p->status_code;
	theirs.minor = p->http_minor > 0;
	theirs.chunked = p->flags & F_CHUNKED;
	theirs.has_length = p->flags & F_CONTENTLENGTH;
	theirs.length = p->content_length;
	theirs.upgrade = p->flags & F_UPGRADE;
	theirs.c_close = p->flags & F_CONNECTION_CLOSE;
	theirs.c_keep = p->flags & F_CONNECTION_KEEP_ALIVE;
	theirs.c_upgrade = p->flags & F_CONNECTION_UPGRADE;
	if (p->type == their_HTTP_REQUEST)
		append(&theirs.method, method, strlen(method));
	return 0;
}

/* Fed byte by byte, so that the end of the head is known exactly. */
static void run_theirs(const struct input *in)
{
	http_parser_settings settings;
	http_parser p;

	found_init(&theirs);
	in_value = false;
	http_parser_settings_init(&settings);
	settings.on_url = their_url;
	settings.on_header_field = their_name;
	settings.on_header_value = their_value;
	settings.on_headers_complete = their_end;
	http_parser_init(&p, in->kind == HTTP_REQUEST ? their_HTTP_REQUEST : their_HTTP_RESPONSE);
	while (theirs.end < in->n && theirs.state == HTTP_MORE) {
		http_parser_execute(&p, &settings, (const char *)in->bytes + theirs.end, 1);
		theirs.error = HTTP_PARSER_ERRNO(&p);
		if (theirs.state == HTTP_DONE)
			theirs.error = HPE_OK; /* of what follows the head */
		else if (theirs.error)
			theirs.state = HTTP_BAD;
		theirs.end += theirs.state != HTTP_BAD;
	}
}

/* ---- where they may differ ---- */

/* One of the two goes on or finds a head, the other refuses with error. */
struct difference {
	int error; /* enum http_errno in lenient, enum http_error in strict */
	const char *reason;
	unsigned seen;
};

static struct difference lenient[] = {
	/* we go on, they refuse */
	{HPE_INVALID_METHOD, "they know a list of methods, we take any token", 0},
	{HPE_INVALID_URL, "they parse the target, we only find its end", 0},
	{HPE_INVALID_HEADER_TOKEN,
	 "we pass over names and values of odd bytes and lines without a colon, as nginx does", 0},
	{HPE_INVALID_CONTENT_LENGTH, "we flag a length that is no number", 0},
	{HPE_UNEXPECTED_CONTENT_LENGTH, "we flag lengths that contradict, equal ones are one", 0},
	{HPE_INVALID_VERSION, "we allow blanks behind a version, as nginx does", 0},
};

static struct difference strict[] = {
	/* they go on, we refuse */
	{HTTP_ERR_VERSION, "they take any version of one digit, we only 1.x", 0},
	{HTTP_ERR_STATUS, "they take a status of fewer digits, or none", 0},
	{HTTP_ERR_CONTROL, "they do not look at every byte of a reason or a value", 0},
	{HTTP_ERR_FIELD_NAME, "they take a first field that starts with a blank", 0},
	{HTTP_ERR_START_LINE, "without strict mode they do not look at every letter of HTTP", 0},
};

static bool is_known(struct difference *row, unsigned n, int error)
{
	for (unsigned i = 0; i < n; i++) {
		if (row[i].error == error) {
			row[i].seen++;
			return true;
		}
	}
	return false;
}

static void show(const struct input *in, const char *what)
{
	char text[4 * BYTES_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++) {
		uint8_t c = in->bytes[i];

		n += (size_t)sprintf(text + n,
				     c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
	}
	text[n] = '\0';
	fail_msg("%s: %s\n  ours: state %d error %d end %zu, theirs: state %d %s end %zu\n  %s",
		 in->name, what, ours.state, ours.error, ours.end, theirs.state,
		 http_errno_name((enum http_errno)theirs.error), theirs.end, text);
}

static void compare_fields(const struct input *in)
{
	if (ours.fields != theirs.fields)
		show(in, "number of fields");
	for (unsigned i = 0; i < ours.fields; i++) {
		if (!same_text(&ours.name[i], &theirs.name[i]))
			show(in, "name of a field");
		if (!same_text(&ours.value[i], &theirs.value[i]))
			show(in, "value of a field");
	}
}

static bool is_named(const struct text *name, const char *want)
{
	return name->n == strlen(want) && !strncasecmp(name->s, want, name->n);
}

/* They take an Upgrade field without a value for none. */
static bool upgrade_says_something(void)
{
	for (unsigned i = 0; i < ours.fields; i++) {
		if (is_named(&ours.name[i], "upgrade") && ours.value[i].n)
			return true;
	}
	return false;
}

/* They read no further in a list when an element is no token, or the first one is empty; we go on to
 * the next element. */
static bool list_is_odd(const char *name)
{
	for (unsigned i = 0; i < ours.fields; i++) {
		for (size_t k = 0; is_named(&ours.name[i], name) && k < ours.value[i].n; k++) {
			uint8_t c = (uint8_t)ours.value[i].s[k];

			if (c == ',' ? k == 0 : !http_is_token(c))
				return true;
		}
	}
	return false;
}

/* Is the last element of all fields of that name the word? */
static bool list_ends_in(const struct http_view *v, const char *name, const char *word)
{
	const struct http_field *f;
	bool last = false;

	for (unsigned nth = 0; (f = http_view_field(v, name, nth)); nth++) {
		struct span item;
		size_t at = 0;

		while (http_list_next(f->value, &at, &item))
			last = span_is_nocase(item, word);
	}
	return last;
}

/* Their matching of lists has lapses (an element that starts like a known word, a fold after a comma),
 * so on mutated heads ours is held against the lists walked element by element instead. */
static void compare_lists(const struct input *in)
{
	static struct http_view v;

	http_view_parse(&v, in->kind, (struct span){in->bytes, in->n});
	if (!list_is_odd("connection") &&
	    (ours.c_close != http_view_has_token(&v, "connection", "close") ||
	     ours.c_keep != http_view_has_token(&v, "connection", "keep-alive") ||
	     ours.c_upgrade != http_view_has_token(&v, "connection", "upgrade")))
		show(in, "Connection, beside its list");
	if (!list_is_odd("transfer-encoding") &&
	    ours.chunked != list_ends_in(&v, "transfer-encoding", "chunked"))
		show(in, "Transfer-Encoding, beside its list");
	if (in->mutated)
		return;
	if (ours.c_close != theirs.c_close || ours.c_keep != theirs.c_keep ||
	    ours.c_upgrade != theirs.c_upgrade)
		show(in, "Connection");
	if (ours.chunked != theirs.chunked)
		show(in, "chunked");
}

static void compare_meaning(const struct input *in)
{
	if (theirs.upgrade != (ours.upgrade && upgrade_says_something()))
		show(in, "Upgrade");
	if (!ours.conflict && (ours.has_length != theirs.has_length ||
			       (ours.has_length && ours.length != theirs.length)))
		show(in, "Content-Length");
	compare_lists(in);
}

/* Debian builds theirs without its strict mode: the byte behind a carriage return is then taken for a
 * line feed unseen, so heads end in other places.  We want a line feed, as every server does. */
static bool has_lone_cr(const struct input *in)
{
	for (size_t i = 0; i + 1 < in->n; i++) {
		if (in->bytes[i] == '\r' && in->bytes[i + 1] != '\n')
			return true;
	}
	return false;
}

static bool length_is_repeated(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ours.fields; i++)
		n += is_named(&ours.name[i], "content-length");
	return n > 1;
}

static void compare(const struct input *in)
{
	run_ours(in);
	if (has_lone_cr(in))
		return;
	run_theirs(in);
	if (ours.old || (ours.state == HTTP_BAD && theirs.state == HTTP_BAD))
		return;
	if (theirs.state == HTTP_BAD) {
		if (!is_known(lenient, CORE_ARRAY_LEN(lenient), theirs.error))
			show(in, "only they refuse, and the reason is not in the table");
		if (theirs.error == HPE_UNEXPECTED_CONTENT_LENGTH && ours.state == HTTP_DONE &&
		    !ours.conflict && !length_is_repeated())
			show(in, "lengths contradict and nothing says so");
		return;
	}
	if (ours.state == HTTP_BAD) {
		if (!is_known(strict, CORE_ARRAY_LEN(strict), ours.error))
			show(in, "only we refuse, and the reason is not in the table");
		return;
	}
	if (ours.state != theirs.state || ours.end != theirs.end)
		show(in, "the end of the head");
	if (ours.state != HTTP_DONE)
		return;
	if (!same_text(&ours.method, &theirs.method) || !same_text(&ours.target, &theirs.target))
		show(in, "the request line");
	if (ours.status != theirs.status || ours.minor != theirs.minor)
		show(in, "the status line");
	compare_fields(in);
	compare_meaning(in);
}

/* ---- the corpus ---- */

static unsigned hex(int c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	assert_non_null(at);
	return (unsigned)(at - digits);
}

static uint8_t escaped(FILE *f)
{
	int c = getc(f);
	unsigned high;

	switch (c) {
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '0':
		return '\0';
	case 'x':
		high = hex(getc(f));
		return (uint8_t)(high << 4 | hex(getc(f)));
	default:
		assert_int_equal(c, '\\');
		return '\\';
	}
}

static void load_one(const char *name)
{
	struct input *in = &corpus[corpus_n++];
	char path[512];
	FILE *f;
	int c;

	assert_true(corpus_n <= HEADS_MAX);
	snprintf(in->name, sizeof(in->name), "%s", name);
	snprintf(path, sizeof(path), CORPUS "/%s", name);
	in->kind = strncmp(name, "resp-", 5) ? HTTP_REQUEST : HTTP_RESPONSE;
	f = fopen(path, "r");
	assert_non_null(f);
	while ((c = getc(f)) != '\n')
		assert_int_not_equal(c, EOF); /* the line that says what it is */
	while ((c = getc(f)) != EOF) {
		assert_true(in->n < BYTES_MAX);
		if (c != '\n')
			in->bytes[in->n++] = c == '\\' ? escaped(f) : (uint8_t)c;
	}
	fclose(f);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static int load_corpus(void **state)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *e;

	if (!dir) {
		fprintf(stderr, "%s: not found; run this from the root of the source tree\n",
			CORPUS);
		return -1;
	}
	while ((e = readdir(dir))) {
		if (strstr(e->d_name, ".txt"))
			load_one(e->d_name);
	}
	closedir(dir);
	qsort(corpus, corpus_n, sizeof(corpus[0]), by_name);
	return corpus_n >= HEADS_WANTED ? 0 : -1;
}

/* ---- mutations ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void insert(struct input *in, size_t at, const void *p, size_t n)
{
	if (in->n + n > BYTES_MAX)
		return;
	memmove(in->bytes + at + n, in->bytes + at, in->n - at);
	memcpy(in->bytes + at, p, n);
	in->n += n;
}

static void insert_word(struct input *in)
{
	static const char *const word[] = {
		"\r\n",
		"\n",
		"\r",
		"\r\n\r\n",
		"\r\n ",
		"\r\n\t",
		" ",
		"\t",
		":",
		",",
		";",
		"\x7f",
		"\x80",
		"Connection: ",
		"connection: close, ",
		"Upgrade: ",
		"keep-alive",
		"upgrade",
		"chunked",
		"Content-Length: 7\r\n",
		"Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding:",
		"0",
		"HTTP/1.1",
		"HTTP/1.0 ",
		"GET / ",
		"websocket",
		"/",
		"\r\nX:",
		"Content-Length:",
		"1",
	};
	const char *w = word[draw(CORE_ARRAY_LEN(word))];

	insert(in, draw(in->n + 1), w, strlen(w));
}

static void mutate(struct input *in)
{
	size_t at = draw(in->n + 1), n = draw(16) + 1;
	uint8_t byte = (uint8_t)draw(256);

	n = n < in->n - at ? n : in->n - at;
	switch (draw(6)) {
	case 0:
		if (at < in->n)
			in->bytes[at] = byte;
		break;
	case 1:
		if (at < in->n)
			in->bytes[at] ^= (uint8_t)(1u << draw(8));
		break;
	case 2: /* leave a run out */
		memmove(in->bytes + at, in->bytes + at + n, in->n - at - n);
		in->n -= n;
		break;
	case 3: /* say a run twice */
		insert(in, at, in->bytes + at, n);
		break;
	case 4: /* cut off */
		if (draw(4) == 0)
			in->n = at;
		break;
	default:
		insert_word(in);
		break;
	}
}

static void the_corpus_is_read_alike(void **state)
{
	for (unsigned i = 0; i < corpus_n; i++)
		compare(&corpus[i]);
}

static void mutations_are_read_alike(void **state)
{
	static struct input in;

	for (unsigned i = 0; i < MUTATIONS; i++) {
		in = corpus[draw(corpus_n)];
		in.mutated = true;
		snprintf(in.name + strlen(in.name), sizeof(in.name) - strlen(in.name), " %u", i);
		for (uint64_t times = draw(4) + 1; times; times--)
			mutate(&in);
		compare(&in);
	}
}

/* A row nobody needs any more would hide the next mistake. */
static void every_difference_of_the_table_occurs(void **state)
{
	for (unsigned i = 0; i < CORE_ARRAY_LEN(lenient); i++) {
		if (!lenient[i].seen)
			fail_msg("lenient: %s", lenient[i].reason);
	}
	for (unsigned i = 0; i < CORE_ARRAY_LEN(strict); i++) {
		if (!strict[i].seen)
			fail_msg("strict: %s", strict[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_corpus_is_read_alike),
		cmocka_unit_test(mutations_are_read_alike),
		cmocka_unit_test(every_difference_of_the_table_occurs),
	};

	return cmocka_run_group_tests(tests, load_corpus, NULL);
}
