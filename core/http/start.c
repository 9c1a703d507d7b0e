/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/start: the start line of a request or an answer.  Source: RFC 9112 sections 2.2, 3 and 4.
 */
#include "core/http/scan.h"

static const char method_word[][WORD_MAX] = {
	"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT",
};
static const uint8_t method_of_word[CORE_ARRAY_LEN(method_word) + 1] = {
	HTTP_CONNECT, HTTP_DELETE, HTTP_GET, HTTP_HEAD,		HTTP_OPTIONS,
	HTTP_PATCH,   HTTP_POST,   HTTP_PUT, HTTP_METHOD_OTHER,
};

static void start_line_end(struct scan *s)
{
	struct http_head *h = s->h;

	h->step = STEP_FIRST_LINE;
	if (h->version == 0x09)
		h->state = HTTP_DONE; /* HTTP/0.9 is one line */
}

/* CR or LF at the end of the start line. */
static void start_line_eol(struct scan *s, uint8_t c)
{
	s->p++;
	if (c == '\r') {
		s->h->step = STEP_START_CR;
		return;
	}
	s->h->flags |= HTTP_BARE_LF;
	start_line_end(s);
}

static void scan_blank(struct scan *s)
{
	struct http_head *h = s->h;

	while (s->p < s->end && (*s->p == '\r' || *s->p == '\n'))
		s->p++;
	if (s->p == s->end)
		return;
	h->part_start = offset(s, s->p);
	word_begin(h, 0, CORE_ARRAY_LEN(method_word));
	h->step = h->kind == HTTP_REQUEST ? STEP_METHOD : STEP_VERSION;
}

static void scan_method(struct scan *s)
{
	struct http_head *h = s->h;

	s->p = word_match(method_word, false, h, s->p, s->end);
	if (s->p < s->end && http_is_token(*s->p))
		word_begin(h, 0, 0); /* some other method */
	while (s->p < s->end && http_is_token(*s->p))
		s->p++;
	if (s->p == s->end)
		return;
	if (*s->p != ' ' || offset(s, s->p) == h->part_start) {
		fail(s, HTTP_ERR_START_LINE);
		return;
	}
	h->method = method_of_word[word_found(method_word, h, CORE_ARRAY_LEN(method_word))];
	tell(s, HTTP_PART_METHOD, h->part_start, offset(s, s->p));
	s->p++;
	h->step = STEP_TARGET_GAP;
}

static void scan_target(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c;

	s->p = skip_from(s->p, s->end, ' ' + 1);
	if (s->p == s->end)
		return;
	c = *s->p;
	if (c != ' ' && c != '\r' && c != '\n') {
		fail(s, HTTP_ERR_CONTROL);
		return;
	}
	tell(s, HTTP_PART_TARGET, h->part_start, offset(s, s->p));
	h->step = STEP_VERSION_GAP;
}

/* Blanks before the target or the version. */
static void scan_gap(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == ' ') {
		s->p++;
	} else if (h->step == STEP_TARGET_GAP) {
		if (c == '\r' || c == '\n') {
			fail(s, HTTP_ERR_START_LINE);
			return;
		}
		h->part_start = offset(s, s->p);
		h->step = STEP_TARGET;
	} else if (c == '\r' || c == '\n') {
		h->version = 0x09;
		start_line_eol(s, c);
	} else {
		h->part_start = offset(s, s->p);
		h->match_pos = 0;
		h->step = STEP_VERSION;
	}
}

static void scan_version(struct scan *s)
{
	static const char prefix[] = "HTTP/1.";
	struct http_head *h = s->h;

	while (s->p < s->end && h->match_pos < sizeof(prefix) - 1) {
		if (*s->p != (uint8_t)prefix[h->match_pos]) {
			fail(s, h->kind == HTTP_RESPONSE && h->match_pos < 5 ? HTTP_ERR_START_LINE
									     : HTTP_ERR_VERSION);
			return;
		}
		s->p++;
		h->match_pos++;
	}
	if (h->match_pos == sizeof(prefix) - 1)
		h->step = STEP_MINOR;
}

static void scan_minor(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t digit = (uint8_t)(*s->p - '0');

	if (digit > 9) {
		fail(s, HTTP_ERR_VERSION);
		return;
	}
	s->p++;
	h->version = digit ? 0x11 : 0x10;
	tell(s, HTTP_PART_VERSION, h->part_start, offset(s, s->p));
	h->match_pos = 0;
	h->step = h->kind == HTTP_REQUEST ? STEP_TAIL : STEP_STATUS_GAP;
}

/* What may follow the version of a request, or the digits of a status. */
static void scan_tail(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p;

	if (c == '\r' || c == '\n') {
		if (h->step == STEP_STATUS_END)
			tell(s, HTTP_PART_REASON, offset(s, s->p), offset(s, s->p));
		start_line_eol(s, c);
	} else if (c == ' ' && h->step == STEP_STATUS_END) {
		s->p++;
		h->part_start = h->part_end = offset(s, s->p);
		h->step = STEP_REASON;
	} else if (c == ' ' || (c == '\t' && h->step == STEP_TAIL)) {
		s->p++;
	} else {
		fail(s, h->step == STEP_TAIL ? HTTP_ERR_VERSION : HTTP_ERR_STATUS);
	}
}

/* The blanks before a status, and its three digits. */
static void scan_status(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c = *s->p, digit = (uint8_t)(c - '0');

	if (h->step == STEP_STATUS_GAP) {
		if (c == ' ') {
			s->p++;
			h->match_pos = 1;
			return;
		}
		if (!h->match_pos || digit > 9 || digit == 0) {
			fail(s, HTTP_ERR_STATUS);
			return;
		}
		h->part_start = offset(s, s->p);
		h->match_pos = 0;
		h->number = 0;
		h->step = STEP_STATUS;
	}
	if (digit > 9) {
		fail(s, HTTP_ERR_STATUS);
		return;
	}
	s->p++;
	h->number = h->number * 10 + digit;
	if (++h->match_pos == 3) {
		h->status = (uint16_t)h->number;
		tell(s, HTTP_PART_STATUS, h->part_start, offset(s, s->p));
		h->step = STEP_STATUS_END;
	}
}

static void scan_reason(struct scan *s)
{
	struct http_head *h = s->h;
	uint8_t c;

	s->p = skip_text(s->p, s->end);
	if (s->p == s->end)
		return;
	c = *s->p;
	if (c == '\r' || c == '\n') {
		tell(s, HTTP_PART_REASON, h->part_start, offset(s, s->p));
		start_line_eol(s, c);
	} else if (c == '\0') {
		fail(s, HTTP_ERR_CONTROL);
	} else {
		s->p++;
	}
}

static void scan_start_cr(struct scan *s)
{
	if (*s->p == '\r') {
		s->p++;
	} else if (*s->p == '\n') {
		s->p++;
		start_line_end(s);
	} else {
		fail(s, HTTP_ERR_CONTROL);
	}
}

/* ---- the usual line, when all of it is there ---- */

enum {
	VERSION_LEN = 8, /* HTTP/1.1 */
	STATUS_LEN = 13, /* HTTP/1.1 200 and the blank */
};

#define VERSION_WORD UINT64_C(0x2e312f50545448) /* "HTTP/1.", the first byte lowest */
#define VERSION_MASK UINT64_C(0xffffffffffffff)

/* A method, a target and a version with one blank between them.  False: nothing was done. */
static bool request_at_once(struct scan *s)
{
	struct http_head *h = s->h;
	uint32_t word = (uint32_t)load_le64(s->p);
	unsigned known = word == 0x20544547   ? 2
			 : word == 0x54534f50 ? 6
			 : word == 0x44414548 ? 3
					      : 8;
	const uint8_t *target = s->p + 4, *p; /* "GET ", "POST", "HEAD" */

	if (known == CORE_ARRAY_LEN(method_word) || (known != 2 && *target++ != ' ') ||
	    *target <= ' ')
		return false;
	p = skip_from(target, s->end, ' ' + 1);
	if (s->end - p < 1 + VERSION_LEN + 2 || *p != ' ' ||
	    (load_le64(p + 1) & VERSION_MASK) != VERSION_WORD || (uint8_t)(p[8] - '0') > 9 ||
	    p[9] != '\r' || p[10] != '\n')
		return false;
	word_begin(h, known, known + 1);
	h->method = method_of_word[known];
	h->version = p[8] == '0' ? 0x10 : 0x11;
	h->part_start = offset(s, p + 1);
	h->step = STEP_FIRST_LINE;
	s->p = p + 1 + VERSION_LEN + 2;
	return true;
}

/* A version, three digits and a reason. */
static bool answer_at_once(struct scan *s)
{
	struct http_head *h = s->h;
	const uint8_t *v = s->p, *p;
	uint8_t a = (uint8_t)(v[9] - '0'), b = (uint8_t)(v[10] - '0'), c = (uint8_t)(v[11] - '0');

	if ((load_le64(v) & VERSION_MASK) != VERSION_WORD || (uint8_t)(v[7] - '0') > 9 ||
	    v[8] != ' ' || a > 9 || !a || b > 9 || c > 9 || v[12] != ' ')
		return false;
	p = skip_text(v + STATUS_LEN, s->end);
	if (s->end - p < 2 || p[0] != '\r' || p[1] != '\n')
		return false;
	word_begin(h, 0, CORE_ARRAY_LEN(method_word));
	h->match_pos = 3;
	h->version = v[7] == '0' ? 0x10 : 0x11;
	h->status = (uint16_t)(a * 100 + b * 10 + c);
	h->number = h->status;
	h->part_start = h->part_end = offset(s, v + STATUS_LEN);
	h->step = STEP_FIRST_LINE;
	s->p = p + 2;
	return true;
}

bool http_start_at_once(struct scan *s)
{
	if (s->sink || s->end - s->p < STATUS_LEN + 2)
		return false;
	return s->h->kind == HTTP_REQUEST ? request_at_once(s) : answer_at_once(s);
}

void http_start_step(struct scan *s)
{
	switch ((enum step)s->h->step) {
	case STEP_BLANK:
		scan_blank(s);
		break;
	case STEP_METHOD:
		scan_method(s);
		break;
	case STEP_TARGET_GAP:
	case STEP_VERSION_GAP:
		scan_gap(s);
		break;
	case STEP_TARGET:
		scan_target(s);
		break;
	case STEP_VERSION:
		scan_version(s);
		break;
	case STEP_MINOR:
		scan_minor(s);
		break;
	case STEP_TAIL:
	case STEP_STATUS_END:
		scan_tail(s);
		break;
	case STEP_STATUS_GAP:
	case STEP_STATUS:
		scan_status(s);
		break;
	case STEP_REASON:
		scan_reason(s);
		break;
	case STEP_START_CR:
		scan_start_cr(s);
		break;
	default:
		break;
	}
}
