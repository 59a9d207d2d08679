/*
 * An inquiry: somebody wants the answer of one table for one key form. It comes from the cache,
 * from whoever asks the same already, in whatever worker, or from the source; and if that can't
 * answer, from the cache again, as far as an old answer may be given.
 *
 * Start reading at inquiry_begin().
 */
#ifndef TABLED_ENGINE_INQUIRY_H
#define TABLED_ENGINE_INQUIRY_H

#include "engine/engine.h"

/* Whoever wants to know owns it, and keeps it until `done`, or until it is withdrawn. */
struct inquiry {
	struct cache_waiter waiter; /* the first, so that the answer finds its inquiry */
	struct engine *engine;
	const struct map *map;
	size_t at;         /* which of the map's tables */
	struct slice form; /* borrowed */
	uint64_t deadline; /* ms */
	void (*done)(struct inquiry *inquiry, uint64_t now);

	/* The answer. */
	enum status status;
	struct buf text;   /* owned. FOUND: the result; else the reason, if there is one to tell */
	bool is_kept, old; /* it comes from the cache; and is past its time there */
	bool stale;        /* … and is given since the source does not answer */
	uint64_t age;      /* ms, of what comes from the cache */

	struct inquiry *prev, *next;
};

/* Asks. `done` is called in here, or later. */
void inquiry_begin(struct inquiry *inquiry, uint64_t now);

/* Takes it back. Returns false if it is out: `done` will come. */
bool inquiry_withdraw(struct inquiry *inquiry, uint64_t now);

/* Ends those that have waited until their deadline. Wants to be called at engine->look_at (ms). */
void inquiry_expire(struct engine *engine, uint64_t now);

/* Answers TRY_LATER what still waits, once the engine's own sources have been abandoned. */
void inquiry_abandon_all(struct engine *engine, uint64_t now);

/*
 * Has an answer that was restored asked anew, behind, unless that was done already or somebody does
 * so now: then it returns false.
 */
bool inquiry_refresh(
	struct engine *engine, const struct table *table, struct slice form, uint64_t now);

#endif
