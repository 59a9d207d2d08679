/*
 * Netstrings: "LENGTH:BYTES," with a decimal LENGTH (https://cr.yp.to/proto/netstrings.txt). The
 * framing of socketmap, for both ends of the wire. Pure functions, any thread.
 */
#ifndef TABLED_PROTO_NETSTRING_H
#define TABLED_PROTO_NETSTRING_H

#include "proto.h"

/* What framing may add to a payload: up to 10 digits, ':' and ','. */
enum { NETSTRING_FRAME_MAX = 12 };

/*
 * Cuts one netstring off the front of `input`. CUT_REQUEST: the payload, borrowed from `input`,
 * and the bytes it took with its frame. CUT_CLOSE: malformed, or the payload is longer than
 * `limit`; as early as the bytes at hand show it. CUT_MORE: not decided yet. Never CUT_REFUSE.
 */
enum cut netstring_cut(struct slice input, size_t limit, struct slice *ret_payload,
	size_t *ret_used, struct error *why);

/* Appends one netstring whose payload is `head` and then `tail`. */
void netstring_put(struct buf *out, struct slice head, struct slice tail);

#endif
