/*
 * What the files of dictionaries share: dictionary.c; dictionary_compile.c and dictionary_table.c,
 * which make them; and what asks and writes. Nobody else includes it, but for catalog.c, which has
 * them compiled.
 */
#ifndef TABLED_ENGINE_DICTIONARY_INTERNAL_H
#define TABLED_ENGINE_DICTIONARY_INTERNAL_H

#include "engine/catalog.h"
#include "engine/dictionary_changes.h"

enum { LIST_ROWS = 1000 }; /* of an iteration that are asked for at a time */

/*
 * Makes the table of a key, whose pattern is there, from its options. Returns -1 with `why`. To be
 * finished in any case.
 */
int dictionary_table_init(
	struct dictionary_key *key, const struct key_settings *settings, struct error *why);
void dictionary_table_finish(struct dictionary_table *table);

/* What can be no key, and not the beginning of one, comes before no database. */
int dictionary_check_path(struct slice path, struct slice user, struct error *why);

/* The values in a key form. */
size_t dictionary_key_parts(const struct dictionary_key *key);

/* How many tables compiling adds at most. */
size_t dictionary_count_tables(
	const struct dictionary_config *config, const struct map_config *maps, size_t map_count);

/* A change as it was given; and, once it is to be committed, the row that is meant. */
struct change {
	enum change_kind kind;
	size_t path, path_size, value, value_size; /* in `texts` */
	struct dictionary_place place;
};

struct dictionary_changes {
	struct buf texts;
	struct change *items; /* owned */
	size_t count, room;
	struct slice user; /* owned */
	uint64_t expire;
	struct error refusal; /* empty: none */
	bool is_refused;
};

/* What was given with a change. Borrowed, until the next one is added. */
struct slice change_path(const struct dictionary_changes *changes, const struct change *change);
struct slice change_value(const struct dictionary_changes *changes, const struct change *change);

/* The key of a dictionary that the table was made for, or NULL. */
const struct dictionary_key *catalog_key_of(
	const struct catalog *catalog, const struct table *table);

/*
 * Compiles, once all maps are there. Adds tables to the catalog, which has room for them. Returns
 * -1 with `why`; ret_culprit is then the number of the key at fault. To be finished in any case.
 */
int dictionary_init(struct dictionary *dictionary, const struct dictionary_config *config,
	struct catalog *catalog, size_t *ret_culprit, struct error *why);
void dictionary_finish(struct dictionary *dictionary);

#endif
