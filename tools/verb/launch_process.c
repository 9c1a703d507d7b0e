/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch/process: the command, from fork to the status that is passed on.
 *
 * (1) All signals we forward are blocked and taken one by one with sigwaitinfo: no handler, no race.
 * (2) What the terminal sends goes to the whole foreground group, the command included: it is not sent
 *     a second time (a second ^C means "at once" to many servers).
 * (3) We are the subreaper of everything below: orphans become our children and are reaped, also when
 *     we are process 1.  A command that ends with 0 and leaves processes behind became a daemon; they
 *     are followed to their end.
 * (4) Dispositions are the command's own affair: what was ignored when we started is ignored by it, too,
 *     unless it says otherwise, and is forwarded all the same.
 */
#include "tools/verb/launch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"
#include "tools/exchange/launcher.h"
#include "tools/verb/verb.h"

static const int forwarded[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
				SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};

enum {
	DOOR_MS = 2000, /* the supervisor may take after the command's end */
};

struct loop {
	struct launch_job *job;
	struct launcher record;
	pid_t command;
	sigset_t taken, mask_before;
	struct sigaction chld_before, pipe_before;
	bool running;	   /* the command has not ended */
	bool following;	   /* it has, and its descendants have not */
	bool asked_to_end; /* a signal that ends servers was seen */
	bool stop_seen, command_stopped;
	bool unwritten; /* the record could not be written, and that was said */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void write_record(struct loop *l)
{
	int err = launcher_write(l->job->folder, &l->record);

	if (err && !l->unwritten)
		complain(
			"cannot write the launcher's record in %s: %s; the end of the process will "
			"be guessed from its last event",
			l->job->folder, strerror(-err));
	l->unwritten |= err != 0;
}

/* ---- start ---- */

static void take_signals(struct loop *l)
{
	struct sigaction act;

	sigemptyset(&l->taken);
	sigaddset(&l->taken, SIGCHLD);
	for (size_t i = 0; i < CORE_ARRAY_LEN(forwarded); i++)
		sigaddset(&l->taken, forwarded[i]);
	/* An ignored SIGCHLD would make the kernel throw the status away. */
	act = (struct sigaction){.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &act, &l->chld_before);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, &l->pipe_before);
	sigprocmask(SIG_BLOCK, &l->taken, &l->mask_before);
}

static void give_signals_back(const struct loop *l)
{
	sigaction(SIGCHLD, &l->chld_before, NULL);
	sigaction(SIGPIPE, &l->pipe_before, NULL);
	sigprocmask(SIG_SETMASK, &l->mask_before, NULL);
}

/* A ^C too many must not cost the summary and the status. */
static void drop_late_signals(const struct loop *l)
{
	static const struct timespec at_once;

	while (sigtimedwait(&l->taken, NULL, &at_once) > 0)
		continue;
}

/* In the child. Returns only when it failed, with errno. */
static void execute(const struct launch_job *job)
{
	size_t n = 0;
	const char **argv;

	if (!job->shell) {
		execve(job->path, job->argv, environ);
		return;
	}
	while (job->argv[n])
		n++;
	argv = calloc(n + 2, sizeof(*argv));
	if (!argv)
		return;
	argv[0] = "/bin/sh";
	argv[1] = job->path;
	memcpy(argv + 2, job->argv + 1, n * sizeof(*argv));
	execve(argv[0], (char *const *)(uintptr_t)argv, environ);
}

/* Two pipes: the child tells why its exec failed, we tell when it may go on. Closed: -1. */
struct pipes {
	int report[2], gate[2];
};

static bool pipes_make(struct pipes *p, bool gate)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}};
	return !pipe2(p->report, O_CLOEXEC) && (!gate || !pipe2(p->gate, O_CLOEXEC));
}

static void pipe_end_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pipes_close(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		pipe_end_close(&p->report[i]);
		pipe_end_close(&p->gate[i]);
	}
}

enum {
	GATE_LEAVE =
		'l', /* what the child reads at the gate: do not execute; anything else: go on */
};

static _Noreturn void child(const struct loop *l, struct pipes *p)
{
	char word = 0;
	int e;

	give_signals_back(l);
	pipe_end_close(&p->gate[1]);
	while (p->gate[0] >= 0 && read(p->gate[0], &word, 1) < 0 && errno == EINTR)
		continue;
	if (l->job->seccomp && seccomp_install(l->job->seccomp))
		_exit(LAUNCH_FAILED);
	if (word != GATE_LEAVE)
		execute(l->job);
	e = errno;
	(void)!write(p->report[1], &e, sizeof(e));
	_exit(LAUNCH_NOT_RUN);
}

/* Fork; the child waits at the gate if there is one. False: complained. */
static bool start_child(struct loop *l, struct pipes *p, bool gate)
{
	if (!pipes_make(p, gate)) {
		complain("cannot make a pipe: %s", strerror(errno));
		pipes_close(p);
		return false;
	}
	l->command = fork();
	if (l->command < 0) {
		complain("cannot start a process: %s", strerror(errno));
		pipes_close(p);
		return false;
	}
	if (l->command == 0)
		child(l, p);
	pipe_end_close(&p->report[1]);
	pipe_end_close(&p->gate[0]);
	return true;
}

/* Nobody may be traced: start a copy of the program that brings the library along.  Where that cannot be
 * either, the program itself is started, unwatched.  False: nothing could be started. */
static bool start_copy(struct loop *l, struct pipes *p)
{
	struct launch_job *job = l->job;
	size_t start = strlen(job->inject_why), n = start;
	char *why = job->inject_why + n;
	int fd;

	snprintf(why, sizeof(job->inject_why) - n, ", and ");
	n = strlen(job->inject_why);
	why = job->inject_why + n;
	fd = job->script ? -1
			 : inject_copy(job->path, job->library, why, sizeof(job->inject_why) - n);
	if (job->script)
		snprintf(why, sizeof(job->inject_why) - n,
			 "the interpreter of a script is not copied");
	if (fd >= 0) {
		job->inject_why[start] = '\0';
		inject_copy_path(fd, job->copy);
		job->path = job->copy;
		job->injected = INJECT_DONE;
	}
	(void)!write(p->gate[1], &(char){GATE_LEAVE}, 1);
	waitpid(l->command, NULL, 0);
	pipes_close(p);
	if (!start_child(l, p, false))
		return false;
	if (fd >= 0)
		close(fd);
	return true;
}

/* Send the program through the library on its way in.  Waits until it executes or gives up.
 * False: complained, nothing could be started. */
static bool inject(struct loop *l, struct pipes *p)
{
	struct launch_job *job = l->job;
	char *why = job->inject_why;

	job->injected = INJECT_FAILED;
	if (inject_seize(l->command, why, sizeof(job->inject_why)))
		return start_copy(l, p);
	pipe_end_close(&p->gate[1]);
	job->injected = inject_at_exec(l->command, job->library, why, sizeof(job->inject_why));
	return true;
}

static void say_injection(const struct launch_job *job)
{
	if (job->injected == INJECT_FAILED)
		complain("blind: the library cannot be put into the program: %s; it runs unwatched",
			 job->inject_why);
	else if (job->copy[0] && !job->quiet)
		complain("%s: a copy of the program was started that brings the library along; its "
			 "/proc/self/exe names the copy",
			 job->inject_why);
}

/* Is the filter in force?  False: complained, nothing was executed. */
static bool check_seccomp(const struct loop *l)
{
	uint64_t ns;
	const char *why = seccomp_why(l->job->seccomp, &ns);

	if (why) {
		complain("--door seccomp cannot be opened: %s", why);
		waitpid(l->command, NULL, 0);
	} else if (!l->job->quiet) {
		complain("--door seccomp: each call that reads, writes, accepts, duplicates or "
			 "closes a descriptor of any kind costs about %.1f us more (measured now), "
			 "on a connection a little more, and they are served one at a time",
			 (double)ns / 1000);
	}
	return !why;
}

/* Fork and exec; the pipe closes by itself when the exec succeeds. False: complained. */
static bool start(struct loop *l)
{
	struct pipes p;
	int e = 0;
	ssize_t n;

	if (!start_child(l, &p, l->job->inject))
		return false;
	if (l->job->inject && !inject(l, &p))
		return false;
	if (l->job->inject)
		say_injection(l->job);
	do
		n = read(p.report[0], &e, sizeof(e));
	while (n < 0 && errno == EINTR);
	pipes_close(&p);
	if (l->job->seccomp && !check_seccomp(l))
		return false;
	l->job->started = n == 0;
	l->job->exec_errno = e;
	return true;
}

/* ---- who is there ---- */

/* Field 4 of /proc/PID/stat: the parent. The name in field 2 may hold anything, so read from its end. */
static pid_t parent_of(const char *pid)
{
	char path[64], text[512];
	const char *paren;
	ssize_t n;
	int fd, parent;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	paren = strrchr(text, ')');
	return paren && sscanf(paren, ") %*c %d", &parent) == 1 ? parent : -1;
}

static bool is_supervisor(const struct loop *l, pid_t pid)
{
	return l->job->seccomp && seccomp_is_supervisor(l->job->seccomp, pid);
}

/* Signal each of our children, except the supervisor, which ends by itself, and count them. */
static unsigned each_child(const struct loop *l, int signal_number)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	while (proc && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]) || parent_of(e->d_name) != getpid() ||
		    is_supervisor(l, (pid_t)atol(e->d_name)))
			continue;
		n++;
		if (signal_number)
			kill((pid_t)atol(e->d_name), signal_number);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* ---- signals ---- */

static bool ends_servers(int number)
{
	return number == SIGTERM || number == SIGINT || number == SIGQUIT || number == SIGHUP;
}

static void forward(struct loop *l, const siginfo_t *info)
{
	int number = info->si_signo;
	bool everyone_got_it =
		info->si_code == SI_KERNEL && l->running && getpgid(l->command) == getpgrp();

	if (ends_servers(number)) {
		l->asked_to_end |= number != SIGHUP;
		if (!l->record.t_signal) {
			l->record.t_signal = now_ns();
			write_record(l);
		}
	}
	l->stop_seen |= number == SIGTSTP;
	if (number == SIGCONT)
		l->stop_seen = l->command_stopped = false;
	if (everyone_got_it || (l->running && info->si_pid == l->command))
		return;
	if (l->running)
		kill(l->command, number);
	else
		each_child(l, number);
}

/* When the command stopped for a SIGTSTP we saw, too, so do we: the shell waits for us. */
static void stop_along(struct loop *l)
{
	if (!l->stop_seen || !l->command_stopped)
		return;
	l->stop_seen = l->command_stopped = false;
	raise(SIGSTOP);
}

/* ---- ends ---- */

static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* It ends by itself, with the last process under the filter. */
static void say_supervisor(const siginfo_t *info)
{
	if (info->si_code != CLD_EXITED)
		complain("a process of --door seccomp was killed (signal %d); when both are, calls "
			 "fail from then on and nothing is seen, whatever the coverage says",
			 info->si_status);
}

static void note_end(struct loop *l, const siginfo_t *info)
{
	if (is_supervisor(l, info->si_pid))
		return say_supervisor(info);
	if (info->si_pid != l->command && !l->following)
		return; /* an orphan: reaped, and that is all */
	if (info->si_pid == l->command)
		l->running = false;
	l->job->status = status_of(info);
	l->record.pid = (uint32_t)info->si_pid;
	l->record.status = l->job->status;
	l->record.status_known = true;
	l->record.t_end = now_ns();
}

/* Take every child that changed. False when none is left. */
static bool reap(struct loop *l)
{
	for (;;) {
		siginfo_t info = {.si_pid = 0};

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG)) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (info.si_pid == 0)
			return true;
		if (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED) {
			if (info.si_pid == l->command)
				l->command_stopped = info.si_code == CLD_STOPPED;
		} else {
			note_end(l, &info);
		}
	}
}

static void begin_following(struct loop *l, unsigned n)
{
	l->following = true;
	if (l->job->quiet)
		return;
	complain("the command ended with 0 and left %u process%s behind: following %s (^C ends %s)",
		 n, n == 1 ? "" : "es", n == 1 ? "it" : "them", n == 1 ? "it" : "them");
}

/* Is there anything left to wait for?  Called after each reaping. */
static bool goes_on(struct loop *l, bool children_left)
{
	unsigned n;

	if (l->running)
		return true;
	if (!children_left)
		return false;
	if (l->following)
		return true;
	if (l->job->status != 0 || l->asked_to_end)
		return false;
	n = each_child(l, 0);
	if (n || !l->job->seccomp)
		begin_following(l, n);
	return true; /* with nobody there but the supervisor, it is about to end */
}

static void loop_run(struct loop *l)
{
	bool left = reap(l);

	while (goes_on(l, left)) {
		siginfo_t info;

		if (sigwaitinfo(&l->taken, &info) < 0)
			continue;
		if (info.si_signo == SIGCHLD)
			left = reap(l);
		else
			forward(l, &info);
		stop_along(l);
	}
}

bool launch_job_run(struct launch_job *job)
{
	struct loop l = {.job = job};
	int watch = job->library ? launch_loaded_watch(job->library) : -1;

	take_signals(&l);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	launcher_begin(&l.record, now_ns());
	job->t_start = l.record.t_start;
	if (!start(&l))
		return false;
	l.running = true;
	if (job->started) {
		l.record.pid = (uint32_t)l.command;
		write_record(&l);
		loop_run(&l);
		if (job->seccomp)
			seccomp_wait(job->seccomp, DOOR_MS);
		write_record(&l);
	} else {
		waitpid(l.command, NULL, 0);
	}
	drop_late_signals(&l);
	give_signals_back(&l);
	job->load_unknown = watch < 0;
	if (watch >= 0)
		job->loaded = launch_loaded_done(watch);
	return true;
}
