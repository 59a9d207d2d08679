/*
 * A source: one database as one worker sees it. A database server has a pool of connections (see
 * pool.h). Any other is asked here, inline: its one connection is opened when it is first needed
 * and again when it was lost, and questions wait while somebody holds a lock. It belongs to its
 * worker's thread.
 */
#ifndef TABLED_ENGINE_SOURCE_H
#define TABLED_ENGINE_SOURCE_H

#include "backend.h"
#include "engine/catalog.h"

#include <stdatomic.h>

struct line;
struct pool;
struct transaction;

/* One question on its way. The caller owns it and keeps it until `done`, or until withdrawn. */
struct ask {
	struct question question;
	uint64_t deadline;                           /* ms */
	bool only_check;                             /* see struct batch */
	void (*done)(struct ask *ask, uint64_t now); /* question.status is set */
	/* What is to be carried out in place of the question; borrowed. NULL: it is a question. */
	struct transaction *transaction;

	/* The source's own; zeroed by whoever asks. */
	struct line *line, *home; /* in which it waits; to which it belongs */
	uint64_t order, since;
	uint64_t key_class; /* of a question in a list of keys: see line.c */
	size_t share;       /* of how many questions its batch may be */
	unsigned losses;    /* connections that were lost with it */
	bool was_split;     /* a batch failed with it */
	unsigned given_up;  /* times that it was too slow, be it by company */
	struct ask *prev, *next;
};

enum source_state {
	SOURCE_UNUSED, /* nothing was asked yet */
	SOURCE_UP,
	SOURCE_LOCKED, /* somebody else holds a lock on it */
	SOURCE_DOWN,
};

struct source {
	const struct source_config *config; /* borrowed */
	struct pool *pool;                  /* owned; NULL: asked inline, by the fields below */
	void *conn;                         /* owned; NULL while closed */
	enum source_state state;
	uint64_t since; /* ms; when the state began */
	/* The log's last word on it was bad. Borrowed: several workers may share one. */
	atomic_bool *complained;
	atomic_bool own_complained; /* for who has none */
	struct error why;           /* of the state */
	uint64_t retry_at;          /* ms; while closed: when to open again */
	uint64_t busy_at;           /* ms; while asks wait: when to ask again */
	uint64_t busy_wait;         /* ms; the current wait between two tries */
	struct ask *waiting;        /* list, oldest first */
	bool asked;                 /* since it last rested */
	uint64_t order;             /* of the cache: of what was purged by then it shows nothing */
	bool quiet;                 /* another one tells the log how the database is */
	uint64_t opened;            /* times; of what is asked inline */

	/* Called when the database has rung (backend.h), outside of all `done`s. May be NULL. */
	void (*rang)(void *owner, uint64_t now);
	void *rang_owner; /* borrowed */
};

struct connector;

/* The connector may be NULL if no source is a server. Both are borrowed. */
void source_init(
	struct source *source, const struct source_config *config, struct connector *connector);

/* Closes all connections. Nothing may be waiting, nor being opened. */
void source_finish(struct source *source);

/*
 * Asks, at `now` (ms). ask->done is called in here, or later. Never blocks. A server is asked when
 * the worker rests, with all that has gathered till then.
 */
void source_ask(struct source *source, struct ask *ask, uint64_t now);

/* Takes back an ask that nobody needs any more. Returns false if it is out: `done` will come. */
bool source_withdraw(struct source *source, struct ask *ask);

/* Does what is due. */
void source_tick(struct source *source, uint64_t now);

/* Nobody waits any more: answers all that waits TRY_LATER, without trying anything more. */
void source_abandon(struct source *source);

/* When source_tick() is due (ms); UINT64_MAX: not at all. */
uint64_t source_next(const struct source *source);

/* The worker is about to sleep. */
void source_rest(struct source *source, uint64_t now);

/* Connections on their way: until then the source can't be finished. */
size_t source_opening(const struct source *source);

const char *source_state_text(enum source_state state);

/*
 * For the pool: the one place where a source's state changes, and so the one line in the log for
 * it.
 */
void source_set_state(
	struct source *source, enum source_state state, const struct error *why, uint64_t now);

/* For the pool: answers TRY_LATER, for the reason of the source's state or for another one. */
void source_fail_ask(struct source *source, struct ask *ask, uint64_t now);
void source_fail_ask_with(
	struct source *source, struct ask *ask, const struct error *why, uint64_t now);

#endif
