/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scenario/proc: trees of processes and their sockets, read from /proc.
 */
#include "tools/scenario/proc.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	ALL = 65536, /* processes of the machine that are looked at */
	INODES = 256,
	TCP_LISTEN = 10,       /* include/net/tcp_states.h */
	UNIX_LISTEN = 0x10000, /* __SO_ACCEPTCON */
};

struct parent {
	pid_t pid, parent;
};

/* State, parent and processor time, in ticks.  The name in field 2 may hold anything: read from its end. */
static bool read_stat(const char *pid, char *ret_state, pid_t *ret_parent, uint64_t *ret_ticks)
{
	char path[64], text[1024];
	const char *paren;
	uint64_t user, system;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	paren = strrchr(text, ')');
	if (!paren ||
	    sscanf(paren, ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   ret_state, ret_parent, &user, &system) != 4)
		return false;
	*ret_ticks = user + system;
	return true;
}

static size_t read_all(struct parent *all, size_t room)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	uint64_t ticks;
	size_t n = 0;
	char state;

	while (proc && n < room && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !read_stat(e->d_name, &state, &all[n].parent, &ticks))
			continue;
		all[n++].pid = (pid_t)atol(e->d_name);
	}
	if (proc)
		closedir(proc);
	return n;
}

size_t proc_tree(pid_t root, pid_t *ret, size_t room)
{
	struct parent *all = malloc(ALL * sizeof(*all));
	size_t n = all ? read_all(all, ALL) : 0, found = 0;

	/* What was found is looked at in turn: its children come behind it. */
	for (size_t at = 0; at <= found; at++) {
		pid_t parent = at ? ret[at - 1] : root;

		for (size_t i = 0; i < n && found < room; i++) {
			if (all[i].parent == parent && all[i].pid != root)
				ret[found++] = all[i].pid;
		}
	}
	free(all);
	return found;
}

/* ---- sockets ---- */

struct sockets {
	unsigned n;
	uint64_t inode[INODES];
	struct listening at[INODES];
};

static bool holds(const struct sockets *s, uint64_t inode)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->inode[i] == inode)
			return true;
	}
	return false;
}

static void add(struct sockets *s, uint64_t inode, const struct listening *at)
{
	if (s->n >= INODES || holds(s, inode))
		return;
	s->inode[s->n] = inode;
	s->at[s->n++] = *at;
}

/* The kernel writes addresses as words of the machine's own order. */
static void host_of(const char *hex, struct listening *ret)
{
	bool v6 = strlen(hex) == 32, any = strspn(hex, "0") == strlen(hex);
	uint32_t word[4] = {0};

	if (any) {
		/* A socket of :: may take IPv6 alone; where its owner opened one for each, that of IPv4
		 * comes first. */
		snprintf(ret->host, sizeof(ret->host), v6 ? "::1" : "127.0.0.1");
		return;
	}
	for (int i = 0; i < (v6 ? 4 : 1); i++)
		sscanf(hex + 8 * i, "%8" SCNx32, &word[i]);
	inet_ntop(v6 ? AF_INET6 : AF_INET, word, ret->host, sizeof(ret->host));
}

static void read_tcp(pid_t pid, const char *table, struct sockets *s)
{
	char path[64], line[512], hex[40];
	unsigned port, state;
	uint64_t inode;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		struct listening at = {.port = 0};

		if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %" SCNu64, hex,
			   &port, &state, &inode) != 4 ||
		    state != TCP_LISTEN)
			continue;
		host_of(hex, &at);
		at.port = (uint16_t)port;
		add(s, inode, &at);
	}
	if (f)
		fclose(f);
}

static void read_unix(pid_t pid, struct sockets *s)
{
	char path[64], line[512];
	unsigned flags;
	uint64_t inode;
	FILE *f;
	int at;

	snprintf(path, sizeof(path), "/proc/%d/net/unix", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		struct listening to = {.port = 0};

		at = 0;
		if (sscanf(line, "%*[^:]: %*x %*x %x %*x %*x %" SCNu64 " %n", &flags, &inode,
			   &at) != 2 ||
		    !(flags & UNIX_LISTEN) || !at || line[at] != '/')
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(to.path, sizeof(to.path), "%s", line + at);
		add(s, inode, &to);
	}
	if (f)
		fclose(f);
}

/* Does the process hold a socket that listens as wanted?  The best of them is kept in *ret. */
static void look(pid_t pid, const struct sockets *s, const struct listen_wanted *w,
		 unsigned *ret_best)
{
	char path[64], link[64], target[64];
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		uint64_t inode;

		snprintf(link, sizeof(link), "/proc/%d/fd/%.16s", pid, e->d_name);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		for (unsigned i = 0; i < s->n && i < *ret_best; i++) {
			if (s->inode[i] == inode && (!w->port || s->at[i].port == w->port) &&
			    (!w->path || !strcmp(s->at[i].path, w->path)))
				*ret_best = i;
		}
	}
	if (d)
		closedir(d);
}

bool proc_listening(pid_t root, const struct listen_wanted *w, struct listening *ret)
{
	struct sockets *s = calloc(1, sizeof(*s));
	pid_t *tree = malloc(PROC_TREE * sizeof(*tree));
	size_t n = s && tree ? proc_tree(root, tree, PROC_TREE) : 0;
	unsigned best = INODES;

	/* The order of the tables is the order of preference; every process may be in a network of its
	 * own. */
	for (size_t i = 0; i < n; i++)
		read_tcp(tree[i], "tcp", s);
	for (size_t i = 0; i < n; i++)
		read_tcp(tree[i], "tcp6", s);
	for (size_t i = 0; i < n; i++)
		read_unix(tree[i], s);
	for (size_t i = 0; i < n; i++)
		look(tree[i], s, w, &best);
	if (best < INODES)
		*ret = s->at[best];
	free(tree);
	free(s);
	return best < INODES;
}

/* ---- sums ---- */

static uint64_t count_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *e;
	uint64_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static uint64_t cpu_ns(pid_t pid)
{
	char name[16];
	uint64_t ticks;
	pid_t parent;
	char state;

	snprintf(name, sizeof(name), "%d", pid);
	return read_stat(name, &state, &parent, &ticks)
		       ? ticks * UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)
		       : 0;
}

/* 1 when it does something, or waits to be let. */
static uint64_t is_busy(pid_t pid)
{
	char name[16], state;
	uint64_t ticks;
	pid_t parent;

	snprintf(name, sizeof(name), "%d", pid);
	return read_stat(name, &state, &parent, &ticks) && (state == 'R' || state == 'D');
}

static uint64_t sum(pid_t root, uint64_t (*of)(pid_t))
{
	pid_t *tree = malloc(PROC_TREE * sizeof(*tree));
	size_t n = tree ? proc_tree(root, tree, PROC_TREE) : 0;
	uint64_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += of(tree[i]);
	free(tree);
	return all;
}

uint64_t proc_descriptors(pid_t root)
{
	return sum(root, count_descriptors);
}

uint64_t proc_cpu_ns(pid_t root)
{
	return sum(root, cpu_ns);
}

bool proc_at_rest(pid_t root)
{
	return !sum(root, is_busy);
}

void proc_kill_tree(pid_t root)
{
	static const struct timespec while_they_die = {0, 2000000};
	pid_t *tree = malloc(PROC_TREE * sizeof(*tree));

	for (int i = 0; tree && i < 500; i++) {
		size_t n = proc_tree(root, tree, PROC_TREE), alive = 0;

		for (size_t k = 0; k < n; k++)
			alive += !kill(tree[k], SIGKILL);
		while (root == getpid() && waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (!alive)
			break;
		nanosleep(&while_they_die, NULL);
	}
	free(tree);
}
