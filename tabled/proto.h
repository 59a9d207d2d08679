/*
 * The extension point for client protocols. To add one: write tabled/proto/NAME.c with a
 * `const struct proto NAME_proto`, and add the word to `proto_names` in meson.build. Start with
 * proto/socketmap.c.
 *
 * A codec is a pure function of bytes: no socket, no clock, no memory between calls. It may run
 * on any thread.
 */
#ifndef TABLED_PROTO_H
#define TABLED_PROTO_H

#include "base/error.h"
#include "lookup.h"

/* What the front of the input turned out to be. */
enum cut {
	CUT_MORE,    /* not a whole request yet; nothing was used */
	CUT_REQUEST, /* a request */
	CUT_REFUSE,  /* a whole request that cannot be served: answer BROKEN with `why`, go on */
	CUT_CLOSE,   /* no way to find the next request: answer BROKEN with `why`, then close */
};

/* What a request of the protocol asks for. */
enum proto_kind {
	PROTO_NAMES_MAP, /* a lookup in the map it names */
	PROTO_ONE_MAP,   /* a lookup in the map that the listener's `map` option names */
	PROTO_COMMAND, /* an operator's command: the key is the command line, the text its output */
	PROTO_SESSION, /* a conversation: what a line means depends on those before it; the session
			* in dict/ answers it */
};

struct proto {
	const char *name; /* the configuration's keyword for its listeners */
	enum proto_kind kind;

	/*
	 * Cuts one request off the front of `input`. Sets ret_used to the bytes it took (0 for
	 * CUT_MORE). May rewrite the used bytes in place to decode them: the slices in ret_request
	 * point into `input`. Input longer than any legal request must end as CUT_REFUSE or
	 * CUT_CLOSE, so that a caller's buffer stays bounded; it never needs more than
	 * `longest_request` bytes to decide.
	 */
	enum cut (*cut)(char *input, size_t size, size_t *ret_used, struct request *ret_request,
		struct error *why);
	size_t longest_request; /* bytes, framing included */

	/*
	 * Appends the reply to `out` in the protocol's form. Returns -1 with `why` when a FOUND
	 * text does not fit the protocol, being too long or holding a NUL; the error reply that is
	 * then right has been appended instead, so the caller only logs.
	 */
	int (*put)(struct buf *out, const struct reply *reply, struct error *why);
};

/* All protocols that listeners may speak, NULL at the end. Made from `proto_names` in meson.build.
 */
extern const struct proto *const protos[];

#endif
