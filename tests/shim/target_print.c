/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Print what core/target finds in a program:
 *     target_print go FILE [NAME...]     version, sites, and addresses of functions
 *     target_print frames FILE           frames of the hexadecimal addresses on stdin
 *     target_print sites FILE            sites of a static program, any number
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/target/go.h"
#include "core/target/site.h"

static struct elf map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct elf e;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		exit(2);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED || !elf_open((struct span){p, (size_t)st.st_size}, &e))
		exit(2);
	return e;
}

static int print_go(const struct elf *e, unsigned n, char **names)
{
	struct go_site site[GO_SITES];
	struct go_layout layout;
	struct go_table t;
	uint64_t at[16];
	char version[32];
	unsigned count = 0;

	if (!go_build_info(e, version, sizeof(version)) || n > 16)
		return 1;
	printf("version %s %u\n", version, go_minor(version));
	layout = go_layout(go_minor(version));
	printf("layout %u %u %u\n", layout.goid, layout.m, layout.procid);
	if (go_sites(e, go_minor(version), site, &count) == GO_SITES_FOUND)
		for (unsigned i = 0; i < count; i++)
			printf("site %#llx %u\n", (unsigned long long)site[i].vaddr, site[i].kind);
	if (!go_table_open(e, &t))
		return 1;
	printf("text %#llx %u\n", (unsigned long long)t.text, t.functions);
	go_functions_find(&t, (const char *const *)names, n, at);
	for (unsigned i = 0; i < n; i++)
		printf("function %s %#llx\n", names[i], (unsigned long long)at[i]);
	return 0;
}

static int print_frames(const struct elf *e)
{
	static struct go_frame frame[GO_INLINED];
	unsigned long long pc;
	struct go_table t;

	if (!go_table_open(e, &t))
		return 1;
	while (scanf("%llx", &pc) == 1) {
		unsigned n = go_frames_at(&t, pc, frame);

		for (unsigned i = 0; i < n; i++)
			printf("%llx\t%s\t%s\t%u\n", pc, frame[i].function, frame[i].file,
			       frame[i].line);
	}
	return 0;
}

static bool any(uint32_t nr)
{
	(void)nr;
	return true;
}

static bool print_site(void *arg, const struct site *s)
{
	(void)arg;
	printf("site %#llx %u %u %d %u\n", (unsigned long long)s->vaddr, s->size, s->before,
	       (int)s->nr, s->shape);
	return true;
}

int main(int argc, char **argv)
{
	struct site_totals totals;
	struct elf e;

	if (argc < 3)
		return 2;
	e = map(argv[2]);
	if (!strcmp(argv[1], "go"))
		return print_go(&e, (unsigned)argc - 3, argv + 3);
	if (!strcmp(argv[1], "frames"))
		return print_frames(&e);
	totals = sites_find(&e, any, print_site, NULL);
	printf("totals %u %u\n", totals.sites, totals.refused);
	return 0;
}
