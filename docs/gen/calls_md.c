/* SPDX-License-Identifier: BSD-2-Clause
 *
 * calls_md: prints docs/calls.md from calls.def.
 *
 *     cc -I. docs/gen/calls_md.c -o /tmp/calls_md && /tmp/calls_md > docs/calls.md
 *
 * tests/shim/test_calls.py fails when the page is out of date.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

struct row {
	const char *name, *row, *class, *body, *op, *shape, *type, *params;
	long nr;
};

static const struct row rows[] = {
#define CALL(id, nr, op, shape, body, type, params, args) \
	{#id, #id, "", #body, #op, #shape, #type, #params, nr},
#define VARIANT(name, id, class, body, type, params, ...) \
	{#name, #id, #class, #body, "", "", #type, #params, -1},
#include "shim/engine/calls.def"
};

enum {
	ROWS = sizeof(rows) / sizeof(rows[0]),
};

/* What an op means to a reader, in the order of the page. */
static const struct {
	const char *op, *title, *text;
} sections[] = {
	{"READ", "Bytes in",
	 "Counted, fed to the phase machine, recorded while an attempt is open. "
	 "Bytes that were only peeked at are not consumed."},
	{"WRITE", "Bytes out",
	 "The same for what the kernel took of what was offered. On descriptors "
	 "1 and 2: text that may be evidence."},
	{"SENDFILE", "File to socket", "The bytes are counted, but cannot be seen."},
	{"SPLICE", "Pipe to socket and back", "The bytes are counted, but cannot be seen."},
	{"ACCEPT", "A connection arrives", "The process is the server on it."},
	{"CONNECT", "A connection is opened", "The process is the client on it."},
	{"LISTEN", "Listening starts", "The trace file is made here at the latest."},
	{"SOCKET", "A socket is made", "What was believed about the number is dropped."},
	{"SOCKETPAIR", "A pair of sockets is made",
	 "What was believed about both numbers is dropped."},
	{"SHUTDOWN", "Half a close", "Noted on the connection."},
	{"CLOSE", "A close", "The connection ends with its last descriptor."},
	{"CLOSE_RANGE", "Many closes", "Each descriptor in the range is closed."},
	{"DUP", "A further descriptor", "Both mean the same connection."},
	{"DUP2", "A further descriptor, at a number of choice",
	 "What the number meant before is closed."},
	{"FCNTL", "Descriptor control",
	 "`F_DUPFD` and `F_DUPFD_CLOEXEC` make a further descriptor."},
	{"FDOPEN", "stdio on a connection",
	 "stdio's own reads and writes cannot be seen: the connection becomes partial."},
	{"FORGET", "New descriptors that are no connections",
	 "If the number was believed to be a connection, its close went unseen."},
	{"FORGET_PAIR", "New pairs of descriptors", "The same for two numbers."},
	{"WAIT", "Waiting",
	 "Passed straight on, unless a fault holds a connection back: then what it holds is left "
	 "out, and the wait is cut into slices that end at its deadline."},
	{"IOCTL", "Device control",
	 "Passed straight on, unless a fault holds a connection back or keeps bytes of it: "
	 "`FIONREAD` and `TIOCOUTQ` are answered accordingly."},
	{"POLL", "Registering for events",
	 "Passed straight on. In Go programs it tells that somebody waits for the connection."},
	{"FORK", "Children with a copy of the memory", "The child gets a trace file of its own."},
	{"VFORK", "Children that share the memory",
	 "Jumped to; nothing of ours stays on the stack."},
	{"SPAWN", "Fork and exec in one", "The environment is carried on."},
	{"EXEC", "The image is replaced", "Noted; the environment is carried on."},
	{"EXIT", "The process ends", "The trace gets its end record."},
	{"PRIVILEGE", "Rights change", "Noted."},
	{"MLOCK", "Memory is locked", "What is ours is unlocked again."},
	{"SECCOMP", "A filter is installed",
	 "From then on we make no system call that the program does not make itself."},
	{"IO_URING", "A ring is set up", "Its transfers cannot be seen: coverage becomes partial."},
	{"DLOPEN", "Code is mapped", "Jumped to; the list of modules is read again."},
	{"SYSCALL", "syscall()",
	 "Numbers of this page go the way of their row; all others are "
	 "jumped to."},
};

/* The text of a macro argument, with what Markdown would eat escaped. */
static void print_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}

static void print_variants(const char *name)
{
	const char *separator = "";

	for (int i = 0; i < ROWS; i++) {
		if (rows[i].class[0] && strcmp(rows[i].row, name) == 0) {
			printf("%s`%s`", separator, rows[i].name);
			separator = " ";
		}
	}
}

static void print_row(const struct row *r)
{
	printf("| `%s` | `%s ", r->name, r->type);
	print_text(r->params);
	printf("` | ");
	if (r->nr >= 0)
		printf("%ld", r->nr);
	printf("%s | ", strcmp(r->body, "NUM") == 0 ? " only" : "");
	print_variants(r->name);
	printf(" |\n");
}

static int print_section(const char *op, const char *title, const char *text)
{
	int n = 0;

	printf("\n## %s\n\n%s\n\n", title, text);
	printf("| call | prototype | number | other names of it |\n|---|---|---|---|\n");
	for (int i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].op, op) == 0) {
			print_row(&rows[i]);
			n++;
		}
	}
	return n;
}

int main(void)
{
	int printed = 0, calls = 0, variants = 0;

	for (int i = 0; i < ROWS; i++) {
		variants += rows[i].class[0] != '\0';
		calls += rows[i].class[0] == '\0';
	}
	printf("# Calls that are watched\n\n"
	       "Made from `shim/engine/calls.def` by `docs/gen/calls_md.c`; do not edit.\n"
	       "Adding one: [HOWTO_ADD_A_CALL.md](HOWTO_ADD_A_CALL.md).\n\n"
	       "%d calls under %d further names. \"number\" is the x86-64 system call through "
	       "which the\n"
	       "row is also met in `syscall()`; \"only\": there is no C function of that name.\n",
	       calls, variants);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		printed += print_section(sections[i].op, sections[i].title, sections[i].text);
	if (printed != calls) {
		fprintf(stderr, "calls_md: %d rows have an op without a section\n",
			calls - printed);
		return 1;
	}
	return 0;
}
