/*
 * The questions that wait for a connection: one line for each statement, since only questions of
 * one statement can share a query, and one for suspects. Which questions may share one is decided
 * here. Belongs to the pool.
 */
#ifndef TABLED_ENGINE_LINE_H
#define TABLED_ENGINE_LINE_H

#include "engine/source.h"

/* Questions of one statement, those that are due first at the front. */
struct line {
	struct ask *asks;     /* list; borrowed */
	unsigned splits;      /* batches in a row that failed without anybody being at fault */
	uint64_t alone_until; /* ms; each is asked alone till then */
	uint64_t answers;     /* since the start */
};

/* Zeroed is ready. */
struct lines {
	struct line **items; /* owned; the first is for suspects, then one for each statement id */
	size_t count;
	size_t waiting, suspects; /* questions: all of them, and those in the first line */
	uint64_t order;           /* of the next to come */
};

void lines_finish(struct lines *lines);

void lines_append(struct lines *lines, struct ask *ask, bool is_suspect);

/* To where it stood, to share a query with at most `share` - 1 others. */
void lines_put_back(struct lines *lines, struct ask *ask, size_t share);

void lines_remove(struct lines *lines, struct ask *ask);

/* Whoever waits with the same question as this one, which is a suspect now, becomes one, too. */
void lines_set_aside(struct lines *lines, const struct ask *suspect);

/* The line whose first question is due first, or NULL. */
struct line *lines_oldest(const struct lines *lines, bool with_suspects);

struct line *lines_suspect(const struct lines *lines);

/* Takes the questions off a line that may share one query, at most `most`. Returns how many. */
size_t lines_take(
	struct lines *lines, struct line *line, struct ask **asks, size_t most, uint64_t now);

/* Takes one, any, or one that is past its deadline; NULL: there is none. */
struct ask *lines_take_any(struct lines *lines);
struct ask *lines_take_expired(struct lines *lines, uint64_t now);

/* When the next one is (ms); UINT64_MAX: none. */
uint64_t lines_next_deadline(const struct lines *lines);

/* Since when the first of that line has waited (ms); UINT64_MAX: none. */
uint64_t lines_since(const struct lines *lines, bool with_suspects);

/*
 * A batch of the ask's statement has failed, though nobody may be at fault. Returns true when that
 * was once too often, and the statement is asked for one key at a time for a while.
 */
bool lines_blame(struct lines *lines, const struct ask *ask, uint64_t now);

/* Somebody was at fault after all. */
void lines_forgive(struct lines *lines, const struct ask *ask);

#endif
