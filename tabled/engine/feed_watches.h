/*
 * Whom a change concerns: the spaces of the tables that read a source, and which of the rows they
 * read the triggers of the database tell of. A part of the change feed (feed.h), in its thread.
 *
 * Names are compared byte by byte: reads.h has them as the database keeps them, and so have the
 * triggers that were made from it. "Alias" and alias may be two tables.
 */
#ifndef TABLED_ENGINE_FEED_WATCHES_H
#define TABLED_ENGINE_FEED_WATCHES_H

#include "engine/cache.h"
#include "engine/catalog.h"

/* The columns of a row of the change table. */
enum { CHANGE_ID, CHANGE_TABLE, CHANGE_COLUMN, CHANGE_VALUE, CHANGE_CELLS };

/* A space that may depend on rows of the source. All is borrowed. */
struct feed_watch {
	struct cache_space *space;
	const struct reads *reads;
};

struct feed_watches {
	struct cache *cache;      /* borrowed */
	struct feed_watch *items; /* owned */
	size_t count;
	/* Which tables have triggers, and by what to tell whether they are still the same. */
	struct buf registry;
};

/* Those of all tables of the catalog that read the source. All is borrowed for its life. */
void feed_watches_init(struct feed_watches *watches, const struct catalog *catalog, size_t source,
	struct cache *cache, struct cache_space *const *spaces);
void feed_watches_finish(struct feed_watches *watches);

/*
 * Takes over from the feed of an earlier configuration. What that one has watched in another way,
 * or this one does not watch, nobody has from now on.
 */
void feed_watches_follow(struct feed_watches *watches, const struct feed_watches *old);

/* Nobody watches any more. */
void feed_watches_leave(struct feed_watches *watches);

/*
 * Takes what feed_ask_tables() tells, and watches what can be watched by it. Returns false if that
 * is not the same as before: then changes may have been missed.
 */
bool feed_watches_register(struct feed_watches *watches, const struct rows *rows);

/* Only what is asked from now on counts as watched. */
void feed_watches_begin(struct feed_watches *watches);

/*
 * Purges what depends on rows that are read, of which one has changed that has the value in the
 * read's column; data == NULL: nobody knows which.
 */
void feed_purge_read(struct cache *cache, struct cache_space *space, const struct read *read,
	struct slice value);

/* Purges what a change concerns. */
void feed_watches_apply(const struct feed_watches *watches, const struct slice *cells);

#endif
