/*
 * One lookup on its way: the forms of its key are asked, each of all tables of the map, until one
 * is found. A database server is asked for all that is not known at once, since what counts there
 * is the round trip; what comes back is judged in their order all the same. Everything else is
 * asked for one after the other.
 *
 * Start reading at search_begin().
 */
#ifndef TABLED_ENGINE_SEARCH_H
#define TABLED_ENGINE_SEARCH_H

#include "engine/engine.h"

/* Begins, and may end at once. Everything is borrowed as by engine_lookup(). */
void search_begin(struct engine *engine, const struct request *request, uint64_t now,
	struct lookup_trace *trace, lookup_done *done, void *owner);

/* Frees the engine's spare searches. */
void search_free_spare(struct engine *engine);

/* The same for a map that is known. The key is borrowed for the call. */
void search_begin_in(struct engine *engine, const struct map *map, struct slice key, uint64_t now,
	lookup_done *done, void *owner);

#endif
