/*
 * A flight: a question on its way to the source, for all who want its answer. It belongs to the
 * engine that asks, and needs nobody who waits: what is given while it is old is asked anew behind.
 * It lands when the source has answered, and the cache tells whoever has joined it.
 *
 * Start reading at flight_send().
 */
#ifndef TABLED_ENGINE_FLIGHT_H
#define TABLED_ENGINE_FLIGHT_H

#include "engine/engine.h"

struct flight {
	struct ask ask; /* the first, so that the answer finds its flight */
	struct cache_flight shared;
	struct engine *engine;
	const struct table *table;
	struct buf form;
	struct address_parts key; /* of the form */
	struct slice *params;     /* owned */
	size_t param_room;
	struct buf params_text, text;
	struct rows rows;
	struct error why;
	struct flight *next; /* in the list of spare ones, or of those to be sent behind */
};

/* The flight whose part the cache knows. */
struct flight *flight_of(struct cache_flight *shared);

/* One that may be needed: it stays among the spare ones until flight_take(). */
struct flight *flight_prepare(struct engine *engine, const struct table *table, struct slice form);
void flight_take(struct flight *flight);

/* Asks. It may land in here. */
void flight_send(struct flight *flight, uint64_t deadline, uint64_t now);

/* Takes it, and asks behind: once those who wait for a reply have theirs. */
void flight_send_later(struct flight *flight);

/* Sends what is to be asked behind. */
void flight_send_behind(struct engine *engine, uint64_t now);

/* … or lets it land without an answer. */
void flight_abandon_behind(struct engine *engine, uint64_t now);

/* Nobody of this worker's waits for it any more. What is on its way to the source goes on. */
void flight_drop(struct flight *flight, uint64_t now);

/* Frees the engine's spare flights. */
void flight_free_spare(struct engine *engine);

#endif
