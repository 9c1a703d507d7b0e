/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/server: start, readiness, waiting, end.
 */
#include "tools/scenario/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	/* What nobody tells us about (a server that cannot be watched begins to listen) is looked for
	 * this often. */
	LOOK_MS = 20,
	WATCHED = 256,
	TAIL = 2048,
	OWN_FAILURE = 125, /* of `run`: 125, 126, 127 */
	STEP_MS = 1000, /* a signal that came before its descriptor was polled is found by then */
};

uint64_t scenario_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(char *why, size_t size, const char *what, const char *which)
{
	snprintf(why, size, "%s %s: %s", what, which, strerror(errno));
	return SERVER_CANNOT;
}

/* ---- rules ---- */

/* The rules as `run` reads them, one a line. */
static int write_rules(const struct server_setup *setup, const struct server *s, char *why,
		       size_t size)
{
	static _Thread_local char text[FAULT_PRINTED];
	FILE *f = fopen(s->rules, "wxe");

	for (uint32_t i = 0; f && i < setup->rules; i++)
		fprintf(f, "%s\n", control_rule_text(&setup->rule[i], text));
	if (f && !ferror(f) && !fclose(f))
		return SERVER_OK;
	return fail(why, size, "cannot write", s->rules);
}

/* `run` made the control page before it started the server. */
static int open_control(struct server *s, char *why, size_t size)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/control", s->trace);
	if (control_file_open(&s->control, path))
		return SERVER_OK;
	snprintf(why, size, "%s", s->control.why);
	return SERVER_CANNOT;
}

uint64_t server_hits(const struct server *s, uint32_t rule)
{
	struct control_header *h = s->control.h;
	const struct control_state *state = h ? control_state(h) : NULL;
	const struct control_rules *rules = state ? control_rules(h, state) : NULL;
	const struct control_stat *stat = rules ? control_stat(h, rules, rule) : NULL;

	return stat ? __atomic_load_n(&stat->hits, __ATOMIC_RELAXED) : 0;
}

void server_done(struct server *s)
{
	if (s->control.h)
		control_file_close(&s->control);
}

/* ---- start ---- */

static _Noreturn void become_run(const struct server_setup *setup, const struct server *s,
				 pid_t parent, int log)
{
	size_t n = 0, k = 0;
	const char **argv;
	sigset_t none;
	char seed[24];

	while (setup->argv[n])
		n++;
	argv = calloc(n + 16 + 2 * FAULT_RULES, sizeof(*argv));
	sigemptyset(&none);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!argv || getppid() != parent || (setup->cwd && chdir(setup->cwd))) {
		dprintf(log, "cannot enter %s: %s\n", setup->cwd ? setup->cwd : "",
			strerror(errno));
		_exit(OWN_FAILURE);
	}
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(log, 1);
	dup2(log, 2);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (char *const *e = setup->env; e && *e; e++)
		putenv(*e);
	snprintf(seed, sizeof(seed), "%" PRIu64, setup->seed);
	argv[k++] = setup->tool;
	argv[k++] = "run";
	argv[k++] = "-q";
	argv[k++] = "--seed";
	argv[k++] = seed;
	if (setup->rules) {
		argv[k++] = "--off";
		argv[k++] = "--rules";
		argv[k++] = s->rules;
	}
	for (uint32_t i = 0; i < setup->rules; i++) {
		if (!(setup->on >> i & 1))
			continue;
		argv[k++] = "--on";
		argv[k++] = setup->rule[i].name;
	}
	if (setup->replay) {
		argv[k++] = "--replay";
		argv[k++] = setup->replay;
	}
	argv[k++] = "-o";
	argv[k++] = s->trace;
	argv[k++] = "--";
	memcpy(argv + k, setup->argv, n * sizeof(*argv));
	execv(setup->tool, (char *const *)(uintptr_t)argv);
	dprintf(2, "%s cannot be executed: %s\n", setup->tool, strerror(errno));
	_exit(OWN_FAILURE);
}

static int start_run(const struct server_setup *setup, struct server *s, char *why, size_t size)
{
	pid_t me = getpid();
	int log;

	log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0)
		return fail(why, size, "cannot make", s->log);
	s->pid = fork();
	if (s->pid == 0)
		become_run(setup, s, me, log);
	close(log);
	if (s->pid < 0)
		return fail(why, size, "cannot start", "a process");
	setpgid(s->pid, s->pid);
	s->running = true;
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0)
		return fail(why, size, "cannot watch", "the server");
	fcntl(s->pidfd, F_SETFD, FD_CLOEXEC);
	return SERVER_OK;
}

bool server_running(struct server *s)
{
	pid_t pid;

	if (!s->running)
		return false;
	do
		pid = waitpid(s->pid, &s->status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	s->running = pid == 0;
	return s->running;
}

bool server_interrupted(const struct server *s)
{
	struct pollfd p = {s->interrupt, POLLIN, 0};

	return s->interrupt >= 0 && poll(&p, 1, 0) > 0;
}

const char *server_ending(int status, char *room, size_t size)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status)
				      : (WEXITSTATUS(status) > 128 ? WEXITSTATUS(status) - 128 : 0);
	const char *name = sig ? sigabbrev_np(sig) : NULL;

	if (name)
		snprintf(room, size, "was killed by SIG%s", name);
	else
		snprintf(room, size, "ended with status %d",
			 WIFSIGNALED(status) ? 128 + sig : WEXITSTATUS(status));
	return room;
}

/* ---- ready ---- */

static void drain(int fd)
{
	char room[4096];

	while (fd >= 0 && read(fd, room, sizeof(room)) > 0)
		continue;
}

static int ended_early(const struct server *s, char *why, size_t size)
{
	int code = WIFEXITED(s->status) ? WEXITSTATUS(s->status) : 0;
	char room[64];

	snprintf(why, size, "the server %s before it listened",
		 server_ending(s->status, room, sizeof(room)));
	return code >= OWN_FAILURE && code <= 127 ? SERVER_CANNOT : SERVER_FAILED;
}

static void say_wanted(const struct listen_wanted *w, uint64_t ns, char *why, size_t size)
{
	char where[160] = "";

	if (w->port)
		snprintf(where, sizeof(where), " on port %u", w->port);
	else if (w->path)
		snprintf(where, sizeof(where), " on %.120s", w->path);
	snprintf(why, size, "the server does not listen%s within %.3g s", where, (double)ns / 1e9);
}

/* A trace file is made when a process is about to listen: that is the moment to look.  What cannot be
 * watched makes none, so we also look by the clock. */
static int await_listening(const struct server_setup *setup, struct server *s, char *why,
			   size_t size)
{
	uint64_t deadline = scenario_now_ns() + setup->ready_ns;
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (watch >= 0)
		inotify_add_watch(watch, s->trace, IN_CREATE);
	for (;;) {
		struct pollfd p[3] = {
			{watch, POLLIN, 0}, {s->pidfd, POLLIN, 0}, {s->interrupt, POLLIN, 0}};
		int result = -1;

		if (!server_running(s))
			result = ended_early(s, why, size);
		else if (server_interrupted(s))
			result = SERVER_INTERRUPTED;
		else if (proc_listening(s->pid, &setup->listen, &s->at))
			result = SERVER_OK;
		else if (scenario_now_ns() >= deadline) {
			say_wanted(&setup->listen, setup->ready_ns, why, size);
			result = SERVER_FAILED;
		}
		if (result >= 0) {
			if (watch >= 0)
				close(watch);
			return result;
		}
		poll(p, 3, LOOK_MS);
		drain(watch);
	}
}

static void forget(struct server *s)
{
	if (s->running)
		server_stop(s, SIGKILL, 0);
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
	server_done(s);
}

enum server_result server_start(const struct server_setup *setup, struct server *ret, char *why,
				size_t size)
{
	int result;

	*ret = (struct server){.pidfd = -1, .interrupt = setup->interrupt};
	if ((size_t)snprintf(ret->trace, sizeof(ret->trace), "%s/trace", setup->dir) + 32 >=
	    sizeof(ret->trace)) {
		snprintf(why, size, "the path of the folder is too long");
		return SERVER_CANNOT;
	}
	snprintf(ret->log, sizeof(ret->log), "%s/server.log", setup->dir);
	snprintf(ret->rules, sizeof(ret->rules), "%s/rules", setup->dir);
	why[0] = '\0';
	if (mkdir(ret->trace, 0700))
		return fail(why, size, "cannot make the folder", ret->trace);
	result = write_rules(setup, ret, why, size);
	if (result == SERVER_OK)
		result = start_run(setup, ret, why, size);
	if (result == SERVER_OK)
		result = await_listening(setup, ret, why, size);
	if (result == SERVER_OK)
		result = open_control(ret, why, size);
	if (result != SERVER_OK)
		forget(ret);
	return result;
}

/* ---- waiting ---- */

void server_watch(struct server *s, bool on)
{
	struct control_header *h = s->control.h;

	if (!h)
		return;
	s->events = __atomic_load_n(&h->events, __ATOMIC_ACQUIRE);
	(void)__atomic_fetch_add(&h->waiters, on ? 1 : UINT32_MAX, __ATOMIC_SEQ_CST);
}

static struct timespec time_left(uint64_t deadline_ns, uint64_t most_ms)
{
	uint64_t now = scenario_now_ns(), left = now < deadline_ns ? deadline_ns - now : 0;

	if (left > most_ms * 1000000)
		left = most_ms * 1000000;
	return (struct timespec){(time_t)(left / 1000000000), (long)(left % 1000000000)};
}

/* Sleep until the server tells that something happened; what was told since the last look counts. */
static void await_event(struct server *s, uint64_t deadline_ns)
{
	struct timespec t = time_left(deadline_ns, LOOK_MS);

	syscall(SYS_futex, &s->control.h->events, FUTEX_WAIT, s->events, &t, NULL, 0);
	s->events = __atomic_load_n(&s->control.h->events, __ATOMIC_ACQUIRE);
}

bool server_wait(struct server *s, const int *fd, unsigned fds, bool watch, uint64_t deadline_ns)
{
	struct pollfd p[2 + WATCHED] = {{s->interrupt, POLLIN, 0},
					{s->running ? s->pidfd : -1, POLLIN, 0}};
	bool told = watch && s->control.h;
	struct timespec t =
		told ? (struct timespec){0, 0} : time_left(deadline_ns, watch ? LOOK_MS : STEP_MS);

	if (fds > WATCHED)
		fds = WATCHED;
	for (unsigned i = 0; i < fds; i++)
		p[2 + i] = (struct pollfd){fd[i], POLLIN, 0};
	if (ppoll(p, 2 + fds, &t, NULL) == 0 && told)
		await_event(s, deadline_ns);
	server_running(s);
	return !server_interrupted(s) && scenario_now_ns() < deadline_ns;
}

void server_signal(const struct server *s, int signal_number)
{
	if (s->running)
		kill(s->pid, signal_number);
}

/* ---- end ---- */

bool server_stop(struct server *s, int signal_number, uint64_t within_ns)
{
	uint64_t deadline = scenario_now_ns() + within_ns;
	bool by_itself = true;

	if (server_running(s)) {
		kill(s->pid, signal_number);
		while (server_running(s) && scenario_now_ns() < deadline) {
			struct pollfd p = {s->pidfd, POLLIN, 0};
			uint64_t left = deadline - scenario_now_ns();

			poll(&p, 1, (int)(left / 1000000) + 1);
		}
	}
	if (s->running) {
		by_itself = signal_number == SIGKILL;
		proc_kill_tree(s->pid);
		kill(-s->pid, SIGKILL);
		while (waitpid(s->pid, &s->status, 0) < 0 && errno == EINTR)
			continue;
		s->running = false;
	}
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
	return by_itself;
}

char *server_tail(const char *log)
{
	int fd = open(log, O_RDONLY | O_CLOEXEC);
	char *text = calloc(1, TAIL + 1), *line;
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n;

	if (!text || fd < 0) {
		if (fd >= 0)
			close(fd);
		return text ? text : strdup("");
	}
	n = pread(fd, text, TAIL, end > TAIL ? end - TAIL : 0);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		if (!text[i])
			text[i] = '?';
	}
	/* Begin with a whole line. */
	line = end > TAIL ? strchr(text, '\n') : NULL;
	if (line)
		memmove(text, line + 1, strlen(line + 1) + 1);
	return text;
}
