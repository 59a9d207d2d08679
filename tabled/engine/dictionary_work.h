/*
 * What clients do with a dictionary: they look keys up, iterate over keys, and change them in
 * transactions. Each belongs to the engine it was begun with, and to that worker's thread; an
 * engine lives until all are over.
 *
 * Values are escaped, and joined by TAB if there are several (base/tabescape.h).
 */
#ifndef TABLED_ENGINE_DICTIONARY_WORK_H
#define TABLED_ENGINE_DICTIONARY_WORK_H

#include "engine/engine.h"

/*
 * Looks a key up. `done` is called exactly once, now or later: FOUND with the values; NOT_FOUND; or
 * TRY_LATER or BROKEN with the reason. Path and user are borrowed for the call.
 */
void dictionary_lookup(struct engine *engine, const struct dictionary *dictionary,
	struct slice path, struct slice user, uint64_t now, lookup_done *done, void *owner);

/* --- Iterating. dictionary_iteration.c */

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

/* --- Changing. dictionary_commit.c */

/* Changes that belong together. Gathered by whoever makes them; nothing is asked before the commit.
 */
struct dictionary_changes;

enum change_kind { CHANGE_SET, CHANGE_UNSET, CHANGE_INCREMENT };

/* Bytes that one transaction may hold. */
enum { CHANGES_MAX = 4 << 20 };

/* `expire` in seconds, 0: never. */
struct dictionary_changes *changes_create(struct slice user, uint64_t expire);
void changes_destroy(struct dictionary_changes *changes);

/* Copies. `value` is the difference, as text, of an increment. What is too much fails the commit.
 */
void changes_add(struct dictionary_changes *changes, enum change_kind kind, struct slice path,
	struct slice value);

/* The bytes that they hold, at most CHANGES_MAX. */
size_t changes_size(const struct dictionary_changes *changes);

/* The commit is to fail, for that reason, whatever it holds. */
void changes_refuse(struct dictionary_changes *changes, const char *why);

/*
 * Carries them out, all or none of them; the changes are given away. `done`, now or later: FOUND:
 * they are committed; NOT_FOUND: a row that was to be incremented is not there, and nothing
 * was changed;
 * UNSURE: nobody knows; else nothing was changed, for that reason. What the cache has of what was
 * changed is purged before that.
 */
void dictionary_commit(struct engine *engine, const struct dictionary *dictionary,
	struct dictionary_changes *changes, uint64_t now, lookup_done *done, void *owner);

#endif
