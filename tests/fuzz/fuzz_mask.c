/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the masker with heads and text.
 *
 * Promises: a byte stays or becomes '*'; control bytes and spaces stay; any split gives the same; and
 * a masked head is the same head to the scanner.
 */
#include <stdlib.h>
#include <string.h>

#include "core/http/head.h"
#include "core/trace/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* What the rest of the product concludes from a head must not depend on its secrets.  Where it is no
 * head anyhow, masking goes first. */
static void must_scan_alike(const uint8_t *a, const uint8_t *b, size_t n, enum http_kind kind)
{
	struct http_head x, y;

	http_head_init(&x, kind);
	http_head_init(&y, kind);
	http_head_feed(&x, a, n, NULL, NULL);
	http_head_feed(&y, b, n, NULL, NULL);
	if (x.state == HTTP_BAD)
		return;
	must(x.state == y.state && x.error == y.error && x.len == y.len);
	must(x.status == y.status && x.method == y.method && x.fields == y.fields);
	must(x.flags == y.flags && x.content_length == y.content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum mask_kind kind;
	struct masker m;
	uint8_t *whole, *split;
	size_t cut;

	if (size < 3)
		return 0;
	kind = data[0] & 1 ? MASK_HEAD : MASK_TEXT;
	cut = (size_t)(data[1] | data[2] << 8) % (size - 2);
	data += 3;
	size -= 3;
	whole = malloc(size + 1);
	split = malloc(size + 1);
	must(whole && split);

	mask_init(&m, kind);
	mask_copy(&m, whole, data, size);
	mask_init(&m, kind);
	mask_copy(&m, split, data, cut);
	mask_copy(&m, split + cut, data + cut, size - cut);
	must(!memcmp(whole, split, size));
	for (size_t i = 0; i < size; i++) {
		must(whole[i] == data[i] || whole[i] == '*');
		must(whole[i] == data[i] || data[i] > ' ');
	}
	if (kind == MASK_HEAD) {
		must_scan_alike(data, whole, size, HTTP_REQUEST);
		must_scan_alike(data, whole, size, HTTP_RESPONSE);
	}
	free(whole);
	free(split);
	return 0;
}
