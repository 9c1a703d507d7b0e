/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows what a program finds when it starts, and then does as its first argument says: exit N, kill N,
 * copy (standard input to standard output), exec PATH WORDS..., failing (an exec of nothing).
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int is_address(unsigned long type)
{
	return type == AT_PHDR || type == AT_ENTRY || type == AT_RANDOM || type == AT_EXECFN ||
	       type == AT_PLATFORM || type == AT_BASE_PLATFORM || type == AT_SYSINFO_EHDR;
}

static void show_file(const char *path, const char *const *wanted)
{
	char line[512];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		for (const char *const *w = wanted; *w; w++) {
			if (strstr(line, *w))
				printf("%s", line);
		}
	}
	if (f)
		fclose(f);
}

static void show(char **argv)
{
	static const char *const wanted[] = {"SigBlk", "SigIgn", "SigCgt",  "TracerPid",
					     "Name:",  "SigPnd", "Threads", NULL};
	char **p;

	for (p = argv; *p; p++)
		printf("arg %s\n", *p);
	for (p = environ; *p; p++)
		printf("env %s\n", *p);
	for (Elf64_auxv_t *a = (Elf64_auxv_t *)(p + 1); a->a_type != AT_NULL; a++)
		printf("aux %lu %lx\n", a->a_type,
		       is_address(a->a_type) ? a->a_un.a_val != 0 : a->a_un.a_val);
	for (int fd = 0; fd < 64; fd++) {
		if (lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF)
			printf("fd %d\n", fd);
	}
	show_file("/proc/self/status", wanted);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char text[256];
	ssize_t n;

	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "kill"))
		raise(atoi(argv[2]));
	if (!strcmp(what, "copy")) {
		while ((n = read(0, text, sizeof(text))) > 0)
			(void)!write(1, text, (size_t)n);
		return 0;
	}
	if (!strcmp(what, "exec"))
		return execv(argv[2], argv + 2);
	if (!strcmp(what, "failing")) {
		n = execv("/does/not/exist", argv);
		printf("%zd %d %s\n", n, errno, argv[1]);
		return 0;
	}
	if (!strcmp(what, "library")) {
		static const char *const name[] = {"libshakedown.so", NULL};

		show_file("/proc/self/maps", name);
		return 0;
	}
	show(argv);
	return 0;
}
