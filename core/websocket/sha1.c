/* SPDX-License-Identifier: BSD-2-Clause
 *
 * websocket/sha1: the digest of the opening handshake.  Not for secrets.  Source: RFC 3174.
 */
#include "core/websocket/digest.h"
#include "core/websocket/handshake.h"

static uint32_t rotate(uint32_t x, unsigned by)
{
	return x << by | x >> (32 - by);
}

static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	if (round == 0)
		return (b & c) | (~b & d);
	if (round == 2)
		return (b & c) | (b & d) | (c & d);
	return b ^ c ^ d;
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha1_block(uint32_t state[5], const uint8_t in[64])
{
	static const uint32_t constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	uint32_t w[16]; /* the last 16 words of the schedule, a ring */

	for (unsigned t = 0; t < 16; t++)
		w[t] = load_be32(in + 4 * t);
	for (unsigned t = 0; t < 80; t++) {
		uint32_t *word = &w[t & 15], x;

		if (t >= 16)
			*word = rotate(w[(t - 3) & 15] ^ w[(t - 8) & 15] ^ w[(t - 14) & 15] ^ *word,
				       1);
		x = rotate(a, 5) + mix(t / 20, b, c, d) + e + *word + constant[t / 20];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = x;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1_init(struct sha1 *s)
{
	*s = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha1_add(struct sha1 *s, const void *p, size_t n)
{
	const uint8_t *in = p;

	while (n) {
		size_t at = s->bytes & 63, take = n < 64 - at ? n : 64 - at;

		memcpy(s->block + at, in, take);
		s->bytes += take;
		in += take;
		n -= take;
		if (at + take == 64)
			sha1_block(s->state, s->block);
	}
}

void sha1_done(struct sha1 *s, uint8_t ret[20])
{
	uint64_t bits = s->bytes * 8;
	uint8_t end[8];

	for (unsigned i = 0; i < 8; i++)
		end[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_add(s, "\x80", 1);
	while ((s->bytes & 63) != 56)
		sha1_add(s, "", 1);
	sha1_add(s, end, 8);
	for (unsigned i = 0; i < 20; i++)
		ret[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_sha1(struct span in, uint8_t ret[20])
{
	struct sha1 s;

	sha1_init(&s);
	sha1_add(&s, in.p, in.n);
	sha1_done(&s, ret);
}
