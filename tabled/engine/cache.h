/*
 * The cache: what is known already, and what is being asked. Shared by all workers; any thread may
 * call everything here. It stays while configurations come and go.
 *
 * Answers are kept by space (one table: a query on a source) and key form, as formatted text.
 * A question on its way is a flight: whoever wants the same answer joins it, in whatever worker.
 *
 * What is purged while a question is on its way must not come back with its answer. So each purge
 * has a number, each question has that of the last purge before it, and an answer counts only if no
 * purge that concerns it came later. A purge waits for nobody.
 *
 * Start reading at cache_get() and cache_ask().
 */
#ifndef TABLED_ENGINE_CACHE_H
#define TABLED_ENGINE_CACHE_H

#include "base/hash.h"
#include "engine/inbox.h"
#include "engine/origin.h"
#include "engine/shard.h"
#include "setting.h"

struct cache;

/* The options of the `cache` section. */
struct cache_settings {
	int64_t size;          /* bytes */
	char *save;            /* NULL: nowhere */
	int64_t save_interval; /* ms */
};

extern const struct setting cache_setting_table[];

/* Of `size` bytes in all. 0: nothing is kept, but flights are shared all the same. */
struct cache *cache_create(size_t size);
void cache_destroy(struct cache *cache);

/* What the configuration says may change; what is kept is taken along as far as it fits. */
void cache_resize(struct cache *cache, size_t size);

/* What all workers know of the source of that name, from its first configuration on. Borrowed. */
struct origin *cache_origin(struct cache *cache, const char *name);

/* The answers of one table. */
struct cache_space {
	uint32_t number;
	char *identity;        /* owned */
	struct origin *origin; /* borrowed from the cache */
	atomic_bool is_secret; /* never written to a file, nor shown; once is for ever */
	atomic_bool failing;   /* the log has said so; any worker's */
	/*
	 * The feed tells of every change that matters to answers that were asked since there was a
	 * purge, or a watch, of this number; 0: it does not.
	 */
	_Atomic uint64_t watched;
	/* Numbers of the last purges: of all, of keys that are not plain ASCII … */
	_Atomic uint64_t purged, odd_purged;
	/* … and whether there were any of a user's or of a domain's keys: see cache.c. */
	atomic_bool user_purges, domain_purges;
};

/*
 * The space of an identity: two tables that always give the same answers have the same, any others
 * don't. Borrowed, for the cache's life.
 */
struct cache_space *cache_space(
	struct cache *cache, const char *identity, struct origin *origin, bool is_secret);

/* The name of the source that its origin is of. Borrowed, for the cache's life. */
const char *cache_source_name(const struct cache_space *space);

/* What everybody who waits for an answer gets. Borrowed for the call. */
struct cache_answer {
	enum status status;
	struct slice text; /* FOUND: the result, formatted; else the reason */
};

/* Somebody who waits for an answer. His memory; he keeps it until `answered`, or until withdrawn.
 */
struct cache_waiter {
	struct inbox *inbox; /* of his worker, in whose thread he is called */
	void (*answered)(
		struct cache_waiter *waiter, const struct cache_answer *answer, uint64_t now);

	/* The cache's own. */
	struct letter letter;
	uint64_t hash;
	struct cache_flight *flight; /* NULL: he waits for none, or his answer is under way */
	struct shared_answer *answer;
	struct cache_waiter *prev, *next;
};

/* One question on its way. The memory of whoever asks. */
struct cache_flight {
	struct cache_space *space;
	struct slice form; /* borrowed from whoever asks, until it has landed */
	uint64_t hash;
	uint64_t asked; /* ms */
	uint64_t order, feed;
	bool odd;
	bool is_known;       /* others may join it */
	bool behind;         /* nobody has to want it: it is asked to be kept */
	struct inbox *inbox; /* of the worker that asks */
	struct cache_waiter *waiters;
	struct cache_flight *prev, *next;
};

enum cache_verdict {
	CACHE_HIT,    /* here it is */
	CACHE_JOINED, /* somebody asks it already: `answered` will come */
	CACHE_LEAD, /* ask it yourself: your flight is known to all now, and your waiter has joined
		     */
};

struct cache_question {
	struct cache_space *space;
	struct slice form;
	const struct freshness_rule *rule;
	struct cache_waiter *waiter;
	struct cache_flight *flight; /* is used if need be */

	/* Of a hit: */
	enum status ret_status;
	struct buf *ret_text; /* is cleared and filled */
	uint64_t ret_age;     /* ms */
	bool ret_old;         /* it is in its grace, or stale */
	bool ret_stale;       /* … and is given since its source does not answer */
	bool ret_refresh;     /* ask the flight all the same: nobody does so yet */
};

/*
 * Looks for an answer that is fresh, so that nobody has to be asked. If there is one, the question
 * is a hit. Its waiter and flight are not looked at.
 */
bool cache_get(struct cache *cache, struct cache_question *question, uint64_t now);

/* Looks for an answer, or for somebody who asks for it, or makes the caller that one. */
enum cache_verdict cache_ask(struct cache *cache, struct cache_question *question, uint64_t now);

/*
 * The source could not answer: is there an old answer that may be given? Returns false if there is
 * none; else the question is a hit.
 */
bool cache_fall_back(struct cache *cache, struct cache_question *question, uint64_t now);

/* A flight that nobody else may join, for what is not to be kept: the waiter leads. */
void cache_ask_alone(struct cache *cache, struct cache_question *question, uint64_t now);

/*
 * The flight has its answer: it is kept, if it is one, and given to all who wait; to those of the
 * same worker at once. The flight must stay as it is until this returns.
 */
void cache_land(struct cache *cache, struct cache_flight *flight, const struct cache_answer *answer,
	uint64_t now);

/*
 * A waiter does not want to wait any longer. Returns false if his answer is on its way and will
 * come. If nobody else wants the flight, and it is one of the same worker, it is `ret_unwanted`,
 * else NULL. It may still be joined: see cache_give_up().
 */
bool cache_withdraw(
	struct cache *cache, struct cache_waiter *waiter, struct cache_flight **ret_unwanted);

/* The flight won't land. Returns false, and does nothing, if somebody has joined it meanwhile. */
bool cache_give_up(struct cache *cache, struct cache_flight *flight);

/* From now on the feed tells of every change that matters to the space, or not any more. */
void cache_watch(struct cache *cache, struct cache_space *space, bool is_watched);

/* Purges. Everything of a space: */
void cache_purge_space(struct cache *cache, struct cache_space *space);

/*
 * Everything of the origin's spaces but these: of other configurations, of before or of a moment
 * ago, which may come into use again.
 */
void cache_purge_others(struct cache *cache, const struct origin *origin,
	struct cache_space *const *spaces, size_t count);

/* Everything of all spaces, whatever configuration they come from: */
void cache_purge_all(struct cache *cache);

/* What a database may call equal to `value`: of keys, of their users or of their domains. */
enum cache_part { CACHE_KEY, CACHE_USER, CACHE_DOMAIN };
void cache_purge_part(
	struct cache *cache, struct cache_space *space, enum cache_part part, struct slice value);

/* Whether a database may call two texts equal. Errs on that side. */
bool cache_may_be_equal(struct slice one, struct slice other);

/* What is kept of the flight's form is known to be wrong. */
void cache_forget(struct cache *cache, const struct cache_flight *flight);

/* What a space has. */
struct cache_tally {
	uint64_t entries, bytes, evicted;
};
struct cache_tally cache_tally(struct cache *cache, const struct cache_space *space);

/* Bytes in use, and those that may be. */
void cache_sizes(struct cache *cache, uint64_t *ret_used, uint64_t *ret_size);

/* An answer that is kept, as cache_each() shows it. Borrowed for the call. */
struct cache_entry {
	const struct cache_space *space;
	struct slice form, text;
	enum status status;
	uint64_t
		sure; /* ms; the last moment when it was surely right, as far as its source knows */
	bool watched; /* … because a feed had told of all changes; else it was asked then */
	uint32_t hits;
};

/*
 * Shows every answer, in no order; those that come or go meanwhile may be left out. No lock is
 * held for long. `visit` must not call the cache. What was purged is dropped on the way.
 */
void cache_each(struct cache *cache, void (*visit)(void *context, const struct cache_entry *entry),
	void *context, uint64_t now);

/* The same for one of the parts, for who can't hold all answers at once. */
enum { CACHE_PARTS = 16 };
void cache_each_of(struct cache *cache, size_t part,
	void (*visit)(void *context, const struct cache_entry *entry), void *context, uint64_t now);

/*
 * Keeps an answer from before a restart: it is stale from the start. What it is worth depends on
 * when its source was last reached, so that has to be restored as well: origin_reached().
 */
void cache_restore(struct cache *cache, const struct cache_entry *entry);

/*
 * If an answer was restored, has not been asked since, and nobody does so now: makes the caller
 * that one. Of the question only space, form, flight and the waiter's inbox are looked at.
 */
bool cache_refresh(struct cache *cache, struct cache_question *question, uint64_t now);

#endif
