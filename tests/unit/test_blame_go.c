/* SPDX-License-Identifier: BSD-2-Clause
 *
 * In a Go program blame names who decided the answer: not who emptied the server's buffer, not a
 * wrapper of the response writer, not who recovered from a panic.
 *
 * A small server is compiled, stripped; the stacks are made of addresses of its functions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/target/go.h"
#include "tests/unit/tracefile.h"
#include "tools/blame/blame.h"
#include "tools/blame/roles.h"

static const char source[] =
	"package main\n"
	"import (\"io\"; \"net/http\"; \"os\")\n"
	"type recorder struct { http.ResponseWriter }\n"
	"//go:noinline\n"
	"func (r *recorder) WriteHeader(n int) { r.ResponseWriter.WriteHeader(n) }\n"
	"//go:noinline\n"
	"func auth(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }\n"
	"//go:noinline\n"
	"func logger(w http.ResponseWriter, r *http.Request) {\n"
	"	body, _ := io.ReadAll(r.Body)\n"
	"	os.Stdout.Write(body)\n"
	"	auth(&recorder{w}, r)\n"
	"}\n"
	"//go:noinline\n"
	"func recoverer() { recover() }\n"
	"//go:noinline\n"
	"func handler(w http.ResponseWriter, r *http.Request) {\n"
	"	defer recoverer()\n"
	"	w.(http.Hijacker).Hijack()\n"
	"	panic(\"no\")\n"
	"}\n"
	"func main() {\n"
	"	http.HandleFunc(\"/a\", logger)\n"
	"	http.HandleFunc(\"/b\", handler)\n"
	"	http.ListenAndServe(os.Args[1], nil)\n"
	"}\n";

#define REQUEST                                                                        \
	"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define REFUSAL "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"

#define SERVE	"net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve"
#define WRITTEN "net/http.checkConnErrorWriter.Write", "bufio.(*Writer).Flush"

static struct {
	char folder[64], path[96];
	uint8_t *file;
	size_t size;
	struct elf elf;
	struct go_table table;
} program;

/* ---- the program ---- */

static bool have(const char *go)
{
	return access(go, X_OK) == 0;
}

static int compile(const char *go)
{
	char command[512];
	int n = snprintf(
		command, sizeof(command),
		"cd %s && CGO_ENABLED=0 GO111MODULE=off GOFLAGS= GOTOOLCHAIN=local %s build "
		"-ldflags='-s -w' -o app main.go >&2",
		program.folder, go);

	return n < (int)sizeof(command) ? system(command) : -1;
}

static int make_program(void **state)
{
	const char *go = have("/usr/lib/go-1.19/bin/go") ? "/usr/lib/go-1.19/bin/go"
							 : "/usr/local/go/bin/go";
	char path[96];
	struct stat st;
	FILE *out;
	int fd;

	if (!have(go))
		return 0;
	snprintf(program.folder, sizeof(program.folder), "/tmp/blame-go-XXXXXX");
	assert_non_null(mkdtemp(program.folder));
	snprintf(path, sizeof(path), "%s/main.go", program.folder);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(source, out);
	fclose(out);
	assert_int_equal(compile(go), 0);
	snprintf(program.path, sizeof(program.path), "%s/app", program.folder);
	fd = open(program.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	program.size = (size_t)st.st_size;
	program.file = mmap(NULL, program.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_true(elf_open((struct span){program.file, program.size}, &program.elf));
	assert_true(go_table_open(&program.elf, &program.table));
	return 0;
}

static int remove_program(void **state)
{
	char path[96];

	if (!program.file)
		return 0;
	munmap(program.file, program.size);
	unlink(program.path);
	snprintf(path, sizeof(path), "%s/main.go", program.folder);
	unlink(path);
	return rmdir(program.folder);
}

static void need_program(void)
{
	if (program.file)
		return;
	fputs("no-go: no Go toolchain is here\n", stderr);
	skip();
}

static uint64_t address_of(const char *function)
{
	uint64_t at = 0;

	go_functions_find(&program.table, &function, 1, &at);
	if (!at)
		fail_msg("the program has no %s", function);
	return at;
}

/* ---- its traces ---- */

static uint64_t next_id;

/* A chain of frame pointers through these functions, innermost first; the list ends with NULL. */
static uint64_t chain(struct tracefile *t, const char *const *function)
{
	struct trace_stack *s;
	uint64_t *word;
	uint32_t n = 0, i;

	while (function[n])
		n++;
	s = tracefile_add(t, TRACE_STACK, sizeof(*s) + (1 + n) * sizeof(uint64_t));
	s->rec.flags = TRACE_STACK_CHAIN;
	s->id = ++next_id;
	s->reg[16] = address_of(function[0]);
	s->words = s->kept = n - 1;
	word = (uint64_t *)(s + 1);
	*word++ = (UINT64_C(1) << (n - 1)) - 1;
	for (i = 1; i < n; i++)
		*word++ = address_of(function[i]) + 5;
	trace_publish(&s->rec);
	return next_id;
}

#define CHAIN(t, ...) chain(t, (const char *const[]){__VA_ARGS__, NULL})

static void begin_with(struct tracefile *t, const char *request)
{
	struct trace_module *row;
	uint32_t i;

	need_program();
	next_id = 0;
	tracefile_init(t, program.path);
	t->h->doors = TRACE_DOOR_GO | TRACE_DOOR_INJECTED;
	row = (struct trace_module *)(t->file + t->h->modules_off);
	for (i = 0; i < program.elf.phnum; i++) {
		struct elf_segment s = elf_segment(&program.elf, i);

		if (s.type != ELF_PT_LOAD || !(s.flags & 1))
			continue;
		row->start = s.vaddr;
		row->end = s.vaddr + s.memsz;
		row->file_off = s.off;
		snprintf(row->path, sizeof(row->path), "%s", program.path);
		row++;
		t->h->modules++;
	}
	tracefile_open(t, 1, 0);
	tracefile_data(t, 1, DIR_RX, request, strlen(request), 0);
}

static void begin(struct tracefile *t)
{
	begin_with(t, REQUEST);
}

static void answer(struct tracefile *t, const char *bytes, uint64_t stack)
{
	tracefile_data(t, 1, DIR_TX, bytes, strlen(bytes), stack);
}

/* What the first finding's blame is: its function's name, or the reason. */
static void blamed(struct tracefile *t, const char *function, const char *reason)
{
	struct finding found[FINDING_MAX];
	struct finding_options o;
	const struct connection *c;
	struct image img;
	struct blamer *b;
	struct blame bl;

	finding_options_default(&o);
	tracefile_load(t, &img);
	c = &img.process.connection[0];
	assert_true(finding_detect(&img.process, &c->exchange[0], &o, found) > 0);
	b = blamer_new(&img, NULL);
	bl = blamer_blame(b, c, &c->exchange[0], &found[0]);
	if (function) {
		if (!bl.culprit)
			fail_msg("nobody is blamed: %s", bl.reason);
		assert_string_equal(bl.culprit->function, function);
		assert_non_null(strstr(bl.culprit->file, "main.go"));
		assert_true(bl.culprit->line > 0);
	} else {
		if (bl.culprit)
			fail_msg("%s is blamed", bl.culprit->function);
		if (!strstr(bl.reason, reason))
			fail_msg("the reason is: %s", bl.reason);
	}
	blamer_free(b);
	image_done(&img);
	tracefile_done(t);
}

/* ---- the judges ---- */

static void who_decided_is_blamed_not_who_wrote_it_out(void **state)
{
	struct tracefile t;

	begin(&t);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 401,
			  CHAIN(&t, "net/http.(*response).WriteHeader", "main.auth",
				"net/http.HandlerFunc.ServeHTTP", "main.logger", SERVE));
	answer(&t, REFUSAL,
	       CHAIN(&t, WRITTEN, "net/http.(*response).finishRequest", "net/http.(*conn).serve"));
	blamed(&t, "main.auth", NULL);
}

static void a_wrapper_of_the_response_writer_is_passed_over(void **state)
{
	struct tracefile t;

	begin(&t);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 401,
			  CHAIN(&t, "net/http.(*response).WriteHeader",
				"main.(*recorder).WriteHeader", "main.auth",
				"net/http.HandlerFunc.ServeHTTP", "main.logger", SERVE));
	answer(&t, REFUSAL, 0);
	blamed(&t, "main.auth", NULL);
}

static void an_early_answer_is_not_the_fault_of_the_handler_that_flushed_it(void **state)
{
	struct tracefile t;
	uint64_t flushed;

	begin(&t);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 200,
			  CHAIN(&t, "net/http.(*response).WriteHeader", "main.auth", SERVE));
	flushed = CHAIN(&t, WRITTEN, "net/http.(*response).Hijack", "main.handler", SERVE);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_HIJACK, 0,
			  CHAIN(&t, "net/http.(*response).Hijack", "main.handler", SERVE));
	answer(&t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", flushed);
	blamed(&t, "main.auth", NULL);
}

static void without_witnesses_nobody_is_blamed_for_what_left_a_buffer(void **state)
{
	struct tracefile t;

	begin(&t);
	answer(&t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	       CHAIN(&t, WRITTEN, "net/http.(*response).Hijack", "main.handler", SERVE));
	blamed(&t, NULL, "could not be watched");
}

static void handlers_that_wrote_nothing_are_not_blamed(void **state)
{
	struct tracefile t;

	begin(&t);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 200,
			  CHAIN(&t, "net/http.(*response).WriteHeader",
				"net/http.(*response).finishRequest", "net/http.(*conn).serve"));
	answer(&t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0);
	blamed(&t, NULL, "written by the server after the handlers returned");
}

static void who_panicked_is_blamed_not_who_recovered(void **state)
{
	struct tracefile t;

	begin(&t);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 500,
			  CHAIN(&t, "net/http.(*response).WriteHeader", "main.recoverer",
				"runtime.gopanic", "main.handler", "net/http.HandlerFunc.ServeHTTP",
				"main.logger", SERVE));
	answer(&t, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", 0);
	blamed(&t, "main.handler", NULL);
}

static void who_asked_for_a_body_that_came_late_is_blamed(void **state)
{
	static const char request[] =
		"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Content-Length: 4\r\n\r\n";
	struct tracefile t;

	begin_with(&t, request);
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_BODY_READ, 0,
			  CHAIN(&t, "net/http.(*body).Read", "io.ReadAll", "main.logger", SERVE));
	tracefile_data(&t, 1, DIR_RX, "late", 4, 0);
	blamed(&t, "main.logger", NULL);
}

static void a_program_that_is_gone_leaves_no_names_and_nobody_to_blame(void **state)
{
	struct trace_module *row;
	struct tracefile t;

	begin(&t);
	row = (struct trace_module *)(t.file + t.h->modules_off);
	snprintf(row->path, sizeof(row->path), "/nowhere/app");
	tracefile_witness(&t, 1, TRACE_WITNESS_HTTP_WRITE_HEADER, 401,
			  CHAIN(&t, "net/http.(*response).WriteHeader", "main.auth", SERVE));
	answer(&t, REFUSAL, 0);
	blamed(&t, NULL, "the file is not on this machine");
}

/* ---- whose a function is ---- */

static void the_package_says_whose_a_function_is(void **state)
{
	static const struct {
		const char *function, *role;
	} rows[] = {
		{"main.auth.func1", "user"},
		{"example.com/shop/internal/auth.(*Guard).Check", "user"},
		{"main.Map[go.shape.string,net/http.Header]", "user"},
		{"net/http.(*conn).serve", "server"},
		{"net/http/httputil.(*ReverseProxy).ServeHTTP", "server"},
		{"net.(*conn).Write", "library"},
		{"runtime.gopanic", "runtime"},
		{"internal/runtime/syscall/linux.Syscall6", "runtime"},
		{"github.com/gin-gonic/gin.(*Context).Next", "framework"},
		{"github.com/gin-gonic/gin.CustomRecoveryWithWriter.func1", "framework"},
		{"github.com/gin-gonic/ginger.Ale", "user"},
		{"github.com/labstack/echo/v4.(*Echo).ServeHTTP", "framework"},
		{"github.com/gorilla/websocket.(*Upgrader).Upgrade", "library"},
		{"nhooyr.io/websocket.Accept", "library"},
		{"golang.org/x/net/http2.(*serverConn).serve", "library"},
		{"memmove", "runtime"},
	};
	char package[64];

	for (unsigned i = 0; i < CORE_ARRAY_LEN(rows); i++)
		assert_string_equal(role_of_go(rows[i].function), rows[i].role);
	assert_string_equal(role_of_go(NULL), "runtime");
	role_go_package("github.com/gin-gonic/gin.(*Context).Next", package, sizeof(package));
	assert_string_equal(package, "github.com/gin-gonic/gin");
	role_go_package("a/b.F[x/y.Z]", package, 4);
	assert_string_equal(package, "a/b");
}

static void middleware_that_was_chosen_may_be_named_and_wrappers_stand_for_others(void **state)
{
	assert_true(role_go_is_chosen("github.com/gin-contrib/cors.New.func1"));
	assert_true(role_go_is_chosen("github.com/gin-gonic/gin.BasicAuthForRealm.func1"));
	assert_true(role_go_is_chosen("github.com/labstack/echo/v4/middleware.BodyLimit.func1"));
	assert_false(role_go_is_chosen("github.com/labstack/echo/v4/middleware.Recover.func1"));
	assert_false(role_go_is_chosen("github.com/gin-gonic/gin.(*Context).Next"));
	assert_true(role_go_decides("github.com/gorilla/websocket.(*Upgrader).returnError"));
	assert_false(role_go_decides("main.returnError"));
	assert_true(role_go_is_helper("main.(*recorder).WriteHeader"));
	assert_true(role_go_is_helper("main.recorder.Write"));
	assert_false(role_go_is_helper("main.Write"));
	assert_false(role_go_is_helper("main.auth.func1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_decided_is_blamed_not_who_wrote_it_out),
		cmocka_unit_test(a_wrapper_of_the_response_writer_is_passed_over),
		cmocka_unit_test(an_early_answer_is_not_the_fault_of_the_handler_that_flushed_it),
		cmocka_unit_test(without_witnesses_nobody_is_blamed_for_what_left_a_buffer),
		cmocka_unit_test(handlers_that_wrote_nothing_are_not_blamed),
		cmocka_unit_test(who_panicked_is_blamed_not_who_recovered),
		cmocka_unit_test(who_asked_for_a_body_that_came_late_is_blamed),
		cmocka_unit_test(a_program_that_is_gone_leaves_no_names_and_nobody_to_blame),
		cmocka_unit_test(the_package_says_whose_a_function_is),
		cmocka_unit_test(
			middleware_that_was_chosen_may_be_named_and_wrappers_stand_for_others),
	};

	return cmocka_run_group_tests(tests, make_program, remove_program);
}
