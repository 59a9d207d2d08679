/*
 * What the files share that work for the engine (engine.c, search.c, inquiry.c, flush.c, warmer.c):
 * the engine itself. Nobody else includes it.
 */
#ifndef TABLED_ENGINE_ENGINE_INTERNAL_H
#define TABLED_ENGINE_ENGINE_INTERNAL_H

#include "base/log.h"
#include "engine/engine.h"

/* What a worker counts for each map. */
struct map_counters {
	uint64_t by_status[STATUS_COUNT];
};

/* Searches and flights are kept to be used again: so many of each, unless they have grown big. */
enum { SPARE_MOST = 256, SPARE_BYTES = 16 * 1024 };

struct flight;
struct inquiry;
struct search;

struct engine {
	const struct catalog *catalog; /* borrowed */
	struct cache *cache;           /* borrowed */
	struct inbox *inbox;           /* borrowed */
	struct source *sources;        /* owned, in the catalog's order */
	struct map_counters *counters; /* owned, by map->index */
	struct cache_space **spaces;   /* owned array of borrowed ones, by statement id … */
	struct table_counters *tables; /* owned, likewise … */
	const struct map *last_map;    /* that a client asked for; NULL: it is not there */
	struct slice last_name;        /* of it, borrowed from it */
	struct search *spare;          /* list of searches to be used again, with their buffers */
	size_t spare_count;
	struct flight *spare_flights; /* the same */
	size_t spare_flight_count;
	struct connector *connector; /* borrowed */
	struct writer *
		*writers;      /* owned, as are they, in the catalog's order; NULL: not used yet */
	struct feed **feeds;   /* owned, as are they; NULL: it runs none */
	struct flight *behind; /* list: to be asked when all have their replies */
	struct inquiry *inquiries; /* list of those that wait */
	uint64_t look_at;          /* ms; while some wait: see inquiry_expire() */
	size_t pending;            /* searches, flights, checks, and what dictionaries do */
	struct log_limit limit;
};

/* By which the source is written to; NULL with `why` if it can't be. */
struct writer *engine_writer(struct engine *engine, size_t source, struct error *why);

#endif
