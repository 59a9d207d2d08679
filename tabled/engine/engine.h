/*
 * The engine: takes lookups from any protocol and answers them, in the order map, key plan,
 * source, result. One for each worker and configuration; it belongs to that worker's thread. It
 * does no I/O of its own and reads no clock.
 *
 * Start reading at engine_lookup().
 */
#ifndef TABLED_ENGINE_ENGINE_H
#define TABLED_ENGINE_ENGINE_H

#include "engine/cache.h"
#include "engine/catalog.h"
#include "engine/source.h"

struct engine;

/* What a lookup came across, for `tabledctl get --explain`. */
struct lookup_trace {
	/* One form was asked of one table, or was not, and why. All is borrowed for the call. */
	void (*step)(struct lookup_trace *trace, struct slice form, const char *table,
		const char *outcome);
};

/* Takes the answer. `reply` is borrowed for the call. May be called from within engine_lookup(). */
typedef void lookup_done(void *owner, const struct reply *reply);

struct connector;

/*
 * All are borrowed for the engine's life. The connector may be NULL if no source is a server. The
 * inbox is that of the engine's worker, who opens it; the cache is that of all workers.
 */
struct engine *engine_create(const struct catalog *catalog, struct cache *cache,
	struct inbox *inbox, struct connector *connector);

/* Only when engine_pending() is 0. Takes NULL. */
void engine_destroy(struct engine *engine);

/*
 * Looks the key of `request` up in the map it names. `done` is called exactly once, with `owner`,
 * now or later. The request is borrowed for the call only; `trace`, which may
 * be NULL, until `done`.
 */
void engine_lookup(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner);

/*
 * Runs the change feeds of its sources, for all workers: one engine of all does so at a time, and
 * takes over from the one before.
 */
void engine_run_feeds(struct engine *engine, uint64_t now);

/* It won't get any more lookups: its feeds end. */
void engine_retire(struct engine *engine, uint64_t now);

/* Does what is due. */
void engine_tick(struct engine *engine, uint64_t now);

/* Nobody waits any more: every lookup is answered TRY_LATER, without trying anything more. */
void engine_abandon(struct engine *engine);

/* When engine_tick() is due (ms); UINT64_MAX: not at all. */
uint64_t engine_next(const struct engine *engine);

/* The worker is about to sleep: servers are asked what has gathered, locks are given back. */
void engine_rest(struct engine *engine, uint64_t now);

/* Lookups that have not been answered, and whatever else is under way. */
size_t engine_pending(const struct engine *engine);

/*
 * Has every statement prepared, now or soon, and logs what is wrong with it; a database that is
 * away is no mistake.
 */
void engine_check(struct engine *engine, uint64_t now);

/* For status pages. Borrowed. */
const struct catalog *engine_catalog(const struct engine *engine);
const struct source *engine_source(const struct engine *engine, size_t at);

/* As far as any worker knows: a source that another one has reached is not down. */
enum source_state engine_source_state(const struct engine *engine, size_t at);
uint64_t engine_count(const struct engine *engine, const struct map *map, enum status status);

/* How often the answer of a table for a key form … */
struct table_counters {
	uint64_t hits;   /* was in the cache */
	uint64_t stale;  /* was there, past its time: some of the hits, or of those that failed */
	uint64_t joined; /* was being asked already */
	uint64_t misses; /* had to be asked */
};
const struct table_counters *engine_table_counters(
	const struct engine *engine, const struct table *table);
struct feed;

/* NULL: this engine runs none. */
const struct feed *engine_feed(const struct engine *engine, size_t source);
struct cache *engine_cache(const struct engine *engine);
const struct cache_space *engine_space(const struct engine *engine, const struct table *table);

#endif
