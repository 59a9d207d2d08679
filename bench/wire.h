/*
 * The client's side of the two protocols: socketmap_table(5) and tcp_table(5). Pure functions of
 * bytes. It is written apart from the server's codecs on purpose: a load program that shared them
 * could not see their mistakes.
 */
#ifndef TABLED_BENCH_WIRE_H
#define TABLED_BENCH_WIRE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#include <sys/types.h>

/* What Postfix's client would make of a reply. */
enum reply_class {
	REPLY_FOUND,
	REPLY_NOT_FOUND,
	REPLY_TEMPORARY,
	REPLY_PERMANENT, /* tcp_table has none */
	REPLY_OTHER,     /* nothing that the protocol knows; Postfix defers the mail */
};
enum { REPLY_CLASS_COUNT = REPLY_OTHER + 1 };

/* "found", "not found" … Static storage. */
const char *reply_class_text(enum reply_class class);

struct reply_seen {
	enum reply_class class;
	struct slice text; /* borrowed from the input */
};

struct wire {
	const char *name;
	bool names_map;       /* each request says which map it means */
	size_t longest_reply; /* bytes, framing included */

	/* Appends one request. Returns -1 with `why` if Postfix's client could not send such a key.
	 */
	int (*put_request)(struct buf *out, struct slice map, struct slice key, struct error *why);

	/*
	 * Takes one reply off the front of `input`, decoding it in place. Returns the bytes used,
	 * 0 if the reply is not whole yet, -1 with `why` if it is none.
	 */
	ssize_t (*cut_reply)(
		char *input, size_t size, struct reply_seen *ret_reply, struct error *why);
};

/* The protocol by name, or NULL. */
const struct wire *wire_find(const char *name);

#endif
