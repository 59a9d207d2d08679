/*
 * Iterating over keys: page by page, each of which begins behind the last row of the one before. So
 * a client that reads slowly holds no connection, and a long list takes no more memory than a page.
 * An iteration belongs to whoever began it, in the thread of the engine, which lives until it is
 * over.
 *
 * Values are escaped, and joined by TAB if there are several (base/tabescape.h).
 */
#ifndef TABLED_ENGINE_DICTIONARY_ITERATION_H
#define TABLED_ENGINE_DICTIONARY_ITERATION_H

#include "engine/engine.h"

struct dictionary_iteration;

enum { ITERATION_PATHS_MAX = 16 };

/* Slices are borrowed for the call. */
struct iteration_config {
	const struct dictionary *dictionary; /* borrowed for the iteration's life */
	struct slice paths[ITERATION_PATHS_MAX];
	size_t path_count;
	struct slice user; /* data == NULL: none */
	bool recurse, exact, with_values, by_value;
	uint64_t max_rows; /* 0: all */
};

/* There are rows to be taken, or it is over. Not within iteration_begin(). */
typedef void iteration_ready(void *owner, uint64_t now);

struct dictionary_iteration *iteration_begin(struct engine *engine,
	const struct iteration_config *config, iteration_ready *ready, void *owner);

/* Takes NULL. What is still asked of the database comes to nothing. */
void iteration_end(struct dictionary_iteration *iteration);

enum iteration_state {
	ITERATION_ROW,  /* here is one; slices are borrowed until the next call */
	ITERATION_WAIT, /* `ready` will be called */
	ITERATION_DONE, /* there are no more */
	ITERATION_FAILED,
};

/*
 * Takes the next row. Rows are asked for page by page, so as many are held as a page has, and not
 * before this is called. If it has failed, ret_failure says how and why, borrowed from the
 * iteration.
 */
enum iteration_state iteration_next(struct dictionary_iteration *iteration, uint64_t now,
	struct slice *ret_key, struct slice *ret_values, struct reply *ret_failure);

#endif
