/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/script: the "#!" line, read the way the kernel reads it.
 */
#include "core/target/target.h"

enum {
	LINE_MAX_BYTES = 256, /* BINPRM_BUF_SIZE: the kernel looks at no more */
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void copy(struct span s, char ret[256])
{
	size_t n = s.n < 255 ? s.n : 255;

	memcpy(ret, s.p, n);
	ret[n] = '\0';
}

bool target_script(struct span file, char interp[256], char arg[256])
{
	size_t end = 2, start, word;

	if (file.n < 3 || file.p[0] != '#' || file.p[1] != '!')
		return false;
	while (end < file.n && end < LINE_MAX_BYTES && file.p[end] != '\n' && file.p[end])
		end++;
	while (end > 2 && is_blank(file.p[end - 1]))
		end--;
	start = 2;
	while (start < end && is_blank(file.p[start]))
		start++;
	word = start;
	while (word < end && !is_blank(file.p[word]))
		word++;
	if (word == start)
		return false;
	copy((struct span){file.p + start, word - start}, interp);
	while (word < end && is_blank(file.p[word]))
		word++;
	copy((struct span){file.p + word, end - word}, arg);
	return true;
}
