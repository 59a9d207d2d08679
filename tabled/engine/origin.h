/*
 * An origin: what all workers know of one source together. It stays while configurations come and
 * go. Any thread may call everything here; times are in ms.
 */
#ifndef TABLED_ENGINE_ORIGIN_H
#define TABLED_ENGINE_ORIGIN_H

#include "engine/freshness.h"
#include "engine/sequence.h"

#include <stdatomic.h>

struct origin {
	_Atomic uint64_t reached;  /* when it last answered */
	_Atomic uint64_t failed;   /* when it last did not; 0: it has answered since */
	_Atomic uint64_t failures; /* one after the other */
	_Atomic uint64_t doubts;   /* the same, see origin_doubted() */
	_Atomic uint64_t next_try; /* while it fails: when it may be asked behind again */
	_Atomic uint64_t feed_run, healthy_until, before_until; /* see struct freshness_source */
	atomic_bool complained; /* the log's last word on it was bad */

	/* The feed's own, of the thread in which it runs: they outlive it. */
	struct feed *feed; /* the one in charge */
	struct sequence seen;
	uint64_t anchor; /* what the last change said, to know it again; 0: there was none */
	char *described; /* owned; which database it is */
};

/* The source has answered a question, whatever it said. */
void origin_reached(struct origin *origin, uint64_t now);

/* It is away. */
void origin_failed(struct origin *origin, uint64_t now);

/*
 * A question had no answer, though the source is not known to be away. That may be the fault of one
 * slow key; when the next one has none either, the source fails.
 */
void origin_doubted(struct origin *origin, uint64_t now);

/*
 * While it fails, whoever has an old answer does not wait for a new one; one of them asks behind,
 * now and then. Returns whether the caller is that one. True while the source does not fail.
 */
bool origin_may_try(struct origin *origin, uint64_t now);

/* What freshness_of() wants to know. */
struct freshness_source origin_facts(const struct origin *origin);

/* The feed's part, of one thread at a time. A run begins: no change will be missed from now on. */
void origin_begin_feed(struct origin *origin);

/* All changes are known up to now, and the next look comes before `until`. */
void origin_feed_is_healthy(struct origin *origin, uint64_t until);

/* Changes may have been missed since it was last healthy: the run is over. */
void origin_end_feed(struct origin *origin, uint64_t now);

#endif
