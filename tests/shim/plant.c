/* SPDX-License-Identifier: BSD-2-Clause
 *
 * plant: a debugger with one breakpoint, that is there before the program has run.
 *     plant ADDRESS EXECS PROGRAM ARGUMENT...
 * Plants it at ADDRESS (in hex, of the file as it is linked) of what runs after EXECS execs.  When it is
 * reached it is taken away, and the program goes on alone.  Ends as the program does.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t auxiliary(pid_t pid, uint64_t type)
{
	Elf64_auxv_t aux[64];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY);
	n = read(fd, aux, sizeof(aux));
	close(fd);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(aux[0]); i++) {
		if (aux[i].a_type == type)
			return aux[i].a_un.a_val;
	}
	return 0;
}

static uint64_t bias(pid_t pid)
{
	Elf64_Ehdr eh;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, &eh, sizeof(eh)) != sizeof(eh))
		exit(125);
	close(fd);
	return auxiliary(pid, AT_ENTRY) - eh.e_entry;
}

static int end(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int status, execs = argc > 3 ? atoi(argv[2]) : 0;
	uint64_t at = argc > 3 ? strtoull(argv[1], NULL, 16) : 0, was = 0;
	struct user_regs_struct regs;
	pid_t pid;

	if (argc < 4)
		return 125;
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status);

		ptrace(PTRACE_GETREGS, pid, NULL, &regs);
		if (signal == SIGTRAP && execs && !--execs) {
			at += bias(pid);
			was = (uint64_t)ptrace(PTRACE_PEEKTEXT, pid, at, NULL);
			ptrace(PTRACE_POKETEXT, pid, at, (was & ~UINT64_C(255)) | 0xcc);
			signal = 0;
		} else if (signal == SIGTRAP && was && regs.rip == at + 1) {
			ptrace(PTRACE_POKETEXT, pid, at, was);
			regs.rip = at;
			ptrace(PTRACE_SETREGS, pid, NULL, &regs);
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
			return waitpid(pid, &status, 0) == pid ? end(status) : 125;
		}
		ptrace(PTRACE_CONT, pid, NULL, signal == SIGTRAP ? 0 : signal);
	}
	return end(status);
}
