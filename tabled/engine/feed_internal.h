/*
 * What the files of the feed share; nobody else includes it. feed.c has its life, feed_round.c what
 * it asks and what follows from the answers, and feed_place.c where it stands. Calls go down in
 * this order.
 */
#ifndef TABLED_ENGINE_FEED_INTERNAL_H
#define TABLED_ENGINE_FEED_INTERNAL_H

#include "engine/feed.h"
#include "engine/feed_sql.h"
#include "engine/feed_watches.h"

#include <inttypes.h>

enum {
	FEED_GAPS_AT_ONCE = 64,
	FEED_NUMBER_MAX = 24, /* bytes */
};

/* One question of the feed, on its way. */
struct feed_ask {
	struct ask ask; /* the first, so that the answer finds its question */
	struct feed *feed;
	void (*answered)(struct feed_ask *ask, uint64_t now); /* its rows are there */
	struct rows rows;
	struct error why;
	struct slice params[2];
	char numbers[2][FEED_NUMBER_MAX];
};

/* What the feed asks. */
enum { FEED_NEWS, FEED_GAP, FEED_REGISTRY, FEED_OLD, FEED_TEXTS };

enum feed_state { FEED_OFF, FEED_STARTING, FEED_HEALTHY, FEED_BROKEN };

struct feed {
	struct origin *origin;
	const struct source_config *config;
	struct source_config own_config; /* with a pool of its own */
	struct server_settings own_server;
	struct source source;
	struct feed_watches watches;
	struct query queries[FEED_TEXTS];
	struct statement listen, trim; /* commands */
	char trim_text[sizeof(FEED_TRIM_FORMAT) + FEED_NUMBER_MAX];
	struct feed_ask main, gaps[FEED_GAPS_AT_ONCE];
	size_t out; /* questions */
	enum feed_state state;
	struct error why;
	uint64_t next_at, began;             /* ms */
	uint64_t check_at, trim_at, gaps_at; /* ms */
	uint64_t run_at;    /* ms; no run begins before: lookups may be asked of another server */
	uint64_t sure_at;   /* ms; what was committed by then has been read; 0: none yet */
	uint64_t gap_after; /* gaps up to this number have been looked at in this round */
	uint64_t opened;    /* the connection that was checked … */
	uint64_t listening; /* … and that was told to ring: their numbers */
	uint64_t changes;
	bool rang, failed, stopped, complained;
};

/* feed_round.c */

/* Asks whatever is due; feed->next_at says when the next round is, as soon as this one is over. */
void feed_begin_round(struct feed *feed, uint64_t now);

/* feed_place.c */

/* How it is, for status pages and, where that is news, for the log. */
void feed_set_state(struct feed *feed, enum feed_state state, const char *why);

/* Changes may be missed from here on: what was watched is not watched any more. */
void feed_forget_place(struct feed *feed);

/* Whether the rows, which begin with the last change that was read, follow on what was read. */
bool feed_goes_on(const struct feed *feed, const struct rows *rows);

/* Purges what the changes concern that have not been read before. */
void feed_read_changes(struct feed *feed, const struct rows *rows, uint64_t now);

/* A number as the database writes it; 0: it is none. */
uint64_t feed_number(struct slice text);

#endif
