/*
 * The keys to ask, with their requests already in the protocol's form, so that sending one is a
 * copy. Read-only while measuring.
 */
#ifndef TABLED_BENCH_KEYS_H
#define TABLED_BENCH_KEYS_H

#include "base/buf.h"
#include "base/error.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>

/* A piece of keys.text or keys.requests, by position, since both move while they grow. */
struct piece {
	size_t at;
	uint32_t size;
};

struct key {
	struct piece name;
	struct piece expected; /* empty: must not be found */
	struct piece request;
};

struct keys {
	struct buf text;
	struct buf requests;
	struct key *items; /* owned */
	size_t count, room;
	bool has_expected;
};

/* Makes the keys that the options name; none if they name none. Zeroed keys are empty. */
int keys_read(struct keys *keys, const struct options *options, struct error *why);

void keys_finish(struct keys *keys);

/* Borrowed from the keys, as are the next two. */
struct slice key_name(const struct keys *keys, size_t index);
struct slice key_expected(const struct keys *keys, size_t index);
struct slice key_request(const struct keys *keys, size_t index);

#endif
