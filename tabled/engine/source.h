/*
 * A source: one database as one worker sees it. It owns the connection, opens it when it is first
 * needed and again when it was lost, lets questions wait while somebody holds a lock, and gives
 * up on them at their deadline. It belongs to its worker's thread.
 */
#ifndef TABLED_ENGINE_SOURCE_H
#define TABLED_ENGINE_SOURCE_H

#include "backend.h"
#include "engine/catalog.h"

/* One question on its way. The caller owns it and keeps it until `done`. */
struct ask {
	struct question question;
	uint64_t deadline;                           /* ms */
	void (*done)(struct ask *ask, uint64_t now); /* question.status is set */
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
	void *conn;                         /* owned; NULL while closed */
	enum source_state state;
	uint64_t since;      /* ms; when the state began */
	bool complained;     /* the log's last word on it was bad */
	struct error why;    /* of the state */
	uint64_t retry_at;   /* ms; while closed: when to open again */
	uint64_t busy_at;    /* ms; while asks wait: when to ask again */
	uint64_t busy_wait;  /* ms; the current wait between two tries */
	struct ask *waiting; /* list, oldest first */
	bool asked;          /* since it last rested */
};

void source_init(struct source *source, const struct source_config *config);

/* Closes the connection. Nothing may be waiting. */
void source_finish(struct source *source);

/*
 * Asks, at `now` (ms). ask->done is called in here, or later from source_tick() when the database
 * is locked. Never blocks.
 */
void source_ask(struct source *source, struct ask *ask, uint64_t now);

/* Tries again what waits. Returns when it wants to be called next (ms), UINT64_MAX: not at all. */
uint64_t source_tick(struct source *source, uint64_t now);

/* The worker is about to sleep: see backend.h. */
void source_rest(struct source *source);

/*
 * Whether a statement can be prepared. NOT_FOUND: yes. Anything else with `why`. For the check at
 * the start; a lock or a missing database shows as TRY_LATER.
 */
enum status source_check(
	struct source *source, const struct statement *statement, uint64_t now, struct error *why);

const char *source_state_text(enum source_state state);

#endif
