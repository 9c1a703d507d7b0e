/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec_fails: a thousand execs and spawns that fail must leave the number of mappings as it was.
 */
#include <spawn.h>
#include <stdio.h>
#include <unistd.h>

static int mappings(void)
{
	int n = 0, c;
	FILE *maps = fopen("/proc/self/maps", "r");

	while ((c = getc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

int main(void)
{
	char *args[] = {"x", NULL}, *envp[] = {NULL};
	pid_t child;
	int before;

	mappings(); /* stdio has its buffer now */
	before = mappings();
	for (int i = 0; i < 1000; i++) {
		execve("/no such file", args, envp);
		execle("/no such file", "x", NULL, envp);
		posix_spawn(&child, "/no such file", NULL, NULL, args, envp);
	}
	if (mappings() != before) {
		printf("%d mappings more\n", mappings() - before);
		return 1;
	}
	puts("the same mappings");
	return 0;
}
