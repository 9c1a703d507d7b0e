/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec_pointers: execs whose path, arguments or variables are not there: all must say EFAULT.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PAGE = 4096,
};

static int is_fault(const char *what, long ret)
{
	if (ret == -1 && errno == EFAULT)
		return 0;
	printf("%s: %ld, %s\n", what, ret, strerror(errno));
	return 1;
}

int main(void)
{
	char *args[] = {"true", NULL};
	char *end = (char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
		    PAGE;
	char *volatile none = (char *)1;
	char **volatile nowhere = (char **)8;
	int bad = 0;

	/* So that there is a trace to say the exec in. */
	listen(socket(AF_INET, SOCK_STREAM, 0), 1);
	setvbuf(stdout, NULL, _IONBF, 0);
	mprotect(end, PAGE, PROT_NONE);
	memset(end - 8, 'x', 8); /* a path that begins and does not end */
	bad += is_fault("path", execve(none, args, environ));
	bad += is_fault("path without an end", execve(end - 8, args, environ));
	bad += is_fault("path of syscall", syscall(SYS_execve, none, args, environ));
	bad += is_fault("path of execveat",
			syscall(SYS_execveat, AT_FDCWD, none, args, environ, 0));
	bad += is_fault("arguments", execve("/bin/true", nowhere, environ));
	bad += is_fault("variables", execve("/bin/true", args, nowhere));
	bad += is_fault("everything", execve(none, nowhere, nowhere));
	puts(bad ? "something else" : "EFAULT");
	return bad;
}
