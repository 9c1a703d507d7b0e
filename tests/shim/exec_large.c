/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec_large: vfork children with a list of variables that lacks ours, thousands of them.
 *   exec_large leave      a thousand children: the mappings of this process stay as many
 *   exec_large become     one exec of /bin/true
 *   exec_large broken     execs whose list, or one of whose strings, is not there: all must say EFAULT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	VARIABLES = 4000,
	PAGE = 4096,
};
static char text[VARIABLES][16], *many[VARIABLES + 1], *args[] = {"true", NULL};

static int mappings(void)
{
	int n = 0, c;
	FILE *maps = fopen("/proc/self/maps", "r");

	while ((c = getc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

static int leave(void)
{
	int before, status;

	for (int i = -1; i < 1000; i++) {
		pid_t child = vfork();

		if (!child) {
			execve("/bin/true", args, many);
			_exit(1);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 2;
		if (i < 0)
			before = mappings();
	}
	if (mappings() == before)
		return puts("the same mappings") < 0;
	printf("%d mappings more\n", mappings() - before);
	return 1;
}

static int broken(void)
{
	char *end = (char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
		    PAGE;
	char *list[3] = {"A=b", NULL, NULL};
	int ok = 1;

	munmap(end, PAGE);
	list[1] = end; /* a string that is not there */
	ok &= execve("/bin/true", args, list) < 0 && errno == EFAULT;
	memset(end - 8, 'x', 8);
	list[1] = end - 8; /* one that begins and does not end */
	ok &= execve("/bin/true", args, list) < 0 && errno == EFAULT;
	memcpy(end - sizeof(char *), list, sizeof(char *)); /* a list that does not end */
	ok &= execve("/bin/true", args, (char **)(end - sizeof(char *))) < 0 && errno == EFAULT;
	ok &= execve("/bin/true", args, (char **)end) < 0 && errno == EFAULT;
	ok &= execve("/bin/true", args, (char **)8) < 0 && errno == EFAULT;
	return puts(ok ? "EFAULT" : "something else") < 0;
}

int main(int argc, char **argv)
{
	for (int i = 0; i < VARIABLES; i++) {
		snprintf(text[i], sizeof(text[i]), "V%d=x", i);
		many[i] = text[i];
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "leave"))
		return leave();
	if (!strcmp(argv[1], "broken"))
		return broken();
	execve("/bin/true", args, many);
	return 1;
}
