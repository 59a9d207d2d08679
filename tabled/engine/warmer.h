/*
 * The warmer: after a restart, has the answers that were restored asked anew, the hottest first and
 * slowly, once their source answers. Belongs to worker 0's thread, and outlives configurations.
 */
#ifndef TABLED_ENGINE_WARMER_H
#define TABLED_ENGINE_WARMER_H

#include "engine/engine.h"
#include "engine/hottest.h"

/* What warmer_tick() is called for, and how often. */
enum { WARMER_MOST = 10000, WARMER_TICK_MS = 100, WARMER_IN_A_TICK = 5 };

struct warmer {
	struct hottest hottest; /* those that were restored */
	size_t next;            /* of them */
	bool has_asked;         /* since it began with the first one … */
	bool has_waited;        /* … or has left one out, since its source did not answer */
	unsigned rounds;        /* in which something was asked */
};

/* Then warmer->hottest is to be filled. */
void warmer_init(struct warmer *warmer);

/* Nothing is left to be done from now on. */
void warmer_finish(struct warmer *warmer);

/* Asks some more, by the engine in use. Returns false once nothing is left to be done. */
bool warmer_tick(struct warmer *warmer, struct engine *engine, uint64_t now);

#endif
