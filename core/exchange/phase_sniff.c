/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_sniff: the first bytes of a connection.
 *
 * They are held, at most 16 of them, as long as they may be a PROXY protocol prefix, a TLS record or
 * an HTTP/2 preface; what turns out to be none of these is read again as a request.  Most requests
 * are known for one by their first byte and are never held.  Source: the PROXY protocol
 * specification, versions 1 and 2; RFC 8446 section 5.1; RFC 9113 section 3.4.
 */
#include "core/exchange/phase_internal.h"

enum verdict {
	VERDICT_HOLD, /* too few bytes */
	VERDICT_REQUEST,
	VERDICT_TLS,
	VERDICT_HTTP2,
	VERDICT_OTHER,
	VERDICT_PROXY_LINE,
	VERDICT_PROXY_DATA,
};

static const char http2[] = "PRI * HTTP/2.0";
static const char proxy_line[] = "PROXY ";
static const char proxy_data[] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	PROXY_LINE_MAX = 107, /* bytes, line end included */
	PROXY_DATA_HEAD = 16, /* signature, command, family, length */
};

/* b agrees with word as far as both go. */
static bool may_become(const uint8_t *b, size_t n, const char *word, size_t len)
{
	return memcmp(b, word, n < len ? n : len) == 0;
}

static enum verdict judge_proxy_data(const uint8_t *b, size_t n)
{
	if (n > 12 && b[12] >> 4 != 2)
		return VERDICT_REQUEST;
	return n < PROXY_DATA_HEAD ? VERDICT_HOLD : VERDICT_PROXY_DATA;
}

static enum verdict judge(const uint8_t *b, size_t n)
{
	if (b[0] == 0x16) {
		if (n < 2)
			return VERDICT_HOLD;
		return b[1] == 0x03 ? VERDICT_TLS : VERDICT_OTHER;
	}
	if (may_become(b, n, http2, sizeof(http2) - 1))
		return n < sizeof(http2) - 1 ? VERDICT_HOLD : VERDICT_HTTP2;
	if (may_become(b, n, proxy_line, sizeof(proxy_line) - 1)) {
		if (n < sizeof(proxy_line))
			return VERDICT_HOLD;
		return b[6] == 'T' || b[6] == 'U' ? VERDICT_PROXY_LINE : VERDICT_REQUEST;
	}
	if (may_become(b, n, proxy_data, sizeof(proxy_data) - 1))
		return judge_proxy_data(b, n);
	return http_is_token(b[0]) || b[0] == '\r' || b[0] == '\n' ? VERDICT_REQUEST
								   : VERDICT_OTHER;
}

void phase_sniff_release(struct feed *f)
{
	struct phase_machine *m = f->m;

	memcpy(f->held, m->req.prefix, m->held);
	f->rest = f->p;
	f->rest_n = f->n;
	f->p = f->held;
	f->n = m->held;
	m->off[request_dir(m)] -= m->held;
	m->held = 0;
	m->req_step = REQ_IDLE;
}

static void prefix_over(struct feed *f)
{
	f->m->req_step = REQ_SNIFF;
	phase_tell(f, PHASE_PREFIX, f->dir, f->m->off[f->dir], 0);
}

/* What the held bytes turned out to be. */
static void act(struct feed *f, enum verdict verdict)
{
	struct phase_machine *m = f->m;
	uint64_t start = m->off[f->dir] - m->held;

	switch (verdict) {
	case VERDICT_HOLD:
		return;
	case VERDICT_REQUEST:
		phase_sniff_release(f);
		return;
	case VERDICT_TLS:
		phase_set_aside(f, PHASE_FOREIGN_TLS, start);
		break;
	case VERDICT_HTTP2:
		phase_set_aside(f, PHASE_FOREIGN_HTTP2, start);
		break;
	case VERDICT_OTHER:
		phase_set_aside(f, PHASE_FOREIGN_OTHER, start);
		break;
	case VERDICT_PROXY_LINE:
		m->left[0] = PROXY_LINE_MAX - m->held;
		m->req_step = REQ_PROXY_LINE;
		break;
	case VERDICT_PROXY_DATA:
		m->left[0] = (uint64_t)m->req.prefix[14] << 8 | m->req.prefix[15];
		m->req_step = REQ_PROXY_DATA;
		if (!m->left[0])
			prefix_over(f);
		break;
	}
	m->held = 0;
}

static size_t sniff_byte(struct feed *f)
{
	struct phase_machine *m = f->m;

	if (!m->held && *f->p != 'P' && http_is_token(*f->p)) {
		m->req_step = REQ_IDLE;
		return 0;
	}
	m->req.prefix[m->held++] = *f->p++;
	f->n--;
	m->off[f->dir]++;
	act(f, judge(m->req.prefix, m->held));
	return 0;
}

static size_t proxy_line_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t n = f->n < m->left[0] ? f->n : (size_t)m->left[0], i = 0;
	bool over = false;

	while (i < n && !over)
		over = f->p[i++] == '\n';
	m->left[0] -= i;
	m->off[f->dir] += i;
	if (over)
		prefix_over(f);
	else if (!m->left[0])
		phase_set_aside(f, PHASE_FOREIGN_OTHER, m->off[f->dir]);
	return i;
}

static size_t proxy_data_bytes(struct feed *f)
{
	struct phase_machine *m = f->m;
	size_t n = f->n < m->left[0] ? f->n : (size_t)m->left[0];

	m->left[0] -= n;
	m->off[f->dir] += n;
	if (!m->left[0])
		prefix_over(f);
	return n;
}

size_t phase_sniff_step(struct feed *f)
{
	switch (f->m->req_step) {
	case REQ_PROXY_LINE:
		return proxy_line_bytes(f);
	case REQ_PROXY_DATA:
		return proxy_data_bytes(f);
	default:
		return sniff_byte(f);
	}
}
