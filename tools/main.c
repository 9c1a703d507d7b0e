/* SPDX-License-Identifier: BSD-2-Clause
 *
 * shakedown: find the verb, parse its options, run it.
 *
 * Three verbs are for machines only and appear in no list: `man [VERB]` writes a man page, `words [VERB
 * [OPTION]]` what the shell may complete, `carry -- PATH ARGV0 ARGS...` becomes another program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/verb/launch.h"
#include "tools/verb/nearest.h"
#include "tools/verb/options.h"

static int unknown_verb(const char *word)
{
	struct nearest near;

	nearest_init(&near, word);
	for (size_t i = 0; verb_all[i]; i++)
		nearest_try(&near, verb_all[i]->name);
	nearest_try(&near, "help");
	if (near.best)
		complain("there is no verb '%s'; did you mean 'shakedown %s'?", word, near.best);
	else
		complain("there is no verb '%s'; 'shakedown help' lists them", word);
	return VERB_USAGE;
}

static int help(int argc, char **argv)
{
	const struct verb *v;

	if (argc == 0) {
		manual_overview(stdout);
		return VERB_OK;
	}
	v = verb_find(argv[0]);
	if (!v)
		return unknown_verb(argv[0]);
	manual_help(stdout, v);
	return VERB_OK;
}

static int man(int argc, char **argv)
{
	const struct verb *v = argc > 0 ? verb_find(argv[0]) : NULL;

	if (argc > 0 && !v)
		return unknown_verb(argv[0]);
	manual_page(stdout, v);
	return VERB_OK;
}

static int words(int argc, char **argv)
{
	const struct verb *v = argc > 0 ? verb_find(argv[0]) : NULL;

	if (argc == 0 || v)
		manual_words(stdout, v, argc > 1 ? argv[1] : NULL);
	return VERB_OK;
}

static int version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("shakedown " SHAKEDOWN_VERSION);
	return VERB_OK;
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
	if (options_ask_help(v, argc, argv, v->command)) {
		options_help(v);
		return VERB_OK;
	}
	if (!options_parse(v, &argc, argv, v->command))
		return v->misuse ? v->misuse : VERB_USAGE;
	return v->run(argc, argv);
}

/* The words that are no verbs. */
static const struct {
	const char *word;
	int (*run)(int argc, char **argv);
} plain[] = {
	{"help", help},	 {"--help", help}, {"-h", help},     {"--version", version},
	{"-V", version}, {"man", man},	   {"words", words}, {"carry", carry},
};

static int dispatch(int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		manual_overview(stderr);
		return VERB_USAGE;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (!strcmp(argv[1], plain[i].word))
			return plain[i].run(argc - 2, argv + 2);
	}
	v = verb_find(argv[1]);
	return v ? run_verb(v, argc - 2, argv + 2) : unknown_verb(argv[1]);
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	/* A result that did not reach its reader is no result. */
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE)
			complain("cannot write the result: %s", strerror(errno));
		if (status == VERB_OK)
			status = VERB_CANNOT;
	}
	return status;
}
