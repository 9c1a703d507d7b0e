/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mask_shape: does a run of bytes look like a name somebody chose, or like a value somebody drew?
 *
 * A byte stays while everything up to it looks like a name.  From the first byte that does not, all
 * are masked but those among the first four (SHAPE_KEPT): no more of a secret can stay unless it
 * looks like words.
 */
#include "core/trace/mask_state.h"

enum {
	SHAPE_KEPT = 4,
	WORD_MAX = 16,
	GROUP_MAX = 4,	/* digits in a row */
	NUMBER_MAX = 8, /* digits where nothing else is */
	MIXED_MAX = 8,	/* bytes from which on digits and letters may not mix */
	SEGMENT_MAX = 24,
	SEGMENT_HUMPS_MAX = 3, /* aB */
	ENTRY_MAX = 32,
	ENTRY_DIGITS_MAX = 5,
	ENTRY_TURNS_MAX = 1, /* 8s, as in k8s */
};

static bool is_joint(uint8_t c)
{
	return c == '-' || c == '_' || c == '.';
}

/* websocket, room-7, EventHub, oauth2, 2030-01-31; no id, no token. */
static bool like_segment(struct shape *s, uint8_t c)
{
	bool letter = is_lower(c) || is_upper(c);

	if (s->len > SEGMENT_MAX)
		return false;
	if (letter) {
		s->humps += is_lower(s->last) && is_upper(c);
		s->letters = 1;
		return ++s->run <= WORD_MAX && s->humps <= SEGMENT_HUMPS_MAX &&
		       !is_digit(s->last) && !(s->digits && s->len >= MIXED_MAX);
	}
	s->run = 0;
	if (is_digit(c)) {
		bool joined = is_digit(s->last) || is_joint(s->last);

		s->digits++;
		return s->digits <= (s->letters ? GROUP_MAX : NUMBER_MAX) && !is_upper(s->last) &&
		       (joined || s->len < MIXED_MAX);
	}
	return is_joint(c) || c == '~' || c == ';' || c == '[' || c == ']';
}

/* chat, graphql-transport-ws, v4.channel.k8s.io */
static bool like_entry(struct shape *s, uint8_t c)
{
	if (s->len > ENTRY_MAX)
		return false;
	if (is_lower(c)) {
		s->humps += is_digit(s->last);
		s->group = 0;
		return ++s->run <= WORD_MAX && s->humps <= ENTRY_TURNS_MAX;
	}
	s->run = 0;
	if (is_digit(c))
		return ++s->group <= GROUP_MAX && ++s->digits <= ENTRY_DIGITS_MAX;
	s->group = 0;
	return is_joint(c) || c == '/';
}

static bool like_value(const struct shape *s, uint8_t c)
{
	return s->len <= WORD_MAX && (is_lower(c) || c == '-');
}

uint8_t mask_shape(struct shape *s, enum shape_kind kind, uint8_t c)
{
	bool like;

	if (c == ':' && kind == SHAPE_SEGMENT) { /* a password follows, or // and a new run */
		s->len = 255;
		s->opaque = 1;
		return c;
	}
	s->len += s->len < 255;
	if (!s->opaque) {
		like = kind == SHAPE_SEGMENT ? like_segment(s, c)
		       : kind == SHAPE_ENTRY ? like_entry(s, c)
					     : like_value(s, c);
		s->opaque = !like;
		s->last = c;
	}
	return s->opaque && s->len > SHAPE_KEPT ? '*' : c;
}
