/*
 * A shard of the cache: answers in a fixed piece of memory, found by key, dropped when room is
 * needed. Not locked: see cache.c.
 *
 * Which go is decided as in S3-FIFO (Yang et al., "FIFO queues are all you need for cache
 * eviction", SOSP 2023): a new answer enters a small ring. If it was asked for often enough by the
 * time it has gone through it, it moves to the main ring, else only a ghost of it is kept; what
 * comes back while its ghost is there enters the main ring at once. There, what was asked for goes
 * round again. So a scan of keys that nobody asks twice drives nothing out. While there is still
 * room in the main ring, nothing has to go.
 *
 * The rings are logs: an answer's place in memory is its place in the queue. So there are no lists,
 * no holes and no allocations, and the memory is what the configuration says, to the byte.
 */
#ifndef TABLED_ENGINE_SHARD_H
#define TABLED_ENGINE_SHARD_H

#include "lookup.h"

#include <stdbool.h>

/* An answer as it lies in memory, with its key and its text behind it. */
struct record {
	uint32_t size; /* bytes, all in all */
	uint8_t state; /* enum record_state, in shard.c */
	uint8_t uses;  /* for eviction: 0 to 3 */
	uint16_t key_size;
	uint64_t hash;
	uint32_t next; /* place of the next one in the bucket */
	uint32_t space;
	uint64_t asked; /* ms */
	uint64_t order; /* see cache.c */
	uint32_t text_size;
	uint32_t feed; /* see struct freshness_answer */
	uint32_t hits;
	uint8_t status;
	bool odd; /* the key is not plain ASCII */
	char bytes[];
};

struct slice record_key(const struct record *record);
struct slice record_text(const struct record *record);

/* What a space has in a shard. */
struct shard_tally {
	uint64_t entries, bytes, evicted;
};

struct ring {
	char *memory;                  /* borrowed */
	size_t size, head, tail, used; /* bytes */
};

struct shard {
	char *memory; /* owned, mapped */
	size_t size;
	struct ring small, main;
	uint32_t *buckets, *ghosts; /* within the memory */
	size_t bucket_count, ghost_count;
	struct shard_tally *tallies; /* owned; by space */
	size_t tally_count;
};

/* Takes `size` bytes of address space; pages are used as answers come. None: nothing is kept. */
void shard_init(struct shard *shard, size_t size);

/* Gives the memory back. */
void shard_finish(struct shard *shard);

/* The answer, or NULL. Borrowed until the next call that changes the shard. */
struct record *shard_find(
	const struct shard *shard, uint64_t hash, uint32_t space, struct slice key);

/* It was of use. */
void shard_touch(struct record *record);

/*
 * Stores an answer; an older one of the same key goes. One that is too big is not kept. Of `head`
 * all counts but sizes and next; its state is 0 for what is new.
 */
void shard_store(
	struct shard *shard, const struct record *head, struct slice key, struct slice text);

/* Takes over what another one has, in its order, as far as it fits; the counts as well. */
void shard_take_over(struct shard *shard, const struct shard *old);

/* Drops all answers whose keys may be spellings of what has the hash. */
void shard_purge(struct shard *shard, uint64_t hash, uint32_t space);

/*
 * Gives back the room of what was dropped, as far as nothing older is there: of at most `most`
 * answers. Returns whether there may be more.
 */
bool shard_trim(struct shard *shard, size_t most);

/* Drops one. */
void shard_drop(struct shard *shard, struct record *record);

/*
 * Calls back for each answer in `count` buckets from number `from` on; the callback may drop it.
 * Returns the number of the next bucket, 0 at the end.
 */
size_t shard_walk(struct shard *shard, size_t from, size_t count,
	void (*visit)(void *context, struct shard *shard, struct record *record), void *context);

/* Bytes in use, tables included. */
size_t shard_used(const struct shard *shard);

#endif
