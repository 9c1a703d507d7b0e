/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/head: an incremental scanner for one HTTP/1 message head.
 *
 * (1) Any split of the same bytes gives the same result: the state holds no pointer and no copy of
 *     the input, so it may be copied, thrown away and tried again.
 * (2) It consumes exactly the head: leading empty lines, start line, fields, the empty line.  The
 *     byte after the head is never looked at.
 * (3) Tolerant of what servers tolerate (bare LF, leading empty lines, folded fields, duplicate
 *     fields, OWS, blanks before the colon, lines without a colon, bytes no field should hold), exact
 *     about where each part starts and ends.
 * Source: RFC 9112 sections 2 to 6, RFC 9110 sections 5 and 7.8.
 */
#ifndef CORE_HTTP_HEAD_H
#define CORE_HTTP_HEAD_H

#include "core/core.h"

enum http_kind {
	HTTP_REQUEST,
	HTTP_RESPONSE,
};

enum http_method {
	HTTP_METHOD_OTHER, /* a token we have no name for */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_CONNECT,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_METHOD_COUNT,
};

/* What the fields of a head said.  UP_* are tokens of Upgrade, CONN_* of Connection. */
enum http_flag {
	HTTP_UPGRADE = 1u << 0, /* an Upgrade field is present, whatever it says */
	HTTP_UP_WEBSOCKET = 1u << 1,
	HTTP_UP_H2C = 1u << 2,
	HTTP_UP_TCP = 1u << 3,
	HTTP_UP_SPDY = 1u << 4, /* spdy/3.1 and its kin, any version */
	HTTP_UP_TLS = 1u << 5,	/* tls/1.0 and its kin */
	HTTP_UP_OTHER = 1u << 6,
	HTTP_CONN_UPGRADE = 1u << 7,
	HTTP_CONN_CLOSE = 1u << 8,
	HTTP_CONN_KEEP_ALIVE = 1u << 9,
	HTTP_CONTENT_LENGTH = 1u << 10,
	HTTP_CHUNKED = 1u << 11, /* the last transfer coding is chunked */
	HTTP_TRANSFER_ENCODING = 1u << 12,
	HTTP_EXPECT_100 = 1u << 13,
	HTTP_WS_KEY = 1u << 14,
	HTTP_WS_VERSION = 1u << 15,
	HTTP_WS_ACCEPT = 1u << 16,
	HTTP_WS_PROTOCOL = 1u << 17,
	HTTP_WS_EXTENSIONS = 1u << 18,
	HTTP_WS_DEFLATE = 1u << 19, /* permessage-deflate named in Sec-WebSocket-Extensions */
	HTTP_FOLDED = 1u << 20,	    /* at least one obs-fold */
	HTTP_BARE_LF = 1u << 21,
	HTTP_LENGTH_CONFLICT = 1u << 22, /* unequal or unreadable Content-Length, or CL with TE */
	HTTP_CONTENT_ENCODING = 1u << 23,
};

/* A part of the head, reported to the sink when its last byte is known. */
enum http_part {
	HTTP_PART_METHOD,
	HTTP_PART_TARGET,
	HTTP_PART_VERSION,
	HTTP_PART_STATUS,
	HTTP_PART_REASON, /* may be empty */
	HTTP_PART_NAME,
	HTTP_PART_VALUE, /* OWS trimmed at both ends; a folded value spans its fold; may be empty */
};

/* start, end: offsets from the first byte fed to this head, end exclusive. */
typedef void http_sink(void *ctx, enum http_part part, uint32_t start, uint32_t end);

enum http_state {
	HTTP_MORE, /* the head is not complete */
	HTTP_DONE,
	HTTP_BAD, /* not HTTP/1; error says why, len says where */
};

enum http_error {
	HTTP_ERR_NONE,
	HTTP_ERR_START_LINE,
	HTTP_ERR_VERSION,
	HTTP_ERR_STATUS,
	HTTP_ERR_FIELD_NAME,
	HTTP_ERR_CONTROL, /* NUL or another control byte where none may be */
	HTTP_ERR_LIMIT,	  /* longer than HTTP_HEAD_MAX */
};

enum {
	HTTP_HEAD_MAX = 64 * 1024, /* bytes; nginx, Node, Go and Apache all stop earlier */
};

/* 48 bytes; copy it freely. Fields above the line are the result, those below are the scanner's. */
struct http_head {
	uint64_t content_length; /* valid with HTTP_CONTENT_LENGTH and without LENGTH_CONFLICT */
	uint32_t len;		 /* bytes consumed so far, of the whole head once DONE */
	uint32_t flags;		 /* enum http_flag */
	uint16_t status;	 /* response only, 0 until known */
	uint8_t kind;		 /* enum http_kind */
	uint8_t state;		 /* enum http_state */
	uint8_t error;		 /* enum http_error */
	uint8_t method;		 /* enum http_method */
	uint8_t version;	 /* 0x10 or 0x11 once known; 0x09 for a versionless request line */
	uint8_t fields;		 /* number of fields, saturating */
	/* ---- scanner ---- */
	uint32_t part_start;
	uint32_t part_end; /* end of the last byte of the part that is not OWS */
	uint8_t step;
	uint8_t field;	  /* which known field this line is (scan.h) */
	uint8_t match_lo; /* candidates of the known-word match: [lo, hi) */
	uint8_t match_hi;
	uint8_t match_pos;
	uint8_t token; /* state of a list value */
	uint16_t spare;
	uint64_t number; /* Content-Length or status under way */
};

_Static_assert(sizeof(struct http_head) == 48, "struct http_head is part of the phase machine");

/* May c stand in a method or a field name?  Source: RFC 9110 section 5.6.2. */
static inline bool http_is_token(uint8_t c)
{
	static const uint32_t bits[4] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};

	return c < 128 && (bits[c >> 5] >> (c & 31) & 1);
}

/* Start a head. */
void http_head_init(struct http_head *h, enum http_kind kind);

/* Feed the next bytes.
 *   p, n   bytes as they came, any split
 *   sink   told about each part as it ends, or NULL; the same choice for all of one head, because
 *          without a sink field lines of no interest are skipped whole
 * Returns the number of bytes that belong to the head (n while MORE; less when DONE or BAD; on BAD
 * the offending byte is not consumed).  Feeding a DONE or BAD head consumes nothing. */
size_t http_head_feed(struct http_head *h, const uint8_t *p, size_t n, http_sink *sink, void *ctx);

/* True when the head asks for a switch: an Upgrade field, or the Sec-WebSocket-Key / -Version that
 * a stripping proxy left behind (then the Upgrade itself is missing).  Valid once DONE. */
bool http_head_is_attempt(const struct http_head *h);

#define HTTP_LEN_CHUNKED  UINT64_MAX
#define HTTP_LEN_TO_CLOSE (UINT64_MAX - 1) /* the head contradicts itself: nobody can tell */

/* True when a body follows a request with this head; *ret_len is its length, HTTP_LEN_CHUNKED or
 * HTTP_LEN_TO_CLOSE. */
bool http_request_body(const struct http_head *h, uint64_t *ret_len);

/* How the body of an answer ends.  Source: RFC 9112 section 6.3. */
enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_TO_CLOSE,
};
/* ret_len is set for HTTP_BODY_LENGTH only; it may be 0. */
enum http_body http_response_body(const struct http_head *h, enum http_method of,
				  uint64_t *ret_len);

const char *http_method_name(enum http_method m);

#endif
