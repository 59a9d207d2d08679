/*
 * One lookup on its way: the forms of its key are asked, each of all tables of the map, until one
 * is found. A database server is asked for all of them at once, since what counts there is the
 * round trip; what comes back is judged in their order all the same. Everything else is asked for
 * one after the other.
 *
 * What engine.c and search.c share; nobody else includes it. Start reading at search_begin().
 */
#ifndef TABLED_ENGINE_SEARCH_H
#define TABLED_ENGINE_SEARCH_H

#include "engine/engine.h"

#include "base/log.h"

/* What a worker counts for each map. */
struct map_counters {
	uint64_t by_status[STATUS_COUNT];
};

struct search;

struct engine {
	const struct catalog *catalog; /* borrowed */
	struct source *sources;        /* owned, in the catalog's order */
	struct map_counters *counters; /* owned, by map->index */
	bool *table_failing;           /* owned, by statement id: said so in the log already */
	struct search *spare;          /* list of searches to be used again, with their buffers */
	size_t spare_count;
	size_t pending; /* searches and checks */
	struct log_limit limit;
};

/* Begins, and may end at once. Everything is borrowed as by engine_lookup(). */
void search_begin(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner);

/* Frees the engine's spare searches. */
void search_free_spare(struct engine *engine);

#endif
