/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fault/match: does a rule concern this connection, this exchange, this frame.
 *
 * What is not known yet (the path of a head that is not complete) does not match, for now.
 */
#ifndef CORE_FAULT_MATCH_H
#define CORE_FAULT_MATCH_H

#include "core/fault/rule.h"

/* What is known of a connection from its first moment. */
struct fault_conn_facts {
	uint64_t ordinal; /* from 1 */
	uint8_t ip[16];	  /* of the peer, IPv4 mapped */
	uint16_t port;	  /* local for a server, peer's for a client */
	uint16_t peer_port;
	uint8_t role; /* enum role */
	uint8_t unix_socket;
};
bool fault_match_conn(const struct fault_rule *r, const struct fault_conn_facts *c);

/* Does the rule ask anything of the exchange, so that its head must be known? */
bool fault_asks_head(const struct fault_rule *r);

/* A request head, or what is there of it: its bytes from the first on.  A start line that is not whole
 * matches nothing; a field is known when the first byte of the next line is there, for until then it may
 * be continued. */
bool fault_match_head(const struct fault_rule *r, const uint8_t *p, size_t n);

/* The key of a connection in draws that conn-key takes from a request head; 0: not there. */
uint64_t fault_key_of_head(const struct fault_rule *r, const uint8_t *p, size_t n);

static inline bool fault_match_status(const struct fault_rule *r, uint16_t status)
{
	return !fault_given(r, FAULT_KEY_STATUS) || fault_in_range(&r->status, status);
}

/* n: number of the frame in its direction, from 1. */
bool fault_match_frame(const struct fault_rule *r, uint64_t n, uint8_t op);

/* Does the rule, by its site or by its key `call`, mean that call?  %net: any that moves bytes of a
 * connection.  A rule that names no call means every one. */
bool fault_match_call(const struct fault_rule *r, const char *call);

/* Pattern with * and ?; case matters unless fold. */
bool fault_glob(const char *pattern, size_t m, const char *text, size_t n, bool fold);

/* The direction, seen from the process, that a rule with upstream or downstream means for that role. */
bool fault_match_dir(const struct fault_rule *r, enum role role, enum dir dir);

#endif
