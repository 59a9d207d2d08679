/*
 * The change feed of one source: reads what the triggers of the database have written down
 * (feed_sql.h), purges the answers that may be different now, and says how long all others are
 * sure. It has a connection of its own, and runs in one worker for all.
 *
 * It reads every change, or knows that it may have missed one. Changes are numbered when they are
 * made, but seen when their transaction commits: see sequence.h.
 *
 * Start reading at feed_tick().
 */
#ifndef TABLED_ENGINE_FEED_H
#define TABLED_ENGINE_FEED_H

#include "engine/cache.h"
#include "engine/catalog.h"
#include "engine/source.h"

struct feed;

/*
 * The spaces are those of the catalog's tables. It takes up where the feed of an earlier
 * configuration left off, which has to be stopped then. All is borrowed for the feed's life.
 */
struct feed *feed_create(const struct catalog *catalog, size_t source, struct cache *cache,
	struct cache_space *const *spaces, struct connector *connector, uint64_t now);

/* Does what is due, and tells when it wants to be called again (ms). */
void feed_tick(struct feed *feed, uint64_t now);
uint64_t feed_next(const struct feed *feed);

/* The worker is about to sleep. */
void feed_rest(struct feed *feed, uint64_t now);

/* It asks nothing more; what is under way is forgotten. Another feed may take over. */
void feed_stop(struct feed *feed, uint64_t now);

/* What is under way: until then it can't be destroyed. */
size_t feed_pending(const struct feed *feed);
void feed_destroy(struct feed *feed);

/* For status pages. */
struct feed_status {
	const char *state; /* "off", "starting", "healthy" or "broken" */
	const char *why;   /* unless it is healthy. Borrowed */
	uint64_t changes;  /* read since the start */
	uint64_t age;      /* ms; how long ago it was last up to date */
	size_t gaps;       /* transactions that have not ended yet, or were rolled back */
};
void feed_status(const struct feed *feed, uint64_t now, struct feed_status *status);

#endif
