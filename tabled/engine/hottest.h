/*
 * The hottest answers of the cache: those that were given most often. Filled while the cache is
 * gone through; belongs to whoever does that.
 */
#ifndef TABLED_ENGINE_HOTTEST_H
#define TABLED_ENGINE_HOTTEST_H

#include "engine/cache.h"

struct hot {
	const struct cache_space *space; /* borrowed from the cache */
	uint32_t hits;
	struct buf form; /* owned */
};

/* `most` of them are wanted. Otherwise zeroed is ready. */
struct hottest {
	size_t most;
	struct hot *items; /* owned; in no order before hottest_sort() */
	size_t count, room;
	bool is_full;   /* so many are there … */
	uint32_t least; /* … with more hits than this, or as many */
};

void hottest_offer(struct hottest *hottest, const struct cache_entry *entry);

/* The hottest first, no more than are wanted. */
void hottest_sort(struct hottest *hottest);

/* Wipes the forms, which are addresses of people. */
void hottest_finish(struct hottest *hottest);

#endif
