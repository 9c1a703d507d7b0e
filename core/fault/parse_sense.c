/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/parse_sense: rules that can be read but could never do what they say.
 */
#include "core/fault/parse_internal.h"
#include "core/fault/site.h"

#define BIT(n) (UINT64_C(1) << (n))

/* Keys by what they ask for. */
#define KEYS_CONN                                                                                \
	(BIT(FAULT_KEY_ROLE) | BIT(FAULT_KEY_PORT) | BIT(FAULT_KEY_PEER) | BIT(FAULT_KEY_UNIX) | \
	 BIT(FAULT_KEY_CONN))
#define KEYS_HEAD                                                                                 \
	(BIT(FAULT_KEY_METHOD) | BIT(FAULT_KEY_PATH) | BIT(FAULT_KEY_HOST) | BIT(FAULT_KEY_HDR) | \
	 BIT(FAULT_KEY_UPGRADE) | BIT(FAULT_KEY_PROTO))
#define KEYS_FRAME (BIT(FAULT_KEY_OP) | BIT(FAULT_KEY_FRAME))
#define KEYS_TIME  (BIT(FAULT_KEY_AFTER) | BIT(FAULT_KEY_FOR) | BIT(FAULT_KEY_UNTIL))
/* What only bytes of a connection have. */
#define KEYS_BYTES                                                                           \
	(KEYS_FRAME | KEYS_HEAD | KEYS_TIME | BIT(FAULT_KEY_STATUS) | BIT(FAULT_KEY_SPACE) | \
	 BIT(FAULT_KEY_CALL) | BIT(FAULT_KEY_CONN_KEY))

/* Phases in which no byte moves: nothing has an offset there. */
#define PHASES_EMPTY \
	(BIT(PHASE_ACCEPTED) | BIT(PHASE_BEFORE_RESPONSE) | BIT(PHASE_IDLE) | BIT(PHASE_UPGRADED))

static bool blame_key(const struct fault_parse *p, enum fault_key key, const char *what)
{
	size_t n = fault_span(fault_key_rows[key].name).n;

	fault_blame(p, (struct span){p->rule + p->key_off[key], n}, what);
	return false;
}

/* The first of some keys that were given is to blame. */
static bool blame_keys(const struct fault_parse *p, uint64_t keys, const char *what)
{
	unsigned key = 0;

	while (!(keys >> key & 1))
		key++;
	return blame_key(p, (enum fault_key)key, what);
}

static bool blame(const struct fault_parse *p, struct span at, const char *what)
{
	fault_blame(p, at, what);
	return false;
}

/* ---- one fault ---- */

/* Letters of fault.def for the place where the rule stands. */
static bool allowed_at(const struct fault_rule *r, enum fault_id id)
{
	static const char letters[] = {
		[FAULT_SITE_ACCEPT] = 'A',
		[FAULT_SITE_CONNECT] = 'C',
		[FAULT_SITE_CALL] = 'L',
		[FAULT_SITE_WAIT] = 'W',
	};
	bool rx = false, tx = false, other = false, turn;

	for (const char *s = fault_sites(id); *s; s++) {
		rx |= *s == 'R';
		tx |= *s == 'T';
		other |= r->site != FAULT_SITE_BYTES && *s == letters[r->site];
	}
	if (r->site != FAULT_SITE_BYTES)
		return other;
	if (r->stream && !fault_given(r, FAULT_KEY_ROLE))
		return rx && tx; /* it is one for servers and the other for clients */
	turn = r->stream && r->role == ROLE_CLIENT;
	return (!(r->dirs >> (turn ? DIR_TX : DIR_RX) & 1) || rx) &&
	       (!(r->dirs >> (turn ? DIR_RX : DIR_TX) & 1) || tx);
}

static bool blame_site(const struct fault_parse *p, struct span word, enum fault_id id)
{
	static const char letters[] = "RTACLW";
	static const char *const sites[] = {"rx", "tx", "accept", "connect", "a call", "wait"};
	struct fault_out o = fault_blame(p, word, "");
	const char *separator = "";

	fault_put_quoted(&o, word);
	fault_put(&o, " cannot happen at ");
	fault_put_quoted(&o, p->site);
	o = (struct fault_out){p->e->expected, sizeof(p->e->expected), 0};
	for (const char *s = fault_sites(id); *s; s++) {
		for (unsigned i = 0; letters[i]; i++) {
			if (letters[i] != *s)
				continue;
			fault_put(&o, separator);
			fault_put(&o, sites[i]);
			separator = ", ";
		}
	}
	return false;
}

/* Does the rule mean bytes that arrive (for some role)? */
static bool means_rx(const struct fault_rule *r)
{
	if (r->stream)
		return r->stream == 1 ? r->role == ROLE_SERVER || !fault_given(r, FAULT_KEY_ROLE)
				      : r->role == ROLE_CLIENT || !fault_given(r, FAULT_KEY_ROLE);
	return r->dirs >> DIR_RX & 1;
}

static bool delay_makes_sense(const struct fault_parse *p, const struct fault_act *act,
			      struct span word)
{
	if (!act->param[FAULT_DELAY_jitter] &&
	    (act->param[FAULT_DELAY_corr] || act->param[FAULT_DELAY_dist]))
		return blame(p, word, "corr and dist are about the jitter of a delay: give it one");
	if (act->param[FAULT_DELAY_mode] == FAULT_MODE_QUEUE &&
	    (p->r->site != FAULT_SITE_BYTES || means_rx(p->r)))
		return blame(p, word,
			     "mode=queue keeps what was written: it works with the site tx alone");
	return true;
}

static bool frame_makes_sense(const struct fault_parse *p, const struct fault_act *act,
			      struct span word)
{
	const uint64_t *v = act->param;

	if (p->r->phase != PHASE_FRAMES)
		return blame(p, word,
			     "there are frames in the phase frames only: write "
			     "rx@frames or tx@frames");
	if (v[FAULT_FRAME_code] && v[FAULT_FRAME_op] != 8)
		return blame(p, word, "only a Close frame has a status code: add op=8");
	if (v[FAULT_FRAME_split] &&
	    (v[FAULT_FRAME_op] != 1 || v[FAULT_FRAME_len] || v[FAULT_FRAME_fin] != 1 ||
	     v[FAULT_FRAME_rsv] || v[FAULT_FRAME_mask] || v[FAULT_FRAME_code]))
		return blame(p, word,
			     "split is about the next frame of the stream: it goes with "
			     "no other parameter of frame");
	return true;
}

static bool refuse_makes_sense(const struct fault_parse *p, const struct fault_act *act,
			       struct span word)
{
	static const char legal[] = "ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM";
	static const uint8_t numbers[] = {103, 24, 23, 105, 12};

	for (unsigned i = 0; i < sizeof(numbers); i++) {
		if (act->param[FAULT_REFUSE_errno] == numbers[i])
			return true;
	}
	if (p->r->illegal)
		return true;
	fault_blame(p, word,
		    "accept never says that about a connection: take another error, or "
		    "illegal=yes");
	fault_expect(p, legal);
	return false;
}

static bool hold_makes_sense(const struct fault_parse *p, const struct fault_act *act,
			     struct span word)
{
	uint64_t until = act->param[FAULT_HOLD_until];

	if (until >> 32 == FAULT_UNTIL_PHASE && (uint32_t)until == p->r->phase)
		return blame(p, word,
			     "what is held in a phase until that phase begins is held for "
			     "ever: take a later phase, a time, or release.NAME");
	return true;
}

static bool act_makes_sense(const struct fault_parse *p, const struct fault_act *act,
			    struct span word)
{
	switch ((enum fault_id)act->fault) {
	case FAULT_DELAY:
		return delay_makes_sense(p, act, word);
	case FAULT_FRAME:
		return frame_makes_sense(p, act, word);
	case FAULT_REFUSE:
		return refuse_makes_sense(p, act, word);
	case FAULT_HOLD:
		return hold_makes_sense(p, act, word);
	case FAULT_WAKE:
		return act->param[FAULT_WAKE_how] != FAULT_HOW_REORDER ||
		       blame(p, word,
			     "events are not put into another order: wake=one tells of "
			     "them one at a time");
	case FAULT_SLICE:
		if (act->param[FAULT_SLICE_var] >= act->param[FAULT_SLICE_size])
			return blame(p, word,
				     "var has to be less than size, or pieces would "
				     "have no bytes");
		if (act->param[FAULT_SLICE_as] == FAULT_AS_SEGMENT && means_rx(p->r))
			return blame(p, word,
				     "as=segment makes segments of what is sent: it works "
				     "with the site tx alone");
		return true;
	default:
		return true;
	}
}

static bool acts_make_sense(const struct fault_parse *p)
{
	const struct fault_rule *r = p->r;
	unsigned outcomes = 0;

	for (unsigned i = 0; i < r->acts; i++) {
		enum fault_id id = (enum fault_id)r->act[i].fault;

		if (!allowed_at(r, id))
			return blame_site(p, p->act[i], id);
		outcomes += fault_kind_of(id) == FAULT_KIND_OUTCOME;
		if (outcomes > 1)
			return blame(p, p->act[i],
				     "a call ends in one way only: make it a rule of "
				     "its own");
		for (unsigned j = 0; j < i; j++) {
			if (r->act[j].fault == id)
				return blame(p, p->act[i], "the rule has this fault already");
		}
		if (r->where == FAULT_WHERE_END && !fault_acts_behind(id)) {
			blame(p, p->act[i],
			      "behind the last byte of a phase this has nothing to "
			      "act on: name the phase that follows");
			fault_expect(p, "close, half_close, reset, drop, limit, pause, kill, "
					"signal");
			return false;
		}
		if (!act_makes_sense(p, &r->act[i], p->act[i]))
			return false;
	}
	return true;
}

/* ---- sites and keys ---- */

/* A request's head moves from client to server alone, an answer's the other way. */
static bool head_moves_otherwise(const struct fault_rule *r)
{
	bool known = r->stream || fault_given(r, FAULT_KEY_ROLE);
	bool turn = !r->stream && r->role == ROLE_CLIENT;
	enum dir dir = r->phase == PHASE_REQUEST_HEAD ? DIR_RX : DIR_TX;

	if (!known || (r->phase != PHASE_REQUEST_HEAD && r->phase != PHASE_RESPONSE_HEAD))
		return false;
	return !(r->dirs >> (turn ? !dir : dir) & 1);
}

static bool phase_makes_sense(const struct fault_parse *p)
{
	const struct fault_rule *r = p->r;
	bool empty = r->phase < PHASE_COUNT && PHASES_EMPTY >> r->phase & 1;

	if (empty && r->where != FAULT_WHERE_START)
		return blame(p, p->phase,
			     "no byte moves in this phase: leave the place out, or "
			     "name the phase before or behind it");
	if (head_moves_otherwise(r))
		return blame(p, p->phase,
			     "this head moves the other way: a request goes upstream (rx of a "
			     "server), an answer downstream (tx)");
	if (r->phase == PHASE_ACCEPTED && r->given & KEYS_HEAD)
		return blame_keys(p, r->given & KEYS_HEAD,
				  "no request has come in the phase accepted: take a later phase");
	if (r->phase <= PHASE_BEFORE_RESPONSE && fault_given(r, FAULT_KEY_STATUS))
		return blame_key(p, FAULT_KEY_STATUS,
				 "there is no status before the answer: take the phase "
				 "response-head or a later one");
	if (r->given & KEYS_FRAME && r->phase != PHASE_FRAMES && r->phase != PHASE_CLOSING)
		return blame_keys(p, r->given & KEYS_FRAME,
				  "frames are in the phase frames: write rx@frames or tx@frames");
	return true;
}

/* Sites that belong to no connection (yet). */
static bool lone_site_makes_sense(const struct fault_parse *p)
{
	const struct fault_rule *r = p->r;

	if (r->given & KEYS_BYTES)
		return blame_keys(p, r->given & KEYS_BYTES,
				  "there is no connection yet to ask that of: it has to be a rule "
				  "about bytes, rx or tx");
	if (r->per >= FAULT_PER_CONN)
		return blame_key(p, FAULT_KEY_PER,
				 "this site belongs to no connection: count per process or thread");
	if (r->site == FAULT_SITE_WAIT && r->given & KEYS_CONN)
		return blame_keys(p, r->given & KEYS_CONN,
				  "a wait is about many connections, not about one");
	if (r->site != FAULT_SITE_CALL && fault_given(r, FAULT_KEY_ROLE) &&
	    (r->site == FAULT_SITE_ACCEPT) != (r->role == ROLE_SERVER))
		return blame_key(p, FAULT_KEY_ROLE,
				 "who accepts is a server, who connects a client");
	return true;
}

static bool site_makes_sense(const struct fault_parse *p)
{
	const struct fault_rule *r = p->r;
	uint64_t keys = KEYS_FRAME | BIT(FAULT_KEY_CALL) | BIT(FAULT_KEY_SPACE);

	if (r->site == FAULT_SITE_BYTES)
		return phase_makes_sense(p);
	if (r->site != FAULT_SITE_CALL || fault_call_about(p->site) == FAULT_ABOUT_NOTHING)
		return lone_site_makes_sense(p);
	return !(r->given & keys) ||
	       blame_keys(p, r->given & keys,
			  "the rule is about a call: for this it has to be about bytes, rx or tx");
}

static bool keys_make_sense(const struct fault_parse *p)
{
	const struct fault_rule *r = p->r;

	if (r->unix_socket && fault_given(r, FAULT_KEY_PORT))
		return blame_key(p, FAULT_KEY_PORT, "a unix socket has no port");
	if (r->unix_socket && fault_given(r, FAULT_KEY_PEER))
		return blame_key(p, FAULT_KEY_PEER, "a unix socket has no address");
	if (fault_given(r, FAULT_KEY_CORR) && !fault_given(r, FAULT_KEY_P))
		return blame_key(p, FAULT_KEY_CORR, "corr is about the draws of p: give p, too");
	if (fault_given(r, FAULT_KEY_UNTIL) && fault_given(r, FAULT_KEY_FOR))
		return blame_key(p, FAULT_KEY_UNTIL, "give for or until, not both");
	if (fault_given(r, FAULT_KEY_UNTIL) && r->until_ns <= r->after_ns)
		return blame_key(p, FAULT_KEY_UNTIL, "until has to lie behind after");
	return true;
}

bool fault_make_sense(const struct fault_parse *p)
{
	return acts_make_sense(p) && site_makes_sense(p) && keys_make_sense(p);
}
