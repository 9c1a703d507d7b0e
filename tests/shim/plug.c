/* SPDX-License-Identifier: BSD-2-Clause
 *
 * plug: three things in one source, to see whose search path dlopen uses.
 *
 *     (nothing)   a program that calls open_plug() of a library it loads by path, argv[1]
 *     -DOUTER     that library: opens "libinner.so", found only through its own RUNPATH
 *     -DINNER     libinner.so
 */
#include <dlfcn.h>
#include <stdio.h>

#if defined(INNER)
const char *inner_says(void)
{
	return "inner";
}
#elif defined(OUTER)
const char *open_plug(void)
{
	void *inner = dlopen("libinner.so", RTLD_NOW);
	const char *(*says)(void) =
		inner ? (const char *(*)(void))dlsym(inner, "inner_says") : NULL;

	return says ? says() : dlerror();
}

const char *open_apart(void)
{
	void *inner = dlmopen(LM_ID_NEWLM, "libinner.so", RTLD_NOW);

	return inner ? "apart" : dlerror();
}
#else
int main(int argc, char **argv)
{
	const char *stale = dlerror();
	void *outer = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	const char *(*plug)(void) = outer ? (const char *(*)(void))dlsym(outer, "open_plug") : NULL;
	const char *(*apart)(void) =
		outer ? (const char *(*)(void))dlsym(outer, "open_apart") : NULL;

	puts(stale ? stale : "no error");
	if (!plug || !apart) {
		puts(dlerror());
		return 1;
	}
	puts(plug());
	puts(apart());
	return 0;
}
#endif
