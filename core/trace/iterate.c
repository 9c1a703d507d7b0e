/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/iterate: the reader's side of a trace.
 *
 * The file may still be written to, and may have been written by anybody.  (1) No byte at or beyond
 * len is read.  (2) A record is returned only after every length it declares was found to lie inside
 * it.  (3) Each call makes progress or returns NULL.
 */
#include "core/trace/iterate.h"

enum {
	AHEAD = 1024, /* bytes: about a dozen records */
};

static const struct {
	const char *name;
	uint32_t fixed; /* bytes of the fixed part */
} kinds[] = {
#define RECORD(id, number, name, payload, says) [number] = {name, sizeof(struct payload)},
#include "core/trace/record.def"
#undef RECORD
};

const char *trace_kind_name(unsigned kind)
{
	return kind < CORE_ARRAY_LEN(kinds) && kinds[kind].name ? kinds[kind].name : "unknown";
}

static const struct {
	uint64_t bit;
	const char *name, *text;
} reasons[] = {
#define COVERAGE_REASON(id, bit, name, text) {bit, name, text},
#include "core/trace/coverage.def"
#undef COVERAGE_REASON
};

enum trace_coverage_state trace_coverage_of(const struct trace_header *h, uint64_t *ret_reasons)
{
	uint32_t state = h->coverage <= TRACE_BLIND ? h->coverage : TRACE_BLIND;
	bool mostly = h->tls_connections && h->tls_connections >= h->opened - h->opened / 2;

	if (ret_reasons)
		*ret_reasons = h->coverage_reasons | (mostly ? TRACE_REASON_TLS : 0);
	return mostly && state == TRACE_FULL ? TRACE_PARTIAL : (enum trace_coverage_state)state;
}

const char *trace_reason_name(uint64_t one_bit)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(reasons); i++)
		if (reasons[i].bit == one_bit)
			return reasons[i].name;
	return "unknown";
}

const char *trace_reason_text(uint64_t one_bit)
{
	for (size_t i = 0; i < CORE_ARRAY_LEN(reasons); i++)
		if (reasons[i].bit == one_bit)
			return reasons[i].text;
	return "a reason this reader does not know";
}

const char *trace_error_text(enum trace_error e)
{
	switch (e) {
	case TRACE_OK:
		return "no error";
	case TRACE_ERR_SHORT:
		return "shorter than the header of a trace";
	case TRACE_ERR_MAGIC:
		return "not a trace";
	case TRACE_ERR_ENDIAN:
		return "written on a machine of the other byte order";
	case TRACE_ERR_NEWER:
		return "written by a newer version";
	case TRACE_ERR_LAYOUT:
		return "damaged: its header contradicts itself";
	case TRACE_ERR_EMPTY:
		return "its process ended while creating it; nothing was recorded";
	}
	return "unknown error";
}

/* Is [off, off + n) inside [from, to)?  No sum can overflow. */
static bool lies_inside(uint64_t off, uint64_t n, uint64_t from, uint64_t to)
{
	return off >= from && off <= to && n <= to - off && off % 8 == 0;
}

enum trace_error trace_check(const void *file, size_t len)
{
	const struct trace_header *h = file;
	const uint64_t modules = TRACE_MODULES * sizeof(struct trace_module);
	const uint64_t routes = TRACE_ROUTES * sizeof(struct trace_route);
	const uint64_t connections = TRACE_CONNECTIONS * sizeof(struct trace_connection);

	if (len < TRACE_HEADER_SIZE)
		return TRACE_ERR_SHORT;
	if (h->magic == __builtin_bswap64(TRACE_MAGIC))
		return TRACE_ERR_ENDIAN;
	if (h->magic != TRACE_MAGIC)
		return h->magic ? TRACE_ERR_MAGIC : TRACE_ERR_EMPTY;
	if (h->endian != TRACE_ENDIAN)
		return TRACE_ERR_ENDIAN;
	if (h->version != TRACE_VERSION || h->features)
		return TRACE_ERR_NEWER;
	if (!lies_inside(h->modules_off, modules, TRACE_HEADER_SIZE, h->file_size) ||
	    !lies_inside(h->routes_off, routes, h->modules_off + modules, h->file_size) ||
	    !lies_inside(h->connections_off, connections, h->routes_off + routes, h->file_size) ||
	    !lies_inside(h->data_off, 0, h->connections_off + connections, h->file_size) ||
	    h->half_size % 8 || h->half_size > (h->file_size - h->data_off) / 2)
		return TRACE_ERR_LAYOUT;
	return TRACE_OK;
}

/* Row i of a table, NULL when it is not all there. */
static const void *row_at(const void *file, size_t len, uint64_t off, uint64_t size, uint32_t i,
			  uint32_t rows)
{
	if (i >= rows || off > len || len - off < (i + UINT64_C(1)) * size)
		return NULL;
	return (const uint8_t *)file + off + i * size;
}

const struct trace_module *trace_module_at(const void *file, size_t len, uint32_t i)
{
	const struct trace_header *h = file;
	uint32_t rows = h->modules < TRACE_MODULES ? h->modules : TRACE_MODULES;

	return row_at(file, len, h->modules_off, sizeof(struct trace_module), i, rows);
}

const struct trace_route *trace_route_at(const void *file, size_t len, uint32_t i)
{
	const struct trace_header *h = file;

	return row_at(file, len, h->routes_off, sizeof(struct trace_route), i, TRACE_ROUTES);
}

const struct trace_connection *trace_connection_at(const void *file, size_t len, uint32_t i)
{
	const struct trace_header *h = file;

	return row_at(file, len, h->connections_off, sizeof(struct trace_connection), i,
		      TRACE_CONNECTIONS);
}

static bool segments_fit(const struct trace_data *d, uint32_t size)
{
	uint32_t at = sizeof(*d);

	for (uint32_t i = 0; i < d->segments; i++) {
		const struct trace_segment *s = (const void *)((const uint8_t *)d + at);

		if (size - at < sizeof(*s))
			return false;
		at += sizeof(*s);
		if (s->len > size - at)
			return false;
		at += (uint32_t)CORE_ALIGN8(s->len); /* size is a multiple of 8 */
	}
	return true;
}

static bool stack_fits(const struct trace_stack *s, uint32_t size)
{
	const uint64_t *bitmap = (const void *)(s + 1);
	uint64_t rows = ((uint64_t)s->words + 63) / 64;
	uint64_t kept = 0;

	if (rows + s->kept > (size - sizeof(*s)) / 8)
		return false;
	for (uint64_t i = 0; i < rows; i++)
		kept += (unsigned)__builtin_popcountll(bitmap[i]);
	return kept == s->kept;
}

static bool record_fits(const struct trace_record *r, uint32_t size)
{
	if (size < kinds[r->kind].fixed)
		return false;
	switch (r->kind) {
	case TRACE_DATA:
		return segments_fit((const struct trace_data *)r, size);
	case TRACE_STACK:
		return stack_fits((const struct trace_stack *)r, size);
	case TRACE_TEXT:
		return ((const struct trace_text *)r)->len <= size - sizeof(struct trace_text);
	case TRACE_PROCESS:
		return ((const struct trace_process *)r)->len <=
		       size - sizeof(struct trace_process);
	default:
		return true;
	}
}

bool trace_segment_next(const struct trace_data *d, uint32_t *at, uint32_t *ret_rel,
			struct span *ret_bytes)
{
	uint32_t size = d->rec.size_state & ~(uint32_t)TRACE_STATE_MASK;
	uint32_t index = *at >> 16; /* and in the lower half: where it starts, in words */
	uint32_t from = *at ? (*at & 0xffff) * 8 : sizeof(*d);
	const struct trace_segment *s = (const void *)((const uint8_t *)d + from);

	if (index >= d->segments || from > size || size - from < sizeof(*s) ||
	    s->len > size - from - sizeof(*s))
		return false;
	from += (uint32_t)(sizeof(*s) + CORE_ALIGN8(s->len));
	*at = (index + 1) << 16 | from / 8;
	*ret_rel = s->rel;
	*ret_bytes = (struct span){(const uint8_t *)(s + 1), s->len};
	return true;
}

void trace_iter_init(struct trace_iter *it, const void *file, size_t len)
{
	*it = (struct trace_iter){.file = file, .len = len, .half = 2};
}

/* The oldest half that is younger than the one being read, 2 when there is none. */
static uint8_t younger_half(const struct trace_iter *it)
{
	const struct trace_header *h = (const void *)it->file;
	uint64_t best = UINT64_MAX;
	uint8_t half = 2;

	for (uint8_t i = 0; i < 2; i++) {
		uint64_t sequence = __atomic_load_n(&h->half[i].sequence, __ATOMIC_ACQUIRE);

		if (sequence > it->sequence && sequence < best) {
			best = sequence;
			half = i;
		}
	}
	return half;
}

static uint64_t half_sequence(const struct trace_iter *it)
{
	const struct trace_header *h = (const void *)it->file;

	return __atomic_load_n(&h->half[it->half].sequence, __ATOMIC_ACQUIRE);
}

/* The bytes of the half being read, how many of them were reserved, and how many of those are in this
 * (perhaps truncated) file. */
struct extent {
	const uint8_t *bytes;
	uint64_t end, there;
};

static struct extent half_extent(const struct trace_iter *it)
{
	const struct trace_header *h = (const void *)it->file;
	uint64_t start = h->data_off + it->half * h->half_size;
	uint64_t end = __atomic_load_n(&h->half[it->half].cursor, __ATOMIC_ACQUIRE);
	uint64_t there;

	end &= ~TRACE_CURSOR_CLOSED & ~UINT64_C(7);
	if (end > h->half_size)
		end = h->half_size;
	there = it->len <= start ? 0 : (it->len - start) & ~UINT64_C(7);
	return (struct extent){it->file + start, end, there < end ? there : end};
}

static uint64_t skip_zeros(const uint8_t *bytes, uint64_t at, uint64_t end)
{
	while (at < end && !__atomic_load_n((const uint64_t *)(bytes + at), __ATOMIC_ACQUIRE))
		at += 8;
	return at;
}

/* Pass over zeros.  False when nothing is behind them (yet). */
static bool pass_gap(struct trace_iter *it, const struct extent *x)
{
	uint64_t next = skip_zeros(x->bytes, it->at, x->there);

	if (next == x->there)
		return false;
	/* Who fills a gap stores the first word first: if next was not zero but the gap still is, next
	 * holds a first word and not payload. */
	it->holes++;
	it->at = skip_zeros(x->bytes, it->at, next);
	return true;
}

static const struct trace_record *give_up(struct trace_iter *it)
{
	/* Unless the writer is just throwing this half away; then the next one is read. */
	it->broken += half_sequence(it) == it->sequence;
	it->at = UINT64_MAX;
	return NULL;
}

/* Stop before something unfinished, which may be finished when we are called again. */
static const struct trace_record *wait_here(struct trace_iter *it)
{
	it->tail = true;
	it->holes++;
	return NULL;
}

/* The next published record of the half being read, NULL when there is none (now). */
static const struct trace_record *next_in_half(struct trace_iter *it)
{
	const struct extent x = half_extent(it);

	while (it->at < x.there) {
		const struct trace_record *r = (const void *)(x.bytes + it->at);
		uint64_t word = __atomic_load_n((const uint64_t *)r, __ATOMIC_ACQUIRE);
		struct trace_record first;
		uint32_t state, size;

		/* Nothing but the walk itself knows where the next records are; a hint cannot fault. */
		__builtin_prefetch((const uint8_t *)r + AHEAD);
		memcpy(&first, &word, sizeof(first));
		state = first.size_state & TRACE_STATE_MASK;
		size = first.size_state & ~(uint32_t)TRACE_STATE_MASK;
		if (!word) {
			if (!pass_gap(it, &x))
				return wait_here(it);
			continue;
		}
		if (size < sizeof(*r) || size > TRACE_RECORD_MAX || size > x.end - it->at ||
		    (state != TRACE_RESERVED && state != TRACE_PUBLISHED))
			return give_up(it);
		if (size > x.there - it->at) /* the rest of it was cut off */
			return NULL;
		if (state == TRACE_RESERVED && it->at + size == x.end)
			return wait_here(it);
		it->at += size;
		it->holes += state == TRACE_RESERVED;
		if (state == TRACE_RESERVED || first.kind >= CORE_ARRAY_LEN(kinds) ||
		    !kinds[first.kind].name)
			continue;
		if (record_fits(r, size)) {
			it->ordinal++;
			return r;
		}
		it->bad++;
	}
	return NULL;
}

const struct trace_record *trace_next(struct trace_iter *it)
{
	if (it->tail)
		it->holes--;
	it->tail = false;
	for (;;) {
		/* Before reading to the end: what was appended until the switch must be seen. */
		uint8_t younger = younger_half(it);
		const struct trace_header *h = (const void *)it->file;

		if (it->half < 2 && half_sequence(it) == it->sequence) {
			const struct trace_record *r = next_in_half(it);

			if (r)
				return r;
		}
		if (younger == 2)
			return NULL;
		it->half = younger;
		it->sequence = __atomic_load_n(&h->half[younger].sequence, __ATOMIC_ACQUIRE);
		it->at = 0;
		it->tail = false;
	}
}
