/*
 * A keyed hash of text that is the same for all spellings that a database may call equal: ASCII
 * letters in either case, with or without spaces behind. Who does not know the key can't make
 * texts that collide, other spellings of the same aside.
 */
#ifndef TABLED_BASE_HASH_H
#define TABLED_BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

struct hash_key {
	uint64_t words[2];
};

/* A key that nobody can guess. */
void hash_key_init(struct hash_key *key);

/* SipHash-1-3 of `seed` and the folded text (Aumasson, Bernstein: SipHash, 2012). */
uint64_t hash_folded(const struct hash_key *key, uint64_t seed, struct slice text);

#endif
