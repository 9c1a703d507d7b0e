/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mask_state: the state of a masker, shared by mask.c (heads, fields) and mask_scan.c (everything that
 * has no structure we know).
 */
#ifndef CORE_TRACE_MASK_STATE_H
#define CORE_TRACE_MASK_STATE_H

#include "core/trace/mask.h"

/* What a byte is part of. */
enum step {
	/* the scanner */
	STEP_WORD,     /* plain text; hist and found describe the word */
	STEP_VALUE,    /* behind the = or : of a secret-like key */
	STEP_BARE,     /* a secret without quotes */
	STEP_QUOTED,   /* a secret that ends at quote */
	STEP_LIST,     /* secrets in [] or {}; quote is what closes them */
	STEP_CODE,     /* value of "code": numbers and CONSTANTS are no secrets */
	STEP_NAME,     /* behind ://, a host or a user */
	STEP_PORT,     /* behind its colon, digits so far */
	STEP_PASSWORD, /* behind its colon */
	STEP_HOST,     /* behind the @ */
	STEP_HOST6,    /* in [] */
	STEP_PARAM,    /* query value of a name that says nothing */
	/* values of fields */
	STEP_PASS,   /* nothing here is secret */
	STEP_LINE,   /* everything to the end of the line is */
	STEP_SCHEME, /* Authorization: the scheme */
	STEP_COOKIE, /* name of a cookie */
	STEP_COOKIE_VALUE,
	STEP_COOKIE_QUOTED,
	STEP_URL,      /* of a name only: its value is a URL */
	STEP_TYPE,     /* Content-Type */
	STEP_PROTOCOL, /* entries of Sec-WebSocket-Protocol */
};

/* Where in a head we are. */
enum line {
	LINE_TEXT,   /* no head: each line stands for itself */
	LINE_START,  /* before the start line */
	LINE_PREFIX, /* so far "HTTP/" */
	LINE_STATUS,
	LINE_REQUEST,
	LINE_FIELD, /* name of a field */
	LINE_VALUE,
	LINE_NEXT,    /* behind LF */
	LINE_NEXT_CR, /* behind LF CR */
};

/* What the letters of a word say. */
enum found {
	FOUND_STRONG = 1u << 0, /* token, secret, ...: secret in every notation */
	FOUND_WEAK = 1u << 1,	/* key, sig: not in prose, where a colon follows them */
	FOUND_CODE = 1u << 2,
};

enum bits {
	BIT_ENDED = 1u << 0,	   /* the word is over, its = or : may still come */
	BIT_QUOTED_KEY = 1u << 1,  /* and it was closed by a quote */
	BIT_QUERY = 1u << 2,	   /* behind the ? of a URL */
	BIT_AUTH = 1u << 3,	   /* "auth" was on this line */
	BIT_ESCAPED = 1u << 4,	   /* quote was written \" */
	BIT_BACKSLASH = 1u << 5,   /* the last byte was a backslash */
	BIT_DOT = 1u << 6,	   /* the host-like name has what only hosts have */
	BIT_NEXT_SECRET = 1u << 7, /* the protocol entry before named a secret */
};

enum {
	HOST_LABEL_MAX = 24,
	HOST_DIGITS_MAX = 3,
	CODE_DIGITS_MAX = 4,
	CODE_LETTERS_MAX = 24,
	COOKIE_NAME_KEPT = 4,
};

/* What a body is, told by the head before it. */
enum form {
	FORM_NONE,
	FORM_NAMES, /* urlencoded: names stay */
	FORM_PARTS, /* multipart: nothing does */
};

/* What is known of a run of bytes that may be a name.  All zero where one starts. */
struct shape {
	uint8_t len, run, group, digits, humps; /* bytes; letters, digits in a row; digits; turns */
	uint8_t letters, last, opaque;
};

enum shape_kind {
	SHAPE_SEGMENT, /* of a path; name of a query value */
	SHAPE_ENTRY,   /* of Sec-WebSocket-Protocol */
	SHAPE_VALUE,   /* of a query */
};

struct mask_state {
	uint64_t hist; /* last eight letters of the word, lower case, youngest lowest */
	uint8_t line, step, found, bits;
	uint8_t url;		 /* the whole value is a URL: quotes and commas belong to it */
	uint8_t resume;		 /* line: what a folded line continues */
	uint8_t lo, hi, pos;	 /* candidates of a known name */
	uint8_t len;		 /* bytes of the word, label, entry or number; saturates */
	uint8_t digits;		 /* of them */
	uint8_t quote;		 /* what ends STEP_QUOTED */
	uint8_t before;		 /* quote right before the word, 0 none */
	uint8_t slashes;	 /* how much of :// was seen */
	uint8_t escape, escaped; /* bytes seen of %xx, its value so far */
	uint8_t plain;		 /* in a query value that may be shown */
	uint8_t form;		 /* of the body */
	uint8_t form_value;	 /* in a value of it */
	uint8_t told;		 /* a protocol entry was masked that does not give itself away */
	uint8_t wary;		 /* every protocol entry is to be masked */
	struct shape shape;
};
_Static_assert(sizeof(struct mask_state) <= sizeof(struct masker), "the state of a masker");

static inline bool is_digit(uint8_t c)
{
	return (uint8_t)(c - '0') < 10;
}

static inline bool is_upper(uint8_t c)
{
	return (uint8_t)(c - 'A') < 26;
}

static inline bool is_lower(uint8_t c)
{
	return (uint8_t)(c - 'a') < 26;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Do the last letters of the word spell s?  s has at most eight. */
static inline bool ends_with(uint64_t hist, const char *s)
{
	uint64_t want = 0, mask = 0;

	for (; *s; s++) {
		want = want << 8 | (uint8_t)*s;
		mask = mask << 8 | 0xff;
	}
	return (hist & mask) == want;
}

/* The next byte of a run: c, or '*' when the run does not look like a name. */
uint8_t mask_shape(struct shape *s, enum shape_kind kind, uint8_t c);

/* Is the word one of the short names secrets have?  query: or of those they have in a query only. */
bool mask_name_secret(const struct mask_state *m, bool query);

/* Forget the word. */
void mask_word_reset(struct mask_state *m);

/* One more letter of the word; found says what it means now. */
void mask_word_add(struct mask_state *m, uint8_t c);

/* Plain text again, nothing remembered but what lasts for a whole head. */
void mask_scan_reset(struct mask_state *m);

/* The next byte while step is one of the scanner's. */
uint8_t mask_scan(struct mask_state *m, uint8_t c);

/* A field of a head was found in text: its value follows, up to m->quote or the end of the line. */
void mask_field_in_text(struct mask_state *m);

#endif
