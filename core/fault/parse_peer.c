/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_peer: addresses and networks.  IPv4 is kept as ::ffff:a.b.c.d with a prefix of 0 to 32.
 * Source: RFC 4632 section 3.1, RFC 4291 sections 2.2 and 2.3.
 */
#include "core/fault/parse_internal.h"

enum {
	WRITTEN_MAX = 50, /* the longest address with its prefix has 49 bytes */
};

/* a.b.c.d at the start of s, which moves behind it. */
static bool read_v4(struct span *s, uint8_t ip[4])
{
	for (unsigned i = 0; i < 4; i++) {
		size_t before;
		uint64_t v;

		if (i && (!s->n || *s->p != '.'))
			return false;
		s->p += i != 0;
		s->n -= i != 0;
		before = s->n;
		if (!fault_read_digits(s, &v) || v > 255 || before - s->n > 3)
			return false;
		ip[i] = (uint8_t)v;
	}
	return true;
}

/* One to four hex digits. */
static bool read_group(struct span *s, uint8_t ip[2])
{
	uint32_t v = 0;
	size_t n = 0;

	for (; n < s->n && n < 5; n++) {
		uint8_t c = ascii_lower(s->p[n]);

		if ((uint8_t)(c - '0') <= 9)
			v = v << 4 | (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint8_t)(c - 'a' + 10);
		else
			break;
	}
	if (!n || n > 4)
		return false;
	ip[0] = (uint8_t)(v >> 8);
	ip[1] = (uint8_t)v;
	s->p += n;
	s->n -= n;
	return true;
}

static bool skip_colon(struct span *s)
{
	if (!s->n || *s->p != ':')
		return false;
	s->p++;
	s->n--;
	return true;
}

static bool read_v6(struct span *s, uint8_t ip[16])
{
	unsigned at = 0, gap = 16;

	memset(ip, 0, 16);
	if (s->n > 1 && s->p[0] == ':' && s->p[1] == ':') {
		gap = 0;
		s->p += 2;
		s->n -= 2;
	}
	while (at < 16 && s->n && *s->p != '/') {
		struct span tail = *s;

		if (at <= 12 && read_v4(&tail, ip + at)) {
			*s = tail;
			at += 4;
			break;
		}
		if (!read_group(s, ip + at))
			return false;
		at += 2;
		if (at == 16 || !skip_colon(s))
			break;
		if (skip_colon(s)) {
			if (gap < 16)
				return false;
			gap = at;
		} else if (!s->n || *s->p == '/') {
			return false; /* ends with a single colon */
		}
	}
	if (gap == 16)
		return at == 16;
	if (at > 14)
		return false; /* :: stands for one group at least */
	memmove(ip + gap + 16 - at, ip + gap, at - gap);
	memset(ip + gap, 0, 16 - at);
	return true;
}

/* The address, and the length of the longest prefix that it can have; 0: it is none. */
static unsigned read_address(struct span *s, uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct span v4 = *s;

	if (read_v4(&v4, ip + 12) && (!v4.n || *v4.p == '/')) {
		memcpy(ip, mapped, sizeof(mapped));
		*s = v4;
		return 32;
	}
	return read_v6(s, ip) ? 128 : 0;
}

static bool has_bits_behind(const uint8_t ip[16], unsigned bits)
{
	for (; bits < 128; bits++) {
		if (ip[bits / 8] >> (7 - bits % 8) & 1)
			return true;
	}
	return false;
}

bool fault_read_peer(const struct fault_parse *p, struct span value)
{
	char written[WRITTEN_MAX];
	struct fault_text at;
	struct span s = {(const uint8_t *)written, 0};
	unsigned longest;
	uint64_t bits;

	if (!value.n) {
		fault_blame(p, value, "an address is missing here; those with colons stand in [ ]");
		return false;
	}
	if (!fault_read_text(p, value, &at))
		return false;
	s.n = fault_decode(value, written, sizeof(written));
	longest = s.n > sizeof(written) ? 0 : read_address(&s, p->r->peer);
	bits = longest;
	if (longest && s.n && *s.p == '/') {
		s.p++;
		s.n--;
		if (!fault_read_digits(&s, &bits) || bits > longest)
			longest = 0;
	}
	if (!longest || s.n) {
		fault_blame(p, value,
			    "peer has to be an address or a network, like 10.0.0.0/8 or "
			    "[2001:db8::]/32");
		return false;
	}
	if (has_bits_behind(p->r->peer, (unsigned)bits + (longest == 32 ? 96 : 0))) {
		fault_blame(p, value,
			    "the address has bits behind its prefix: make them 0, or "
			    "leave the prefix out to mean one peer");
		return false;
	}
	if (longest == 128 && bits >= 96 && !memcmp(p->r->peer, "\0\0\0\0\0\0\0\0\0\0\377\377", 12))
		bits -= 96; /* IPv4, written the long way */
	p->r->peer_bits = (uint8_t)bits;
	return true;
}
