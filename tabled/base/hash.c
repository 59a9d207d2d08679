#include "base/hash.h"

#include "base/utf8.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

/* Compression and finalization rounds. */
enum { ROUNDS = 1, LAST_ROUNDS = 3 };

struct state {
	uint64_t v0, v1, v2, v3;
};

void hash_key_init(struct hash_key *key)
{
	if (getrandom(key->words, sizeof(key->words), 0) != sizeof(key->words))
		abort(); /* a system without randomness has no business with mail */
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(struct state *state, int rounds)
{
	while (rounds-- > 0) {
		state->v0 += state->v1;
		state->v1 = rotate(state->v1, 13) ^ state->v0;
		state->v0 = rotate(state->v0, 32);
		state->v2 += state->v3;
		state->v3 = rotate(state->v3, 16) ^ state->v2;
		state->v0 += state->v3;
		state->v3 = rotate(state->v3, 21) ^ state->v0;
		state->v2 += state->v1;
		state->v1 = rotate(state->v1, 17) ^ state->v2;
		state->v2 = rotate(state->v2, 32);
	}
}

static void take_word(struct state *state, uint64_t word)
{
	state->v3 ^= word;
	mix(state, ROUNDS);
	state->v0 ^= word;
}

static uint64_t load(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

/* What is left of the text from byte `at` on, less than a word; it is taken out of a whole one. */
static uint64_t load_rest(const char *data, size_t size, size_t at)
{
	size_t left = size - at;
	uint64_t word = 0;

	if (left && at)
		return load(data + size - sizeof(word)) >> (sizeof(word) - left) * 8;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)(unsigned char)data[i] << i * 8;
	return word;
}

uint64_t hash_folded(const struct hash_key *key, uint64_t seed, struct slice text)
{
	struct state state = {key->words[0] ^ 0x736f6d6570736575u,
		key->words[1] ^ 0x646f72616e646f6du, key->words[0] ^ 0x6c7967656e657261u,
		key->words[1] ^ 0x7465646279746573u};
	size_t size = text.size, at = 0;

	while (size && text.data[size - 1] == ' ')
		size--;
	take_word(&state, seed);
	for (; size - at >= 8; at += 8)
		take_word(&state, ascii_fold_eight(load(text.data + at)));
	take_word(&state, ascii_fold_eight(load_rest(text.data, size, at)) |
				  (uint64_t)(size + sizeof(seed)) << 56);
	state.v2 ^= 0xff;
	mix(&state, LAST_ROUNDS);
	return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
