/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/decide: draws, and what follows from them.
 *
 * (1) Every draw is the hash of what it is about; there is no state, so nothing depends on what was drawn
 *     before or elsewhere.
 * (2) A draw that resembles the one before is, with the chance `corr`, that very draw: each value keeps
 *     its distribution, and values k units apart resemble each other by corr to the power of k.  Looking
 *     back ends at a unit whose number is a multiple of LOOK_BACK.
 */
#include "core/fault/decide.h"
#include "core/fault/spread.h"

enum {
	LOOK_BACK = 256,
	RETRIES = 15,		/* tcp_retries2 */
	DRAW_CORR = 0x40000000, /* + which: is the draw that of the unit before? */
	DRAW_ACTIVATE = 0x20000000,
	DRAW_RETRY = 0x10000000,  /* + how many times it was lost */
	DRAW_PIECE = 0x80000000u, /* + number of the piece */
};
#define RTO_MAX (120 * UINT64_C(1000000000)) /* TCP_RTO_MAX */

/* ---- the hash ---- */

/* The second half of the key.  With the seed 0x0706050403020100 the key is that of the published test
 * vectors. */
#define KEY_HIGH UINT64_C(0x0f0e0d0c0b0a0908)

static inline uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
	for (; rounds; rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

/* Up to eight bytes, the first one lowest. */
static inline uint64_t load_le(const uint8_t *p, size_t n)
{
	uint64_t x = 0;

	memcpy(&x, p, n);
	return x;
}

uint64_t fault_hash(uint64_t seed, const void *p, size_t n)
{
	uint64_t v[4] = {
		seed ^ UINT64_C(0x736f6d6570736575),
		KEY_HIGH ^ UINT64_C(0x646f72616e646f6d),
		seed ^ UINT64_C(0x6c7967656e657261),
		KEY_HIGH ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *at = p;
	uint64_t word;
	size_t left = n;

	for (; left >= 8; left -= 8, at += 8) {
		word = load_le(at, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	word = load_le(at, left) | (uint64_t)n << 56;
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t fault_rule_id(const struct fault_rule *r)
{
	size_t n = 0;

	while (n < FAULT_NAME && r->name[n])
		n++;
	return (uint32_t)fault_hash(0, r->name, n);
}

/* ---- draws ---- */

static uint64_t draw_at(const struct fault_unit *u, uint64_t unit, uint32_t which)
{
	uint64_t about[4] = {u->conn_key, unit, (uint64_t)u->rule << 32 | u->dir, which};

	return fault_hash(u->seed, about, sizeof(about));
}

uint64_t fault_draw(const struct fault_unit *u, uint32_t which)
{
	return draw_at(u, u->unit, which);
}

/* Does a draw fall into the first ppm of a million parts? */
static bool falls(uint64_t drawn, uint64_t ppm)
{
	return (uint64_t)((unsigned __int128)drawn * FAULT_PPM >> 64) < ppm;
}

static uint64_t draw_corr(const struct fault_unit *u, uint32_t which, uint64_t corr_ppm)
{
	uint64_t unit = u->unit;

	while (corr_ppm && unit % LOOK_BACK && falls(draw_at(u, unit, DRAW_CORR + which), corr_ppm))
		unit--;
	return draw_at(u, unit, which);
}

static bool is_active(const struct fault_rule *r, const struct fault_unit *u)
{
	struct fault_unit run = {.seed = u->seed, .rule = u->rule};

	return !fault_given(r, FAULT_KEY_ACTIVATE) ||
	       falls(fault_draw(&run, DRAW_ACTIVATE), r->activate);
}

bool fault_decide(const struct fault_rule *r, const struct fault_unit *u, uint64_t *ret_drawn)
{
	bool has_p = fault_given(r, FAULT_KEY_P);
	uint64_t drawn = draw_corr(u, 0, has_p ? r->corr : 0);

	*ret_drawn = drawn;
	return (!has_p || falls(drawn, r->p)) && is_active(r, u);
}

/* ---- values ---- */

static uint64_t add_signed(uint64_t middle, __int128 by)
{
	__int128 sum = (__int128)middle + by;

	if (sum < 0)
		return 0;
	return sum > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

uint64_t fault_spread(const struct fault_unit *u, uint32_t which, uint64_t middle, uint64_t spread,
		      uint32_t corr_ppm, uint32_t dist)
{
	uint64_t drawn;

	if (!spread)
		return middle;
	if (spread > FAULT_TIME_MAX)
		spread = FAULT_TIME_MAX;
	drawn = draw_corr(u, which, corr_ppm);
	if (dist == FAULT_DIST_UNIFORM || dist >= FAULT_DIST_COUNT)
		return add_signed(middle,
				  (__int128)((unsigned __int128)drawn * (2 * spread + 1) >> 64) -
					  (__int128)spread);
	return add_signed(middle,
			  (__int128)spread * fault_spread_at(dist, drawn) / FAULT_SPREAD_ONE);
}

/* Boundary k lies at k times the size, moved by a draw of its own over a width of var; so a piece is
 * never longer or shorter than by var, and any boundary is known without those before it. */
uint64_t fault_slice_start(const struct fault_unit *u, const struct fault_act *slice, uint64_t k)
{
	uint64_t size = slice->param[FAULT_SLICE_size], var = slice->param[FAULT_SLICE_var], at;
	uint64_t drawn;

	if (!k)
		return 0;
	if (__builtin_mul_overflow(k, size, &at))
		return UINT64_MAX;
	if (!var)
		return at;
	drawn = fault_draw(u, DRAW_PIECE + ((uint32_t)k & 0x7fffffff));
	return add_signed(at, (__int128)((unsigned __int128)drawn * (var + 1) >> 64) -
				      (__int128)(var / 2));
}

uint64_t fault_slice_piece(const struct fault_unit *u, const struct fault_act *slice,
			   uint64_t distance)
{
	uint64_t size = slice->param[FAULT_SLICE_size], k = size ? distance / size : 0;

	if (fault_slice_start(u, slice, k) > distance)
		return k - 1;
	return fault_slice_start(u, slice, k + 1) <= distance ? k + 1 : k;
}

uint64_t fault_loss(const struct fault_unit *u, const struct fault_act *loss)
{
	uint64_t p = loss->param[FAULT_LOSS_p], rto = loss->param[FAULT_LOSS_rto], wait = 0;
	uint64_t most = rto > RTO_MAX ? rto : RTO_MAX;

	if (!falls(draw_corr(u, DRAW_RETRY, loss->param[FAULT_LOSS_corr]), p))
		return 0;
	for (uint32_t lost = 1; lost <= RETRIES; lost++) {
		wait += rto;
		rto = rto < most / 2 ? rto * 2 : most;
		if (!falls(fault_draw(u, DRAW_RETRY + lost), p))
			break;
	}
	return wait;
}

/* ---- counting ---- */

bool fault_count(const struct fault_rule *r, uint64_t n, uint64_t acted)
{
	bool when = !r->whens;

	for (unsigned i = 0; i < r->whens && i < FAULT_WHENS; i++)
		when |= fault_in_range(&r->when[i], n);
	if (fault_given(r, FAULT_KEY_TIMES) && acted >= r->times)
		return false;
	if (fault_given(r, FAULT_KEY_INTERVAL) && r->interval && n % r->interval)
		return false;
	return when;
}
