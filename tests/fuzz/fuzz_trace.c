/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fuzz the trace reader: any bytes may lie in a trace folder.
 *
 * The first byte says how much of the input patches the header (offset and value, three bytes each);
 * the rest is the data, over both halves, and the file ends where the data ends.
 * Promises: no read outside the file, an end, and only records that keep what they declare.
 */
#include <stdlib.h>
#include <string.h>

#include "core/trace/append.h"
#include "core/trace/iterate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HALF = 4096,
	ROOM = 2 * HALF,
};

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* A header over halves of HALF bytes, full to the last one. */
static struct trace_header make_header(void)
{
	struct trace_header h = {0};

	trace_layout(&h, 16 * 1024 * 1024);
	h.half_size = HALF;
	h.file_size = h.data_off + ROOM;
	h.half[1].sequence = 2;
	h.half[0].cursor = HALF | TRACE_CURSOR_CLOSED;
	h.half[1].cursor = HALF;
	h.modules = TRACE_MODULES;
	return h;
}

static void check_data(const struct trace_data *d)
{
	const uint8_t *end = (const uint8_t *)d + (d->rec.size_state & ~7u);
	uint32_t at = 0, rel, n = 0;
	struct span b;

	while (trace_segment_next(d, &at, &rel, &b)) {
		must(b.p >= (const uint8_t *)(d + 1) && b.p + b.n <= end);
		n++;
	}
	must(n == d->segments);
}

static void check_record(const struct trace_record *r, const uint8_t *end)
{
	uint32_t size = r->size_state & ~7u;

	must((r->size_state & 7) == TRACE_PUBLISHED);
	must(size <= TRACE_RECORD_MAX && (const uint8_t *)r + size <= end);
	must(strcmp(trace_kind_name(r->kind), "unknown") != 0);
	if (r->kind == TRACE_DATA)
		check_data((const void *)r);
	if (r->kind == TRACE_WITNESS)
		must(size >= sizeof(struct trace_witness));
	if (r->kind == TRACE_TEXT)
		must(((const struct trace_text *)r)->len <= size - sizeof(struct trace_text));
	if (r->kind == TRACE_STACK)
		must(((const struct trace_stack *)r)->kept * 8 <=
		     size - sizeof(struct trace_stack));
}

static void read_all(const uint8_t *file, size_t len)
{
	const struct trace_header *h = (const void *)file;
	const struct trace_record *r;
	struct trace_iter it;
	uint32_t n = 0;

	if (trace_check(file, len) != TRACE_OK)
		return;
	trace_iter_init(&it, file, len);
	while ((r = trace_next(&it))) {
		check_record(r, file + len);
		must(it.ordinal == ++n);
		must(n <= len / sizeof(*r));
	}
	must(trace_next(&it) == NULL);
	for (uint32_t i = 0; i < 3; i++) {
		const struct trace_module *m = trace_module_at(file, len, h->modules - 1 + i);

		if (m)
			must(m->build_id_len != 99 || m->start != 99);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *block; /* the file lies at its end */
	static struct trace_header plain;
	struct trace_header h;
	uint8_t *file;
	size_t n;

	if (!block) {
		plain = make_header();
		block = calloc(1, plain.data_off + ROOM);
		must(block != NULL);
	}
	if (!size)
		return 0;
	h = plain;
	for (n = data[0] % 8, data++, size--; n && size >= 3; n--, data += 3, size -= 3)
		((uint8_t *)&h)[(data[0] | data[1] << 8) % sizeof(h)] = data[2];
	size = (size < ROOM ? size : ROOM) & ~(size_t)7;
	file = block + ROOM - size;
	memset(file, 0, TRACE_HEADER_SIZE);
	memcpy(file, &h, sizeof(h));
	if (size)
		memcpy(block + plain.data_off + ROOM - size, data, size);
	read_all(file, plain.data_off + size);
	memset(file, 0, TRACE_HEADER_SIZE);
	return 0;
}
