/*
 * The engine: takes lookups from any protocol and answers them, in the order map, key plan,
 * source, result. One for each worker and configuration; it belongs to that worker's thread. It
 * does no I/O of its own and reads no clock.
 *
 * Start reading at engine_lookup().
 */
#ifndef TABLED_ENGINE_ENGINE_H
#define TABLED_ENGINE_ENGINE_H

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

/* Both are borrowed for the engine's life. The connector may be NULL if no source is a server. */
struct engine *engine_create(const struct catalog *catalog, struct connector *connector);

/* Only when engine_pending() is 0. Takes NULL. */
void engine_destroy(struct engine *engine);

/*
 * Looks the key of `request` up in the map it names. `done` is called exactly once, with `owner`,
 * now or later. The request is borrowed for the call only; `trace`, which may
 * be NULL, until `done`.
 */
void engine_lookup(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner);

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
uint64_t engine_count(const struct engine *engine, const struct map *map, enum status status);

#endif
