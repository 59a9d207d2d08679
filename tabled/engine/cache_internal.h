/*
 * What cache.c (asking, flights), cache_purge.c (what is not true any more) and cache_keep.c
 * (spaces, sizes, going through all) share; nobody else includes it.
 */
#ifndef TABLED_ENGINE_CACHE_INTERNAL_H
#define TABLED_ENGINE_CACHE_INTERNAL_H

#include "engine/cache.h"

#include <stdalign.h>

enum {
	CACHE_SHARDS = CACHE_PARTS, /* that many workers seldom meet in one */
	CACHE_FLIGHT_LISTS = 64,    /* in each */
	CACHE_PART_PURGES = 16384,  /* see cache_purge_part() */
};

/* A shard, its lock, and the flights whose answers belong into it. */
struct cache_shard {
	alignas(64) pthread_mutex_t lock;
	struct shard shard;
	struct cache_flight *flights[CACHE_FLIGHT_LISTS];
};

struct cache_origin_name {
	char *name; /* owned */
	struct origin origin;
	struct cache_origin_name *next;
};

struct cache_space_link {
	struct cache_space space;
	struct cache_space_link *next;
};

struct cache {
	struct hash_key hash_key;
	_Atomic uint64_t order; /* the number of the last purge */
	_Atomic uint64_t part_purges[CACHE_PART_PURGES];
	struct cache_shard shards[CACHE_SHARDS];
	_Atomic uint64_t size;
	pthread_mutex_t lock; /* of the lists below: they change when a configuration is read */
	struct cache_origin_name *origins;
	struct cache_space_link *spaces;
	uint32_t space_count;
	struct cache_space **space_at; /* owned array, by number */
};

/* The hash of a key form, or of whatever else has to do with a space. */
uint64_t cache_hash(const struct cache *cache, const struct cache_space *space, struct slice text);

struct cache_shard *cache_shard_of(struct cache *cache, uint64_t hash);

/* Drops what is kept of a hash; questions of it that are out are not joined and not kept. */
void cache_drop_key(struct cache *cache, const struct cache_space *space, uint64_t hash);

/* Whether a purge that came after `order` concerns the key form. */
bool cache_is_purged(struct cache *cache, const struct cache_space *space, struct slice form,
	bool odd, uint64_t order);

/* What is known of an answer's source: of its feed only if it watched over this answer. */
struct freshness_source cache_facts(const struct cache_space *space, uint64_t order);

/*
 * Whether all is printable ASCII: else databases have their own idea of what is equal. To some, a
 * and ä are the same, and control characters are not there at all.
 */
bool cache_is_plain(struct slice text);

#endif
