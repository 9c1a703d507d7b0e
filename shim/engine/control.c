/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control: see control.h.
 *
 * Source: mmap(2), fallocate(2), madvise(2) (MADV_POPULATE_WRITE, Linux 5.14), futex(2).
 */
#include "shim/engine/control.h"
#include "shim/engine/clock.h"
#include "shim/engine/gate.h"
#include "shim/engine/line.h"
#include "shim/engine/recorder.h"
#include "shim/engine/reserve.h"
#include "shim/engine/state.h"
#include "shim/engine/sys.h"

#include "core/fault/match.h"

#include <linux/futex.h>
#include <sys/stat.h>

#define NEVER UINT64_MAX /* no offset of a state */

static const uint64_t no_state;
ENGINE_HOT const uint64_t *control_word = &no_state;
ENGINE_HOT uint64_t control_idle;
ENGINE_HOT struct control_header *control_page;
char control_path[CONFIG_PATH_MAX + 80];

static bool opened; /* what lies behind the header can be touched */

/* The state that was checked last.  state is 0 while the others change, and no state comes twice. */
static struct {
	uint64_t state;
	uint64_t on;
	const struct control_rules *rules;
	uint32_t follows;  /* one of the list asks what only those know who read every head */
	uint32_t checking; /* try-lock of who changes it */
} seen;

/* ---- what is in force ---- */

static uint64_t check_rules(const struct control_rules *rules, uint64_t on)
{
	uint64_t good = 0;

	for (uint32_t i = 0; rules && i < rules->count && i < FAULT_RULES; i++) {
		if ((on >> i & 1) && fault_rule_check(&rules->rule[i]))
			good |= UINT64_C(1) << i;
	}
	return good;
}

/* A rule that is off may be switched on in the middle of a connection whose head it asks for. */
static bool asks_heads(const struct control_rules *rules)
{
	for (uint32_t i = 0; rules && i < rules->count && i < FAULT_RULES; i++) {
		const struct fault_rule *r = &rules->rule[i];

		if (fault_rule_check(r) && (fault_asks_head(r) || r->conn_key == FAULT_BY_PATH ||
					    r->conn_key == FAULT_BY_FIELD))
			return true;
	}
	return false;
}

/* Until there are rules only the header is open: where the application locks its memory, the kernel would
 * fill all of it. */
static bool open_all(struct control_header *h)
{
	if (!opened && sys_mprotect(h, CONTROL_SIZE, PROT_READ | PROT_WRITE) >= 0)
		opened = true;
	return opened;
}

/* Somebody switched.  False: somebody else is about to see what to. */
static __attribute__((noinline)) bool look_anew(struct control_header *h, uint64_t state)
{
	const struct control_state *s;
	bool follows, replaced;
	uint64_t on;

	if (__atomic_exchange_n(&seen.checking, 1, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&seen.state, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	s = state && open_all(h) ? control_state(h) : NULL;
	if (s && (uint64_t)((uintptr_t)s - (uintptr_t)h) != state)
		s = NULL; /* already the next one, which the next call will see */
	replaced = seen.rules != control_rules(h, s);
	__atomic_store_n(&seen.rules, control_rules(h, s), __ATOMIC_RELAXED);
	on = check_rules(seen.rules, s ? s->on : 0);
	follows = asks_heads(seen.rules);
	__atomic_store_n(&seen.on, on, __ATOMIC_RELAXED);
	__atomic_store_n(&seen.follows, follows, __ATOMIC_RELAXED);
	__atomic_store_n(&seen.state, state, __ATOMIC_RELEASE);
	__atomic_store_n(&engine_faults, on || follows, __ATOMIC_RELAXED);
	__atomic_store_n(&control_idle, on || follows ? NEVER : state, __ATOMIC_RELAXED);
	__atomic_store_n(&seen.checking, 0, __ATOMIC_RELEASE);
	gate_state_changed(on, replaced);
	return true;
}

bool control_now(struct control_view *v)
{
	struct control_header *h = control_page;
	bool follows;
	uint64_t state;

	if (!h)
		return false;
	state = __atomic_load_n(&h->state, __ATOMIC_ACQUIRE);
	if (state != __atomic_load_n(&seen.state, __ATOMIC_ACQUIRE) && !look_anew(h, state))
		return false;
	v->page = h;
	v->rules = __atomic_load_n(&seen.rules, __ATOMIC_RELAXED);
	v->on = __atomic_load_n(&seen.on, __ATOMIC_RELAXED);
	follows = __atomic_load_n(&seen.follows, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&seen.state, __ATOMIC_RELAXED) != state || !(v->on || follows) ||
	    !v->rules)
		return false;
	v->generation = v->rules->generation;
	return true;
}

bool control_look(void)
{
	struct control_view v;

	return control_now(&v);
}

bool control_is_on(void)
{
	return __atomic_load_n(&seen.on, __ATOMIC_RELAXED) != 0;
}

void control_wake(void)
{
	(void)__atomic_fetch_add(&control_page->events, 1, __ATOMIC_RELEASE);
	(void)sys_3(SYS_futex, (long)&control_page->events, FUTEX_WAKE, INT32_MAX);
}

void control_unlock(void)
{
	if (control_page)
		(void)sys_munlock(control_page, CONTROL_SIZE);
}

/* ---- the page ---- */

/* The word last: from then on calls look at it. */
static void begin(struct control_header *h)
{
	control_page = h;
	__atomic_store_n(&control_word, &h->state, __ATOMIC_RELEASE);
	(void)control_look();
}

/* Map it so that locked memory does not make the kernel fill it.  fd -1: memory of the process tree. */
static struct control_header *map(int fd)
{
	void *p = sys_mmap(NULL, CONTROL_SIZE, PROT_NONE,
			   MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS | MAP_NORESERVE : 0), fd);

	if (sys_mmap_failed(p))
		return NULL;
	if (reserve_locks_all())
		(void)sys_munlock(p, CONTROL_SIZE);
	if (sys_mprotect(p, CONTROL_HEADER_SIZE, PROT_READ | PROT_WRITE) < 0) {
		(void)sys_munmap(p, CONTROL_SIZE);
		return NULL;
	}
	return p;
}

/* Is it one that we, or root, made for this purpose? */
static __attribute__((noinline)) bool is_sound(int fd)
{
	struct stat st = {0};

	return sys_2(SYS_fstat, fd, (long)&st) == 0 && S_ISREG(st.st_mode) &&
	       !(st.st_mode & 0077) && st.st_size == CONTROL_SIZE &&
	       (!st.st_uid || st.st_uid == (uint32_t)sys_1(SYS_geteuid, 0));
}

static struct control_header *join(const char *path)
{
	int fd = sys_open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	struct control_header *h = NULL;

	if (fd < 0)
		return NULL;
	if (is_sound(fd))
		h = map(fd);
	sys_close(fd);
	if (h && !control_check(h, CONTROL_SIZE)) {
		(void)sys_munmap(h, CONTROL_SIZE);
		h = NULL;
	}
	return h;
}

/* So that no store can meet a full disk: the header and as much of what follows as rules need.  Not in the
 * middle: statistics come first, and blocks behind them. */
static bool populate(struct control_header *h, int fd, uint64_t size)
{
	return (size <= CONTROL_HEADER_SIZE || open_all(h)) &&
	       (sys_madvise(h, size, MADV_POPULATE_WRITE) >= 0 || sys_fallocate(fd, 0, size) >= 0);
}

/* A page of our own, in a file beside the trace; size: bytes of it that will be stored to.  NULL: it
 * cannot be made. */
static struct control_header *make_file(uint64_t size)
{
	int fd = place_open(control_path, sizeof(control_path), CONTROL_SUFFIX, CONTROL_SIZE);
	struct control_header *h = NULL;

	if (fd < 0) {
		control_path[0] = '\0';
		return NULL;
	}
	if (sys_ftruncate(fd, CONTROL_SIZE) >= 0)
		h = map(fd);
	if (h && !populate(h, fd, size)) {
		(void)sys_munmap(h, CONTROL_SIZE);
		h = NULL;
	}
	sys_close(fd);
	if (!h) {
		(void)sys_3(SYS_unlinkat, AT_FDCWD, (long)control_path, 0);
		control_path[0] = '\0';
		return NULL;
	}
	control_init(h, engine.config.seed);
	return h;
}

void control_open(void)
{
	struct control_header *h;

	if (control_page || engine_subject.pid)
		return;
	h = make_file(CONTROL_HEADER_SIZE);
	control_path[0] = '\0'; /* the images it executes make one of their own */
	if (h)
		begin(h);
}

/* ---- rules of the environment ---- */

enum {
	TEXT_MAX = 256 * 1024,
};

/* What parsing needs, for a moment. */
struct bench {
	struct fault_rule rule[FAULT_RULES];
	char text[TEXT_MAX];
};

static char problem[1024];

/* Line and column of a place in a text, from 1. */
static void add_place(struct line *l, const char *text, size_t at)
{
	uint64_t row = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = text[i] == '\n' ? 1 : column + 1;
		row += text[i] == '\n';
	}
	line_add_number(l, row);
	line_add(l, ":");
	line_add_number(l, column);
}

/* Bytes of a file may be anything; a terminal shows this. */
static void add_plain(struct line *l, const char *text, size_t n)
{
	for (size_t i = 0; i < n && i < 40; i++)
		line_add_span(l, text[i] >= ' ' && text[i] < 0x7f ? text + i : "?", 1);
}

/* The text is that of SHAKEDOWN_RULES, first bytes, and behind a newline that of the file. */
static const char *say_wrong(const struct config *c, const char *text, size_t first, size_t n,
			     const struct fault_error *e)
{
	size_t at = e->at < n ? e->at : n, from = at > first ? first + 1 : 0;
	struct line l;

	line_init(&l, problem, sizeof(problem));
	line_add(&l, "shakedown: ");
	line_add(&l, from ? c->rules_file : "SHAKEDOWN_RULES");
	line_add(&l, ":");
	add_place(&l, text + from, at - from);
	line_add(&l, ": ");
	line_add(&l, e->what);
	if (e->len && at < n) {
		line_add(&l, " at '");
		add_plain(&l, text + at, e->len < n - at ? e->len : n - at);
		line_add(&l, "'");
	}
	if (e->expected[0]) {
		line_add(&l, " (valid: ");
		line_add(&l, e->expected);
		line_add(&l, ")");
	}
	line_add(&l, "; not watching");
	return problem;
}

static const char *say_file(const char *path, const char *what)
{
	struct line l;

	line_init(&l, problem, sizeof(problem));
	line_add(&l, "shakedown: rules: ");
	line_add(&l, path);
	line_add(&l, what);
	line_add(&l, "; not watching");
	return problem;
}

/* Returns a problem or NULL; *ret_n is the length. */
static const char *read_file(const char *path, char *to, size_t room, size_t *ret_n)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	size_t n = 0;
	long got = 1;

	if (fd < 0)
		return say_file(path, " cannot be opened");
	while (n < room && got > 0) {
		got = sys_read(fd, to + n, room - n);
		n += got > 0 ? (size_t)got : 0;
	}
	sys_close(fd);
	*ret_n = n;
	return got < 0 ? say_file(path, " cannot be read")
	       : got   ? say_file(path, " is too large for rules")
		       : NULL;
}

/* Both sources are one list. */
static const char *parse_all(const struct config *c, struct bench *b, uint32_t *ret_count)
{
	static struct fault_error e; /* static for its size */
	size_t first = line_length(c->rules), used = first, n = 0;
	const char *wrong;

	if (first + 1 >= TEXT_MAX)
		return say_file("SHAKEDOWN_RULES", " is too long");
	memcpy(b->text, c->rules, first);
	if (c->rules_file[0]) {
		b->text[used++] = '\n';
		wrong = read_file(c->rules_file, b->text + used, TEXT_MAX - used, &n);
		if (wrong)
			return wrong;
		used += n;
	}
	if (fault_parse_rules(b->text, used, b->rule, FAULT_RULES, ret_count, &e))
		return NULL;
	return say_wrong(c, b->text, first, used, &e);
}

static uint64_t mask_of(uint32_t count)
{
	return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static const char *enforce(const struct config *c, struct bench *b)
{
	struct control_header *h;
	const char *wrong;
	uint32_t count = 0;
	uint64_t size;

	wrong = parse_all(c, b, &count);
	if (wrong)
		return wrong;
	/* Statistics lie before the blocks. */
	size = CONTROL_HEADER_SIZE + CONTROL_STATS * sizeof(struct control_stat) +
	       control_need(count);
	h = make_file(size);
	if (!h) { /* nowhere to put it: then nobody can change the rules, but they act */
		h = map(-1);
		if (!h || !open_all(h))
			return "shakedown: no memory for the rules; not watching";
		control_init(h, c->seed);
	}
	(void)control_set(h, b->rule, count, mask_of(count), clock_now());
	begin(h);
	return NULL;
}

const char *control_start(const struct config *c)
{
	struct control_header *h;
	const char *wrong;
	struct bench *b;

	if (engine_subject.pid)
		return NULL;
	h = c->control[0] ? join(c->control) : NULL;
	if (h) {
		begin(h);
		return NULL;
	}
	if (!c->rules[0] && !c->rules_file[0])
		return NULL;
	b = sys_mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_mmap_failed(b))
		return "shakedown: no memory for the rules; not watching";
	wrong = enforce(c, b);
	(void)sys_munmap(b, sizeof(*b));
	return wrong;
}
